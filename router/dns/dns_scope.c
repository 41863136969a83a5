/* dns_scope: cuts are the bounds of all networks that matter, sorted once: the scope of an address
 * is what it has in common with its neighbours among them, found by binary search. */
#include "router/dns/dns_scope.h"

#include "common/mem.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/special.h"
#include "router/choice/overrides.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

struct cut {
    uint8_t address[16]; /* IPv4 in the first four */
    uint8_t prefix;
};

struct cut_list {
    struct cut *cuts; /* by address, then prefix */
    size_t count;
};

struct dns_cuts {
    struct cut_list v4, v6;
};

static int cut_compare(const void *a, const void *b)
{
    const struct cut *x = a, *y = b;
    int order = memcmp(x->address, y->address, sizeof(x->address));
    return order ? order : (int)x->prefix - (int)y->prefix;
}

static void cut_add(struct dns_cuts *cuts, const uint8_t *address, size_t size, unsigned prefix)
{
    struct cut_list *list = size == 4 ? &cuts->v4 : &cuts->v6;
    list->cuts = cdn_realloc(list->cuts, list->count + 1, sizeof(*list->cuts));
    struct cut *cut = &list->cuts[list->count++];
    *cut = (struct cut){.prefix = (uint8_t)prefix};
    memcpy(cut->address, address, size);
}

static struct dns_cuts *sorted(struct dns_cuts *cuts)
{
    struct cut_list *lists[] = {&cuts->v4, &cuts->v6};
    for (size_t i = 0; i < CDN_ARRAY_LEN(lists); i++) {
        if (lists[i]->count > 0) {
            qsort(lists[i]->cuts, lists[i]->count, sizeof(struct cut), cut_compare);
        }
    }
    return cuts;
}

struct dns_cuts *dns_cuts_create(const struct cdn_config_list *networks)
{
    struct dns_cuts *cuts = cdn_calloc(1, sizeof(*cuts));
    for (size_t i = 0; i < networks->n; i++) {
        struct cdn_cidr cidr;
        size_t size;
        if (!cdn_parse_cidr(cdn_str(networks->items[i].key), &cidr)) {
            continue;
        }
        const uint8_t *bytes = cdn_addr_bytes(&cidr.addr, &size);
        cut_add(cuts, bytes, size, cidr.prefix);
    }
    return sorted(cuts);
}

struct dns_cuts *dns_cuts_create_special(void)
{
    struct dns_cuts *cuts = cdn_calloc(1, sizeof(*cuts));
    for (size_t i = 0; i < geo_special_count(); i++) {
        const struct geo_special *s = geo_special_at(i);
        cut_add(cuts, s->address, s->family == AF_INET ? 4 : 16, s->prefix_len);
    }
    return sorted(cuts);
}

void dns_cuts_destroy(struct dns_cuts *cuts)
{
    if (!cuts) {
        return;
    }
    free(cuts->v4.cuts);
    free(cuts->v6.cuts);
    free(cuts);
}

/* How many bits two addresses have in common at the front. */
static unsigned common_bits(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i]) {
            return (unsigned)(i * 8) + (unsigned)__builtin_clz((unsigned)(a[i] ^ b[i])) - 24;
        }
    }
    return (unsigned)(size * 8);
}

/* The bits that tell the address apart from the network, or the network's own when it holds the address. */
static unsigned bits_needed(const struct cut *cut, const uint8_t *address, size_t size)
{
    unsigned common = common_bits(cut->address, address, size);
    return common >= cut->prefix ? cut->prefix : common + 1;
}

/* Of sorted networks, the neighbours of the address share most bits with it: what lies farther off is either
 * told apart by fewer bits or a network around a neighbour. */
unsigned dns_cuts_scope(const struct dns_cuts *cuts, const struct cdn_addr *address)
{
    struct cut key = {.prefix = 255};
    size_t size;
    const uint8_t *bytes = cdn_addr_bytes(address, &size);
    memcpy(key.address, bytes, size);
    const struct cut_list *list = size == 4 ? &cuts->v4 : &cuts->v6;
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cut_compare(&list->cuts[middle], &key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    unsigned before = low > 0 ? bits_needed(&list->cuts[low - 1], bytes, size) : 0;
    unsigned behind = low < list->count ? bits_needed(&list->cuts[low], bytes, size) : 0;
    return before > behind ? before : behind;
}

static unsigned larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* The database's network around the address that was looked up. */
static unsigned database_bits(const struct dns_scope_rules *rules, const struct router_where *where)
{
    struct geo_record record;
    if (where->record.entry != GEO_ENTRY_NONE) {
        return where->record.prefix_len;
    }
    if (!where->override) {
        return where->network_len;
    }
    router_resolve_lookup(rules->table, &where->address, &record); /* an override stands in its place */
    return record.prefix_len;
}

/* Of an address that carries an IPv4 one, whose bits count from where they stand. */
static unsigned embedded_bits(const struct dns_scope_rules *rules, const struct router_where *where,
                              const struct cdn_addr *client)
{
    struct sockaddr_in inner;
    if (!geo_special_embedded(where->special, &client->sa, &inner)) {
        return 0;
    }
    const struct cdn_addr address = {.v4 = inner};
    unsigned bits = dns_cuts_scope(rules->special, &address);
    if (!geo_special(&address.sa)) {
        bits = larger(bits, database_bits(rules, where));
    }
    return (unsigned)where->special->embedded_at * 8 + bits;
}

unsigned dns_scope(const struct dns_scope_rules *rules, const struct cdn_addr *client,
                   const struct router_where *where)
{
    unsigned bits = dns_cuts_scope(rules->overrides, client);
    const struct router_override *o = where->override;
    if (o && o->kind == ROUTER_OVERRIDE_NETWORK && o->has_place) {
        return bits; /* the database was not asked */
    }
    bits = larger(bits, dns_cuts_scope(rules->special, client));
    return larger(bits, where->special ? embedded_bits(rules, where, client) : database_bits(rules, where));
}
