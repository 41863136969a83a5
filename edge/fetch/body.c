/* body: MEMORY turns into a file or a window only when the next piece does not fit, so most
 * bodies are never copied. A window keeps byte i at i % size: a reader's place is the count of
 * what it has read, and stays right when the ring is replaced. */
#include "edge/fetch/body.h"

#include "common/lock.h"
#include "common/mem.h"
#include "common/status.h"
#include "edge/cache/blob.h"
#include "edge/memory/budget.h"
#include "edge/memory/lock_order.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

enum edge_body_mode { MEMORY, FILE_BACKED, WINDOW };

/* What a WINDOW holds; the second when memory is short: twice what libcurl hands over at once
 * (CURL_MAX_WRITE_SIZE). */
#define WINDOW_BYTES ((size_t)512 * 1024)
#define WINDOW_SHORT ((size_t)32 * 1024)
/* A body that is not kept leaves MEMORY for the window from here on. */
#define UNKEPT_MEMORY_BYTES ((size_t)128 * 1024)

struct edge_body {
    struct edge_store *store;      /* fixed; NULL: none */
    void (*room_again)(void *arg); /* fixed */
    void *arg;                     /* fixed */
    struct cdn_lock lock;          /* guards all below */
    enum edge_body_mode mode;
    struct edge_blob *blob;       /* MEMORY: n is the room, `length` how much is filled, NULL: nothing yet;
                                     WINDOW: a ring */
    size_t expected;              /* MEMORY: the room to begin with */
    struct edge_store_file *file; /* FILE_BACKED, until it is taken: what is written to */
    int fd;                       /* FILE_BACKED: our own descriptor of it, for reading */
    off_t fd_base;                /* where byte 0 of the body lies in it */
    size_t memory_limit;          /* MEMORY holds no more */
    uint64_t length;              /* bytes appended */
    uint64_t base;                /* WINDOW: the first byte still held */
    struct edge_body_reader *readers;
    bool awaited; /* the leader is on its way: nothing may be dropped */
    bool keep;    /* may become FILE_BACKED */
    bool waiting; /* the producer was told to wait */
    bool finished;
    bool ok;
};

struct edge_body *edge_body_create(int64_t expected, size_t memory_limit, struct edge_store *store,
                                   void (*room_again)(void *arg), void *arg)
{
    struct edge_body *b = cdn_calloc(1, sizeof(*b));
    cdn_lock_init(&b->lock, EDGE_LOCK_BODY);
    b->memory_limit = memory_limit;
    b->keep = true;
    b->fd = -1;
    b->room_again = room_again;
    b->arg = arg;
    b->store = store;
    b->expected = EDGE_BUDGET_SMALL;
    if (expected >= 0 && (uint64_t)expected <= memory_limit) {
        b->expected = (size_t)expected;
    }
    return b;
}

static void drop_file(struct edge_body *b)
{
    if (b->file) {
        edge_store_file_abort(CDN_TAKE(b->file));
    }
    if (b->fd >= 0) {
        close(b->fd);
        b->fd = -1;
    }
}

void edge_body_destroy(struct edge_body *b)
{
    if (!b) {
        return;
    }
    edge_blob_unref(b->blob);
    drop_file(b);
    cdn_lock_destroy(&b->lock);
    free(b);
}

/* The first byte that a reader still needs; the end when nobody reads. */
static uint64_t slowest(const struct edge_body *b)
{
    uint64_t least = b->awaited ? b->base : b->length;
    for (const struct edge_body_reader *r = b->readers; r; r = r->next) {
        least = r->at < least ? r->at : least;
    }
    return least;
}

static size_t window_free(const struct edge_body *b)
{
    return b->blob->n - (size_t)(b->length - slowest(b));
}

static void ring_copy_in(struct edge_body *b, const char *data, size_t n)
{
    size_t at = (size_t)(b->length % b->blob->n);
    size_t first = n < b->blob->n - at ? n : b->blob->n - at;
    memcpy(b->blob->data + at, data, first);
    memcpy(b->blob->data, data + first, n - first);
}

static size_t ring_copy_out(const struct edge_body *b, uint64_t from, char *into, size_t n)
{
    size_t at = (size_t)(from % b->blob->n);
    size_t first = n < b->blob->n - at ? n : b->blob->n - at;
    memcpy(into, b->blob->data + at, first);
    memcpy(into + first, b->blob->data, n - first);
    return n;
}

