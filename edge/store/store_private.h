/* store_private: what the files of the store share; included by store*.c only.
 *
 * Locks, never two at once but where said: `lock` (segments, descriptors, space, removed ids), `queue.lock`
 * (to the writer), `readers.lock`, `find_lock` (the readers' connection to the index). No lock is held across
 * I/O but find_lock. Fields marked "writer" belong to the writer thread.
 */
#ifndef CDN_EDGE_STORE_PRIVATE_H
#define CDN_EDGE_STORE_PRIVATE_H
#include "common/lock.h"
#include "common/status.h"
#include "edge/store/store.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <xxhash.h> // IWYU pragma: export
#ifdef CDN_XXHASH_DISPATCH
// The same sums with the widest vectors of this processor.
#include <xxh_x86dispatch.h> // IWYU pragma: export
#endif

#define EDGE_RECORD_UNIT 256u /* records start at multiples of it */
#define EDGE_FRONT_SLOT \
    (4u << 20) /* a file of its own: two fronts, then the body; sparse, so it costs nothing */
#define EDGE_FRONT_BODY (2 * EDGE_FRONT_SLOT)
#define EDGE_ROW_COST 160u /* of an index row, beside key and meta */
#define EDGE_FULL_RETRY_MS 1000
#define EDGE_RETIRE_MS 250 /* how long an emptied segment stays readable */
#define EDGE_APPEND_MAX 64 /* records in one write */

/* ---- records in segments ---- */

#define EDGE_RECORD_LIVE 0x4556494cu /* "LIVE" */
#define EDGE_RECORD_DEAD 0x44414544u /* "DEAD" */

struct edge_record {
    uint32_t magic;
    uint32_t state; /* not in `sum`: the only bytes that ever change */
    uint64_t id;
    struct edge_store_key key_hash;
    uint32_t key_n;
    uint32_t meta_n;
    uint64_t body_n;
    uint64_t text_sum; /* of key and meta */
    uint64_t body_sum;
    uint64_t sum; /* of all above, seeded with the store's secret: no body can pretend to hold records */
};

struct edge_segment {
    uint32_t number;
    uint32_t verified_units;
    uint64_t bytes; /* appended so far */
    uint64_t live;
    uint64_t *verified;     /* a bit per unit a record starts at; made when first needed */
    int64_t retire_ms;      /* emptied: when it may be deleted; 0: in use */
    uint64_t retire_commit; /* emptied: the commit that must be through before */
};

static inline uint64_t edge_record_size(uint64_t text, uint64_t body)
{
    return (sizeof(struct edge_record) + text + body + EDGE_RECORD_UNIT - 1) &
           ~(uint64_t)(EDGE_RECORD_UNIT - 1);
}

static inline off_t edge_record_offset(const struct edge_store_location *l)
{
    return (off_t)l->place * EDGE_RECORD_UNIT;
}

static inline off_t edge_record_body(const struct edge_store_location *l)
{
    return edge_record_offset(l) + (off_t)(sizeof(struct edge_record) + l->text);
}

/* ---- files of their own ---- */

struct edge_front {
    uint32_t generation;
    uint64_t id;
    struct edge_store_key key_hash;
    uint64_t body;
    char *text; /* key and meta */
    size_t key_n, meta_n;
    struct edge_store_extent *extents; /* never empty but for an empty body */
    size_t n_extents;
    uint64_t *sums; /* a block of body each */
    size_t n_sums;
};

/* ---- open files ---- */

struct edge_store_ref {
    uint64_t key;
    int fd;
    unsigned holds;
    bool listed;
    struct edge_store_ref *chain;
    struct edge_store_ref *newer, *older;
    struct edge_front *front; /* files of their own */
    uint8_t *verified;        /* a byte per block of it, under `lock` */
};

#define EDGE_DESCRIPTOR_FILE (UINT64_C(1) << 63)
#define EDGE_DESCRIPTOR_BUCKETS 512u

