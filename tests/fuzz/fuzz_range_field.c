/* Range and Content-Range: any text is read or refused. What is read must be in order, and within
 * the length that it names. */
#include "common/http/syntax/http_field_range.h"
#include "common/str.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str s = fuzz_text(data, n);
    struct http_range_set set;
    if (http_range_parse(s, &set)) {
        MUST(set.count > 0 && set.count <= HTTP_RANGE_MAX);
        for (unsigned i = 0; i < set.count; i++) {
            const struct http_range_spec *r = &set.spec[i];
            MUST(r->first == HTTP_RANGE_OPEN || r->last == HTTP_RANGE_OPEN || r->first <= r->last);
        }
    }
    struct http_content_range r, again;
    if (http_content_range_parse(s, &r)) {
        MUST(r.unsatisfied || r.first <= r.last);
        MUST(r.unsatisfied || r.complete_length < 0 || r.last < (uint64_t)r.complete_length);
        char text[HTTP_CONTENT_RANGE_SIZE];
        http_content_range_format(&r, text);
        MUST(http_content_range_parse(cdn_str(text), &again));
        MUST(again.unsatisfied == r.unsatisfied && again.complete_length == r.complete_length);
        MUST(r.unsatisfied || (again.first == r.first && again.last == r.last));
    }
    return 0;
}
