/* store: the disk tier.
 *
 * What lies where, in the directory given to edge_store_open:
 *     lock            flock of the process that owns the directory
 *     index.db        SQLite (WAL): one row an object; owned by the writer thread
 *     segments/N      append-only files of records: small complete objects, packed
 *     files/ID        an object of its own: large, or partial (sparse)
 *     tmp/            files of their own that are not committed yet; emptied at the start
 * A record describes itself (header, key, meta, body, checksums), and so does the front of a file, so a
 * lost index is rebuilt from them. Bytes once written are never changed, so a reader may go on reading what
 * is being removed; a removed record is marked dead in its header. Space comes back by deleting segments,
 * after moving what still lives. Removing an object means: unlink or dead mark at once, its row gone in the
 * next batch. So a row that outlived its object (crash) answers CDN_NOT_FOUND when read, never bytes.
 *
 * A folder that is deleted while the store is open is made again within about a second (store_remake.c):
 * what was there is gone, what comes then is stored again. A deleted index alone is rebuilt, a deleted
 * segment given up.
 *
 * `meta` is opaque to the store: the engine's serialised head. `key` is text, kept in a column of its own so
 * that `sqlite3 index.db` is readable for people.
 *
 * Threads: one writer (SQLite, appends, commits, deletes, compaction), readers (EDGE_STORE_READERS), one
 * loader until all rows are loaded. All functions are thread-safe and none blocks on a disk, but for the
 * ones that say so. Callbacks run on the thread named with them, and must not wait for the store. (The
 * exception: a callback that takes rows may read with edge_store_meta, and wait for the writer with
 * edge_store_newest_meta.) They may call any non-blocking function of the store.
 */
#ifndef CDN_EDGE_STORE_H
#define CDN_EDGE_STORE_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define EDGE_STORE_PACKED_MAX \
    (256u * 1024u) /* bytes of body: up to here an object is packed into a segment */
#define EDGE_STORE_TEXT_MAX ((1u << 20) - 1) /* bytes of key and meta together, at most */
#define EDGE_STORE_BODY_MAX ((UINT64_C(1) << 44) - 1)
#define EDGE_STORE_BLOCK (1024u * 1024u) /* a checksum of a file of its own covers this much */
#define EDGE_STORE_READERS 2u

/* What may happen on the side; for log, metrics and /status. */
#define EDGE_STORE_EVENT_TABLE(X) /* name, word, what it means */                                    \
    X(FULL, "full", "the disk or the budget is full; nothing is stored for a moment")                \
    X(WRITE_ERROR, "write_error", "a write failed; the object is not stored")                        \
    X(READ_ERROR, "read_error", "a read failed")                                                     \
    X(CHECKSUM, "checksum_mismatch", "stored bytes are not what was written; the object is dropped") \
    X(TORN, "torn", "a record or file ends too early; the object is dropped")                        \
    X(DESCRIPTORS, "descriptors", "no file descriptor left; the answer comes from elsewhere")        \
    X(INDEX_ERROR, "index_error", "SQLite failed; the batch is tried again or lost")                 \
    X(INDEX_ROW, "index_row", "a damaged row of the index was dropped")                              \
    X(QUARANTINED, "quarantined", "a corrupt index was set aside under another name")                \
    X(REBUILT, "rebuilt", "the index was rebuilt from the records")                                  \
    X(REMADE, "remade", "the folder was deleted under the store; a new, empty one was made")         \
    X(ORPHAN, "orphan", "a file without a row was deleted")                                          \
    X(COMPACTED, "compacted", "a mostly dead segment was emptied and deleted")

enum edge_store_event {
#define X(name, word, text) EDGE_STORE_##name,
    EDGE_STORE_EVENT_TABLE(X)
#undef X
        EDGE_STORE_EVENT_COUNT
};
const char *edge_store_event_word(enum edge_store_event event);

/* The key as hashes: 128 bits of the key, 64 of the variant. */
struct edge_store_key {
    uint64_t a;
    uint64_t b;
    uint64_t variant;
};

