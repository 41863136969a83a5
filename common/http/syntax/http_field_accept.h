/* http_field_accept: Accept-Encoding and Accept-Language (RFC 9110 12.5): negotiation, and canonical forms
 * for keys. */
#ifndef CDN_COMMON_HTTP_FIELD_ACCEPT_H
#define CDN_COMMON_HTTP_FIELD_ACCEPT_H
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_CODINGS(X) /* name, token: in the order we prefer them at equal weight */ \
    X(BR, "br")                                                                        \
    X(ZSTD, "zstd")                                                                    \
    X(GZIP, "gzip")                                                                    \
    X(DEFLATE, "deflate")                                                              \
    X(IDENTITY, "identity")

enum http_coding {
#define X(name, token) HTTP_CODING_##name,
    HTTP_CODINGS(X)
#undef X
        HTTP_CODING_COUNT,
    HTTP_CODING_OTHER = HTTP_CODING_COUNT /* a coding we do not know, or several */
};
enum http_coding http_coding_find(struct cdn_str token); /* x-gzip is gzip; empty is IDENTITY */
const char *http_coding_text(enum http_coding c);

/* Weight in thousandths of every coding: 0 refused, 1000 the most. */
struct http_accept_encoding {
    uint16_t weight[HTTP_CODING_COUNT];
};
/* `value` joined; p NULL means that the field is absent (then anything goes: all 1000). An empty value
 * means identity only. A malformed weight counts as 1, one that is some kind of zero ("0.0000", after
 * other parameters) as refused, and so does what is refused anywhere in the list; RFC 9110 12.5.3 for
 * "*" and identity. */
void http_accept_encoding_parse(struct cdn_str value, struct http_accept_encoding *ret);
/* The best of the codings in the bit set `offered` (1 << enum); HTTP_CODING_COUNT when none is acceptable.
 * Identity is taken only when nothing else offered is acceptable with at least its weight. */
enum http_coding http_accept_encoding_best(const struct http_accept_encoding *a, unsigned offered);

/* Canonical texts: equal for values that mean the same to any server. Lower case, no spaces, elements sorted
 * by falling weight and then by name, weights as shortest decimals, q=1 left out, refused codings kept;
 * duplicates removed. Appends to `into`; values with more than 64 elements or malformed ones are appended as
 * they are, trimmed. */
void http_accept_encoding_normalize(struct cdn_str value, struct cdn_buf *into);
void http_accept_language_normalize(struct cdn_str value, struct cdn_buf *into);

/* The elements of a list with weights, in the order sent, at most `max`. What has no readable weight counts
 * as refused where it says some kind of zero, else as 1. */
struct http_weighted {
    struct cdn_str name;
    unsigned weight; /* thousandths */
};
unsigned http_weighted_read(struct cdn_str value, struct http_weighted *ret, unsigned max);

/* The one language that is wanted more than all others; false when
 * there is none or the value is malformed. */
bool http_accept_language_best(struct cdn_str value, struct cdn_str *ret);

#endif
