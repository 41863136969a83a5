/* settings: reads the router's rows and completes its edges: a place from the name, a URL from the
 * listener, an admin address from the port. What cannot be completed is refused here with its line,
 * and never guessed later. */
#include "router/base/settings.h"

#include "common/admin_address.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/places.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define ROW(...) CDN_CONFIG_ROW_OF(struct router_settings, __VA_ARGS__)
static const struct cdn_config_row rows[] = {ROUTER_SETTINGS(ROW)};
#define EDGE_ROW(...) CDN_CONFIG_ROW_OF(struct router_edge_settings, __VA_ARGS__)
static const struct cdn_config_row edge_rows[] = {ROUTER_EDGE_SETTINGS(EDGE_ROW)};

const struct cdn_config_program router_program = {
    .name = "pocketcdn-router",
    .env = "ROUTER",
    .summary = "Sends each client to the edge nearest to it, and says why",
    .usage = "pocketcdn-router [-c cdn.yaml] [--edge name=N,place=P,url=U]... [settings]",
    .sections = {"cdn", "router"},
    .rows = rows,
    .row_count = CDN_ARRAY_LEN(rows),
    .settings_size = sizeof(struct router_settings),
};

static const struct cdn_config_program edge_program = {
    .name = "pocketcdn-router",
    .env = "ROUTER_EDGE",
    .sections = {"edge"},
    .list = "edges",
    .others_rows = true,
    .rows = edge_rows,
    .row_count = CDN_ARRAY_LEN(edge_rows),
    .settings_size = sizeof(struct router_edge_settings),
};

/* What the file says of all edges, for those that are not in it. */
static const struct cdn_config_program common_program = {
    .name = "pocketcdn-router",
    .env = "ROUTER_EDGE",
    .sections = {"edge"},
    .others_rows = true,
    .rows = edge_rows,
    .row_count = CDN_ARRAY_LEN(edge_rows),
    .settings_size = sizeof(struct router_edge_settings),
};

static void text_replace(char **field, char *take)
{
    free(*field);
    *field = take;
}

/* ---- completing an edge ---- */

/* host:port of "http://host:port", "host:port" or "host"; the port is 0 where none is given. */
static bool authority_parse(const char *text, struct cdn_str *ret_host, unsigned *ret_port)
{
    const char *slashes = strstr(text, "://");
    struct cdn_str rest = cdn_str(slashes ? slashes + 3 : text);
    while (rest.n > 0 && rest.p[rest.n - 1] == '/') {
        rest.n--;
    }
    ptrdiff_t colon = -1;
    for (size_t i = rest.n; i-- > 0 && rest.p[i] != ']' && colon < 0;) {
        colon = rest.p[i] == ':' ? (ptrdiff_t)i : -1;
    }
    uint64_t port = 0;
    if (colon >= 0 && (!cdn_parse_u64(cdn_str_sub(rest, (size_t)colon + 1), &port) || port > 65535)) {
        return false;
    }
    *ret_host = (struct cdn_str){rest.p, colon >= 0 ? (size_t)colon : rest.n};
    *ret_port = (unsigned)port;
    return rest.n > 0;
}

static const char *scheme_of(const struct router_edge_settings *s, enum router_edge_scheme wanted)
{
    const bool tls = wanted == ROUTER_SCHEME_AUTO ? s->tls_certificate.n > 0 : wanted == ROUTER_SCHEME_HTTPS;
    return tls ? "https" : "http";
}

static enum cdn_status edge_complete_url(struct router_edge_entry *e, enum router_edge_scheme scheme,
                                         struct cdn_error *err)
{
    struct router_edge_settings *s = &e->settings;
    struct cdn_addr listen;
    if (s->url[0]) {
        size_t n = strlen(s->url);
        if (n > 0 && s->url[n - 1] == '/') {
            s->url[n - 1] = '\0';
        }
        return CDN_OK;
    }
    if (!cdn_parse_host_port(cdn_str(s->listen), &listen)) {
        return cdn_error_set(err, CDN_INVALID, "%s: listen: '%s' is not HOST:PORT", e->origin, s->listen);
    }
    bool any = listen.sa.sa_family == AF_INET ? listen.v4.sin_addr.s_addr == INADDR_ANY
                                              : IN6_IS_ADDR_UNSPECIFIED(&listen.v6.sin6_addr);
    if (any || cdn_addr_port(&listen) == 0) {
        return cdn_error_set(err, CDN_INVALID, "%s: url: is needed, since clients cannot be sent to %s",
                             e->origin, s->listen);
    }
    text_replace(&s->url, cdn_asprintf("%s://%s", scheme_of(s, scheme), s->listen));
    return CDN_OK;
}