/* Where an object lies; the engine keeps it in its entry and copies it as it likes. 24 bytes, no pointers. */
struct edge_store_location {
    uint64_t id;        /* of the object, never used again; grows in order of insertion; 0: nowhere */
    uint32_t segment;   /* 0: a file of its own */
    uint32_t place;     /* segment: start of the record, in units; file of its own: unused */
    uint64_t text : 20; /* bytes of key and meta in the record (body starts after them) */
    uint64_t body : 44; /* bytes of body; of a partial object its whole length, holes included */
};

static inline bool edge_store_location_eq(const struct edge_store_location *a,
                                          const struct edge_store_location *b)
{
    return a->id == b->id && a->segment == b->segment && a->place == b->place;
}

/* A stretch [from, to) of a partial body. */
struct edge_store_extent {
    uint64_t from;
    uint64_t to;
};

struct edge_store_row {
    struct edge_store_key key_hash;
    struct edge_store_location location;
    struct cdn_str key;
    struct cdn_str meta;
    const struct edge_store_extent *extents; /* sorted, disjoint; n_extents 0: complete */
    size_t n_extents;
    bool rebuilt;  /* from a record, after the index was lost: the last meta updates are missing; revalidate
                      first */
    bool pristine; /* meta is as the record (or front) has it: edge_store_meta may be asked for it */
};

struct edge_store_hooks {
    void *self;
    /* any thread; `detail` is one line */
    void (*on_event)(void *self, enum edge_store_event event, const char *detail);
    /* writer thread: the object `from` now lies at `to` (same id). The old place stays readable for a moment,
     * under pressure not even that: on CDN_NOT_FOUND look whether the entry has another location by now. */
    void (*on_moved)(void *self, const struct edge_store_key *key, const struct edge_store_location *from,
                     const struct edge_store_location *to);
    /* writer thread: an update or edit of the meta of `location` could not be recorded; what the index has
     * for it is too old */
    void (*on_update_lost)(void *self, const struct edge_store_key *key,
                           const struct edge_store_location *location);
    /* writer thread: the folder was deleted; of the objects with an id below `first` nothing is left */
    void (*on_lost)(void *self, uint64_t first);
};

struct edge_store_settings {
    const char *directory;  /* made if missing, with all above it */
    uint64_t budget;        /* bytes on disk, index included; at least 1 MiB */
    uint64_t segment_bytes; /* 0: chosen from the budget, 256 KiB to 64 MiB */
    uint64_t queue_bytes;   /* bodies waiting for the writer, at most; 0: 64 MiB */
    unsigned commit_ms;     /* a batch is committed after this long at the latest; 0: 250 */
    unsigned gather_ms;     /* puts wait this long at most for others to be written with; 0: 100 */
    unsigned descriptors;   /* open files kept, at most; 0: 256 */
};

struct edge_store;

/* Opens or creates. Blocks (start of the process). CDN_CONFLICT: another process owns the directory;
 * CDN_IO: cannot be made, read or written. A corrupt index is not an error here: it is quarantined, and
 * edge_store_load rebuilds it. */
enum cdn_status edge_store_open(const struct edge_store_settings *settings,
                                const struct edge_store_hooks *hooks, struct edge_store **ret,
                                struct cdn_error *err) CDN_MUST_CHECK;
/* Works off the queues, commits, stops the threads, releases. Blocks. References must be released before. */
void edge_store_close(struct edge_store *s);
/* Blocks until everything queued before is on disk and committed. Tests, orderly shutdown. */
void edge_store_flush(struct edge_store *s);

/* Calls settled(arg) on the writer thread once all that was queued till now is on disk and committed, and
 * what the answers to that queued (a body that was purged while it was being written). */
void edge_store_settle(struct edge_store *s, void (*settled)(void *arg), void *arg);

/* ---- after the start ---- */

/* Streams all rows that were there at the open to `rows` (loader thread, some hundred a call, in order of
 * insertion; slices valid during the call), then calls `end` once: CDN_OK, or what went wrong (what was
 * delivered is good). Rows of an id may come twice (after a rebuild): the second is to be ignored. Call it
 * once, early: space is reclaimed only when it is through. */
typedef void edge_store_rows_fn(void *arg, const struct edge_store_row *rows, size_t n);
typedef void edge_store_end_fn(void *arg, enum cdn_status status);
void edge_store_load(struct edge_store *s, edge_store_rows_fn *rows, edge_store_end_fn *end, void *arg);

