/* admin: the router's verbs on the admin listener.
 *
 *     GET  /edges         every edge: description, state, health, answers
 *     GET  /edges/NAME    one
 *     POST /edges/NAME    {"drain": true | false, "weight": 0..10000, "pinned": true | false}: any of them;
 *                         {"state": "drain" | "active"} is {"drain": true | false} in the words of GET
 *     GET  /route?ip=&path=&from=   a decision with its steps (explain.h); `from` pins it, in simulation
 */
#include "common/clock.h"
#include "common/daemon/daemon.h"
#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/http/server/tls_set.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/proxy_url.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "router/base/edges.h"
#include "router/base/proxy_settings.h"
#include "router/base/settings.h"
#include "router/choice/overrides.h"
#include "router/choice/select.h"
#include "router/decide/decide.h"
#include "router/decide/explain.h"
#include "router/decide/resolve.h"
#include "router/decide/table_compile.h"
#include "router/dns/dns_server.h"
#include "router/health.h"
#include "router/purge/purge_api.h"
#include "router/router_private.h"
#include "router/server.h"
#include "router/table/table.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static json_t *edge_json(const struct router *r, uint16_t edge)
{
    const struct router_edges *edges = r->table->edges;
    const struct router_edge *p = &edges->at[edge];
    uint32_t flags = router_edge_flags(edges, edge);
    json_t *o = json_pack("{s:s, s:s, s:f, s:f, s:s, s:s}", "name", p->name, "place", p->place, "lat", p->lat,
                          "lon", p->lon, "url", p->url, "admin", p->admin);
    json_object_set_new(o, "state", json_string(flags & ROUTER_EDGE_DRAINED ? "drain" : "active"));
    json_object_set_new(o, "healthy", json_boolean(!(flags & ROUTER_EDGE_SICK)));
    json_object_set_new(o, "full", json_boolean(flags & ROUTER_EDGE_FULL));
    json_object_set_new(o, "pinned", json_boolean(router_edges_pinned(edges) == edge));
    json_object_set_new(o, "weight", json_integer(router_edge_weight(edges, edge)));
    json_object_set_new(o, "capacity", json_integer((json_int_t)p->capacity));
    json_object_set_new(o, "answers", json_integer((json_int_t)router_server_answers(r->server, edge)));
    json_object_set_new(o, "health", router_health_edge_json(r->health, edge));
    return o;
}

static json_t *edges_json(const struct router *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->table->edges->count; i++) {
        json_array_append_new(list, edge_json(r, (uint16_t)i));
    }
    return list;
}

static void get_edges(void *self, struct http_request *req, json_t *body)
{
    (void)body;
    daemon_answer_json(req, 200, json_pack("{s:o}", "edges", edges_json(self)));
}

/* The edge that /edges/NAME means; answers 404 itself when there is none. */
static uint16_t edge_of(const struct router *r, struct http_request *req)
{
    struct cdn_str name = cdn_str_sub(req->path, sizeof("/edges/") - 1);
    uint16_t edge = router_edges_find(r->table->edges, name);
    if (edge == ROUTER_NO_EDGE) {
        struct cdn_error err;
        cdn_error_set(&err, CDN_NOT_FOUND, "there is no edge '" CDN_STR_FMT "'", CDN_STR_ARG(name));
        daemon_answer_error(req, &err);
    }
    return edge;
}

static void get_edge(void *self, struct http_request *req, json_t *body)
{
    (void)body;
    uint16_t edge = edge_of(self, req);
    if (edge != ROUTER_NO_EDGE) {
        daemon_answer_json(req, 200, edge_json(self, edge));
    }
}

struct change { /* of POST /edges/NAME; NULL: not asked for */
    const json_t *state, *drain, *weight, *pinned;
};

