/* sync: an edge follows the router's purge log, so that nothing purged ever comes back.
 *
 * With the setting `control` the edge asks the router for the entries after the last one it has applied
 * (GET /purges?after=N, a long poll), applies them in order, and asks again, which acknowledges them. Without
 * it nothing here happens.
 *
 * `edge->unsynced` is set, and every reuse revalidated, from the start until the log has been replayed, and
 * whenever the router was silent for longer than `sync_grace` until the log has been replayed again. A poll
 * waits for half of that time at most, so that a router that hangs is noticed too.
 *
 * What was applied must not come back after a crash. Purges remove rows from the store's index in batches;
 * the mark (store.h) with the log's identity and number is committed after them, when no body is being
 * written any more that was on its way before the purge (edge_cache_saves_settled). An edge that starts asks
 * from its mark: it may apply a purge twice, never miss one. No mark, or a damaged one: from the beginning of
 * the log. The router answers `reset` when the log does not reach back that far or is another one: then all
 * goes.
 *
 * Rows of the disk tier that are not loaded yet cannot be purged: entries wait until they are.
 *
 * All on the control loop's thread. Life cycle: create (before the workers run) -> destroy (after they ended,
 * before the store closes).
 */
#ifndef CDN_EDGE_SYNC_H
#define CDN_EDGE_SYNC_H
#include "common/status.h"
#include "common/str.h"
#include "edge/base/worker.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define EDGE_SYNC_METRICS(X)                                                             \
    X(GAUGE, sync_synced, "1: the purge log is followed; 0: every reuse is revalidated") \
    X(GAUGE, sync_id, "Number of the last purge that was applied")                       \
    X(COUNTER, sync_poll_total, "Answers of the router to polls")                        \
    X(COUNTER, sync_failure_total, "Polls that failed")                                  \
    X(COUNTER, sync_purge_total, "Purges applied from the log")                          \
    X(COUNTER, sync_object_total, "Objects that they hit")                               \
    X(COUNTER, sync_reset_total, "Times that the log was out of reach and all was dropped")

struct edge_sync;

/* *ret stays NULL when there is no `control`. */
enum cdn_status edge_sync_create(struct edge *edge, struct edge_sync **ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void edge_sync_destroy(struct edge_sync *sync); /* NULL is fine, here and below */
void edge_sync_status(const struct edge_sync *sync, json_t *into);
void edge_sync_metrics(const struct edge_sync *sync, struct cdn_buf *out);

/* ---- pure parts ---- */

#define EDGE_SYNC_LOG_SIZE 64 /* a log's identity, with a NUL */

struct edge_sync_place {          /* how far an edge is */
    char log[EDGE_SYNC_LOG_SIZE]; /* "": none known */
    uint64_t id;
};
/* As the store's mark keeps it, with a checksum. */
void edge_sync_place_format(const struct edge_sync_place *place, struct cdn_buf *into);
bool edge_sync_place_parse(struct cdn_str text, struct edge_sync_place *ret);

/* The pause after failure number `failures` (from 1): 25 ms doubling up to 250 ms, and of that between half
 * and all by the draw (0 to 1), so that edges do not ask all at once. */
int64_t edge_sync_pause_ms(unsigned failures, double draw);

struct edge_sync_answer { /* of the router */
    char log[EDGE_SYNC_LOG_SIZE];
    uint64_t last;
    bool reset;
    json_t *purges; /* a new reference to an array of objects with growing ids; NULL: reset */
};
enum cdn_status edge_sync_answer_parse(struct cdn_str body, struct edge_sync_answer *ret,
                                       struct cdn_error *err) CDN_MUST_CHECK;

#endif
