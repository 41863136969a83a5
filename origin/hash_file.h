/* hash_file: the hashes of large files, kept over restarts in DIR/hashes.
 *
 * Records of 64 bytes, each with its own check; one write(2) appends one. Reading ends at the first record
 * that is torn or damaged and cuts the file there: what is lost is worked out again. One process uses a
 * folder at a time (flock).
 */
#ifndef CDN_ORIGIN_HASH_FILE_H
#define CDN_ORIGIN_HASH_FILE_H
#include "common/status.h"
#include "origin/base/root.h"
#include "origin/hash.h"

struct origin_hash_file;

/* Makes the folder when it is missing. CDN_CONFLICT: another process uses it; CDN_IO. */
enum cdn_status origin_hash_file_open(const char *dir, struct origin_hash_file **ret,
                                      struct cdn_error *err) CDN_MUST_CHECK;
void origin_hash_file_close(struct origin_hash_file *file); /* NULL is fine */
/* Calls take() for every record that is whole. */
void origin_hash_file_read(struct origin_hash_file *file,
                           void (*take)(void *arg, const struct origin_file_id *id,
                                        const struct origin_hash *hash),
                           void *arg);
/* Failures are ignored: the hash is known, it just is not kept. */
void origin_hash_file_append(struct origin_hash_file *file, const struct origin_file_id *id,
                             const struct origin_hash *hash);

#endif
