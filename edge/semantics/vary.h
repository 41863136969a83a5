/* vary: which stored variant a request selects (RFC 9111 4.1).
 *
 * A spec is the canonical text of a response's Vary: lower-case names, sorted, each once, joined by ',' - "*"
 * alone when any line has it, empty when there is none. The secondary key of a request under a spec is one
 * text; two requests match when their texts are equal. So a variant is stored as (spec, key text), and
 * selecting one is a comparison.
 */
#ifndef CDN_EDGE_VARY_H
#define CDN_EDGE_VARY_H
#include "common/str.h"
#include "edge/semantics/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_VARY_FIELDS_MAX 32

/* Appends the spec, with the names of another one, `more`, in it, too. false: "*", a malformed name, or
 * more than EDGE_VARY_FIELDS_MAX names: no request matches, do not store. */
bool edge_vary_spec(const struct edge_head *head, struct cdn_str more, struct cdn_buf *into);

/* Whether every name in a value of Vary is in `spec` already. */
bool edge_vary_covers(struct cdn_str spec, struct cdn_str value);

/* Where the request's fields come from: appends all lines joined by ", " and returns true, or false when
 * absent. */
struct edge_vary_source {
    bool (*get)(void *arg, struct cdn_str name, struct cdn_buf *into);
    void *arg;
    struct cdn_str needs; /* a spec: answers that were stored without these names in theirs do not match */
};
/* Appends the secondary key of a request under `spec`. Normalised: Accept-Encoding, Accept-Language (order,
 * case, spaces, weights), Accept and other list fields (spaces round commas and at the ends; letter case and
 * order stay); absent differs from empty. */
void edge_vary_key(struct cdn_str spec, const struct edge_vary_source *source, struct cdn_buf *into);
bool edge_vary_match(struct cdn_str spec, struct cdn_str key, const struct edge_vary_source *source,
                     struct cdn_buf *scratch);
/* As edge_vary_match(), but Accept-Language may differ when the stored answer's Content-Language is the one
 * language that this request wants most: asking the origin could not give it anything it likes better. */
bool edge_vary_match_language(struct cdn_str spec, struct cdn_str key, struct cdn_str content_language,
                              const struct edge_vary_source *source, struct cdn_buf *scratch);
/* 0: the request accepts the codings of this head, or the plain form where it has none (RFC 9110 12.5.3; one
 * that says nothing accepts no coding: those who can decode something say so). Else: the answer came despite
 * of what the request accepts, which is said here: the origin has nothing of that. */
uint8_t edge_vary_despite(const struct edge_head *head, const struct edge_vary_source *source);
/* Whether the request accepts this head, or the origin is known to have nothing that it would. `known`: what
 * edge_vary_despite() said of the request that brought it; 0: nothing is known. */
bool edge_vary_takes_coding(const struct edge_head *head, uint8_t known,
                            const struct edge_vary_source *source);
/* Whether two secondary keys under `spec` have the same Accept-Encoding, or the spec does not name it. */
bool edge_vary_same_encoding(struct cdn_str spec, struct cdn_str a, struct cdn_str b);
/* A source for an array of fields (tests, prefetching). */
struct edge_vary_fields {
    const struct http_field *fields;
    size_t count;
};
bool edge_vary_fields_get(void *arg, struct cdn_str name,
                          struct cdn_buf *into); /* arg: struct edge_vary_fields */

#endif
