/* source: releases before the folder, so that a release can be put over a folder that was served until
 * then. A blob that the manifest has and the disk has not is a failure, never "not there": a 404 would be
 * stored. */
#include "origin/source.h"

#include "common/clock.h"
#include "common/str.h"
#include "origin/base/root.h"
#include "origin/release/blob.h"
#include "origin/release/file.h"
#include "origin/release/table.h"

#include <errno.h>
#include <stddef.h>

#include "common/banned.h"

static uint64_t eight_bytes(const unsigned char *p)
{
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof(n); i++) {
        n = n << 8 | p[i];
    }
    return n;
}

static int open_released(const struct origin_sources *sources, const struct release_file *file,
                         int64_t until_ms, struct origin_source *ret)
{
    char name[RELEASE_BLOB_NAME_SIZE];
    release_blob_name(file->sha, name);
    *ret = (struct origin_source){
        .released = true,
        .hash = {eight_bytes(file->sha), eight_bytes(file->sha + 8)},
        .until_ms = until_ms,
        .modified_s = file->modified_s,
        .changed_s = file->changed_s,
    };
    const int fd = origin_root_file(sources->blobs, name, &ret->st);
    if (fd < 0 && errno == ENOENT) {
        errno = EIO;
    }
    return fd;
}

int origin_source_open(const struct origin_sources *sources, const char *name, struct origin_source *ret)
{
    int64_t until_ms;
    const struct release_file *file =
        sources->table ? release_table_find(sources->table, cdn_str(name), cdn_clock_now_ms(), &until_ms)
                       : NULL;
    if (file) {
        return open_released(sources, file, until_ms, ret);
    }
    if (sources->table && release_table_has_folder(sources->table, cdn_str(name))) {
        errno = EISDIR;
        return -1;
    }
    if (!sources->root) {
        errno = ENOENT;
        return -1;
    }
    *ret = (struct origin_source){0};
    const int fd = origin_root_file(sources->root, name, &ret->st);
    ret->modified_s = ret->changed_s = ret->st.st_mtim.tv_sec;
    return fd;
}
