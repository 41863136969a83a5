/* Range plans: the pieces of a body are as many bytes as its Content-Length says, and within the object.
 * First line: the object's length; second: the Range. */
#include "common/http/syntax/http_field_range.h"
#include "common/parse.h"
#include "common/str.h"
#include "edge/semantics/range.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>

static void pieces(const struct edge_range_plan *plan)
{
    struct cdn_buf text = {0};
    uint64_t at = 0, from, n;
    unsigned steps = 0;
    while (cdn_buf_clear(&text), edge_range_piece(plan, at, &text, &from, &n)) {
        MUST((text.n > 0) != (n > 0));
        MUST(n == 0 || (from < plan->complete_length && n <= plan->complete_length - from));
        at += text.n + n;
        MUST(at <= plan->body_length && ++steps <= 2 * EDGE_RANGE_PARTS_MAX + 1);
    }
    MUST(at == plan->body_length);
    cdn_buf_free(&text);
}

static void plan(struct cdn_str range, uint64_t length)
{
    struct edge_range_plan plan;
    char text[HTTP_CONTENT_RANGE_SIZE];
    edge_range_plan(range, length, CDN_STR("text/css"), length ^ range.n, &plan);
    MUST(plan.count <= EDGE_RANGE_PARTS_MAX);
    for (unsigned i = 0; i < plan.count; i++) {
        MUST(plan.part[i].first <= plan.part[i].last && plan.part[i].last < length);
    }
    if (plan.kind == EDGE_RANGE_UNSATISFIABLE || plan.kind == EDGE_RANGE_SINGLE) {
        struct http_content_range back;
        edge_range_content_range(&plan, text);
        MUST(http_content_range_parse(cdn_str(text), &back));
    }
    if (plan.kind != EDGE_RANGE_UNSATISFIABLE) {
        pieces(&plan);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n);
    uint64_t length = 1000;
    (void)cdn_parse_u64(cdn_str_cut(&rest, '\n'), &length);
    plan(cdn_str_cut(&rest, '\n'), length & INT64_MAX);
    return 0;
}
