/* http_field_cache: one table maps a directive to its bit or its seconds, for Cache-Control and for
 * the structured CDN-Cache-Control alike, so both know the same directives. */
#include "common/http/syntax/http_field_cache.h"

#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_structured.h"

#include <stddef.h>

#include "common/banned.h"

enum kind { FLAG, FIELDS, FRESH, SECONDS, OPTIONAL };

static const struct {
    struct cdn_str text;
    enum kind kind;
} directives[HTTP_CC_COUNT] = {
#define X(name, text, kind) {{text, sizeof(text) - 1}, kind},
    HTTP_CACHE_DIRECTIVES(X)
#undef X
};

const char *http_cache_directive_text(enum http_cache_directive d)
{
    return d < HTTP_CC_COUNT ? directives[d].text.p : "unknown";
}

static enum http_cache_directive find(struct cdn_str name)
{
    unsigned d = 0;
    while (d < HTTP_CC_COUNT && !cdn_str_eq_nocase(name, directives[d].text)) {
        d++;
    }
    return (enum http_cache_directive)d;
}

static void set_fields(struct http_cache_control *cc, enum http_cache_directive d, struct cdn_str names)
{
    struct cdn_str *into = d == HTTP_CC_NO_CACHE ? &cc->no_cache_fields : &cc->private_fields;
    bool before = http_cc_has(cc, d);
    /* The unqualified form is the stricter one: once there, it stays. */
    if (!before || names.n == 0) {
        *into = names;
    } else if (into->n > 0) {
        /* two lists cannot be held as one slice: treat the whole response so */
        *into = (struct cdn_str){"", 0};
    }
}

static bool read_seconds(struct cdn_str value, int64_t *ret)
{
    struct cdn_str inner = value;
    (void)http_quoted_inner(value, &inner);
    return http_parse_seconds(inner, ret);
}

static void add_directive(struct http_cache_control *cc, enum http_cache_directive d, struct cdn_str value)
{
    struct cdn_str names = {"", 0};
    int64_t s = 0;
    switch (directives[d].kind) {
    case FLAG:
        break;
    case FIELDS:
        if (!value.p || !http_quoted_inner(value, &names)) {
            names = value.p && http_is_token(value) ? value : (struct cdn_str){"", 0};
        }
        set_fields(cc, d, cdn_str_trim(names));
        break;
    case FRESH:
    case SECONDS:
    case OPTIONAL:
        if (http_cc_has(cc, d)) {
            return;
        }
        if (directives[d].kind == OPTIONAL && !value.p) {
            s = HTTP_SECONDS_MAX;
        } else if ((!value.p || !read_seconds(value, &s)) && directives[d].kind != FRESH) {
            return;
        }
        cc->seconds[d] = (int32_t)s;
        break;
    }
    cc->present |= UINT32_C(1) << d;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == ';';
}

/* The next word of an element, up to a blank or ';'; what is quoted is skipped. */
static bool next_word(struct cdn_str *rest, struct cdn_str *ret)
{
    size_t from = 0;
    while (from < rest->n && is_blank(rest->p[from])) {
        from++;
    }
    size_t at = from;
    for (bool quoted = false; at < rest->n && (quoted || !is_blank(rest->p[at])); at++) {
        if (quoted && rest->p[at] == '\\' && at + 1 < rest->n) {
            at++; /* what it escapes */
        } else {
            quoted ^= rest->p[at] == '"';
        }
    }
    *ret = (struct cdn_str){rest->p + from, at - from};
    *rest = cdn_str_sub(*rest, at);
    return ret->n > 0;
}

/* Some separate by ';' or blanks, or end with them. What forbids is heard all the same: "max-age=60; private"
 * is for nobody else. */
static void add_forbidding(struct http_cache_control *cc, struct cdn_str element)
{
    struct cdn_str word;
    struct cdn_str rest = element;
    while (next_word(&rest, &word)) {
        const enum http_cache_directive d =
            word.n < element.n ? find(cdn_str_cut(&word, '=')) : HTTP_CC_COUNT;
        if (d == HTTP_CC_NO_STORE || d == HTTP_CC_PRIVATE || d == HTTP_CC_NO_CACHE) {
            add_directive(cc, d, (struct cdn_str){0});
        }
    }
}

void http_cache_control_add(struct http_cache_control *cc, struct cdn_str value)
{
    struct cdn_str element, name, argument;
    while (http_list_next(&value, &element)) {
        add_forbidding(cc, element);
        http_parameter_split(element, &name, &argument);
        /* "max-age =5": the name is trimmed to recognise it;
         * with the space the argument counts as unreadable */
        struct cdn_str trimmed = cdn_str_trim(name);
        enum http_cache_directive d = find(trimmed);
        if (d == HTTP_CC_COUNT) {
            continue;
        }
        if (argument.p && trimmed.n != name.n) {
            argument = (struct cdn_str){"", 0};
        }
        add_directive(cc, d, argument);
    }
}

/* One member of a structured dictionary into `cc`; false when its type is wrong. */
static bool add_member(struct http_cache_control *cc, enum http_cache_directive d,
                       const struct http_structured_value *v)
{
    bool is_true = v->type == HTTP_SF_BOOLEAN && v->integer;
    bool is_false = v->type == HTTP_SF_BOOLEAN && !v->integer;
    enum kind kind = directives[d].kind;
    if (kind == FLAG || kind == FIELDS) {
        bool names = kind == FIELDS && v->type == HTTP_SF_STRING;
        if (!is_true && !is_false && !names) {
            return false;
        }
        cc->present &= ~(UINT32_C(1) << d); /* the last of two members counts (RFC 8941 4.2.2) */
        if (kind == FIELDS && !is_false) {
            set_fields(cc, d, names ? cdn_str_trim(v->text) : (struct cdn_str){"", 0});
        }
        cc->present |= is_false ? 0 : UINT32_C(1) << d;
        return true;
    }
    if (v->type != HTTP_SF_INTEGER && !(kind == OPTIONAL && is_true)) {
        return false;
    }
    int64_t s = v->type == HTTP_SF_INTEGER ? v->integer : HTTP_SECONDS_MAX;
    cc->seconds[d] = (int32_t)(s < 0 ? 0 : s > HTTP_SECONDS_MAX ? HTTP_SECONDS_MAX : s);
    cc->present |= UINT32_C(1) << d;
    return true;
}

bool http_cache_control_add_structured(struct http_cache_control *cc, struct cdn_str value)
{
    struct http_cache_control all = *cc;
    struct http_structured_value v;
    struct cdn_str key;
    unsigned members = 0;
    int more;
    while ((more = http_structured_dictionary_next(&value, &key, &v)) > 0) {
        enum http_cache_directive d = find(key);
        if (d < HTTP_CC_COUNT && !add_member(&all, d, &v)) {
            return false;
        }
        members++;
    }
    if (more < 0 || members == 0) {
        return false;
    }
    *cc = all;
    return true;
}
