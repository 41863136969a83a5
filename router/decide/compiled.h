/* compiled: a routing table as a flat tree from address to class, so that a decision costs nanoseconds.
 *
 * Everything that a decision takes from the address alone (override, special range, place, ranked edges, how
 * far the place may be off) is one *class*; a world has some thousands of them. The tree is a trie over the
 * first 64 bits of the address (IPv4 has its 32 at the top): 16 bits by a plain array, then 8 at a time by
 * nodes of 256 slots, stored as runs of equal slots: a bitmap of the places where a run begins, and the
 * number of bits before a slot as the index of its value (Asai and Ohara, "Poptrie", SIGCOMM 2015). Scopes
 * are read from it. For look-ups there is an index beside it, that says the class of any /24 of IPv4 and any
 * /32 of IPv6 in two or three loads, and leads back into the trie below those (compiled_private.h).
 *
 * What the top 64 bits do not settle (IPv6 networks longer than /64, IPv4 inside of IPv6) is left to the
 * chain of resolve.h: the class is then missing. Classes are made by the chain itself from a sample address
 * of each distinct combination of override, special range and record, so both cannot disagree.
 *
 * Read-only once built; the state of the edges is not in it, so nothing has to be rebuilt when one falls.
 */
#ifndef CDN_ROUTER_COMPILED_H
#define CDN_ROUTER_COMPILED_H
#include "common/parse.h"
#include "common/status.h"
#include "router/choice/overrides.h"
#include "router/choice/select.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct router_class {
    uint32_t row;      /* equal for classes with the same sites, the same named edge and the same limits */
    uint32_t reach;    /* 4 bits for each site: how many of those after it are not clearly worse */
    uint32_t rule;     /* number + 1 of the override that limits or prefers edges; 0: none */
    uint16_t named;    /* edge that an override names, or ROUTER_NO_EDGE */
    uint8_t reason;    /* enum router_reason, of the place */
    uint8_t preferred; /* how many of the sites, by their preferred edges only */
    uint16_t count;
    uint16_t sites[ROUTER_ROW]; /* best first */
};

static inline const struct router_override *router_class_override(const struct router_table *table,
                                                                  const struct router_class *class)
{
    return class->rule ? router_overrides_at(table->overrides, class->rule - 1) : NULL;
}

struct router_compiled;

struct router_compiled_info {
    size_t classes, rows;
    size_t networks[2]; /* runs of one class, IPv4 and IPv6 */
    size_t bytes;
};

/* Walks the table's database. CDN_CORRUPT when its tree is unsound, CDN_TOO_LARGE for more than 16 million
 * runs, CDN_UNAVAILABLE when `*stop` became true meanwhile (NULL: never). */
enum cdn_status router_compiled_create(const struct router_table *table, const _Atomic bool *stop,
                                       struct router_compiled **ret, struct cdn_error *err) CDN_MUST_CHECK;
void router_compiled_destroy(struct router_compiled *compiled); /* NULL is fine */
void router_compiled_info(const struct router_compiled *compiled, struct router_compiled_info *ret);

/* Compiles the table, unless it is compiled already; any thread, while others decide by it. `*stop` ends it
 * early (CDN_UNAVAILABLE); NULL: never. After a failure the table answers as before. */
enum cdn_status router_compiled_build(struct router_table *table, const _Atomic bool *stop,
                                      struct cdn_error *err) CDN_MUST_CHECK;

/* The class of an address (not IPv4-mapped), or NULL: ask the chain. */
const struct router_class *router_compiled_find(const struct router_compiled *compiled,
                                                const struct cdn_addr *address);
/* For a caller with something else to do before it asks for the class or scope of an IPv4 address: fetches
 * what is read first (step 0), then what that leads to (step 1). */
void router_compiled_prefetch(const struct router_compiled *compiled, const struct cdn_addr *address,
                              unsigned step);
/* Length of the widest prefix around the address whose addresses all have the same row: what an answer made
 * of that row depended on (RFC 7871, section 7.2.1). The whole length where the chain decides. */
unsigned router_compiled_scope(const struct router_compiled *compiled, const struct cdn_addr *address);

#endif
