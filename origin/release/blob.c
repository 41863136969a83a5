/* blob: files by hash. One fsync(2) a file would take minutes for a large site on a plain disk; syncfs(2)
 * brings all to disk at once, and names come after it. Bytes are hashed before they are copied, since most
 * are there already, and again while they are, since a file may change in between. */
#include "origin/release/blob.h"

#include "common/folder.h"
#include "common/index.h"
#include "common/mem.h"
#include "common/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define PIECE (256u << 10)

struct pending { /* written as "tmp/N", N its place in the list */
    unsigned char sha[RELEASE_SHA_SIZE];
};

struct release_blobs {
    char *path;
    int fd; /* the folder */
    char *piece;
    struct pending *pending;
    size_t n, room;
    struct cdn_index index; /* of pending */
};

char *release_blob_folder(const char *store)
{
    return cdn_asprintf("%s/blobs", store);
}

void release_blob_name(const unsigned char sha[static RELEASE_SHA_SIZE],
                       char ret[static RELEASE_BLOB_NAME_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < RELEASE_SHA_SIZE; i++) {
        ret[at++] = hex[sha[i] >> 4];
        ret[at++] = hex[sha[i] & 15];
        if (i == 0) {
            ret[at++] = '/';
        }
    }
    ret[at] = '\0';
}

static enum cdn_status failed(const char *what, struct cdn_error *err)
{
    const int why = errno;
    if (why == ENOSPC || why == EDQUOT || why == EFBIG) {
        return cdn_error_set(err, CDN_IO, "%s: the disk is full (%s)", what, strerror(why));
    }
    return cdn_error_set(err, CDN_IO, "%s: %s", what, strerror(why));
}

/* ---- digests ---- */

struct digest {
    gnutls_hash_hd_t sha, md5; /* md5 NULL: not wanted */
    bool ok;
};

static void digest_begin(struct digest *d, bool md5)
{
    *d = (struct digest){0};
    d->ok = gnutls_hash_init(&d->sha, GNUTLS_DIG_SHA256) == 0 &&
            (!md5 || gnutls_hash_init(&d->md5, GNUTLS_DIG_MD5) == 0);
}

static void digest_add(struct digest *d, const void *p, size_t n)
{
    d->ok = d->ok && gnutls_hash(d->sha, p, n) == 0 && (!d->md5 || gnutls_hash(d->md5, p, n) == 0);
}

static bool digest_end(struct digest *d, unsigned char *sha, unsigned char *md5)
{
    if (d->sha) {
        gnutls_hash_deinit(d->sha, sha);
    }
    if (d->md5) {
        gnutls_hash_deinit(d->md5, md5);
    }
    return d->ok;
}

/* Reads all of `in` from its start, into the digest and, unless negative, into `out`. *ret_write: the failure
 * was one of writing. */
static bool pump(int in, int out, char *piece, struct digest *d, uint64_t *ret_size, bool *ret_write)
{
    ssize_t n;
    *ret_size = 0;
    *ret_write = false;
    while ((n = pread(in, piece, PIECE, (off_t)*ret_size)) > 0) {
        digest_add(d, piece, (size_t)n);
        *ret_size += (uint64_t)n;
        for (ssize_t done = 0, m; out >= 0 && done < n; done += m) {
            m = write(out, piece + done, (size_t)(n - done));
            if (m < 0) {
                *ret_write = true;
                return false;
            }
        }
    }
    return n == 0;
}

enum cdn_status release_blob_digest(int fd, unsigned char sha[static RELEASE_SHA_SIZE], unsigned char *md5,
                                    uint64_t *ret_size, struct cdn_error *err)
{
    CDN_AUTOFREE char *piece = cdn_malloc(PIECE);
    struct digest d;
    bool writing;
    digest_begin(&d, md5 != NULL);
    const bool read = pump(fd, -1, piece, &d, ret_size, &writing);
    const int why = errno;
    if (!digest_end(&d, sha, md5)) {
        return cdn_error_set(err, CDN_INTERNAL, "SHA-256 or MD5 is not to be had here");
    }
    return read ? CDN_OK : cdn_error_set(err, CDN_IO, "%s", strerror(why));
}

/* ---- life ---- */

