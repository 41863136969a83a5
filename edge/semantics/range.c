/* range: ranges that overlap or nearly touch are merged as they are read, so that a thousand
 * overlapping ones cannot make the edge send the object a thousand times. Extents are kept sorted
 * and merged too, so that whether a stretch is there is one search. */
#include "edge/semantics/range.h"

#include "common/mem.h"
#include "common/mix.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define GAP_JOINED 80u /* ranges closer than this are one part: the framing between them would be longer */

bool edge_range_resolve(const struct http_range_spec *spec, uint64_t complete_length, struct edge_range *ret)
{
    if (complete_length == 0) {
        return false;
    }
    if (spec->first == HTTP_RANGE_OPEN) {
        if (spec->last == 0) {
            return false;
        }
        *ret = (struct edge_range){spec->last < complete_length ? complete_length - spec->last : 0,
                                   complete_length - 1};
        return true;
    }
    if (spec->first >= complete_length) {
        return false;
    }
    *ret = (struct edge_range){spec->first, spec->last < complete_length ? spec->last : complete_length - 1};
    return true;
}

static bool is_near(const struct edge_range *a, const struct edge_range *b)
{
    const struct edge_range *low = a->first <= b->first ? a : b, *high = low == a ? b : a;
    return high->first <= low->last || high->first - low->last <= GAP_JOINED;
}

static struct edge_range hull(struct edge_range a, struct edge_range b)
{
    return (struct edge_range){a.first < b.first ? a.first : b.first, a.last > b.last ? a.last : b.last};
}

/* Adds `r` to disjoint parts, swallowing those it touches; it stands where the first of them stood. */
static unsigned add_part(struct edge_range *parts, unsigned count, struct edge_range r)
{
    unsigned at = count;
    for (unsigned i = 0; i < count;) {
        if (!is_near(&parts[i], &r)) {
            i++;
            continue;
        }
        r = hull(parts[i], r);
        at = i < at ? i : at;
        memmove(&parts[i], &parts[i + 1], (count - i - 1) * sizeof(*parts));
        count--;
        i = 0; /* the larger part may touch earlier ones */
        at = at > count ? count : at;
    }
    memmove(&parts[at + 1], &parts[at], (count - at) * sizeof(*parts));
    parts[at] = r;
    return count + 1;
}

static uint64_t mix(uint64_t x)
{
    return cdn_mix64(x + CDN_MIX_STEP);
}

static uint64_t multiple_length(const struct edge_range_plan *plan)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    uint64_t n = 0;
    for (unsigned i = 0; i < plan->count; i++) {
        edge_range_part_head(plan, i, &text);
        n += edge_range_length(&plan->part[i]);
    }
    edge_range_part_head(plan, plan->count, &text);
    return n + text.n;
}

static void set_whole(struct edge_range_plan *plan)
{
    plan->kind = EDGE_RANGE_WHOLE;
    plan->count = plan->complete_length > 0;
    plan->part[0] = (struct edge_range){0, plan->complete_length > 0 ? plan->complete_length - 1 : 0};
    plan->body_length = plan->complete_length;
}

void edge_range_plan(struct cdn_str range, uint64_t complete_length, struct cdn_str content_type,
                     uint64_t seed, struct edge_range_plan *ret)
{
    struct edge_range parts[HTTP_RANGE_MAX + 1], r;
    struct http_range_set set;
    unsigned count = 0;
    *ret = (struct edge_range_plan){.complete_length = complete_length, .content_type = content_type};
    set_whole(ret);
    if (!range.p || !http_range_parse(range, &set)) {
        return;
    }
    for (unsigned i = 0; i < set.count; i++) {
        if (edge_range_resolve(&set.spec[i], complete_length, &r)) {
            count = add_part(parts, count, r);
        } else if (complete_length == 0 && set.spec[i].first == HTTP_RANGE_OPEN && set.spec[i].last > 0) {
            return; /* the last bytes of nothing: satisfiable, but no Content-Range can say so (RFC
                       9110 14.1.2) */
        }
    }
    if (count > EDGE_RANGE_PARTS_MAX) {
        return;
    }
    ret->count = count;
    memcpy(ret->part, parts, count * sizeof(*parts));
    if (count == 0) {
        ret->kind = EDGE_RANGE_UNSATISFIABLE;
        ret->body_length = 0;
    } else if (count == 1) {
        ret->kind = EDGE_RANGE_SINGLE;
        ret->body_length = edge_range_length(&parts[0]);
    } else {
        ret->kind = EDGE_RANGE_MULTIPLE;
        (void)snprintf(ret->boundary, sizeof(ret->boundary), "%016" PRIx64 "%016" PRIx64, mix(seed),
                       mix(seed ^ mix(complete_length)));
        ret->body_length = multiple_length(ret);
    }
}

void edge_range_part_head(const struct edge_range_plan *plan, unsigned i, struct cdn_buf *into)
{
    if (i >= plan->count) {
        cdn_buf_printf(into, "\r\n--%s--\r\n", plan->boundary);
        return;
    }
    cdn_buf_printf(into, "\r\n--%s\r\n", plan->boundary);
    if (plan->content_type.p) {
        cdn_buf_add(into, "Content-Type: ", 14);
        cdn_buf_add_str(into, plan->content_type);
        cdn_buf_add(into, "\r\n", 2);
    }
    cdn_buf_printf(into, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
                   plan->part[i].first, plan->part[i].last, plan->complete_length);
}