static bool become_file(struct edge_body *b)
{
    if (!b->keep || !b->store || edge_store_file_create(b->store, &b->file, NULL) != CDN_OK) {
        return false;
    }
    b->fd = fcntl(edge_store_file_fd(b->file, &b->fd_base), F_DUPFD_CLOEXEC, 0);
    if (b->fd < 0 ||
        (b->length && edge_store_file_write(b->file, 0, b->blob->data, (size_t)b->length, NULL) != CDN_OK)) {
        drop_file(b);
        return false;
    }
    b->mode = FILE_BACKED;
    edge_blob_unref(CDN_TAKE(b->blob));
    return true;
}

static struct edge_blob *new_ring(size_t held)
{
    const size_t wanted = edge_budget_has(WINDOW_BYTES) ? WINDOW_BYTES : WINDOW_SHORT;
    return edge_blob_create(held > wanted ? held : wanted);
}

/* Byte i of the body lies at i % size of the ring, so what MEMORY held has to move there. */
static void become_window(struct edge_body *b)
{
    struct edge_blob *old = b->blob;
    uint64_t end = b->length;
    b->blob = new_ring((size_t)(end - slowest(b)));
    b->mode = WINDOW;
    b->base = end > b->blob->n ? end - b->blob->n : 0; /* all that has room: others may join */
    size_t held = (size_t)(end - b->base);
    b->length = b->base;
    if (held) {
        ring_copy_in(b, old->data + b->base, held);
    }
    b->length = end;
    edge_blob_unref(old);
}

/* A disk that fails under way leaves the readers what the file has so far: they get it back through the
 * window. */
static void file_to_window(struct edge_body *b)
{
    uint64_t base = slowest(b);
    size_t held = (size_t)(b->length - base);
    struct edge_blob *ring = new_ring(held);
    uint64_t at = base;
    while (at < b->length) {
        size_t in_ring = (size_t)(at % ring->n);
        size_t n = ring->n - in_ring;
        n = n < b->length - at ? n : (size_t)(b->length - at);
        ssize_t got = pread(b->fd, ring->data + in_ring, n, b->fd_base + (off_t)at);
        if (got <= 0) {
            b->finished = true; /* neither written nor readable: the readers see a failed body */
            break;
        }
        at += (uint64_t)got;
    }
    drop_file(b);
    b->blob = ring;
    b->base = base;
    b->keep = false;
    b->mode = WINDOW;
}

/* Room for n more bytes; false: so much memory may not be taken. */
static bool make_room(struct edge_body *b, size_t n)
{
    const uint64_t need = b->length + n;
    const size_t have = b->blob ? b->blob->n : 0;
    if (need > b->memory_limit) {
        return false;
    }
    if (need <= have) {
        return true;
    }
    size_t room = b->blob ? have * 2 : b->expected;
    room = room > need ? room : (size_t)need;
    room = room < b->memory_limit ? room : b->memory_limit;
    if (room > EDGE_BUDGET_SMALL && !edge_budget_has(room - have)) {
        return false;
    }
    b->blob = b->blob ? edge_blob_resize(b->blob, room) : edge_blob_create(room);
    return true;
}

/* A piece larger than the whole ring, which nobody hands over today, would wait for ever. */
static bool append_window(struct edge_body *b, const char *data, size_t n)
{
    if (window_free(b) < n) {
        if (n <= b->blob->n || slowest(b) != b->length) {
            b->waiting = true;
            return false;
        }
        edge_blob_unref(b->blob);
        b->blob = edge_blob_create(n);
    }
    ring_copy_in(b, data, n);
    const uint64_t end = b->length + n;
    b->base = end - b->base > b->blob->n ? end - b->blob->n : b->base;
    return true;
}

static bool append_locked(struct edge_body *b, const char *data, size_t n)
{
    if (b->mode == MEMORY && !make_room(b, n) && !become_file(b)) {
        become_window(b);
    }
    if (b->mode == FILE_BACKED && edge_store_file_write(b->file, b->length, data, n, NULL) != CDN_OK) {
        file_to_window(b);
    }
    if (b->mode == MEMORY) {
        memcpy(b->blob->data + b->length, data, n);
    } else if (b->mode == WINDOW && !append_window(b, data, n)) {
        return false;
    }
    b->length += n;
    return true;
}

bool edge_body_append(struct edge_body *b, const char *data, size_t n)
{
    cdn_lock_take(&b->lock);
    bool taken = b->finished || append_locked(b, data, n);
    cdn_lock_drop(&b->lock);
    return taken;
}

void edge_body_finish(struct edge_body *b, bool ok)
{
    cdn_lock_take(&b->lock);
    if (!b->finished) {
        b->finished = true;
        b->ok = ok;
        if (b->mode == MEMORY && !b->blob) {
            b->blob = edge_blob_create(0);
        } else if (b->mode == MEMORY && b->blob->n != b->length) {
            b->blob = edge_blob_resize(b->blob, (size_t)b->length);
        }
    }
    b->waiting = false;
    cdn_lock_drop(&b->lock);
}

