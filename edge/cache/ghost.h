/* ghost: a bounded memory of keys that are gone.
 *
 * For a 64-bit key hash, a ghost knows why its object went away, when, and how large it was. It has two
 * users: the engine asks it on a miss ("was it evicted or purged, or may it not be stored at all?"), and
 * S3-FIFO asks whether a key was pushed out of the small queue a short while ago. It is a FIFO bounded by a
 * number of entries and by the bytes of the objects its entries stand for; 24 bytes an entry in a ring plus
 * four for the hash chains, memory grown as needed. Locks: none of its own; all calls under the lock of the
 * owner.
 */
#ifndef CDN_EDGE_GHOST_H
#define CDN_EDGE_GHOST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum edge_ghost_reason {
    EDGE_GHOST_EVICTED,
    EDGE_GHOST_PURGED,
    EDGE_GHOST_EXPIRED,
    EDGE_GHOST_CORRUPT,
    EDGE_GHOST_UNSTORABLE,
    EDGE_GHOST_FAILING, /* no ghost: the refresh of what is stored failed */
    EDGE_GHOST_REASON_COUNT
};

struct edge_ghost;

#define EDGE_GHOST_NOTE_MAX 127u

struct edge_ghost_entry {
    enum edge_ghost_reason reason;
    int64_t time_s; /* seconds since 1970, as given to put */
    uint64_t size;  /* bytes */
    uint8_t note;   /* of edge_ghost_note; 0: none */
};

/* At most `entries` keys (at least 1) that stand for at most `bytes` bytes (UINT64_MAX: no limit). */
struct edge_ghost *edge_ghost_create(size_t entries, uint64_t bytes);
void edge_ghost_destroy(struct edge_ghost *g);

/* Remembers a key as the newest; forgets the oldest until it fits. A key that is there already keeps its
 * place and size and gets the new reason and time. Nothing happens when `size` alone exceeds the limit in
 * bytes. */
void edge_ghost_put(struct edge_ghost *g, uint64_t hash, enum edge_ghost_reason reason, int64_t time_s,
                    uint64_t size);
/* False when the key is not known; `ret` may be NULL. */
bool edge_ghost_find(const struct edge_ghost *g, uint64_t hash, struct edge_ghost_entry *ret);
void edge_ghost_note(struct edge_ghost *g, uint64_t hash, uint8_t note); /* more about the reason of now */
bool edge_ghost_forget(struct edge_ghost *g, uint64_t hash);             /* whether it was there */
void edge_ghost_clear(struct edge_ghost *g);
void edge_ghost_limit(struct edge_ghost *g, size_t entries, uint64_t bytes);
size_t edge_ghost_count(const struct edge_ghost *g);
uint64_t edge_ghost_bytes(const struct edge_ghost *g);

#endif
