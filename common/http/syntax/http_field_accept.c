/* http_field_accept: weights are thousandths as integers: floats would make two spellings of one
 * weight differ in a cache key. Elements are put in order while they are read, so one pass gives
 * the canonical form. */
#include "common/http/syntax/http_field_accept.h"

#include "common/http/syntax/http_field.h"

#include <string.h>
#include <strings.h>

#include "common/banned.h"

#define ELEMENTS_MAX 64
#define WEIGHT_MAX 1000

static const char *const coding_texts[HTTP_CODING_COUNT] = {
#define X(name, token) token,
    HTTP_CODINGS(X)
#undef X
};

const char *http_coding_text(enum http_coding c)
{
    return c < HTTP_CODING_COUNT ? coding_texts[c] : "other";
}

enum http_coding http_coding_find(struct cdn_str token)
{
    token = cdn_str_trim(token);
    if (token.n == 0) {
        return HTTP_CODING_IDENTITY;
    }
    if (cdn_str_eq_nocase(token, CDN_STR("x-gzip"))) {
        return HTTP_CODING_GZIP;
    }
    unsigned c = 0;
    while (c < HTTP_CODING_COUNT && !cdn_str_eq_nocase(token, cdn_str(coding_texts[c]))) {
        c++;
    }
    return (enum http_coding)c;
}

/* qvalue of RFC 9110 12.4.2: 0, 0.xxx, 1, 1.000 */
static bool parse_weight(struct cdn_str s, unsigned *ret)
{
    unsigned scale = 100, v;
    if (s.n < 1 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.')) {
        return false;
    }
    v = (unsigned)(s.p[0] - '0') * WEIGHT_MAX;
    for (size_t i = 2; i < s.n; i++, scale /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v += (unsigned)(s.p[i] - '0') * scale;
    }
    if (v > WEIGHT_MAX) {
        return false;
    }
    *ret = v;
    return true;
}

struct element {
    struct cdn_str name;
    unsigned weight;
};

/* "name ; q=0.5"; false when there is anything else. The name is set in any case. */
static bool read_element(struct cdn_str text, struct element *ret)
{
    struct cdn_str part, name, value;
    ret->weight = WEIGHT_MAX;
    ret->name = (struct cdn_str){"", 0};
    if (!http_split_next(&text, ';', &part)) {
        return false;
    }
    ret->name = part;
    if (!http_split_next(&text, ';', &part)) {
        return true;
    }
    http_parameter_split(part, &name, &value);
    return value.p && cdn_str_eq_nocase(name, CDN_STR("q")) && parse_weight(value, &ret->weight) &&
           !http_split_next(&text, ';', &part);
}

static bool is_zero(struct cdn_str s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!strchr("0.+-\"", s.p[i])) {
            return false;
        }
        digits += s.p[i] == '0';
    }
    return digits > 0;
}

/* Nobody is given what he may have refused: any parameter q that is a zero, however written, is one. */
static bool is_refused(struct cdn_str text)
{
    struct cdn_str part, name, value;
    while (http_split_next(&text, ';', &part)) {
        http_parameter_split(part, &name, &value);
        if (value.p && cdn_str_eq_nocase(cdn_str_trim(name), CDN_STR("q")) && is_zero(cdn_str_trim(value))) {
            return true;
        }
    }
    return false;
}

static struct element read_willing(struct cdn_str text)
{
    struct element e;
    if (!read_element(text, &e) && is_refused(text)) {
        e.weight = 0;
    }
    return e;
}

unsigned http_weighted_read(struct cdn_str value, struct http_weighted *ret, unsigned max)
{
    unsigned count = 0;
    struct cdn_str text;
    while (count < max && http_list_next(&value, &text)) {
        const struct element e = read_willing(text);
        if (e.name.n > 0) {
            ret[count++] = (struct http_weighted){e.name, e.weight};
        }
    }
    return count;
}

