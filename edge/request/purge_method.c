/* purge_method: the PURGE method on the public listener, as Varnish and Fastly have it.
 *
 * PURGE /path purges the URL; with a tag field (Surrogate-Key, Cache-Tag, xkey) it purges what carries the
 * tags instead. Allowed are who has the token and programs in `purge_allow`; a web page in a browser that
 * happens to be there is not. The request waits for the start's loading (what is purged must not be loaded
 * afterwards), then for the store's writer (it must not be there again after a crash), and is answered then.
 */
#include "common/daemon/metrics.h"
#include "common/http/server/http_bearer.h"
#include "common/http/server/http_browser.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/worker.h"
#include "edge/purge/purge.h"
#include "edge/purge/purge_job.h"
#include "edge/request/deliver.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/cause.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

static bool may_purge(struct edge_txn *t)
{
    struct edge *edge = t->worker->edge;
    const struct edge_tuning *tuning = edge_tuning_now(edge);
    struct cdn_str given = t->http->field[HTTP_REQ_AUTHORIZATION];
    struct cdn_str token;
    if (tuning->purge_token[0] && http_bearer_read(given, &token)) {
        return http_bearer_is(given, cdn_str(tuning->purge_token));
    }
    struct cdn_addr client; /* nobody is in no network */
    struct http_browser browser;
    http_browser_read(t->http, &browser);
    if (browser.page) { /* the user's browser is in an allowed network, the page's author is not */
        return false;
    }
    http_forwarded_client(t->http, &tuning->trust, &client);
    for (size_t i = 0; i < tuning->purge_allow.count; i++) {
        if (cdn_cidr_has(&tuning->purge_allow.item[i], &client)) {
            return true;
        }
    }
    return false;
}

struct purge_fields {
    struct edge_txn *txn;
    bool soft;
    unsigned tag_lines;
    uint64_t total;
};

static bool has_tags(struct cdn_str name, struct cdn_str value)
{
    return cdn_str_trim(value).n &&
           (cdn_str_eq_nocase(name, CDN_STR("Surrogate-Key")) ||
            cdn_str_eq_nocase(name, CDN_STR("Cache-Tag")) || cdn_str_eq_nocase(name, CDN_STR("xkey")));
}

static bool find_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct purge_fields *f = arg;
    if (cdn_str_eq_nocase(name, CDN_STR("Fastly-Soft-Purge"))) {
        f->soft = cdn_str_eq(cdn_str_trim(value), CDN_STR("1"));
    }
    f->tag_lines += has_tags(name, value);
    return true;
}

static bool is_soft(struct edge_txn *t)
{
    struct purge_fields f = {.txn = t};
    http_request_each_field(t->http, find_field, &f);
    return f.soft;
}

static bool purge_tags(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct purge_fields *f = arg;
    const char separator = cdn_str_find(value, ',') >= 0 ? ',' : ' ';
    for (struct cdn_str rest = value; has_tags(name, value) && rest.p;) {
        struct edge_purge p = {
            .kind = EDGE_PURGE_TAG, .text = cdn_str_trim(cdn_str_cut(&rest, separator)), .soft = f->soft};
        uint64_t count = 0;
        if (p.text.n && edge_purge_apply(f->txn->worker->edge, &p, f->txn->now_ms, &count, NULL) == CDN_OK) {
            f->total += count;
        }
    }
    return true;
}

enum edge_step edge_purge_method_answer(struct edge_txn *t)
{
    CDN_AUTOFREE char *body = cdn_asprintf("{\"status\":\"ok\",\"purged\":%" PRIu64 ",\"soft\":%s}\n",
                                           t->purge.count, is_soft(t) ? "true" : "false");
    t->status = 200;
    t->sent = strlen(body);
    t->verdict = EDGE_VERDICT_BYPASS;
    t->cause = EDGE_CAUSE_BYPASS_METHOD;
    http_respond_text(t->http, 200, "application/json", cdn_str(body), NULL);
    return EDGE_STEP_DONE;
}

static bool apply(struct edge_purge_job *job)
{
    struct edge_txn *t = CDN_CONTAINER_OF(job, struct edge_txn, purge);
    struct purge_fields f = {.txn = t};
    if (t->over) { /* the client went while the start's loading went on */
        return false;
    }
    http_request_each_field(t->http, find_field, &f);
    if (f.tag_lines) {
        http_request_each_field(t->http, purge_tags, &f);
    } else {
        f.total = edge_purge_key(job->edge, cdn_buf_str(&t->key), f.soft, t->now_ms);
    }
    cdn_metric_add(&t->worker->metrics.purged_total, f.total);
    job->count = f.total;
    return true;
}

static void done(struct edge_purge_job *job)
{
    edge_txn_disk_done(CDN_CONTAINER_OF(job, struct edge_txn, purge));
}

enum edge_step edge_purge_method(struct edge_txn *t)
{
    if (!may_purge(t)) {
        return edge_deliver_error(t, 403,
                                  "PURGE is allowed with the purge_token, or to programs in purge_allow");
    }
    t->purge = (struct edge_purge_job){
        .edge = t->worker->edge, .loop = t->worker->loop, .apply = apply, .done = done};
    return edge_purge_job_run(&t->purge) ? EDGE_STEP_PURGE_ANSWER
                                         : edge_txn_wait_disk(t, EDGE_STEP_PURGE_ANSWER);
}
