/* answer: one request on the public listener to one answer. Runs on the listener's threads and shares
 * nothing.
 */
#ifndef CDN_ROUTER_ANSWER_H
#define CDN_ROUTER_ANSWER_H

#include "common/http_server.h"
#include "router/decide.h"

enum router_outcome {
    ROUTER_REDIRECTED,
    ROUTER_PREFLIGHT,
    ROUTER_REFUSED,
    ROUTER_NO_EDGE,
};

struct router_answer { /* zero-initialise; kept by a thread from request to request */
    struct cdn_buf location, pin, forwarded, x_forwarded;
    struct router_brief decision; /* of the last redirect */
    int64_t decision_ns;          /* what it took */
};

enum router_outcome router_answer(struct router_answer *answer, const struct router_table *table,
                                  struct http_request *req);
void router_answer_fini(struct router_answer *answer);

#endif
