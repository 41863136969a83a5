/* resolve: from a client's address to a place, by the chain
 *
 *     pinned -> override -> special address -> database record -> country -> default place
 *
 * The first link that knows a place ends the chain. A link may also name an edge outright (override
 * `edge:NAME`, pinned edge); the chain then goes on, to know where the client is. Overrides by network stand
 * before special addresses; those by AS, country and continent count once the record is known, unless one by
 * network did. Pure: the same table and the same question give the same answer. Each link writes what it saw
 * and decided into a trace, when there is one.
 */
#ifndef CDN_ROUTER_RESOLVE_H
#define CDN_ROUTER_RESOLVE_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "router/base/reason.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_STEP_TABLE(X) /* name, word */ \
    X(PINNED, "pinned")                       \
    X(OVERRIDE, "override")                   \
    X(SPECIAL, "special")                     \
    X(DATABASE, "database")                   \
    X(COUNTRY, "country")                     \
    X(DEFAULT, "default")                     \
    X(RANK, "rank")                           \
    X(PICK, "pick")

enum router_step {
#define X(name, word) ROUTER_STEP_##name,
    ROUTER_STEP_TABLE(X)
#undef X
};
const char *router_step_word(enum router_step step);

#define ROUTER_TRACE_MAX 16u
struct router_trace {
    size_t count;
    struct {
        enum router_step step;
        char text[240];
    } steps[ROUTER_TRACE_MAX];
};
/* Adds a step; nothing when `trace` is NULL. Too long texts are cut. */
void router_trace_add(struct router_trace *trace, enum router_step step, const char *fmt, ...)
    CDN_PRINTF(3, 4);

struct router_question {
    struct cdn_addr client;
    struct cdn_str path; /* chooses among the edges of one place; empty is fine */
    struct cdn_str pin;  /* an address, a place or edge:NAME; heeded in simulation only; empty: none */
    /* Edges that the answer can name at all (among.h), or NULL: all that the client reaches by the family of
     * its address; with `any_family` all. */
    const uint64_t *among;
    bool any_family;
};

struct router_where {
    struct cdn_addr address; /* that was looked up: unmapped, un-tunnelled, or the pinned one */
    enum router_reason reason;
    const struct router_override *override; /* that matched, or NULL */
    const struct geo_special *special;      /* range that the address is in, or NULL */
    const struct geo_anycast *anycast; /* network of many places whose record was taken, or NULL: the place
                                          stands, and may be off by half the Earth */
    uint16_t edge;                     /* the edge that was named, or ROUTER_NO_EDGE */
    unsigned network_len;              /* prefix of `address` that the answer depended on */
    unsigned uncertainty_km;           /* the record's radius, or what its precision means */
    bool uncertainty_assumed;
    bool is_recorded; /* the database has a record of the address, whatever that says */
    struct geo_record
        record; /* coordinates, names, precision of the place; strings live as long as the table */
};

void router_resolve(const struct router_table *table, const struct router_question *question,
                    struct router_trace *trace, struct router_where *ret);

/* Where the chain would go straight to the database: fills in address, network_len and record.entry, and
 * nothing else. Equal entries of a family have equal outcomes. False: only router_resolve knows. */
bool router_resolve_entry(const struct router_table *table, const struct cdn_addr *client,
                          struct router_where *ret);

/* What the databases say of an address: place and AS, from one file or from two. As geo_lookup. */
enum cdn_status router_resolve_lookup(const struct router_table *table, const struct cdn_addr *address,
                                      struct geo_record *ret);

/* Nobody knows the place: the default one stands for it. Then country, city and the like are empty. */
bool router_where_is_default(const struct router_where *where);
/* "none" to "city" as the database's; "exact" for a place that was named; "default" for the default place. */
const char *router_where_precision(const struct router_where *where);
/* What the place was taken from: "pinned", "override", "database", "default". */
const char *router_where_source(const struct router_where *where);

#endif
