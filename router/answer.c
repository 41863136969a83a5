/* answer: redirects from a short list of responses that are used again: one is taken, its Location
 * renewed in place, and given back when it is sent. So the usual answer allocates nothing. */
#include "router/answer.h"

#include "common/clock.h"
#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "router/base/edges.h"
#include "router/base/proxy_settings.h"
#include "router/base/target.h"
#include "router/decide/ask.h"
#include "router/decide/resolve.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/banned.h"

#define SAMPLE 64 /* decisions to each one that is measured: asking for the time costs more than deciding */

struct router_redirect {
    enum router_mode mode; /* first: what kind of thing a request carries (server.c) */
    struct router_redirect *next;
    struct MHD_Response *response;
    unsigned generation;
    size_t location_n; /* of the field's value */
};

static void decide(struct router_answer *a, const struct router_table *table, struct http_request *req)
{
    struct router_question question;
    router_ask(table, req, &a->pin, &question);
    bool measured = a->decided++ % SAMPLE == 0;
    int64_t start = measured ? cdn_clock_mono_ns() : 0;
    router_decide_brief(table, &question, 2, &a->decision);
    a->decision_ns = measured ? (cdn_clock_mono_ns() - start) * SAMPLE : 0;
}

static enum router_outcome refuse_method(struct http_request *req)
{
    static const char *const fields[] = {"Allow: GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE", NULL};
    http_respond_text(req, 405, "text/plain; charset=utf-8",
                      CDN_STR("The router sends clients to edges; this method is not for one edge alone.\n"),
                      fields);
    return ROUTER_REFUSED;
}

static enum router_outcome preflight(struct http_request *req)
{
    static const char *const fields[] = {
        "Access-Control-Allow-Origin: *",
        "Access-Control-Allow-Methods: GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers: *",
        "Access-Control-Max-Age: 600",
        "Allow: GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE",
        NULL};
    http_respond_text(req, 204, NULL, CDN_STR(""), fields);
    return ROUTER_PREFLIGHT;
}

static struct router_redirect **idle_of(struct router_answer *a, size_t location_n)
{
    return &a->idle[location_n % ROUTER_IDLE_LISTS];
}

static void redirect_free(struct router_redirect *r)
{
    MHD_destroy_response(r->response);
    free(r);
}

static struct router_redirect *redirect_make(struct router_answer *a, const struct router_table *table,
                                             struct cdn_str location)
{
    const bool moved = cdn_clock_offset_ms() != 0;
    struct router_redirect *r = cdn_calloc(1, sizeof(*r));
    r->generation = a->generation - moved; /* its Date is of this moment: not to be used again */
    r->response = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (moved) { /* else libmicrohttpd adds the true time */
        char date[HTTP_DATE_SIZE];
        http_date_format(cdn_clock_now_s(), date);
        http_head_add(&a->head, CDN_STR("Date"), cdn_str(date));
    }
    http_head_add(&a->head, CDN_STR("Location"), location);
    http_head_add(&a->head, CDN_STR("Cache-Control"), cdn_str(table->cache_control));
    http_head_add(&a->head, CDN_STR("Access-Control-Allow-Origin"), CDN_STR("*"));
    http_head_add(&a->head, CDN_STR("Timing-Allow-Origin"), CDN_STR("*"));
    http_head_seal(&a->head, r->response);
    return r;
}

static struct router_redirect *redirect_take(struct router_answer *a, const struct router_table *table,
                                             struct cdn_str location)
{
    struct router_redirect **idle = idle_of(a, location.n), *r = *idle;
    if (r && cdn_clock_offset_ms() == 0) {
        *idle = r->next;
        a->idle_count--;
        http_head_renew(r->response, CDN_STR("Location"), location);
    } else {
        r = redirect_make(a, table, location);
    }
    r->location_n = location.n;
    return r;
}

void router_answer_done(struct router_answer *answer, struct http_request *req)
{
    struct router_redirect *r = req->app;
    req->app = NULL;
    if (r && r->generation == answer->generation && answer->idle_count < ROUTER_IDLE_MAX) {
        struct router_redirect **idle = idle_of(answer, r->location_n);
        r->next = *idle;
        *idle = r;
        answer->idle_count++;
    } else if (r) {
        redirect_free(r);
    }
}

void router_answer_renew(struct router_answer *answer)
{
    answer->generation++;
    answer->idle_count = 0;
    for (size_t i = 0; i < ROUTER_IDLE_LISTS; i++) {
        while (answer->idle[i]) {
            struct router_redirect *r = answer->idle[i];
            answer->idle[i] = r->next;
            redirect_free(r);
        }
    }
}

static enum router_outcome redirect(struct router_answer *a, const struct router_table *table,
                                    struct http_request *req)
{
    decide(a, table, req);
    if (a->decision.count == 0) {
        http_respond_problem(req, 503, "no edge can serve at the moment");
        return ROUTER_UNSERVED;
    }
    enum cdn_status status =
        router_target_build(&table->edges->at[a->decision.edges[0]], req->path, req->query, &a->location);
    if (status != CDN_OK) {
        http_respond_problem(req, status == CDN_TOO_LARGE ? 414 : 400,
                             status == CDN_TOO_LARGE ? "the target is too long" : "the target has no path");
        return ROUTER_REFUSED;
    }
    bool safe = req->method == HTTP_GET || req->method == HTTP_HEAD;
    struct router_redirect *r = redirect_take(a, table, cdn_buf_str(&a->location));
    req->app = r;
    http_respond(req, safe ? table->redirect_status : 307, r->response);
    return ROUTER_REDIRECTED;
}

enum router_outcome router_answer(struct router_answer *answer, const struct router_table *table,
                                  struct http_request *req)
{
    if (req->method == HTTP_OPTIONS) {
        return preflight(req);
    }
    if (req->method == HTTP_PURGE || req->method == HTTP_TRACE ||
        cdn_str_eq(req->method_name, CDN_STR("CONNECT"))) {
        return refuse_method(req);
    }
    return redirect(answer, table, req);
}

void router_answer_fini(struct router_answer *answer)
{
    router_answer_renew(answer);
    http_head_free(&answer->head);
    cdn_buf_free(&answer->location);
    cdn_buf_free(&answer->pin);
}
