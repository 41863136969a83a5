/* pack: first all names, so that a mistake in the last one is told before the first byte is copied and
 * progress has an end to go to; then all bytes. */
#include "origin/release/pack.h"

#include "common/mem.h"
#include "common/str.h"
#include "origin/base/root.h"
#include "origin/release/name.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define DEPTH_MAX 64
#define FILES_MAX 1000000u

struct level { /* folders on the way down, to see a link that leads up again */
    const struct level *above;
    dev_t dev;
    ino_t ino;
    unsigned depth;
};

static enum cdn_status scan_folder(struct release_pack *pack, const char *folder, const struct level *above,
                                   int fd, struct cdn_error *err);

static enum cdn_status cannot_open(const char *name, int why, struct cdn_error *err)
{
    switch (why) {
    case EXDEV:
        return cdn_error_set(err, CDN_INVALID, "%s: a link that leads out of the folder is not published",
                             name);
    case ENOENT:
    case ELOOP:
        return cdn_error_set(err, CDN_INVALID, "%s: a link that leads nowhere", name);
    case ENXIO:
        return cdn_error_set(err, CDN_INVALID, "%s: neither a file nor a folder", name);
    default:
        return cdn_error_set(err, CDN_IO, "%s: %s", name, strerror(why));
    }
}

static enum cdn_status add_file(struct release_pack *pack, const char *name, const struct stat *st,
                                struct cdn_error *err)
{
    CDN_AUTOFREE char *full = cdn_asprintf("%s%s", pack->prefix, name);
    const char *fault = release_name_fault(cdn_str(full));
    if (fault) {
        return cdn_error_set(err, CDN_INVALID, "%s: not a name that can be published: %s", name, fault);
    }
    if (pack->files.n == FILES_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "more than %u files", FILES_MAX);
    }
    struct release_file *file = release_files_add(&pack->files, full);
    file->size = (uint64_t)st->st_size;
    file->modified_s = st->st_mtim.tv_sec;
    return CDN_OK;
}

static enum cdn_status scan_name(struct release_pack *pack, const char *name, const struct level *above,
                                 struct cdn_error *err)
{
    struct stat st;
    const int fd = origin_root_file(pack->root, name, &st);
    if (fd < 0) {
        return cannot_open(name, errno, err);
    }
    if (S_ISDIR(st.st_mode)) {
        return scan_folder(pack, name, above, fd, err);
    }
    close(fd);
    return S_ISREG(st.st_mode) ? add_file(pack, name, &st, err)
                               : cdn_error_set(err, CDN_INVALID, "%s: neither a file nor a folder", name);
}

static enum cdn_status check_level(const char *folder, const struct level *level, struct cdn_error *err)
{
    if (level->depth > DEPTH_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: more than %d folders deep", folder, DEPTH_MAX);
    }
    for (const struct level *up = level->above; up; up = up->above) {
        if (up->dev == level->dev && up->ino == level->ino) {
            return cdn_error_set(err, CDN_INVALID, "%s: a link to a folder that it is in", folder);
        }
    }
    return CDN_OK;
}

/* Takes `fd` over. */
static enum cdn_status scan_folder(struct release_pack *pack, const char *folder, const struct level *above,
                                   int fd, struct cdn_error *err)
{
    struct stat st;
    DIR *dir = fdopendir(fd);
    if (!dir || fstat(fd, &st) != 0) {
        const int why = errno;
        (void)(dir ? closedir(dir) : close(fd));
        return cannot_open(folder, why, err);
    }
    const struct level level = {above, st.st_dev, st.st_ino, above ? above->depth + 1 : 0};
    enum cdn_status status = check_level(folder, &level, err);
    while (status == CDN_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            status = errno ? cannot_open(folder, errno, err) : CDN_OK;
            break;
        }
        const struct cdn_str segment = cdn_str(entry->d_name);
        if (cdn_str_eq(segment, CDN_STR(".")) || cdn_str_eq(segment, CDN_STR(".."))) {
            continue;
        }
        if (release_name_is_hidden(segment, !folder[0] && !pack->prefix[0])) {
            pack->hidden++;
            continue;
        }
        CDN_AUTOFREE char *name = cdn_asprintf("%s%s%s", folder, folder[0] ? "/" : "", entry->d_name);
        status = scan_name(pack, name, &level, err);
    }
    closedir(dir);
    return status;
}

