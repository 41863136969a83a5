/* table: one open-addressed index over an array of files, and one over the folders of the current release. A
 * look-up is one hash; the many releases that are kept cost memory for the names that only they have. */
#include "origin/release/table.h"

#include "common/index.h"
#include "common/mem.h"
#include "origin/base/path.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/banned.h"

struct slot {
    struct release_file file;
    int64_t until_ms;
};

struct folder {
    const char *name; /* borrowed of a file */
    size_t n;
};

struct release_table {
    _Atomic unsigned owners;
    uint64_t current, newest, lengths;
    struct slot *slots;
    size_t n, room;
    struct cdn_index index;
    struct folder *folders;
    size_t folder_count, folder_room;
    struct cdn_index folder_index;
};

struct wanted {
    const struct release_table *table;
    struct cdn_str name;
};

struct release_table *release_table_create(uint64_t current, uint64_t newest, uint64_t lengths)
{
    struct release_table *table = cdn_calloc(1, sizeof(*table));
    table->owners = 1;
    table->current = current;
    table->newest = newest;
    table->lengths = lengths;
    return table;
}

static uint64_t hash_of(struct cdn_str name)
{
    return XXH3_64bits(name.p, name.n);
}

static bool is_file(const void *ctx, uint32_t number)
{
    const struct wanted *wanted = ctx;
    return cdn_str_eq(cdn_str(wanted->table->slots[number].file.name), wanted->name);
}

static bool is_folder(const void *ctx, uint32_t number)
{
    const struct wanted *wanted = ctx;
    const struct folder *folder = &wanted->table->folders[number];
    return cdn_str_eq((struct cdn_str){folder->name, folder->n}, wanted->name);
}

static uint32_t find_file(const struct release_table *table, struct cdn_str name)
{
    const struct wanted wanted = {table, name};
    return cdn_index_find(&table->index, hash_of(name), is_file, &wanted);
}

bool release_table_has_folder(const struct release_table *table, struct cdn_str name)
{
    const struct wanted wanted = {table, name};
    return cdn_index_find(&table->folder_index, hash_of(name), is_folder, &wanted) != CDN_INDEX_NONE;
}

/* All folders above a file, from the nearest on, until one is known: then those above it are, too. */
static void add_folders(struct release_table *table, const char *name)
{
    struct cdn_str rest = cdn_str(name);
    while (rest.n) {
        rest.n--;
        if (rest.p[rest.n] != '/') {
            continue;
        }
        if (release_table_has_folder(table, rest)) {
            return;
        }
        if (table->folder_count == table->folder_room) {
            table->folder_room = table->folder_room ? 2 * table->folder_room : 64;
            table->folders = cdn_realloc(table->folders, table->folder_room, sizeof(*table->folders));
        }
        cdn_index_put(&table->folder_index, hash_of(rest), (uint32_t)table->folder_count);
        table->folders[table->folder_count++] = (struct folder){rest.p, rest.n};
    }
}

static void add_file(struct release_table *table, struct release_file *file, int64_t until_ms)
{
    if (table->n == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        table->slots = cdn_realloc(table->slots, table->room, sizeof(*table->slots));
    }
    cdn_index_put(&table->index, hash_of(cdn_str(file->name)), (uint32_t)table->n);
    table->slots[table->n] = (struct slot){*file, until_ms};
    table->slots[table->n++].file.name = CDN_TAKE(file->name);
}

void release_table_add(struct release_table *table, struct release_files *files, bool whole, int64_t until_ms)
{
    for (size_t i = 0; i < files->n; i++) {
        struct release_file *file = &files->items[i];
        const struct cdn_str name = cdn_str(file->name);
        const uint32_t there = find_file(table, name);
        if (there != CDN_INDEX_NONE) {
            int64_t *until = &table->slots[there].until_ms;
            *until = until_ms > *until ? until_ms : *until;
        } else if (whole || origin_path_is_hashed(name, table->lengths)) {
            if (whole) {
                add_folders(table, file->name);
            }
            add_file(table, file, until_ms);
        }
    }
    release_files_free(files);
}

struct release_table *release_table_ref(struct release_table *table)
{
    atomic_fetch_add(&table->owners, 1);
    return table;
}

void release_table_unref(struct release_table *table)
{
    if (!table || atomic_fetch_sub(&table->owners, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < table->n; i++) {
        free(table->slots[i].file.name);
    }
    free(table->slots);
    free(table->folders);
    cdn_index_free(&table->index);
    cdn_index_free(&table->folder_index);
    free(table);
}

uint64_t release_table_current(const struct release_table *table)
{
    return table->current;
}

uint64_t release_table_newest(const struct release_table *table)
{
    return table->newest;
}

size_t release_table_count(const struct release_table *table)
{
    return table->n;
}

const struct release_file *release_table_find(const struct release_table *table, struct cdn_str name,
                                              int64_t now_ms, int64_t *ret_until_ms)
{
    const uint32_t number = find_file(table, name);
    if (number == CDN_INDEX_NONE || table->slots[number].until_ms <= now_ms) {
        return NULL;
    }
    *ret_until_ms = table->slots[number].until_ms;
    return &table->slots[number].file;
}

int64_t release_kept_until(int64_t ended_ms, uint64_t newer, uint64_t keep, int64_t keep_ms)
{
    return newer <= keep ? RELEASE_FOR_EVER : ended_ms + keep_ms;
}
