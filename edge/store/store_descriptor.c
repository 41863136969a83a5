/* Open files, kept for the next use: a hash by file, a list by last use, a count of holds each. */
#include "common/lock.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/status.h"
#include "edge/store/store.h"
#include "edge/store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

static struct edge_store_ref **bucket_of(struct edge_store *s, uint64_t key)
{
    uint64_t mixed = key * CDN_MIX_STEP;
    return &s->descriptors.buckets[mixed >> 32 & (EDGE_DESCRIPTOR_BUCKETS - 1)];
}

static struct edge_store_ref *look_up(struct edge_store *s, uint64_t key)
{
    struct edge_store_ref *ref = *bucket_of(s, key);
    while (ref && ref->key != key) {
        ref = ref->chain;
    }
    return ref;
}

static void list_remove(struct edge_store *s, struct edge_store_ref *ref)
{
    *(ref->newer ? &ref->newer->older : &s->descriptors.newest) = ref->older;
    *(ref->older ? &ref->older->newer : &s->descriptors.oldest) = ref->newer;
}

static void list_push(struct edge_store *s, struct edge_store_ref *ref)
{
    ref->newer = NULL;
    ref->older = s->descriptors.newest;
    *(s->descriptors.newest ? &s->descriptors.newest->newer : &s->descriptors.oldest) = ref;
    s->descriptors.newest = ref;
}

static void take_out(struct edge_store *s, struct edge_store_ref *ref)
{
    struct edge_store_ref **link = bucket_of(s, ref->key);
    while (*link != ref) {
        link = &(*link)->chain;
    }
    *link = ref->chain;
    list_remove(s, ref);
    ref->listed = false;
    s->descriptors.count--;
}

static void destroy(struct edge_store_ref *ref)
{
    close(ref->fd);
    edge_front_destroy(ref->front);
    free(ref->verified);
    free(ref);
}

/* Under lock: takes out the longest unused beyond `keep` that nobody holds. The caller destroys the chain. */
static struct edge_store_ref *shed(struct edge_store *s, unsigned keep)
{
    struct edge_store_ref *out = NULL;
    for (struct edge_store_ref *ref = s->descriptors.oldest; ref && s->descriptors.count > keep;) {
        struct edge_store_ref *newer = ref->newer;
        if (ref->holds == 0) {
            take_out(s, ref);
            ref->chain = out;
            out = ref;
        }
        ref = newer;
    }
    return out;
}

static void destroy_all(struct edge_store_ref *ref)
{
    while (ref) {
        struct edge_store_ref *next = ref->chain;
        destroy(ref);
        ref = next;
    }
}

static int open_file(struct edge_store *s, uint64_t key)
{
    char name[40];
    if (key & EDGE_DESCRIPTOR_FILE) {
        edge_file_name(key & ~EDGE_DESCRIPTOR_FILE, name);
    } else {
        snprintf(name, sizeof(name), "segments/%" PRIu64, key);
    }
    int fd = openat(s->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        cdn_lock_take(&s->lock);
        struct edge_store_ref *idle = shed(s, 0);
        cdn_lock_drop(&s->lock);
        bool freed = idle != NULL;
        destroy_all(idle);
        errno = EMFILE;
        fd = freed ? openat(s->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    }
    return fd;
}

static enum cdn_status open_failed(struct edge_store *s, uint64_t key, int error)
{
    uint64_t number = key & ~EDGE_DESCRIPTOR_FILE;
    const char *what = key & EDGE_DESCRIPTOR_FILE ? "file" : "segment";
    if (error == ENOENT) {
        return CDN_NOT_FOUND;
    }
    bool out = error == EMFILE || error == ENFILE;
    edge_store_event(s, out ? EDGE_STORE_DESCRIPTORS : EDGE_STORE_READ_ERROR, "%s %" PRIu64 ": %s", what,
                     number, strerror(error));
    return CDN_IO;
}

static enum cdn_status make(struct edge_store *s, uint64_t key, struct edge_store_ref **ret)
{
    int fd = open_file(s, key);
    if (fd < 0) {
        return open_failed(s, key, errno);
    }
    struct edge_front *front = NULL;
    if (key & EDGE_DESCRIPTOR_FILE && !(front = edge_front_read(s, fd))) {
        close(fd);
        edge_store_event(s, EDGE_STORE_CHECKSUM, "file %" PRIu64 ": no valid front",
                         key & ~EDGE_DESCRIPTOR_FILE);
        return CDN_CORRUPT;
    }
    struct edge_store_ref *ref = cdn_calloc(1, sizeof(*ref));
    ref->key = key;
    ref->fd = fd;
    ref->front = front;
    ref->verified = front ? cdn_calloc(front->n_sums, 1) : NULL;
    *ret = ref;
    return CDN_OK;
}

/* Under lock: the open file, held once more; NULL: not open. */
static struct edge_store_ref *hold(struct edge_store *s, uint64_t key)
{
    struct edge_store_ref *ref = look_up(s, key);
    if (ref) {
        ref->holds++;
        list_remove(s, ref);
        list_push(s, ref);
    }
    return ref;
}

enum cdn_status edge_descriptor_get(struct edge_store *s, uint64_t key, bool may_open,
                                    struct edge_store_ref **ret)
{
    cdn_lock_take(&s->lock);
    struct edge_store_ref *ref = hold(s, key);
    cdn_lock_drop(&s->lock);
    if (ref || !may_open) {
        *ret = ref ? ref : *ret;
        return ref ? CDN_OK : CDN_UNAVAILABLE;
    }
    struct edge_store_ref *made = NULL;
    enum cdn_status status = make(s, key, &made);
    if (status != CDN_OK) {
        return status;
    }
    cdn_lock_take(&s->lock);
    ref = hold(s, key);
    struct edge_store_ref *spare = ref ? made : NULL; /* another thread was faster */
    if (!ref) {
        ref = made;
        ref->holds = 1;
        ref->listed = true;
        ref->chain = *bucket_of(s, key);
        *bucket_of(s, key) = ref;
        list_push(s, ref);
        s->descriptors.count++;
        spare = shed(s, s->descriptors_max);
    }
    cdn_lock_drop(&s->lock);
    destroy_all(spare);
    *ret = ref;
    return CDN_OK;
}

void edge_descriptor_put(struct edge_store *s, struct edge_store_ref *ref)
{
    cdn_lock_take(&s->lock);
    bool last = --ref->holds == 0 && !ref->listed;
    cdn_lock_drop(&s->lock);
    if (last) {
        destroy(ref);
    }
}

void edge_descriptor_drop(struct edge_store *s, uint64_t key)
{
    cdn_lock_take(&s->lock);
    struct edge_store_ref *ref = look_up(s, key);
    bool unused = ref && ref->holds == 0;
    if (ref) {
        take_out(s, ref);
    }
    cdn_lock_drop(&s->lock);
    if (unused) {
        destroy(ref);
    }
}

void edge_descriptors_forget(struct edge_store *s)
{
    struct edge_store_ref *unused = NULL;
    cdn_lock_take(&s->lock);
    for (struct edge_store_ref *ref; (ref = s->descriptors.oldest) != NULL;) {
        take_out(s, ref);
        if (ref->holds == 0) {
            ref->chain = unused;
            unused = ref;
        }
    }
    cdn_lock_drop(&s->lock);
    destroy_all(unused);
}

void edge_descriptors_close(struct edge_store *s)
{
    destroy_all(shed(s, 0));
}
