/* cache: the index in memory over both tiers, and their budgets.
 *
 * A hash table of entries (one a cache key), each with its objects (variants, parts) and the fetches that run
 * for it. Two policies decide who leaves: one over the bodies in RAM, one over the bodies on disk, both
 * byte-exact (key, head and bookkeeping are counted). Further indexes: entries by key text (a prefix purge
 * costs its result) and objects by surrogate key. Ghosts remember why a key is gone.
 *
 * Locks: one mutex guards all of it, inside; it is held for look-ups and changes, never across I/O. Callers
 * ask for what they need in one call. The path of a plain hit does not come here (hot.c). References: an
 * object lives while anyone holds it; being linked in its entry counts as one. An entry lives while it has
 * objects, fetches or references; linked objects are not among the references, so it is in use exactly while
 * there are any. Disk: publishing queues the body for the disk writer; until that answers, the body stays in
 * RAM. After a start the rows of the disk tier come in from the loader thread while requests are served
 * already. Sleep (cache_sleep.c): objects on disk that nobody uses keep in memory only what finds, evicts and
 * purges them. Whoever looks at what the objects of an entry say holds a reference to it and wakes them
 * first; then they stay awake while the reference is held.
 */
#ifndef CDN_EDGE_CACHE_H
#define CDN_EDGE_CACHE_H
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/head.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/vary.h"
#include "edge/store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edge_cache;
struct edge_fetch;

struct edge_use {               /* what an entry has while it is in use */
    uint32_t refs;              /* of its users, and of its objects that are not linked any more */
    struct edge_fetch *fetches; /* running ones that may be joined (fetch.c, under its lock) */
    _Atomic uint32_t published; /* edge_moment */
    uint64_t purged_at;         /* number of the purge that hit the key last (edge_cache_purge_number) */
};

struct edge_entry { /* there are as many as the disk holds: 46 bytes and the key */
    struct edge_entry *chain;
    struct edge_entry *left, *right; /* in the tree of keys (cache_keys.c) */
    struct edge_object *objects;     /* newest first */
    struct edge_use *use;            /* owned; NULL: nobody uses it */
    uint32_t hash;                   /* edge_cache_place() */
    uint16_t key_length;
    char key[];
};

static inline size_t edge_entry_size(size_t key_length)
{
    return offsetof(struct edge_entry, key) + key_length;
}

static inline struct cdn_str edge_entry_key(const struct edge_entry *e)
{
    return (struct cdn_str){e->key, e->key_length};
}

struct edge_cache_config {
    uint64_t memory;           /* bytes */
    uint64_t memory_object;    /* larger bodies do not enter the RAM tier */
    const char *memory_policy; /* names of policy.h */
    const char *disk_policy;
    struct edge_store *store; /* borrowed; NULL: no disk tier */
    unsigned variants;        /* objects of one entry, at most */
    uint64_t seed;
};

enum cdn_status edge_cache_create(const struct edge_cache_config *config, struct edge_cache **ret,
                                  struct cdn_error *err) CDN_MUST_CHECK;
void edge_cache_destroy(struct edge_cache *cache); /* after all holders are gone and the store is closed */

/* ---- entries ---- */
void edge_cache_hash(struct cdn_str key, struct edge_store_key *ret);
struct edge_store_key edge_entry_hash(const struct edge_entry *entry); /* variant 0 */
/* With a reference, made if missing. */
struct edge_entry *edge_cache_enter(struct edge_cache *cache, struct cdn_str key);
struct edge_entry *edge_cache_ref(struct edge_cache *cache, struct edge_entry *entry); /* another reference */
void edge_cache_leave(struct edge_cache *cache, struct edge_entry *entry);

/* An answer to the key could not be stored, because of `why`: for EDGE_PASS_S seconds nobody waits for
 * another's fetch of it, but all try to store theirs. Forgotten when one may be stored. */
#define EDGE_PASS_S 10
void edge_cache_note_unstorable(struct edge_cache *cache, const struct edge_entry *entry,
                                enum edge_store_reason why, int64_t now_ms);
void edge_cache_note_storable(struct edge_cache *cache, const struct edge_entry *entry);

/* The origin answered a range of the key with the whole; `keepable`: which may be stored, and there is room
 * for it. Forgotten after EDGE_WHOLE_S seconds, or when it answers with the range. */
