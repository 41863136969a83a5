/* The grammars that fields are made of: lists, parameters, quoted strings, entity tags, media types,
 * CDN-Loop. */
#include "common/http/syntax/http_field.h"
#include "common/str.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static void lists(struct cdn_str s)
{
    struct cdn_str rest = s, element, name, value;
    size_t total = 0;
    while (http_list_next(&rest, &element)) {
        MUST(element.n > 0 && cdn_str_trim(element).n == element.n);
        total += element.n;
        struct cdn_str parts = element, part;
        while (http_split_next(&parts, ';', &part)) {
            http_parameter_split(part, &name, &value);
            MUST(name.n + (value.p ? value.n + 1 : 0) == part.n);
        }
    }
    MUST(total <= s.n);
    (void)http_list_has_token(s, CDN_STR("close"));
    (void)http_is_hop_by_hop(CDN_STR("x-a"), s);
    (void)http_is_hop_by_hop(s, CDN_STR("x-a, x-b"));
    (void)http_is_protected_field(s);
}

static void quoted(struct cdn_str s)
{
    struct cdn_buf b = {0};
    struct cdn_str inner;
    char out[4096];
    size_t n;
    (void)http_unquote(s, out, 4, &n);
    if (http_is_field_value(s) && s.n < sizeof(out)) {
        http_add_quoted(&b, s);
        MUST(http_quoted_inner(cdn_buf_str(&b), &inner));
        MUST(http_unquote(cdn_buf_str(&b), out, sizeof(out), &n));
        MUST(cdn_str_eq((struct cdn_str){out, n}, s));
    }
    cdn_buf_free(&b);
}

static void tags(struct cdn_str s)
{
    struct cdn_str rest = s;
    struct http_etag tag;
    if (http_etag_parse(s, &tag)) {
        MUST(http_etag_match_weak(&tag, &tag) && http_etag_match_strong(&tag, &tag) == !tag.weak);
        MUST(http_etag_list_match(s, &tag, false));
    }
    while (http_etag_next(&rest, &tag)) {
        MUST(tag.value.n >= 2 && tag.value.p[0] == '"' && tag.value.p[tag.value.n - 1] == '"');
        MUST(http_etag_list_match(s, &tag, false));
    }
    (void)http_etag_list_match(s, NULL, true);
}

static void others(struct cdn_str s)
{
    struct cdn_buf b = {0};
    int64_t seconds;
    uint32_t forwards;
    struct cdn_str type = http_media_type(s);
    MUST(type.n == 0 || (type.n >= 3 && cdn_str_find(type, '/') > 0));
    (void)http_media_type_match(s, CDN_STR("text/*"));
    MUST(!http_parse_seconds(s, &seconds) || (seconds >= 0 && seconds <= HTTP_SECONDS_MAX));
    (void)http_max_forwards_parse(s, &forwards);
    (void)http_cdn_loop_has(s, CDN_STR("pocketcdn-fra"));
    http_via_append(&b, s, 11, CDN_STR("fra"));
    cdn_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str s = fuzz_text(data, n);
    lists(s);
    quoted(s);
    tags(s);
    others(s);
    return 0;
}
