/* cache_private: what the files of the cache share; nobody else includes it. */
#ifndef CDN_EDGE_CACHE_PRIVATE_H
#define CDN_EDGE_CACHE_PRIVATE_H
#include "common/lock.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/head.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/vary.h"
#include "edge/store/store.h"

#include <bsd/sys/cdefs.h> // IWYU pragma: keep
#include <bsd/sys/tree.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One surrogate key of one object; ordered by (tag, address), so the objects of a tag stand side by side. */
struct edge_tag_link {
    RB_ENTRY(edge_tag_link) by_tag;
    uint64_t tag; /* XXH3 of the text */
    struct edge_object *object;
};

/* The answers of one path that say the same of its query (cache_search.c). */
struct edge_search {
    RB_ENTRY(edge_search) by_path;
    uint64_t path; /* digest */
    char *rule;    /* value of No-Vary-Search */
    size_t objects;
};
RB_HEAD(edge_search_tree, edge_search);

struct edge_tags {
    struct edge_search *search; /* counted; NULL: none */
    size_t count;
    struct edge_tag_link link[];
};

/* How many purges by tag are remembered, for the fetches that run when they come. */
#define EDGE_TAG_PURGES 1024

/* How many unused objects on disk stay awake after their last use. */
#define EDGE_RESTING 1024u

RB_HEAD(edge_tag_tree, edge_tag_link);

struct edge_cache {
    /* fixed */
    struct edge_cache_config config;
    uint64_t secret; /* places entries in the buckets and in the tree: keys come from clients */
    _Atomic bool loaded;
    char _before[64];         /* hits read the next one: not in a line that anything else is written to */
    _Atomic uint64_t changes; /* of what objects say and have in RAM */
    char _behind[64];
    struct cdn_lock lock; /* guards all below */
    struct edge_entry **bucket;
    size_t bucket_mask;
    size_t entry_count;
    struct edge_entry *keys; /* root */
    struct edge_tag_tree tags;
    struct edge_search_tree searches;
    _Atomic unsigned search_count; /* how many there are: read without the lock */
    struct edge_policy *memory;
    int64_t memory_bodies;    /* bytes of the bodies that count there */
    struct edge_policy *disk; /* NULL: no disk tier */
    struct edge_doorkeeper *doorkeeper;
    struct edge_ghost *ghost;
    struct edge_ghost *wholes; /* cache_whole.c */
    struct edge_save_waiter *save_waiters;
    struct edge_wake *wakes;                   /* under way */
    struct edge_object *resting[EDGE_RESTING]; /* a ring, not counted; NULL: free */
    unsigned rest_next;                        /* the place taken next */
    uint64_t save_turn;     /* writes to disk are counted by turns: edge_cache_saves_settled */
    unsigned saves_open[2]; /* of this turn and the one before, by parity */
    uint64_t draws;         /* numbers the attempts of size-aware admission */
    uint64_t object_count;
    uint64_t purge_number; /* counts purges */
    struct {
        uint64_t number, tag;
    } tag_purge[EDGE_TAG_PURGES]; /* the latest ones, by number modulo the size */
    uint64_t tag_purge_count;
    uint64_t memory_evictions, disk_evictions, too_large, not_admitted;
    /* loading */
    void (*load_done)(void *arg, enum cdn_status status, uint64_t objects);
    void *load_arg;
    uint64_t load_count;
    struct edge_cache_load_waiter *load_waiters;
    struct edge_early_purges *early; /* owned; NULL: none */
};
uint32_t edge_cache_place(const struct edge_cache *cache, const struct edge_store_key *key);

/* Keys that a change at the origin invalidated while their rows
 * were not loaded yet: nobody waits for that. */
#define EDGE_EARLY_PURGES 4096u
struct edge_early_purges {
    unsigned count; /* the limit: whatever else comes from the disk is not believed */
    struct edge_store_key key[EDGE_EARLY_PURGES];
};

/* cache_tags.c */
void edge_tags_link(struct edge_cache *cache, struct edge_object *object, const struct edge_head *head);
void edge_tags_unlink(struct edge_cache *cache, struct edge_object *object);
/* Whether one of the object's tags was purged after purge `number`. */
bool edge_tags_purged_since(const struct edge_cache *cache, const struct edge_object *object,
                            uint64_t number);
/* The same of the tags that a head of it names. */
bool edge_tags_head_purged_since(const struct edge_cache *cache, const struct edge_object *object,
                                 const struct edge_head *head, uint64_t number);
size_t edge_tags_size(const struct edge_object *object); /* bytes of memory */
/* The objects that carry a tag; a purge of it has the next number. */
uint64_t edge_tags_hash(struct cdn_str tag);
uint64_t edge_tags_group_hash(struct cdn_str key, struct cdn_str group); /* of the key's origin */
void edge_tags_note_purge(struct edge_cache *cache, uint64_t tag);
struct edge_tag_link *edge_tags_first(struct edge_cache *cache, uint64_t tag);
struct edge_tag_link *edge_tags_next(struct edge_tag_link *link);
/* cache_search.c; the lock is held, but for the last */
struct edge_search *edge_search_take(struct edge_cache *cache, struct cdn_str key, const char *rule);
void edge_search_drop(struct edge_cache *cache, struct edge_search *search); /* NULL is fine */
/* The normal form of a key by a rule, in place of what is in `into`; false: it has none. */
bool edge_search_form(const char *rule, struct cdn_str key, struct cdn_buf *into);
uint64_t edge_search_tag(const char *rule, struct cdn_str form);
/* Tags of all answers that call the key the same as their own; how many. */
unsigned edge_search_tags(struct edge_cache *cache, struct cdn_str key, uint64_t *tags, unsigned max);
/* cache_load.c: the key is purged; its rows may come yet. */
void edge_cache_purge_early(struct edge_cache *cache, struct cdn_str key);
/* cache_keys.c */
void edge_keys_insert(struct edge_cache *cache, struct edge_entry *entry);
void edge_keys_remove(struct edge_cache *cache, struct edge_entry *entry);
/* The first entry whose key is not less than `key`, or greater (`after`); NULL: none. */
struct edge_entry *edge_keys_from(const struct edge_cache *cache, struct cdn_str key, bool after);

