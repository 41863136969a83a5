/* store_segment: records are appended in one write, or none of it counts: a short write is cut
 * off again. A record's head is summed with the store's secret, so bytes within a body cannot
 * pass for a record when an index is rebuilt. Removing sets one word; the bytes go with the
 * segment. */
#include "common/lock.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_private.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/banned.h"

#define RECORD_MAGIC 0x31534350u /* "PCS1" */

static_assert(sizeof(struct edge_record) == 80, "no padding: the head is summed as it lies");
static_assert(sizeof(struct edge_store_location) == 24, "kept in every entry");

static uint64_t head_sum(const struct edge_store *s, struct edge_record r)
{
    r.state = 0;
    r.sum = 0;
    return XXH3_64bits_withSeed(&r, sizeof(r), s->secret);
}

bool edge_record_valid(const struct edge_store *s, const struct edge_record *r)
{
    return r->magic == RECORD_MAGIC && r->body_n <= EDGE_STORE_PACKED_MAX &&
           (uint64_t)r->key_n + r->meta_n <= EDGE_STORE_TEXT_MAX && r->sum == head_sum(s, *r);
}

static void segment_name(uint32_t number, char out[static 32])
{
    snprintf(out, 32, "segments/%" PRIu32, number);
}

struct edge_segment *edge_segment_get(struct edge_store *s, uint32_t number)
{
    uint32_t i = number - s->segments_first;
    return number >= s->segments_first && i < s->segments_n ? s->segments[i] : NULL;
}

/* Under lock. Numbers only grow in the life of a store, but a directory is listed in any order. */
static void table_add(struct edge_store *s, uint32_t number, uint64_t bytes)
{
    struct edge_segment *segment = cdn_calloc(1, sizeof(*segment));
    uint32_t first = s->segments_n == 0 || number < s->segments_first ? number : s->segments_first;
    uint32_t end = s->segments_n == 0 ? number : s->segments_first + s->segments_n - 1;
    uint32_t n = (number > end ? number : end) - first + 1;
    if (n != s->segments_n) {
        struct edge_segment **table = cdn_calloc(n, sizeof(struct edge_segment *));
        if (s->segments_n > 0) {
            memcpy(table + (s->segments_first - first), s->segments,
                   s->segments_n * sizeof(struct edge_segment *));
        }
        free(s->segments);
        s->segments = table;
        s->segments_n = n;
        s->segments_first = first;
    }
    segment->number = number;
    segment->bytes = bytes;
    s->segments[number - first] = segment;
    s->segments_bytes += bytes;
    s->segments_count++;
}

static void list_one(struct edge_store *s, int dir, const char *name)
{
    uint64_t number = 0;
    struct stat st;
    if (cdn_parse_u64(cdn_str(name), &number) && number > 0 && number < 1u << 31 &&
        fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
        table_add(s, (uint32_t)number,
                  ((uint64_t)st.st_size + EDGE_RECORD_UNIT - 1) & ~(uint64_t)(EDGE_RECORD_UNIT - 1));
        if (number > s->last_segment) {
            s->last_segment = (uint32_t)number;
        }
    } else if (name[0] != '.') {
        unlinkat(dir, name, 0);
    }
}

