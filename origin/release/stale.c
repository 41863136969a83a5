/* stale: a name that came is purged, too: an edge may have stored that it was not there, or what another
 * origin of the same path said. */
#include "origin/release/stale.h"

#include "common/str.h"
#include "origin/base/path.h"
#include "origin/release/name.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct walk {
    struct release_stale *stale;
    struct cdn_str index;
    uint64_t lengths;
};

static void add_path(struct release_stale *stale, struct cdn_str name)
{
    CDN_AUTOBUF struct cdn_buf path = {0};
    release_name_add_path(name, &path);
    release_files_add(&stale->paths, path.p);
}

static void add_name(const struct walk *walk, struct cdn_str name)
{
    struct cdn_str folder;
    add_path(walk->stale, name);
    if (release_name_folder(name, walk->index, &folder)) {
        add_path(walk->stale, folder);
    }
}

static void on_change(void *arg, enum release_change change, const struct release_file *from,
                      const struct release_file *to)
{
    const struct walk *walk = arg;
    const struct cdn_str name = cdn_str(change == RELEASE_REMOVED ? from->name : to->name);
    const struct cdn_str of = release_name_of_sibling(name);
    if (origin_path_is_hashed(name, walk->lengths)) {
        return;
    }
    add_name(walk, name);
    if (of.n) {
        add_name(walk, of);
    }
}

void release_stale_add(struct release_stale *stale, const struct release_files *from,
                       const struct release_files *to, const char *index, uint64_t lengths)
{
    struct walk walk = {stale, cdn_str(index), lengths};
    release_diff(from, to, on_change, &walk);
}

void release_stale_finish(struct release_stale *stale)
{
    struct release_files *paths = &stale->paths;
    size_t kept = 0;
    release_files_sort(paths);
    for (size_t i = 0; i < paths->n; i++) {
        if (kept && strcmp(paths->items[kept - 1].name, paths->items[i].name) == 0) {
            free(paths->items[i].name);
        } else {
            paths->items[kept++] = paths->items[i];
        }
    }
    paths->n = kept;
}

void release_stale_free(struct release_stale *stale)
{
    release_files_free(&stale->paths);
}