/* ---- work for the writer ---- */

enum edge_op_kind {
    EDGE_OP_PUT,
    EDGE_OP_COMMIT,
    EDGE_OP_REMOVE,
    EDGE_OP_UPDATE,
    EDGE_OP_EDIT,
    EDGE_OP_META,
    EDGE_OP_MARK,
    EDGE_OP_SETTLE,
    EDGE_OP_REBUILD
};

struct edge_op {
    struct edge_op *next;
    enum edge_op_kind kind;
    struct edge_store_key key_hash;
    struct edge_store_location location; /* REMOVE, UPDATE, EDIT, META */
    size_t key_n, meta_n;
    const void *body;
    uint64_t body_n;
    edge_store_put_fn *done;
    edge_store_meta_fn *meta_done; /* META */
    void (*settled)(void *arg);    /* SETTLE */
    void *arg;
    edge_store_edit_fn *edit; /* EDIT */
    int64_t edit_arg;
    struct edge_store_file *file; /* COMMIT */
    struct edge_store_extent *extents;
    size_t n_extents;
    bool uncounted; /* REMOVE: a row whose bytes are not there */
    bool again;     /* MARK, SETTLE: was queued a second time, after what the first round brought */
    char text[];    /* key and meta */
};

struct edge_read_job;

struct edge_store {
    int dir;
    int lock_fd;
    char *path;
    uint64_t secret;
    struct edge_store_hooks hooks;
    uint64_t segment_bytes;
    uint64_t queue_bytes;
    int64_t commit_ms;
    int64_t gather_ms;
    unsigned descriptors_max;
    _Atomic uint64_t budget;
    _Atomic uint64_t next_id;
    _Atomic uint64_t temporary; /* bytes in files not committed */
    _Atomic uint64_t index_bytes;
    _Atomic uint64_t log_bytes; /* of these: SQLite's log */
    _Atomic uint64_t written;
    _Atomic uint64_t refused;
    _Atomic int64_t full_until; /* monotonic ms */
    uint64_t first_new_id;      /* ids from here on were given by this process */

    struct cdn_lock lock;
    struct edge_segment **segments; /* [number - segments_first], may hold NULL */
    uint32_t segments_first, segments_n;
    uint64_t segments_bytes, live_bytes, files_bytes;
    uint64_t segments_count, files, objects;
    struct {
        struct edge_store_ref *buckets[EDGE_DESCRIPTOR_BUCKETS];
        struct edge_store_ref *newest, *oldest;
        unsigned count;
    } descriptors;
    bool loading;         /* from the open until all rows were delivered */
    bool loaded;          /* space may be reclaimed */
    uint64_t load_cursor; /* rows up to here are counted */
    uint64_t *removed;    /* set of ids, open addressing; while loading or finding */
    size_t removed_n, removed_room;
    unsigned finding; /* look-ups under way */

    struct {
        struct cdn_lock lock;
        pthread_cond_t work;
        pthread_cond_t done;
        struct edge_op *head, **tail;
        uint64_t bytes;   /* of bodies, also of those that the writer has at hand */
        unsigned waiting; /* operations that the writer has not taken yet */
        bool idle;        /* the writer waits for work and wants a signal */
        bool gathering;   /* it waits for more puts */
        bool others;      /* something else than puts is queued */
        bool hurry;       /* somebody waits: commit at once */
        bool stop;
        uint64_t flush_wanted, flush_done;
        bool rebuild_done;
    } queue;

    struct {
        struct cdn_lock lock;
        pthread_cond_t work;
        struct edge_read_job *head, **tail;
        bool stop;
        pthread_t threads[EDGE_STORE_READERS];
    } readers;

    struct cdn_lock find_lock;
    struct edge_index *find_index;

    pthread_t writer;
    pthread_t loader;
    bool loader_started;
    _Atomic bool closing;
    edge_store_rows_fn *load_rows;
    edge_store_end_fn *load_end;
    void *load_arg;

