/* shield: edges that ask the origin for others (an origin shield): for each key one of them does, so that an
 * object is fetched once for the whole CDN.
 *
 * Which one is for which key follows from both alone (rendezvous hashing: Thaler and Ravishankar, 1998), so
 * that all edges agree without talking, and one that goes away leaves the keys of the others where they are.
 * A shield that is not well, or has not applied every purge that the asking edge has, is passed over for the
 * origin. Belongs to its site; never changes.
 */
#ifndef CDN_EDGE_SHIELD_H
#define CDN_EDGE_SHIELD_H
#include "common/status.h"
#include "common/str.h"
#include "edge/site/origin.h"
#include "edge/site/site.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edge_peer { /* an edge of the same cdn.yaml; all borrowed */
    struct cdn_str name, url, place;
};

struct edge_shield {
    char *name;
    struct edge_origin *origin; /* its public listener; NULL: this edge */
};

/* Resolves the `shield` of all sites. `own`: this edge. CDN_INVALID names file, line and key. */
enum cdn_status edge_shields_resolve(struct edge_sites *sites, const struct edge_peer *peers, size_t count,
                                     const struct edge_peer *own, struct edge_origins *origins,
                                     struct cdn_error *err) CDN_MUST_CHECK;
bool edge_shields_wanted(const struct edge_sites *sites); /* some site has one */
void edge_shields_free(struct edge_site *site);

/* The shield of a key; NULL: there is none, or this edge is it. */
struct edge_origin *edge_shield_of(const struct edge_site *site, struct cdn_str key);

/* ---- how far an edge is in the purge log, as shields tell it ---- */

#define EDGE_SHIELD_FOR "CDN-Shield-For"     /* of the request: the edge that asks */
#define EDGE_SHIELD_STATE "CDN-Shield-State" /* of the answer */
#define EDGE_SHIELD_STATE_SIZE 40

struct edge_purge_state {
    uint64_t log; /* a hash of its identity; 0: no log is followed */
    uint64_t id;  /* of the last purge applied */
};
void edge_shield_state_write(const struct edge_purge_state *state, char into[static EDGE_SHIELD_STATE_SIZE]);
/* Whether what a shield answered in `theirs` (p NULL: it says nothing) has all purges of `ours` behind it. */
bool edge_shield_state_covers(struct cdn_str theirs, const struct edge_purge_state *ours);

#endif
