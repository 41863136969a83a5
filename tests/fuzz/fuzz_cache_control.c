/* Cache-Control as lists and as structured dictionaries; structured fields by themselves. What is
 * found must lie within the input, and what is written must read back. */
#include "common/http/syntax/http_field_cache.h"
#include "common/http/syntax/http_structured.h"
#include "common/str.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool within(struct cdn_str part, struct cdn_str whole)
{
    return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void directives(struct cdn_str s)
{
    struct http_cache_control cc = {0}, structured = {0}, empty = {0};
    http_cache_control_add(&cc, s);
    for (unsigned i = 0; i < HTTP_CC_SECONDS_COUNT; i++) {
        MUST(cc.seconds[i] >= 0 && (cc.seconds[i] == 0 || http_cc_has(&cc, i)));
    }
    MUST(within(cc.no_cache_fields, s) && within(cc.private_fields, s));
    if (!http_cache_control_add_structured(&structured, s)) {
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): nothing may have been written
        MUST(memcmp(&structured, &empty, sizeof(empty)) == 0);
    } else {
        MUST(http_structured_valid_dictionary(s));
    }
}

static void structured(struct cdn_str s)
{
    struct cdn_str rest = s, key;
    struct http_structured_value v, found;
    int more;
    while ((more = http_structured_dictionary_next(&rest, &key, &v)) == 1) {
        MUST(http_structured_is_key(key) && within(key, s) && within(v.text, s));
        struct cdn_str parameters = v.parameters, name;
        while (http_structured_parameter_next(&parameters, &name, &found) == 1) {
            MUST(within(name, s));
        }
    }
    MUST((more == 0) == http_structured_valid_dictionary(s));
    (void)http_structured_item(s, &v);
}

static void written(struct cdn_str s)
{
    struct cdn_buf b = {0};
    struct http_structured_value v;
    http_structured_add_text(&b, s);
    MUST(http_structured_item(cdn_buf_str(&b), &v));
    cdn_buf_clear(&b);
    http_structured_add_string(&b, s);
    MUST(http_structured_item(cdn_buf_str(&b), &v) && v.type == HTTP_SF_STRING);
    cdn_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    directives(fuzz_text(data, n));
    structured(fuzz_text(data, n));
    written(fuzz_text(data, n));
    return 0;
}
