/* get_visit: finds out where the client stands and how it asks, over the network or straight, and
 * follows one redirect after another itself, since curl -L would lose who decided what. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/get/exchange.h"
#include "cli/get/get.h"
#include "cli/run/control.h"
#include "cli/run/traveller.h"
#include "cli/travel/network.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

/* A path is asked of the router that runs here. */
static enum cdn_status make_url(struct get_visit *visit, const char *text, struct cdn_error *err)
{
    struct control_where where = CONTROL_WHERE(visit->options);
    bool is_path = text[0] == '/';
    if (!is_path && strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) {
        return cdn_error_set(err, CDN_USAGE, "'%s' is neither a path (/...) nor a URL (http://...)", text);
    }
    struct cdn_error none;
    enum cdn_status status = control_open(&where, &visit->up, is_path ? err : &none);
    if (is_path && status != CDN_OK) {
        return status;
    }
    if (status != CDN_OK && status != CDN_NOT_FOUND) { /* nothing of the router's can be said */
        cli_complain("pocketcdn get: %s\n", none.text);
    }
    visit->url = cdn_asprintf("%s%s", is_path ? control_text(visit->up, "router") : "", text);
    return CDN_OK;
}

/* "127.0.1.1:8088" or "www.cdn.test" of a URL. */
static struct cdn_str authority_of(const char *url)
{
    const char *slashes = strstr(url, "://");
    struct cdn_str rest = cdn_str(slashes ? slashes + 3 : url);
    rest.n = strcspn(rest.p, "/?#");
    return rest;
}

/* Why that edge, from the router's admin listener; nothing when the URL is not our router's. Without
 * --from a router on loopback sees a client on loopback; what another one sees is not known here. */
static void explain(struct get_visit *visit)
{
    const char *router = control_text(visit->up, "router");
    const bool loopback = cdn_str_starts(authority_of(router), CDN_STR("127."));
    struct cdn_error none;
    json_t *node;
    if (!router[0] || !(visit->has_client || loopback) || strncmp(visit->url, router, strlen(router)) != 0 ||
        control_node(visit->up, "router", "router", &node, &none)) {
        return;
    }
    char ip[CDN_ADDR_TEXT_SIZE] = "127.0.0.1";
    if (visit->has_client) {
        cdn_addr_format_ip(&visit->client, ip);
    }
    CDN_AUTOFREE char *path = cdn_asprintf("/route?ip=%s", ip);
    (void)!control_ask(node, "GET", path, NULL, &visit->route, &none);
}

/* An address stands where the database has it. */
static enum cdn_status stand_of_address(const struct cdn_addr *address, char **ret, struct cdn_error *err)
{
    struct geo_record record;
    struct geo_db *db;
    enum cdn_status status = geo_db_open_embedded(&db, err);
    if (status != CDN_OK) {
        return status;
    }
    status = geo_lookup(db, &address->sa, &record);
    if (status != CDN_OK || !record.has_coordinates) {
        status =
            cdn_error_set(err, CDN_NOT_FOUND, "--from: the database does not know where this address is");
    } else {
        *ret = cdn_asprintf("%.4f,%.4f", record.lat, record.lon);
    }
    geo_db_unref(db);
    return status;
}

static enum cdn_status place_client(struct get_visit *visit, struct cdn_error *err)
{
    const struct get_options *options = visit->options;
    visit->wan = options->from ? network_of(visit->up) : NULL;
    if (options->profile && !visit->wan) {
        return cdn_error_set(err, options->from ? CDN_NOT_FOUND : CDN_USAGE, "--profile needs %s",
                             options->from ? "the network between the places: `pocketcdn up --wan`"
                                           : "--from, which goes over the network between the places");
    }
    if (!options->from) {
        return CDN_OK;
    }
    free(CDN_TAKE(visit->place));
    enum cdn_status status = traveller_from_text(options->from, &visit->client, &visit->place, err);
    visit->has_client = status == CDN_OK;
    if (status != CDN_OK || !visit->wan) {
        return status;
    }
    if (visit->place[0]) {
        visit->stand = cdn_strdup(options->from);
    } else {
        status = stand_of_address(&visit->client, &visit->stand, err);
    }
    if (status == CDN_OK) {
        status = network_listener(visit->up, visit->wan, visit->stand, options->profile, &visit->proxy, err);
    }
    if (status == CDN_OK) {
        visit->profile = network_profile(visit->wan, visit->proxy);
    }
    return status;
}

