/* store: a folder of releases: who published what and when, in SQLite, beside the bytes (blob.h).
 *
 *     DIR/releases.db    releases and their files; write-ahead log, full synchronisation
 *     DIR/blobs/ab/...   bytes, named by their SHA-256
 *     DIR/lock           held by who changes anything (lock.h)
 *
 * A release is there whole or not at all: its files and the fact that it is current are one transaction. One
 * that is *staged* (to warm edges before the switch) is not current yet, and goes with the next publish when
 * it never becomes so. Numbers grow and are never used twice.
 *
 * One thread a handle; any number of processes. Life cycle: open -> (read, change)* -> close.
 */
#ifndef CDN_ORIGIN_RELEASE_STORE_H
#define CDN_ORIGIN_RELEASE_STORE_H
#include "common/status.h"
#include "origin/release/file.h"
#include "origin/release/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct release_store;

struct release_info {
    uint64_t number;
    int64_t live_ms; /* when it became current; 0: it is staged */
    char *who, *message;
    uint64_t files, bytes;
    uint64_t new_files, new_bytes; /* blobs that were not there before */
    uint64_t back_to;              /* by a rollback: the release with the same files; 0: by a publish */
    bool purged;                   /* what it changed is in a router's purge log */
};
struct release_list { /* the oldest first; zeroed: empty */
    struct release_info *items;
    size_t n;
};
void release_list_free(struct release_list *list);
const struct release_info *release_list_find(const struct release_list *list, uint64_t number);
/* The current one: the last that is not staged; NULL: none yet. */
const struct release_info *release_list_current(const struct release_list *list);

/* `make`: the folder and the tables, where missing; else CDN_NOT_FOUND. CDN_CORRUPT, CDN_IO. */
enum cdn_status release_store_open(const char *folder, bool make, struct release_store **ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
/* The disk was full when it was opened: nobody else can open it as long as it is. Open it anew soon. */
bool release_store_is_alone(const struct release_store *store);
void release_store_close(struct release_store *store); /* NULL is fine */

enum cdn_status release_store_list(struct release_store *store, struct release_list *ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status release_store_files(struct release_store *store, uint64_t number, struct release_files *ret,
                                    struct cdn_error *err) CDN_MUST_CHECK;
/* Changes whenever another process has changed anything. */
enum cdn_status release_store_version(struct release_store *store, int64_t *ret,
                                      struct cdn_error *err) CDN_MUST_CHECK;
/* What is served, from one moment's state: see table.h. `keep` releases before the current one, and those
 * that were current within `keep_ms`. */
enum cdn_status release_store_table(struct release_store *store, uint64_t lengths, uint64_t keep,
                                    int64_t keep_ms, struct release_table **ret,
                                    struct cdn_error *err) CDN_MUST_CHECK;

/* The following need the lock. */

/* A new release, current at once when info->live_ms is set; its number goes to info. Staged ones that were
 * left behind go. */
enum cdn_status release_store_add(struct release_store *store, struct release_info *info,
                                  const struct release_files *files, struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status release_store_switch(struct release_store *store, uint64_t number, int64_t now_ms,
                                     struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status release_store_note_purged(struct release_store *store, uint64_t upto,
                                          struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status release_store_drop(struct release_store *store, uint64_t number,
                                   struct cdn_error *err) CDN_MUST_CHECK;

#endif
