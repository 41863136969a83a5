/* A transaction's life, its waits, and small questions that several states ask. It is kept for the worker's
 * next request because its buffers are worth more than itself; it must outlive the request when a stream or
 * another thread still points to it, which `stream` and `disk_pending` say. */
#include "edge/request/txn.h"

#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "edge/base/tuning.h"
#include "edge/cache/blob.h"
#include "edge/memory/budget.h"
#include "edge/request/stall.h"
#include "edge/site/rule.h"

#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define SPARE_TXNS 128u           /* kept for reuse */
#define SPARE_TEXT ((size_t)1024) /* of one of them, in each of its buffers */

struct edge_txn *edge_txn_new(struct edge_worker *w, struct http_request *req,
                              const struct edge_txn_hooks *hooks)
{
    struct edge_txn *t = w->free_txn;
    if (t) {
        w->free_txn = t->next;
        w->free_txn_count--;
    } else {
        t = cdn_calloc(1, sizeof(*t));
    }
    t->next = NULL;
    t->hooks = hooks;
    t->waiter = hooks->waiter;
    t->worker = w;
    t->http = req;
    t->now_ms = loop_now_ms(w->loop);
    t->verdict = EDGE_VERDICT_MISS; /* until something better is known */
    req->app = t;
    return t;
}

void edge_txn_leave_fetch(struct edge_txn *t)
{
    if (t->fetch) {
        edge_stall_leave(t);
        edge_fetch_leave(CDN_TAKE(t->fetch), t->worker, &t->waiter);
    }
}

static struct cdn_buf spare_buffer(struct cdn_buf b)
{
    if (b.room > SPARE_TEXT) {
        cdn_buf_free(&b);
    }
    cdn_buf_clear(&b);
    return b;
}

static void discard(struct edge_txn *t)
{
    struct edge_worker *w = t->worker;
    t->hooks->drop(t);
    edge_txn_leave_fetch(t);
    edge_cache_release(w->edge->cache, &t->hold);
    if (t->entry) {
        edge_cache_leave(w->edge->cache, t->entry);
    }
    edge_blob_unref(t->blob);
    edge_tuning_unref(t->tuning);
    edge_blob_unref(t->query_body);
    cdn_buf_free(&t->search_key);
    struct cdn_buf key = t->key;
    struct cdn_buf text = t->text;
    edge_budget_sub(t->upload.room + (t->upload_charged ? EDGE_BUDGET_UPLOAD : 0));
    cdn_buf_free(&t->upload);
    memset(t, 0, sizeof(*t));
    if (w->free_txn_count >= SPARE_TXNS) {
        cdn_buf_free(&key);
        cdn_buf_free(&text);
        free(t);
        return;
    }
    t->key = spare_buffer(key);
    t->text = spare_buffer(text);
    t->next = w->free_txn;
    w->free_txn = t;
    w->free_txn_count++;
}

bool edge_txn_release(struct edge_txn *t)
{
    if (!t->over || t->stream || t->disk_pending) {
        return false;
    }
    discard(t);
    return true;
}

enum edge_step edge_txn_wait(struct edge_txn *t, enum edge_step step)
{
    t->step = step;
    http_request_suspend(t->http);
    return EDGE_STEP_WAIT;
}

static void disk_done(void *arg) /* loop thread */
{
    struct edge_txn *t = arg;
    t->disk_pending = false;
    if (!edge_txn_release(t)) {
        http_request_resume(t->http);
    }
}

void edge_txn_disk_done(void *arg)
{
    struct edge_txn *t = arg;
    loop_post(t->worker->loop, disk_done, t);
}

enum edge_step edge_txn_wait_disk(struct edge_txn *t, enum edge_step step)
{
    t->disk_pending = true;
    return edge_txn_wait(t, step);
}

/* ---- what several states ask ---- */

bool edge_txn_is_cached_method(const struct edge_txn *t)
{
    return t->http->method == HTTP_HEAD || edge_txn_gets(t);
}

bool edge_txn_gets(const struct edge_txn *t)
{
    return t->http->method == HTTP_GET || t->query_keyed;
}

bool edge_txn_only_cached(const struct edge_txn *t)
{
    return t->guard.limited || edge_freshness_only_if_cached(&t->target.rule->rules, &t->control);
}

static bool collect_cookies(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct cdn_buf *into = arg;
    if (cdn_str_eq_nocase(name, CDN_STR("Cookie"))) {
        cdn_buf_add_str(into, into->n ? CDN_STR("; ") : CDN_STR(""));
        cdn_buf_add_str(into, value);
    }
    return true;
}

void edge_txn_cookies(const struct edge_txn *t, struct cdn_buf *into)
{
    http_request_each_field(t->http, collect_cookies, into);
}

enum edge_step edge_txn_pass(struct edge_txn *t, enum edge_cause cause)
{
    t->cause = cause;
    t->verdict = edge_txn_is_cached_method(t) && cause != EDGE_CAUSE_BYPASS_REQUEST &&
                         cause != EDGE_CAUSE_BYPASS_RULE && cause != EDGE_CAUSE_BYPASS_COOKIE &&
                         cause != EDGE_CAUSE_BYPASS_RESPONSE && cause != EDGE_CAUSE_RANGE_IGNORED
                     ? EDGE_VERDICT_MISS
                     : EDGE_VERDICT_BYPASS;
    return EDGE_STEP_PASS;
}

enum edge_step edge_txn_pass_instead(struct edge_txn *t, enum edge_cause cause)
{
    edge_txn_leave_fetch(t);
    return edge_txn_pass(t, cause);
}
