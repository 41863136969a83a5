/* files: a table by raw request path, least recently used out first, that belongs to one thread. A
 * file is looked at again after a moment, and by identity (inode, size, times), so a change is seen
 * and a hit costs no system call. */
#include "origin/files.h"

#include "common/daemon/metrics.h"
#include "common/mem.h"
#include "origin/load.h"
#include "origin/metrics.h"
#include "origin/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/banned.h"

#define CHECK_ALL_EVERY_NS INT64_C(1000000000)
#define FIRST_BUCKETS 256u

struct origin_files {
    struct origin_files_config config;
    struct origin_entry **buckets; /* bucket_count of them, a power of two */
    size_t bucket_count;
    size_t count;
    size_t bytes;
    struct origin_entry *newest, *oldest;
    int64_t followed_ns; /* when the root's path was last looked at */
};

struct origin_files *origin_files_create(const struct origin_files_config *config)
{
    struct origin_files *files = cdn_calloc(1, sizeof(*files));
    files->config = *config;
    files->bucket_count = FIRST_BUCKETS;
    files->buckets = cdn_calloc(files->bucket_count, sizeof(*files->buckets));
    return files;
}

static struct origin_entry **find_slot(struct origin_files *files, uint64_t hash, struct cdn_str key)
{
    struct origin_entry **slot = &files->buckets[hash & (files->bucket_count - 1)];
    while (*slot &&
           !((*slot)->hash == hash && (*slot)->key_n == key.n && memcmp((*slot)->key, key.p, key.n) == 0)) {
        slot = &(*slot)->next;
    }
    return slot;
}

static void unlink_order(struct origin_files *files, struct origin_entry *e)
{
    *(e->newer ? &e->newer->older : &files->newest) = e->older;
    *(e->older ? &e->older->newer : &files->oldest) = e->newer;
}

static void push_order(struct origin_files *files, struct origin_entry *e)
{
    e->newer = NULL;
    e->older = files->newest;
    *(files->newest ? &files->newest->newer : &files->oldest) = e;
    files->newest = e;
}

static void count_up(struct origin_files *files)
{
    cdn_metric_set(&files->config.metrics->ready_bytes, files->bytes);
    cdn_metric_set(&files->config.metrics->ready_files, files->count);
}

static void forget(struct origin_files *files, struct origin_entry *e)
{
    struct origin_entry **slot = find_slot(files, e->hash, (struct cdn_str){e->key, e->key_n});
    *slot = e->next;
    unlink_order(files, e);
    files->count--;
    files->bytes -= e->bytes;
    origin_load_release(e);
    free(e->key);
    free(e);
    count_up(files);
}

static void forget_all(struct origin_files *files)
{
    while (files->oldest) {
        forget(files, files->oldest);
    }
}

void origin_files_destroy(struct origin_files *files)
{
    if (files) {
        forget_all(files);
        free(files->buckets);
        free(files);
    }
}

void origin_files_set_policy(struct origin_files *files, struct origin_policy *policy)
{
    forget_all(files);
    files->config.policy = policy;
}

void origin_files_set_table(struct origin_files *files, struct release_table *table)
{
    forget_all(files);
    files->config.sources.table = table;
}

static void grow(struct origin_files *files)
{
    size_t old_count = files->bucket_count;
    struct origin_entry **old = files->buckets;
    files->bucket_count *= 2;
    files->buckets = cdn_calloc(files->bucket_count, sizeof(*files->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct origin_entry *e = old[i], *next; e; e = next) {
            next = e->next;
            struct origin_entry **bucket = &files->buckets[e->hash & (files->bucket_count - 1)];
            e->next = *bucket;
            *bucket = e;
        }
    }
    free(old);
}

