/* Reclaiming space: what still lives in a mostly dead segment moves on, then the segment is deleted.
 *
 * Order that survives a crash: append the copies, change the rows, commit, wait until no reader can still
 * hold the old place, delete. A record is alive when its row points at it. */
#include "common/clock.h"
#include "common/lock.h"
#include "common/mem.h"
#include "common/status.h"
#include "edge/store/store.h"
#include "edge/store/store_index.h"
#include "edge/store/store_private.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/banned.h"

#define STEP_BYTES (4u << 20)

/* What of a segment is dead, in tenths of it, makes it worth emptying: always from six on, under pressure
 * from one. */
#define DEAD_ALWAYS 6u
#define DEAD_PRESSED 1u

static struct edge_segment *choose(struct edge_store *s)
{
    struct edge_segment *best = NULL;
    uint64_t disk = edge_store_disk_bytes(s);
    bool pressed = disk + 3 * s->segment_bytes > atomic_load(&s->budget);
    cdn_lock_take(&s->lock);
    for (uint32_t i = 0; s->loaded && i < s->segments_n; i++) {
        struct edge_segment *x = s->segments[i];
        if (!x || x->number == s->current || x->retire_ms) {
            continue;
        }
        uint64_t dead = x->bytes - (x->live < x->bytes ? x->live : x->bytes);
        bool worth = x->live == 0 || dead * 10 >= x->bytes * (pressed ? DEAD_PRESSED : DEAD_ALWAYS);
        if (worth && (!best || dead > best->bytes - (best->live < best->bytes ? best->live : best->bytes))) {
            best = x;
        }
    }
    cdn_lock_drop(&s->lock);
    return best;
}

static bool alive(struct edge_store *s, const struct edge_record *r, uint32_t segment, uint64_t at)
{
    uint32_t number = 0;
    uint32_t place = 0;
    return r->state == EDGE_RECORD_LIVE && edge_index_place(s->index, r->id, &number, &place) == CDN_OK &&
           number == segment && place == at / EDGE_RECORD_UNIT;
}

/* Drops what cannot be moved whole: its row goes, a later read says CDN_NOT_FOUND. */
static void lose(struct edge_store *s, const struct edge_store_location *l)
{
    edge_store_event(s, EDGE_STORE_CHECKSUM, "object %" PRIu64 " in segment %" PRIu32 ": damaged, not moved",
                     l->id, l->segment);
    if (edge_writer_begin(s)) {
        (void)edge_index_delete(s->index, l->id);
    }
    cdn_lock_take(&s->lock);
    edge_segment_count(s, l, false);
    s->objects -= s->objects > 0;
    cdn_lock_drop(&s->lock);
}

/* Copies may take most of what is kept free of other things, for they bring more back. */
static bool may_copy(struct edge_store *s, uint64_t size)
{
    const uint64_t budget = atomic_load(&s->budget);
    return edge_store_disk_bytes(s) + size + budget / 64 <= budget;
}

/* False: no room or no index to move to; try again later. */
static bool move(struct edge_store *s, int fd, const struct edge_record *r, uint32_t segment, uint64_t at)
{
    uint64_t text_n = (uint64_t)r->key_n + r->meta_n;
    struct edge_store_location from = {.id = r->id,
                                       .segment = segment,
                                       .place = (uint32_t)(at / EDGE_RECORD_UNIT),
                                       .text = text_n & EDGE_STORE_TEXT_MAX,
                                       .body = r->body_n & EDGE_STORE_BODY_MAX};
    CDN_AUTOFREE char *text = cdn_malloc(text_n);
    CDN_AUTOFREE char *body = cdn_malloc(r->body_n);
    struct iovec parts[] = {{text, text_n}, {body, r->body_n}};
    enum cdn_status status = edge_read_exactly(fd, parts, 2, (off_t)(at + sizeof(*r)), false);
    if (status != CDN_OK || XXH3_64bits(text, text_n) != r->text_sum ||
        XXH3_64bits(body, r->body_n) != r->body_sum) {
        lose(s, &from);
        return true;
    }
    struct edge_append copy = {.record = *r, .text = text, .body = body};
    if (!may_copy(s, edge_record_size(text_n, r->body_n)) || !edge_writer_begin(s) ||
        edge_segment_append(s, &copy, 1) != CDN_OK) {
        return false;
    }
    const struct edge_store_location to = copy.location;
    status = edge_index_move(s->index, r->id, to.segment, to.place);
    if (status != CDN_OK) {
        edge_writer_index_failed(s, status, "move");
        return false;
    }
    cdn_lock_take(&s->lock);
    edge_segment_count(s, &from, false);
    cdn_lock_drop(&s->lock);
    if (s->hooks.on_moved) {
        s->hooks.on_moved(s->hooks.self, &r->key_hash, &from, &to);
    }
    s->compaction.moved++;
    return true;
}