/* Point query for a key that may not be loaded yet: all variants that were there at the open, in one call of
 * `rows` (reader thread; n 0: none). */
void edge_store_find(struct edge_store *s, uint64_t key_a, uint64_t key_b, edge_store_rows_fn *rows,
                     void *arg);
/* Whether `id` was removed since the open. Rows from load and find were read a moment ago: a callback that
 * takes the engine's lock and then asks this never brings back what was purged meanwhile. Remembers until
 * load is through and no find is under way. */
bool edge_store_removed(struct edge_store *s, uint64_t id);

/* ---- small complete objects ---- */

typedef void edge_store_put_fn(void *arg, enum cdn_status status, const struct edge_store_location *location);

struct edge_store_put {
    struct edge_store_key key_hash;
    struct cdn_str key;      /* copied */
    struct cdn_str meta;     /* copied */
    const void *body;        /* must stay as it is until `done`: the caller holds its reference until then */
    size_t body_length;      /* at most EDGE_STORE_PACKED_MAX */
    edge_store_put_fn *done; /* writer thread, exactly once when queued; location is NULL unless CDN_OK */
    void *arg;
};

/* Queues. False (and `done` is not called): the queue is full, the disk is full, or sizes are over the
 * limits. */
bool edge_store_put(struct edge_store *s, const struct edge_store_put *put);

/* ---- large or partial objects: a file of its own ---- */

struct edge_store_file;

/* A file under a temporary name. One thread at a time uses the handle. Blocks for an open(2) only. */
enum cdn_status edge_store_file_create(struct edge_store *s, struct edge_store_file **ret,
                                       struct cdn_error *err) CDN_MUST_CHECK;
/* The same for an object that lies in a file of its own already and shall grow (partial objects). Existing
 * bytes must not be written again. At most one such handle per object at a time. */
enum cdn_status edge_store_file_reopen(struct edge_store *s, const struct edge_store_location *location,
                                       struct edge_store_file **ret, struct cdn_error *err) CDN_MUST_CHECK;
/* pwrite / pread of the body at `offset`: page cache, no queue. Writing in order is cheapest: checksums are
 * taken on the way. A failed write (CDN_UNAVAILABLE: disk full or budget used up, else CDN_IO) leaves the
 * handle good for abort only. Bytes written count against the budget at once: evict before a large body
 * comes, when its length is known. */
enum cdn_status edge_store_file_write(struct edge_store_file *f, uint64_t offset, const void *data, size_t n,
                                      struct cdn_error *err) CDN_MUST_CHECK;
/* Descriptor and offset in it of body byte 0, for sendfile while the file grows. The handle keeps the
 * descriptor. */
int edge_store_file_fd(const struct edge_store_file *f, off_t *ret_base);
void edge_store_file_abort(struct edge_store_file *f);

struct edge_store_commit {
    struct edge_store_key key_hash;
    struct cdn_str key;  /* copied */
    struct cdn_str meta; /* copied */
    uint64_t body_length;
    const struct edge_store_extent
        *extents; /* what is there of a partial object; copied. n_extents 0: all of it */
    size_t n_extents;
    edge_store_put_fn *done; /* writer thread; on failure the file is gone (create) or as before (reopen) */
    void *arg;
};

/* Makes the file visible under its final name, or its growth known (same id as before). Consumes the handle;
 * `done` is called exactly once, in every case. */
void edge_store_file_commit(struct edge_store_file *f, const struct edge_store_commit *commit);

/* ---- changes ---- */

/* The object is gone for every later read; its row goes in the next batch. */
void edge_store_remove(struct edge_store *s, const struct edge_store_location *location);
/* New meta after a 304; the location stays as it is. `meta` is copied. */
void edge_store_update(struct edge_store *s, const struct edge_store_key *key_hash,
                       const struct edge_store_location *location, struct cdn_str meta);

/* The same for callers that do not have the meta at hand: `edit` changes the newest one in place (writer
 * thread). */
typedef void edge_store_edit_fn(char *meta, size_t n, int64_t arg);
void edge_store_edit(struct edge_store *s, const struct edge_store_key *key_hash,
                     const struct edge_store_location *location, edge_store_edit_fn *edit, int64_t arg);

