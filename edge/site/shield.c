/* shield: names are resolved once, when settings are read; the choice for a key is one hash of it and one
 * step a shield. */
#include "edge/site/shield.h"

#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/site/origin.h"
#include "edge/site/rule_settings.h"
#include "edge/site/site.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

static const struct edge_peer *find_peer(const struct edge_peer *peers, size_t count, struct cdn_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (cdn_str_eq(peers[i].name, name)) {
            return &peers[i];
        }
    }
    return NULL;
}

static bool has_shield(const struct edge_site *site, struct cdn_str name)
{
    for (size_t i = 0; i < site->shield_count; i++) {
        if (cdn_str_eq(cdn_str(site->shield[i].name), name)) {
            return true;
        }
    }
    return false;
}

static enum cdn_status add(struct edge_site *site, const struct edge_peer *peer, const struct edge_peer *own,
                           struct edge_origins *origins, struct cdn_error *err)
{
    if (has_shield(site, peer->name)) {
        return CDN_OK;
    }
    site->shield = cdn_realloc(site->shield, site->shield_count + 1, sizeof(*site->shield));
    struct edge_shield *shield = &site->shield[site->shield_count];
    *shield = (struct edge_shield){0};
    if (!cdn_str_eq(peer->name, own->name)) {
        const enum cdn_status status = edge_origins_get(origins, peer->url, &shield->origin, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    shield->name = cdn_str_dup(peer->name);
    site->shield_count++;
    return CDN_OK;
}

/* "here": all edges that stand where this one does. */
static enum cdn_status resolve(struct edge_site *site, const struct cdn_config_entry *entry,
                               const struct edge_peer *peers, size_t count, const struct edge_peer *own,
                               struct edge_origins *origins, struct cdn_error *err)
{
    const bool here = strcmp(entry->key, "here") == 0;
    const struct edge_peer *one = here ? NULL : find_peer(peers, count, cdn_str(entry->key));
    if (!here && !one) {
        return cdn_error_set(err, CDN_INVALID, "%s: sites.%s.shield: no edge of this file is named \"%s\"",
                             entry->origin, site->name, entry->key);
    }
    enum cdn_status status = one ? add(site, one, own, origins, err) : CDN_OK;
    for (size_t i = 0; here && status == CDN_OK && i < count; i++) {
        if (cdn_str_eq(peers[i].place, own->place)) {
            status = add(site, &peers[i], own, origins, err);
        }
    }
    return status;
}

bool edge_shields_wanted(const struct edge_sites *sites)
{
    for (size_t i = 0; i < sites->count; i++) {
        if (sites->site[i].settings.shield.n) {
            return true;
        }
    }
    return false;
}

enum cdn_status edge_shields_resolve(struct edge_sites *sites, const struct edge_peer *peers, size_t count,
                                     const struct edge_peer *own, struct edge_origins *origins,
                                     struct cdn_error *err)
{
    for (size_t i = 0; i < sites->count; i++) {
        struct edge_site *site = &sites->site[i];
        for (size_t k = 0; k < site->settings.shield.n; k++) {
            const enum cdn_status status =
                resolve(site, &site->settings.shield.items[k], peers, count, own, origins, err);
            if (status != CDN_OK) {
                return status;
            }
        }
    }
    return CDN_OK;
}

void edge_shields_free(struct edge_site *site)
{
    for (size_t i = 0; i < site->shield_count; i++) {
        free(site->shield[i].name);
    }
    free(site->shield);
}

struct edge_origin *edge_shield_of(const struct edge_site *site, struct cdn_str key)
{
    const uint64_t hash = site->shield_count ? XXH3_64bits(key.p, key.n) : 0;
    const struct edge_shield *best = NULL;
    uint64_t most = 0;
    for (size_t i = 0; i < site->shield_count; i++) {
        const struct edge_shield *s = &site->shield[i];
        const uint64_t score = XXH3_64bits_withSeed(s->name, strlen(s->name), hash);
        if (!best || score > most) {
            most = score;
            best = s;
        }
    }
    return best ? best->origin : NULL;
}

void edge_shield_state_write(const struct edge_purge_state *state, char into[static EDGE_SHIELD_STATE_SIZE])
{
    snprintf(into, EDGE_SHIELD_STATE_SIZE, "%016" PRIx64 "-%" PRIu64, state->log, state->id);
}

bool edge_shield_state_covers(struct cdn_str theirs, const struct edge_purge_state *ours)
{
    char log[24];
    uint64_t id;
    if (!ours->log) { /* nobody purges by a log */
        return true;
    }
    snprintf(log, sizeof(log), "%016" PRIx64, ours->log);
    struct cdn_str rest = theirs;
    const struct cdn_str their_log = cdn_str_cut(&rest, '-');
    return theirs.p && cdn_str_eq(their_log, cdn_str(log)) && cdn_parse_u64(rest, &id) && id >= ours->id;
}
