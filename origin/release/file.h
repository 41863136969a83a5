/* file: the files of a release as values, and what differs between two releases. Pure.
 *
 * A release is a list of names sorted by their bytes; what a name stands for is the SHA-256 of its bytes. So
 * two releases are compared by one walk over both, and equal bytes are one blob, whatever they are called.
 */
#ifndef CDN_ORIGIN_RELEASE_FILE_H
#define CDN_ORIGIN_RELEASE_FILE_H
#include "common/str.h"

#include <stddef.h>
#include <stdint.h>

#define RELEASE_SHA_SIZE 32

struct release_file {
    char *name; /* "css/app.css": of the path below "/", decoded */
    unsigned char sha[RELEASE_SHA_SIZE];
    uint64_t size;
    int64_t modified_s; /* of the file that was published */
    int64_t changed_s;  /* when this name got these bytes: Last-Modified, also after a rollback */
};

struct release_files { /* zeroed: empty; sorted after release_files_sort() */
    struct release_file *items;
    size_t n, room;
};

struct release_file *release_files_add(struct release_files *files, const char *name);
void release_files_sort(struct release_files *files);
const struct release_file *release_files_find(const struct release_files *files, struct cdn_str name);
void release_files_free(struct release_files *files); /* leaves it empty */

#define RELEASE_CHANGES(X) X(ADDED, "added") X(CHANGED, "changed") X(REMOVED, "removed")
enum release_change {
#define X(name, word) RELEASE_##name,
    RELEASE_CHANGES(X)
#undef X
        RELEASE_CHANGE_COUNT
};
const char *release_change_word(enum release_change change);

/* Each name of two sorted lists that stands for other bytes in the second, in order; `from` is NULL for an
 * added one, `to` for a removed one. */
typedef void release_change_fn(void *arg, enum release_change change, const struct release_file *from,
                               const struct release_file *to);
void release_diff(const struct release_files *from, const struct release_files *to, release_change_fn *each,
                  void *arg);

/* Names with the bytes that they had before keep the time of their last change; all others changed now. */
void release_files_inherit(struct release_files *files, const struct release_files *before, int64_t now_s);

#endif