/* A text that is committed not before all that was queued till now, and what the answers to that queue (a
 * body that was purged while it was being written): so a mark read back at a start vouches for what came
 * before it. Once the index has failed this process keeps no mark any more. At most EDGE_STORE_MARK_MAX
 * bytes. */
#define EDGE_STORE_MARK_MAX 255u
void edge_store_mark(struct edge_store *s, struct cdn_str text);
/* The mark at the open; "" when there was none. */
const char *edge_store_mark_found(const struct edge_store *s);

/* ---- reading ---- */

/* Reads body bytes [from, from + n) into `data`, if that is possible without waiting for the disk
 * (RWF_NOWAIT). CDN_OK; CDN_UNAVAILABLE: would block, use edge_store_read; CDN_NOT_FOUND: removed or its file
 * is gone; CDN_CORRUPT: checksum, torn (remove the object, treat as a miss); CDN_IO. Checksums are verified
 * before the first use of a record or block in the life of the process; a partial object must have all of the
 * range. */
enum cdn_status edge_store_try_read(struct edge_store *s, const struct edge_store_location *location,
                                    uint64_t from, void *data, size_t n);
typedef void edge_store_read_fn(void *arg, enum cdn_status status);
/* The same on a reader thread. `data` (NULL: verify only, so that edge_store_body can answer) must live until
 * `done` (reader thread, exactly once). */
void edge_store_read(struct edge_store *s, const struct edge_store_location *location, uint64_t from,
                     void *data, size_t n, edge_store_read_fn *done, void *arg);

/* What was stored as the object's meta, from where the body lies (its checksum is verified): good while the
 * meta was never updated. Appends to `into`. With `wait` it may block on the disk; else CDN_UNAVAILABLE:
 * would block, or is not open. Other statuses as for edge_store_try_read. */
enum cdn_status edge_store_meta(struct edge_store *s, const struct edge_store_location *location, bool wait,
                                struct cdn_buf *into);
/* The same on a reader thread. `meta` is valid during the call; empty unless CDN_OK. */
typedef void edge_store_meta_fn(void *arg, enum cdn_status status, struct cdn_str meta, bool rebuilt);
void edge_store_read_meta(struct edge_store *s, const struct edge_store_location *location,
                          edge_store_meta_fn *done, void *arg);
/* The newest meta, all updates and edits that were queued before included: `done` on the writer thread.
 * `rebuilt` as in a row. */
void edge_store_newest_meta(struct edge_store *s, const struct edge_store_location *location,
                            edge_store_meta_fn *done, void *arg);

/* A counted hold on an open file. */
struct edge_store_ref;
/* For sendfile: descriptor and offset in it of body byte `from`, verified for [from, from + n). Statuses as
 * for edge_store_try_read; CDN_UNAVAILABLE: not open or not verified yet, call edge_store_read with data NULL
 * first. The descriptor stays good until the reference is released, whatever happens to the object. Do not
 * close it. */
enum cdn_status edge_store_body(struct edge_store *s, const struct edge_store_location *location,
                                uint64_t from, uint64_t n, struct edge_store_ref **ret, int *ret_fd,
                                off_t *ret_offset);
void edge_store_release(struct edge_store *s, struct edge_store_ref *ref);

/* ---- space ---- */

/* Bytes that an object takes on disk, its share of the index included: add them to what the engine counts. */
uint64_t edge_store_cost(size_t key_length, size_t meta_length, uint64_t body_length);
/* How many bytes (in edge_store_cost) may be stored within the budget: the rest is for dead records not yet
 * reclaimed and the index's log. The capacity of the engine's policy for this tier. */
uint64_t edge_store_capacity(const struct edge_store *s);
void edge_store_budget_set(struct edge_store *s, uint64_t budget);

struct edge_store_stats {
    uint64_t disk_bytes; /* segments, files and index as on disk */
    uint64_t live_bytes; /* records and files that are not dead */
    uint64_t queued_bytes;
    uint64_t segments, files, objects;
    uint64_t written_bytes; /* appended since the open, moves included */
    uint64_t refused;       /* puts not taken: queue or disk full */
    bool full;
    bool loading;
};
void edge_store_stats(struct edge_store *s, struct edge_store_stats *ret);

#endif
