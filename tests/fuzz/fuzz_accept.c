/* Accept-Encoding and Accept-Language: the canonical form is its own canonical form, and chooses the same. */
#include "common/http/syntax/http_field_accept.h"
#include "common/str.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>

static void is_canonical(struct cdn_str s, void (*normalize)(struct cdn_str value, struct cdn_buf *into))
{
    struct cdn_buf once = {0}, twice = {0};
    normalize(s, &once);
    normalize(cdn_buf_str(&once), &twice);
    MUST(cdn_str_eq(cdn_buf_str(&once), cdn_buf_str(&twice)));
    cdn_buf_free(&once);
    cdn_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str s = fuzz_text(data, n), language;
    struct http_accept_encoding a;
    http_accept_encoding_parse(s, &a);
    for (unsigned i = 0; i < HTTP_CODING_COUNT; i++) {
        MUST(a.weight[i] <= 1000);
    }
    for (unsigned offered = 0; offered < 1u << HTTP_CODING_COUNT; offered++) {
        enum http_coding best = http_accept_encoding_best(&a, offered);
        MUST(best == HTTP_CODING_COUNT || ((offered >> best & 1) && a.weight[best] > 0));
    }
    (void)http_coding_find(s);
    is_canonical(s, http_accept_encoding_normalize);
    is_canonical(s, http_accept_language_normalize);
    if (http_accept_language_best(s, &language)) {
        MUST(language.n > 0 && language.n <= s.n);
    }
    return 0;
}