static enum cdn_status edge_complete_admin(struct router_edge_entry *e, struct cdn_error *err)
{
    struct router_edge_settings *s = &e->settings;
    struct cdn_str host;
    unsigned port;
    if (strstr(s->admin, "://")) {
        return CDN_OK;
    }
    if (s->admin[0]) {
        text_replace(&s->admin, cdn_asprintf("http://%s", s->admin));
        return CDN_OK;
    }
    if (!authority_parse(s->listen[0] ? s->listen : s->url, &host, &port)) {
        return cdn_error_set(err, CDN_INVALID, "%s: url: '%s' has no host and port", e->origin, s->url);
    }
    if (port == 0 && !s->listen[0]) {
        port = cdn_str_starts(cdn_str(s->url), CDN_STR("https:")) ? 443 : 80;
    }
    if (cdn_admin_port(port) == 0) {
        return cdn_error_set(err, CDN_INVALID, "%s: admin: is needed for %s, whose port + %u is none",
                             e->origin, s->url, CDN_ADMIN_PORT_OFFSET);
    }
    text_replace(&s->admin,
                 cdn_asprintf("http://" CDN_STR_FMT ":%u", CDN_STR_ARG(host), cdn_admin_port(port)));
    return CDN_OK;
}

/* Fills what was left out of edge number `i`. */
static enum cdn_status edge_complete(struct router_edge_entry *e, size_t i, enum router_edge_scheme scheme,
                                     struct cdn_error *err)
{
    struct router_edge_settings *s = &e->settings;
    if (!s->name[0]) {
        return cdn_error_set(err, CDN_INVALID, "%s: name: is missing", e->origin);
    }
    if (!http_check_token(cdn_str(s->name))) {
        return cdn_error_set(err, CDN_INVALID, "%s: name: '%s' has more than letters, digits and -._~",
                             e->origin, s->name);
    }
    if (!s->place[0]) {
        text_replace(&s->place, cdn_strdup(s->name));
    }
    if (!s->listen[0] && !s->url[0]) {
        text_replace(&s->listen, cdn_asprintf("127.0.%zu.%zu:8088", 1 + i / 254, 1 + i % 254));
    }
    enum cdn_status status = edge_complete_url(e, scheme, err);
    return status == CDN_OK ? edge_complete_admin(e, err) : status;
}

/* ---- where edges come from ---- */

static struct router_edge_entry *edge_add(struct router_config *config, char *take_origin)
{
    config->edges = cdn_realloc(config->edges, config->edge_count + 1, sizeof(*config->edges));
    struct router_edge_entry *e = &config->edges[config->edge_count++];
    *e = (struct router_edge_entry){.origin = take_origin};
    return e;
}

static const struct cdn_config_row *edge_row(struct cdn_str field)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(edge_rows); i++) {
        if (cdn_str_eq(cdn_str(edge_rows[i].field), field)) {
            return &edge_rows[i];
        }
    }
    return NULL;
}

/* The next KEY=VALUE; a piece without '=' belongs to the value before it ("place=50.1,8.7"). */
static struct cdn_str pair_cut(struct cdn_str *rest)
{
    struct cdn_str pair = cdn_str_cut(rest, ',');
    while (rest->p) {
        struct cdn_str after = *rest, piece = cdn_str_cut(&after, ',');
        if (cdn_str_find(piece, '=') >= 0) {
            break;
        }
        pair.n += 1 + piece.n;
        *rest = after;
    }
    return pair;
}

static enum cdn_status edge_from_text(struct router_edge_entry *e, struct cdn_str text, const char *path,
                                      struct cdn_error *err)
{
    enum cdn_status status = cdn_config_load_item(&common_program, path, 0, &e->settings, err);
    while (status == CDN_OK && text.p) {
        struct cdn_str value = pair_cut(&text);
        struct cdn_str key = cdn_str_trim(cdn_str_cut(&value, '='));
        const struct cdn_config_row *row = value.p ? edge_row(key) : NULL;
        if (!row) {
            return cdn_error_set(err, CDN_INVALID,
                                 "%s: '" CDN_STR_FMT "' is not one of name=, place=, url=, listen=, "
                                 "admin=, weight=, capacity=",
                                 e->origin, CDN_STR_ARG(key));
        }
        CDN_AUTOFREE char *where = cdn_asprintf("%s: %s", e->origin, row->field);
        status = cdn_config_set(row, &e->settings, where, cdn_str_trim(value), err);
    }
    return status;
}

