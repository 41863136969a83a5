/* dns_zone_build: from settings and edges to the names and records of dns_zone.h. Everything is
 * checked while it is built, so that answering has no error to report and no text to parse. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/among.h"
#include "router/base/edges.h"
#include "router/base/settings.h"
#include "router/choice/overrides.h"
#include "router/choice/select.h"
#include "router/dns/dns_scope.h"
#include "router/dns/dns_zone.h"
#include "router/table/table.h"

#include <libknot/libknot.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

/* What a secondary would go by, were there one (RFC 1912 section 2.2). */
#define SOA_REFRESH 3600
#define SOA_RETRY 600
#define SOA_EXPIRE 1209600

enum { V4, V6 };

struct build {
    struct dns_zone *zone;
    const struct router_config *config;
    const struct router_settings *s;
    const struct cdn_addr *listen;
    uint32_t serial;
};

/* ---- names and records ---- */

/* A text without a dot is a name in the zone. */
static knot_dname_t *name_of(const struct dns_zone *zone, struct cdn_str text)
{
    CDN_AUTOFREE char *copy = cdn_str_dup(text);
    knot_dname_storage_t whole;
    if (!knot_dname_from_str(whole, copy, sizeof(whole))) {
        return NULL;
    }
    knot_dname_to_lower(whole);
    size_t size = knot_dname_size(whole);
    if (cdn_str_find(text, '.') < 0) {
        if (size - 1 + zone->apex_size > KNOT_DNAME_MAXLEN) {
            return NULL;
        }
        memcpy(whole + size - 1, zone->apex, zone->apex_size);
    }
    return knot_dname_copy(whole, NULL);
}

static void record_begin(struct dns_zone *zone, knot_rrset_t *set, uint16_t type, uint32_t ttl)
{
    knot_rrset_init(set, knot_dname_copy(zone->apex, NULL), type, KNOT_CLASS_IN, ttl);
}

static void record_add(knot_rrset_t *set, struct cdn_str data)
{
    if (knot_rrset_add_rdata(set, (const uint8_t *)data.p, (uint16_t)data.n, NULL) != KNOT_EOK) {
        abort(); /* memory is out */
    }
}

static uint16_t address_type(int family)
{
    return family == V4 ? KNOT_RRTYPE_A : KNOT_RRTYPE_AAAA;
}

/* The owner is written as a pointer to the question, so the apex serves for all. */
static void address_add(struct dns_zone *zone, knot_rrset_t sets[2], const struct cdn_addr *address,
                        uint32_t ttl)
{
    size_t size;
    const uint8_t *bytes = cdn_addr_bytes(address, &size);
    int family = size == 4 ? V4 : V6;
    if (!sets[family].owner) {
        record_begin(zone, &sets[family], address_type(family), ttl);
    }
    record_add(&sets[family], (struct cdn_str){(const char *)bytes, size});
}

/* The node of a name, made with the empty ones above it; NULL: the name is taken. */
static struct dns_node *node_add(struct dns_zone *zone, const knot_dname_t *name, enum dns_kind kind)
{
    struct dns_node *node = dns_zone_slot(zone, name);
    if (node->name && node->kind != DNS_KIND_EMPTY) {
        return NULL;
    }
    if (!node->name) {
        node->name = knot_dname_copy(name, NULL);
    }
    node->kind = kind;
    for (const uint8_t *up = name + name[0] + 1; dns_zone_has(zone, up); up += up[0] + 1) {
        struct dns_node *above = dns_zone_slot(zone, up);
        if (!above->name) {
            above->name = knot_dname_copy(up, NULL);
        }
    }
    return node;
}

/* ---- addresses of edges ---- */

static struct cdn_str host_of(const char *url)
{
    const char *slashes = strstr(url, "://");
    struct cdn_str rest = cdn_str(slashes ? slashes + 3 : url);
    bool bracket = rest.n > 0 && rest.p[0] == '[';
    rest = cdn_str_sub(rest, bracket);
    if (bracket) {
        return cdn_str_cut(&rest, ']');
    }
    struct cdn_str host = cdn_str_cut(&rest, '/');
    return cdn_str_cut(&host, ':');
}