static void retire(struct edge_store *s, uint32_t number)
{
    cdn_lock_take(&s->lock);
    struct edge_segment *x = edge_segment_get(s, number);
    if (x) {
        x->retire_ms = cdn_clock_mono_ms() + EDGE_RETIRE_MS;
        x->retire_commit = s->commits + (s->commit_at != 0);
    }
    cdn_lock_drop(&s->lock);
    edge_store_event(s, EDGE_STORE_COMPACTED, "segment %" PRIu32 ": %" PRIu64 " objects moved", number,
                     s->compaction.moved);
    s->compaction.segment = 0;
}

/* Empties part of the segment under way. False: stuck. */
static bool empty_some(struct edge_store *s)
{
    struct edge_store_ref *ref = NULL;
    struct edge_record r;
    uint32_t number = s->compaction.segment;
    uint64_t budget = STEP_BYTES;
    cdn_lock_take(&s->lock);
    const struct edge_segment *x = edge_segment_get(s, number);
    uint64_t end = x && x->live > 0 ? x->bytes : 0;
    cdn_lock_drop(&s->lock);
    if (end == 0 || edge_descriptor_get(s, number, true, &ref) != CDN_OK) {
        retire(s, number);
        return true;
    }
    bool moved = true;
    bool found = true;
    while (budget > 0 && moved && (found = edge_segment_next(s, ref->fd, end, &s->compaction.at, &r))) {
        uint64_t size = edge_record_size((uint64_t)r.key_n + r.meta_n, r.body_n);
        moved = !alive(s, &r, number, s->compaction.at) || move(s, ref->fd, &r, number, s->compaction.at);
        s->compaction.at += moved ? size : 0;
        budget -= size < budget ? size : budget;
    }
    edge_descriptor_put(s, ref);
    if (!found) {
        retire(s, number);
    }
    return moved;
}

/* An emptied segment whose time has come at `now`, its rows being
 * committed: nothing points there any more. */
static uint32_t due(struct edge_store *s, int64_t now, bool *ret_waiting)
{
    uint32_t number = 0;
    cdn_lock_take(&s->lock);
    for (uint32_t i = 0; i < s->segments_n && !number; i++) {
        const struct edge_segment *x = s->segments[i];
        *ret_waiting |= x && x->retire_ms;
        bool over = x && x->retire_ms && x->retire_ms <= now && x->retire_commit <= s->commits;
        number = over ? x->number : 0;
    }
    cdn_lock_drop(&s->lock);
    return number;
}

/* False: there is nothing to empty. */
static bool step(struct edge_store *s)
{
    if (!s->index || s->index_broken) {
        return false;
    }
    if (!s->compaction.segment) {
        const struct edge_segment *x = choose(s);
        if (!x) {
            return false;
        }
        s->compaction.segment = x->number;
        s->compaction.at = 0;
        s->compaction.moved = 0;
    }
    return empty_some(s);
}

bool edge_compact_step(struct edge_store *s)
{
    bool waiting = false;
    uint32_t number = due(s, cdn_clock_mono_ms(), &waiting);
    if (number) {
        edge_segment_delete(s, number);
        return true;
    }
    return step(s) || waiting;
}

/* One segment is kept free for the copies. When there is no time, emptied segments are not left for late
 * readers: these find nothing, look for the new place or take it for a miss. */
bool edge_compact_make_room(struct edge_store *s, uint64_t size)
{
    bool more = true;
    while (more && !edge_store_has_room(s, size + s->segment_bytes)) {
        bool waiting = false;
        uint32_t number = due(s, INT64_MAX, &waiting);
        if (number) {
            edge_segment_delete(s, number);
        } else if (waiting && s->commit_at) {
            uint64_t before = s->commits;
            edge_writer_commit(s);
            more = s->commits > before;
        } else {
            more = step(s);
        }
    }
    return edge_store_has_room(s, size);
}
