/* dns_zone: look-up of a name by hash among the few that a zone has, and the life of what a zone
 * holds: counted, since threads answer from the old one while the new one is handed out. */
#include "router/dns/dns_zone.h"

#include "common/mem.h"
#include "router/base/edges.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

struct dns_node *dns_zone_slot(const struct dns_zone *zone, const knot_dname_t *name)
{
    size_t at = XXH3_64bits(name, knot_dname_size(name)) & zone->node_mask;
    while (zone->nodes[at].name && !knot_dname_is_equal(zone->nodes[at].name, name)) {
        at = (at + 1) & zone->node_mask;
    }
    return &zone->nodes[at];
}

const struct dns_node *dns_zone_find(const struct dns_zone *zone, const knot_dname_t *name)
{
    const struct dns_node *node = dns_zone_slot(zone, name);
    return node->name ? node : NULL;
}

bool dns_zone_has(const struct dns_zone *zone, const knot_dname_t *name)
{
    size_t size = knot_dname_size(name);
    if (size < zone->apex_size) {
        return false;
    }
    const uint8_t *tail = name + size - zone->apex_size;
    while (name < tail) {
        name += *name + 1;
    }
    return name == tail && memcmp(tail, zone->apex, zone->apex_size) == 0;
}

void dns_zone_warn(struct dns_zone *zone, char *take_text)
{
    zone->warnings = cdn_realloc(zone->warnings, zone->warning_count + 1, sizeof(*zone->warnings));
    zone->warnings[zone->warning_count++] = take_text;
}

struct dns_zone *dns_zone_ref(struct dns_zone *zone)
{
    atomic_fetch_add_explicit(&zone->_refs, 1, memory_order_relaxed);
    return zone;
}

static void records_clear(knot_rrset_t *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        knot_rrset_clear(&sets[i], NULL);
    }
}

static void nodes_free(struct dns_zone *zone)
{
    for (size_t i = 0; zone->nodes && i <= zone->node_mask; i++) {
        records_clear(zone->nodes[i].addresses, 2);
        knot_dname_free(zone->nodes[i].name, NULL);
    }
    free(zone->nodes);
}

static void edges_free(struct dns_zone *zone)
{
    for (size_t i = 0; zone->edges && i < zone->table->edges->count; i++) {
        records_clear(zone->edges[i].address, 2);
    }
    free(zone->edges);
}

void dns_zone_unref(struct dns_zone *zone)
{
    if (!zone || atomic_fetch_sub_explicit(&zone->_refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    knot_rrset_t *own[] = {&zone->soa, &zone->soa_negative, &zone->ns, &zone->caa, &zone->hinfo};
    for (size_t i = 0; i < CDN_ARRAY_LEN(own); i++) {
        records_clear(own[i], 1);
    }
    nodes_free(zone);
    edges_free(zone);
    dns_cuts_destroy((struct dns_cuts *)(uintptr_t)zone->scope.overrides);
    dns_cuts_destroy((struct dns_cuts *)(uintptr_t)zone->scope.special);
    knot_dname_free(zone->apex, NULL);
    free(zone->with_address[0]);
    free(zone->with_address[1]);
    free(zone->limits.exempt);
    free(zone->limits.nsid);
    for (size_t i = 0; i < zone->warning_count; i++) {
        free(zone->warnings[i]);
    }
    free(zone->warnings);
    router_table_unref(zone->table);
    free(zone);
}
