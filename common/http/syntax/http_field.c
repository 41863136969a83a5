/* http_field: lists, parameters, quoted strings, ETags, Via and CDN-Loop as cursors over slices.
 * Whoever splits at a comma by hand splits quoted ones too; here that is done once. */
#include "common/http/syntax/http_field.h"

#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"

#include <string.h>

#include "common/banned.h"

bool http_is_token(struct cdn_str s)
{
    return http_check_token(s); /* by a table */
}

bool http_is_field_value(struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Index of the first `sep` outside quoted strings, or s.n. A string that does not end reaches the end. */
static size_t find_unquoted(struct cdn_str s, char sep)
{
    bool quoted = false;
    if (s.n && !memchr(s.p, '"', s.n)) { /* nearly always */
        const char *at = memchr(s.p, sep, s.n);
        return at ? (size_t)(at - s.p) : s.n;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && s.p[i] == sep) {
            return i;
        }
    }
    return s.n;
}

bool http_split_next(struct cdn_str *rest, char sep, struct cdn_str *ret_element)
{
    while (rest->n > 0) {
        size_t n = find_unquoted(*rest, sep);
        struct cdn_str element = cdn_str_trim((struct cdn_str){rest->p, n});
        *rest = cdn_str_sub(*rest, n < rest->n ? n + 1 : n);
        if (element.n > 0) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

bool http_list_next(struct cdn_str *rest, struct cdn_str *ret_element)
{
    return http_split_next(rest, ',', ret_element);
}

bool http_list_has_token(struct cdn_str list, struct cdn_str token)
{
    struct cdn_str element;
    while (http_list_next(&list, &element)) {
        if (cdn_str_eq_nocase(element, token)) {
            return true;
        }
    }
    return false;
}

void http_parameter_split(struct cdn_str element, struct cdn_str *ret_name, struct cdn_str *ret_value)
{
    size_t n = find_unquoted(element, '=');
    *ret_name = (struct cdn_str){element.p, n};
    *ret_value = n < element.n ? cdn_str_sub(element, n + 1) : (struct cdn_str){NULL, 0};
}

bool http_quoted_inner(struct cdn_str s, struct cdn_str *ret_inner)
{
    if (s.n < 2 || s.p[0] != '"') {
        return false;
    }
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            *ret_inner = (struct cdn_str){s.p + 1, i - 1};
            return i == s.n - 1;
        }
    }
    return false;
}

bool http_unquote(struct cdn_str s, char *out, size_t size, size_t *ret_n)
{
    struct cdn_str inner = s;
    bool quoted = http_quoted_inner(s, &inner);
    size_t n = 0;
    if (!quoted && !http_is_token(s)) {
        return false;
    }
    for (size_t i = 0; i < inner.n; i++) {
        i += quoted && inner.p[i] == '\\';
        if (n >= size) {
            return false;
        }
        out[n++] = inner.p[i];
    }
    *ret_n = n;
    return true;
}

void http_add_quoted(struct cdn_buf *b, struct cdn_str s)
{
    cdn_buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            cdn_buf_add_char(b, '\\');
        }
        cdn_buf_add_char(b, s.p[i]);
    }
    cdn_buf_add_char(b, '"');
}

static bool parse_saturating(struct cdn_str s, int64_t max, int64_t *ret)
{
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v = v * 10 + (s.p[i] - '0');
        v = v > max ? max : v;
    }
    if (s.n > 0) {
        *ret = v;
    }
    return s.n > 0;
}

bool http_parse_seconds(struct cdn_str s, int64_t *ret_s)
{
    return parse_saturating(s, HTTP_SECONDS_MAX, ret_s);
}

bool http_max_forwards_parse(struct cdn_str s, uint32_t *ret)
{
    int64_t v;
    if (!parse_saturating(cdn_str_trim(s), UINT32_MAX, &v)) {
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

static bool is_one_of(struct cdn_str name, const struct cdn_str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cdn_str_eq_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

bool http_is_protected_field(struct cdn_str name)
{
    static const struct cdn_str names[] = {
        {"Host", 4},
        {"Date", 4},
        {"Age", 3},
        {"Expires", 7},
        {"Cache-Control", 13},
        {"Content-Length", 14},
        {"Vary", 4},
        {"ETag", 4},
        {"Content-Type", 12},
        {"Content-Encoding", 16},
        {"Content-Range", 13},
        {"CDN-Cache-Control", 17},
    };
    return is_one_of(name, names, CDN_ARRAY_LEN(names));
}

bool http_is_hop_by_hop(struct cdn_str name, struct cdn_str connection)
{
    static const struct cdn_str names[] = {
        {"Connection", 10},
        {"Keep-Alive", 10},
        {"Proxy-Connection", 16},
        {"TE", 2},
        {"Trailer", 7},
        {"Transfer-Encoding", 17},
        {"Upgrade", 7},
        {"Proxy-Authenticate", 18},
        {"Proxy-Authorization", 19},
        {"Proxy-Authentication-Info", 25},
    };
    if (is_one_of(name, names, CDN_ARRAY_LEN(names))) {
        return true;
    }
    return connection.n > 0 && http_list_has_token(connection, name) && !http_is_protected_field(name);
}

size_t http_fields_find(const struct http_field *fields, size_t count, struct cdn_str name,
                        struct cdn_str *ret_first)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (cdn_str_eq_nocase(fields[i].name, name) && found++ == 0) {
            *ret_first = fields[i].value;
        }
    }
    return found;
}

bool http_fields_join(const struct http_field *fields, size_t count, struct cdn_str name,
                      struct cdn_buf *into)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (cdn_str_eq_nocase(fields[i].name, name)) {
            if (found) {
                cdn_buf_add(into, ", ", 2);
            }
            cdn_buf_add_str(into, fields[i].value);
            found = true;
        }
    }
    return found;
}

