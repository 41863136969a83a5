/* purge_log: every purge that was ever asked for, numbered, in SQLite, until it is old enough to be
 * forgotten.
 *
 * Numbers grow by one and are never used twice. The log has a random identity: an edge that knows another
 * one's number knows nothing about this log (its file was deleted, or restored from elsewhere) and has to
 * drop all. The oldest entries go by age and by count; an edge that was away for longer than the log
 * reaches back is told so.
 *
 * Durable: write-ahead log with synchronous=FULL, one transaction and one fsync a purge, so that a number
 * once given out survives power loss. An append takes some tenths of a millisecond (docs/purge.md), hence no
 * thread of its own. The file is locked for one process. A corrupt file is set aside under another name and a
 * new log (new identity) begins, which is safe: all edges drop all.
 *
 * One thread. Life cycle: open -> append, read -> close.
 */
#ifndef CDN_ROUTER_PURGE_LOG_H
#define CDN_ROUTER_PURGE_LOG_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

#define ROUTER_PURGE_IDENTITY_SIZE 33 /* 32 hex digits and a NUL */

struct router_purge_log;

#define ROUTER_PURGE_ENTRY_COST 64 /* bytes of a row beside its text */

struct router_purge_limits {
    uint64_t keep;       /* entries; at least 1 */
    int64_t keep_ms;     /* age at which an entry goes */
    uint64_t keep_bytes; /* of all entries, ROUTER_PURGE_ENTRY_COST each included; 0: no limit */
};

/* Where the log is when nobody has set it, from the router's admin address. Its port is in the name: an
 * address is one process' at a time, and edges find the router by it. NULL: in memory. The caller frees. */
char *router_purge_log_default_path(const char *admin);

/* `path` NULL: in memory. Folders are made (mode 0700). CDN_CONFLICT: another process has it; CDN_IO. */
enum cdn_status router_purge_log_open(const char *path, const struct router_purge_limits *limits,
                                      struct router_purge_log **ret, struct cdn_error *err) CDN_MUST_CHECK;
void router_purge_log_close(struct router_purge_log *log); /* NULL is fine */

const char *router_purge_log_identity(const struct router_purge_log *log);
uint64_t router_purge_log_last(
    const struct router_purge_log *log); /* the highest number given; 0: none yet */
/* The lowest number that is kept; last + 1 when nothing is. */
uint64_t router_purge_log_oldest(const struct router_purge_log *log);
/* True when everything after `after` can still be read, so that an edge that has applied all up to it need
 * not drop everything. A number that was never given is none of ours. */
bool router_purge_log_reaches(const struct router_purge_log *log, uint64_t after);

/* `what` is text (purge_item.h). On return it is on disk. Forgets what is over the limits. */
enum cdn_status router_purge_log_append(struct router_purge_log *log, int64_t now_ms, struct cdn_str what,
                                        uint64_t *ret_id, struct cdn_error *err) CDN_MUST_CHECK;

/* The entries after `after`, in order, until there are no more or `entry` returns false. */
typedef bool router_purge_entry_fn(void *arg, uint64_t id, int64_t time_ms, struct cdn_str what);
enum cdn_status router_purge_log_read(struct router_purge_log *log, uint64_t after,
                                      router_purge_entry_fn *entry, void *arg,
                                      struct cdn_error *err) CDN_MUST_CHECK;

#endif
