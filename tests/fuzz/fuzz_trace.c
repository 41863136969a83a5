/* Trace Context and X-Request-ID: field lines of a stranger. What is left of them is one value each,
 * printable. */
#include "common/http/syntax/http_message.h"
#include "common/str.h"
#include "edge/semantics/trace.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>

static void check(struct cdn_str s, size_t max)
{
    MUST(!s.p || (s.n > 0 && s.n <= max));
    for (size_t i = 0; s.p && i < s.n; i++) {
        MUST(s.p[i] > ' ' && s.p[i] <= '~');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct http_field fields[FUZZ_FIELDS_MAX];
    struct edge_trace trace = {0};
    const size_t count = fuzz_fields(fuzz_text(data, n), fields);
    for (size_t i = 0; i < count; i++) {
        edge_trace_note(&trace, fields[i].name, fields[i].value);
    }
    edge_trace_check(&trace);
    check(trace.parent, EDGE_TRACE_PARENT_MAX);
    check(trace.request_id, EDGE_REQUEST_ID_MAX);
    MUST(trace.parent.p || !trace.state.p);
    return 0;
}
