/* range: ranges that overlap or nearly touch are merged as they are read, so that a thousand
 * overlapping ones cannot make the edge send the object a thousand times. */
#include "edge/semantics/range.h"

#include "common/mix.h"

#include <inttypes.h>
#include <stdio.h>
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