    char *mark_found; /* fixed after the open */
    char *mark;       /* writer: the newest */

    struct edge_index *index; /* writer */
    bool rebuild_needed;      /* before the writer starts */
    bool index_broken;        /* writer: corrupt, until rebuilt */
    bool mark_void;           /* writer: something before the mark may be lost */
    uint32_t current;         /* writer: number of the segment appended to; 0: none yet */
    uint32_t last_segment;    /* writer: highest number given */
    int64_t commit_at;        /* writer: 0: no transaction */
    struct {
        int64_t at;      /* of the next look */
        dev_t index_dev; /* of the open index */
        ino_t index_ino;
        struct timespec segments; /* last change of that folder */
        bool failed;              /* and that was told */
    } look;                       /* writer: whether all is still there */
    _Atomic bool look_now;        /* something was missing */
    _Atomic uint64_t alive_from;  /* objects with a smaller id went with the folder */
    uint64_t commits;             /* writer: how many were done */
    struct {
        uint32_t segment; /* being emptied; 0: none */
        uint64_t at;
        uint64_t moved;
    } compaction; /* writer */
};

/* store.c */
void edge_store_event(struct edge_store *s, enum edge_store_event event, const char *fmt, ...)
    CDN_PRINTF(3, 4);
/* The status of a failed write by errno; a full disk stops storing for a moment. */
enum cdn_status edge_store_write_failed(struct edge_store *s, const char *what, int error);
uint64_t edge_store_disk_bytes(struct edge_store *s);           /* takes `lock` */
bool edge_store_has_room(struct edge_store *s, uint64_t bytes); /* for this many more, within the budget */
int64_t edge_store_after(struct timespec *ret, int64_t ms);

/* store_folder.c */
/* The folder, its parts and its lock; again after it was deleted: the new ones take the old descriptors. */
enum cdn_status edge_folder_open(struct edge_store *s, struct cdn_error *err);
void edge_folder_empty(struct edge_store *s, const char *name); /* of what was left there */

/* store_remake.c (writer) */
void edge_remake_look(struct edge_store *s); /* about once a second: makes anew what was deleted */

/* store_writer.c */
enum cdn_status edge_writer_start(struct edge_store *s, struct cdn_error *err);
void edge_writer_enqueue(struct edge_store *s, struct edge_op *op, uint64_t bytes);
void edge_writer_flush(struct edge_store *s);
void edge_writer_commit(struct edge_store *s);
void edge_writer_index_failed(struct edge_store *s, enum cdn_status status, const char *what);
bool edge_writer_begin(struct edge_store *s); /* opens the transaction if none is; false: no index now */

/* store_perform.c (writer) */
/* Does `op` (and those that go along with it); the last one done. *ret_keep: it is in the queue again. */
struct edge_op *edge_op_perform(struct edge_store *s, struct edge_op *op, bool *ret_keep);

/* store_segment.c */
enum cdn_status edge_segments_open(struct edge_store *s, struct cdn_error *err); /* lists what is there */
void edge_segments_close(struct edge_store *s);
void edge_segments_forget(struct edge_store *s);  /* under lock */
void edge_segments_missing(struct edge_store *s); /* writer: gives up those whose files were deleted */
struct edge_segment *edge_segment_get(struct edge_store *s, uint32_t number); /* under lock; NULL: none */
/* Appends (writer): all in one write, or none. */
struct edge_append {
    struct edge_record record; /* has key_hash, id and lengths; sums and magic are filled in */
    const char *text;
    const void *body;
    struct edge_store_location location; /* filled in */
};
enum cdn_status edge_segment_append(struct edge_store *s, struct edge_append *items, unsigned n);
uint64_t edge_segment_room(struct edge_store *s); /* bytes that still go into the current segment */
void edge_segment_kill(struct edge_store *s, const struct edge_store_location *l); /* writer */
void edge_segment_delete(struct edge_store *s, uint32_t number);                   /* writer */
bool edge_record_valid(const struct edge_store *s, const struct edge_record *r);
bool edge_segment_verified(struct edge_store *s, const struct edge_store_location *l);
void edge_segment_verified_set(struct edge_store *s, const struct edge_store_location *l, bool on);
/* The next live or dead record at or after `*at`: moves *at to it. False: none up to the end. */
bool edge_segment_next(struct edge_store *s, int fd, uint64_t end, uint64_t *at, struct edge_record *ret);
/* Under lock. */
void edge_segment_count(struct edge_store *s, const struct edge_store_location *l, bool born);