/* Makes room, but keeps `in_use`: a request is being answered from it. */
static void shrink(struct origin_files *files, const struct origin_entry *in_use)
{
    while (files->bytes > files->config.budget && files->count > 1) {
        struct origin_entry *e = files->oldest;
        if (e->was_used || e == in_use) {
            e->was_used = false;
            unlink_order(files, e);
            push_order(files, e);
        } else {
            forget(files, e);
        }
    }
}

static struct origin_entry *keep(struct origin_files *files, const struct origin_entry *loaded)
{
    struct origin_entry *e = cdn_malloc(sizeof(*e));
    *e = *loaded;
    e->key = cdn_strndup(loaded->key, loaded->key_n);
    if (files->count >= files->bucket_count) {
        grow(files);
    }
    struct origin_entry **bucket = &files->buckets[e->hash & (files->bucket_count - 1)];
    e->next = *bucket;
    *bucket = e;
    push_order(files, e);
    files->count++;
    files->bytes += e->bytes;
    shrink(files, e);
    count_up(files);
    return e;
}

static enum origin_found load(struct origin_files *files, struct cdn_str raw, uint64_t hash, int64_t now_ns,
                              const struct origin_wait *wait, struct origin_entry **ret_entry,
                              struct origin_path *ret_path, struct origin_refusal *ret_refusal)
{
    enum origin_path_result r = origin_path_decode(raw, ret_path);
    if (r != ORIGIN_PATH_OK) {
        *ret_refusal = (struct origin_refusal){origin_path_status(r), origin_path_detail(r)};
        return ORIGIN_FOUND_NOTHING;
    }
    CDN_AUTOFREE char *key = cdn_str_dup(raw);
    struct origin_entry loaded = {
        .hash = hash, .key = key, .key_n = raw.n, .checked_ns = now_ns, .all_checked_ns = now_ns};
    enum origin_found found = origin_load(&files->config, ret_path, wait, &loaded, ret_refusal);
    if (found == ORIGIN_FOUND_FILE) {
        *ret_entry = keep(files, &loaded);
    }
    return found;
}

static bool check(struct origin_files *files, struct origin_entry *e, int64_t now_ns)
{
    bool all = now_ns - e->all_checked_ns >= CHECK_ALL_EVERY_NS;
    if (!all && (e->is_hashed || now_ns == e->checked_ns)) {
        return true;
    }
    e->checked_ns = now_ns;
    e->all_checked_ns = all ? now_ns : e->all_checked_ns;
    return origin_load_is_current(&files->config, e, all);
}

enum origin_found origin_files_find(struct origin_files *files, struct cdn_str raw_path, int64_t now_ns,
                                    const struct origin_wait *wait, struct origin_entry **ret_entry,
                                    struct origin_path *ret_path, struct origin_refusal *ret_refusal)
{
    uint64_t hash = XXH3_64bits(raw_path.p, raw_path.n);
    if (now_ns != files->followed_ns && files->config.sources.root) { /* once a turn of the loop */
        files->followed_ns = now_ns;
        origin_root_follow(files->config.sources.root);
    }
    struct origin_entry *e = *find_slot(files, hash, raw_path);
    if (e && !check(files, e, now_ns)) {
        forget(files, e);
        e = NULL;
    }
    if (!e) {
        return load(files, raw_path, hash, now_ns, wait, ret_entry, ret_path, ret_refusal);
    }
    e->was_used = true;
    cdn_metric_add(&files->config.metrics->ready_hit, 1);
    *ret_entry = e;
    return ORIGIN_FOUND_FILE;
}

int origin_files_open(struct origin_files *files, struct origin_entry *entry, enum origin_variant_kind kind)
{
    struct origin_source source;
    struct origin_file_id id;
    CDN_AUTOFREE char *name = origin_variant_name(entry, kind);
    int fd = origin_source_open(&files->config.sources, name, &source);
    if (fd >= 0) {
        origin_file_id_of(&source.st, &id);
        if (origin_file_id_eq(&id, &entry->variant[kind].id)) {
            return fd;
        }
        close(fd);
    }
    forget(files, entry);
    return -1;
}
