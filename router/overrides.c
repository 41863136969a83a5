/* overrides: see overrides.h */
#include "router/overrides.h"

#include "geo-data/places.h"

#include "common/banned.h"

struct router_overrides {
    size_t count;
    struct router_override items[]; /* sorted: family, address, then the wider network first */
};

static int address_compare(const struct cdn_addr *a, const struct cdn_addr *b)
{
    size_t an, bn;
    const unsigned char *ap = cdn_addr_bytes(a, &an), *bp = cdn_addr_bytes(b, &bn);
    return an != bn ? (an < bn ? -1 : 1) : memcmp(ap, bp, an);
}

static int by_network(const void *a, const void *b)
{
    const struct router_override *x = a, *y = b;
    int order = address_compare(&x->network.addr, &y->network.addr);
    return order ? order : (int)x->network.prefix - (int)y->network.prefix;
}

static enum cdn_status target_parse(struct router_override *o, const struct router_pops *pops,
                                    struct cdn_error *err)
{
    struct cdn_str value = cdn_str(o->text), edge = CDN_STR("edge:");
    if (cdn_str_starts(value, edge)) {
        o->pop = router_pops_find(pops, cdn_str_sub(value, edge.n));
        if (o->pop == ROUTER_NO_POP)
            return cdn_error_set(err, CDN_INVALID, "there is no edge '%s'", o->text + edge.n);
        o->lat = pops->pops[o->pop].lat;
        o->lon = pops->pops[o->pop].lon;
        return CDN_OK;
    }
    struct geo_place place;
    enum cdn_status status = geo_place_find(value, &place, err);
    if (status != CDN_OK)
        return status;
    o->lat = place.lat;
    o->lon = place.lon;
    return CDN_OK;
}

static enum cdn_status item_parse(struct router_override *o, const struct cdn_config_entry *e,
                                  const struct router_pops *pops, struct cdn_error *err)
{
    *o = (struct router_override){.pop = ROUTER_NO_POP};
    o->text = cdn_strdup(e->value);
    o->origin = cdn_strdup(e->origin ? e->origin : "overrides");
    if (!cdn_parse_cidr(cdn_str(e->key), &o->network))
        return cdn_error_set(
            err, CDN_INVALID,
            "%s: overrides: '%s' is not a network (ADDRESS/PREFIX without bits behind the prefix)", o->origin,
            e->key);
    struct cdn_error why;
    if (target_parse(o, pops, &why) == CDN_OK)
        return CDN_OK;
    return cdn_error_set(err, CDN_INVALID, "%s: overrides: %s: %s", o->origin, e->key, why.text);
}

/* Refuses equal networks and links each one to the smallest around it. */
static enum cdn_status nest(struct router_overrides *all, struct cdn_error *err)
{
    for (size_t i = 1; i < all->count; i++) {
        struct router_override *o = &all->items[i], *before = &all->items[i - 1];
        if (by_network(before, o) == 0) {
            char text[CDN_ADDR_TEXT_SIZE];
            cdn_addr_format_ip(&o->network.addr, text);
            return cdn_error_set(err, CDN_INVALID, "%s: overrides: %s/%u '%s' is already there: %s '%s'",
                                 o->origin, text, o->network.prefix, o->text, before->origin, before->text);
        }
        size_t around = i; /* index + 1 of a candidate: the one before, then its parents */
        while (around > 0 && !cdn_cidr_has(&all->items[around - 1].network, &o->network.addr))
            around = all->items[around - 1].parent;
        o->parent = (uint32_t)around;
    }
    return CDN_OK;
}

enum cdn_status router_overrides_create(const struct cdn_config_list *entries, const struct router_pops *pops,
                                        struct router_overrides **ret, struct cdn_error *err)
{
    if (entries->n > ROUTER_OVERRIDES_MAX)
        return cdn_error_set(err, CDN_INVALID, "%zu overrides are too many: at most %u", entries->n,
                             ROUTER_OVERRIDES_MAX);
    struct router_overrides *all = cdn_calloc(1, sizeof(*all) + entries->n * sizeof(all->items[0]));
    enum cdn_status status = CDN_OK;
    while (status == CDN_OK && all->count < entries->n) {
        status = item_parse(&all->items[all->count], &entries->items[all->count], pops, err);
        all->count++;
    }
    if (status == CDN_OK) {
        qsort(all->items, all->count, sizeof(all->items[0]), by_network);
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
    if (!overrides)
        return;
    for (size_t i = 0; i < overrides->count; i++) {
        free(overrides->items[i].text);
        free(overrides->items[i].origin);
    }
    free(overrides);
}

const struct router_override *router_overrides_find(const struct router_overrides *overrides,
                                                    const struct cdn_addr *address)
{
    size_t low = 0, high = overrides->count; /* items before `low` start at or before the address */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (address_compare(&overrides->items[middle].network.addr, address) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0) {
        const struct router_override *o = &overrides->items[low - 1];
        if (cdn_cidr_has(&o->network, address))
            return o;
        low = o->parent;
    }
    return NULL;
}

size_t router_overrides_count(const struct router_overrides *overrides)
{
    return overrides->count;
}

const struct router_override *router_overrides_at(const struct router_overrides *overrides, size_t i)
{
    return &overrides->items[i];
}
