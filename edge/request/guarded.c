/* guarded: one judgement for each request, and the answers to those that it goes against. What is told of a
 * signature is its kind of fault in a word; what a policy says is told to nobody. */
#include "edge/request/guarded.h"

#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/rate.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/worker.h"
#include "edge/geo/client_db.h"
#include "edge/geo/client_place.h"
#include "edge/request/deliver.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/key.h"
#include "edge/signed/policy.h"
#include "edge/signed/signed.h"
#include "edge/site/guard.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/banned.h"

#define SECOND_US UINT64_C(1000000)
#define MEMO_ENTRIES 1024u /* signatures that a worker remembers: 32 KiB */

/* ---- rates ---- */

static bool take(struct edge_worker *w, const struct cdn_addr *client, const struct edge_rates *rates,
                 bool miss, uint64_t *ret_wait_us)
{
    const struct cdn_rate_limit *limit = miss ? &rates->miss : &rates->rate;
    if (!limit->interval_us) {
        return true;
    }
    const uint64_t kind = miss ? rates->miss_kind : rates->rate_kind;
    const uint64_t owner = cdn_rate_owner(w->edge->rate, client, &rates->networks, kind);
    return cdn_rate_take(w->edge->rate, owner, limit, loop_mono_ns(w->loop) / 1000, ret_wait_us);
}

bool edge_guarded_hot(struct edge_worker *w, struct http_request *req, const struct edge_guard *guard)
{
    struct cdn_addr client;
    http_forwarded_client(req, &edge_tuning_now(w->edge)->trust, &client);
    return take(w, &client, &guard->rates, false, NULL) || guard->rates.cached_only;
}

static void limit(struct edge_txn *t, uint64_t wait_us)
{
    t->guard.limited = true;
    t->guard.retry_s = (unsigned)((wait_us + SECOND_US - 1) / SECOND_US);
}

bool edge_guarded_miss(struct edge_txn *t)
{
    uint64_t wait_us = 0;
    struct cdn_addr client;
    const struct edge_guard *guard = &t->target.rule->guard;
    if (t->guard.limited || t->guard.miss_counted || !guard->rates.miss.interval_us) {
        return !t->guard.limited;
    }
    http_forwarded_client(t->http, &t->tuning->trust, &client);
    t->guard.miss_counted = true;
    if (!take(t->worker, &client, &guard->rates, true, &wait_us)) {
        limit(t, wait_us);
        t->guard.over_misses = true;
        cdn_metric_add(&t->worker->metrics.miss_limited_total, 1);
    }
    return !t->guard.limited;
}

enum edge_step edge_guarded_limited(struct edge_txn *t)
{
    char field[48];
    t->cause = t->guard.over_misses ? EDGE_CAUSE_MISS_LIMIT : EDGE_CAUSE_RATE_LIMIT;
    snprintf(field, sizeof(field), "Retry-After: %u", t->guard.retry_s ? t->guard.retry_s : 1);
    return edge_deliver_error_with(t, 429, "too many requests from this network", field);
}

static void check_rate(struct edge_txn *t, const struct cdn_addr *client)
{
    const struct edge_rates *rates = &t->target.rule->guard.rates;
    uint64_t wait_us = 0;
    if (take(t->worker, client, rates, false, &wait_us)) {
        return;
    }
    limit(t, wait_us);
    t->guard.status = rates->cached_only ? 0 : 429;
    cdn_metric_add(&t->worker->metrics.rate_limited_total, 1);
}

/* ---- countries ---- */

static void check_country(struct edge_txn *t, const struct cdn_addr *client)
{
    const struct edge_guard *guard = &t->target.rule->guard;
    const struct cdn_str country = edge_place_country(t->tuning->places.db, client);
    if ((guard->allow.count && !edge_countries_has(&guard->allow, country)) ||
        edge_countries_has(&guard->deny, country)) {
        t->guard.status = guard->deny_status;
        cdn_metric_add(&t->worker->metrics.country_refused_total, 1);
    }
}

/* ---- signatures ---- */

struct urls { /* the forms in which a URL may have been signed */
    struct cdn_buf form[EDGE_SIGNED_URLS];
    size_t n, canonical;
};

static void add_canonical(struct urls *urls, bool secure, struct cdn_str host, struct cdn_str path,
                          struct cdn_str query)
{
    static const struct edge_query_policy all = {.mode = EDGE_QUERY_ALL};
    char into[EDGE_KEY_MAX];
    struct cdn_str key;
    const struct edge_key_parts parts = {.secure = secure, .host = host, .path = path, .query = query};
    if (edge_key_build(&parts, &all, into, sizeof(into), &key) == EDGE_KEY_OK &&
        (urls->n == 0 || !cdn_str_eq(key, cdn_buf_str(&urls->form[0])))) {
        cdn_buf_add_str(&urls->form[urls->n++], key);
        urls->canonical = urls->n;
    }
}

