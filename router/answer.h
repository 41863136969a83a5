/* answer: one request on the public listener to one answer. Runs on the listener's threads and shares
 * nothing.
 */
#ifndef CDN_ROUTER_ANSWER_H
#define CDN_ROUTER_ANSWER_H
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/str.h"
#include "router/decide/decide.h"
#include "router/table/table.h"

#include <stdint.h>

enum router_outcome {
    ROUTER_REDIRECTED,
    ROUTER_PREFLIGHT,
    ROUTER_REFUSED,
    ROUTER_UNSERVED,
};

/* A redirect that may be used again once its request is over: only Location differs, and is written over in
 * place where it is as long as the one before. So they are kept by its length. */
struct router_redirect;
#define ROUTER_IDLE_LISTS 64u
#define ROUTER_IDLE_MAX 1024u /* of all lists together */

struct router_answer { /* zero-initialise; kept by a thread from request to request */
    struct router_redirect *idle[ROUTER_IDLE_LISTS];
    unsigned idle_count;
    struct http_head head; /* of a redirect that is made */
    unsigned generation;   /* of the table: see router_answer_renew */
    uint64_t decided;
    struct cdn_buf location, pin;
    struct router_brief decision; /* of the last redirect */
    int64_t decision_ns;          /* what it took, measured now and then and counted for all; else 0 */
};

enum router_outcome router_answer(struct router_answer *answer, const struct router_table *table,
                                  struct http_request *req);
/* Every request's end, answered or not. */
void router_answer_done(struct router_answer *answer, struct http_request *req);
/* Another table from now on: redirects made for the one before are given up. */
void router_answer_renew(struct router_answer *answer);
void router_answer_fini(struct router_answer *answer); /* no request may be open */

#endif
