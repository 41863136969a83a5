/* hot: a thread's table of ready answers, the path of a plain hit.
 *
 * A plain GET or HEAD (no range, no request directives, no credentials) whose scheme and bytes of host,
 * target and Accept-Encoding were answered from the cache before finds its libmicrohttpd response here: one
 * hash, one probe, no lock, no allocation, nothing written that another thread reads. Whether the answer is
 * still the one to give is read from the shared object: its representation must be the very one that the
 * answer was made from (a refresh, purge or removal swaps it), and the clock must not have reached the end of
 * its freshness. What cannot be decided here goes the long way (request.c).
 *
 * Age and Cache-Status count seconds, so they are renewed in the response at most once a second.
 * Owned by one worker thread; bounded in entries. An answer is made ready at the second hit, if that comes
 * before many others do; a clock hand and the sweep drop what was not asked for recently.
 */
#ifndef CDN_EDGE_HOT_H
#define CDN_EDGE_HOT_H
#include "common/http/server/http_server.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

struct edge_guard;
struct edge_hot;

/* `name` (borrowed) is the edge's, for Cache-Status. */
struct edge_hot *edge_hot_create(struct edge_cache *cache, unsigned limit, struct cdn_str name);
void edge_hot_destroy(struct edge_hot *hot);
void edge_hot_clear(struct edge_hot *hot); /* all answers go */

/* Before an answer with a guard is given: false sends the request the long way. */
void edge_hot_ask(struct edge_hot *hot,
                  bool (*allows)(void *self, struct http_request *req, const struct edge_guard *guard),
                  void *self);

/* Whether a request is of the plain kind, and so worth asking or adding. If-None-Match is allowed. */
bool edge_hot_is_plain(const struct http_request *req);
/* Answers the request when it can; false when the long way has to be taken. `now_ms`: cache clock. */
bool edge_hot_answer(struct edge_hot *hot, struct http_request *req, int64_t now_ms, uint64_t *ret_body_bytes,
                     unsigned *ret_status);
/* On which terms of its rule an answer is given to requests that find it. */
struct edge_hot_terms {
    bool without_cookie;            /* only to those that have none */
    const struct edge_guard *guard; /* whose rate counts them; NULL: none. Lives until the end */
};
/* After a hit on the long way: remembers the answer for requests like this one, if it is not the first. Its
 * body is `body`: that of `hold`, or a compressed form of it. Takes `full` over and references of its own to
 * the rest. `without_cookie`: the site's rule looks at cookies, so only requests that have none get it. */
void edge_hot_add(struct edge_hot *hot, const struct http_request *req, const struct edge_hold *hold,
                  struct edge_blob *body, struct MHD_Response *full, const struct edge_hot_terms *terms,
                  int64_t now_ms);
/* Drops entries whose answer is void or was not asked for in the last three rounds, `steps` slots at a time:
 * called now and then, so that their memory goes. */
void edge_hot_sweep(struct edge_hot *hot, unsigned steps);
unsigned edge_hot_count(const struct edge_hot *hot);

#endif