static bool is_wildcard(const struct cdn_addr *a)
{
    return a->sa.sa_family == AF_INET ? a->v4.sin_addr.s_addr == INADDR_ANY
                                      : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

/* Of the url first; of the listen what the url does not say. */
static void edge_addresses(const struct build *b, size_t number, struct dns_edge *edge)
{
    const struct router_edge_settings *e = &b->config->edges[number].settings;
    const char *texts[] = {e->url, e->listen};
    for (size_t i = 0; i < CDN_ARRAY_LEN(texts); i++) {
        struct cdn_addr address;
        if (!cdn_parse_ip(host_of(texts[i]), &address) || is_wildcard(&address)) {
            continue;
        }
        int family = address.sa.sa_family == AF_INET ? V4 : V6;
        if (!edge->address[family].owner) {
            address_add(b->zone, edge->address, &address, b->zone->ttl);
        }
    }
}

static enum cdn_status edge_build(struct build *b, size_t number, struct cdn_error *err)
{
    struct dns_zone *zone = b->zone;
    struct dns_edge *edge = &zone->edges[number];
    const struct router_edge *p = &zone->table->edges->at[number];
    edge_addresses(b, number, edge);
    for (int family = V4; family <= V6; family++) {
        zone->any_address[family] |= edge->address[family].owner != NULL;
        zone->all_addresses[family] &= edge->address[family].owner != NULL;
    }
    if (!edge->address[V4].owner && !edge->address[V6].owner) {
        dns_zone_warn(
            zone, cdn_asprintf("edge %s is left out of DNS: %s has no address, but a name", p->name, p->url));
        return CDN_OK;
    }
    CDN_AUTOFREE char *text = cdn_asprintf("%s%s", p->name, strchr(p->name, '.') ? "." : "");
    knot_dname_storage_t label, whole;
    if (!knot_dname_from_str(label, text, sizeof(label)) ||
        knot_dname_size(label) - 1 + zone->apex_size > KNOT_DNAME_MAXLEN) {
        return cdn_error_set(err, CDN_INVALID, "%s: name: '%s' is too long in the zone %s", p->origin,
                             p->name, b->s->dns_zone);
    }
    size_t n = knot_dname_size(label) - 1;
    memcpy(whole, label, n);
    memcpy(whole + n, zone->apex, zone->apex_size);
    knot_dname_to_lower(whole);
    struct dns_node *node = node_add(zone, whole, DNS_KIND_HOST);
    if (!node) {
        dns_zone_warn(zone, cdn_asprintf("edge %s has no name of its own in DNS: it is taken", p->name));
    }
    for (int family = V4; family <= V6; family++) {
        const knot_rrset_t *set = &edge->address[family];
        if (node && set->owner) {
            record_begin(zone, &node->addresses[family], set->type, set->ttl);
            record_add(&node->addresses[family],
                       (struct cdn_str){(const char *)set->rrs.rdata->data, set->rrs.rdata->len});
        }
    }
    return CDN_OK;
}

/* ---- the zone's own records ---- */

static enum cdn_status ns_add(struct build *b, struct cdn_str text, const struct cdn_addr *fallback,
                              struct cdn_error *err)
{
    struct dns_zone *zone = b->zone;
    struct cdn_str rest = text, host = cdn_str_trim(cdn_str_cut(&rest, '='));
    struct cdn_addr address = fallback ? *fallback : (struct cdn_addr){0};
    CDN_AUTOFREE knot_dname_t *name = host.n > 0 ? name_of(zone, host) : NULL;
    if (!name || (rest.p && !cdn_parse_ip(cdn_str_trim(rest), &address))) {
        return cdn_error_set(err, CDN_INVALID, "dns_ns: '" CDN_STR_FMT "' is not NAME or NAME=ADDRESS",
                             CDN_STR_ARG(text));
    }
    record_add(&zone->ns, (struct cdn_str){(const char *)name, knot_dname_size(name)});
    if (!dns_zone_has(zone, name)) {
        return CDN_OK;
    }
    bool known = address.sa.sa_family != AF_UNSPEC && !is_wildcard(&address);
    if (!known && !fallback) {
        return cdn_error_set(err, CDN_INVALID,
                             "dns_ns: '" CDN_STR_FMT "' is in the zone: its address is needed",
                             CDN_STR_ARG(text));
    }
    if (!known) {
        dns_zone_warn(zone, cdn_asprintf("ns1 has no address in DNS: dns_ns should name the zone's servers"));
    }
    struct dns_node *node = dns_zone_slot(zone, name);
    if (!node->name || node->kind == DNS_KIND_EMPTY) {
        node = node_add(zone, name, DNS_KIND_HOST);
    } else if (node->kind != DNS_KIND_HOST) {
        return cdn_error_set(err, CDN_INVALID, "dns_ns: '" CDN_STR_FMT "' is a name that leads to edges",
                             CDN_STR_ARG(text));
    }
    if (known) {
        address_add(zone, node->addresses, &address, DNS_LONG_TTL);
    }
    return CDN_OK;
}

static enum cdn_status ns_build(struct build *b, struct cdn_error *err)
{
    const struct cdn_config_list *list = &b->s->dns_ns;
    enum cdn_status status = CDN_OK;
    record_begin(b->zone, &b->zone->ns, KNOT_RRTYPE_NS, DNS_LONG_TTL);
    if (list->n == 0) {
        status = ns_add(b, CDN_STR("ns1"), b->listen, err);
    }
    for (size_t i = 0; i < list->n && status == CDN_OK; i++) {
        status = ns_add(b, cdn_str(list->items[i].key), NULL, err);
    }
    return status;
}

static void put_u32(struct cdn_buf *out, uint32_t value)
{
    uint8_t bytes[4];
    knot_wire_write_u32(bytes, value);
    cdn_buf_add(out, bytes, sizeof(bytes));
}

/* RFC 1035 section 3.3.13. A negative answer lives as long as an address does (RFC 2308 section 5). */
static void soa_build(struct build *b)
{
    struct dns_zone *zone = b->zone;
    CDN_AUTOBUF struct cdn_buf data = {0};
    const knot_rdata_t *server = zone->ns.rrs.rdata;
    cdn_buf_add(&data, server->data, server->len);
    cdn_buf_add(&data, "\012hostmaster", 11);
    cdn_buf_add(&data, zone->apex, zone->apex_size);
    const uint32_t numbers[] = {b->serial, SOA_REFRESH, SOA_RETRY, SOA_EXPIRE, zone->ttl};
    for (size_t i = 0; i < CDN_ARRAY_LEN(numbers); i++) {
        put_u32(&data, numbers[i]);
    }
    record_begin(zone, &zone->soa, KNOT_RRTYPE_SOA, DNS_LONG_TTL);
    record_begin(zone, &zone->soa_negative, KNOT_RRTYPE_SOA, zone->ttl);
    record_add(&zone->soa, cdn_buf_str(&data));
    record_add(&zone->soa_negative, cdn_buf_str(&data));
}

static enum cdn_status caa_build(struct build *b, struct cdn_error *err)
{
    const struct cdn_config_list *list = &b->s->dns_caa;
    for (size_t i = 0; i < list->n; i++) {
        struct cdn_str issuer = cdn_str(list->items[i].key);
        CDN_AUTOBUF struct cdn_buf data = {0};
        if (issuer.n == 0 || issuer.n > 255) {
            return cdn_error_set(err, CDN_INVALID, "dns_caa: '%s' is not an issuer", issuer.p);
        }
        if (!b->zone->caa.owner) {
            record_begin(b->zone, &b->zone->caa, KNOT_RRTYPE_CAA, DNS_LONG_TTL);
        }
        cdn_buf_add(&data, "\0\5issue", 7); /* RFC 8659 section 4.1 */
        cdn_buf_add_str(&data, issuer);
        record_add(&b->zone->caa, cdn_buf_str(&data));
    }
    return CDN_OK;
}

static enum cdn_status site_build(struct build *b, struct cdn_error *err)
{
    static const uint8_t why[] = "\004_why";
    struct dns_zone *zone = b->zone;
    CDN_AUTOFREE knot_dname_t *site = name_of(zone, cdn_str(b->s->dns_name));
    if (!site || !dns_zone_has(zone, site)) {
        return cdn_error_set(err, CDN_INVALID, "dns_name: '%s' is not a name in the zone %s", b->s->dns_name,
                             b->s->dns_zone);
    }
    node_add(zone, zone->apex, DNS_KIND_APEX);
    node_add(zone, site, DNS_KIND_SITE);
    const knot_dname_t *explained[] = {zone->apex, site};
    for (size_t i = 0; i < CDN_ARRAY_LEN(explained); i++) {
        knot_dname_storage_t name;
        size_t size = knot_dname_size(explained[i]);
        if (size + 5 > KNOT_DNAME_MAXLEN) {
            return cdn_error_set(err, CDN_INVALID, "dns_name: '%s' is too long", b->s->dns_name);
        }
        memcpy(name, why, 5);
        memcpy(name + 5, explained[i], size);
        node_add(zone, name, DNS_KIND_WHY);
    }
    record_begin(zone, &zone->hinfo, KNOT_RRTYPE_HINFO, DNS_LONG_TTL);
    record_add(&zone->hinfo, CDN_STR("\7RFC8482\0"));
    return CDN_OK;
}

static enum cdn_status apex_build(struct build *b, struct cdn_error *err)
{
    struct dns_zone *zone = b->zone;
    knot_dname_storage_t name;
    if (!knot_dname_from_str(name, b->s->dns_zone, sizeof(name)) || name[0] == 0) {
        return cdn_error_set(err, CDN_INVALID, "dns_zone: '%s' is not a name of a zone", b->s->dns_zone);
    }
    knot_dname_to_lower(name);
    zone->apex = knot_dname_copy(name, NULL);
    zone->apex_size = knot_dname_size(name);
    return CDN_OK;
}

/* A name's own place in the index and those of the empty names above it. */
static size_t places_of(const char *text)
{
    size_t n = 2;
    for (; *text; text++) {
        n += *text == '.';
    }
    return n;
}

static void index_make(struct build *b)
{
    struct dns_zone *zone = b->zone;
    size_t size = 64, names = 2 * places_of(b->s->dns_name) + 4;
    for (size_t i = 0; i < b->s->dns_ns.n; i++) {
        names += places_of(b->s->dns_ns.items[i].key);
    }
    for (size_t i = 0; i < zone->table->edges->count; i++) {
        names += places_of(zone->table->edges->at[i].name);
    }
    while (size < names * 2) {
        size *= 2;
    }
    zone->nodes = cdn_calloc(size, sizeof(*zone->nodes));
    zone->node_mask = size - 1;
}

static void limits_build(struct build *b)
{
    struct dns_limits *l = &b->zone->limits;
    const struct cdn_config_list *exempt = &b->s->dns_rate_exempt;
    *l = (struct dns_limits){
        .nsid = cdn_strdup(b->s->dns_nsid),
        .nsid_n = strlen(b->s->dns_nsid),
        .udp_size = (uint16_t)b->s->dns_udp_size,
        .answers = (unsigned)b->s->dns_answers,
        .rate = (unsigned)b->s->dns_rate,
        .slip = (unsigned)b->s->dns_slip,
        .exempt = cdn_calloc(exempt->n + 1, sizeof(*l->exempt)),
    };
    for (size_t i = 0; i < exempt->n; i++) {
        if (cdn_parse_cidr(cdn_str(exempt->items[i].key), &l->exempt[l->exempt_count])) {
            l->exempt_count++;
        }
    }
}

/* Whether the place of a client can make a difference. */
static bool place_matters(const struct router_table *table)
{
    for (size_t i = 0; i < router_overrides_count(table->overrides); i++) {
        const struct router_override *o = router_overrides_at(table->overrides, i);
        if (o->edge != ROUTER_NO_EDGE || router_override_limits(o)) {
            return true;
        }
    }
    return table->policy != ROUTER_POLICY_PINNED && table->edges->site_count > 1;
}

static void families_find(struct dns_zone *zone)
{
    size_t count = zone->table->edges->count;
    for (int family = 0; family < 2; family++) {
        zone->with_address[family] = cdn_calloc(router_among_words(count), sizeof(uint64_t));
        for (size_t i = 0; i < count; i++) {
            if (zone->edges[i].address[family].owner) {
                router_among_set_add(zone->with_address[family], i);
            }
        }
    }
}

static enum cdn_status zone_build(struct build *b, struct cdn_error *err)
{
    struct dns_zone *zone = b->zone;
    size_t count = zone->table->edges->count;
    enum cdn_status status = apex_build(b, err);
    if (status != CDN_OK) {
        return status;
    }
    zone->ttl = (uint32_t)(b->s->dns_ttl / 1000);
    zone->edges = cdn_calloc(count + 1, sizeof(*zone->edges));
    zone->all_addresses[V4] = zone->all_addresses[V6] = true;
    zone->by_place = place_matters(zone->table);
    zone->scope =
        (struct dns_scope_rules){zone->table, dns_cuts_create(&b->s->overrides), dns_cuts_create_special()};
    limits_build(b);
    index_make(b);
    status = site_build(b, err);
    if (status == CDN_OK) {
        status = ns_build(b, err);
    }
    if (status == CDN_OK) {
        status = caa_build(b, err);
    }
    for (size_t i = 0; i < count && status == CDN_OK; i++) {
        status = edge_build(b, i, err);
    }
    if (status == CDN_OK) {
        families_find(zone);
        soa_build(b);
    }
    return status;
}

enum cdn_status dns_zone_create(const struct router_config *config, struct router_table *table,
                                const struct cdn_addr *listen, uint32_t serial, struct dns_zone **ret,
                                struct cdn_error *err)
{
    struct dns_zone *zone = cdn_calloc(1, sizeof(*zone));
    zone->table = router_table_ref(table);
    atomic_store(&zone->_refs, 1);
    struct build build = {zone, config, &config->settings, listen, serial};
    enum cdn_status status = zone_build(&build, err);
    if (status != CDN_OK) {
        dns_zone_unref(zone);
        return status;
    }
    *ret = zone;
    return CDN_OK;
}
