/* request: what the edge's composition sees of this room: libmicrohttpd's callbacks, and the end of a worker.
 * Everything else of a request (txn.h, step.h) is the room's own.
 */
#ifndef CDN_EDGE_REQUEST_H
#define CDN_EDGE_REQUEST_H
#include "common/http/server/http_server.h"
#include "edge/base/worker.h"

extern const struct http_handler edge_request_handler; /* for the listener of a worker, its `self` */
void edge_request_free(struct edge_worker *worker);    /* what is kept for the next requests; none is open */

#endif
