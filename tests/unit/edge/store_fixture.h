/* store_fixture: what the tests of the store share: a directory, bodies made from a number, waiting for
 * callbacks. */
#ifndef CDN_TESTS_STORE_FIXTURE_H
#define CDN_TESTS_STORE_FIXTURE_H
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"

#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024u * 1024u)

struct waiter { /* one answer of another thread */
    pthread_mutex_t lock;
    pthread_cond_t come;
    bool answered;
    enum cdn_status status;
    struct edge_store_location location;
};

#define WAITER                                                              \
    {                                                                       \
        .lock = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER \
    }

static inline void answer(struct waiter *w, enum cdn_status status, const struct edge_store_location *l)
{
    pthread_mutex_lock(&w->lock);
    w->answered = true;
    w->status = status;
    if (l) {
        w->location = *l;
    }
    pthread_cond_signal(&w->come);
    pthread_mutex_unlock(&w->lock);
}

static inline void on_stored(void *arg, enum cdn_status status, const struct edge_store_location *l)
{
    answer(arg, status, l);
}

static inline void on_read(void *arg, enum cdn_status status)
{
    answer(arg, status, NULL);
}

static inline enum cdn_status await(struct waiter *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->answered) {
        pthread_cond_wait(&w->come, &w->lock);
    }
    w->answered = false;
    pthread_mutex_unlock(&w->lock);
    return w->status;
}

/* A body that says who it is in every byte: the same from the same number, different from any other. */
static inline unsigned char *body_of(uint64_t number, size_t n)
{
    unsigned char *body = cdn_malloc(n);
    uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        body[i] = (unsigned char)x;
    }
    return body;
}

struct fixture {
    char directory[64];
    struct edge_store *store;
    uint64_t budget, segment_bytes;
    unsigned descriptors;
    pthread_mutex_t lock; /* of the two below */
    unsigned events[EDGE_STORE_EVENT_COUNT];
    void (*on_moved)(void *self, const struct edge_store_key *key, const struct edge_store_location *from,
                     const struct edge_store_location *to);
};

static inline void count_event(void *self, enum edge_store_event event, const char *detail)
{
    struct fixture *f = self;
    (void)detail;
    pthread_mutex_lock(&f->lock);
    f->events[event]++;
    pthread_mutex_unlock(&f->lock);
}

static inline unsigned events(struct fixture *f, enum edge_store_event event)
{
    pthread_mutex_lock(&f->lock);
    unsigned n = f->events[event];
    pthread_mutex_unlock(&f->lock);
    return n;
}

static inline enum cdn_status try_open(struct fixture *f, struct cdn_error *err)
{
    struct edge_store_settings settings = {.directory = f->directory,
                                           .budget = f->budget ? f->budget : 256 * (uint64_t)MIB,
                                           .segment_bytes = f->segment_bytes,
                                           .commit_ms = 20,
                                           .gather_ms = 1,
                                           .descriptors = f->descriptors};
    struct edge_store_hooks hooks = {.self = f, .on_event = count_event, .on_moved = f->on_moved};
    return edge_store_open(&settings, &hooks, &f->store, err);
}

static inline void open_store(struct fixture *f)
{
    struct cdn_error err = {0};
    enum cdn_status status = try_open(f, &err);
    ck_assert_msg(status == CDN_OK, "%s", err.text);
}

static inline void close_store(struct fixture *f)
{
    edge_store_close(f->store);
    f->store = NULL;
}

