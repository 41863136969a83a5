/* target: one function makes the key for requests, purges, `why` and invalidation, so that a
 * purge cannot miss what a request has stored under another spelling. All names of this machine
 * are looked for in one place (names_this_machine) and stored as the origin's. */
#include "edge/base/target.h"

#include "common/config/config.h"
#include "common/mem.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

/* Parameters that advertisers, mail services and analytics add to links, and pages read in the browser only:
 * what `query_ignore: tracking` means. docs/edge.md has the list, too. */
static const struct cdn_str tracking[] = {
    {"utm_*", 5},        {"fbclid", 6},      {"gclid", 5},   {"gclsrc", 6},  {"dclid", 5},     {"gbraid", 6},
    {"wbraid", 6},       {"msclkid", 7},     {"twclid", 6},  {"ttclid", 6},  {"li_fat_id", 9}, {"yclid", 5},
    {"igshid", 6},       {"igsh", 4},        {"mc_cid", 6},  {"mc_eid", 6},  {"_ga", 3},       {"_gl", 3},
    {"_hsenc", 6},       {"_hsmi", 5},       {"mkt_tok", 7}, {"srsltid", 7}, {"epik", 4},      {"vero_id", 7},
    {"oly_anon_id", 11}, {"oly_enc_id", 10},
};

static struct cdn_str *names_of(const struct cdn_config_list *list, size_t *ret_count)
{
    struct cdn_str *names = cdn_calloc(list->n + CDN_ARRAY_LEN(tracking), sizeof(*names));
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        names[n++] = cdn_str(list->items[i].key);
    }
    *ret_count = n;
    return names;
}

static void add_tracking(struct cdn_str *names, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        if (cdn_str_eq(names[i], CDN_STR("tracking"))) {
            names[i] = tracking[0];
            for (size_t k = 1; k < CDN_ARRAY_LEN(tracking); k++) {
                names[(*count)++] = tracking[k];
            }
            return;
        }
    }
}

static char *written(struct cdn_str host, bool secure)
{
    char into[EDGE_KEY_HOST_MAX];
    struct cdn_str name = {"", 0};
    return edge_key_host_write(host, secure, into, &name) ? cdn_str_dup(name) : NULL;
}

/* "localhost" or an address on loopback, any port; `host` as in keys. */
static bool is_loopback(struct cdn_str host)
{
    struct cdn_addr address;
    struct cdn_str name = host;
    if (host.n && host.p[0] != '[') {
        name = cdn_str_cut(&host, ':');
    } else {
        ptrdiff_t end = cdn_str_find(host, ']');
        name = end > 1 ? (struct cdn_str){host.p + 1, (size_t)end - 1} : name;
    }
    return cdn_str_eq(name, CDN_STR("localhost")) ||
           (cdn_parse_ip(name, &address) && cdn_addr_is_loopback(&address));
}

static bool names_this_machine(const struct edge_naming *naming, struct cdn_str host)
{
    return cdn_str_eq(host, cdn_str(naming->listener)) || cdn_str_eq(host, cdn_str(naming->own)) ||
           is_loopback(host);
}

static bool is_any_address(const struct cdn_addr *a)
{
    size_t n;
    const unsigned char *bytes = cdn_addr_bytes(a, &n);
    static const unsigned char zeros[16];
    return memcmp(bytes, zeros, n) == 0;
}

static char *listener_name(const struct cdn_addr *listen, bool secure)
{
    char text[CDN_ADDR_TEXT_SIZE];
    if (is_any_address(listen)) {
        CDN_AUTOFREE char *local = cdn_asprintf("localhost:%u", cdn_addr_port(listen));
        return written(cdn_str(local), secure);
    }
    cdn_addr_format(listen, text);
    return written(cdn_str(text), secure);
}

static enum cdn_status name_of_url(const char *key, const char *url, char **ret, struct cdn_error *err)
{
    struct edge_key_parts parts;
    *ret = edge_key_split(cdn_str(url), &parts) ? written(parts.host, parts.secure) : NULL;
    return *ret ? CDN_OK
                : cdn_error_set(err, CDN_INVALID, "--%s: \"%s\" is not a URL such as http://127.0.0.1:8088",
                                key, url);
}

