/* body: the bytes of one fetch while they arrive, read by any number of waiters at their own pace.
 *
 * Where the bytes are (enum edge_body_mode) changes from MEMORY to one of the others, and from FILE to
 * WINDOW when the disk fails; never back:
 *   MEMORY  all of them from byte 0 in one blob that grows; for objects up to `memory_limit`, while bodies on
 *           their way may take more memory (budget.h)
 *   FILE    all of them in a file of the disk store: other objects that will be stored; readers use the
 *           page cache
 *   WINDOW  the last half megabyte (32 KiB, when memory is short) that the slowest reader still needs: other
 *           objects that will not be stored (uncacheable, or the disk is full, or there is none). The
 *           producer waits for the slowest reader. Nobody can join once bytes have been dropped.
 *
 * Threads: one producer (the fetch's loop); readers on any loop. One mutex guards all; it is never held
 * across I/O on the network, and no hit on a finished object comes here. Life cycle: create -> append* ->
 * finish(ok?) -> destroy, by the fetch that
 * owns it; readers: join -> read* -> leave, before that.
 */
#ifndef CDN_EDGE_BODY_H
#define CDN_EDGE_BODY_H
#include "edge/store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct edge_body;

struct edge_body_reader { /* embedded in whoever reads */
    struct edge_body_reader *next;
    uint64_t at; /* the next byte it needs */
    bool joined;
};

/* `expected`: the declared length or -1. `store` (borrowed) may be NULL: then WINDOW instead of FILE.
 * `room_again(arg)` is called on any thread, without the lock, when append() said wait and there is room
 * again. */
struct edge_body *edge_body_create(int64_t expected, size_t memory_limit, struct edge_store *store,
                                   void (*room_again)(void *arg), void *arg);
void edge_body_destroy(struct edge_body *body);

/* Takes all of the bytes (true) or none (false: the window is full, room_again follows). */
bool edge_body_append(struct edge_body *body, const char *data, size_t n);
/* The producer is done; room_again is not called any more. */
void edge_body_finish(struct edge_body *body, bool ok);
uint64_t edge_body_length(struct edge_body *body); /* bytes appended so far */
/* The complete body as a blob (a new reference), or NULL when it is not finished well or not in MEMORY. */
struct edge_blob *edge_body_blob(struct edge_body *body);
/* The file of a body that is finished well and in a FILE: the caller's to commit or abort. NULL otherwise, or
 * when it was taken before. Readers are not disturbed. */
struct edge_store_file *edge_body_take_file(struct edge_body *body);
/* Never keep more than the window from now on (the answer will not be stored). Before the first append over
 * the limit. */
void edge_body_do_not_keep(struct edge_body *body);

/* Whether the leader is about to join: until this is taken back, when it has joined or left, nothing is
 * dropped. Others may join before it. */
void edge_body_await(struct edge_body *body, bool reader);
/* From byte `at`. False when the bytes are gone already (then the reader has not joined). */
bool edge_body_join(struct edge_body *body, struct edge_body_reader *reader, uint64_t at);
#define EDGE_BODY_NOTHING 0         /* nothing new yet */
#define EDGE_BODY_END ((ssize_t)-1) /* finished and all read */
#define EDGE_BODY_FAILED ((ssize_t)-2)
/* Up to `max` bytes at reader->at, which moves on. */
ssize_t edge_body_read(struct edge_body *body, struct edge_body_reader *reader, char *into, size_t max);
/* WINDOW: whether the producer waits for this reader (perhaps among others), and somebody who has read all
 * there is waits for the producer. */
bool edge_body_is_held_up(struct edge_body *body, const struct edge_body_reader *reader);
void edge_body_leave(struct edge_body *body, struct edge_body_reader *reader); /* harmless when not joined */

#endif