static enum cdn_status change_parse(json_t *body, struct change *ret, struct cdn_error *err)
{
    struct change c = {0};
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value)
    {
        const json_t **slot = strcmp(key, "state") == 0    ? &c.state
                              : strcmp(key, "drain") == 0  ? &c.drain
                              : strcmp(key, "weight") == 0 ? &c.weight
                              : strcmp(key, "pinned") == 0 ? &c.pinned
                                                           : NULL;
        if (!slot) {
            return cdn_error_set(err, CDN_INVALID, "unknown key '%s': drain, state, weight or pinned", key);
        }
        *slot = value;
    }
    const char *state = json_string_value(c.state);
    if (c.state && (!state || (strcmp(state, "drain") != 0 && strcmp(state, "active") != 0))) {
        return cdn_error_set(err, CDN_INVALID, "state: must be \"active\" or \"drain\"");
    }
    if (c.drain && (!json_is_boolean(c.drain) || c.state)) {
        return cdn_error_set(err, CDN_INVALID, "drain: must be true or false, and not beside state");
    }
    json_int_t weight = json_integer_value(c.weight);
    if (c.weight && (!json_is_integer(c.weight) || weight < 0 || weight > (json_int_t)ROUTER_WEIGHT_MAX)) {
        return cdn_error_set(err, CDN_INVALID, "weight: must be a whole number of 0 to %u",
                             ROUTER_WEIGHT_MAX);
    }
    if (c.pinned && !json_is_boolean(c.pinned)) {
        return cdn_error_set(err, CDN_INVALID, "pinned: must be true or false");
    }
    if (!c.state && !c.drain && !c.weight && !c.pinned) {
        return cdn_error_set(err, CDN_INVALID,
                             "nothing to change: give drain, state, weight or pinned as a JSON object");
    }
    *ret = c;
    return CDN_OK;
}

static void change_drain(struct router *r, uint16_t edge, bool drain)
{
    bool was = router_edge_flags(r->table->edges, edge) & ROUTER_EDGE_DRAINED;
    router_edge_flag_set(r->table->edges, edge, ROUTER_EDGE_DRAINED, drain);
    if (drain != was) {
        router_health_note(r->health, edge, drain ? "drained" : "active", "by the operator");
    }
}

static void change_weight(struct router *r, uint16_t edge, unsigned weight)
{
    char text[48];
    snprintf(text, sizeof(text), "%u, was %u", weight, router_edge_weight(r->table->edges, edge));
    router_edge_weight_set(r->table->edges, edge, weight);
    router_health_note(r->health, edge, "weight", text);
}

static void change_pinned(struct router *r, uint16_t edge, bool pinned)
{
    bool was = router_edges_pinned(r->table->edges) == edge;
    if (pinned == was) {
        return;
    }
    router_edges_pin(r->table->edges, pinned ? edge : ROUTER_NO_EDGE);
    router_health_note(r->health, edge, pinned ? "pinned" : "unpinned", "by the operator");
}

static void post_edge(void *self, struct http_request *req, json_t *body)
{
    struct router *r = self;
    struct change c = {0};
    struct cdn_error err;
    uint16_t edge = edge_of(r, req);
    if (edge == ROUTER_NO_EDGE) {
        return;
    }
    if (change_parse(body, &c, &err) != CDN_OK) {
        daemon_answer_error(req, &err);
        return;
    }
    if (c.state) {
        change_drain(r, edge, strcmp(json_string_value(c.state), "drain") == 0);
    }
    if (c.drain) {
        change_drain(r, edge, json_is_true(c.drain));
    }
    if (c.weight) {
        change_weight(r, edge, (unsigned)json_integer_value(c.weight));
    }
    if (c.pinned) {
        change_pinned(r, edge, json_is_true(c.pinned));
    }
    daemon_answer_json(req, 200, edge_json(r, edge));
}

