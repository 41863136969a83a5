/* admin: the edge's side of the admin listener: status, metrics, objects, why, purge, reload. Main thread. */
#ifndef CDN_EDGE_ADMIN_H
#define CDN_EDGE_ADMIN_H
#include "common/status.h"
#include "edge/base/worker.h"

/* Makes edge->daemon. Before any thread is started. */
enum cdn_status edge_admin_create(struct edge *edge, struct cdn_error *err) CDN_MUST_CHECK;

#endif