/* Length of the entity-tag at the start of `s`, 0 when there is
 * none (RFC 9110 8.8.3: no escapes, no spaces). */
static size_t etag_length(struct cdn_str s)
{
    size_t i = s.n >= 2 && s.p[0] == 'W' && s.p[1] == '/' ? 2 : 0;
    if (i >= s.n || s.p[i] != '"') {
        return 0;
    }
    for (i++; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"') {
            return i + 1;
        }
        if (c <= 0x20 || c == 0x7f) {
            return 0;
        }
    }
    return 0;
}

bool http_etag_parse(struct cdn_str s, struct http_etag *ret)
{
    s = cdn_str_trim(s);
    size_t n = etag_length(s);
    if (n == 0 || n != s.n) {
        return false;
    }
    ret->weak = s.p[0] == 'W';
    ret->value = cdn_str_sub(s, ret->weak ? 2 : 0);
    return true;
}

bool http_etag_match_strong(const struct http_etag *a, const struct http_etag *b)
{
    return !a->weak && !b->weak && cdn_str_eq(a->value, b->value);
}

bool http_etag_match_weak(const struct http_etag *a, const struct http_etag *b)
{
    return cdn_str_eq(a->value, b->value);
}

bool http_etag_next(struct cdn_str *rest, struct http_etag *ret)
{
    while (rest->n > 0) {
        while (rest->n > 0 && strchr(" \t,", rest->p[0])) {
            *rest = cdn_str_sub(*rest, 1);
        }
        size_t n = etag_length(*rest);
        size_t end = n;
        while (end < rest->n && rest->p[end] != ',') {
            end++;
        }
        struct cdn_str element = {rest->p, end};
        *rest = cdn_str_sub(*rest, end);
        if (n > 0 && http_etag_parse(element, ret)) {
            return true;
        }
    }
    return false;
}

bool http_etag_list_match(struct cdn_str list, const struct http_etag *tag, bool strong)
{
    struct http_etag other;
    if (cdn_str_eq(cdn_str_trim(list), CDN_STR("*"))) {
        return true;
    }
    while (tag && http_etag_next(&list, &other)) {
        if (strong ? http_etag_match_strong(tag, &other) : http_etag_match_weak(tag, &other)) {
            return true;
        }
    }
    return false;
}

struct cdn_str http_media_type(struct cdn_str content_type)
{
    struct cdn_str type = cdn_str_trim(cdn_str_cut(&content_type, ';'));
    ptrdiff_t slash = cdn_str_find(type, '/');
    if (slash <= 0 || !http_is_token((struct cdn_str){type.p, (size_t)slash}) ||
        !http_is_token(cdn_str_sub(type, (size_t)slash + 1))) {
        return (struct cdn_str){"", 0};
    }
    return type;
}

static bool fits_pattern(struct cdn_str type, struct cdn_str pattern)
{
    if (!pattern.n || pattern.p[pattern.n - 1] != '*') {
        return cdn_str_eq_nocase(type, pattern);
    }
    if (cdn_str_eq(pattern, CDN_STR("*")) || cdn_str_eq(pattern, CDN_STR("*/*"))) {
        return true;
    }
    if (cdn_str_ends(pattern, CDN_STR("/*"))) {
        size_t n = pattern.n - 1; /* with the slash */
        return type.n > n && cdn_str_eq_nocase((struct cdn_str){type.p, n}, (struct cdn_str){pattern.p, n});
    }
    return cdn_str_eq_nocase(type, pattern);
}

bool http_media_type_match(struct cdn_str content_type, struct cdn_str pattern)
{
    const struct cdn_str type = cdn_str_trim(cdn_str_cut(&content_type, ';'));
    return fits_pattern(type, pattern) && http_media_type(type).n > 0; /* the cheaper question first */
}

bool http_cdn_loop_has(struct cdn_str value, struct cdn_str id)
{
    struct cdn_str element;
    while (http_list_next(&value, &element)) {
        struct cdn_str cdn_id = cdn_str_trim(cdn_str_cut(&element, ';'));
        if (cdn_str_eq_nocase(cdn_id, id)) {
            return true;
        }
    }
    return false;
}

static void append_element(struct cdn_buf *b, struct cdn_str value)
{
    value = cdn_str_trim(value);
    cdn_buf_add_str(b, value);
    if (value.n > 0) {
        cdn_buf_add(b, ", ", 2);
    }
}

void http_cdn_loop_append(struct cdn_buf *b, struct cdn_str value, struct cdn_str id)
{
    append_element(b, value);
    cdn_buf_add_str(b, id);
}

void http_via_append(struct cdn_buf *b, struct cdn_str value, unsigned version, struct cdn_str name)
{
    append_element(b, value);
    if (version == 20) {
        cdn_buf_add(b, "2 ", 2);
    } else {
        const char digits[] = {(char)('0' + version / 10 % 10), '.', (char)('0' + version % 10), ' '};
        cdn_buf_add(b, digits, sizeof(digits));
    }
    cdn_buf_add_str(b, name);
}
