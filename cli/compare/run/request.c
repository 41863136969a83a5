/* request: one request as a client sees it, the router's redirect included. Times are those of libcurl;
 * with a redirect they are added, as they follow one another. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/world.h"
#include "cli/compare/run/run_private.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/banned.h"

/* The edge's own name is the first word of Cache-Status (RFC 9211). */
static uint16_t edge_of(const struct run_request *request, struct cdn_str cache_status)
{
    struct cdn_str rest = cache_status, name = cdn_str_trim(cdn_str_cut(&rest, ';'));
    return router_edges_find(request->run->c->world.table->edges, name);
}

static void on_head(void *arg, const struct http_fetch_head *head)
{
    struct run_request *request = arg;
    request->status = head->status;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (request->routing && cdn_str_eq_nocase(field->name, CDN_STR("Location"))) {
            (void)cdn_str_copy(request->location, sizeof(request->location), field->value);
        } else if (!request->routing && cdn_str_eq_nocase(field->name, CDN_STR("X-Cache"))) {
            (void)cdn_str_copy(request->verdict, sizeof(request->verdict), field->value);
        } else if (!request->routing && cdn_str_eq_nocase(field->name, CDN_STR("Cache-Status"))) {
            request->sample.edge = edge_of(request, field->value);
        }
    }
}

static bool on_data(void *arg, const char *data, size_t n)
{
    struct run_request *request = arg;
    if (!request->routing) {
        request->bytes += n;
        for (size_t i = 0; i < n; i++) { /* FNV-1a: the same however the body is cut into pieces */
            request->hash = (request->hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
        }
    }
    return true;
}

static void start_fetch(struct run_request *request, const char *url);

static void next(struct loop_deferred *self)
{
    struct run_request *request = CDN_CONTAINER_OF(self, struct run_request, next);
    if (!request->routing || request->error != HTTP_FETCH_NONE) {
        request->done(request);
        return;
    }
    request->routing = false;
    if (request->status / 100 != 3 || !request->location[0]) {
        request->error = HTTP_FETCH_PROTOCOL;
        (void)snprintf(request->why, sizeof(request->why), "the router answered %u and no Location",
                       request->status);
        request->done(request);
        return;
    }
    start_fetch(request, request->location);
}

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct run_request *request = arg;
    struct http_fetch_times times;
    http_fetch_times_get(request->fetch, &times);
    request->fetch = NULL;
    request->error = error;
    (void)snprintf(request->why, sizeof(request->why), "%s", text);
    struct sample *sample = &request->sample;
    if (request->routing) {
        sample->router_ms = (double)times.total_us / 1e3;
    } else {
        sample->connect_ms = times.reused ? 0 : (double)times.connect_us / 1e3;
        sample->first_byte_ms = sample->router_ms + (double)times.first_byte_us / 1e3;
        sample->total_ms = sample->router_ms + (double)times.total_us / 1e3;
    }
    loop_defer(request->run->loop, &request->next);
}

static void start_fetch(struct run_request *request, const char *url)
{
    static const struct http_fetch_handler handler = {.head = on_head, .data = on_data, .end = on_end};
    const struct http_field revalidate = {CDN_STR("Cache-Control"), CDN_STR("no-cache")};
    const struct http_field uncacheable = {CDN_STR("Cache-Control"), CDN_STR("no-store")};
    const struct http_fetch_request fetch = {
        .method = "GET",
        .url = url,
        .fields = request->revalidate ? &revalidate : &uncacheable,
        .field_count = request->revalidate || request->uncacheable,
        .handler = &handler,
        .arg = request,
        .total_timeout_ms = RUN_TIMEOUT_MS,
    };
    request->fetch = http_fetch_start(request->client, &fetch);
}

void run_request_start(struct run_request *request)
{
    struct run *run = request->run;
    request->sample = (struct sample){.edge = ROUTER_NO_EDGE,
                                      .began_s = (double)(loop_mono_ns(run->loop) - run->began_ns) / 1e9};
    request->status = 0;
    request->verdict[0] = request->location[0] = request->why[0] = '\0';
    request->bytes = request->hash = 0;
    request->error = HTTP_FETCH_NONE;
    request->routing = request->by_router;
    request->next.call = next;
    start_fetch(request, request->url);
}

void run_request_cancel(struct run_request *request)
{
    if (request->fetch) {
        http_fetch_cancel(request->fetch);
        request->fetch = NULL;
    }
    loop_defer_cancel(request->run->loop, &request->next);
}
