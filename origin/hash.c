/* hash: a thread of its own hashes large files, so that no request waits behind somebody else's
 * gigabyte; whoever asks for a file that is not hashed yet is told when it is. Identities that were
 * hashed are remembered. */
#include "origin/hash.h"

#include "common/clock.h"
#include "common/mem.h"
#include "origin/hash_file.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/banned.h"

#define TABLE_SLOTS 16384u /* power of two; a full neighbourhood forgets its oldest */
#define NEIGHBOURS 8u
#define PIECE (1u << 20)
#define UNSETTLED_FOR_MS 1000

struct slot {
    struct origin_file_id id; /* ino 0: empty */
    struct origin_hash hash;
    int64_t hashed_ms; /* monotonic */
    bool settled;
};

struct job {
    struct job *next;
    int fd;
    struct origin_file_id id;
    struct loop *loop;
    void (*done)(void *arg);
    void *arg;
};

struct origin_hasher {
    pthread_t thread; /* fixed once started */
    bool is_running;
    struct origin_hash_file *file; /* NULL: none; only the thread appends */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* below: under lock */
    struct job *first, **last;
    bool is_over;
    struct slot *slots;
};

struct origin_hash origin_hash_bytes(const void *p, size_t n)
{
    XXH128_hash_t h = XXH3_128bits(p, n);
    return (struct origin_hash){h.high64, h.low64};
}

void origin_etag_format(const struct origin_hash *h, const char *suffix, char out[static ORIGIN_ETAG_SIZE])
{
    (void)snprintf(out, ORIGIN_ETAG_SIZE, "\"%016" PRIx64 "%016" PRIx64 "%s%s\"", h->high, h->low,
                   suffix[0] ? "-" : "", suffix);
}

static struct slot *neighbourhood(struct origin_hasher *hasher, const struct origin_file_id *id)
{
    return &hasher->slots[XXH3_64bits(id, sizeof(*id)) & (TABLE_SLOTS - 1) & ~(NEIGHBOURS - 1)];
}

bool origin_hasher_find(struct origin_hasher *hasher, const struct origin_file_id *id,
                        struct origin_hash *ret)
{
    bool found = false;
    int64_t now = cdn_clock_mono_ms();
    bool is_settled = origin_file_id_is_settled(id, cdn_clock_real_ms());
    pthread_mutex_lock(&hasher->lock);
    struct slot *slot = neighbourhood(hasher, id);
    for (unsigned i = 0; i < NEIGHBOURS && !found; i++, slot++) {
        bool counts = slot->settled || (!is_settled && now - slot->hashed_ms < UNSETTLED_FOR_MS);
        if (counts && origin_file_id_eq(&slot->id, id)) {
            *ret = slot->hash;
            found = true;
        }
    }
    pthread_mutex_unlock(&hasher->lock);
    return found;
}

static void remember(struct origin_hasher *hasher, const struct slot *new)
{
    pthread_mutex_lock(&hasher->lock);
    struct slot *slot = neighbourhood(hasher, &new->id), *place = slot;
    for (unsigned i = 0; i < NEIGHBOURS; i++, slot++) {
        if (origin_file_id_eq(&slot->id, &new->id)) {
            place = slot;
            break;
        }
        if (slot->hashed_ms < place->hashed_ms) {
            place = slot;
        }
    }
    *place = *new;
    pthread_mutex_unlock(&hasher->lock);
}

/* False when the file could not be read to its end or is another one now. */
static bool hash_file(const struct job *job, char *piece, struct slot *ret)
{
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    uint64_t at = 0;
    ssize_t n = 0;
    while (at < job->id.size && (n = pread(job->fd, piece, PIECE, (off_t)at)) > 0) {
        XXH3_128bits_update(state, piece, (size_t)n);
        at += (uint64_t)n;
    }
    XXH128_hash_t h = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    struct stat st;
    if (n < 0 || fstat(job->fd, &st) != 0) {
        return false;
    }
    *ret = (struct slot){.hash = {h.high64, h.low64}, .hashed_ms = cdn_clock_mono_ms()};
    origin_file_id_of(&st, &ret->id);
    ret->settled = origin_file_id_is_settled(&ret->id, cdn_clock_real_ms());
    return origin_file_id_eq(&ret->id, &job->id);
}

