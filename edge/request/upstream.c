/* upstream: the request that goes to the origin. All that the origin is told is written in one
 * place, so that Vary is keyed by what it is told and not by what the client said
 * (edge_upstream_vary_get). Fields that are not copied stay here because no key holds them
 * (semantics/outgoing.h). */
#include "edge/request/upstream.h"

#include "common/config/config.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_range.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/accept.h"
#include "edge/base/settings.h"
#include "edge/base/tuning.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/request/query.h"
#include "edge/request/request_id.h"
#include "edge/request/txn.h"
#include "edge/request/upstream_rule.h"
#include "edge/semantics/head.h"
#include "edge/semantics/outgoing.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/trace.h"
#include "edge/semantics/validate.h"
#include "edge/semantics/vary.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/banned.h"

struct copying {
    const struct edge_txn *txn;
    struct edge_fields *into;
    struct edge_outgoing which;
    bool unkeyed; /* one went along that is in no key */
};

static struct edge_outgoing outgoing_of(struct edge_txn *t, bool pass, struct cdn_buf *connection)
{
    (void)http_request_joined(t->http, HTTP_REQ_CONNECTION, connection);
    return (struct edge_outgoing){.connection = cdn_buf_str(connection),
                                  .shared = !pass,
                                  .guarded = edge_txn_is_cached_method(t),
                                  .forward = &t->worker->edge->settings.forward_fields};
}

static bool is_trace(struct cdn_str name)
{
    return cdn_str_eq_nocase(name, CDN_STR("traceparent")) || cdn_str_eq_nocase(name, CDN_STR("tracestate"));
}

/* Written in the form of accept.h: then what the client sent stays here. */
static bool is_rewritten(const struct edge *edge, struct cdn_str name)
{
    return (!edge->accept.encoding_as_sent && cdn_str_eq_nocase(name, CDN_STR("Accept-Encoding"))) ||
           (edge->accept.languages->n > 0 && cdn_str_eq_nocase(name, CDN_STR("Accept-Language")));
}

static bool copy_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct copying *c = arg;
    if (!is_rewritten(c->txn->worker->edge, name) && !is_trace(name) &&
        !edge_upstream_rule_has(c->txn, name) && edge_outgoing_has(&c->which, name)) {
        c->unkeyed = c->unkeyed || edge_outgoing_is_unkeyed(name);
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
    way.secure = t->target.secure; /* as keyed, and in no other spelling */
    way.host = t->target.host;
    way.peer_host = (struct cdn_str){0}; /* what the last proxy asked us for is in no key */
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

/* As the first origin is told; others have names of their own (edge_fetch_send). */
static struct cdn_str host_of(const struct edge_txn *t)
{
    const struct edge_rule *rule = t->target.rule;
    switch (rule->host_sent) {
    case EDGE_HOST_CLIENT:
        return t->target.host;
    case EDGE_HOST_NAME:
        return cdn_str(rule->host);
    case EDGE_HOST_ORIGIN:
        break;
    }
    return cdn_str(rule->origin[0]->authority);
}

static void add_own(struct edge_txn *t, struct edge_fields *f)
{
    struct edge *edge = t->worker->edge;
    const struct edge_settings *s = &edge->settings;
    CDN_AUTOBUF struct cdn_buf in = {0};
    CDN_AUTOBUF struct cdn_buf out = {0};
    if (!edge_fetch_has_ways(t->target.rule)) {
        edge_fields_add(f, CDN_STR("Host"), host_of(t));
    }
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
        snprintf(text, sizeof(text), "%u", hops ? hops - 1 : 0);
        edge_fields_add(f, CDN_STR("Max-Forwards"), cdn_str(text));
    }
}

struct collecting {
    struct cdn_str name;
    struct cdn_buf *into;
    bool any;
};

static bool collect(void *arg, struct cdn_str name, struct cdn_str value);

/* Trace Context as the client has it, if it is valid: we make no spans of our own. */
static void add_trace(struct edge_txn *t, struct edge_fields *f)
{
    struct edge_trace trace;
    edge_request_trace(t, &trace);
    if (trace.parent.p && !edge_upstream_rule_has(t, CDN_STR("traceparent"))) {
        edge_fields_add(f, CDN_STR("traceparent"), trace.parent);
    }
    if (trace.state.p && !edge_upstream_rule_has(t, CDN_STR("tracestate"))) {
        CDN_AUTOBUF struct cdn_buf state = {0};
        struct collecting c = {.name = CDN_STR("tracestate"), .into = &state};
        http_request_each_field(t->http, collect, &c);
        edge_fields_add(f, c.name, cdn_buf_str(&state));
    }
    if (!edge_upstream_rule_has(t, CDN_STR("X-Request-ID"))) {
        edge_fields_add(f, CDN_STR("X-Request-ID"), edge_request_id(t));
    }
}

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

static bool write_language(struct edge_txn *t, struct cdn_buf *into)
{
    CDN_AUTOBUF struct cdn_buf sent = {0};
    return edge_accept_language_write(&t->worker->edge->accept,
                                      joined(t->http, HTTP_REQ_ACCEPT_LANGUAGE, &sent), into);
}

static void write_encoding(struct edge_txn *t, struct cdn_buf *into)
{
    CDN_AUTOBUF struct cdn_buf sent = {0};
    edge_accept_encoding_write(&t->worker->edge->accept, joined(t->http, HTTP_REQ_ACCEPT_ENCODING, &sent),
                               into);
}