#define EDGE_WHOLE_S 600
enum edge_whole { EDGE_WHOLE_UNKNOWN, EDGE_WHOLE_KEEPABLE, EDGE_WHOLE_NOT_KEEPABLE };
void edge_cache_note_whole(struct edge_cache *cache, const struct edge_entry *entry, bool keepable,
                           int64_t now_ms);
void edge_cache_note_ranged(struct edge_cache *cache, const struct edge_entry *entry);
/* Whether `bytes` of a whole that nobody keeps may be read and thrown away to get to a range of it: of one
 * key EDGE_SKIP_MAX in that time. */
#define EDGE_SKIP_MAX ((uint64_t)16 << 20)
bool edge_cache_may_skip(struct edge_cache *cache, struct cdn_str key, uint64_t bytes, int64_t now_ms);

/* The refresh of a stale answer failed: the next background refresh waits 2 s, then doubling to
 * EDGE_REFRESH_PAUSE_MAX_S. Forgotten when the origin answers. */
#define EDGE_REFRESH_PAUSE_MAX_S 64
#define EDGE_REFRESH_PAUSE_LONG_S 8 /* after three failures */
void edge_cache_refresh_failed(struct edge_cache *cache, const struct edge_entry *entry, int64_t now_ms);
void edge_cache_refresh_answered(struct edge_cache *cache, const struct edge_entry *entry);
bool edge_cache_may_refresh(struct edge_cache *cache, const struct edge_entry *entry, int64_t now_ms);
/* ---- sleep ---- */
/* Wakes all objects of an entry that the caller holds; those that the disk has lost go. True: they are awake.
 * False: done(arg) will be called once, on another thread; then ask again. `done` NULL: blocks (any thread
 * but the store's writer). Call without the lock. */
bool edge_cache_wake(struct edge_cache *cache, struct edge_entry *entry, void (*done)(void *arg), void *arg);

/* ---- objects ---- */
struct edge_hold { /* counted references to an object and what it says now */
    struct edge_object *object;
    struct edge_rep *rep;
    struct edge_ram *ram;                /* NULL: the body is on disk */
    struct edge_store_location location; /* id 0: the body is not on disk */
};
static inline uint64_t edge_hold_length(const struct edge_hold *hold) /* of the body */
{
    return hold->location.body;
}
/* Whether a request selects this response, if it is stored (RFC 9111 4.1), and accepts its coding, unless the
 * origin has no other form. */
bool edge_cache_rep_suits(const struct edge_rep *rep, const struct edge_vary_source *request);
/* What the object says now; false: it is asleep. */
bool edge_cache_hold(struct edge_cache *cache, struct edge_object *object, struct edge_hold *ret);
/* The same that a hold holds, once more, whatever has become of it; of a zeroed one: a zeroed one. */
void edge_cache_hold_again(const struct edge_hold *hold, struct edge_hold *ret);
void edge_cache_release(struct edge_cache *cache, struct edge_hold *hold); /* harmless on a zeroed one */
/* Grows with every change of what some object says or has in RAM: whoever compared a hold with its object at
 * one number may skip that until there is another. Any thread, no lock. */
uint64_t edge_cache_changes(const struct edge_cache *cache);
/* Notes a hit on the long way. */
void edge_cache_hit(struct edge_cache *cache, struct edge_hold *hold);

/* ---- what is stored for a request (cache_look.c) ---- */

/* When it was looked. Purges are numbered: a fetch that began at `purge_number` may bring what was purged
 * meanwhile, and publish refuses it then. `published` counts what was published under the entry, or refreshed
 * (edge_use): who found nothing and then no fetch to join either looks again if it differs (fetch.h). */
struct edge_moment {
    uint64_t purge_number;
    uint32_t published;
};
uint64_t edge_cache_purge_number(struct edge_cache *cache);