enum cdn_status release_blobs_open(const char *store, struct release_blobs **ret, struct cdn_error *err)
{
    CDN_AUTOFREE char *path = release_blob_folder(store);
    CDN_AUTOFREE char *tmp = cdn_asprintf("%s/tmp", path);
    enum cdn_status status = cdn_folder_make("releases", tmp, true, err);
    if (status != CDN_OK) {
        return status;
    }
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return failed(path, err);
    }
    struct release_blobs *blobs = cdn_calloc(1, sizeof(*blobs));
    blobs->path = CDN_TAKE(path);
    blobs->fd = fd;
    blobs->piece = cdn_malloc(PIECE);
    *ret = blobs;
    return CDN_OK;
}

static void name_temporary(size_t i, char ret[static 32])
{
    (void)snprintf(ret, 32, "tmp/%zu", i);
}

static void drop_pending(struct release_blobs *blobs)
{
    char name[32];
    for (size_t i = 0; i < blobs->n; i++) {
        name_temporary(i, name);
        unlinkat(blobs->fd, name, 0);
    }
    blobs->n = 0;
    cdn_index_free(&blobs->index);
}

void release_blobs_close(struct release_blobs *blobs)
{
    if (blobs) {
        drop_pending(blobs);
        close(blobs->fd);
        free(blobs->pending);
        free(blobs->piece);
        free(blobs->path);
        free(blobs);
    }
}

static DIR *open_folder(struct release_blobs *blobs, const char *name)
{
    const int fd = openat(blobs->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !dir) {
        close(fd);
    }
    return dir;
}

void release_blobs_clean(struct release_blobs *blobs)
{
    DIR *dir = open_folder(blobs, "tmp");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        unlinkat(dirfd(dir), entry->d_name, 0); /* "." and ".." are folders: refused */
    }
    if (dir) {
        closedir(dir);
    }
}

/* ---- putting ---- */

struct wanted {
    const struct release_blobs *blobs;
    const unsigned char *sha;
};

static bool is_pending(const void *ctx, uint32_t number)
{
    const struct wanted *wanted = ctx;
    return memcmp(wanted->blobs->pending[number].sha, wanted->sha, RELEASE_SHA_SIZE) == 0;
}

static uint64_t hash_of(const unsigned char *sha)
{
    uint64_t hash;
    memcpy(&hash, sha, sizeof(hash));
    return hash;
}

