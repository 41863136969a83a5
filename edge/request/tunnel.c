/* tunnel: what an edge has to do with a tunnel: whether one may be opened, and where the bytes of its origin
 * are. The bytes themselves are moved by common/http/server/http_tunnel, as through the router. */
#include "edge/request/tunnel.h"

#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_tunnel.h"
#include "common/http/syntax/http_message.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/request/deliver.h"
#include "edge/request/stall.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/head.h"
#include "edge/site/origin.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

#define KEY_CHARS 24u /* of Sec-WebSocket-Key: 16 bytes in base64 */

/* ---- asking ---- */

struct keys {
    unsigned lines;
    bool valid;
};

static bool find_key(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct keys *k = arg;
    if (cdn_str_eq_nocase(name, CDN_STR("Sec-WebSocket-Key"))) {
        k->lines++;
        k->valid = value.n == KEY_CHARS && value.p[KEY_CHARS - 1] == '=' && value.p[KEY_CHARS - 2] == '=';
    }
    return true;
}

/* RFC 6455 4.2.1: without one key the origin could only refuse. */
static bool has_key(struct edge_txn *t)
{
    struct keys k = {0};
    http_request_each_field(t->http, find_key, &k);
    return k.lines == 1 && k.valid;
}

static enum edge_step refuse(struct edge_txn *t, unsigned status, const char *why)
{
    cdn_metric_add(&t->worker->metrics.tunnel_refused_total, 1);
    return edge_deliver_error(t, status, why);
}

enum edge_step edge_tunnel_ask(struct edge_txn *t)
{
    struct edge_worker *w = t->worker;
    t->verdict = EDGE_VERDICT_BYPASS;
    if (!w->upgrades) {
        return refuse(t, 501, "this edge opens no WebSocket tunnels");
    }
    if (!has_key(t)) {
        return edge_deliver_error(t, 400,
                                  "a WebSocket handshake has one Sec-WebSocket-Key of 16 bytes in base64");
    }
    if (w->tunnel_count >= w->tunnel_max ||
        atomic_load(&w->edge->tunnel_count) >= w->edge->settings.upgrade_connections) {
        return refuse(t, 503, "as many WebSocket tunnels as this edge allows are open");
    }
    w->tunnel_count++;
    atomic_fetch_add(&w->edge->tunnel_count, 1);
    t->upgrading = true;
    t->upload_done = false; /* what follows the head is the body of sorts */
    return edge_txn_pass(t, EDGE_CAUSE_BYPASS_REQUEST);
}

void edge_tunnel_leave(struct edge_txn *t)
{
    if (t->upgrading) {
        t->worker->tunnel_count--;
        atomic_fetch_sub(&t->worker->edge->tunnel_count, 1);
        t->upgrading = false;
    }
}

/* ---- open ---- */

static ssize_t read_origin(void *arg, char *into, size_t max)
{
    struct edge_txn *t = arg;
    const ssize_t n = edge_body_read(t->fetch->body, &t->reader, into, max);
    return n > 0                    ? n
           : n == EDGE_BODY_NOTHING ? HTTP_STREAM_WAIT
           : n == EDGE_BODY_END     ? HTTP_STREAM_END
                                    : HTTP_STREAM_FAIL;
}

static void client_sends(void *arg)
{
    edge_fetch_body_ready(((struct edge_txn *)arg)->fetch);
}

static void moved(void *arg, size_t up, size_t down)
{
    struct edge_txn *t = arg;
    t->sent += down;
    cdn_metric_add(&t->worker->metrics.tunnel_up_bytes_total, up);
    cdn_metric_add(&t->worker->metrics.tunnel_down_bytes_total, down);
}

static void over(void *arg)
{
    struct edge_txn *t = arg;
    struct edge_worker *w = t->worker;
    *(t->tunnels.previous ? &t->tunnels.previous->tunnels.next : &w->tunnels) = t->tunnels.next;
    if (t->tunnels.next) {
        t->tunnels.next->tunnels.previous = t->tunnels.previous;
    }
    cdn_metric_add(&w->metrics.tunnels, -UINT64_C(1));
    t->tunnel = NULL;
    edge_txn_leave_fetch(t);
}

void edge_tunnels_end(struct edge_worker *w)
{
    while (w->tunnels) {
        http_tunnel_end(w->tunnels->tunnel, false);
    }
}

static void begin(void *arg, int fd, struct cdn_str head, struct cdn_str early)
{
    struct edge_txn *t = arg;
    struct edge_worker *w = t->worker;
    const struct http_tunnel_owner owner = {
        .read = read_origin,
        .sends = client_sends,
        .moved = moved,
        .over = over,
        .arg = t,
        .idle_ms = w->edge->settings.upgrade_idle,
        .whole = t->fetch->origin->secure,
    };
    t->tunnels.previous = NULL;
    t->tunnels.next = w->tunnels;
    if (w->tunnels) {
        w->tunnels->tunnels.previous = t;
    }
    w->tunnels = t;
    cdn_metric_add(&w->metrics.tunnels, 1);
    cdn_metric_add(&w->metrics.tunnel_total, 1);
    t->tunnel = http_tunnel_begin(w->loop, t->http, fd, head, early, &owner);
}

enum edge_step edge_tunnel_answer(struct edge_txn *t)
{
    struct edge_fetch *f = t->fetch;
    if (edge_head_status(f->rep->head) != 101) {
        t->upload_done = true; /* as an ordinary request without a body */
        edge_fetch_body_ready(f);
        return EDGE_STEP_STREAM;
    }
    if (!edge_stall_join(t, 0)) {
        return edge_deliver_error(t, 502, "the beginning of what the origin sent is gone");
    }
    struct MHD_Response *response = http_response_upgrade(t->http, begin, t);
    edge_deliver_respond(t, response, 101, edge_fetch_told(f, true), NULL, 0);
    MHD_destroy_response(response);
    return EDGE_STEP_DONE;
}
