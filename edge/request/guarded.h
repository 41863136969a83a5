/* guarded: holds a request against what its rule says of who may have it, and how often (site/guard.h):
 * countries, rates, signatures, in this order. A rule without any of it costs a test or two.
 *
 * Who is over `rate_limit` is refused, or, with cached-only, gets what is stored, stale or not; so does
 * who is over `miss_limit` and would need the origin. The client is who the edge believes it is
 * (http_forwarded.h). All on the worker's thread; the table of rates is shared (common/rate.h). */
#ifndef CDN_EDGE_GUARDED_H
#define CDN_EDGE_GUARDED_H
#include "common/http/server/http_server.h"
#include "edge/base/worker.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/site/guard.h"

#include <stdbool.h>

/* Judged at the first call, and remembered. */
bool edge_guarded_refuses(struct edge_txn *txn);
enum edge_step edge_guarded_answer(struct edge_txn *txn); /* after that said yes */

/* Before it asks the origin, once for each request: false, and it is `limited` from now on. */
bool edge_guarded_miss(struct edge_txn *txn);
enum edge_step edge_guarded_limited(struct edge_txn *txn); /* 429 */

/* A plain hit: counts it; false: it is to go the long way, which refuses it. */
bool edge_guarded_hot(struct edge_worker *worker, struct http_request *req, const struct edge_guard *guard);

#endif