static struct job *next_job(struct origin_hasher *hasher)
{
    pthread_mutex_lock(&hasher->lock);
    while (!hasher->first && !hasher->is_over) {
        pthread_cond_wait(&hasher->wake, &hasher->lock);
    }
    struct job *job = hasher->first;
    if (job) {
        hasher->first = job->next;
        if (!hasher->first) {
            hasher->last = &hasher->first;
        }
    }
    pthread_mutex_unlock(&hasher->lock);
    return job;
}

static bool is_over(struct origin_hasher *hasher)
{
    pthread_mutex_lock(&hasher->lock);
    bool over = hasher->is_over;
    pthread_mutex_unlock(&hasher->lock);
    return over;
}

static void *run(void *arg)
{
    struct origin_hasher *hasher = arg;
    char *piece = cdn_malloc(PIECE);
    struct job *job;
    while ((job = next_job(hasher))) {
        struct slot result;
        struct origin_hash known;
        /* several requests may have asked for the same file */
        if (!is_over(hasher) && !origin_hasher_find(hasher, &job->id, &known) &&
            hash_file(job, piece, &result)) {
            remember(hasher, &result);
            if (hasher->file && result.settled) {
                origin_hash_file_append(hasher->file, &result.id, &result.hash);
            }
        }
        close(job->fd);
        loop_post(job->loop, job->done, job->arg);
        free(job);
    }
    free(piece);
    return NULL;
}

static void take_record(void *arg, const struct origin_file_id *id, const struct origin_hash *hash)
{
    remember(arg,
             &(struct slot){.id = *id, .hash = *hash, .hashed_ms = cdn_clock_mono_ms(), .settled = true});
}

struct origin_hasher *origin_hasher_create(struct origin_hash_file *file)
{
    struct origin_hasher *hasher = cdn_calloc(1, sizeof(*hasher));
    hasher->slots = cdn_calloc(TABLE_SLOTS, sizeof(*hasher->slots));
    hasher->last = &hasher->first;
    pthread_mutex_init(&hasher->lock, NULL);
    pthread_cond_init(&hasher->wake, NULL);
    hasher->file = file;
    if (file) {
        origin_hash_file_read(file, take_record, hasher);
    }
    return hasher;
}

enum cdn_status origin_hasher_start(struct origin_hasher *hasher, struct cdn_error *err)
{
    const int problem = pthread_create(&hasher->thread, NULL, run, hasher);
    if (problem) {
        return cdn_error_set(err, CDN_UNAVAILABLE, "cannot start the thread that hashes files: %s",
                             strerror(problem));
    }
    pthread_setname_np(hasher->thread, "origin-hash");
    hasher->is_running = true;
    return CDN_OK;
}

void origin_hasher_destroy(struct origin_hasher *hasher)
{
    if (!hasher) {
        return;
    }
    pthread_mutex_lock(&hasher->lock);
    hasher->is_over = true;
    pthread_cond_signal(&hasher->wake);
    pthread_mutex_unlock(&hasher->lock);
    if (hasher->is_running) {
        pthread_join(hasher->thread, NULL);
    }
    pthread_cond_destroy(&hasher->wake);
    pthread_mutex_destroy(&hasher->lock);
    free(hasher->slots);
    free(hasher);
}

void origin_hasher_queue(struct origin_hasher *hasher, int fd, const struct origin_file_id *id,
                         struct loop *loop, void (*done)(void *arg), void *arg)
{
    struct job *job = cdn_malloc(sizeof(*job));
    *job = (struct job){.fd = fd, .id = *id, .loop = loop, .done = done, .arg = arg};
    pthread_mutex_lock(&hasher->lock);
    *hasher->last = job;
    hasher->last = &job->next;
    pthread_cond_signal(&hasher->wake);
    pthread_mutex_unlock(&hasher->lock);
}