void http_accept_encoding_parse(struct cdn_str value, struct http_accept_encoding *ret)
{
    bool named[HTTP_CODING_COUNT] = {false};
    unsigned any = value.p ? 0 : WEIGHT_MAX;
    bool has_any = false;
    struct cdn_str text;
    while (http_list_next(&value, &text)) {
        const struct element e = read_willing(text);
        enum http_coding c = http_coding_find(e.name);
        if (cdn_str_eq(e.name, CDN_STR("*"))) {
            any = has_any && any == 0 ? 0 : e.weight;
            has_any = true;
        } else if (c < HTTP_CODING_COUNT && e.name.n > 0 && !(named[c] && ret->weight[c] == 0)) {
            named[c] = true;
            ret->weight[c] = (uint16_t)e.weight;
        }
    }
    for (unsigned c = 0; c < HTTP_CODING_COUNT; c++) {
        if (!named[c]) {
            ret->weight[c] = (uint16_t)any;
        }
    }
    /* identity is acceptable unless it or "*" is refused (RFC 9110 12.5.3); at a weight below all that are
     * named */
    if (!named[HTTP_CODING_IDENTITY] && !(has_any && any == 0) && ret->weight[HTTP_CODING_IDENTITY] == 0) {
        ret->weight[HTTP_CODING_IDENTITY] = 1;
    }
}

enum http_coding http_accept_encoding_best(const struct http_accept_encoding *a, unsigned offered)
{
    enum http_coding best = HTTP_CODING_COUNT;
    unsigned weight = 0;
    for (unsigned c = 0; c < HTTP_CODING_COUNT; c++) {
        if ((offered >> c & 1) && a->weight[c] > weight) {
            best = (enum http_coding)c;
            weight = a->weight[c];
        }
    }
    return best;
}

static void lower_into(struct cdn_buf *b, struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        cdn_buf_add_char(b, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

static int compare_nocase(struct cdn_str a, struct cdn_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? strncasecmp(a.p, b.p, n) : 0;
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

static int compare_elements(const struct element *a, const struct element *b)
{
    if (a->weight != b->weight) {
        return a->weight > b->weight ? -1 : 1;
    }
    return compare_nocase(a->name, b->name);
}

static void write_element(struct cdn_buf *into, const struct element *e)
{
    lower_into(into, e->name);
    if (e->weight == 0) {
        cdn_buf_add(into, ";q=0", 4);
    } else if (e->weight < WEIGHT_MAX) {
        unsigned digits = e->weight, width = 3;
        while (digits % 10 == 0) {
            digits /= 10;
            width--;
        }
        cdn_buf_printf(into, ";q=0.%0*u", (int)width, digits);
    }
}

static bool has_name(const struct element *list, unsigned count, struct cdn_str name)
{
    for (unsigned i = 0; i < count; i++) {
        if (cdn_str_eq_nocase(list[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void insert_sorted(struct element *list, unsigned count, struct element e)
{
    unsigned at = count;
    for (; at > 0 && compare_elements(&e, &list[at - 1]) < 0; at--) {
        list[at] = list[at - 1];
    }
    list[at] = e;
}

/* Reads into `list`, sorted; -1 when malformed or too long. */
static int read_sorted(struct cdn_str value, bool codings, struct element *list)
{
    unsigned count = 0;
    struct cdn_str text;
    while (http_list_next(&value, &text)) {
        struct element e;
        if (!read_element(text, &e) || !http_is_token(e.name) || count == ELEMENTS_MAX) {
            return -1;
        }
        if (codings && cdn_str_eq_nocase(e.name, CDN_STR("x-gzip"))) {
            e.name = CDN_STR("gzip");
        }
        if (!has_name(list, count, e.name)) {
            insert_sorted(list, count++, e);
        }
    }
    return (int)count;
}

static void normalize(struct cdn_str value, bool codings, struct cdn_buf *into)
{
    struct element list[ELEMENTS_MAX];
    int count = read_sorted(value, codings, list);
    if (count < 0) {
        cdn_buf_add_str(into, cdn_str_trim(value));
        return;
    }
    for (int i = 0; i < count; i++) {
        if (i > 0) {
            cdn_buf_add_char(into, ',');
        }
        write_element(into, &list[i]);
    }
}

void http_accept_encoding_normalize(struct cdn_str value, struct cdn_buf *into)
{
    normalize(value, true, into);
}

void http_accept_language_normalize(struct cdn_str value, struct cdn_buf *into)
{
    normalize(value, false, into);
}

bool http_accept_language_best(struct cdn_str value, struct cdn_str *ret)
{
    struct element list[ELEMENTS_MAX];
    int count = read_sorted(value, false, list);
    if (count < 1 || list[0].weight == 0 || cdn_str_eq(list[0].name, CDN_STR("*")) ||
        (count > 1 && list[1].weight == list[0].weight)) {
        return false;
    }
    *ret = list[0].name;
    return true;
}