static void add_accepted(struct edge_txn *t, struct edge_fields *f)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    if (!t->worker->edge->accept.encoding_as_sent && !edge_upstream_rule_has(t, CDN_STR("Accept-Encoding"))) {
        write_encoding(t, &text);
        add_joined(f, "Accept-Encoding", &text);
    }
    cdn_buf_clear(&text);
    if (t->worker->edge->accept.languages->n > 0 && !edge_upstream_rule_has(t, CDN_STR("Accept-Language")) &&
        write_language(t, &text)) {
        add_joined(f, "Accept-Language", &text);
    }
}

static bool get_own(struct edge_txn *t, struct cdn_str name, struct cdn_buf *into)
{
    struct edge_fields own = {0};
    add_own(t, &own);
    add_forwarded(t, &own);
    edge_fields_seal(&own);
    const bool any = http_fields_join(own.item, own.count, name, into);
    edge_fields_free(&own);
    return any;
}

static bool vary_get(void *txn, struct cdn_str name, struct cdn_buf *into)
{
    struct edge_txn *t = txn;
    CDN_AUTOBUF struct cdn_buf connection = {0};
    struct collecting c = {.name = name, .into = into};
    if (cdn_str_starts(name, CDN_STR("cookie;"))) {
        return edge_upstream_rule_cookie(t, cdn_str_sub(name, 7), into);
    }
    if (edge_upstream_rule_has(t, name)) {
        return edge_upstream_rule_get(t, name, into);
    }
    if (is_rewritten(t->worker->edge, name)) {
        if (cdn_str_eq_nocase(name, CDN_STR("Accept-Language"))) {
            return write_language(t, into);
        }
        write_encoding(t, into);
        return true;
    }
    if (edge_outgoing_is_ours(name)) {
        return get_own(t, name, into);
    }
    if (is_trace(name)) {
        struct edge_trace trace;
        edge_request_trace(t, &trace);
        if (!trace.parent.p) {
            return false;
        }
    }
    const struct edge_outgoing which = outgoing_of(t, false, &connection);
    if (edge_outgoing_has(&which, name)) {
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

static void add_range(struct edge_fields *f, const struct edge_fetch_scope *r)
{
    char text[HTTP_CONTENT_RANGE_SIZE];
    if (r->range_first == HTTP_RANGE_OPEN) {
        snprintf(text, sizeof(text), "bytes=-%" PRIu64, r->range_last);
    } else if (r->range_last == HTTP_RANGE_OPEN) {
        snprintf(text, sizeof(text), "bytes=%" PRIu64 "-", r->range_first);
    } else {
        snprintf(text, sizeof(text), "bytes=%" PRIu64 "-%" PRIu64, r->range_first, r->range_last);
    }
    edge_fields_add(f, CDN_STR("Range"), cdn_str(text));
}

static const char *method_text(struct edge_txn *t)
{
    static const char *const known[] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",     [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
        [HTTP_TRACE] = "TRACE", [HTTP_PURGE] = "PURGE",   [HTTP_QUERY] = "QUERY"};
    return t->http->method < CDN_ARRAY_LEN(known) && known[t->http->method] ? known[t->http->method]
                                                                            : t->http->method_name.p;
}

void edge_upstream_request(struct edge_txn *t, const struct edge_fetch_scope *scope,
                           struct edge_fetch_request *ret)
{
    const bool pass = !scope;
    CDN_AUTOBUF struct cdn_buf connection = {0};
    struct copying copying = {.txn = t, .into = &ret->fields, .which = outgoing_of(t, pass, &connection)};
    http_request_each_field(t->http, copy_field, &copying);
    edge_upstream_rule_add(t, &ret->fields);
    add_accepted(t, &ret->fields);
    add_own(t, &ret->fields);
    add_forwarded(t, &ret->fields);
    add_trace(t, &ret->fields);
    if (t->upgrading) {
        edge_fields_add(&ret->fields, CDN_STR("Connection"), CDN_STR("Upgrade"));
        edge_fields_add(&ret->fields, CDN_STR("Upgrade"), CDN_STR("websocket"));
    }
    if (!pass) {
        add_validators(&ret->fields, ret);
    }
    if (scope && scope->ranged) {
        add_range(&ret->fields, scope);
    }
    edge_fields_seal(&ret->fields);
    ret->method = pass ? method_text(t) : "GET";
    if (t->query_body) {
        edge_query_ask(t, ret);
    }
    ret->rule = t->target.rule;
    ret->tuning = edge_tuning_ref(t->tuning);
    ret->path = cdn_str_dup(t->target.path);
    if (edge_fetch_has_ways(t->target.rule)) {
        ret->host = t->target.rule->host_sent == EDGE_HOST_ORIGIN ? NULL : cdn_str_dup(host_of(t));
        ret->key = cdn_str_dup(t->target.key);
    }
    ret->pass = pass;
    ret->unkeyed = copying.unkeyed;
    ret->leader = ret->background ? NULL : &t->waiter;
    ret->about = (struct edge_store_request){
        .method = !pass && edge_txn_is_cached_method(t) ? HTTP_GET : t->http->method,
        .authorized =
            t->http->field[HTTP_REQ_AUTHORIZATION].p && !edge_upstream_rule_has(t, CDN_STR("Authorization")),
        .hashed_name = t->hashed,
    };
}

struct edge_vary_source edge_upstream_source(struct edge_txn *t)
{
    return (struct edge_vary_source){vary_get, t, cdn_str(t->target.rule->key_names)};
}

bool edge_upstream_fits(struct edge_txn *t, const struct edge_rep *rep)
{
    const struct edge_vary_source source = edge_upstream_source(t);
    return edge_cache_rep_suits(rep, &source);
}
