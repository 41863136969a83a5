/* purge_method: PURGE, BAN, PURGEKEYS and PURGETAGS on the public listener, as clients of Varnish, Fastly
 * and Symfony send them (http_purge.h).
 *
 * Allowed are who has the token and programs in `purge_allow`; a web page in a browser that happens to be
 * there is not, nor is who comes through a proxy that is not trusted. The request waits for the start's
 * loading (what is purged must not be loaded afterwards), then for the store's writer (it must not be
 * there again after a crash), and is answered then. */
#include "common/daemon/metrics.h"
#include "common/http/server/http_bearer.h"
#include "common/http/server/http_browser.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/http/syntax/http_purge.h"
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

/* A proxy that is not trusted, on this machine perhaps, where everybody may purge: its address is not that of
 * who asks. */
static bool came_through_a_stranger(const struct http_request *req, const struct http_trust *trust)
{
    static const enum http_request_field traces[] = {HTTP_REQ_VIA, HTTP_REQ_CDN_LOOP, HTTP_REQ_FORWARDED,
                                                     HTTP_REQ_X_FORWARDED_FOR};
    struct cdn_addr peer;
    http_request_client(req, &peer);
    for (size_t i = 0; i < CDN_ARRAY_LEN(traces); i++) {
        if (req->field[traces[i]].p) {
            return trust->field == HTTP_CLIENT_NONE || !http_is_trusted(trust, &peer);
        }
    }
    return false;
}

static bool may_purge(struct edge_txn *t)
{
    struct edge *edge = t->worker->edge;
    const struct edge_tuning *tuning = edge_tuning_now(edge);
    struct cdn_str token;
    if (tuning->purge_token[0] && http_bearer_of(t->http, &token)) {
        return http_bearer_same(token, cdn_str(tuning->purge_token));
    }
    if (came_through_a_stranger(t->http, &tuning->trust)) {
        return false;
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

static bool read_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    http_purge_field(arg, name, value);
    return true;
}

static enum cdn_status read_form(struct edge_txn *t, struct http_purge *ret, struct cdn_error *err)
{
    http_purge_begin(ret, t->http->method_name, t->http->path);
    http_request_each_field(t->http, read_field, ret);
    return http_purge_end(ret, err);
}

enum edge_step edge_purge_method_answer(struct edge_txn *t)
{
    CDN_AUTOFREE char *body = cdn_asprintf("{\"status\":\"ok\",\"purged\":%" PRIu64 ",\"soft\":%s}\n",
                                           t->purge.count, t->purge.soft ? "true" : "false");
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
    struct http_purge form;
    if (t->over) { /* the client went while the start's loading went on */
        return false;
    }
    if (read_form(t, &form, NULL) == CDN_OK) { /* as before */
        job->count = edge_purge_form(job->edge, &form, cdn_buf_str(&t->key), t->now_ms);
    }
    http_purge_free(&form);
    cdn_metric_add(&t->worker->metrics.purged_total, job->count);
    return true;
}

static void done(struct edge_purge_job *job)
{
    edge_txn_disk_done(CDN_CONTAINER_OF(job, struct edge_txn, purge));
}

enum edge_step edge_purge_method(struct edge_txn *t)
{
    struct http_purge form;
    struct cdn_error err;
    if (!may_purge(t)) {
        return edge_deliver_error(t, 403,
                                  "PURGE is allowed with the purge_token, or to programs in purge_allow");
    }
    enum cdn_status status = read_form(t, &form, &err);
    if (status == CDN_OK) {
        status = edge_purge_form_check(t->worker->edge, &form, &err);
    }
    const bool soft = form.soft;
    http_purge_free(&form);
    if (status != CDN_OK) {
        return edge_deliver_error(t, (unsigned)cdn_status_http(status), err.text);
    }
    t->purge = (struct edge_purge_job){
        .edge = t->worker->edge, .loop = t->worker->loop, .apply = apply, .done = done, .soft = soft};
    return edge_purge_job_run(&t->purge) ? EDGE_STEP_PURGE_ANSWER
                                         : edge_txn_wait_disk(t, EDGE_STEP_PURGE_ANSWER);
}
