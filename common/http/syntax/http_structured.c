/* http_structured: a reader by recursive descent that is strict as RFC 8941 wants it: on the first
 * wrong byte the whole field counts as absent. Nothing is built; members are walked where they
 * stand. */
#include "common/http/syntax/http_structured.h"

#include <string.h>

#include "common/banned.h"

/* Readers take from the front of *s and leave what follows; on failure *s is anything. */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_key_char(char c)
{
    return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

/* tchar, ':' and '/' (RFC 8941 3.3.4) */
static bool is_token_char(char c)
{
    return is_alpha(c) || is_digit(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~:/", c));
}

static char peek(const struct cdn_str *s)
{
    return s->n > 0 ? s->p[0] : '\0';
}

static void skip(struct cdn_str *s, size_t n)
{
    *s = cdn_str_sub(*s, n);
}

static void skip_spaces(struct cdn_str *s)
{
    while (peek(s) == ' ') {
        skip(s, 1);
    }
}

static void skip_ows(struct cdn_str *s)
{
    while (peek(s) == ' ' || peek(s) == '\t') {
        skip(s, 1);
    }
}

static bool read_key(struct cdn_str *s, struct cdn_str *ret)
{
    size_t n = 0;
    if (!is_lower(peek(s)) && peek(s) != '*') {
        return false;
    }
    while (n < s->n && is_key_char(s->p[n])) {
        n++;
    }
    *ret = (struct cdn_str){s->p, n};
    skip(s, n);
    return true;
}

/* RFC 8941 4.2.4: up to 15 digits, or 12 with up to 3 after the point. */
static bool read_number(struct cdn_str *s, struct http_structured_value *ret)
{
    bool negative = peek(s) == '-';
    int64_t v = 0;
    unsigned whole = 0, fraction = 0;
    skip(s, negative ? 1 : 0);
    for (; is_digit(peek(s)); skip(s, 1)) {
        v = v * 10 + (peek(s) - '0');
        if (++whole > 15) {
            return false;
        }
    }
    ret->type = HTTP_SF_INTEGER;
    if (whole > 0 && peek(s) == '.') {
        skip(s, 1);
        for (; is_digit(peek(s)); skip(s, 1)) {
            v = v * 10 + (peek(s) - '0');
            if (++fraction > 3) {
                return false;
            }
        }
        if (whole > 12 || fraction == 0) {
            return false;
        }
        for (; fraction < 3; fraction++) {
            v *= 10;
        }
        ret->type = HTTP_SF_DECIMAL;
    }
    ret->integer = negative ? -v : v;
    return whole > 0;
}

static bool read_string(struct cdn_str *s, struct http_structured_value *ret)
{
    for (size_t i = 1; i < s->n; i++) {
        char c = s->p[i];
        if (c == '"') {
            ret->type = HTTP_SF_STRING;
            ret->text = (struct cdn_str){s->p + 1, i - 1};
            skip(s, i + 1);
            return true;
        }
        if (c < 0x20 || c > 0x7e) {
            return false;
        }
        if (c == '\\') {
            i++;
            if (i >= s->n || (s->p[i] != '"' && s->p[i] != '\\')) {
                return false;
            }
        }
    }
    return false;
}

static bool read_token(struct cdn_str *s, struct http_structured_value *ret)
{
    size_t n = 0;
    while (n < s->n && is_token_char(s->p[n])) {
        n++;
    }
    ret->type = HTTP_SF_TOKEN;
    ret->text = (struct cdn_str){s->p, n};
    skip(s, n);
    return n > 0;
}

static bool read_bytes(struct cdn_str *s, struct http_structured_value *ret)
{
    for (size_t i = 1; i < s->n; i++) {
        char c = s->p[i];
        if (c == ':') {
            ret->type = HTTP_SF_BYTES;
            ret->text = (struct cdn_str){s->p + 1, i - 1};
            skip(s, i + 1);
            return true;
        }
        if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '/' && c != '=') {
            return false;
        }
    }
    return false;
}

static bool read_boolean(struct cdn_str *s, struct http_structured_value *ret)
{
    if (s->n < 2 || (s->p[1] != '0' && s->p[1] != '1')) {
        return false;
    }
    ret->type = HTTP_SF_BOOLEAN;
    ret->integer = s->p[1] - '0';
    skip(s, 2);
    return true;
}

static bool read_bare_item(struct cdn_str *s, struct http_structured_value *ret)
{
    char c = peek(s);
    *ret = (struct http_structured_value){.text = {"", 0}, .parameters = {"", 0}};
    if (c == '-' || is_digit(c)) {
        return read_number(s, ret);
    }
    if (c == '"') {
        return read_string(s, ret);
    }
    if (c == ':') {
        return read_bytes(s, ret);
    }
    if (c == '?') {
        return read_boolean(s, ret);
    }
    return (is_alpha(c) || c == '*') && read_token(s, ret);
}

int http_structured_parameter_next(struct cdn_str *rest, struct cdn_str *ret_key,
                                   struct http_structured_value *ret)
{
    if (peek(rest) != ';') {
        return rest->n == 0 ? 0 : -1;
    }
    skip(rest, 1);
    skip_spaces(rest);
    if (!read_key(rest, ret_key)) {
        return -1;
    }
    if (peek(rest) != '=') {
        *ret = (struct http_structured_value){
            .type = HTTP_SF_BOOLEAN, .integer = 1, .text = {"", 0}, .parameters = {"", 0}};
        return 1;
    }
    skip(rest, 1);
    return read_bare_item(rest, ret) ? 1 : -1;
}

/* All parameters that follow, kept as sent. */
static bool read_parameters(struct cdn_str *s, struct cdn_str *ret)
{
    const char *from = s->p;
    struct cdn_str key;
    struct http_structured_value value;
    while (peek(s) == ';') {
        if (http_structured_parameter_next(s, &key, &value) < 0) {
            return false;
        }
    }
    *ret = (struct cdn_str){from, (size_t)(s->p - from)};
    return true;
}

static bool read_inner_list(struct cdn_str *s, struct http_structured_value *ret)
{
    const char *from = s->p + 1;
    struct http_structured_value item;
    skip(s, 1);
    for (;;) {
        skip_spaces(s);
        if (peek(s) == ')') {
            break;
        }
        if (!read_bare_item(s, &item) || !read_parameters(s, &item.parameters) ||
            (peek(s) != ' ' && peek(s) != ')')) {
            return false;
        }
    }
    *ret = (struct http_structured_value){
        .type = HTTP_SF_INNER_LIST, .text = {from, (size_t)(s->p - from)}, .parameters = {"", 0}};
    skip(s, 1);
    return true;
}

static bool read_member(struct cdn_str *s, struct http_structured_value *ret)
{
    if (peek(s) == '=') {
        skip(s, 1);
        if (!(peek(s) == '(' ? read_inner_list(s, ret) : read_bare_item(s, ret))) {
            return false;
        }
    } else {
        *ret = (struct http_structured_value){
            .type = HTTP_SF_BOOLEAN, .integer = 1, .text = {"", 0}, .parameters = {"", 0}};
    }
    return read_parameters(s, &ret->parameters);
}

/* What follows a member: 1, or -1 where that is neither the end nor a comma with a member behind it. */
static int end_member(struct cdn_str *rest)
{
    skip_ows(rest);
    if (rest->n == 0) {
        return 1;
    }
    if (peek(rest) != ',') {
        return -1;
    }
    skip(rest, 1);
    skip_ows(rest);
    return rest->n == 0 ? -1 : 1; /* a trailing comma is an error */
}

int http_structured_dictionary_next(struct cdn_str *rest, struct cdn_str *ret_key,
                                    struct http_structured_value *ret)
{
    skip_spaces(rest);
    if (rest->n == 0) {
        return 0;
    }
    return read_key(rest, ret_key) && read_member(rest, ret) ? end_member(rest) : -1;
}

int http_structured_list_next(struct cdn_str *rest, struct http_structured_value *ret)
{
    skip_spaces(rest);
    if (rest->n == 0) {
        return 0;
    }
    const bool well = peek(rest) == '(' ? read_inner_list(rest, ret) : read_bare_item(rest, ret);
    return well && read_parameters(rest, &ret->parameters) ? end_member(rest) : -1;
}

int http_structured_inner_next(struct cdn_str *rest, struct http_structured_value *ret)
{
    skip_spaces(rest);
    if (rest->n == 0) {
        return 0;
    }
    return read_bare_item(rest, ret) && read_parameters(rest, &ret->parameters) ? 1 : -1;
}

bool http_structured_valid_dictionary(struct cdn_str value)
{
    struct http_structured_value v;
    struct cdn_str key;
    int more;
    while ((more = http_structured_dictionary_next(&value, &key, &v)) > 0) {
    }
    return more == 0;
}

bool http_structured_find(struct cdn_str value, struct cdn_str key, struct http_structured_value *ret)
{
    struct http_structured_value v, last = {0};
    struct cdn_str k;
    bool found = false;
    int more;
    while ((more = http_structured_dictionary_next(&value, &k, &v)) > 0) {
        if (cdn_str_eq(k, key)) {
            last = v;
            found = true;
        }
    }
    if (more < 0 || !found) {
        return false;
    }
    *ret = last;
    return true;
}

bool http_structured_item(struct cdn_str value, struct http_structured_value *ret)
{
    struct http_structured_value v;
    skip_spaces(&value);
    if (!read_bare_item(&value, &v) || !read_parameters(&value, &v.parameters)) {
        return false;
    }
    skip_spaces(&value);
    if (value.n > 0) {
        return false;
    }
    *ret = v;
    return true;
}

bool http_structured_is_token(struct cdn_str s)
{
    if (s.n == 0 || (!is_alpha(s.p[0]) && s.p[0] != '*')) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_token_char(s.p[i])) {
            return false;
        }
    }
    return true;
}

bool http_structured_is_key(struct cdn_str s)
{
    struct cdn_str key;
    return read_key(&s, &key) && s.n == 0;
}

void http_structured_add_string(struct cdn_buf *b, struct cdn_str text)
{
    cdn_buf_add_char(b, '"');
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"' || c == '\\') {
            cdn_buf_add_char(b, '\\');
        }
        cdn_buf_add_char(b, c < 0x20 || c > 0x7e ? '?' : c);
    }
    cdn_buf_add_char(b, '"');
}

void http_structured_add_text(struct cdn_buf *b, struct cdn_str text)
{
    if (http_structured_is_token(text)) {
        cdn_buf_add_str(b, text);
    } else {
        http_structured_add_string(b, text);
    }
}
