/* hash: what ETags are made of: XXH3 (128 bits) of the content, so equal content has an equal ETag on every
 * machine and after every restart, and no change goes unseen.
 *
 * Small bodies are hashed as they are read. A large file is hashed once per identity (origin_file_id) by one
 * helper thread, so that no event loop waits for a disk; the result is remembered in a table that all threads
 * share. Lock: `lock` guards table and queue; it is never held while reading.
 */
#ifndef CDN_ORIGIN_HASH_H
#define CDN_ORIGIN_HASH_H
#include "common/loop.h"
#include "common/status.h"
#include "origin/base/root.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct origin_hash {
    uint64_t high, low;
};
#define ORIGIN_ETAG_SIZE 48 /* quotes, 32 hex digits, "-" and a coding, NUL */

struct origin_hash origin_hash_bytes(const void *p, size_t n);
/* `"<hex>"`, or `"<hex>-br"` with a suffix: the codings of a file never share an ETag. */
void origin_etag_format(const struct origin_hash *h, const char *suffix, char out[static ORIGIN_ETAG_SIZE]);

struct origin_hasher;
struct origin_hash_file;
/* `file`: what was known before, and where to keep what is found; or NULL. Borrowed, used by the hasher's
 * thread. */
struct origin_hasher *origin_hasher_create(struct origin_hash_file *file);
/* The thread; jobs may be queued before. */
enum cdn_status origin_hasher_start(struct origin_hasher *hasher, struct cdn_error *err) CDN_MUST_CHECK;
void origin_hasher_destroy(struct origin_hasher *hasher); /* ends the thread; jobs still waiting are told */

/* Known already? A result that was got soon after the file's last change counts only while that is so, and
 * for a second. */
bool origin_hasher_find(struct origin_hasher *hasher, const struct origin_file_id *id,
                        struct origin_hash *ret);
/* Takes `fd` over. When the hash is known, or the file changed or cannot be read, done(arg) is called on
 * `loop`. */
void origin_hasher_queue(struct origin_hasher *hasher, int fd, const struct origin_file_id *id,
                         struct loop *loop, void (*done)(void *arg), void *arg);

#endif