enum cdn_status edge_segments_open(struct edge_store *s, struct cdn_error *err)
{
    int dir = openat(s->dir, "segments", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = dir < 0 ? NULL : fdopendir(dir);
    if (!list) {
        int error = errno;
        if (dir >= 0) {
            close(dir);
        }
        return cdn_error_set(err, CDN_IO, "%s/segments: cannot be read: %s", s->path, strerror(error));
    }
    for (struct dirent *e; (e = readdir(list)) != NULL;) {
        list_one(s, dir, e->d_name);
    }
    closedir(list);
    const struct edge_segment *last = edge_segment_get(s, s->last_segment);
    s->current =
        last && last->bytes < s->segment_bytes / 2 ? s->last_segment : 0; /* restarts leave no crumbs */
    return CDN_OK;
}

void edge_segments_forget(struct edge_store *s)
{
    for (uint32_t i = 0; i < s->segments_n; i++) {
        if (s->segments[i]) {
            free(s->segments[i]->verified);
            free(s->segments[i]);
        }
    }
    free(CDN_TAKE(s->segments));
    s->segments_n = s->segments_first = 0;
    s->segments_bytes = s->segments_count = 0;
}

void edge_segments_close(struct edge_store *s)
{
    edge_segments_forget(s);
}

static enum cdn_status new_segment(struct edge_store *s)
{
    char name[32];
    uint32_t number = s->last_segment + 1;
    segment_name(number, name);
    int fd = openat(s->dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return edge_store_write_failed(s, name, errno);
    }
    close(fd);
    s->last_segment = s->current = number;
    cdn_lock_take(&s->lock);
    table_add(s, number, 0);
    cdn_lock_drop(&s->lock);
    return CDN_OK;
}

/* The segment to append `size` bytes to, and where in it. */
static enum cdn_status place(struct edge_store *s, uint64_t size, uint64_t *ret_at)
{
    cdn_lock_take(&s->lock);
    struct edge_segment *segment = s->current ? edge_segment_get(s, s->current) : NULL;
    uint64_t at = segment ? segment->bytes : 0;
    cdn_lock_drop(&s->lock);
    if (!segment || (at > 0 && at + size > s->segment_bytes)) {
        enum cdn_status status = new_segment(s);
        if (status != CDN_OK) {
            return status;
        }
        at = 0;
    }
    *ret_at = at;
    return CDN_OK;
}

static void verified_make(struct edge_store *s, struct edge_segment *segment)
{
    uint64_t bytes = segment->bytes > s->segment_bytes ? segment->bytes : s->segment_bytes;
    segment->verified_units = (uint32_t)(bytes / EDGE_RECORD_UNIT);
    segment->verified = cdn_calloc(segment->verified_units / 64 + 1, sizeof(uint64_t));
}

/* Under lock. */
static void verified_set(struct edge_store *s, const struct edge_store_location *l, bool on)
{
    struct edge_segment *segment = edge_segment_get(s, l->segment);
    if (segment && !segment->verified && on) {
        verified_make(s, segment);
    }
    if (segment && segment->verified && l->place < segment->verified_units) {
        uint64_t bit = UINT64_C(1) << (l->place % 64);
        uint64_t *word = &segment->verified[l->place / 64];
        *word = on ? *word | bit : *word & ~bit;
    }
}

static uint64_t text_size(const struct edge_record *r)
{
    return (uint64_t)r->key_n + r->meta_n;
}

/* What follows a record up to where the next one begins. */
static const char padding[EDGE_RECORD_UNIT];

static uint64_t gather(const struct edge_append *items, unsigned n, struct iovec *parts)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct edge_append *x = &items[i];
        const uint64_t text = text_size(&x->record);
        const uint64_t size = edge_record_size(text, x->record.body_n);
        *parts++ = (struct iovec){(void *)(uintptr_t)&x->record, sizeof(x->record)};
        *parts++ = (struct iovec){(void *)(uintptr_t)x->text, text};
        *parts++ = (struct iovec){(void *)(uintptr_t)x->body, x->record.body_n};
        *parts++ =
            (struct iovec){(void *)(uintptr_t)padding, size - sizeof(x->record) - text - x->record.body_n};
        bytes += size;
    }
    return bytes;
}

static enum cdn_status write_records(struct edge_store *s, const struct edge_append *items, unsigned n,
                                     uint64_t at)
{
    struct edge_store_ref *ref = NULL;
    enum cdn_status status = edge_descriptor_get(s, s->current, true, &ref);
    if (status != CDN_OK) {
        return status;
    }
    struct iovec parts[4 * EDGE_APPEND_MAX];
    const uint64_t bytes = gather(items, n, parts);
    ssize_t written = pwritev(ref->fd, parts, 4 * (int)n, (off_t)at);
    if (written != (ssize_t)bytes) {
        int error = written < 0 ? errno : ENOSPC; /* a short write is the last one that fits */
        if (ftruncate(ref->fd, (off_t)at) != 0) {
            s->current = 0; /* rubbish stays at its end: leave it alone, go on elsewhere */
        }
        status = edge_store_write_failed(s, "segment", error);
    }
    edge_descriptor_put(s, ref);
    return status;
}

static uint64_t seal(const struct edge_store *s, struct edge_append *x)
{
    struct edge_record *r = &x->record;
    r->magic = RECORD_MAGIC;
    r->state = EDGE_RECORD_LIVE;
    r->text_sum = XXH3_64bits(x->text, text_size(r));
    r->body_sum = XXH3_64bits(x->body, r->body_n);
    r->sum = head_sum(s, *r);
    return edge_record_size(text_size(r), r->body_n);
}

/* Under lock: the record lies at `at` now. */
static void appended(struct edge_store *s, struct edge_append *x, uint64_t at)
{
    const uint64_t text = text_size(&x->record);
    x->location = (struct edge_store_location){.id = x->record.id,
                                               .segment = s->current,
                                               .place = (uint32_t)(at / EDGE_RECORD_UNIT),
                                               .text = text & EDGE_STORE_TEXT_MAX,
                                               .body = x->record.body_n & EDGE_STORE_BODY_MAX};
    edge_segment_count(s, &x->location, true);
    verified_set(s, &x->location, true);
}