/* What the probes know of each candidate; null where nothing was measured or reported. */
static void add_measured(const struct router *r, json_t *route)
{
    size_t i;
    json_t *candidate;
    json_array_foreach(json_object_get(route, "candidates"), i, candidate)
    {
        const char *name = json_string_value(json_object_get(candidate, "edge"));
        json_t *health =
            router_health_edge_json(r->health, router_edges_find(r->table->edges, cdn_str(name)));
        json_object_set(candidate, "probe_ms", json_object_get(health, "probe_ms"));
        json_object_set(candidate, "load", json_object_get(health, "load"));
        json_decref(health);
    }
}

static void get_route(void *self, struct http_request *req, json_t *body)
{
    (void)body;
    const struct router *r = self;
    CDN_AUTOFREE char *ip = daemon_query(req, "ip"), *path = daemon_query(req, "path"),
                      *from = daemon_query(req, "from");
    struct router_question question = {.path = cdn_str(path), .pin = cdn_str(from)};
    struct router_trace trace = {0};
    struct router_decision decision;
    struct cdn_error err;
    if (!ip || !cdn_parse_ip(cdn_str(ip), &question.client)) {
        cdn_error_set(&err, CDN_INVALID, "ip: %s%s%s", ip ? "'" : "is missing", ip ? ip : "",
                      ip ? "' is not an IP address" : "");
        daemon_answer_error(req, &err);
        return;
    }
    router_decide(r->table, &question, &trace, &decision);
    json_t *route = router_explain(r->table, &question, &decision, &trace, SIZE_MAX);
    add_measured(r, route);
    daemon_answer_json(req, 200, route);
}

static void post_purge(void *self, struct http_request *req, json_t *body)
{
    router_purge_post(((struct router *)self)->purges, req, body);
}

static void post_form(void *self, struct http_request *req, json_t *body)
{
    router_purge_form(((struct router *)self)->purges, req, body);
}

static void get_purges(void *self, struct http_request *req, json_t *body)
{
    router_purge_list(((struct router *)self)->purges, req, body);
}

static void get_receipts(void *self, struct http_request *req, json_t *body)
{
    router_purge_receipts(((struct router *)self)->purges, req, body);
}

const struct daemon_route router_admin_routes[] = {
    {"GET", "/edges", get_edges},      {"GET", "/edges/", get_edge},
    {"POST", "/edges/", post_edge},    {"GET", "/route", get_route},
    {"POST", "/purge", post_purge},    {"GET", "/purges", get_purges},
    {"GET", "/purges/", get_receipts}, {"POST", "/purge/", post_form},
    {"POST", "/service/", post_form},  {"PURGE", "*", post_form},
    {"BAN", "*", post_form},           {"PURGEKEYS", "*", post_form},
    {"PURGETAGS", "*", post_form},     {0},
};

static json_t *databases_json(const struct geo_db *db)
{
    json_t *list = json_array();
    for (size_t i = 0; i < geo_db_file_count(db); i++) {
        struct geo_info info;
        geo_db_info(db, i, &info);
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:o, s:b, s:b}", "path", info.path, "type", info.type, "build_epoch",
                      info.build_epoch > INT64_MAX ? json_null() : json_integer((json_int_t)info.build_epoch),
                      "ipv4", info.answers_ipv4, "ipv6", info.answers_ipv6));
    }
    return list;
}