uint64_t edge_body_length(struct edge_body *b)
{
    cdn_lock_take(&b->lock);
    uint64_t n = b->length;
    cdn_lock_drop(&b->lock);
    return n;
}

struct edge_blob *edge_body_blob(struct edge_body *b)
{
    cdn_lock_take(&b->lock);
    struct edge_blob *blob = b->finished && b->ok && b->mode == MEMORY ? edge_blob_ref(b->blob) : NULL;
    cdn_lock_drop(&b->lock);
    return blob;
}

struct edge_store_file *edge_body_take_file(struct edge_body *b)
{
    cdn_lock_take(&b->lock);
    bool complete = b->finished && b->ok && b->mode == FILE_BACKED;
    struct edge_store_file *file = complete ? CDN_TAKE(b->file) : NULL;
    cdn_lock_drop(&b->lock);
    return file;
}

void edge_body_do_not_keep(struct edge_body *b)
{
    cdn_lock_take(&b->lock);
    b->keep = false;
    if (b->memory_limit > UNKEPT_MEMORY_BYTES) {
        b->memory_limit = UNKEPT_MEMORY_BYTES;
    }
    cdn_lock_drop(&b->lock);
}

bool edge_body_join(struct edge_body *b, struct edge_body_reader *r, uint64_t at)
{
    cdn_lock_take(&b->lock);
    bool there = b->mode != WINDOW || at >= b->base;
    if (there) {
        *r = (struct edge_body_reader){.next = b->readers, .at = at, .joined = true};
        b->readers = r;
    }
    cdn_lock_drop(&b->lock);
    return there;
}

static ssize_t read_locked(struct edge_body *b, struct edge_body_reader *r, char *into, size_t max)
{
    if (r->at >= b->length) {
        if (!b->finished) {
            return EDGE_BODY_NOTHING;
        }
        return b->ok ? EDGE_BODY_END : EDGE_BODY_FAILED;
    }
    size_t n = b->length - r->at < max ? (size_t)(b->length - r->at) : max;
    ssize_t got = (ssize_t)n;
    if (b->mode == FILE_BACKED) {
        got = pread(b->fd, into, n, b->fd_base + (off_t)r->at);
    } else if (b->mode == WINDOW) {
        ring_copy_out(b, r->at, into, n);
    } else {
        memcpy(into, b->blob->data + r->at, n);
    }
    if (got <= 0) {
        return EDGE_BODY_FAILED;
    }
    r->at += (uint64_t)got;
    return got;
}

/* Called without the lock: the producer may append at once. */
static void wake_producer(struct edge_body *b, bool wake)
{
    if (wake && b->room_again) {
        b->room_again(b->arg);
    }
}

static bool has_room_now(struct edge_body *b)
{
    if (!b->waiting || b->mode != WINDOW || window_free(b) < b->blob->n / 2) {
        return false;
    }
    b->waiting = false;
    return true;
}

void edge_body_await(struct edge_body *b, bool reader)
{
    cdn_lock_take(&b->lock);
    b->awaited = reader;
    bool wake = has_room_now(b);
    cdn_lock_drop(&b->lock);
    wake_producer(b, wake);
}

ssize_t edge_body_read(struct edge_body *b, struct edge_body_reader *r, char *into, size_t max)
{
    cdn_lock_take(&b->lock);
    ssize_t got = read_locked(b, r, into, max);
    bool wake = has_room_now(b);
    cdn_lock_drop(&b->lock);
    wake_producer(b, wake);
    return got;
}

bool edge_body_is_held_up(struct edge_body *b, const struct edge_body_reader *reader)
{
    bool others = false;
    cdn_lock_take(&b->lock);
    const bool holds =
        b->mode == WINDOW && b->waiting && b->blob->n - (size_t)(b->length - reader->at) < b->blob->n / 2;
    for (const struct edge_body_reader *r = b->readers; holds && r && !others; r = r->next) {
        others = r->at == b->length;
    }
    cdn_lock_drop(&b->lock);
    return others;
}

void edge_body_leave(struct edge_body *b, struct edge_body_reader *r)
{
    if (!r->joined) {
        return;
    }
    cdn_lock_take(&b->lock);
    struct edge_body_reader **link = &b->readers;
    while (*link != r) {
        link = &(*link)->next;
    }
    *link = r->next;
    r->joined = false;
    bool wake = has_room_now(b);
    cdn_lock_drop(&b->lock);
    wake_producer(b, wake);
}
