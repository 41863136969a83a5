/* outgoing: the request that goes to an edge. What it says of the client is written anew from what this
 * router believes (trusted_proxies), in both forms, since an edge that trusts the router believes it: a
 * client's own X-Forwarded-For, naming loopback perhaps, must not get there. Host stays the client's. */
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "router/proxy/proxy_private.h"
#include "router/proxy/rules.h"
#include "router/table/table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

struct copying {
    struct router_proxy *proxy;
    struct cdn_str connection;
    bool trusted;  /* who sent it */
    bool resuming; /* its conditions are not for the rest of the answer that it got */
};

static void add(struct router_proxy *p, struct cdn_str name, struct cdn_str value)
{
    if (p->field_count == p->field_room) {
        p->field_room += 64;
        p->fields = cdn_realloc(p->fields, p->field_room, sizeof(*p->fields));
    }
    p->fields[p->field_count++] = (struct http_field){name, value};
}

static bool copy_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    const struct copying *c = arg;
    if (router_rule_sends(name, c->connection, c->trusted) &&
        !(c->resuming && router_rule_conditions(name))) {
        add(c->proxy, name, value);
    }
    return true;
}

/* What was written to proxy->text from `from` on. The text moves while it grows: the pointer follows. */
static void add_text(struct router_proxy *p, const char *name, size_t from)
{
    if (p->text.n > from) {
        add(p, cdn_str(name), (struct cdn_str){(const char *)(uintptr_t)from, p->text.n - from});
    }
}

static void settle_texts(struct router_proxy *p, size_t first)
{
    for (size_t i = first; i < p->field_count; i++) {
        p->fields[i].value.p = p->text.p + (uintptr_t)p->fields[i].value.p;
    }
}

static void add_way(struct router_exchange *x)
{
    struct router_proxy *p = x->proxy;
    __attribute__((cleanup(http_forwarded_text_free))) struct http_forwarded_text text = {0};
    struct http_forwarded way;
    http_forwarded_of_request(x->http, &x->table->trust, &text, &way);
    size_t from = p->text.n;
    http_forwarded_add_for(&p->text, &way);
    add_text(p, "X-Forwarded-For", from);
    from = p->text.n;
    http_forwarded_add_proto(&p->text, &way);
    add_text(p, "X-Forwarded-Proto", from);
    from = p->text.n;
    http_forwarded_add_host(&p->text, &way);
    add_text(p, "X-Forwarded-Host", from);
    from = p->text.n;
    http_forwarded_add(&p->text, &way);
    add_text(p, "Forwarded", from);
}

static void add_hops(struct router_exchange *x)
{
    struct router_proxy *p = x->proxy;
    struct http_request *req = x->http;
    CDN_AUTOBUF struct cdn_buf so_far = {0};
    size_t from = p->text.n;
    (void)http_request_joined(req, HTTP_REQ_VIA, &so_far);
    http_via_append(&p->text, cdn_buf_str(&so_far), req->http10 ? 10 : 11, cdn_str(p->name));
    add_text(p, "Via", from);
    cdn_buf_clear(&so_far);
    from = p->text.n;
    (void)http_request_joined(req, HTTP_REQ_CDN_LOOP, &so_far);
    http_cdn_loop_append(&p->text, cdn_buf_str(&so_far), cdn_str(p->loop_id));
    add_text(p, "CDN-Loop", from);
    uint32_t hops;
    if (req->field[HTTP_REQ_MAX_FORWARDS].p &&
        http_max_forwards_parse(req->field[HTTP_REQ_MAX_FORWARDS], &hops)) {
        from = p->text.n;
        cdn_buf_printf(&p->text, "%" PRIu32, hops ? hops - 1 : 0);
        add_text(p, "Max-Forwards", from);
    }
}

/* What is still wanted of an answer that another edge began. */
static void add_rest(struct router_exchange *x)
{
    struct router_proxy *p = x->proxy;
    size_t from = p->text.n;
    cdn_buf_printf(&p->text, "bytes=%" PRIu64 "-", x->received);
    add_text(p, "Range", from);
    from = p->text.n;
    cdn_buf_add_str(&p->text, cdn_buf_str(&x->etag));
    add_text(p, "If-Range", from);
}

void router_outgoing_fields(struct router_exchange *x)
{
    struct router_proxy *p = x->proxy;
    CDN_AUTOBUF struct cdn_buf connection = {0};
    p->field_count = 0;
    cdn_buf_clear(&p->text);
    (void)http_request_joined(x->http, HTTP_REQ_CONNECTION, &connection);
    struct cdn_addr peer;
    http_request_client(x->http, &peer);
    struct copying copying = {p, cdn_buf_str(&connection), http_is_trusted(&x->table->trust, &peer),
                              x->resuming};
    if (x->http->host.n) {
        add(p, CDN_STR("Host"), x->http->host);
    }
    http_request_each_field(x->http, copy_field, &copying);
    if (x->upgrading) {
        add(p, CDN_STR("Connection"), CDN_STR("Upgrade"));
        add(p, CDN_STR("Upgrade"), CDN_STR("websocket"));
    }
    const size_t first = p->field_count;
    add_way(x);
    add_hops(x);
    if (x->resuming) {
        add_rest(x);
    }
    settle_texts(p, first);
}

bool router_outgoing_is_loop(const struct router_proxy *proxy, struct http_request *req)
{
    CDN_AUTOBUF struct cdn_buf value = {0};
    return http_request_joined(req, HTTP_REQ_CDN_LOOP, &value) &&
           http_cdn_loop_has(cdn_buf_str(&value), cdn_str(proxy->loop_id));
}
