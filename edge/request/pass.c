/* pass: requests that are the client's own affair: other methods, answers that may not be shared. */
#include "edge/request/pass.h"

#include "common/http/server/http_server.h"
#include "common/http/server/http_tunnel.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/fetch/fetch.h"
#include "edge/request/guarded.h"
#include "edge/request/queue.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/request/upstream.h"

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "common/banned.h"

static ssize_t read_upload(void *arg, char *into, size_t max)
{
    struct edge_fetch *f = arg;
    if (!f->request.leader) {
        return HTTP_STREAM_FAIL;
    }
    struct edge_txn *t = CDN_CONTAINER_OF(f->request.leader, struct edge_txn, waiter);
    if (t->holding) { /* 100 Continue goes to the client */
        t->holding = false;
        http_request_resume(t->http);
    }
    if (t->tunnel) {
        return http_tunnel_take(t->tunnel, into, max);
    }
    size_t have = t->upload.n - t->upload_at;
    if (!have) {
        return t->upload_done ? 0 : HTTP_STREAM_WAIT;
    }
    size_t n = have < max ? have : max;
    memcpy(into, t->upload.p + t->upload_at, n);
    f->body_begun = true;
    t->upload_at += n;
    if (t->upload_at == t->upload.n) {
        cdn_buf_clear(&t->upload);
        t->upload_at = 0;
        if (t->upload_full) {
            t->upload_full = false;
            http_request_resume(t->http);
        }
    }
    return (ssize_t)n;
}

void edge_pass_start(struct edge_txn *t)
{
    struct edge_cache *cache = t->worker->edge->cache;
    struct edge_fetch_request r = {0};
    edge_upstream_request(t, NULL, &r);
    r.upgrade = t->upgrading;
    r.expect_continue = t->holding;
    if (!r.body) {
        r.has_body = t->upgrading || (t->http->has_body && !edge_txn_is_cached_method(t));
        r.body_length = t->upgrading ? -1 : t->http->body_length;
        r.read_body = read_upload;
    }
    if (t->http->method == HTTP_HEAD && t->hold.object &&
        edge_cache_hold(cache, t->hold.object, &r.candidate[0])) {
        r.candidate_count = 1; /* what a HEAD says may confirm or end it (9111 4.3.5) */
    }
    struct edge_entry *entry = /* its answer may be what a GET gets (9110 9.3.3) */
        t->http->method == HTTP_POST ? edge_cache_enter(cache, cdn_buf_str(&t->key)) : NULL;
    t->passing = true;
    t->leader = true;
    t->wish = EDGE_WISH_ALONE;
    t->fetch = edge_fetch_make_alone(t->worker, entry, edge_cache_purge_number(cache), &t->waiter);
    edge_fetch_start(t->fetch, &t->control, &r);
}

enum edge_step edge_pass_begin(struct edge_txn *t)
{
    if (!t->fetch && !edge_guarded_miss(t)) {
        return edge_guarded_limited(t);
    }
    if (!t->fetch && edge_queue_must_wait(t)) {
        return edge_queue_before(t, EDGE_STEP_PASS);
    }
    if (!t->fetch) {
        edge_pass_start(t);
    }
    return EDGE_STEP_FETCHED;
}
