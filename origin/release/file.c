/* file: sorted lists, since all that is asked of a release (what differs, is this name in it, which bytes
 * are new) is a walk or a bisection, and a list is what goes in and out of the database. */
#include "origin/release/file.h"

#include "common/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct release_file *release_files_add(struct release_files *files, const char *name)
{
    if (files->n == files->room) {
        files->room = files->room ? 2 * files->room : 64;
        files->items = cdn_realloc(files->items, files->room, sizeof(*files->items));
    }
    struct release_file *file = &files->items[files->n++];
    *file = (struct release_file){.name = cdn_strdup(name)};
    return file;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct release_file *)a)->name, ((const struct release_file *)b)->name);
}

void release_files_sort(struct release_files *files)
{
    if (files->n) {
        qsort(files->items, files->n, sizeof(*files->items), compare);
    }
}

static int compare_name(struct cdn_str name, const char *other)
{
    const int order = strncmp(name.p, other, name.n);
    return order ? order : other[name.n] ? -1 : 0;
}

const struct release_file *release_files_find(const struct release_files *files, struct cdn_str name)
{
    size_t low = 0, high = files->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare_name(name, files->items[middle].name);
        if (order == 0) {
            return &files->items[middle];
        }
        *(order < 0 ? &high : &low) = order < 0 ? middle : middle + 1;
    }
    return NULL;
}

void release_files_free(struct release_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->items[i].name);
    }
    free(files->items);
    *files = (struct release_files){0};
}

const char *release_change_word(enum release_change change)
{
    static const char *const words[] = {
#define X(name, word) word,
        RELEASE_CHANGES(X)
#undef X
    };
    return words[change];
}

static bool same_bytes(const struct release_file *a, const struct release_file *b)
{
    return memcmp(a->sha, b->sha, sizeof(a->sha)) == 0;
}

void release_diff(const struct release_files *from, const struct release_files *to, release_change_fn *each,
                  void *arg)
{
    size_t i = 0, k = 0;
    while (i < from->n || k < to->n) {
        const struct release_file *old = i < from->n ? &from->items[i] : NULL;
        const struct release_file *new = k < to->n ? &to->items[k] : NULL;
        const int order = !old ? 1 : !new ? -1 : strcmp(old->name, new->name);
        if (order < 0) {
            each(arg, RELEASE_REMOVED, old, NULL);
        } else if (order > 0) {
            each(arg, RELEASE_ADDED, NULL, new);
        } else if (!same_bytes(old, new)) {
            each(arg, RELEASE_CHANGED, old, new);
        }
        i += order <= 0;
        k += order >= 0;
    }
}

void release_files_inherit(struct release_files *files, const struct release_files *before, int64_t now_s)
{
    for (size_t i = 0; i < files->n; i++) {
        struct release_file *file = &files->items[i];
        const struct release_file *old = release_files_find(before, cdn_str(file->name));
        file->changed_s = old && same_bytes(old, file) ? old->changed_s : now_s;
    }
}
