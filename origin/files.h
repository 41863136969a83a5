/* files: what a path stands for, found once and kept ready.
 *
 * An entry belongs to one raw request path and holds the representations of its file: the file itself and its
 * compressed siblings, each with validators, and for small ones the body and finished answers (200 and 304),
 * so that a hot request costs a look-up and no allocation. Once a second at most an entry is compared with
 * the file system and made anew when anything changed. Large files are not held: they are opened for each
 * request and sent by the kernel.
 *
 * Owned by one worker thread; no locks. The oldest entry that was not used since the last round goes first
 * (CLOCK). Bodies are counted: answers under way keep theirs when the entry goes.
 */
#ifndef CDN_ORIGIN_FILES_H
#define CDN_ORIGIN_FILES_H
#include "common/http/syntax/http_field_accept.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/str.h"
#include "origin/base/path.h"
#include "origin/base/root.h"
#include "origin/hash.h"
#include "origin/release/table.h"
#include "origin/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORIGIN_SMALL_MAX (256u << 10) /* above this, sendfile costs less than copying from memory */

#define ORIGIN_VARIANTS(X) /* coding, ending of the sibling */ \
    X(IDENTITY, "")                                            \
    X(BR, ".br")                                               \
    X(ZSTD, ".zst")                                            \
    X(GZIP, ".gz")
enum origin_variant_kind {
#define X(coding, ending) ORIGIN_VARIANT_##coding,
    ORIGIN_VARIANTS(X)
#undef X
        ORIGIN_VARIANT_COUNT
};

struct origin_policy { /* the settings that a reload changes; immutable; counted among threads */
    _Atomic unsigned owners;
    int64_t max_age_s;
    uint64_t hash_lengths; /* of names with a content hash (path.h) */
    bool immutable, listing, precompressed, access_log;
    char index[256];
    struct http_trust trust;  /* whose PROXY headers are believed */
    struct cdn_cidr *trusted; /* owned; `trust` borrows it */
};

struct origin_body { /* bytes of a small file */
    unsigned owners; /* one thread */
    size_t n;
    char p[];
};
void origin_body_unref(void *p);

struct origin_variant {
    bool is_there;
    bool released;    /* of a release: */
    int64_t until_ms; /* not there from then on (cache clock) */
    struct origin_file_id id;
    char etag[ORIGIN_ETAG_SIZE];
    int64_t modified_s;
    struct origin_body *body;       /* NULL: large */
    struct MHD_Response *ok, *same; /* 200 (small files only) and 304; NULL until first needed */
    int64_t date_s;                 /* their Date; 0: left to the server */
};

struct origin_entry {
    struct origin_entry *next; /* of the same bucket */
    struct origin_entry *newer, *older;
    uint64_t hash;
    char *key; /* raw path */
    size_t key_n;
    char *name;       /* file below the root */
    const char *type; /* Content-Type */
    bool is_hashed;   /* content hash in the name */
    bool has_siblings;
    bool was_used, is_settled;
    unsigned codings;                   /* bit set of 1 << enum http_coding */
    int64_t checked_ns, all_checked_ns; /* what is there; what is not there too */
    size_t bytes;                       /* accounted */
    struct origin_variant variant[ORIGIN_VARIANT_COUNT];
};

struct origin_files_config {
    struct origin_sources sources; /* its table is replaced by origin_files_set_table */
    const struct origin_mime *mime;
    struct origin_hasher *hasher;
    struct origin_metrics *metrics;
    struct origin_policy *policy; /* borrowed; replaced by origin_files_set_policy */
    size_t budget;
};
struct origin_files;
struct origin_files *origin_files_create(const struct origin_files_config *config);
void origin_files_destroy(struct origin_files *files); /* NULL is fine */
void origin_files_set_policy(struct origin_files *files,
                             struct origin_policy *policy); /* forgets all entries */
void origin_files_set_table(struct origin_files *files,
                            struct release_table *table); /* forgets all entries */

enum origin_found {
    ORIGIN_FOUND_FILE,    /* *ret_entry: valid until the next call */
    ORIGIN_FOUND_FOLDER,  /* without a slash at its end: redirect */
    ORIGIN_FOUND_LISTING, /* *ret_path names the folder to list */
    ORIGIN_FOUND_NOTHING, /* *ret_refusal says why */
    ORIGIN_FOUND_HASHING, /* a large file's hash is being worked out: `wait` was queued; ask again then */
};
struct origin_refusal {
    unsigned status;
    const char *detail;
};
struct origin_wait { /* for ORIGIN_FOUND_HASHING */
    struct loop *loop;
    void (*done)(void *arg);
    void *arg;
};
enum origin_found origin_files_find(struct origin_files *files, struct cdn_str raw_path, int64_t now_ns,
                                    const struct origin_wait *wait, struct origin_entry **ret_entry,
                                    struct origin_path *ret_path, struct origin_refusal *ret_refusal);
/* The file of a large variant, opened; -1 when it is not the same any more (then the entry is forgotten: ask
 * again). */
int origin_files_open(struct origin_files *files, struct origin_entry *entry, enum origin_variant_kind kind);
/* The file's name and the variant's ending, owned by the caller. */
char *origin_variant_name(const struct origin_entry *entry, enum origin_variant_kind kind);
enum http_coding origin_variant_coding(enum origin_variant_kind kind);

#endif
