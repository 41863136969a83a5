/* pack: from a folder to blobs and a list of files: what a publish does before the database hears of it.
 *
 * Everything is opened below the folder by the kernel (origin/base/root.h): a link that leads out of it is
 * refused, one that stays inside counts as the file that it leads to.
 */
#ifndef CDN_ORIGIN_RELEASE_PACK_H
#define CDN_ORIGIN_RELEASE_PACK_H
#include "common/status.h"
#include "origin/release/blob.h"
#include "origin/release/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct release_pack {
    struct origin_root *root;
    const char *prefix;                                 /* "static/": put before all names; "" */
    bool any_hash;                                      /* names may promise what their bytes do not keep */
    void (*tell)(void *arg, size_t done, size_t total); /* after each file; NULL is fine */
    void *arg;

    /* results */
    struct release_files files; /* sorted; the caller frees */
    size_t hidden;              /* names that begin with a dot, left out (folders with all that is in them) */
    uint64_t bytes, new_files, new_bytes;
};

/* The names and sizes of all files below the root. CDN_INVALID: a link that leads out, what is no file, a
 * name that nobody could ask for. */
enum cdn_status release_pack_scan(struct release_pack *pack, struct cdn_error *err) CDN_MUST_CHECK;
/* The hashes of all of them, the new bytes put into the blobs (not committed yet). CDN_INVALID: a name whose
 * 12 hex digits are not those of the MD5. */
enum cdn_status release_pack_fill(struct release_pack *pack, struct release_blobs *blobs,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* The bytes of one of them, from the folder, at most `max`; owned by the caller, NUL-ended. CDN_TOO_LARGE. */
enum cdn_status release_pack_read(const struct release_pack *pack, const char *name, size_t max, char **ret,
                                  size_t *ret_n, struct cdn_error *err) CDN_MUST_CHECK;

#endif
