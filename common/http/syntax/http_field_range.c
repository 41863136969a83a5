/* http_field_range: ranges as they were written, before they are laid over a length: what is
 * unsatisfiable depends on the representation, what is malformed does not, and the two are answered
 * in different ways (416, or as if no Range was there). */
#include "common/http/syntax/http_field_range.h"

#include "common/http/syntax/http_field.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/banned.h"

/* A position fits 63 bits; anything larger is "after the end" all the same. */
static bool parse_position(struct cdn_str s, uint64_t *ret)
{
    uint64_t v;
    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    *ret = cdn_parse_u64(s, &v) && v < INT64_MAX ? v : INT64_MAX;
    return true;
}

static bool parse_spec(struct cdn_str text, struct http_range_spec *ret)
{
    struct cdn_str first = cdn_str_trim(cdn_str_cut(&text, '-'));
    struct cdn_str last = cdn_str_trim(text);
    struct http_range_spec spec = {HTTP_RANGE_OPEN, HTTP_RANGE_OPEN};
    if (!text.p || (first.n == 0 && last.n == 0)) {
        return false;
    }
    if ((first.n > 0 && !parse_position(first, &spec.first)) ||
        (last.n > 0 && !parse_position(last, &spec.last))) {
        return false;
    }
    if (first.n > 0 && last.n > 0 && spec.last < spec.first) {
        return false;
    }
    *ret = spec;
    return true;
}

bool http_range_parse(struct cdn_str value, struct http_range_set *ret)
{
    struct cdn_str element, unit = cdn_str_trim(cdn_str_cut(&value, '='));
    struct http_range_set set = {.count = 0};
    if (!value.p || !cdn_str_eq_nocase(unit, CDN_STR("bytes"))) {
        return false;
    }
    while (http_list_next(&value, &element)) {
        if (set.count == HTTP_RANGE_MAX || !parse_spec(element, &set.spec[set.count])) {
            return false;
        }
        set.count++;
    }
    if (set.count == 0) {
        return false;
    }
    *ret = set;
    return true;
}

bool http_content_range_parse(struct cdn_str value, struct http_content_range *ret)
{
    struct http_content_range r = {.complete_length = -1};
    uint64_t length = 0;
    value = cdn_str_trim(value);
    struct cdn_str unit = cdn_str_cut(&value, ' ');
    if (!value.p || !cdn_str_eq_nocase(unit, CDN_STR("bytes"))) {
        return false;
    }
    struct cdn_str range = cdn_str_trim(cdn_str_cut(&value, '/'));
    struct cdn_str complete = cdn_str_trim(value);
    bool known = !cdn_str_eq(complete, CDN_STR("*"));
    if (!value.p || (known && (!cdn_parse_u64(complete, &length) || length > INT64_MAX))) {
        return false;
    }
    r.complete_length = known ? (int64_t)length : -1;
    r.unsatisfied = cdn_str_eq(range, CDN_STR("*"));
    if (r.unsatisfied) {
        if (!known) {
            return false;
        }
    } else {
        struct cdn_str first = cdn_str_cut(&range, '-');
        if (!range.p || !cdn_parse_u64(first, &r.first) || !cdn_parse_u64(range, &r.last) ||
            r.last < r.first || r.last >= INT64_MAX || (known && r.last >= length)) {
            return false;
        }
    }
    *ret = r;
    return true;
}

void http_content_range_format(const struct http_content_range *r, char out[static HTTP_CONTENT_RANGE_SIZE])
{
    char length[24] = "*";
    if (r->complete_length >= 0) {
        (void)snprintf(length, sizeof(length), "%" PRId64, r->complete_length);
    }
    if (r->unsatisfied) {
        (void)snprintf(out, HTTP_CONTENT_RANGE_SIZE, "bytes */%s", length);
    } else {
        (void)snprintf(out, HTTP_CONTENT_RANGE_SIZE, "bytes %" PRIu64 "-%" PRIu64 "/%s", r->first, r->last,
                       length);
    }
}
