/* upstream: the request that goes to the origin. */
#include "edge/range.h"
#include "edge/txn.h"

#include "common/http_field.h"
#include "common/http_forwarded.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/banned.h"

static bool is_any(struct cdn_str name, const struct cdn_str *names)
{
    for (; names->p; names++) {
        if (cdn_str_eq_nocase(name, *names)) {
            return true;
        }
    }
    return false;
}

/* Written anew or meant for us alone. */
static const struct cdn_str replaced[] = {
    {"Host", 4},
    {"Via", 3},
    {"CDN-Loop", 8},
    {"Forwarded", 9},
    {"X-Forwarded-For", 15},
    {"X-Forwarded-Proto", 17},
    {"X-Forwarded-Host", 16},
    {"Content-Length", 14},
    {"Expect", 6},
    {"Max-Forwards", 12},
    {NULL, 0},
};
/* What a client asks of its own copy must not shape the answer that everybody gets. */
static const struct cdn_str conditional[] = {
    {"If-None-Match", 13},
    {"If-Modified-Since", 17},
    {"If-Match", 8},
    {"If-Unmodified-Since", 19},
    {"If-Range", 8},
    {"Range", 5},
    {NULL, 0},
};

bool edge_upstream_is_condition(struct cdn_str name)
{
    return is_any(name, conditional);
}

struct copying {
    struct edge_fields *into;
    struct cdn_str connection;
    bool pass;
};

static bool copy_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct copying *c = arg;
    if (!http_is_hop_by_hop(name, c->connection) && !is_any(name, replaced) &&
        (c->pass || !is_any(name, conditional))) {
        edge_fields_add(c->into, name, value);
    }
    return true;
}

static void add_joined(struct edge_fields *f, const char *name, const struct cdn_buf *value)
{
    if (value->n) {
        edge_fields_add(f, cdn_str(name), cdn_buf_str(value));
    }
}

static struct cdn_str joined(struct http_request *req, enum http_request_field field, struct cdn_buf *into)
{
    return http_request_joined(req, field, into) ? cdn_buf_str(into) : (struct cdn_str){0};
}

static void add_forwarded(struct edge_txn *t, struct edge_fields *f)
{
    __attribute__((cleanup(http_forwarded_text_free))) struct http_forwarded_text text = {0};
    CDN_AUTOBUF struct cdn_buf out = {0};
    struct http_forwarded way;
    http_forwarded_of_request(t->http, &edge_tuning_now(t->worker->edge)->trust, &text, &way);
    http_forwarded_add_for(&out, &way);
    add_joined(f, "X-Forwarded-For", &out);
    cdn_buf_clear(&out);
    http_forwarded_add_proto(&out, &way);
    add_joined(f, "X-Forwarded-Proto", &out);
    cdn_buf_clear(&out);
    http_forwarded_add_host(&out, &way);
    add_joined(f, "X-Forwarded-Host", &out);
    cdn_buf_clear(&out);
    http_forwarded_add(&out, &way);
    add_joined(f, "Forwarded", &out);
}

static void add_own(struct edge_txn *t, struct edge_fields *f)
{
    struct edge *edge = t->worker->edge;
    const struct edge_settings *s = &edge->settings;
    CDN_AUTOBUF struct cdn_buf in = {0};
    CDN_AUTOBUF struct cdn_buf out = {0};
    struct cdn_str host = cdn_str(s->origin_host);
    if (cdn_str_eq(host, CDN_STR("origin"))) {
        host = cdn_str(edge->origin_authority);
    } else if (cdn_str_eq(host, CDN_STR("client"))) {
        host = t->http->host;
    }
    edge_fields_add(f, CDN_STR("Host"), host);
    http_via_append(&out, joined(t->http, HTTP_REQ_VIA, &in), t->http->http10 ? 10 : 11, cdn_str(s->name));
    add_joined(f, "Via", &out);
    cdn_buf_clear(&in);
    cdn_buf_clear(&out);
    http_cdn_loop_append(&out, joined(t->http, HTTP_REQ_CDN_LOOP, &in), cdn_str(edge->loop_id));
    add_joined(f, "CDN-Loop", &out);
    uint32_t hops;
    if (t->http->field[HTTP_REQ_MAX_FORWARDS].p &&
        http_max_forwards_parse(t->http->field[HTTP_REQ_MAX_FORWARDS], &hops)) {
        char text[16];
        snprintf(text, sizeof text, "%u", hops ? hops - 1 : 0);
        edge_fields_add(f, CDN_STR("Max-Forwards"), cdn_str(text));
    }
}

struct collecting {
    struct cdn_str name;
    struct cdn_buf *into;
    bool any;
};

static bool collect(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct collecting *c = arg;
    if (cdn_str_eq_nocase(name, c->name)) {
        if (c->any) {
            cdn_buf_add(c->into, ", ", 2);
        }
        c->any = true;
        cdn_buf_add_str(c->into, value);
    }
    return true;
}