struct edge_stored {
    bool asleep;           /* then nothing else is said: wake the objects of the entry first */
    struct edge_hold hold; /* the newest complete response that the request selects (RFC 9111 4.1) */
    struct edge_rep
        *newest; /* counted: what the newest object says, whoever it is for; NULL: there is none */
    bool others; /* none is selected, but there are other variants */
    enum edge_cause missing; /* none is selected: COLD, EVICTED, PURGED, CORRUPT or EXPIRED */
    bool parallel;           /* edge_cache_note_unstorable: nobody waits for another's fetch */
    bool failing;          /* within the pause after a failed refresh, or after three: nobody should wait for
                              * the origin who may have something stale (RFC 5861 4) */
    bool may_refresh;      /* not within that pause */
    enum edge_whole whole; /* edge_cache_note_whole */
    struct edge_moment moment;
};
/* All that a request asks of the index, at one moment. Enters the key if *entry is NULL. */
void edge_cache_look(struct edge_cache *cache, struct cdn_str key, struct edge_entry **entry,
                     const struct edge_vary_source *request, int64_t now_ms, struct edge_stored *ret);
/* A stored part (206) that holds byte `at` (UINT64_MAX: any part) and may be combined with `like` (NULL:
 * any); ret_moment may be NULL. */
bool edge_cache_select_part(struct edge_cache *cache, struct edge_entry *entry,
                            const struct edge_vary_source *request, uint64_t at, const struct edge_head *like,
                            struct edge_hold *ret, struct edge_moment *ret_moment);
/* Stored responses worth asking the origin about: `selected` first (its object may be NULL), then other
 * variants that the origin may choose for the request. How many. */
unsigned edge_cache_candidates(struct edge_cache *cache, struct edge_entry *entry,
                               const struct edge_hold *selected, const struct edge_vary_source *request,
                               struct edge_hold *ret, unsigned max);

/* All there is to tell about a key. Blocks: what sleeps is read from disk. */
struct edge_story {
    struct edge_entry *entry; /* counted */
    json_t *about;            /* an object for each stored response, as edge_cache_list has them */
    struct edge_rep **rep;    /* counted, one each */
    size_t count;
    enum edge_cause missing; /* when there is none */
    bool unstorable;         /* the last answer could not be stored, because of `why`; */
    bool parallel;           /* and that was a moment ago */
    enum edge_store_reason why;
    enum edge_whole whole; /* edge_cache_note_whole */
};
void edge_cache_story(struct edge_cache *cache, struct cdn_str key, int64_t now_ms, struct edge_story *ret);
void edge_story_free(struct edge_cache *cache, struct edge_story *story);

/* ---- changes ---- */
/* Publishes a complete response and replaces what it supersedes: objects of the same variant. `blob` or
 * `file` holds the body; the reference of `rep`, of `blob` and the handle `file` are consumed. On return
 * *ret_hold holds the object, also when neither tier took it. *ret_kept: whether one did. */
void edge_cache_publish(struct edge_cache *cache, struct edge_entry *entry, uint64_t purge_number,
                        struct edge_rep *rep, struct edge_blob *blob, struct edge_store_file *file,
                        uint64_t file_length, struct edge_hold *ret_hold, bool *ret_kept);
/* Swaps what an object says (304, HEAD); the reference of `rep` is consumed. False: the object is gone, or a
 * purge after `purge_number` hit it, or a tag that it would have from now on: an older confirmation must not
 * undo that. */
bool edge_cache_refresh(struct edge_cache *cache, struct edge_object *object, struct edge_rep *rep,
                        uint64_t purge_number);
/* Between its fetch and the disk, a large body is in no tier. Calls done(arg) on another thread once the disk
 * writer has answered; false: it has already, and nothing will be called. The waiter is the caller's until
 * then. */
struct edge_save_waiter {
    struct edge_save_waiter *next;
    const struct edge_object *object;
    void (*done)(void *arg);
    void *arg;
};
bool edge_cache_await_save(struct edge_cache *cache, const struct edge_object *object,
                           struct edge_save_waiter *waiter);
/* A compressed form of a body in RAM is made; the reference of
 * `blob` (NULL: it is no smaller) is consumed. */
void edge_cache_add_coded(struct edge_cache *cache, struct edge_ram *ram, enum edge_coded_form form,
                          struct edge_blob *blob);
/* Evicts from RAM what the account has no room for any more (budget.h). */
void edge_cache_fit(struct edge_cache *cache);
/* Offers a body read from disk to the RAM tier. */
void edge_cache_offer_ram(struct edge_cache *cache, struct edge_object *object, struct edge_blob *blob);
/* The disk does not have what `hold` says: forgets the object, unless it was only moved meanwhile. */
void edge_cache_disk_lost(struct edge_cache *cache, const struct edge_hold *hold,
                          enum edge_ghost_reason reason);