/* ---- under the lock: whoever calls a function ending in _locked holds it ---- */
static inline void edge_cache_lock(struct edge_cache *cache)
{
    cdn_lock_take(&cache->lock);
}
static inline void edge_cache_unlock(struct edge_cache *cache)
{
    cdn_lock_drop(&cache->lock);
}
struct edge_entry *edge_cache_ref_locked(struct edge_entry *entry); /* another reference */
/* With a reference, made if missing. */
struct edge_entry *edge_cache_enter_locked(struct edge_cache *cache, struct cdn_str key);
struct edge_entry *edge_cache_find_locked(struct edge_cache *cache,
                                          struct cdn_str key); /* no reference; or NULL */
void edge_cache_leave_locked(struct edge_cache *cache, struct edge_entry *entry);
bool edge_cache_hold_locked(struct edge_object *object, struct edge_hold *ret);
void edge_cache_remove_locked(struct edge_cache *cache, struct edge_object *object,
                              enum edge_ghost_reason reason);
/* cache_look.c: the stored complete response that a request selects, the newest; false: none. *ret_others:
 * whether there are other variants. */
bool edge_cache_select_locked(struct edge_entry *entry, const struct edge_vary_source *request,
                              struct edge_hold *ret, bool *ret_others);
/* cache_past.c: all that is remembered of a key, from one look at the ghosts. */
struct edge_past {
    enum edge_cause missing; /* why there is nothing: COLD, EVICTED, PURGED, CORRUPT or EXPIRED */
    bool unstorable;         /* the last answer could not be stored, because of `why`; */
    bool parallel;           /* and is not older than EDGE_PASS_S */
    enum edge_store_reason why;
    bool may_refresh; /* not within the pause after a refresh that failed */
    bool failing;     /* within it, or after three: nobody should wait who may have something stale */
};
void edge_cache_past_locked(const struct edge_cache *cache, const struct edge_entry *entry, int64_t now_ms,
                            struct edge_past *ret);
/* cache_sleep.c */
bool edge_cache_asleep_locked(const struct edge_entry *entry); /* whether any of its objects is */
/* cache_whole.c */
enum edge_whole edge_cache_whole_locked(const struct edge_cache *cache, const struct edge_entry *entry,
                                        int64_t now_ms);
/* cache_list.c */
/* A new reference. The object is awake. */
json_t *edge_cache_describe_locked(const struct edge_object *object, int64_t now_ms);

/* After another representation, or none, was put into an object, or its body left the RAM tier. */
static inline void edge_cache_changed_locked(struct edge_cache *cache)
{
    atomic_fetch_add_explicit(&cache->changes, 1, memory_order_release);
}

static inline bool edge_cache_entry_used(const struct edge_entry *entry)
{
    return entry->use != NULL;
}

/* cache.c */
struct edge_object *edge_object_create(struct edge_entry *entry, struct edge_rep *rep, uint64_t body_length);
void edge_object_link_locked(struct edge_cache *cache, struct edge_object *object);
void edge_object_unref_locked(struct edge_cache *cache, struct edge_object *object);
/* cache_sleep.c */
/* The object may have become unused: then it is one of the next to sleep. */
void edge_sleep_rest(struct edge_cache *cache, struct edge_object *object);
void edge_sleep_forget(struct edge_cache *cache, struct edge_object *object); /* it goes */
/* A soft purge of an object that is asleep. */
void edge_sleep_soften(struct edge_cache *cache, struct edge_object *object, int64_t now_ms);
/* cache_whole.c */
struct edge_ghost *edge_whole_create(void);
/* cache_tiers.c */
uint64_t edge_object_cost(const struct edge_object *object,
                          const struct edge_rep *rep); /* beside the body, in RAM */
bool edge_tier_memory_insert(struct edge_cache *cache, struct edge_object *object, struct edge_blob *blob,
                             bool forced);
/* After what the object says was changed: it may take more. */
void edge_tier_memory_resize(struct edge_cache *cache, struct edge_object *object);
void edge_tier_memory_leave(struct edge_cache *cache, struct edge_object *object);
/* Decides on admission, makes room and enters the disk policy; false: do not store. */
bool edge_tier_disk_admit(struct edge_cache *cache, struct edge_object *object, const struct edge_rep *rep);
/* What an object on disk says now. Under the lock, so that no purge that softens it is overtaken on the way
 * to disk. */
void edge_tier_disk_update(struct edge_cache *cache, struct edge_object *object, const struct edge_rep *rep);
bool edge_tier_index_is_full(const struct edge_cache *cache); /* it has its share of memory */
void edge_tier_disk_leave(struct edge_cache *cache, struct edge_object *object);
/* Queues the body for the disk writer; consumes file. Call without the lock. */
void edge_tier_disk_write(struct edge_cache *cache, struct edge_object *object, struct edge_rep *rep,
                          struct edge_blob *blob, struct edge_store_file *file);
void edge_tier_drop_if_homeless(struct edge_cache *cache, struct edge_object *object,
                                enum edge_ghost_reason reason);

#endif
