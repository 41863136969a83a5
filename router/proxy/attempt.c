/* attempt: which edge is asked, asking it, and what follows when it fails. The first choice is that of a
 * redirect; the next ones are the same decision without the edges that were tried, so overrides and limits
 * hold for them too. */
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_tunnel.h"
#include "common/http/syntax/http_message.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/among.h"
#include "router/base/edges.h"
#include "router/base/target.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/proxy/proxy.h"
#include "router/proxy/proxy_private.h"
#include "router/proxy/rules.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)

/* ---- whom ---- */

static int64_t now_ms(const struct router_exchange *x)
{
    return loop_mono_ns(x->proxy->loop) / NS_PER_MS;
}

static bool was_tried(const struct router_exchange *x, uint16_t edge)
{
    for (unsigned i = 0; i < x->tries; i++) {
        if (x->tried[i] == edge) {
            return true;
        }
    }
    return false;
}

/* All edges but those tried, and with `strict` but those that failed just now. */
static const uint64_t *others(struct router_exchange *x, bool strict)
{
    struct router_proxy *p = x->proxy;
    const struct router_edges *edges = x->table->edges;
    const size_t words = router_among_words(edges->count);
    if (p->among_words < words) {
        p->among = cdn_realloc(p->among, words, sizeof(*p->among));
        p->among_words = words;
    }
    memset(p->among, 0, words * sizeof(*p->among));
    const int64_t now = now_ms(x);
    for (size_t i = 0; i < edges->count; i++) {
        const uint16_t edge = (uint16_t)i;
        if (!was_tried(x, edge) && !(strict && router_edge_is_avoided(edges, edge, now))) {
            router_among_set_add(p->among, i);
        }
    }
    return p->among;
}

static bool decide(struct router_exchange *x, const uint64_t *among, struct router_brief *ret)
{
    x->question.among = among;
    x->question.any_family = true; /* it is we who speak to the edge */
    router_decide_brief(x->table, &x->question, 2, ret);
    return ret->count > 0;
}

static bool choose(struct router_exchange *x, struct router_brief *ret)
{
    const bool avoids = router_edges_any_avoided(x->table->edges, now_ms(x));
    return (!x->tries && !avoids && decide(x, NULL, ret)) || (avoids && decide(x, others(x, true), ret)) ||
           decide(x, others(x, false), ret);
}

static const struct router_edge *edge_of(const struct router_exchange *x)
{
    return &x->table->edges->at[x->tried[x->tries - 1]];
}

/* ---- failures ---- */

void router_exchange_wake(struct router_exchange *x)
{
    if (x->tunnel) {
        http_tunnel_moved(x->tunnel);
    } else if (x->stream) {
        http_stream_resume(x->stream);
    } else if (x->http) {
        http_request_resume(x->http);
    }
}

void router_exchange_fail(struct router_exchange *x, unsigned status, const char *why)
{
    x->state = ROUTER_FAILED;
    x->status = status;
    cdn_buf_clear(&x->problem);
    cdn_buf_add_str(&x->problem, cdn_str(why));
    router_exchange_wake(x);
}

static void fail_all(struct router_exchange *x)
{
    CDN_AUTOBUF struct cdn_buf why = {0};
    cdn_metric_add(&x->proxy->metrics.proxied_failed_total, 1);
    if (!x->tries) {
        router_exchange_fail(x, 503, "no edge can serve at the moment");
        return;
    }
    cdn_buf_add_str(&why, CDN_STR("no edge gave an answer:"));
    for (unsigned i = 0; i < x->tries; i++) {
        cdn_buf_printf(&why, "%s %s: %s", i ? "," : "", x->table->edges->at[x->tried[i]].name,
                       http_fetch_error_word(x->errors[i]));
    }
    router_exchange_fail(x, router_rule_status(x->errors[x->tries - 1]), why.p);
}

/* One line when an edge begins to be avoided, not one for each request. */
static void blame(struct router_exchange *x, enum http_fetch_error error, const char *text)
{
    struct router_edges *edges = x->table->edges;
    const uint16_t edge = x->tried[x->tries - 1];
    if (!router_edge_is_avoided(edges, edge, now_ms(x))) {
        cdn_log(CDN_LOG_WARN, "edge_failed", "edge=%s error=%s text=%s", edges->at[edge].name,
                http_fetch_error_word(error), text ? text : "");
    }
    router_edge_avoid(edges, edge, now_ms(x) + x->table->proxy.avoid_ms);
    x->proxy->hooks.failed(x->proxy->hooks.self, edges->at[edge].name);
}

static void forget_answer(struct router_exchange *x)
{
    x->state = ROUTER_ASKING;
    x->whole = x->ended = x->broken = x->paused = false;
    x->down_at = 0;
    x->received = 0;
    cdn_buf_clear(&x->down);
    cdn_buf_clear(&x->head.date);
    cdn_buf_clear(&x->head.lines);
}

static void after_failure(struct router_exchange *x, enum http_fetch_error error)
{
    const struct router_failure failure = {error, x->safe, x->body_taken};
    x->errors[x->tries - 1] = error;
    forget_answer(x);
    if (x->http && router_rule_repeats(&failure)) {
        router_attempt_next(x);
    } else {
        fail_all(x);
    }
}

/* ---- one try ---- */

static void on_interim(void *arg, const struct http_fetch_head *head)
{
    const struct router_exchange *x = arg;
    if (x->http) {
        http_respond_interim(x->http, head->status, head->fields, head->field_count);
    }
}

