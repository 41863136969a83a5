/* hash_file: an append-only file of fixed records, each with its check. Nothing is ever rewritten
 * in place, so a crash costs the last record at most. */
#include "origin/hash_file.h"

#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/banned.h"

#define MAX_BYTES (8 << 20) /* beyond it the file starts anew: the table in memory holds far less */

struct origin_hash_file {
    int fd;
};

struct record {
    struct origin_file_id id;
    struct origin_hash hash;
    uint64_t check;
};
_Static_assert(sizeof(struct record) == 64, "written as it is");

static uint64_t check_of(const struct record *r)
{
    return XXH3_64bits_withSeed(r, offsetof(struct record, check), 1);
}

enum cdn_status origin_hash_file_open(const char *dir, struct origin_hash_file **ret, struct cdn_error *err)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        return cdn_error_set(err, CDN_IO, "state: cannot make folder %s: %s", dir, strerror(errno));
    }
    CDN_AUTOFREE char *path = cdn_asprintf("%s/hashes", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "state: cannot open %s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return cdn_error_set(err, CDN_CONFLICT, "state: %s is used by another process", path);
    }
    struct origin_hash_file *file = cdn_malloc(sizeof(*file));
    file->fd = fd;
    *ret = file;
    return CDN_OK;
}

void origin_hash_file_close(struct origin_hash_file *file)
{
    if (file) {
        close(file->fd);
        free(file);
    }
}

void origin_hash_file_read(struct origin_hash_file *file,
                           void (*take)(void *arg, const struct origin_file_id *id,
                                        const struct origin_hash *hash),
                           void *arg)
{
    struct stat st;
    struct record r;
    off_t at = 0;
    bool fits = fstat(file->fd, &st) == 0 && st.st_size <= MAX_BYTES;
    while (fits && pread(file->fd, &r, sizeof(r), at) == (ssize_t)sizeof(r) && r.check == check_of(&r)) {
        take(arg, &r.id, &r.hash);
        at += (off_t)sizeof(r);
    }
    (void)!ftruncate(file->fd, at);
}

void origin_hash_file_append(struct origin_hash_file *file, const struct origin_file_id *id,
                             const struct origin_hash *hash)
{
    struct record r = {.id = *id, .hash = *hash};
    r.check = check_of(&r);
    (void)!write(file->fd, &r, sizeof(r)); /* a torn one is cut off at the next start */
}
