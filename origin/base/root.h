/* root: the served folder. Everything is opened below one descriptor by openat2 with RESOLVE_BENEATH, so the
 * kernel refuses whatever leaves the folder: "..", absolute links, links that lead out, /proc's magic links.
 * Links that stay inside work. Any thread.
 *
 * The folder itself may be a link that a deploy points elsewhere: origin_root_follow notices.
 */
#ifndef CDN_ORIGIN_BASE_ROOT_H
#define CDN_ORIGIN_BASE_ROOT_H
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct origin_root;

/* CDN_IO when `dir` is not a folder or cannot be read. */
enum cdn_status origin_root_open(const char *dir, struct origin_root **ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;
/* When the path leads to another folder than the open one, that one is served from now on, on all threads.
 * One stat() when nothing changed. */
void origin_root_follow(struct origin_root *root);
void origin_root_close(struct origin_root *root); /* NULL is fine */

/* Opens `name` ("" is the root itself) for reading, without blocking. The descriptor, the caller's, and its
 * stat; or -1 and errno. */
int origin_root_file(const struct origin_root *root, const char *name, struct stat *ret);

/* What tells one content of a file from the next: whatever changes the bytes changes one of these, unless it
 * happens within one tick of the file system's clock (see origin_file_id_is_settled). */
struct origin_file_id {
    uint64_t dev, ino, size;
    int64_t modified_ns, changed_ns;
};
void origin_file_id_of(const struct stat *st, struct origin_file_id *ret);
bool origin_file_id_eq(const struct origin_file_id *a, const struct origin_file_id *b);
/* Is the open file's content still what it was? (Its change time does not count: a rename over it or a chmod
 * moves that.) */
bool origin_file_id_holds(int fd, const struct origin_file_id *id);
/* Does `name` still have this identity? Follows links; opens nothing. */
bool origin_root_is_same(const struct origin_root *root, const char *name, const struct origin_file_id *id);
bool origin_root_exists(const struct origin_root *root, const char *name);

/* The last change is so long ago (file systems count in up to a second) that another one would show in the
 * identity. */
bool origin_file_id_is_settled(const struct origin_file_id *id, int64_t real_now_ms);

#endif
