/* purge_job: a purge whose answer is a promise: what it hit cannot come back.
 *
 * It waits for the start's loading (a row that is not loaded yet cannot be hit), applies the purge, and waits
 * until no write to disk that was begun before can bring back what it hit. One for the admin verb and for the
 * PURGE method.
 *
 * Threads: the owner's loop; the loader and the disk's writer post to it. Life: embedded in its owner,
 * which must live until edge_purge_job_run() has returned true or `done` was called.
 */
#ifndef CDN_EDGE_PURGE_JOB_H
#define CDN_EDGE_PURGE_JOB_H
#include "edge/cache/cache.h"

#include <stdbool.h>
#include <stdint.h>

struct edge_purge_job {
    struct edge *edge;
    struct loop *loop;
    /* Purges; false: nothing was purged, for want of a right request or of anybody who waits for it. */
    bool (*apply)(struct edge_purge_job *job);
    void (*done)(struct edge_purge_job *job);
    uint64_t count; /* for `apply`: how many objects went */
    bool soft;      /* the owner's: they were marked as stale */
    struct edge_cache_load_waiter loaded;
};

/* True: all is done, and `done` will not be called. */
bool edge_purge_job_run(struct edge_purge_job *job);

#endif