bool edge_range_piece(const struct edge_range_plan *plan, uint64_t at, struct cdn_buf *text,
                      uint64_t *ret_from, uint64_t *ret_n)
{
    *ret_n = *ret_from = 0;
    for (unsigned i = 0; i < plan->count + (plan->kind == EDGE_RANGE_MULTIPLE); i++) {
        CDN_AUTOBUF struct cdn_buf head = {0};
        if (plan->kind == EDGE_RANGE_MULTIPLE) {
            edge_range_part_head(plan, i, &head);
        }
        if (at < head.n) {
            cdn_buf_add_str(text, cdn_str_sub(cdn_buf_str(&head), at));
            return true;
        }
        at -= head.n;
        uint64_t length = i < plan->count ? edge_range_length(&plan->part[i]) : 0;
        if (at < length) {
            *ret_from = plan->part[i].first + at;
            *ret_n = length - at;
            return true;
        }
        at -= length;
    }
    return false;
}

void edge_range_content_range(const struct edge_range_plan *plan, char out[static HTTP_CONTENT_RANGE_SIZE])
{
    struct http_content_range r = {.complete_length = (int64_t)plan->complete_length,
                                   .unsatisfied = plan->kind == EDGE_RANGE_UNSATISFIABLE,
                                   .first = plan->part[0].first,
                                   .last = plan->part[0].last};
    http_content_range_format(&r, out);
}

void edge_range_content_type(const struct edge_range_plan *plan, char out[static HTTP_CONTENT_RANGE_SIZE])
{
    (void)snprintf(out, HTTP_CONTENT_RANGE_SIZE, "multipart/byteranges; boundary=%s", plan->boundary);
}

void edge_range_request(const struct edge_range *r, uint64_t complete_length,
                        char out[static HTTP_CONTENT_RANGE_SIZE])
{
    if (complete_length > 0 && r->last + 1 >= complete_length) {
        (void)snprintf(out, HTTP_CONTENT_RANGE_SIZE, "bytes=%" PRIu64 "-", r->first);
    } else {
        (void)snprintf(out, HTTP_CONTENT_RANGE_SIZE, "bytes=%" PRIu64 "-%" PRIu64, r->first, r->last);
    }
}

/* Index of the first extent that ends at `at` or after it. */
static unsigned extent_find(const struct edge_extents *e, uint64_t at)
{
    unsigned low = 0, high = e->count;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        if (e->item[mid].last < at) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

enum cdn_status edge_extents_add(struct edge_extents *e, struct edge_range r)
{
    if (r.last < r.first || r.last == UINT64_MAX) {
        return CDN_INVALID;
    }
    unsigned from = extent_find(e, r.first > 0 ? r.first - 1 : 0), to = from;
    while (to < e->count && e->item[to].first <= r.last + 1) {
        r = hull(e->item[to++], r);
    }
    if (to == from && e->count == EDGE_EXTENTS_MAX) {
        return CDN_TOO_LARGE;
    }
    if (to == from && e->count == e->_room) {
        e->_room = e->_room ? e->_room * 2 : 4;
        e->item = cdn_realloc(e->item, e->_room, sizeof(*e->item));
    }
    memmove(&e->item[from + 1], e->item + to, (e->count - to) * sizeof(*e->item));
    e->item[from] = r;
    e->count = e->count - (to - from) + 1;
    return CDN_OK;
}

bool edge_extents_cover(const struct edge_extents *e, struct edge_range r)
{
    unsigned i = extent_find(e, r.first);
    return i < e->count && e->item[i].first <= r.first && e->item[i].last >= r.last;
}

bool edge_extents_complete(const struct edge_extents *e, uint64_t complete_length)
{
    return complete_length == 0 || edge_extents_cover(e, (struct edge_range){0, complete_length - 1});
}

bool edge_extents_first_missing(const struct edge_extents *e, struct edge_range r, struct edge_range *ret)
{
    unsigned i = extent_find(e, r.first);
    if (i < e->count && e->item[i].first <= r.first) {
        if (e->item[i].last >= r.last) {
            return false;
        }
        r.first = e->item[i++].last + 1;
    }
    if (i < e->count && e->item[i].first <= r.last) {
        r.last = e->item[i].first - 1;
    }
    *ret = r;
    return true;
}

uint64_t edge_extents_reach(const struct edge_extents *e, uint64_t at)
{
    unsigned i = extent_find(e, at);
    return i < e->count && e->item[i].first <= at ? e->item[i].last + 1 : at;
}

uint64_t edge_extents_bytes(const struct edge_extents *e)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < e->count; i++) {
        n += edge_range_length(&e->item[i]);
    }
    return n;
}

void edge_extents_clear(struct edge_extents *e)
{
    free(e->item);
    *e = (struct edge_extents){0};
}

void edge_extents_format(const struct edge_extents *e, struct cdn_buf *into)
{
    for (unsigned i = 0; i < e->count; i++) {
        cdn_buf_printf(into, "%s%" PRIu64 "-%" PRIu64, i ? "," : "", e->item[i].first, e->item[i].last);
    }
}

enum cdn_status edge_extents_parse(struct cdn_str text, struct edge_extents *e, struct cdn_error *err)
{
    struct edge_extents read = {0};
    while (text.p && (text.n > 0 || read.count > 0)) {
        struct cdn_str part = cdn_str_cut(&text, ','), first = cdn_str_cut(&part, '-');
        struct edge_range r;
        bool behind = read.count == 0;
        if (!part.p || !cdn_parse_u64(first, &r.first) || !cdn_parse_u64(part, &r.last) ||
            (!behind && r.first <= read.item[read.count - 1].last + 1) ||
            edge_extents_add(&read, r) != CDN_OK) {
            edge_extents_clear(&read);
            return cdn_error_set(err, CDN_CORRUPT, "stored byte extents are damaged");
        }
    }
    edge_extents_clear(e);
    *e = read;
    return CDN_OK;
}
