/* A transaction that is let through is counted until it begins, because the account of memory does not know
 * of it before. */
#include "edge/request/queue.h"

#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/rate.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/memory/budget.h"
#include "edge/request/deliver.h"

#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)

/* How many more requests to the origin may be under way, those let through already among them. */
static unsigned room_of(const struct edge_worker *w)
{
    const unsigned memory = edge_budget_fetches(), running = http_client_running(w->client);
    const unsigned connections = running < w->fetches_most ? w->fetches_most - running : 0;
    return memory < connections ? memory : connections;
}

static unsigned line_of(struct edge_txn *t)
{
    static const struct cdn_rate_networks networks = {24, 48};
    struct edge *edge = t->worker->edge;
    struct cdn_addr client;
    http_forwarded_client(t->http, &edge_tuning_now(edge)->trust, &client);
    return (unsigned)(cdn_rate_owner(edge->rate, &client, &networks, 0) % EDGE_QUEUE_LINES);
}

/* Out of the line in which it waits. */
static void unlink_txn(struct edge_txn *t)
{
    struct edge_queue *q = &t->worker->queue;
    *(t->queue.previous ? &t->queue.previous->queue.next : &q->line[t->queue.line].first) = t->queue.next;
    *(t->queue.next ? &t->queue.next->queue.previous : &q->line[t->queue.line].last) = t->queue.previous;
    q->waiting--;
}

static void link_txn(struct edge_txn *t)
{
    struct edge_queue *q = &t->worker->queue;
    t->queue.line = line_of(t);
    struct edge_txn **last = &q->line[t->queue.line].last;
    t->queue.state = EDGE_QUEUE_WAITS;
    t->queue.since_ns = loop_mono_ns(t->worker->loop);
    t->queue.next = NULL;
    t->queue.previous = *last;
    *(*last ? &(*last)->queue.next : &q->line[t->queue.line].first) = t;
    *last = t;
    q->waiting++;
    cdn_metric_add(&t->worker->metrics.queued_total, 1);
}

void edge_queue_leave(struct edge_txn *t)
{
    if (t->queue.state == EDGE_QUEUE_WAITS) {
        unlink_txn(t);
    } else if (t->queue.state == EDGE_QUEUE_ADMITTED) {
        t->worker->queue.admitted--;
    }
    t->queue.state = EDGE_QUEUE_NONE;
}

bool edge_queue_must_wait(struct edge_txn *t)
{
    const struct edge_queue *q = &t->worker->queue;
    if (t->queue.state == EDGE_QUEUE_ADMITTED) {
        edge_queue_leave(t);
        return false;
    }
    return q->waiting || room_of(t->worker) <= q->admitted;
}

enum edge_step edge_queue_before(struct edge_txn *t, enum edge_step then)
{
    t->queue.then = then;
    return EDGE_STEP_QUEUE;
}

enum edge_step edge_queue_stand(struct edge_txn *t)
{
    switch (t->queue.state) {
    case EDGE_QUEUE_NONE:
        link_txn(t);
        break;
    case EDGE_QUEUE_WAITS: /* resumed by somebody else */
        break;
    case EDGE_QUEUE_ADMITTED:
        return t->queue.then;
    case EDGE_QUEUE_EXPIRED:
        return edge_deliver_error(t, 503, "too much is being fetched from the origin");
    }
    return edge_txn_wait(t, EDGE_STEP_QUEUE);
}

enum edge_queue_state edge_queue_stream(struct edge_txn *t)
{
    if (t->queue.state == EDGE_QUEUE_ADMITTED) {
        edge_queue_leave(t);
    } else if (t->queue.state == EDGE_QUEUE_NONE && edge_queue_must_wait(t)) {
        link_txn(t);
    }
    return t->queue.state;
}

/* With what was decided in its state. */
static void resume(struct edge_txn *t, enum edge_queue_state state)
{
    unlink_txn(t);
    t->queue.state = state;
    if (t->stream) {
        http_stream_resume(t->stream);
    } else {
        http_request_resume(t->http);
    }
}

/* The first of the next line in which anybody stands. */
static struct edge_txn *next_txn(struct edge_queue *q)
{
    while (!q->line[q->turn % EDGE_QUEUE_LINES].first) {
        q->turn++;
    }
    return q->line[q->turn++ % EDGE_QUEUE_LINES].first;
}

void edge_queue_serve(struct edge_worker *w)
{
    struct edge_queue *q = &w->queue;
    if (!q->waiting) {
        return;
    }
    for (unsigned room = room_of(w); q->waiting && q->admitted < room; q->admitted++) {
        resume(next_txn(q), EDGE_QUEUE_ADMITTED);
    }
}

void edge_queue_expire(struct edge_worker *w)
{
    struct edge_queue *q = &w->queue;
    const int64_t before = loop_mono_ns(w->loop) - w->edge->settings.memory_wait * NS_PER_MS;
    for (unsigned i = 0; i < EDGE_QUEUE_LINES && q->waiting; i++) {
        while (q->line[i].first && q->line[i].first->queue.since_ns <= before) {
            resume(q->line[i].first, EDGE_QUEUE_EXPIRED);
        }
    }
}
