/* accept: settings are read once into a list of codings in the operator's order, so that writing
 * what is sent is a walk over that list. Codings that the client wants less than identity are
 * left out: an origin that ignores weights would send them all the same. */
#include "edge/base/accept.h"

#include "common/config/config.h"
#include "common/http/syntax/http_field.h"

#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define RANGES_MAX 64u

enum cdn_status edge_accept_read(const struct edge_settings *s, struct edge_accept *ret,
                                 struct cdn_error *err)
{
    struct edge_accept a = {.languages = &s->accept_language};
    for (size_t i = 0; i < s->accept_encoding.n; i++) {
        const struct cdn_config_entry *e = &s->accept_encoding.items[i];
        const enum http_coding c = http_coding_find(cdn_str(e->key));
        if (cdn_str_eq(cdn_str(e->key), CDN_STR("client")) && s->accept_encoding.n == 1) {
            a.encoding_as_sent = true;
        } else if (c < HTTP_CODING_IDENTITY && a.coding_count < HTTP_CODING_COUNT) {
            a.coding[a.coding_count++] = c;
        } else if (c != HTTP_CODING_IDENTITY) {
            return cdn_error_set(
                err, CDN_INVALID,
                "%s: accept_encoding: \"%s\" is not br, zstd, gzip, deflate, identity, or 'client' alone",
                e->origin, e->key);
        }
    }
    for (size_t i = 0; i < s->accept_language.n; i++) {
        const struct cdn_config_entry *e = &s->accept_language.items[i];
        if (!http_is_token(cdn_str(e->key)) || cdn_str_find(cdn_str(e->key), '*') >= 0) {
            return cdn_error_set(err, CDN_INVALID,
                                 "%s: accept_language: \"%s\" is not a language such as en or de-AT",
                                 e->origin, e->key);
        }
    }
    *ret = a;
    return CDN_OK;
}

static void add_element(struct cdn_buf *into, size_t from, struct cdn_str text)
{
    if (into->n > from) {
        cdn_buf_add(into, ", ", 2);
    }
    cdn_buf_add_str(into, text);
}

void edge_accept_encoding_write(const struct edge_accept *a, struct cdn_str value, struct cdn_buf *into)
{
    struct http_accept_encoding accepts;
    const size_t from = into->n;
    http_accept_encoding_parse(value.p ? value : CDN_STR(""), &accepts);
    const unsigned identity = accepts.weight[HTTP_CODING_IDENTITY];
    for (unsigned i = 0; i < a->coding_count; i++) {
        const unsigned weight = accepts.weight[a->coding[i]];
        if (weight > 0 && weight >= identity) {
            add_element(into, from, cdn_str(http_coding_text(a->coding[i])));
        }
    }
    if (identity == 0) {
        add_element(into, from, CDN_STR("identity;q=0"));
    } else if (into->n == from) {
        add_element(into, from, CDN_STR("identity"));
    }
}

/* How well a range fits a language: 0 not at all, then "*", a language that falls back, a part, the same. */
static unsigned fit(struct cdn_str range, struct cdn_str language)
{
    const size_t n = range.n < language.n ? range.n : language.n;
    if (cdn_str_eq(range, CDN_STR("*"))) {
        return 1;
    }
    if (!cdn_str_same_nocase(range.p, language.p, n)) {
        return 0;
    }
    if (range.n == language.n) {
        return 4;
    }
    return range.n < language.n ? (language.p[n] == '-' ? 3 : 0) : (range.p[n] == '-' ? 2 : 0);
}

/* The weight of a language is that of the range that fits best; of several that fall back to it, the
 * greatest. */
struct wish {
    unsigned fit, weight;
    unsigned at; /* of the range, in the order sent */
};

static struct wish wish_of(struct cdn_str language, const struct http_weighted *ranges, unsigned count)
{
    struct wish best = {0};
    for (unsigned i = 0; i < count; i++) {
        const struct wish w = {fit(ranges[i].name, language), ranges[i].weight, i};
        if (w.fit > best.fit || (w.fit > 0 && w.fit == best.fit && w.weight > best.weight)) {
            best = w;
        }
    }
    return best;
}

bool edge_accept_language_write(const struct edge_accept *a, struct cdn_str value, struct cdn_buf *into)
{
    struct http_weighted ranges[RANGES_MAX];
    const unsigned count = value.p ? http_weighted_read(value, ranges, RANGES_MAX) : 0;
    struct wish best = {0};
    const char *language = NULL;
    for (size_t i = 0; i < a->languages->n; i++) {
        const struct wish w = wish_of(cdn_str(a->languages->items[i].key), ranges, count);
        if (w.weight > best.weight || (language && w.weight == best.weight && w.at < best.at)) {
            best = w;
            language = a->languages->items[i].key;
        }
    }
    if (language) {
        cdn_buf_add_str(into, cdn_str(language));
    }
    return language != NULL;
}
