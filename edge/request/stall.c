/* How a reader that holds others up is found: a look at all readers of the worker, four times a second. A
 * timer for each would cost every miss; the look costs a lock a reader. */
#include "edge/request/stall.h"

#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"

#include <inttypes.h>
#include <stddef.h>

#include "common/banned.h"

#define MS_PER_S UINT64_C(1000)
#define NS_PER_MS INT64_C(1000000)

bool edge_stall_join(struct edge_txn *t, uint64_t at)
{
    if (!edge_body_join(t->fetch->body, &t->reader, at)) {
        return false;
    }
    struct edge_worker *w = t->worker;
    if (t->leader) {
        edge_body_await(t->fetch->body, false);
    }
    t->stall.since_ns = 0;
    t->stall.previous = NULL;
    t->stall.next = w->readers;
    if (w->readers) {
        w->readers->stall.previous = t;
    }
    w->readers = t;
    return true;
}

void edge_stall_leave(struct edge_txn *t)
{
    if (t->reader.joined) {
        *(t->stall.previous ? &t->stall.previous->stall.next : &t->worker->readers) = t->stall.next;
        if (t->stall.next) {
            t->stall.next->stall.previous = t->stall.previous;
        }
        edge_body_leave(t->fetch->body, &t->reader);
    }
}

static void let_go(struct edge_txn *t)
{
    cdn_metric_add(&t->worker->metrics.stalled_reader_total, 1);
    cdn_log(CDN_LOG_INFO, "stalled_reader", "target=%.*s bytes=%" PRIu64, (int)t->http->target.n,
            t->http->target.p, t->reader.at);
    http_stream_reset(t->stream);
}

static void look_at(struct edge_txn *t, int64_t now_ns)
{
    const struct edge_settings *s = &t->worker->edge->settings;
    if (!t->stream || !edge_body_is_held_up(t->fetch->body, &t->reader)) {
        t->stall.since_ns = 0;
        return;
    }
    const uint64_t taken = http_stream_taken(t->stream);
    if (t->stall.since_ns && now_ns - t->stall.since_ns < s->stalled_reader * NS_PER_MS) {
        return;
    }
    const uint64_t least = s->body_rate * (uint64_t)s->stalled_reader / MS_PER_S;
    if (t->stall.since_ns && taken - t->stall.taken <= least) {
        let_go(t);
    }
    t->stall.since_ns = now_ns;
    t->stall.taken = taken;
}

void edge_stall_look(struct edge_worker *w)
{
    const int64_t now_ns = loop_mono_ns(w->loop);
    for (struct edge_txn *t = w->readers; t; t = t->stall.next) {
        look_at(t, now_ns);
    }
}