enum cdn_status edge_segment_append(struct edge_store *s, struct edge_append *items, unsigned n)
{
    uint64_t at;
    uint64_t size = 0;
    for (unsigned i = 0; i < n; i++) {
        size += seal(s, &items[i]);
    }
    enum cdn_status status = place(s, size, &at);
    if (status == CDN_OK) {
        status = write_records(s, items, n, at);
    }
    if (status != CDN_OK) {
        return status;
    }
    atomic_fetch_add_explicit(&s->written, size, memory_order_relaxed);
    cdn_lock_take(&s->lock);
    edge_segment_get(s, s->current)->bytes += size;
    s->segments_bytes += size;
    for (unsigned i = 0; i < n; i++) {
        appended(s, &items[i], at);
        at += edge_record_size(text_size(&items[i].record), items[i].record.body_n);
    }
    cdn_lock_drop(&s->lock);
    return CDN_OK;
}

uint64_t edge_segment_room(struct edge_store *s)
{
    cdn_lock_take(&s->lock);
    const struct edge_segment *segment = s->current ? edge_segment_get(s, s->current) : NULL;
    const uint64_t used = segment ? segment->bytes : 0;
    cdn_lock_drop(&s->lock);
    return used < s->segment_bytes ? s->segment_bytes - used : 0;
}

void edge_segment_count(struct edge_store *s, const struct edge_store_location *l, bool born)
{
    struct edge_segment *segment = edge_segment_get(s, l->segment);
    uint64_t size = edge_record_size(l->text, l->body);
    if (born) {
        s->live_bytes += size;
        if (segment) {
            segment->live += size;
        }
        return;
    }
    s->live_bytes -= size < s->live_bytes ? size : s->live_bytes;
    if (segment) {
        segment->live -= size < segment->live ? size : segment->live;
    }
}

void edge_segment_kill(struct edge_store *s, const struct edge_store_location *l)
{
    struct edge_store_ref *ref = NULL;
    struct edge_record r;
    const uint32_t dead = EDGE_RECORD_DEAD;
    edge_segment_verified_set(s, l, false);
    if (edge_descriptor_get(s, l->segment, true, &ref) != CDN_OK) {
        return;
    }
    if (pread(ref->fd, &r, sizeof(r), edge_record_offset(l)) == (ssize_t)sizeof(r) && r.id == l->id &&
        edge_record_valid(s, &r) &&
        pwrite(ref->fd, &dead, sizeof(dead),
               edge_record_offset(l) + (off_t)offsetof(struct edge_record, state)) != (ssize_t)sizeof(dead)) {
        edge_store_event(s, EDGE_STORE_WRITE_ERROR, "segment %" PRIu32 ": %s", l->segment, strerror(errno));
    }
    edge_descriptor_put(s, ref);
}

void edge_segment_delete(struct edge_store *s, uint32_t number)
{
    char name[32];
    segment_name(number, name);
    cdn_lock_take(&s->lock);
    struct edge_segment *segment = edge_segment_get(s, number);
    if (segment) {
        s->segments[number - s->segments_first] = NULL;
        s->segments_bytes -= segment->bytes;
        s->segments_count--;
        free(segment->verified);
        free(segment);
    }
    cdn_lock_drop(&s->lock);
    edge_descriptor_drop(s, number);
    unlinkat(s->dir, name, 0);
}

void edge_segments_missing(struct edge_store *s)
{
    for (uint32_t number = s->segments_first; number < s->segments_first + s->segments_n; number++) {
        char name[32];
        struct stat st;
        segment_name(number, name);
        if (edge_segment_get(s, number) && fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
            errno == ENOENT) {
            edge_store_event(s, EDGE_STORE_TORN, "segment %" PRIu32 ": was deleted", number);
            edge_segment_delete(s, number);
            s->current = s->current == number ? 0 : s->current;
            s->compaction.segment = s->compaction.segment == number ? 0 : s->compaction.segment;
        }
    }
}

bool edge_segment_verified(struct edge_store *s, const struct edge_store_location *l)
{
    cdn_lock_take(&s->lock);
    const struct edge_segment *segment = edge_segment_get(s, l->segment);
    bool on = segment && segment->verified && l->place < segment->verified_units &&
              (segment->verified[l->place / 64] >> (l->place % 64) & 1);
    cdn_lock_drop(&s->lock);
    return on;
}

void edge_segment_verified_set(struct edge_store *s, const struct edge_store_location *l, bool on)
{
    cdn_lock_take(&s->lock);
    verified_set(s, l, on);
    cdn_lock_drop(&s->lock);
}

bool edge_segment_next(struct edge_store *s, int fd, uint64_t end, uint64_t *at, struct edge_record *ret)
{
    for (; *at + sizeof(*ret) <= end; *at += EDGE_RECORD_UNIT) {
        if (pread(fd, ret, sizeof(*ret), (off_t)*at) != (ssize_t)sizeof(*ret)) {
            return false;
        }
        if (edge_record_valid(s, ret)) {
            return true;
        }
    }
    return false;
}