bool edge_txn_vary_get(void *txn, struct cdn_str name, struct cdn_buf *into)
{
    struct edge_txn *t = txn;
    CDN_AUTOBUF struct cdn_buf connection = {0};
    struct collecting c = {.name = name, .into = into};
    if (is_any(name, replaced)) {
        struct edge_fields own = {0};
        add_own(t, &own);
        add_forwarded(t, &own);
        edge_fields_seal(&own);
        c.any = http_fields_join(own.item, own.count, name, into);
        edge_fields_free(&own);
    } else if (!edge_upstream_is_condition(name) &&
               !http_is_hop_by_hop(name, joined(t->http, HTTP_REQ_CONNECTION, &connection))) {
        http_request_each_field(t->http, collect, &c);
    }
    return c.any;
}

static void add_validators(struct edge_fields *f, struct edge_fetch_request *r)
{
    const struct edge_head *heads[EDGE_FETCH_CANDIDATES];
    for (unsigned i = 0; i < r->candidate_count; i++) {
        heads[i] = r->candidate[i].rep->head;
    }
    CDN_AUTOBUF struct cdn_buf tags = {0};
    if (r->candidate_count && edge_validators_join(heads, r->candidate_count, &tags)) {
        edge_fields_add(f, CDN_STR("If-None-Match"), cdn_buf_str(&tags));
    }
    struct edge_validators v;
    if (r->candidate_count) { /* the first is the one this request selects */
        edge_validators_read(heads[0], &v);
        if (v.last_modified.p) {
            edge_fields_add(f, CDN_STR("If-Modified-Since"), v.last_modified);
        }
    }
}

static void add_range(struct edge_fields *f, const struct edge_fetch_request *r)
{
    char text[HTTP_CONTENT_RANGE_SIZE];
    if (r->range_first == HTTP_RANGE_OPEN) {
        snprintf(text, sizeof text, "bytes=-%" PRIu64, r->range_last);
    } else if (r->range_last == HTTP_RANGE_OPEN) {
        snprintf(text, sizeof text, "bytes=%" PRIu64 "-", r->range_first);
    } else {
        snprintf(text, sizeof text, "bytes=%" PRIu64 "-%" PRIu64, r->range_first, r->range_last);
    }
    edge_fields_add(f, CDN_STR("Range"), cdn_str(text));
}

static char *upstream_url(struct edge_txn *t)
{
    const struct edge *edge = t->worker->edge;
    struct cdn_str target = t->http->target;
    struct cdn_buf url = {0};
    cdn_buf_reserve(&url, strlen(edge->origin_base) + target.n);
    cdn_buf_add_str(&url, cdn_str(edge->origin_base));
    if (!target.n || target.p[0] == '/') {
        cdn_buf_add_str(&url, target);
        return cdn_buf_take(&url);
    }
    cdn_buf_add_str(&url, t->http->path); /* absolute form: only path and query go on */
    if (t->http->query.p) {
        cdn_buf_add_char(&url, '?');
        cdn_buf_add_str(&url, t->http->query);
    }
    return cdn_buf_take(&url);
}

static const char *method_text(struct edge_txn *t)
{
    static const char *const known[] = {
        [HTTP_GET] = "GET",       [HTTP_HEAD] = "HEAD",       [HTTP_POST] = "POST",   [HTTP_PUT] = "PUT",
        [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_TRACE] = "TRACE", [HTTP_PURGE] = "PURGE"};
    return t->http->method < CDN_ARRAY_LEN(known) && known[t->http->method] ? known[t->http->method]
                                                                            : t->http->method_name.p;
}

void edge_upstream_request(struct edge_txn *t, bool pass, bool background, struct edge_fetch_request *ret)
{
    CDN_AUTOBUF struct cdn_buf connection = {0};
    struct copying copying = {
        .into = &ret->fields, .connection = joined(t->http, HTTP_REQ_CONNECTION, &connection), .pass = pass};
    if (!copying.connection.p) {
        copying.connection = CDN_STR("");
    }
    http_request_each_field(t->http, copy_field, &copying);
    add_own(t, &ret->fields);
    add_forwarded(t, &ret->fields);
    if (!pass) {
        add_validators(&ret->fields, ret);
    }
    if (ret->ranged) {
        add_range(&ret->fields, ret);
    }
    edge_fields_seal(&ret->fields);
    ret->method = pass ? method_text(t) : "GET";
    ret->url = upstream_url(t);
    ret->pass = pass;
    ret->background = background;
    ret->leader = background ? NULL : t;
    ret->about = (struct edge_store_request){
        .method = t->http->method == HTTP_HEAD && !pass ? HTTP_GET : t->http->method,
        .authorized = t->http->field[HTTP_REQ_AUTHORIZATION].p != NULL,
        .hashed_name = t->hashed,
    };
}
