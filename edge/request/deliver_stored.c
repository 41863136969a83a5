/* deliver_stored: the answer from what is stored. A body in RAM is sent as it lies there; a small one on disk
 * is read into memory and offered to the RAM tier, a large one sent from its file. What the disk has lost is
 * forgotten, and the request looks again. */
#include "common/mem.h"
#include "common/status.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/memory/budget.h"
#include "edge/request/compress.h"
#include "edge/request/deliver.h"
#include "edge/request/deliver_private.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/head.h"
#include "edge/semantics/range.h"
#include "edge/store/store.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define FILE_TRIES 8u

static void read_elsewhere(void *arg, enum cdn_status status) /* store's reader thread */
{
    struct edge_txn *t = arg;
    t->disk_status = status;
    edge_txn_disk_done(t);
}

/* The disk did not have what the index promised: forget the object and look again. */
static enum edge_step disk_failed(struct edge_txn *t, enum cdn_status status)
{
    edge_cache_disk_lost(t->worker->edge->cache, &t->hold,
                         status == CDN_CORRUPT ? EDGE_GHOST_CORRUPT : EDGE_GHOST_EVICTED);
    edge_blob_unref(CDN_TAKE(t->blob));
    return EDGE_STEP_LOOKUP;
}

enum edge_step edge_deliver_read(struct edge_txn *t)
{
    if (t->disk_status != CDN_OK) {
        return disk_failed(t, t->disk_status);
    }
    struct edge_range_plan plan;
    if (edge_deliver_choose(t, t->hold.rep, t->blob->n, &plan)) {
        edge_deliver_blob(t, t->hold.rep, &plan, t->blob, NULL);
    }
    edge_cache_offer_ram(t->worker->edge->cache, t->hold.object, t->blob);
    return EDGE_STEP_DONE;
}

/* `into` NULL: only checked, and in the page cache then. */
static enum edge_step wait_disk(struct edge_txn *t, enum edge_step step, char *into, uint64_t from,
                                uint64_t n)
{
    const enum edge_step wait = edge_txn_wait_disk(t, step);
    edge_store_read(t->worker->edge->store, &t->hold.location, from, into, (size_t)n, read_elsewhere, t);
    return wait;
}

static enum edge_step read_blob(struct edge_txn *t)
{
    t->blob = edge_blob_create((size_t)edge_hold_length(&t->hold));
    t->disk_status =
        edge_store_try_read(t->worker->edge->store, &t->hold.location, 0, t->blob->data, t->blob->n);
    return t->disk_status == CDN_UNAVAILABLE ? wait_disk(t, EDGE_STEP_READ, t->blob->data, 0, t->blob->n)
                                             : EDGE_STEP_READ;
}

/* A large body, by sendfile from a descriptor of our own. `disk_status`: of the check before, if there was
 * one. */
enum edge_step edge_deliver_file(struct edge_txn *t)
{
    if (t->disk_status != CDN_OK || ++t->tries > FILE_TRIES) {
        return disk_failed(t, t->disk_status == CDN_OK ? CDN_IO : t->disk_status);
    }
    struct edge_range_plan plan;
    const uint64_t length = edge_hold_length(&t->hold);
    if (!edge_deliver_choose(t, t->hold.rep, length, &plan)) {
        return EDGE_STEP_DONE;
    }
    const bool single = plan.kind == EDGE_RANGE_SINGLE;
    const uint64_t from = single ? plan.part[0].first : 0;
    const uint64_t n = single ? edge_range_length(&plan.part[0]) : length;
    struct edge_store *store = t->worker->edge->store;
    struct edge_store_ref *ref;
    int fd;
    off_t offset;
    enum cdn_status status = edge_store_body(store, &t->hold.location, from, n, &ref, &fd, &offset);
    if (status == CDN_UNAVAILABLE) {
        return wait_disk(t, EDGE_STEP_FILE, NULL, from, n);
    }
    int own = status == CDN_OK ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (status == CDN_OK) {
        edge_store_release(store, ref);
    }
    if (own < 0) {
        return disk_failed(t, status == CDN_OK ? CDN_IO : status);
    }
    if (plan.kind == EDGE_RANGE_MULTIPLE) {
        edge_deliver_multi(t, t->hold.rep, &plan, NULL, own, offset);
    } else {
        struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(n, own, (uint64_t)offset);
        edge_deliver_respond(t, response, single ? 206 : edge_head_status(t->hold.rep->head), t->hold.rep,
                             single ? &plan : NULL, n);
        MHD_destroy_response(response);
    }
    return EDGE_STEP_DONE;
}

/* A large body just fetched: it is read as soon as the disk writer says where it is. */
static enum edge_step wait_saved(struct edge_txn *t)
{
    t->saved = (struct edge_save_waiter){.done = edge_txn_disk_done, .arg = t};
    t->disk_pending = true;
    if (edge_cache_await_save(t->worker->edge->cache, t->hold.object, &t->saved)) {
        return edge_txn_wait(t, EDGE_STEP_LOOKUP);
    }
    t->disk_pending = false;
    return disk_failed(t, CDN_NOT_FOUND);
}

static enum edge_step deliver_disk(struct edge_txn *t)
{
    const uint64_t length = edge_hold_length(&t->hold);
    if (!t->hold.location.id) {
        return wait_saved(t);
    }
    if (length <= t->worker->edge->settings.memory_object &&
        (length <= EDGE_BUDGET_SMALL || edge_budget_has(length))) {
        return read_blob(t);
    }
    t->disk_status = CDN_OK;
    return EDGE_STEP_FILE;
}

static enum edge_step deliver_ram(struct edge_txn *t)
{
    struct edge_range_plan plan;
    struct edge_chosen chosen;
    edge_compress_choose(t, &chosen);
    if (edge_deliver_choose(t, chosen.rep, chosen.blob->n, &plan)) {
        edge_deliver_blob(t, chosen.rep, &plan, chosen.blob, chosen.settled ? &t->hold : NULL);
    }
    edge_rep_unref(chosen.rep);
    return EDGE_STEP_DONE;
}

enum edge_step edge_deliver_stored(struct edge_txn *t)
{
    return t->hold.ram ? deliver_ram(t) : deliver_disk(t);
}
