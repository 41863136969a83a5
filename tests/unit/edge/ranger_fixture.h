/* ranger_fixture: a real request that the test holds, with a transaction and a ranger that the test reads;
 * libmicrohttpd is not asked for its answer. */
#ifndef CDN_TESTS_RANGER_FIXTURE_H
#define CDN_TESTS_RANGER_FIXTURE_H
#include "common/clock.h"
#include "common/http/client/http_client.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/tuning.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/fetch/fetch.h"
#include "edge/request/queue.h"
#include "edge/request/ranger.h"
#include "edge/request/ranger_private.h"
#include "edge/request/txn.h"
#include "edge/semantics/vary.h"
#include "edge/site/site.h"
#include "edge/site/target.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/edge/edge_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define KEY "http://h/a"

static struct http_server *server;
static struct http_request *held;
static bool over; /* the request may be answered now */
static struct wire wire;
static struct edge_txn *txn;

/* ---- a request that is held ---- */

static inline void ready(void *self, struct http_request *req)
{
    (void)self;
    if (over) {
        http_respond_text(req, 204, "text/plain", CDN_STR(""), NULL);
        return;
    }
    held = req;
    http_request_suspend(req);
}

static inline void head(void *self, struct http_request *req)
{
    (void)self, (void)req;
}

static inline bool is_held(void *arg)
{
    (void)arg;
    return held != NULL;
}

static inline void txn_moved(struct edge_fetch_waiter *waiter)
{
    (void)waiter; /* the test asks anyway */
}

static inline void no_interim(struct edge_fetch_waiter *waiter, const struct http_fetch_head *h)
{
    (void)waiter, (void)h;
}

static const struct http_handler handler = {.head = head, .ready = ready};
static const struct edge_txn_hooks hooks = {.waiter = {.moved = txn_moved, .interim = no_interim},
                                            .drop = edge_ranger_discard};

static inline void hold_request(void)
{
    const struct http_server_config config = {
        .listen = loopback(0), .handler = &handler, .suspend_limit_s = 600};
    struct cdn_addr address;
    ck_assert_int_eq(http_server_start(worker->loop, &config, &server, NULL), CDN_OK);
    http_server_address(server, &address);
    wire = wire_open(&address);
    wire_send(&wire, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    turn_until(worker->loop, is_held, NULL);
}

static inline void start_with(const char *const *flags, uint64_t whole)
{
    held = NULL;
    over = false;
    begin_edge(flags);
    site.whole = whole;
    hold_request();
    txn = edge_txn_new(worker, held, &hooks);
    txn->target.path = CDN_STR("/a");
    txn->target.host = CDN_STR("h");
    txn->tuning = edge_tuning_ref(edge_tuning_now(edge));
    txn->target.rule = edge_tuning_now(edge)->sites.any->rule;
    txn->entry = edge_cache_enter(edge->cache, CDN_STR(KEY));
}

static inline void end_request(void)
{
    edge_queue_leave(txn);
    txn->over = true;
    txn->http = NULL;
    ck_assert(edge_txn_release(txn));
    over = true;
    http_request_resume(held);
    ck_assert(wire_wait(worker->loop, &wire, "204"));
    wire_close(&wire);
    http_server_stop(server);
}

/* ---- reading ---- */

/* The version that the answer began with, from its first stored part. */
static inline void begin_at(uint64_t from, uint64_t n)
{
    struct edge_vary_source any = {.get = edge_vary_fields_get, .arg = &(struct edge_vary_fields){0}};
    struct edge_hold part = {0};
    ck_assert(edge_cache_select_part(edge->cache, txn->entry, &any, UINT64_MAX, NULL, &part, NULL));
    edge_ranger_begin(txn, part.rep, from, n, NULL);
    edge_cache_release(edge->cache, &part);
}

/* Up to `max` bytes at a time until there are `n` in all, or none follow; what read() said last. */
static inline ssize_t read_until(struct cdn_buf *got, uint64_t n, size_t max)
{
    const int64_t limit = cdn_clock_mono_ms() + NET_LIMIT_MS;
    char block[4096];
    ssize_t more = 0;
    while (got->n < n) {
        more = edge_ranger_read(txn->ranger, block, max);
        if (more == HTTP_STREAM_WAIT && txn->queue.state != EDGE_QUEUE_WAITS) {
            ck_assert_msg(cdn_clock_mono_ms() < limit, "nothing came in time");
            loop_turn(worker->loop, 1);
        } else if (more > 0) {
            ck_assert_uint_le((size_t)more, max);
            cdn_buf_add(got, block, (size_t)more);
        } else {
            break;
        }
    }
    return more;
}

static inline void check_bytes(const struct cdn_buf *got, uint64_t from, uint64_t n, const char *what)
{
    CDN_AUTOBUF struct cdn_buf right = {0};
    add_bytes(0, from, n, &right);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(got), cdn_buf_str(&right)), "%s: %zu bytes of %zu", what, got->n,
                  right.n);
}

static inline struct edge_object *stored_at(uint64_t at)
{
    struct edge_vary_source any = {.get = edge_vary_fields_get, .arg = &(struct edge_vary_fields){0}};
    struct edge_hold part = {0};
    if (!edge_cache_select_part(edge->cache, txn->entry, &any, at, NULL, &part, NULL)) {
        return NULL;
    }
    struct edge_object *o = part.object;
    edge_cache_release(edge->cache, &part);
    return o;
}

#endif