enum cdn_status release_pack_scan(struct release_pack *pack, struct cdn_error *err)
{
    struct stat st;
    const int fd = origin_root_file(pack->root, "", &st);
    if (fd < 0) {
        return cannot_open("the folder", errno, err);
    }
    const enum cdn_status status = scan_folder(pack, "", NULL, fd, err);
    release_files_sort(&pack->files);
    return status;
}

/* ---- bytes ---- */

/* The compressed form of a file carries that one's name, and so its promise. */
static bool is_to_keep(const struct release_pack *pack, struct cdn_str name, struct cdn_str *ret_digits)
{
    const struct cdn_str of = release_name_of_sibling(name);
    return !pack->any_hash && release_name_promises(name, ret_digits) &&
           !(of.n && release_files_find(&pack->files, of));
}

static enum cdn_status check_promise(const struct release_file *file, struct cdn_str digits,
                                     const unsigned char md5[static RELEASE_MD5_SIZE], struct cdn_error *err)
{
    static const char hex[] = "0123456789abcdef";
    char is[RELEASE_DIGITS + 1] = "";
    for (size_t i = 0; i < RELEASE_DIGITS; i++) {
        is[i] = hex[i % 2 ? md5[i / 2] & 15 : md5[i / 2] >> 4];
    }
    if (cdn_str_eq(digits, (struct cdn_str){is, RELEASE_DIGITS})) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID,
                         "%s: the name promises bytes whose MD5 begins with " CDN_STR_FMT
                         ", and these have %s: no edge would trust it; make it anew, or --any-hash takes it",
                         file->name, CDN_STR_ARG(digits), is);
}

static enum cdn_status fill_open(struct release_pack *pack, struct release_blobs *blobs, int fd,
                                 struct release_file *file, struct cdn_error *err)
{
    struct cdn_str digits;
    unsigned char md5[RELEASE_MD5_SIZE];
    const bool promises = is_to_keep(pack, cdn_str(file->name), &digits);
    enum cdn_status status = release_blob_digest(fd, file->sha, promises ? md5 : NULL, &file->size, err);
    if (status != CDN_OK) {
        return cdn_error_prefix(err, "%s", file->name);
    }
    if (promises) {
        status = check_promise(file, digits, md5, err);
    }
    if (status != CDN_OK || release_blobs_has(blobs, file->sha, file->size)) {
        return status;
    }
    status = release_blobs_put(blobs, fd, file, err);
    if (status == CDN_OK) {
        pack->new_files++;
        pack->new_bytes += file->size;
    }
    return status;
}

enum cdn_status release_pack_fill(struct release_pack *pack, struct release_blobs *blobs,
                                  struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < pack->files.n && status == CDN_OK; i++) {
        struct release_file *file = &pack->files.items[i];
        struct stat st;
        const int fd = origin_root_file(pack->root, file->name + strlen(pack->prefix), &st);
        if (fd < 0) {
            return cdn_error_set(err, CDN_CONFLICT, "%s: it went while it was published: %s", file->name,
                                 strerror(errno));
        }
        status = fill_open(pack, blobs, fd, file, err);
        close(fd);
        pack->bytes += file->size;
        if (pack->tell) {
            pack->tell(pack->arg, i + 1, pack->files.n);
        }
    }
    return status;
}

enum cdn_status release_pack_read(const struct release_pack *pack, const char *name, size_t max, char **ret,
                                  size_t *ret_n, struct cdn_error *err)
{
    struct stat st;
    const int fd = origin_root_file(pack->root, name, &st);
    if (fd < 0) {
        return cannot_open(name, errno, err);
    }
    CDN_AUTOFREE char *bytes = NULL;
    ssize_t n = -1;
    if ((uint64_t)st.st_size <= max) {
        bytes = cdn_malloc((size_t)st.st_size + 1);
        n = pread(fd, bytes, (size_t)st.st_size, 0);
    }
    const int why = errno;
    close(fd);
    if (!bytes) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: larger than %zu bytes", name, max);
    }
    if (n < 0) {
        return cannot_open(name, why, err);
    }
    bytes[n] = '\0';
    *ret_n = (size_t)n;
    *ret = CDN_TAKE(bytes);
    return CDN_OK;
}
