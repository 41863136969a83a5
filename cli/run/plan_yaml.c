/* plan_yaml: the cdn.yaml that `up` writes where the user has none. By libyaml's emitter, as the
 * file will be read by its parser: what a name of a place needs to be quoted for, the library knows. */
#include "cli/run/plan.h"
#include "common/admin_address.h"
#include "common/mem.h"
#include "common/str.h"
#include "geo-data/places.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "common/banned.h"

#define ORIGIN_PLACE "Frankfurt"

/* Nothing here fails but for want of memory. */
static int need(int ok)
{
    if (!ok) {
        cdn_out_of_memory();
    }
    return ok;
}

static int mapping(yaml_document_t *d)
{
    return need(yaml_document_add_mapping(d, NULL, YAML_BLOCK_MAPPING_STYLE));
}

static int scalar(yaml_document_t *d, const char *text)
{
    return need(yaml_document_add_scalar(d, NULL, (const yaml_char_t *)text, -1, YAML_ANY_SCALAR_STYLE));
}

static void put(yaml_document_t *d, int into, const char *key, int value)
{
    need(yaml_document_append_mapping_pair(d, into, scalar(d, key), value));
}

static __attribute__((format(printf, 4, 5))) void put_text(yaml_document_t *d, int into, const char *key,
                                                           const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    put(d, into, key, scalar(d, text));
}

static void put_listeners(yaml_document_t *d, int into, const char *host, unsigned port)
{
    put_text(d, into, "listen", "%s:%u", host, port);
    put_text(d, into, "admin", "%s:%u", host, cdn_admin_port(port));
}

static int edges(yaml_document_t *d, const struct plan_ports *ports)
{
    int list = need(yaml_document_add_sequence(d, NULL, YAML_BLOCK_SEQUENCE_STYLE));
    for (unsigned i = 0; i < GEO_DEFAULT_EDGES && i < geo_site_count(); i++) {
        const struct geo_site *site = geo_site_at(i);
        char host[PLAN_HOST_SIZE];
        unsigned port;
        int edge = mapping(d);
        put_text(d, edge, "name", CDN_STR_FMT, CDN_STR_ARG(site->name));
        put_text(d, edge, "place", CDN_STR_FMT, CDN_STR_ARG(site->city));
        plan_edge_at(ports, i, host, &port);
        put_listeners(d, edge, host, port);
        need(yaml_document_append_sequence_item(d, list, edge));
    }
    return list;
}

static void fill(yaml_document_t *d, const struct plan_wish *wish, const struct plan_ports *ports)
{
    int root = mapping(d), cdn = mapping(d), router = mapping(d);
    int proxies = need(yaml_document_add_sequence(d, NULL, YAML_FLOW_SEQUENCE_STYLE));
    put_text(d, cdn, "simulate", "yes");
    need(yaml_document_append_sequence_item(d, proxies, scalar(d, "127.0.0.0/8")));
    put(d, cdn, "trusted_proxies", proxies);
    if (wish->wan) { /* the network says who a client is */
        put_text(d, cdn, "proxy_protocol", "optional");
    }
    put(d, root, "cdn", cdn);
    if (wish->root || wish->releases) {
        int origin = mapping(d);
        put_listeners(d, origin, ports->router_host, ports->origin);
        put_text(d, origin, "place", ORIGIN_PLACE);
        put(d, root, "origin", origin);
    } else if (wish->wan) { /* of an origin that runs already: it has to stand somewhere */
        int origin = mapping(d);
        put_text(d, origin, "place", ORIGIN_PLACE);
        put(d, root, "origin", origin);
    }
    if (wish->wan) {
        int wan = mapping(d);
        put_listeners(d, wan, ports->router_host, ports->wan);
        put(d, root, "wan", wan);
    }
    put_listeners(d, router, ports->router_host, ports->router);
    put_text(d, router, "dns_listen", "%s:%u", ports->router_host, plan_dns_port(ports));
    put(d, root, "router", router);
    put(d, root, "edges", edges(d, ports));
}

static int append(void *into, unsigned char *bytes, size_t n)
{
    cdn_buf_add(into, (const char *)bytes, n);
    return 1;
}

void plan_default_yaml(const struct plan_wish *wish, const struct plan_ports *ports, struct cdn_buf *out)
{
    yaml_document_t document;
    yaml_emitter_t emitter;
    cdn_buf_add_str(
        out, CDN_STR("# Written by `pocketcdn up`. A copy of it is a start for a cdn.yaml of your own.\n"));
    need(yaml_document_initialize(&document, NULL, NULL, NULL, 1, 1));
    fill(&document, wish, ports);
    need(yaml_emitter_initialize(&emitter));
    yaml_emitter_set_output(&emitter, append, out);
    yaml_emitter_set_unicode(&emitter, 1);
    need(yaml_emitter_dump(&emitter, &document)); /* which frees the document */
    need(yaml_emitter_flush(&emitter));
    yaml_emitter_delete(&emitter);
}
