/* explain: what is decided for a request by its URL, its fields and the rules alone, and what an answer to it
 * may be kept for, as JSON with the reasons (GET and POST /explain, `pocketcdn explain`).
 *
 * It asks the functions that decide for requests. Pure but for the state of origins.
 */
#ifndef CDN_EDGE_EXPLAIN_H
#define CDN_EDGE_EXPLAIN_H
#include "common/http/syntax/http_message.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/site/target.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_EXPLAIN_FIELDS_MAX 100

struct edge_explain_question { /* borrowed */
    const struct edge_sites *sites;
    struct cdn_str method, url;
    struct http_field field[EDGE_EXPLAIN_FIELDS_MAX]; /* of the request */
    size_t field_count;
    unsigned status; /* of an answer; 0: none is given */
    struct http_field answer[EDGE_EXPLAIN_FIELDS_MAX];
    size_t answer_count;
    int64_t now_ms;
};

/* {"url", "method", "fields": ["Name: value"], "status", "answer": ["Name: value"]}: slices of `from`.
 * CDN_INVALID says what is wrong. */
enum cdn_status edge_explain_read(const json_t *from, struct edge_explain_question *ret,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* *ret is a new reference. `into`: EDGE_KEY_MAX bytes that *ret_target is of. CDN_INVALID: it is no URL, or
 * no site or rule is for it. */
enum cdn_status edge_explain(const struct edge_explain_question *question, char *into,
                             struct edge_target *ret_target, json_t **ret,
                             struct cdn_error *err) CDN_MUST_CHECK;

/* The request's fields as the rule lets them go to the origin, for Vary. */
struct edge_explain_source {
    const struct edge_explain_question *question;
    const struct edge_rule *rule;
};
bool edge_explain_get(void *explain_source, struct cdn_str name, struct cdn_buf *into);

#endif
