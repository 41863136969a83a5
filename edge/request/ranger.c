/* ranger: reads one byte range of a version, each stretch from where it is: a part in RAM, one on disk, a
 * fetch under way.
 *
 * It is libmicrohttpd that asks for bytes, so what is not there yet is a suspended stream and no waiting. A
 * source that is lost on the way (evicted, damaged) is looked for again, a bounded number of times, since
 * what was sent already can only be continued with the same version.
 */
#include "edge/request/ranger.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/memory/budget.h"
#include "edge/request/part_private.h"
#include "edge/request/queue.h"
#include "edge/request/ranger_private.h"
#include "edge/request/slice.h"
#include "edge/request/stall.h"
#include "edge/request/upstream.h"
#include "edge/semantics/validate.h"
#include "edge/semantics/vary.h"
#include "edge/store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/banned.h"

/* So much of a part on disk is read at once; the second when memory is short. */
#define READ_BYTES ((uint64_t)256 * 1024)
#define READ_SHORT ((uint64_t)4096)
#define MAX_SOURCES_LOST 8u

struct edge_ranger {
    struct edge_txn *txn;
    struct edge_rep *rep;   /* counted: all bytes are of this version */
    uint64_t at, end;       /* the next byte; after the last one */
    struct edge_hold hold;  /* the stored part that `blob` is from */
    struct edge_blob *blob; /* bytes [blob_first, +n) of the whole */
    uint64_t blob_first;
    enum cdn_status read_status;
    unsigned lost;
};

static struct edge_cache *cache_of(const struct edge_txn *t)
{
    return t->worker->edge->cache;
}

static void drop_source(struct edge_ranger *r)
{
    edge_cache_release(cache_of(r->txn), &r->hold);
    edge_blob_unref(CDN_TAKE(r->blob));
}

/* Neither a part nor a fetch afterwards: look again. False: another request has to wait for its turn. */
static bool next_source(struct edge_ranger *r)
{
    struct edge_txn *t = r->txn;
    struct edge_vary_source source = edge_upstream_source(t);
    struct edge_hold part = {0};
    struct edge_moment moment;
    drop_source(r);
    bool found = edge_cache_select_part(cache_of(t), t->entry, &source, r->at, r->rep->head, &part, &moment);
    if (found && edge_part_is_usable(t, part.rep)) {
        r->hold = part;
        return true;
    }
    if (edge_queue_stream(t) != EDGE_QUEUE_NONE) {
        edge_cache_release(cache_of(t), &part);
        return false;
    }
    const struct edge_fetch_scope scope =
        found ? edge_part_scope(&part)
              : edge_slice_around(edge_part_slice_size(t), r->at, 0, (uint64_t)r->rep->whole);
    edge_part_join(t, r->at, &scope, &moment, r->rep, &part);
    edge_cache_release(cache_of(t), &part); /* unless the fetch took it */
    return true;
}

static void lose_source(struct edge_ranger *r, enum cdn_status status)
{
    edge_cache_disk_lost(cache_of(r->txn), &r->hold,
                         status == CDN_CORRUPT ? EDGE_GHOST_CORRUPT : EDGE_GHOST_EVICTED);
    drop_source(r);
    r->lost++;
}

static void read_done(void *arg) /* loop thread */
{
    struct edge_txn *t = arg;
    t->disk_pending = false;
    if (edge_txn_release(t)) {
        return;
    }
    if (t->ranger->read_status != CDN_OK) {
        lose_source(t->ranger, t->ranger->read_status);
    }
    if (t->stream) {
        http_stream_resume(t->stream);
    }
}

static void read_elsewhere(void *arg, enum cdn_status status) /* store's reader thread */
{
    struct edge_txn *t = arg;
    t->ranger->read_status = status;
    loop_post(t->worker->loop, read_done, t);
}

/* Bytes of the held part around r->at into r->blob; false: they are being read. */
static bool load(struct edge_ranger *r)
{
    struct edge_store *store = r->txn->worker->edge->store;
    const uint64_t first = r->hold.rep->first;
    if (r->hold.ram) {
        r->blob = edge_blob_ref(r->hold.ram->blob);
        r->blob_first = first;
        return true;
    }
    edge_blob_unref(CDN_TAKE(r->blob));
    const uint64_t most = edge_budget_has(READ_BYTES) ? READ_BYTES : READ_SHORT;
    const uint64_t from = (r->at - first) / most * most;
    const uint64_t rest = edge_hold_length(&r->hold) - from;
    r->blob = edge_blob_create((size_t)(rest < most ? rest : most));
    r->blob_first = first + from;
    enum cdn_status status = edge_store_try_read(store, &r->hold.location, from, r->blob->data, r->blob->n);
    if (status == CDN_UNAVAILABLE) {
        r->txn->disk_pending = true;
        edge_store_read(store, &r->hold.location, from, r->blob->data, r->blob->n, read_elsewhere, r->txn);
        return false;
    }
    if (status != CDN_OK) {
        lose_source(r, status);
    }
    return true;
}

static bool in_blob(const struct edge_ranger *r)
{
    return r->blob && r->at >= r->blob_first && r->at < r->blob_first + r->blob->n;
}