void router_admin_status(void *self, json_t *into)
{
    const struct router *r = self;
    const struct router_table *t = r->table;
    char listen[CDN_ADDR_TEXT_SIZE];
    struct cdn_addr address;
    router_server_address(r->server, &address);
    cdn_addr_format(&address, listen);
    json_object_set_new(into, "listen", json_string(listen));
    json_object_set_new(into, "mode", json_string(t->mode == ROUTER_MODE_PROXY ? "proxy" : "redirect"));
    json_object_set_new(into, "policy", json_string(router_policy_word(t->policy)));
    json_object_set_new(into, "default_place", json_string(t->default_name));
    json_object_set_new(into, "overrides", json_integer((json_int_t)router_overrides_count(t->overrides)));
    json_object_set_new(into, "databases", databases_json(t->db));
    json_object_set_new(into, "compiled", router_compiler_json(r->compiler));
    json_object_set_new(into, "loaded_ms", json_integer(r->loaded_ms));
    json_object_set_new(into, "reloads", json_integer((json_int_t)r->reloads));
    json_object_set_new(into, "reloads_failed", json_integer((json_int_t)r->reloads_failed));
    json_object_set_new(into, "reload_error",
                        r->last_failure.status == CDN_OK ? json_null() : json_string(r->last_failure.text));
    json_object_set_new(into, "dns", dns_server_json(r->dns));
    CDN_AUTOBUF struct cdn_buf proxy = {0};
    proxy_url_show(cdn_str(r->config.settings.probe_proxy), &proxy);
    json_object_set_new(into, "probe_proxy", proxy.n ? json_string(proxy.p) : json_null());
    json_object_set_new(into, "edges", edges_json(r));
    router_purges_status(r->purges, into);
    json_object_set_new(into, "certificates", cdn_tls_set_json(r->tls, cdn_clock_real_ms() / 1000));
    json_object_set_new(into, "metrics", router_server_metrics_json(r->server));
    json_object_set_new(into, "events", router_health_events_json(r->health));
}

static void edge_metrics(const struct router *r, struct cdn_buf *out)
{
    const struct router_edges *edges = r->table->edges;
    size_t n = edges->count, count = 3 * n;
    CDN_AUTOFREE struct cdn_metric_row *rows = cdn_calloc(count + 1, sizeof(*rows));
    CDN_AUTOFREE uint64_t *values = cdn_calloc(count + 1, sizeof(*values));
    for (size_t i = 0; i < n; i++) {
        const char *labels = cdn_asprintf("edge=\"%s\"", edges->at[i].name);
        uint32_t flags = router_edge_flags(edges, (uint16_t)i);
        rows[i] = (struct cdn_metric_row){CDN_METRIC_COUNTER, "edge_redirect_total", labels,
                                          "Clients sent to the edge"};
        rows[n + i] =
            (struct cdn_metric_row){CDN_METRIC_GAUGE, "edge_healthy", labels, "1: the probes succeed"};
        rows[2 * n + i] = (struct cdn_metric_row){CDN_METRIC_GAUGE, "edge_drained", labels, "1: draining"};
        values[i] = router_server_answers(r->server, (uint16_t)i);
        values[n + i] = !(flags & ROUTER_EDGE_SICK);
        values[2 * n + i] = (flags & ROUTER_EDGE_DRAINED) != 0;
    }
    cdn_metrics_prometheus("pocketcdn_router_", rows, values, count, out);
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)rows[i].labels);
    }
}

void router_admin_metrics(void *self, struct cdn_buf *out)
{
    static const struct cdn_metric_row rows[] = {
        CDN_METRIC_LABELLED(COUNTER, "reload_total", "result=\"ok\"", "Reloads of the configuration")
            CDN_METRIC_LABELLED(COUNTER, "reload_total", "result=\"failed\"", "Reloads of the configuration")
                CDN_METRIC_LABELLED(GAUGE, "certificate_expires_seconds", NULL,
                                    "End of the TLS certificate that ends first, seconds since 1970; 0: no "
                                    "TLS here")};
    const struct router *r = self;
    const uint64_t values[] = {r->reloads, r->reloads_failed, (uint64_t)cdn_tls_set_expires_s(r->tls)};
    router_server_metrics(r->server, out);
    dns_server_metrics(r->dns, out);
    router_health_metrics(r->health, out);
    router_compiler_metrics(r->compiler, out);
    router_purges_metrics(r->purges, out);
    edge_metrics(r, out);
    cdn_metrics_prometheus("pocketcdn_router_", rows, values, CDN_ARRAY_LEN(rows), out);
}
