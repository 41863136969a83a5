/* blob: the bytes of all releases: one file for equal bytes, named by their SHA-256: DIR/blobs/ab/cdef...
 *
 * A blob's name is there only when its bytes are on disk: new ones are written under temporary names, all
 * brought to disk together, and then renamed. What a publisher left behind that was killed goes with the next
 * one. A blob never changes; what changes on disk nevertheless is found by release_blobs_check().
 *
 * One thread a handle. release_blobs_put, commit and remove need the lock (lock.h).
 */
#ifndef CDN_ORIGIN_RELEASE_BLOB_H
#define CDN_ORIGIN_RELEASE_BLOB_H
#include "common/status.h"
#include "origin/release/file.h"

#include <stdbool.h>
#include <stdint.h>

#define RELEASE_BLOB_NAME_SIZE 66 /* "ab/", 62 hex digits, NUL */
#define RELEASE_MD5_SIZE 16

struct release_blobs;

/* The folder of the blobs of a store, owned by the caller; made by release_blobs_open(). */
char *release_blob_folder(const char *store);
void release_blob_name(const unsigned char sha[static RELEASE_SHA_SIZE],
                       char ret[static RELEASE_BLOB_NAME_SIZE]);
/* Digests of all that `fd` has from its start on; `md5` may be NULL. CDN_IO. */
enum cdn_status release_blob_digest(int fd, unsigned char sha[static RELEASE_SHA_SIZE], unsigned char *md5,
                                    uint64_t *ret_size, struct cdn_error *err) CDN_MUST_CHECK;

/* Makes the folder where it is missing. */
enum cdn_status release_blobs_open(const char *store, struct release_blobs **ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
void release_blobs_close(struct release_blobs *blobs); /* drops what is not committed; NULL is fine */
void release_blobs_clean(struct release_blobs *blobs); /* what a killed publisher left */

/* There with these bytes' length, or put since the last commit. */
bool release_blobs_has(struct release_blobs *blobs, const unsigned char sha[static RELEASE_SHA_SIZE],
                       uint64_t size);
/* Copies `fd`, whose bytes have to have this hash still; CDN_CONFLICT: they changed meanwhile. CDN_IO: the
 * disk is full, or fails. */
enum cdn_status release_blobs_put(struct release_blobs *blobs, int fd, const struct release_file *file,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* All that was put is on disk under its name, or nothing has a name. */
enum cdn_status release_blobs_commit(struct release_blobs *blobs, struct cdn_error *err) CDN_MUST_CHECK;

/* Reads the blob and compares. CDN_CORRUPT, CDN_NOT_FOUND with a sentence. */
enum cdn_status release_blobs_check(struct release_blobs *blobs, const struct release_file *file,
                                    struct cdn_error *err) CDN_MUST_CHECK;
/* Every blob that is there. */
typedef void release_blob_fn(void *arg, const unsigned char sha[static RELEASE_SHA_SIZE], uint64_t size);
enum cdn_status release_blobs_each(struct release_blobs *blobs, release_blob_fn *each, void *arg,
                                   struct cdn_error *err) CDN_MUST_CHECK;
bool release_blobs_remove(struct release_blobs *blobs, const unsigned char sha[static RELEASE_SHA_SIZE]);

#endif
