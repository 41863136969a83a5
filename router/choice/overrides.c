/* overrides: sorted by address and prefix, so the innermost network around an address is one binary
 * search and a climb over parents; AS, country and continent are found by number in the same array. */
#include "router/choice/overrides.h"

#include "common/mem.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct router_overrides {
    size_t count, counts[ROUTER_OVERRIDE_KINDS];
    struct router_override items[]; /* by kind; networks by family, address, then the wider one first */
};

static int address_compare(const struct cdn_addr *a, const struct cdn_addr *b)
{
    size_t an, bn;
    const unsigned char *ap = cdn_addr_bytes(a, &an), *bp = cdn_addr_bytes(b, &bn);
    return an != bn ? (an < bn ? -1 : 1) : memcmp(ap, bp, an);
}

static int by_key(const void *a, const void *b)
{
    const struct router_override *x = a, *y = b;
    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    if (x->kind != ROUTER_OVERRIDE_NETWORK) {
        return (x->number > y->number) - (x->number < y->number);
    }
    int order = address_compare(&x->network.addr, &y->network.addr);
    return order ? order : (int)x->network.prefix - (int)y->network.prefix;
}

/* Refuses equal keys and links each network to the smallest around it. */
static enum cdn_status nest(struct router_overrides *all, struct cdn_error *err)
{
    for (size_t i = 1; i < all->count; i++) {
        struct router_override *o = &all->items[i], *before = &all->items[i - 1];
        if (by_key(before, o) == 0) {
            return cdn_error_set(err, CDN_INVALID, "%s: overrides: %s '%s' is already there: %s '%s'",
                                 o->origin, o->match, o->text, before->origin, before->text);
        }
        if (o->kind != ROUTER_OVERRIDE_NETWORK) {
            continue;
        }
        size_t around = i; /* index + 1 of a candidate: the one before, then its parents */
        while (around > 0 && !cdn_cidr_has(&all->items[around - 1].network, &o->network.addr)) {
            around = all->items[around - 1].parent;
        }
        o->parent = (uint32_t)around;
    }
    return CDN_OK;
}

enum cdn_status router_overrides_create(const struct cdn_config_list *entries,
                                        const struct router_edges *edges, struct router_overrides **ret,
                                        struct cdn_error *err)
{
    if (entries->n > ROUTER_OVERRIDES_MAX) {
        return cdn_error_set(err, CDN_INVALID, "%zu overrides are too many: at most %u", entries->n,
                             ROUTER_OVERRIDES_MAX);
    }
    struct router_overrides *all = cdn_calloc(1, sizeof(*all) + entries->n * sizeof(all->items[0]));
    enum cdn_status status = CDN_OK;
    while (status == CDN_OK && all->count < entries->n) {
        struct router_override *o = &all->items[all->count++];
        status = router_override_parse(&entries->items[all->count - 1], edges, o, err);
        all->counts[o->kind]++;
    }
    if (status == CDN_OK) {
        qsort(all->items, all->count, sizeof(all->items[0]), by_key);
        status = nest(all, err);
    }
    if (status != CDN_OK) {
        router_overrides_destroy(all);
        return status;
    }
    *ret = all;
    return CDN_OK;
}

void router_overrides_destroy(struct router_overrides *overrides)
{
    if (!overrides) {
        return;
    }
    for (size_t i = 0; i < overrides->count; i++) {
        struct router_override *o = &overrides->items[i];
        free(o->place);
        free(o->allowed);
        free(o->preferred);
        free(o->match);
        free(o->text);
        free(o->origin);
    }
    free(overrides);
}

const struct router_override *router_overrides_find(const struct router_overrides *overrides,
                                                    const struct cdn_addr *address)
{
    /* items before `low` start at or before the address */
    size_t low = 0, high = overrides->counts[ROUTER_OVERRIDE_NETWORK];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (address_compare(&overrides->items[middle].network.addr, address) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low > 0) {
        const struct router_override *o = &overrides->items[low - 1];
        if (cdn_cidr_has(&o->network, address)) {
            return o;
        }
        low = o->parent;
    }
    return NULL;
}

static const struct router_override *find_number(const struct router_overrides *overrides,
                                                 enum router_override_kind kind, uint32_t number)
{
    const struct router_override key = {.kind = kind, .number = number};
    size_t first = 0;
    for (unsigned k = 0; k < kind; k++) {
        first += overrides->counts[k];
    }
    if (number == 0 || overrides->counts[kind] == 0) {
        return NULL;
    }
    return bsearch(&key, overrides->items + first, overrides->counts[kind], sizeof(key), by_key);
}

static uint32_t code_number(struct cdn_str code)
{
    return code.n == 2 ? (uint32_t)(unsigned char)code.p[0] << 8 | (unsigned char)code.p[1] : 0;
}

const struct router_override *router_overrides_find_record(const struct router_overrides *overrides,
                                                           const struct geo_record *record)
{
    if (overrides->count == overrides->counts[ROUTER_OVERRIDE_NETWORK]) {
        return NULL;
    }
    const struct router_override *o = find_number(overrides, ROUTER_OVERRIDE_ASN, record->asn);
    if (!o) {
        o = find_number(overrides, ROUTER_OVERRIDE_COUNTRY, code_number(record->country_code));
    }
    return o ? o : find_number(overrides, ROUTER_OVERRIDE_CONTINENT, code_number(record->continent_code));
}

size_t router_overrides_count(const struct router_overrides *overrides)
{
    return overrides->count;
}

size_t router_overrides_count_of(const struct router_overrides *overrides, enum router_override_kind kind)
{
    return overrides->counts[kind];
}

const struct router_override *router_overrides_at(const struct router_overrides *overrides, size_t i)
{
    return &overrides->items[i];
}

size_t router_overrides_index(const struct router_overrides *overrides, const struct router_override *o)
{
    return (size_t)(o - overrides->items);
}
