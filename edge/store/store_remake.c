/* The folder, or a part of it, was deleted while the store is open (an administrator's `rm -rf`).
 *
 * The writer compares names with what it has open about once a second, and at once after something was
 * missing. Without the folder, the lock, segments/ or files/ nothing that was stored can be found again after
 * a restart: all of it is given up, what is left is deleted, and an empty store takes its place with the same
 * secret and the last mark. Ids and numbers of segments go on, so an old location finds nothing. A missing
 * index alone is rebuilt from the records (store_rebuild.c), a missing segment alone is given up. */
#include "common/clock.h"
#include "common/lock.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_index.h"
#include "edge/store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define LOOK_MS 1000

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is this name missing, or another file than the open one? Other failures say nothing. */
static bool is_other(int dir, const char *name, int flags, int fd)
{
    struct stat there, open;
    if (fstatat(dir, name, &there, flags) != 0) {
        return errno == ENOENT || errno == ENOTDIR;
    }
    return fd >= 0 && fstat(fd, &open) == 0 && !same(&there, &open);
}

static bool is_lost(struct edge_store *s)
{
    return is_other(AT_FDCWD, s->path, 0, s->dir) ||
           is_other(s->dir, "lock", AT_SYMLINK_NOFOLLOW, s->lock_fd) ||
           is_other(s->dir, "segments", AT_SYMLINK_NOFOLLOW, -1) ||
           is_other(s->dir, "files", AT_SYMLINK_NOFOLLOW, -1);
}

static void forget(struct edge_store *s)
{
    cdn_lock_take(&s->lock);
    edge_segments_forget(s);
    s->live_bytes = s->files_bytes = 0;
    s->files = s->objects = 0;
    s->loaded = true; /* there is nothing to load any more */
    atomic_store(&s->alive_from, atomic_load(&s->next_id));
    cdn_lock_drop(&s->lock);
    edge_descriptors_forget(s);
    s->current = 0;
    s->compaction.segment = 0;
    s->rebuild_needed = false;
}

/* What is left of it has no value: no later start shall take it up. */
static void clear(struct edge_store *s)
{
    static const char *const names[] = {"index.db", "index.db-wal", "index.db-shm", "index.db.corrupt"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(names); i++) {
        unlinkat(s->dir, names[i], 0);
    }
    edge_folder_empty(s, "segments");
    edge_folder_empty(s, "files");
    edge_folder_empty(s, "tmp");
}

static void keep_mark(struct edge_store *s)
{
    s->mark_void = false; /* what the old index missed is gone with it */
    if (s->mark && s->mark[0] && edge_writer_begin(s) &&
        edge_index_set_mark(s->index, cdn_str(s->mark)) != CDN_OK) {
        s->mark_void = true;
    }
}

static void remake(struct edge_store *s)
{
    struct cdn_error err = {0};
    edge_rebuild_close_index(s);
    enum cdn_status status = edge_folder_open(s, &err);
    if (status == CDN_OK) {
        clear(s);
        forget(s);
        status = edge_rebuild_open_index(s, &err);
    }
    if (status != CDN_OK) { /* nothing is stored until the next look */
        atomic_store(&s->full_until, cdn_clock_mono_ms() + 2 * (int64_t)LOOK_MS);
        if (!s->look.failed) {
            edge_store_event(s, EDGE_STORE_WRITE_ERROR, "the folder was deleted: %s", err.text);
        }
        s->look.failed = true;
        return;
    }
    s->look.failed = false;
    atomic_store(&s->full_until, 0);
    keep_mark(s);
    if (s->hooks.on_lost) {
        s->hooks.on_lost(s->hooks.self, atomic_load(&s->alive_from));
    }
    edge_store_event(s, EDGE_STORE_REMADE, "%s was deleted; an empty one is made", s->path);
}

static void look_at_index(struct edge_store *s)
{
    struct stat st;
    const bool there = fstatat(s->dir, "index.db", &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (there ? st.st_ino != s->look.index_ino || st.st_dev != s->look.index_dev : errno == ENOENT) {
        edge_store_event(s, EDGE_STORE_INDEX_ERROR, "%s/index.db was deleted", s->path);
        s->mark_void = true;
        s->index_broken = true; /* the writer rebuilds it */
    }
}

static void look_at_segments(struct edge_store *s)
{
    struct stat st;
    if (fstatat(s->dir, "segments", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        (st.st_mtim.tv_sec != s->look.segments.tv_sec || st.st_mtim.tv_nsec != s->look.segments.tv_nsec)) {
        s->look.segments = st.st_mtim;
        edge_segments_missing(s);
    }
}

void edge_remake_look(struct edge_store *s)
{
    const int64_t now = cdn_clock_mono_ms();
    const bool asked = atomic_load_explicit(&s->look_now, memory_order_relaxed);
    cdn_lock_take(&s->lock);
    const bool loading = s->loading; /* the loader has its own hold on the old index */
    cdn_lock_drop(&s->lock);
    if (loading || (now < s->look.at && (!asked || s->look.failed))) {
        return;
    }
    s->look.at = now + LOOK_MS;
    atomic_store(&s->look_now, false);
    if (s->look.failed || is_lost(s)) {
        remake(s);
        return;
    }
    (void)mkdirat(s->dir, "tmp", 0700); /* nothing was in it that counts */
    look_at_segments(s);
    look_at_index(s);
}