static enum cdn_status edges_from_flags(struct router_config *config, const char *path, struct cdn_error *err)
{
    const struct cdn_config_list *list = &config->settings.edge;
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < list->n && status == CDN_OK; i++) {
        const struct cdn_config_entry *item = &list->items[i];
        struct router_edge_entry *e = edge_add(config, cdn_strdup(item->origin ? item->origin : "--edge"));
        status = edge_from_text(e, cdn_str(item->key), path, err);
    }
    return status;
}

struct taking {
    struct router_config *config;
    const char *path;
};

static void take_edge(void *arg, const void *settings)
{
    const struct taking *t = arg;
    const struct router_edge_settings *s = settings;
    edge_add(t->config, cdn_asprintf("%s: edges[%s]", t->path, s->name))->settings = *s;
}

static enum cdn_status edges_from_file(struct router_config *config, const char *path, struct cdn_error *err)
{
    struct taking taking = {config, path};
    return path ? cdn_config_load_items(&edge_program, path, take_edge, &taking, err) : CDN_OK;
}

static enum cdn_status edges_by_default(struct router_config *config, const char *path, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < GEO_DEFAULT_EDGES && status == CDN_OK; i++) {
        const struct geo_site *site = geo_site_at(i);
        CDN_AUTOFREE char *text = cdn_asprintf("name=" CDN_STR_FMT ",place=" CDN_STR_FMT,
                                               CDN_STR_ARG(site->name), CDN_STR_ARG(site->city));
        status = edge_from_text(edge_add(config, cdn_strdup("default edges")), cdn_str(text), path, err);
    }
    return status;
}

static enum cdn_status edges_load(struct router_config *config, const char *path, struct cdn_error *err)
{
    const enum router_edge_scheme scheme = (enum router_edge_scheme)config->settings.edge_scheme;
    enum cdn_status status = edges_from_flags(config, path, err);
    if (status == CDN_OK && config->edge_count == 0) {
        status = edges_from_file(config, path, err);
    }
    if (status == CDN_OK && config->edge_count == 0) {
        status = edges_by_default(config, path, err);
    }
    for (size_t i = 0; i < config->edge_count && status == CDN_OK; i++) {
        status = edge_complete(&config->edges[i], i, scheme, err);
    }
    return status;
}

/* ---- loading ---- */

static enum cdn_status config_finish(struct router_config *config, const char *path,
                                     struct router_config *ret, struct cdn_error *err)
{
    char admin[CDN_ADDR_TEXT_SIZE];
    cdn_admin_address(config->settings.admin, config->settings.listen, admin);
    text_replace(&config->settings.admin, cdn_strdup(admin));
    enum cdn_status status = edges_load(config, path, err);
    if (status == CDN_OK) {
        status = router_sites_read(path, &config->sites, err);
    }
    if (status == CDN_OK) {
        *ret = *config;
    } else {
        router_config_free(config);
    }
    return status;
}

enum cdn_status router_config_load(int argc, char **argv, struct router_config *ret,
                                   enum cdn_config_outcome *ret_outcome, struct cdn_error *err)
{
    struct router_config config = {0};
    CDN_AUTOFREE char *path = cdn_config_path(&router_program, argc, argv);
    enum cdn_status status =
        cdn_config_load(&router_program, argc, argv, &config.settings, ret_outcome, NULL, NULL, err);
    if (status != CDN_OK || *ret_outcome == CDN_CONFIG_DONE) {
        return status;
    }
    return config_finish(&config, path, ret, err);
}

enum cdn_status router_config_read(const char *path, struct router_config *ret, struct cdn_error *err)
{
    struct router_config config = {0};
    enum cdn_status status = cdn_config_load_item(&router_program, path, 0, &config.settings, err);
    return status == CDN_OK ? config_finish(&config, path, ret, err) : status;
}

void router_config_free(struct router_config *config)
{
    for (size_t i = 0; i < config->edge_count; i++) {
        cdn_config_free(&edge_program, &config->edges[i].settings);
        free(config->edges[i].origin);
    }
    free(config->edges);
    router_sites_free(&config->sites);
    cdn_config_free(&router_program, &config->settings);
    *config = (struct router_config){0};
}
