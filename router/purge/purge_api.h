/* purge_api: the purge log's verbs on the admin listener, and what is known of each edge's progress.
 *
 *     POST /purge               (purge_item.h) appended to the log; {"id", "log", "acknowledged", "edges"} at
 *                               once, or with "wait": "2s" (or ?wait=) when all healthy edges have
 *                               acknowledged or the time is over
 *     GET  /purges/N            the same for a purge of before
 *     GET  /purges?after=N      {"purges": [...], "last", "oldest", "log"}: the entries after N, at most
 * 1000 &edge=NAME       an edge asks, which acknowledges all up to N. It says its name in the field
 *                               Pocketcdn-Edge, too, which no web page can add to a request unasked; and it
 *                               is one of the configuration, or has the token
 *              &wait=25s        long poll: answered when there is something after N, or the time is over
 *              &log=IDENTITY    the log that N belongs to; another one, or an N out of reach (forgotten, or
 *                               never given), is answered {"reset": true}: drop everything, go on from "last"
 *
 * A receipt is {"edge", "healthy", "acknowledged", "ms"}: ms from the append until the edge's poll that
 * acknowledges arrived, null where that was not seen (the router began anew since). Edges are those of the
 * table and others that polled within the last minute.
 *
 * Limits: one waiting poll an edge, ROUTER_PURGE_READERS without a name (a newer one ends the oldest),
 * ROUTER_PURGE_WAITERS who wait for receipts (further ones are answered at once), of either no more than a
 * quarter of the admin listener's connections, ROUTER_PURGE_EDGES names, a minute of waiting. Control thread
 * only. Life cycle: create -> watch -> (verbs)* -> drain -> destroy, which must come after the admin
 * listener's end.
 */
#ifndef CDN_ROUTER_PURGE_API_H
#define CDN_ROUTER_PURGE_API_H
#include "common/daemon/daemon.h"
#include "common/http/server/http_server.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/base/settings.h"

#include <jansson.h>

#define ROUTER_PURGE_EDGES 8192u
#define ROUTER_PURGE_WAITERS 1024u /* for receipts */
#define ROUTER_PURGE_READERS 64u   /* polls without an edge's name */

#define ROUTER_PURGE_METRICS(X)                                                \
    X(COUNTER, purge_total, "Purges appended to the log")                      \
    X(COUNTER, purge_poll_total, "Polls of the purge log by edges")            \
    X(COUNTER, purge_reset_total, "Polls that were answered: drop everything") \
    X(GAUGE, purge_last, "Number of the last purge")                           \
    X(GAUGE, purge_waiting, "Requests that wait for a purge or a receipt")

struct router_purges;

/* Opens the log: in the folder `state`; by default in one of the user's for this admin port, which is made
 * with the first purge or poll of an edge; in memory for `none` and for a port that the kernel chose. */
enum cdn_status router_purges_create(const struct router_settings *settings, struct daemon *daemon,
                                     struct router_purges **ret, struct cdn_error *err) CDN_MUST_CHECK;
/* The edges of the table in force, whose receipts count; borrowed until the next call. */
void router_purges_watch(struct router_purges *purges, const struct router_edges *edges);
void router_purges_drain(
    struct router_purges *purges); /* answers all that wait; then nobody waits any more */
void router_purges_destroy(struct router_purges *purges); /* NULL is fine */

void router_purges_status(const struct router_purges *purges, json_t *into);
void router_purges_metrics(struct router_purges *purges, struct cdn_buf *out);

/* Verbs. */
void router_purge_post(struct router_purges *purges, struct http_request *req, json_t *body);
/* In a form of other caches' clients (common/http/syntax/http_purge.h): PURGE /path and the like, for the one
 * site where Host names this machine, else for that host; or Fastly's API, answered as there. */
void router_purge_form(struct router_purges *purges, struct http_request *req, json_t *body);
void router_purge_list(struct router_purges *purges, struct http_request *req, json_t *body);
void router_purge_receipts(struct router_purges *purges, struct http_request *req, json_t *body);

#endif
