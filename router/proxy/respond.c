/* respond: an edge's answer on its way to the client. Its fields are taken when the head comes, since they
 * are libcurl's only then; the answer itself is given where libmicrohttpd takes one. */
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_tunnel.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/proxy/proxy_private.h"
#include "router/table/table.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "common/banned.h"

/* ---- what comes from the edge ---- */

static bool has_body(const struct router_exchange *x)
{
    return x->http->method != HTTP_HEAD && x->status >= 200 && x->status != 204 && x->status != 304;
}

void router_respond_take_head(struct router_exchange *x, const struct http_fetch_head *head)
{
    CDN_AUTOBUF struct cdn_buf connection = {0};
    CDN_AUTOBUF struct cdn_buf via = {0};
    CDN_AUTOBUF struct cdn_buf way = {0};
    (void)http_fields_join(head->fields, head->field_count, CDN_STR("Connection"), &connection);
    (void)http_fields_join(head->fields, head->field_count, CDN_STR("Via"), &via);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        if (!cdn_str_eq_nocase(f->name, CDN_STR("Via")) &&
            !http_is_hop_by_hop(f->name, cdn_buf_str(&connection))) {
            http_head_add(&x->head, f->name, f->value);
        }
    }
    http_via_append(&way, cdn_buf_str(&via), head->version, cdn_str(x->proxy->name));
    http_head_add(&x->head, CDN_STR("Via"), cdn_buf_str(&way));
    x->state = ROUTER_ANSWERED;
    x->status = head->status;
    x->length = head->content_length;
    if (x->upgrading && x->status != 101) { /* as an ordinary request without a body */
        x->upload_done = true;
        router_attempt_body_ready(x);
    }
    x->whole = x->status != 101 && has_body(x) && x->length >= 0 && (size_t)x->length <= ROUTER_HELD;
}

bool router_respond_take_data(struct router_exchange *x, const char *data, size_t n)
{
    if (x->down.n - x->down_at >= ROUTER_WINDOW) {
        x->paused = true;
        return false;
    }
    if (x->down_at >= ROUTER_WINDOW / 2) {
        memmove(x->down.p, x->down.p + x->down_at, x->down.n - x->down_at);
        x->down.n -= x->down_at;
        x->down_at = 0;
    }
    cdn_buf_add(&x->down, data, n);
    x->received += n;
    if (!x->upgrading) {
        cdn_metric_add(&x->proxy->metrics.proxied_down_bytes_total, n);
    }
    if (!x->whole) {
        router_exchange_wake(x);
    }
    return true;
}

/* ---- what goes to the client ---- */

static ssize_t read_down(struct router_exchange *x, char *into, size_t max)
{
    const size_t have = x->down.n - x->down_at;
    const size_t n = have < max ? have : max;
    if (!have) {
        return !x->ended ? HTTP_STREAM_WAIT : x->broken ? HTTP_STREAM_FAIL : HTTP_STREAM_END;
    }
    memcpy(into, x->down.p + x->down_at, n);
    x->down_at += n;
    if (x->down_at == x->down.n) {
        cdn_buf_clear(&x->down);
        x->down_at = 0;
    }
    if (x->paused && x->fetch && have - n <= ROUTER_WINDOW / 2) {
        x->paused = false;
        http_fetch_resume(x->fetch);
    }
    return (ssize_t)n;
}

static ssize_t stream_read(void *arg, uint64_t at, char *into, size_t max)
{
    (void)at;
    return read_down(arg, into, max);
}

static void stream_over(void *arg)
{
    struct router_exchange *x = arg;
    x->stream = NULL;
    router_attempt_leave(x);
    router_exchange_release(x);
}

/* Takes the reference. */
static void respond_with(struct router_exchange *x, struct MHD_Response *response)
{
    http_head_seal(&x->head, response);
    http_respond(x->http, x->status, response);
    MHD_destroy_response(response);
}

static struct MHD_Response *whole_response(struct router_exchange *x)
{
    const size_t n = x->down.n;
    struct MHD_Response *response =
        n ? MHD_create_response_from_buffer(n, cdn_buf_take(&x->down), MHD_RESPMEM_MUST_FREE)
          : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) {
        cdn_out_of_memory();
    }
    return response;
}

static void respond_stream(struct router_exchange *x)
{
    const struct http_stream_source source = {.read = stream_read, .release = stream_over, .arg = x};
    struct MHD_Response *response;
    x->stream = http_stream_create(x->http, x->length, &source, &response);
    respond_with(x, response);
}

static void respond_problem(struct router_exchange *x)
{
    CDN_AUTOFREE char *told = NULL;
    const unsigned last = x->tries ? x->tries - 1 : 0;
    if (x->tries && x->errors[last]) { /* RFC 9209 */
        told = cdn_asprintf("Proxy-Status: %s; error=%s; next-hop=%s", x->proxy->name,
                            http_fetch_error_word(x->errors[last]), x->table->edges->at[x->tried[last]].name);
    }
    const char *fields[4] = {"Cache-Control: no-store"};
    size_t n = 1;
    if (told) {
        fields[n++] = told;
    }
    if (x->status == 503) {
        fields[n++] = "Retry-After: 1";
    }
    http_respond_problem_with(x->http, x->status, x->problem.p, fields);
}

/* ---- tunnels ---- */

static ssize_t tunnel_read(void *arg, char *into, size_t max)
{
    return read_down(arg, into, max);
}

static void tunnel_sends(void *arg)
{
    router_attempt_body_ready(arg);
}

static void tunnel_moved(void *arg, size_t up, size_t down)
{
    const struct router_exchange *x = arg;
    cdn_metric_add(&x->proxy->metrics.tunnel_up_bytes_total, up);
    cdn_metric_add(&x->proxy->metrics.tunnel_down_bytes_total, down);
}

static void tunnel_over(void *arg)
{
    struct router_exchange *x = arg;
    cdn_metric_add(&x->proxy->metrics.tunnels, -UINT64_C(1));
    x->tunnel = NULL;
    router_attempt_leave(x);
}

static void begin_tunnel(void *arg, int fd, struct cdn_str head, struct cdn_str early)
{
    struct router_exchange *x = arg;
    const char *url = x->table->edges->at[x->tried[x->tries - 1]].url;
    const struct http_tunnel_owner owner = {
        .read = tunnel_read,
        .sends = tunnel_sends,
        .moved = tunnel_moved,
        .over = tunnel_over,
        .arg = x,
        .idle_ms = x->proxy->upgrade_idle_ms,
        .whole = cdn_str_starts(cdn_str(url), CDN_STR("https:")),
    };
    cdn_metric_add(&x->proxy->metrics.tunnels, 1);
    cdn_metric_add(&x->proxy->metrics.tunnel_total, 1);
    x->tunnel = http_tunnel_begin(x->proxy->loop, x->http, fd, head, early, &owner);
}

static void respond_edge(struct router_exchange *x)
{
    if (x->status == 101) {
        respond_with(x, http_response_upgrade(x->http, begin_tunnel, x));
        return;
    }
    if (x->whole) {
        respond_with(x, whole_response(x));
    } else if (has_body(x)) {
        respond_stream(x);
    } else {
        respond_with(x, http_response_bodiless(x->status == 204 ? 0 : x->length));
    }
}

void router_respond(struct router_exchange *x)
{
    if (x->state == ROUTER_ASKING || (x->state == ROUTER_ANSWERED && x->whole && !x->ended)) {
        http_request_suspend(x->http);
    } else if (x->state == ROUTER_ANSWERED) {
        respond_edge(x);
    } else {
        respond_problem(x);
    }
}