void edge_cache_remove(struct edge_cache *cache, struct edge_object *object, enum edge_ghost_reason reason);

/* ---- purge: how many objects went; soft: made stale instead ---- */
uint64_t edge_cache_purge_key(struct edge_cache *cache, struct cdn_str key, bool soft, int64_t now_ms);
uint64_t edge_cache_purge_prefix(struct edge_cache *cache, struct cdn_str prefix, bool soft, int64_t now_ms);
uint64_t edge_cache_purge_tag(struct edge_cache *cache, struct cdn_str tag, bool soft, int64_t now_ms);
/* A cache group (RFC 9875) of the origin of `key`. */
uint64_t edge_cache_purge_group(struct edge_cache *cache, struct cdn_str key, struct cdn_str group,
                                int64_t now_ms);
uint64_t edge_cache_purge_all(struct edge_cache *cache, bool soft, int64_t now_ms);
/* Another key, whose stored answers say that this one asks the same (No-Vary-Search), in place of what is in
 * `into`: the newest but for `skip` of them. */
bool edge_cache_search(struct edge_cache *cache, struct cdn_str key, unsigned skip, struct cdn_buf *into);
/* All of them. */
uint64_t edge_cache_purge_search(struct edge_cache *cache, struct cdn_str key, bool soft, int64_t now_ms);
/* Steps through the sites that have keys: *site is "" at first, then "http://host". False at the end. */
bool edge_cache_next_site(struct edge_cache *cache, struct cdn_buf *site);

/* For callers that must know that no write to disk, begun before a purge, is still to come: take the turn
 * after the purge, and ask until it is settled. What those writes left to remove is queued at the store by
 * then. */
uint64_t edge_cache_save_turn(struct edge_cache *cache);
bool edge_cache_saves_settled(struct edge_cache *cache, uint64_t turn);

/* ---- start ---- */
/* Starts loading the rows of the disk tier. Until edge_cache_loaded(), a key that is not found may still be
 * on disk: edge_cache_find_on_disk() brings it in and calls done(arg) on another thread. */
void edge_cache_load(struct edge_cache *cache,
                     void (*done)(void *arg, enum cdn_status status, uint64_t objects), void *arg);
/* Purges wait for it: a row that is not loaded yet cannot be hit. Calls done(arg) on another thread once all
 * is loaded; false: it is already, and nothing will be called. The waiter is the caller's until then. */
struct edge_cache_load_waiter {
    struct edge_cache_load_waiter *next;
    void (*done)(void *arg);
    void *arg;
};
bool edge_cache_await_load(struct edge_cache *cache, struct edge_cache_load_waiter *waiter);
bool edge_cache_loaded(const struct edge_cache *cache);
void edge_cache_find_on_disk(struct edge_cache *cache, struct cdn_str key, void (*done)(void *arg),
                             void *arg);
void edge_cache_moved(struct edge_cache *cache, const struct edge_store_key *key,
                      const struct edge_store_location *from,
                      const struct edge_store_location *to); /* for the store's on_moved */
void edge_cache_update_lost(struct edge_cache *cache, const struct edge_store_key *key,
                            const struct edge_store_location *location); /* for its on_update_lost */
/* For its on_lost: no object with an id below `first` is on disk any more. */
void edge_cache_disk_gone(struct edge_cache *cache, uint64_t first);

/* ---- telling ---- */
struct edge_cache_stats {
    uint64_t entries, objects;
    uint64_t memory_objects, memory_bytes, memory_capacity;
    uint64_t disk_objects, disk_bytes, disk_capacity;
    uint64_t memory_evictions, disk_evictions, too_large, not_admitted;
    uint64_t memory_on_the_way, memory_connections, memory_index, memory_spare; /* of the process */
};
void edge_cache_stats(struct edge_cache *cache, struct edge_cache_stats *ret);
/* Up to `limit` objects whose key starts with `prefix`, in order of keys, from `after` (exclusive; empty: the
 * first). Blocks: what sleeping objects say is read from disk. */
json_t *edge_cache_list(struct edge_cache *cache, struct cdn_str prefix, struct cdn_str after, unsigned limit,
                        int64_t now_ms);

#endif
