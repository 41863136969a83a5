/* ghost: a ring in the order of leaving, with hash chains through it by slot number: dropping the
 * oldest is one step, and no entry is allocated by itself. Buckets are chosen with a secret, as
 * the keys come from clients. */
#include "edge/cache/ghost.h"

#include "common/mem.h"
#include "common/mix.h"
#include "common/secret.h"

#include <assert.h>
#include <stdlib.h>

#include "common/banned.h"

#define RING_MIN 64u
#define SIZE_BITS 48

struct slot {
    uint64_t hash;
    uint64_t size : SIZE_BITS;
    uint64_t reason : 8;
    uint64_t live : 1;
    uint64_t note : 7; /* of edge_ghost_note */
    uint32_t time_s;
    uint32_t next; /* in the chain of its bucket: slot + 1; 0: end */
};
static_assert(sizeof(struct slot) == 24, "a remembered key stays small");

/* Slots are used round and round: [oldest, newest) counted without end, taken modulo `room`, a power of two.
 * A forgotten key leaves a dead slot behind, which goes when it is the oldest or when the ring is rebuilt. */
struct edge_ghost {
    struct slot *ring;
    uint32_t *buckets;
    uint64_t room;
    uint64_t secret; /* of the buckets: keys come from clients */
    uint64_t oldest;
    uint64_t newest;
    size_t live;
    uint64_t bytes;
    size_t limit_entries;
    uint64_t limit_bytes;
};

static uint64_t bucket_of(const struct edge_ghost *g, uint64_t hash)
{
    return cdn_mix64(hash ^ g->secret) & (g->room - 1);
}

/* The link that holds the slot of `hash`, or the empty link at the end of its chain. */
static uint32_t *link_of(const struct edge_ghost *g, uint64_t hash)
{
    uint32_t *link = &g->buckets[bucket_of(g, hash)];
    while (*link && g->ring[*link - 1].hash != hash) {
        link = &g->ring[*link - 1].next;
    }
    return link;
}

static void append(struct edge_ghost *g, struct slot s)
{
    uint64_t at = g->newest++ & (g->room - 1);
    uint32_t *bucket = &g->buckets[bucket_of(g, s.hash)];
    s.next = *bucket;
    g->ring[at] = s;
    *bucket = (uint32_t)at + 1;
}

static void rebuild(struct edge_ghost *g, uint64_t room)
{
    struct edge_ghost old = *g;
    g->ring = cdn_calloc(room, sizeof(struct slot));
    g->buckets = cdn_calloc(room, sizeof(uint32_t));
    g->room = room;
    g->oldest = g->newest = 0;
    for (uint64_t i = old.oldest; i < old.newest; i++) {
        const struct slot *s = &old.ring[i & (old.room - 1)];
        if (s->live) {
            append(g, *s);
        }
    }
    free(old.ring);
    free(old.buckets);
}

struct edge_ghost *edge_ghost_create(size_t entries, uint64_t bytes)
{
    struct edge_ghost *g = cdn_calloc(1, sizeof(*g));
    g->secret = cdn_secret64();
    edge_ghost_limit(g, entries, bytes);
    rebuild(g, RING_MIN);
    return g;
}

void edge_ghost_destroy(struct edge_ghost *g)
{
    if (g) {
        free(g->ring);
        free(g->buckets);
        free(g);
    }
}

static void unlink_slot(struct edge_ghost *g, uint32_t *link)
{
    struct slot *s = &g->ring[*link - 1];
    *link = s->next;
    s->live = 0;
    g->live--;
    g->bytes -= s->size;
}

static void forget_oldest(struct edge_ghost *g)
{
    struct slot *s = &g->ring[g->oldest++ & (g->room - 1)];
    if (s->live) {
        unlink_slot(g, link_of(g, s->hash));
    }
}

static void make_room(struct edge_ghost *g, uint64_t size, size_t entries)
{
    while (g->live > 0 && (g->bytes > g->limit_bytes - size || g->live + entries > g->limit_entries)) {
        forget_oldest(g);
    }
}

void edge_ghost_put(struct edge_ghost *g, uint64_t hash, enum edge_ghost_reason reason, int64_t time_s,
                    uint64_t size)
{
    uint32_t *link = link_of(g, hash);
    if (*link) {
        g->ring[*link - 1].reason = reason;
        g->ring[*link - 1].note = 0;
        g->ring[*link - 1].time_s = (uint32_t)time_s;
        return;
    }
    if (size > g->limit_bytes || size >> SIZE_BITS) {
        return;
    }
    make_room(g, size, 1);
    if (g->newest - g->oldest == g->room) {
        rebuild(g, g->live > g->room / 2 ? g->room * 2 : g->room);
    }
    append(g, (struct slot){.hash = hash,
                            .size = size & ((UINT64_C(1) << SIZE_BITS) - 1),
                            .reason = reason,
                            .live = 1,
                            .time_s = (uint32_t)time_s});
    g->live++;
    g->bytes += size;
}

bool edge_ghost_find(const struct edge_ghost *g, uint64_t hash, struct edge_ghost_entry *ret)
{
    uint32_t at = *link_of(g, hash);
    if (at && ret) {
        const struct slot *s = &g->ring[at - 1];
        *ret = (struct edge_ghost_entry){.reason = (enum edge_ghost_reason)s->reason,
                                         .time_s = s->time_s,
                                         .size = s->size,
                                         .note = (uint8_t)s->note};
    }
    return at != 0;
}

void edge_ghost_note(struct edge_ghost *g, uint64_t hash, uint8_t note)
{
    uint32_t at = *link_of(g, hash);
    if (at) {
        g->ring[at - 1].note = (uint64_t)note & 0x7f;
    }
}

bool edge_ghost_forget(struct edge_ghost *g, uint64_t hash)
{
    uint32_t *link = link_of(g, hash);
    if (!*link) {
        return false;
    }
    unlink_slot(g, link);
    return true;
}

void edge_ghost_clear(struct edge_ghost *g)
{
    g->live = 0;
    g->bytes = 0;
    g->oldest = g->newest;
    rebuild(g, RING_MIN);
}

void edge_ghost_limit(struct edge_ghost *g, size_t entries, uint64_t bytes)
{
    g->limit_entries = entries ? entries : 1;
    g->limit_bytes = bytes;
    make_room(g, 0, 0);
}

size_t edge_ghost_count(const struct edge_ghost *g)
{
    return g->live;
}

uint64_t edge_ghost_bytes(const struct edge_ghost *g)
{
    return g->bytes;
}
