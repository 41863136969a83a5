/* session: a store of releases and the CDN that serves it, for the commands that publish. The store is
 * found through the CDN (what its origin was started with), or named; then a CDN is told only when it is
 * named, too. */
#ifndef CDN_CLI_RELEASE_SESSION_H
#define CDN_CLI_RELEASE_SESSION_H
#include "cli/run/control.h"
#include "common/status.h"
#include "origin/release/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_OPTIONS(X)                                                                   \
    X(TEXT, store, 0, "DIR", "Folder of the releases; without it, that of the CDN's origin") \
    CONTROL_OPTIONS(X)
#define SESSION_CHANGE_OPTIONS(X)                                                                       \
    X(FLAG, wait, 'w', NULL, "Wait until every healthy edge has purged, and show how long each took")   \
    X(TEXT, lock_timeout, 0, "TIME", "The longest wait for another publisher; default: 1m, at most 1d") \
    SESSION_OPTIONS(X)

struct session {
    char *folder;
    json_t *cdn;             /* NULL: no CDN is told */
    json_t *router, *origin; /* borrowed of it; NULL: it has none of ours */
    char *index;             /* of folders; as the origin says, or its standard */
    uint64_t lengths;        /* of content hashes in names */
    uint64_t keep;           /* what the origin still serves */
    int64_t keep_ms;
    struct release_store *store;
    int lock; /* -1: not held */
};

/* `make`: a store that is not there yet is made. */
enum cdn_status session_open(const struct control_where *where, const char *store, bool make,
                             struct session *ret, struct cdn_error *err) CDN_MUST_CHECK;
void session_close(struct session *session);
/* Waits for whoever has it, with a word on standard error. `timeout` as typed; NULL: the standard. */
enum cdn_status session_lock(struct session *session, const char *what, const char *timeout,
                             struct cdn_error *err) CDN_MUST_CHECK;
char *session_who(void);                                   /* "ada@laptop", owned by the caller */
bool session_read_number(const char *text, uint64_t *ret); /* "7", "r7" */
/* The release of that number, or what is wrong with it. */
enum cdn_status session_find(const struct release_list *list, const char *text,
                             const struct release_info **ret, struct cdn_error *err) CDN_MUST_CHECK;

/* Has the origin look, and waits until all of it knows `number`, as the current release when `current`. Where
 * it cannot be asked, it will have looked by itself when this returns. */
void session_tell_origin(const struct session *session, uint64_t number, bool current);
/* Tells the origin of the release `current`; then purges what changed with all releases that no purge was
 * sent for, says so, and with `wait` shows the receipts. */
enum cdn_status session_purge(struct session *session, uint64_t current, bool wait,
                              struct cdn_error *err) CDN_MUST_CHECK;

#endif