/* As asked for, as its site is called, and letter for letter. */
static void make_urls(const struct edge_txn *t, struct cdn_str query, struct urls *urls)
{
    const struct http_request *req = t->http;
    add_canonical(urls, req->asked_secure, req->asked_host, req->path, query);
    add_canonical(urls, req->asked_secure, t->target.host, req->path, query);
    struct cdn_buf *raw = &urls->form[urls->n++];
    cdn_buf_add_str(raw, req->asked_secure ? CDN_STR("https://") : CDN_STR("http://"));
    cdn_buf_add_str(raw, req->asked_host);
    cdn_buf_add_str(raw, req->path);
    if (query.p) {
        cdn_buf_add_char(raw, '?');
        cdn_buf_add_str(raw, query);
    }
}

static enum edge_signed_verdict judge_signature(struct edge_txn *t, const struct cdn_addr *client)
{
    CDN_AUTOBUF struct cdn_buf query = {0};
    CDN_AUTOBUF struct cdn_buf cookies = {0};
    CDN_AUTOBUF struct cdn_buf others = {0};
    struct edge_worker *w = t->worker;
    struct edge_signed_request request = {.now_s = t->now_ms / 1000, .client = client};
    struct urls urls = {0};
    const bool has_query = t->http->query.p && edge_signed_of_query(t->http->query, &request.parts, &query);
    if (!edge_signed_is_there(&request.parts)) {
        edge_txn_cookies(t, &cookies);
        edge_signed_of_cookie(cdn_buf_str(&cookies), &request.parts, &others);
    }
    make_urls(t, has_query ? cdn_buf_str(&query) : (struct cdn_str){0}, &urls);
    for (size_t i = 0; i < urls.n; i++) {
        request.url[i] = cdn_buf_str(&urls.form[i]);
    }
    request.url_count = urls.n;
    request.canonical_count = urls.canonical;
    if (!w->signatures) {
        w->signatures = edge_signed_memo_create(MEMO_ENTRIES);
    }
    const enum edge_signed_verdict verdict =
        edge_signed_check(t->target.rule->guard.keys, w->signatures, &request);
    for (size_t i = 0; i < urls.n; i++) {
        cdn_buf_free(&urls.form[i]);
    }
    return verdict;
}

static void check_signature(struct edge_txn *t, const struct cdn_addr *client)
{
    const uint64_t before = t->worker->signatures ? edge_signed_memo_verified(t->worker->signatures) : 0;
    t->guard.signature = judge_signature(t, client);
    cdn_metric_add(&t->worker->metrics.signature_verified_total,
                   edge_signed_memo_verified(t->worker->signatures) - before);
    if (t->guard.signature != EDGE_SIGNED_GOOD) {
        t->guard.status = 403;
        cdn_metric_add(&t->worker->metrics.signature_refused_total, 1);
    }
}

/* ---- all of it ---- */

bool edge_guarded_refuses(struct edge_txn *t)
{
    const struct edge_guard *guard = &t->target.rule->guard;
    struct cdn_addr client;
    if (t->guard.judged || !(guard->has_rates || guard->by_country || guard->keys)) {
        return t->guard.status != 0;
    }
    t->guard.judged = true;
    http_forwarded_client(t->http, &t->tuning->trust, &client);
    if (guard->by_country) {
        check_country(t, &client);
    }
    if (!t->guard.status && guard->has_rates) {
        check_rate(t, &client);
    }
    if (!t->guard.status && guard->keys) {
        check_signature(t, &client);
    }
    return t->guard.status != 0;
}

enum edge_step edge_guarded_answer(struct edge_txn *t)
{
    if (t->guard.status == 429) {
        return edge_guarded_limited(t);
    }
    if (t->guard.status == 403 && t->guard.signature != EDGE_SIGNED_GOOD) {
        CDN_AUTOFREE char *detail = cdn_asprintf("%s: %s", edge_signed_word(t->guard.signature),
                                                 edge_signed_text(t->guard.signature));
        t->cause = EDGE_CAUSE_SIGNATURE;
        return edge_deliver_error(t, 403, detail);
    }
    t->cause = EDGE_CAUSE_COUNTRY;
    return edge_deliver_error(t, t->guard.status, "not for the country that this request comes from");
}