bool release_blobs_has(struct release_blobs *blobs, const unsigned char sha[static RELEASE_SHA_SIZE],
                       uint64_t size)
{
    char name[RELEASE_BLOB_NAME_SIZE];
    struct stat st;
    const struct wanted wanted = {blobs, sha};
    if (cdn_index_find(&blobs->index, hash_of(sha), is_pending, &wanted) != CDN_INDEX_NONE) {
        return true;
    }
    release_blob_name(sha, name);
    return fstatat(blobs->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           (uint64_t)st.st_size == size;
}

/* Copies into the open temporary file. */
static enum cdn_status copy(struct release_blobs *blobs, int fd, int out, const struct release_file *file,
                            struct cdn_error *err)
{
    unsigned char sha[RELEASE_SHA_SIZE];
    struct digest d;
    uint64_t size;
    bool writing;
    digest_begin(&d, false);
    const bool copied = pump(fd, out, blobs->piece, &d, &size, &writing);
    const int why = errno;
    if (!digest_end(&d, sha, NULL)) {
        return cdn_error_set(err, CDN_INTERNAL, "SHA-256 is not to be had here");
    }
    if (!copied) {
        errno = why;
        return failed(writing ? blobs->path : file->name, err);
    }
    if (size != file->size || memcmp(sha, file->sha, sizeof(sha)) != 0) {
        return cdn_error_set(err, CDN_CONFLICT, "%s: it changed while it was published", file->name);
    }
    return CDN_OK;
}

enum cdn_status release_blobs_put(struct release_blobs *blobs, int fd, const struct release_file *file,
                                  struct cdn_error *err)
{
    char name[32];
    name_temporary(blobs->n, name);
    const int out = openat(blobs->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0) {
        return failed(blobs->path, err);
    }
    enum cdn_status status = copy(blobs, fd, out, file, err);
    if (close(out) != 0 && status == CDN_OK) {
        status = failed(blobs->path, err);
    }
    if (status != CDN_OK) {
        unlinkat(blobs->fd, name, 0);
        return status;
    }
    if (blobs->n == blobs->room) {
        blobs->room = blobs->room ? 2 * blobs->room : 64;
        blobs->pending = cdn_realloc(blobs->pending, blobs->room, sizeof(*blobs->pending));
    }
    memcpy(blobs->pending[blobs->n].sha, file->sha, RELEASE_SHA_SIZE);
    cdn_index_put(&blobs->index, hash_of(file->sha), (uint32_t)blobs->n++);
    return CDN_OK;
}

/* "tmp/7" becomes "ab/cdef...", in a folder that is made where it is missing. */
static bool name_blob(struct release_blobs *blobs, size_t i)
{
    char from[32], to[RELEASE_BLOB_NAME_SIZE];
    name_temporary(i, from);
    release_blob_name(blobs->pending[i].sha, to);
    if (renameat(blobs->fd, from, blobs->fd, to) == 0) {
        return true;
    }
    to[2] = '\0';
    if (errno != ENOENT || (mkdirat(blobs->fd, to, 0700) != 0 && errno != EEXIST)) {
        return false;
    }
    to[2] = '/';
    return renameat(blobs->fd, from, blobs->fd, to) == 0;
}

enum cdn_status release_blobs_commit(struct release_blobs *blobs, struct cdn_error *err)
{
    if (blobs->n == 0) {
        return CDN_OK;
    }
    bool ok = syncfs(blobs->fd) == 0; /* the bytes */
    for (size_t i = 0; i < blobs->n && ok; i++) {
        ok = name_blob(blobs, i);
    }
    ok = ok && syncfs(blobs->fd) == 0; /* the names */
    const enum cdn_status status = ok ? CDN_OK : failed(blobs->path, err);
    drop_pending(blobs);
    return status;
}

/* ---- looking ---- */

enum cdn_status release_blobs_check(struct release_blobs *blobs, const struct release_file *file,
                                    struct cdn_error *err)
{
    char name[RELEASE_BLOB_NAME_SIZE];
    unsigned char sha[RELEASE_SHA_SIZE];
    uint64_t size;
    release_blob_name(file->sha, name);
    const int fd = openat(blobs->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return cdn_error_set(err, CDN_NOT_FOUND, "%s: its blob %s is missing: %s", file->name, name,
                             strerror(errno));
    }
    enum cdn_status status = release_blob_digest(fd, sha, NULL, &size, err);
    close(fd);
    if (status != CDN_OK) {
        return cdn_error_prefix(err, "%s: its blob %s", file->name, name);
    }
    if (size != file->size || memcmp(sha, file->sha, sizeof(sha)) != 0) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: its blob %s has other bytes than were published",
                             file->name, name);
    }
    return CDN_OK;
}

static bool read_sha(const char *folder, const char *name, unsigned char ret[static RELEASE_SHA_SIZE])
{
    char hex[2 * RELEASE_SHA_SIZE];
    if (strlen(folder) != 2 || strlen(name) != sizeof(hex) - 2) {
        return false;
    }
    memcpy(hex, folder, 2);
    memcpy(hex + 2, name, sizeof(hex) - 2);
    for (size_t i = 0; i < RELEASE_SHA_SIZE; i++) {
        const int high = cdn_hex_digit(hex[2 * i]), low = cdn_hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static void each_in(struct release_blobs *blobs, const char *folder, release_blob_fn *each, void *arg)
{
    DIR *dir = open_folder(blobs, folder);
    unsigned char sha[RELEASE_SHA_SIZE];
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat st;
        if (read_sha(folder, entry->d_name, sha) &&
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            each(arg, sha, (uint64_t)st.st_size);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

enum cdn_status release_blobs_each(struct release_blobs *blobs, release_blob_fn *each, void *arg,
                                   struct cdn_error *err)
{
    DIR *dir = open_folder(blobs, ".");
    if (!dir) {
        return failed(blobs->path, err);
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strlen(entry->d_name) == 2 && entry->d_name[0] != '.') {
            each_in(blobs, entry->d_name, each, arg);
        }
    }
    closedir(dir);
    return CDN_OK;
}

bool release_blobs_remove(struct release_blobs *blobs, const unsigned char sha[static RELEASE_SHA_SIZE])
{
    char name[RELEASE_BLOB_NAME_SIZE];
    release_blob_name(sha, name);
    return unlinkat(blobs->fd, name, 0) == 0;
}