static inline void make_fixture(struct fixture *f)
{
    pthread_mutex_init(&f->lock, NULL);
    snprintf(f->directory, sizeof(f->directory), "/tmp/pocketcdn-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->directory));
}

static inline void empty_directory(const char *path)
{
    DIR *list = opendir(path);
    for (struct dirent *e; list && (e = readdir(list)) != NULL;) {
        CDN_AUTOFREE char *name = cdn_asprintf("%s/%s", path, e->d_name);
        if (e->d_name[0] == '.') {
            continue;
        }
        if (unlink(name) != 0) {
            empty_directory(name);
            rmdir(name);
        }
    }
    if (list) {
        closedir(list);
    }
}

static inline void drop_fixture(struct fixture *f)
{
    close_store(f);
    empty_directory(f->directory);
    rmdir(f->directory);
    pthread_mutex_destroy(&f->lock);
}

static inline struct edge_store_key key_of(uint64_t number)
{
    return (struct edge_store_key){number * 31 + 7, ~number, number % 3};
}

/* Stores body_of(number, n) with a key and a meta that name it. */
static inline bool put_async(struct fixture *f, uint64_t number, const unsigned char *body, size_t n,
                             edge_store_put_fn *done, void *arg)
{
    char key[64];
    char meta[64];
    struct edge_store_put put = {
        .key_hash = key_of(number), .body = body, .body_length = n, .done = done, .arg = arg};
    put.key = (struct cdn_str){key, (size_t)snprintf(key, sizeof(key), "http://h/%lu", number)};
    put.meta = (struct cdn_str){meta, (size_t)snprintf(meta, sizeof(meta), "meta %lu %zu", number, n)};
    return edge_store_put(f->store, &put);
}

static inline struct edge_store_location put_one(struct fixture *f, uint64_t number, size_t n)
{
    struct waiter w = WAITER;
    CDN_AUTOFREE unsigned char *body = body_of(number, n);
    ck_assert(put_async(f, number, body, n, on_stored, &w));
    ck_assert_int_eq(await(&w), CDN_OK);
    return w.location;
}

static inline enum cdn_status read_now(struct fixture *f, const struct edge_store_location *l, uint64_t from,
                                       void *data, size_t n)
{
    struct waiter w = WAITER;
    edge_store_read(f->store, l, from, data, n, on_read, &w);
    return await(&w);
}

static inline enum cdn_status check_body(struct fixture *f, const struct edge_store_location *l,
                                         uint64_t number, size_t n)
{
    CDN_AUTOFREE unsigned char *expected = body_of(number, n);
    CDN_AUTOFREE unsigned char *got = cdn_calloc(1, n);
    enum cdn_status status = read_now(f, l, 0, got, n);
    if (status == CDN_OK && memcmp(expected, got, n) != 0) {
        ck_abort_msg("wrong bytes of object %lu", number);
    }
    return status;
}

/* What a load brings, by number of the object (read from its meta). */
#define LOADED_MAX 4096u
struct loaded {
    struct waiter ended;
    struct edge_store_location locations[LOADED_MAX];
    size_t sizes[LOADED_MAX];
    bool rebuilt[LOADED_MAX];
    unsigned count;
    uint64_t last_id;
    bool ordered;
};

static inline void take_rows(void *arg, const struct edge_store_row *rows, size_t n)
{
    struct loaded *l = arg;
    for (size_t i = 0; i < n; i++) {
        unsigned long number;
        size_t size;
        CDN_AUTOFREE char *meta = cdn_str_dup(rows[i].meta);
        if (sscanf(meta, "meta %lu %zu", &number, &size) != 2 || number >= LOADED_MAX) {
            continue;
        }
        struct edge_store_key key = key_of(number);
        ck_assert(memcmp(&key, &rows[i].key_hash, sizeof(key)) == 0);
        l->locations[number] = rows[i].location;
        l->sizes[number] = size;
        l->rebuilt[number] = rows[i].rebuilt;
        l->count++;
        l->ordered &= rows[i].location.id > l->last_id;
        l->last_id = rows[i].location.id;
    }
}

static inline void take_end(void *arg, enum cdn_status status)
{
    answer(&((struct loaded *)arg)->ended, status, NULL);
}

static inline struct loaded *load(struct fixture *f)
{
    struct loaded *l = cdn_calloc(1, sizeof(*l));
    pthread_mutex_init(&l->ended.lock, NULL);
    pthread_cond_init(&l->ended.come, NULL);
    l->ordered = true;
    edge_store_load(f->store, take_rows, take_end, l);
    ck_assert_int_eq(await(&l->ended), CDN_OK);
    return l;
}

static inline struct loaded *reopen(struct fixture *f)
{
    close_store(f);
    open_store(f);
    return load(f);
}

#endif