static void end_answer(struct router_exchange *x, bool broken)
{
    if (broken && !x->upgrading) {
        cdn_metric_add(&x->proxy->metrics.proxied_broken_total, 1);
    }
    x->ended = true;
    x->broken = broken;
    router_exchange_wake(x);
}

static void on_head(void *arg, const struct http_fetch_head *head)
{
    struct router_exchange *x = arg;
    x->proxy->hooks.chosen(x->proxy->hooks.self, x->table, &x->decision);
    if (x->resuming && !router_resume_fits(x, head)) {
        router_attempt_leave(x);
        end_answer(x, true);
        return;
    }
    if (x->resuming) {
        cdn_metric_add(&x->proxy->metrics.proxied_resumed_total, 1);
        return;
    }
    router_respond_take_head(x, head);
    router_resume_note(x, head);
    if (!x->whole) {
        router_exchange_wake(x);
    }
}

static bool on_data(void *arg, const char *data, size_t n)
{
    return router_respond_take_data(arg, data, n);
}

static void ask(struct router_exchange *x);

/* Another edge is asked for the rest of the answer. */
static void resume(struct router_exchange *x, enum http_fetch_error error)
{
    struct router_brief decision;
    x->errors[x->tries - 1] = error;
    router_edge_avoid(x->table->edges, x->tried[x->tries - 1], now_ms(x) + x->table->proxy.avoid_ms);
    if (!choose(x, &decision)) {
        end_answer(x, true);
        return;
    }
    x->resuming = true;
    x->paused = false;
    x->decision = decision;
    x->tried[x->tries++] = decision.edges[0];
    ask(x);
}

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct router_exchange *x = arg;
    x->fetch = NULL;
    const bool early = x->state == ROUTER_ASKING || x->whole;
    if (error && early && router_rule_blames(error)) {
        blame(x, error, text);
    } else if (error && !early) {
        x->proxy->hooks.failed(x->proxy->hooks.self, edge_of(x)->name);
    }
    if (error && early) {
        after_failure(x, error);
        return;
    }
    if (error && router_resume_may(x, error)) {
        resume(x, error);
    } else {
        end_answer(x, error != HTTP_FETCH_NONE);
    }
}

static ssize_t read_upload(void *arg, char *into, size_t max)
{
    struct router_exchange *x = arg;
    if (x->tunnel) {
        return http_tunnel_take(x->tunnel, into, max);
    }
    if (x->holding && x->http) { /* 100 Continue goes to the client */
        x->holding = false;
        http_request_resume(x->http);
    }
    const size_t have = x->upload.n - x->upload_at;
    if (!have) {
        return x->upload_done ? 0 : HTTP_STREAM_WAIT;
    }
    const size_t n = have < max ? have : max;
    memcpy(into, x->upload.p + x->upload_at, n);
    x->body_taken = true;
    x->upload_at += n;
    if (x->upload_at == x->upload.n) {
        cdn_buf_clear(&x->upload);
        x->upload_at = 0;
        if (x->upload_full) {
            x->upload_full = false;
            http_request_resume(x->http);
        }
    }
    return (ssize_t)n;
}

static const struct http_fetch_handler fetch_handler = {
    .interim = on_interim, .head = on_head, .data = on_data, .end = on_end};

static void ask(struct router_exchange *x)
{
    struct router_proxy *p = x->proxy;
    const enum cdn_status status = router_target_build(edge_of(x), x->http->path, x->http->query, &p->url);
    if (status != CDN_OK) {
        router_exchange_fail(x, status == CDN_TOO_LARGE ? 414 : 400,
                             status == CDN_TOO_LARGE ? "the target is too long" : "the target has no path");
        return;
    }
    router_outgoing_fields(x);
    struct http_fetch_request r = {
        .method = x->http->method_name.p, /* libmicrohttpd's, ended with a NUL */
        .url = p->url.p,
        .fields = p->fields,
        .field_count = p->field_count,
        .has_body = x->sends_body || x->upgrading,
        .body_length = x->upgrading ? -1 : x->http->body_length,
        .expect_continue = x->holding,
        .read_body = read_upload,
        .handler = &fetch_handler,
        .arg = x,
    };
    x->fetch = http_fetch_start(x->upgrading ? p->upgrades : p->client, &r);
}

void router_attempt_next(struct router_exchange *x)
{
    struct router_brief decision;
    if (x->tries >= x->table->proxy.tries || !choose(x, &decision)) {
        fail_all(x);
        return;
    }
    cdn_metric_add(&x->proxy->metrics.proxied_retry_total, x->tries > 0);
    x->decision = decision;
    x->tried[x->tries++] = decision.edges[0];
    ask(x);
}

void router_attempt_leave(struct router_exchange *x)
{
    if (x->fetch) {
        http_fetch_cancel(CDN_TAKE(x->fetch));
    }
}

void router_attempt_body_ready(struct router_exchange *x)
{
    if (x->fetch) {
        http_fetch_resume(x->fetch);
    }
}

void router_attempt_reconsider(struct router_exchange *x)
{
    struct router_brief decision;
    const struct router_edges *edges = x->table->edges;
    if (!x->fetch || x->state != ROUTER_ASKING || !x->safe || x->body_taken ||
        x->tries >= x->table->proxy.tries ||
        !(router_edge_flags(edges, x->tried[x->tries - 1]) & ROUTER_EDGE_SICK) || !choose(x, &decision) ||
        router_edge_flags(edges, decision.edges[0]) & ROUTER_EDGE_SICK) {
        return;
    }
    router_attempt_leave(x);
    x->errors[x->tries - 1] = HTTP_FETCH_READ_TIMEOUT;
    router_attempt_next(x);
}