enum cdn_status edge_naming_create(const struct edge_settings *settings, const struct cdn_addr *listen,
                                   bool secure, struct edge_naming *ret, struct cdn_error *err)
{
    struct edge_naming n = {0};
    char *site = NULL;
    enum cdn_status status = name_of_url("origin", settings->origin, &site, err);
    n.site[0] = site ? written(cdn_str(site), false) : NULL;
    n.site[1] = site ? written(cdn_str(site), true) : NULL;
    free(site);
    if (status == CDN_OK && settings->url[0]) {
        status = name_of_url("url", settings->url, &n.own, err);
    }
    if (status != CDN_OK) {
        edge_naming_free(&n);
        return status;
    }
    n.listener = listener_name(listen, secure);
    n.told = cdn_strdup(n.own ? n.own : is_loopback(cdn_str(n.site[0])) ? n.listener : n.site[0]);
    n.own = n.own ? n.own : cdn_strdup("");
    n.query.mode = (enum edge_query_mode)settings->query;
    n.query_allow = names_of(&settings->query_allow, &n.query.allow_count);
    n.query_ignore = names_of(&settings->query_ignore, &n.query.ignore_count);
    add_tracking(n.query_ignore, &n.query.ignore_count);
    n.query.allow = n.query_allow;
    n.query.ignore = n.query_ignore;
    *ret = n;
    return CDN_OK;
}

void edge_naming_free(struct edge_naming *naming)
{
    free(naming->site[0]);
    free(naming->site[1]);
    free(naming->listener);
    free(naming->own);
    free(naming->told);
    free(naming->query_allow);
    free(naming->query_ignore);
    *naming = (struct edge_naming){0};
}

enum edge_key_error edge_target_build(const struct edge_naming *naming, const struct edge_key_parts *parts,
                                      char *into, struct edge_target *ret)
{
    char host[EDGE_KEY_HOST_MAX];
    struct edge_key_parts keyed = *parts;
    struct cdn_str key;
    const struct cdn_str site = cdn_str(naming->site[parts->secure]);
    if (!parts->host.n) {
        keyed.host = site;
    } else if (!edge_key_host_write(parts->host, parts->secure, host, &keyed.host)) {
        return EDGE_KEY_HOST;
    } else if (names_this_machine(naming, keyed.host)) {
        keyed.host = site;
    }
    enum edge_key_error e = edge_key_build(&keyed, &naming->query, into, EDGE_KEY_MAX, &key);
    if (e == EDGE_KEY_OK) {
        *ret = (struct edge_target){
            .key = key, .host = edge_key_host(key), .path = edge_key_target(key), .secure = parts->secure};
        if (cdn_str_eq(ret->host, site)) {
            ret->host = cdn_str(naming->told);
        }
    }
    return e;
}

void edge_target_moved(struct edge_target *t, const char *key)
{
    const struct cdn_str from = t->key;
    t->key.p = key;
    t->path.p = key + (t->path.p - from.p);
    if (t->host.p >= from.p && t->host.p < from.p + from.n) { /* else it is what the origin is told */
        t->host.p = key + (t->host.p - from.p);
    }
}

enum edge_key_error edge_target_of_url(const struct edge_naming *naming, struct cdn_str url, bool secure,
                                       char *into, struct edge_target *ret)
{
    char host[EDGE_KEY_HOST_MAX];
    struct edge_key_parts parts = {0};
    if (url.n && url.p[0] == '/') {
        struct cdn_str rest = cdn_str_cut(&url, '#');
        parts.path = cdn_str_cut(&rest, '?');
        parts.query = rest;
    } else if (!edge_key_split(url, &parts) ||
               !edge_key_host_write(parts.host, parts.secure, host, &parts.host)) {
        return EDGE_KEY_HOST;
    }
    parts.secure = secure;
    return edge_target_build(naming, &parts, into, ret);
}
