/* vary: both sides of a comparison are made canonical text (fields of known meaning as their
 * lists are, others but for spaces), so selecting a variant is comparing two strings. Names are
 * sorted on insertion into an array with an end: a Vary that names too many is refused as "*". */
#include "edge/semantics/vary.h"

#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_accept.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "common/banned.h"

#define ABSENT '-'
#define PRESENT '='
#define END '\n' /* cannot stand in a field's value */

static int compare_names(struct cdn_str a, struct cdn_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = strncasecmp(a.p, b.p, n);
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

/* Puts `name` into the sorted list; a name that is there already is left out. false: no room. */
static bool insert(struct cdn_str *names, unsigned *count, struct cdn_str name)
{
    unsigned at = *count;
    while (at > 0 && compare_names(name, names[at - 1]) <= 0) {
        at--;
    }
    if (at < *count && compare_names(name, names[at]) == 0) {
        return true;
    }
    if (*count == EDGE_VARY_FIELDS_MAX) {
        return false;
    }
    memmove(&names[at + 1], &names[at], (*count - at) * sizeof(*names));
    names[at] = name;
    (*count)++;
    return true;
}

/* A request's number is another one each time: an answer that varies by it shows it, and means nothing by
 * it. */
static bool is_in_no_key(struct cdn_str name)
{
    return cdn_str_eq_nocase(name, CDN_STR("X-Request-ID"));
}

bool edge_vary_spec(const struct edge_head *head, struct cdn_str more, struct cdn_buf *into)
{
    struct cdn_str names[EDGE_VARY_FIELDS_MAX + 1], line, name;
    unsigned count = 0;
    size_t at = 0;
    while (edge_head_next_of(head, EDGE_HEAD_VARY, &at, &line)) {
        while (http_list_next(&line, &name)) {
            if (!http_is_token(name) || cdn_str_eq(name, CDN_STR("*")) ||
                (!is_in_no_key(name) && !insert(names, &count, name))) {
                return false;
            }
        }
    }
    while (more.n) {
        if (!insert(names, &count, cdn_str_cut(&more, ','))) {
            return false;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) {
            cdn_buf_add_char(into, ',');
        }
        const bool exact = cdn_str_find(names[i], ';') >= 0; /* "cookie;NAME": cookies differ by case */
        for (size_t k = 0; k < names[i].n; k++) {
            char c = names[i].p[k];
            cdn_buf_add_char(into, !exact && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
        }
    }
    return true;
}

bool edge_vary_covers(struct cdn_str spec, struct cdn_str value)
{
    struct cdn_str name;
    while (http_list_next(&value, &name)) {
        if (!is_in_no_key(name) && (!spec.p || !http_list_has_token(spec, name))) {
            return false;
        }
    }
    return true;
}

/* A field whose meaning we do not know: only spaces round its list elements do not matter (RFC 9111 4.1). */
static void normalize_list(struct cdn_str value, struct cdn_buf *into)
{
    struct cdn_str element;
    bool first = true;
    while (http_list_next(&value, &element)) {
        if (!first) {
            cdn_buf_add_char(into, ',');
        }
        cdn_buf_add_str(into, element);
        first = false;
    }
}

static void add_component(struct cdn_str name, const struct edge_vary_source *source, struct cdn_buf *into)
{
    CDN_AUTOBUF struct cdn_buf value = {0};
    if (!source->get(source->arg, name, &value)) {
        cdn_buf_add_char(into, ABSENT);
    } else {
        cdn_buf_add_char(into, PRESENT);
        if (cdn_str_eq(name, CDN_STR("accept-encoding"))) {
            http_accept_encoding_normalize(cdn_buf_str(&value), into);
        } else if (cdn_str_eq(name, CDN_STR("accept-language"))) {
            http_accept_language_normalize(cdn_buf_str(&value), into);
        } else {
            normalize_list(cdn_buf_str(&value), into);
        }
    }
    cdn_buf_add_char(into, END);
}

void edge_vary_key(struct cdn_str spec, const struct edge_vary_source *source, struct cdn_buf *into)
{
    while (spec.p && spec.n > 0) {
        add_component(cdn_str_cut(&spec, ','), source, into);
    }
}

static bool has_name(struct cdn_str spec, struct cdn_str name)
{
    while (spec.n) {
        if (cdn_str_eq(cdn_str_cut(&spec, ','), name)) {
            return true;
        }
    }
    return false;
}

static bool meets_needs(struct cdn_str spec, struct cdn_str needs)
{
    while (needs.n) {
        if (!has_name(spec, cdn_str_cut(&needs, ','))) {
            return false;
        }
    }
    return true;
}

bool edge_vary_match(struct cdn_str spec, struct cdn_str key, const struct edge_vary_source *source,
                     struct cdn_buf *scratch)
{
    size_t from = scratch->n;
    if (!meets_needs(spec, source->needs)) {
        return false;
    }
    edge_vary_key(spec, source, scratch);
    return cdn_str_eq(cdn_str_sub(cdn_buf_str(scratch), from), key);
}

static bool language_suits(struct cdn_str component, struct cdn_str content_language)
{
    struct cdn_str best;
    return component.n > 0 && component.p[0] == PRESENT &&
           http_accept_language_best(cdn_str_sub(component, 1), &best) &&
           cdn_str_eq_nocase(best, content_language);
}

bool edge_vary_match_language(struct cdn_str spec, struct cdn_str key, struct cdn_str content_language,
                              const struct edge_vary_source *source, struct cdn_buf *scratch)
{
    size_t from = scratch->n;
    if (!meets_needs(spec, source->needs)) {
        return false;
    }
    edge_vary_key(spec, source, scratch);
    struct cdn_str own = cdn_str_sub(cdn_buf_str(scratch), from);
    content_language = cdn_str_trim(content_language);
    while (spec.p && spec.n > 0) {
        struct cdn_str name = cdn_str_cut(&spec, ',');
        struct cdn_str mine = cdn_str_cut(&own, END), stored = cdn_str_cut(&key, END);
        if (cdn_str_eq(mine, stored)) {
            continue;
        }
        if (!cdn_str_eq(name, CDN_STR("accept-language")) || !language_suits(mine, content_language)) {
            return false;
        }
    }
    return true;
}

static bool accepts(const struct http_accept_encoding *a, struct cdn_str accept_encoding,
                    struct cdn_str coding)
{
    const enum http_coding c = http_coding_find(coding);
    return c == HTTP_CODING_OTHER ? http_list_has_token(accept_encoding, coding) : a->weight[c] > 0;
}

static bool accepts_head(const struct edge_head *head, const struct http_accept_encoding *a,
                         struct cdn_str accept_encoding)
{
    struct cdn_str line;
    struct cdn_str coding;
    bool coded = false;
    for (size_t at = 0; edge_head_next_of(head, EDGE_HEAD_CONTENT_ENCODING, &at, &line);) {
        while (http_list_next(&line, &coding)) {
            coded = true;
            if (!accepts(a, accept_encoding, coding)) {
                return false;
            }
        }
    }
    return coded || a->weight[HTTP_CODING_IDENTITY] > 0;
}

#define DESPITE 0x80u /* beside the codings that the request accepts, a bit for each */
static_assert(HTTP_CODING_COUNT < 7, "all in a byte");

static unsigned despite(const struct edge_head *head, const struct edge_vary_source *source)
{
    struct http_accept_encoding a;
    CDN_AUTOBUF struct cdn_buf value = {0};
    (void)source->get(source->arg, CDN_STR("accept-encoding"), &value);
    const struct cdn_str text = value.n ? cdn_buf_str(&value) : CDN_STR("");
    http_accept_encoding_parse(text, &a);
    if (accepts_head(head, &a, text)) {
        return 0;
    }
    unsigned accepted = DESPITE;
    for (unsigned c = 0; c < HTTP_CODING_COUNT; c++) {
        accepted |= a.weight[c] > 0 ? 1u << c : 0;
    }
    return accepted;
}

uint8_t edge_vary_despite(const struct edge_head *head, const struct edge_vary_source *source)
{
    return (uint8_t)despite(head, source);
}

bool edge_vary_takes_coding(const struct edge_head *head, uint8_t known,
                            const struct edge_vary_source *source)
{
    const unsigned own = despite(head, source);
    return (own & ~(unsigned)known) == 0;
}

bool edge_vary_same_encoding(struct cdn_str spec, struct cdn_str a, struct cdn_str b)
{
    while (spec.p && spec.n > 0) {
        struct cdn_str name = cdn_str_cut(&spec, ',');
        struct cdn_str mine = cdn_str_cut(&a, END);
        struct cdn_str other = cdn_str_cut(&b, END);
        if (cdn_str_eq(name, CDN_STR("accept-encoding"))) {
            return cdn_str_eq(mine, other);
        }
    }
    return true;
}

bool edge_vary_fields_get(void *arg, struct cdn_str name, struct cdn_buf *into)
{
    const struct edge_vary_fields *f = arg;
    return http_fields_join(f->fields, f->count, name, into);
}
