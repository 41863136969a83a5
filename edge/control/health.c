/* health: one timer, while there are origins to look at, sees ten times a second which are due; a check
 * is one small request that is given up after its time-out. What an answer means is a pure function
 * (edge_origin_checked). */
#include "edge/control/health.h"

#include "common/daemon/daemon.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/semantics/freshness.h"
#include "edge/site/breaker.h"
#include "edge/site/origin.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define LOOK_NS INT64_C(100000000)
#define NS_PER_MS INT64_C(1000000)
#define RETRY_MS 1000 /* of one that failed and has no path */
#define RETRY_TIMEOUT_MS 2000
#define CHECKS_MAX 64u

struct edge_health {
    struct edge *edge;
    struct loop *loop;
    struct http_client *client;
    struct loop_timer timer;
};

struct check { /* under way */
    struct edge_health *health;
    struct edge_origin *origin;
    struct http_fetch *fetch;
    char *url;
    unsigned status; /* 0: no answer */
};

/* ---- one check ---- */

static void on_head(void *arg, const struct http_fetch_head *head)
{
    struct check *c = arg;
    c->status = head->status;
}

static bool on_data(void *arg, const char *data, size_t n)
{
    (void)arg;
    (void)data;
    (void)n;
    return true; /* bounded by the time-out */
}

static void note(struct edge_health *h, struct edge_origin *o, bool good)
{
    const bool was = atomic_load(&o->sick);
    edge_origin_checked(o, good);
    if (good) {
        edge_breaker_reached(&o->breaker);
    }
    if (atomic_load(&o->sick) != was) {
        cdn_log(CDN_LOG_WARN, was ? "origin_well" : "origin_sick", "origin=%s checks=%u", o->text,
                was ? o->checks_good : o->checks_bad);
    }
    (void)h;
}

static void finish(struct check *c)
{
    c->origin->checking = NULL;
    free(c->url);
    free(c);
}

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct check *c = arg;
    (void)text;
    c->fetch = NULL;
    const bool has_path = c->origin->check.path[0] != '\0';
    const bool answered = c->status != 0 && (error == HTTP_FETCH_NONE || !has_path);
    note(c->health, c->origin, answered && (!has_path || (c->status >= 200 && c->status < 400)));
    finish(c);
}

static const struct http_fetch_handler handler = {.head = on_head, .data = on_data, .end = on_end};

static void begin(struct edge_health *h, struct edge_origin *o)
{
    struct check *c = cdn_calloc(1, sizeof(*c));
    const struct http_field fields[] = {
        {CDN_STR("Host"), cdn_str(o->check.host ? o->check.host : o->authority)},
        {CDN_STR("CDN-Loop"), cdn_str(h->edge->loop_id)}};
    *c = (struct check){.health = h, .origin = o};
    c->url = cdn_asprintf("%s%s", o->base, o->check.path[0] ? o->check.path : "/");
    o->checking = c;
    c->fetch = http_fetch_start(
        h->client, &(struct http_fetch_request){
                       .method = o->check.path[0] ? "GET" : "HEAD",
                       .url = c->url,
                       .unix_socket = o->socket,
                       .fields = fields,
                       .field_count = CDN_ARRAY_LEN(fields),
                       .handler = &handler,
                       .arg = c,
                       .total_timeout_ms = o->check.path[0] ? o->check.timeout_ms : RETRY_TIMEOUT_MS,
                   });
}

/* ---- all of them ---- */

/* How long until it is asked again; negative: it need not be asked. */
static int64_t interval_ms(const struct edge_origin *o)
{
    if (o->check.path[0]) {
        return o->check.interval_ms;
    }
    return o->has_fellows && edge_breaker_state(&o->breaker) != EDGE_ORIGIN_UP ? RETRY_MS : -1;
}

/* Whether it may ever be asked, by the rules in force. */
static bool is_checked(const struct edge_origin *o)
{
    return o->used && (o->check.path[0] || o->has_fellows);
}

void edge_health_wake(struct edge_health *h)
{
    for (const struct edge_origin *o = atomic_load(&h->edge->origins.first); o; o = o->next) {
        if (is_checked(o)) {
            loop_timer_start(h->loop, &h->timer, LOOK_NS);
            return;
        }
    }
}

static void look(struct loop_timer *timer)
{
    struct edge_health *h = CDN_CONTAINER_OF(timer, struct edge_health, timer);
    const int64_t now_ns = loop_mono_ns(h->loop);
    for (struct edge_origin *o = atomic_load(&h->edge->origins.first); o; o = o->next) {
        const int64_t interval = interval_ms(o);
        if (!is_checked(o) || interval < 0 || o->checking || now_ns < o->check_at_ns ||
            http_client_running(h->client) >= CHECKS_MAX) {
            continue;
        }
        o->check_at_ns = now_ns + interval * NS_PER_MS;
        begin(h, o);
    }
    edge_health_wake(h);
}

enum cdn_status edge_health_create(struct edge *edge, struct edge_health **ret, struct cdn_error *err)
{
    const struct edge_settings *s = &edge->settings;
    const struct http_client_config config = {.max_connections = CHECKS_MAX,
                                              .max_idle = CHECKS_MAX / 4,
                                              .connect_timeout_ms = s->connect_timeout,
                                              .ca_file = s->origin_ca[0] ? s->origin_ca : NULL,
                                              .insecure = s->origin_insecure,
                                              .proxy = s->origin_proxy};
    struct edge_health *h = cdn_calloc(1, sizeof(*h));
    h->edge = edge;
    h->loop = daemon_loop(edge->daemon);
    h->timer.fire = look;
    const enum cdn_status status = http_client_create(h->loop, &config, &h->client, err);
    if (status != CDN_OK) {
        free(h);
        return status;
    }
    edge_health_wake(h);
    *ret = h;
    return CDN_OK;
}

void edge_health_destroy(struct edge_health *h)
{
    if (!h) {
        return;
    }
    loop_timer_stop(h->loop, &h->timer);
    for (struct edge_origin *o = atomic_load(&h->edge->origins.first); o; o = o->next) {
        struct check *c = o->checking;
        if (c) {
            http_fetch_cancel(c->fetch);
            finish(c);
        }
    }
    http_client_destroy(h->client);
    free(h);
}