/* ---- hops ---- */

/* After 303, and by custom after 301 and 302, what was a POST is asked for again by GET (RFC 9110 15.4). */
static bool becomes_get(const struct get_visit *visit, unsigned status)
{
    const char *method = visit->method;
    bool safe = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    return !safe && (status == 303 || ((status == 301 || status == 302) && strcmp(method, "POST") == 0));
}

char *get_cache_name(const struct exchange *exchange)
{
    CDN_AUTOFREE char *status = exchange_field(exchange, "Cache-Status");
    const char *last = status;
    bool quoted = false;
    for (const char *p = status; *p; p++) {
        quoted = quoted != (*p == '"');
        if (*p == ',' && !quoted) {
            last = p + 1;
        }
    }
    struct cdn_str rest = cdn_str(last), name = cdn_str_trim(cdn_str_cut(&rest, ';'));
    return cdn_str_dup(name);
}

/* By its address, by its name in the zone, or by what it says of itself. */
static char *node_of(const struct get_visit *visit, const char *url, const struct exchange *exchange)
{
    struct cdn_str authority = authority_of(url), rest = authority, label = cdn_str_cut(&rest, '.');
    CDN_AUTOFREE char *cache = get_cache_name(exchange);
    json_t *node;
    size_t i;
    json_array_foreach(json_object_get(visit->up, "nodes"), i, node)
    {
        const char *name = control_text(node, "name");
        if (cdn_str_eq(authority_of(control_text(node, "url")), authority) ||
            cdn_str_eq_nocase(label, cdn_str(name)) || strcmp(cache, name) == 0) {
            return cdn_strdup(name);
        }
    }
    return cdn_strdup("");
}

static enum cdn_status ask(struct get_visit *visit, const char *url, bool fresh, struct exchange *ret,
                           struct cdn_error *err)
{
    char ip[CDN_ADDR_TEXT_SIZE];
    size_t n = visit->field_count;
    if (visit->has_client && !visit->wan) {
        cdn_addr_format_ip(&visit->client, ip);
        visit->fields[n++] = (struct http_field){CDN_STR("X-Forwarded-For"), cdn_str(ip)};
    }
    return exchange_run(visit->client_side,
                        &(struct exchange_request){.method = visit->method,
                                                   .url = url,
                                                   .fields = visit->fields,
                                                   .field_count = n,
                                                   .body = visit->body,
                                                   .fresh = fresh},
                        ret, err);
}

/* Over the network, what a name means is asked of our DNS; an address means itself. */
static void resolve_hop(const struct get_visit *visit, struct get_hop *hop)
{
    struct cdn_addr none;
    struct cdn_str rest = authority_of(hop->url);
    CDN_AUTOFREE char *name = cdn_str_dup(cdn_str_cut(&rest, ':'));
    if (visit->wan && !cdn_parse_ip(cdn_str(name), &none)) {
        (void)get_resolve(visit, name, &hop->dns);
    }
}

static enum cdn_status take_hop(struct get_visit *visit, const char *url, struct cdn_error *err)
{
    struct get_hop *hop = &visit->hops[visit->hop_count];
    struct cdn_error none;
    enum cdn_status status = ask(visit, url, false, &hop->exchange, err);
    if (status != CDN_OK) {
        return status;
    }
    hop->url = cdn_strdup(url);
    hop->node = node_of(visit, url, &hop->exchange);
    visit->hop_count++;
    resolve_hop(visit, hop);
    if (visit->wan && hop->node[0]) {
        (void)!network_path(visit->wan, visit->stand, hop->node, visit->options->profile, &hop->model, &none);
    }
    return CDN_OK;
}