/* store_compact.c (writer) */
bool edge_compact_step(struct edge_store *s); /* true: there is more to do soon */
/* Makes room for `size` bytes within the budget, at once if need be; false: there is none. */
bool edge_compact_make_room(struct edge_store *s, uint64_t size);

/* store_front.c */
struct edge_front *edge_front_read(const struct edge_store *s, int fd); /* NULL: none valid */
enum cdn_status edge_front_write(const struct edge_store *s, int fd, const struct edge_front *front);
void edge_front_destroy(struct edge_front *front);
size_t edge_front_blocks(uint64_t body);
/* The stretches of block `block` that are there: calls `visit` for each; false: visit said so. */
typedef bool edge_stretch_fn(void *arg, uint64_t from, uint64_t to);
bool edge_front_stretches(const struct edge_store_extent *extents, size_t n, uint64_t block,
                          edge_stretch_fn *visit, void *arg);
/* Reads what is there of a block into `buffer` (EDGE_STORE_BLOCK bytes, at its place in the block) and sums
 * it. */
enum cdn_status edge_front_block(int fd, const struct edge_store_extent *extents, size_t n, uint64_t block,
                                 unsigned char *buffer, uint64_t *ret_sum);
bool edge_front_has(const struct edge_front *front, uint64_t from, uint64_t to);

/* store_file.c */
enum cdn_status edge_file_commit(struct edge_store *s, struct edge_op *op, struct edge_store_location *ret);
void edge_file_remove(struct edge_store *s, const struct edge_store_location *l); /* writer */
void edge_file_name(uint64_t id, char out[static 40]);

/* store_descriptor.c */
enum cdn_status edge_descriptor_get(struct edge_store *s, uint64_t key, bool may_open,
                                    struct edge_store_ref **ret);
void edge_descriptor_put(struct edge_store *s, struct edge_store_ref *ref);
void edge_descriptor_drop(struct edge_store *s, uint64_t key);
void edge_descriptors_close(struct edge_store *s);
void edge_descriptors_forget(struct edge_store *s); /* also those in use; these end with their holders */
static inline uint64_t edge_descriptor_key(const struct edge_store_location *l)
{
    return l->segment ? l->segment : l->id | EDGE_DESCRIPTOR_FILE;
}

/* store_read.c */
enum cdn_status edge_read_threads_start(struct edge_store *s, struct cdn_error *err);
void edge_read_threads_stop(struct edge_store *s);
/* preadv of exactly n bytes: CDN_OK, CDN_UNAVAILABLE (nowait), CDN_CORRUPT (ends before), CDN_IO. */
struct iovec;
enum cdn_status edge_read_exactly(int fd, const struct iovec *parts, int n_parts, off_t offset, bool nowait);

/* store_load.c */
void edge_load_stop(struct edge_store *s);
void edge_load_removed(struct edge_store *s, uint64_t id); /* under lock */
void edge_load_find(struct edge_store *s, uint64_t key_a, uint64_t key_b, edge_store_rows_fn *rows,
                    void *arg);

/* store_rebuild.c */
enum cdn_status edge_rebuild_open_index(struct edge_store *s,
                                        struct cdn_error *err); /* quarantines if needed */
void edge_rebuild_close_index(struct edge_store *s);            /* writer */
void edge_rebuild_run(struct edge_store *s);                    /* writer: a new index from the records */

#endif