static bool in_part(const struct edge_ranger *r)
{
    return r->hold.object && r->at >= r->hold.rep->first &&
           r->at < r->hold.rep->first + edge_hold_length(&r->hold);
}

/* Bytes of a slice on its way. 0: go on elsewhere. */
static ssize_t read_fetch(struct edge_ranger *r, char *into, size_t max)
{
    struct edge_txn *t = r->txn;
    struct edge_fetch *f = t->fetch;
    enum edge_fetch_phase phase = edge_fetch_phase_now(f);
    if (phase == EDGE_FETCH_ASKING) {
        return HTTP_STREAM_WAIT;
    }
    if (phase == EDGE_FETCH_CONFIRMED) {
        (void)edge_cache_hold(cache_of(t), f->result.object, &r->hold);
        edge_txn_leave_fetch(t);
        return r->hold.object || ++r->lost < MAX_SOURCES_LOST ? 0 : HTTP_STREAM_FAIL;
    }
    if (phase != EDGE_FETCH_STORING || (!t->leader && !edge_upstream_fits(t, f->rep)) ||
        f->rep->whole != r->rep->whole || r->at < f->rep->first ||
        (f->rep != r->rep && !edge_validate_may_combine(r->rep->head, f->rep->head))) {
        return HTTP_STREAM_FAIL; /* another version: what was sent cannot be continued */
    }
    if (!t->reader.joined && !edge_stall_join(t, r->at - f->rep->first)) {
        return HTTP_STREAM_FAIL;
    }
    ssize_t got = edge_body_read(f->body, &t->reader, into, max);
    if (got == EDGE_BODY_END) {
        bool moved = r->at > f->rep->first;
        edge_txn_leave_fetch(t);
        return moved ? 0 : HTTP_STREAM_FAIL;
    }
    return got == EDGE_BODY_NOTHING ? HTTP_STREAM_WAIT : got == EDGE_BODY_FAILED ? HTTP_STREAM_FAIL : got;
}

ssize_t edge_ranger_read(struct edge_ranger *r, char *into, size_t max)
{
    while (r->at < r->end && r->lost < MAX_SOURCES_LOST) {
        const size_t most = r->end - r->at < max ? (size_t)(r->end - r->at) : max;
        ssize_t got = 0;
        if (r->txn->disk_pending) {
            return HTTP_STREAM_WAIT;
        }
        if (in_blob(r)) {
            uint64_t left = r->blob_first + r->blob->n - r->at;
            got = (ssize_t)(left < most ? left : most);
            memcpy(into, r->blob->data + (r->at - r->blob_first), (size_t)got);
        } else if (r->txn->fetch) {
            got = read_fetch(r, into, most);
        } else if (!in_part(r)) {
            if (!next_source(r)) {
                return r->txn->queue.state == EDGE_QUEUE_WAITS ? HTTP_STREAM_WAIT : HTTP_STREAM_FAIL;
            }
        } else if (!load(r)) {
            return HTTP_STREAM_WAIT;
        }
        if (got != 0) {
            r->at += got > 0 ? (uint64_t)got : 0;
            r->txn->sent += got > 0 ? (uint64_t)got : 0;
            return got;
        }
    }
    return r->at < r->end ? HTTP_STREAM_FAIL : HTTP_STREAM_END;
}

static ssize_t stream_read(void *arg, uint64_t at, char *into, size_t max)
{
    (void)at;
    return edge_ranger_read(arg, into, max);
}

static void stream_over(void *arg)
{
    struct edge_ranger *r = arg;
    r->txn->stream = NULL;
    edge_budget_sub(r->txn->block);
    r->txn->block = 0;
    edge_txn_release(r->txn);
}

struct edge_ranger *edge_ranger_begin(struct edge_txn *t, struct edge_rep *rep, uint64_t from, uint64_t n,
                                      const struct edge_hold *part)
{
    struct edge_ranger *r = t->ranger = cdn_calloc(1, sizeof(*r));
    *r = (struct edge_ranger){.txn = t, .rep = edge_rep_ref(rep), .at = from, .end = from + n};
    if (part) {
        edge_cache_hold_again(part, &r->hold);
    }
    return r;
}

struct MHD_Response *edge_ranger_stream(struct edge_txn *t, struct edge_rep *rep, uint64_t from, uint64_t n,
                                        const struct edge_hold *part)
{
    t->block = edge_budget_block((int64_t)n);
    struct http_stream_source source = {.read = stream_read,
                                        .release = stream_over,
                                        .arg = edge_ranger_begin(t, rep, from, n, part),
                                        .block = t->block};
    struct MHD_Response *response;
    t->stream = http_stream_create(t->http, (int64_t)n, &source, &response);
    return response;
}

void edge_ranger_discard(struct edge_txn *t)
{
    struct edge_ranger *r = CDN_TAKE(t->ranger);
    if (r) {
        edge_cache_release(cache_of(t), &r->hold);
        edge_rep_unref(r->rep);
        edge_blob_unref(r->blob);
        free(r);
    }
}
