/* A transaction that is let through is counted until it begins, because the account of memory does not know
 * of it before. */
#include "edge/request/queue.h"

#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "edge/base/settings.h"
#include "edge/memory/budget.h"
#include "edge/request/deliver.h"

#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)

/* Out of the list, in which it waits. */
static void unlink_txn(struct edge_txn *t)
{
    struct edge_queue *q = &t->worker->queue;
    *(t->queue.previous ? &t->queue.previous->queue.next : &q->first) = t->queue.next;
    *(t->queue.next ? &t->queue.next->queue.previous : &q->last) = t->queue.previous;
}

static void link_txn(struct edge_txn *t)
{
    struct edge_queue *q = &t->worker->queue;
    t->queue.state = EDGE_QUEUE_WAITS;
    t->queue.since_ns = loop_mono_ns(t->worker->loop);
    t->queue.next = NULL;
    t->queue.previous = q->last;
    *(q->last ? &q->last->queue.next : &q->first) = t;
    q->last = t;
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
    return q->first || edge_budget_fetches() <= q->admitted;
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

void edge_queue_serve(struct edge_worker *w)
{
    struct edge_queue *q = &w->queue;
    if (!q->first) {
        return;
    }
    for (unsigned room = edge_budget_fetches(); q->first && q->admitted < room; q->admitted++) {
        resume(q->first, EDGE_QUEUE_ADMITTED);
    }
}

void edge_queue_expire(struct edge_worker *w)
{
    const int64_t before = loop_mono_ns(w->loop) - w->edge->settings.memory_wait * NS_PER_MS;
    while (w->queue.first && w->queue.first->queue.since_ns <= before) {
        resume(w->queue.first, EDGE_QUEUE_EXPIRED);
    }
}