/* The URL of a Location: absolute, or a path of the same server. */
static char *next_url(const char *url, const char *location)
{
    if (location[0] != '/') {
        return cdn_strdup(location);
    }
    struct cdn_str authority = authority_of(url);
    return cdn_asprintf("%.*s%s", (int)(authority.p + authority.n - url), url, location);
}

static enum cdn_status follow(struct get_visit *visit, struct cdn_error *err)
{
    CDN_AUTOFREE char *url = cdn_strdup(visit->url);
    for (;;) {
        enum cdn_status status = take_hop(visit, url, err);
        if (status != CDN_OK) {
            return status;
        }
        const struct exchange *e = get_visit_answer(visit);
        CDN_AUTOFREE char *location = exchange_field(e, "Location");
        if (e->status / 100 != 3 || !location[0]) {
            return CDN_OK;
        }
        if (becomes_get(visit, e->status)) {
            visit->method = "GET";
            visit->body = (struct cdn_str){0};
            visit->field_count = visit->options->header.n;
        }
        if (visit->hop_count == GET_HOPS_MAX) {
            return cdn_error_set(err, CDN_NETWORK, "more than %d redirects, the last to %s", GET_HOPS_MAX - 1,
                                 location);
        }
        char *next = next_url(url, location);
        free(url);
        url = next;
    }
}

/* ---- for the others ---- */

const struct exchange *get_visit_answer(const struct get_visit *visit)
{
    return &visit->hops[visit->hop_count - 1].exchange;
}

double get_visit_first_byte_ms(const struct get_visit *visit)
{
    int64_t us = get_visit_answer(visit)->times.first_us;
    for (size_t i = 0; i + 1 < visit->hop_count; i++) {
        us += visit->hops[i].exchange.times.total_us;
    }
    return (double)us / 1000;
}

struct get_phases get_phases_of(const struct exchange *exchange)
{
    const struct exchange_times *t = &exchange->times;
    return (struct get_phases){
        .connect = (double)t->connect_us / 1000,
        .tls = t->tls_us > t->connect_us ? (double)(t->tls_us - t->connect_us) / 1000 : 0,
        .wait = (double)(t->first_us - t->sent_us) / 1000,
        .receive = (double)(t->total_us - t->first_us) / 1000,
    };
}

enum cdn_status get_visit_again(struct get_visit *visit, bool fresh, struct exchange *ret,
                                struct cdn_error *err)
{
    return ask(visit, visit->hops[visit->hop_count - 1].url, fresh, ret, err);
}

enum cdn_status get_visit_run(struct get_visit *visit, const char *url, struct cdn_error *err)
{
    const struct get_options *options = visit->options;
    enum cdn_status status = make_url(visit, url, err);
    if (status == CDN_OK) {
        status = place_client(visit, err);
    }
    if (status == CDN_OK) {
        explain(visit);
        struct exchange_client_config config = {.proxy = visit->proxy,
                                                .ca_file = options->cacert ? options->cacert
                                                                           : control_bundle(visit->up),
                                                .insecure = options->insecure};
        status = exchange_client_create(&config, &visit->client_side, err);
    }
    return status == CDN_OK ? follow(visit, err) : status;
}

void get_visit_free(struct get_visit *visit)
{
    for (size_t i = 0; i < visit->hop_count; i++) {
        free(visit->hops[i].url);
        free(visit->hops[i].node);
        json_decref(visit->hops[i].model);
        exchange_free(&visit->hops[i].exchange);
    }
    exchange_client_destroy(visit->client_side);
    cdn_buf_free(&visit->data);
    json_decref(visit->up);
    json_decref(visit->route);
    free(visit->url);
    free(visit->place);
    free(visit->stand);
    free(visit->proxy);
    free(visit->profile);
}
