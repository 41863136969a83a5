/* select: conditions, then Range, as RFC 9110 13.2.2 orders them, over values: what is asked and
 * what there is. Whether If-Range holds decides between part and whole, so both stand in one
 * function's reach. */
#include "origin/select.h"

#include "common/http/syntax/http_date.h"

#include "common/banned.h"

/* 0 when the preconditions hold, else 304 or 412. */
static unsigned precondition(const struct origin_representation *r, const struct origin_conditions *c)
{
    int64_t date;
    if (c->if_match.p) {
        if (!http_etag_list_match(c->if_match, &r->etag, true)) {
            return 412;
        }
    } else if (c->if_unmodified_since.p && http_date_parse(c->if_unmodified_since, &date) &&
               r->modified_s > date) {
        return 412;
    }
    if (c->if_none_match.p) {
        return http_etag_list_match(c->if_none_match, &r->etag, false) ? 304 : 0;
    }
    bool unchanged =
        c->if_modified_since.p && http_date_parse(c->if_modified_since, &date) && r->modified_s <= date;
    return unchanged ? 304 : 0;
}

/* RFC 9110 13.1.5: a strong ETag that matches, or the very Last-Modified when that is strong (8.8.2.2: a
 * second older than the answer, so no second change can hide behind it). */
static bool if_range_holds(const struct origin_representation *r, struct cdn_str value)
{
    struct http_etag tag;
    int64_t date;
    if (http_etag_parse(value, &tag)) {
        return http_etag_match_strong(&tag, &r->etag);
    }
    return http_date_parse(value, &date) && date == r->modified_s && r->now_s - r->modified_s >= 1;
}

static bool resolve(const struct http_range_spec *spec, uint64_t size, struct origin_part *ret)
{
    if (spec->first == HTTP_RANGE_OPEN) {
        if (spec->last == 0) {
            return false;
        }
        ret->first = spec->last < size ? size - spec->last : 0;
        ret->last = size - 1;
        return true;
    }
    if (spec->first >= size) {
        return false;
    }
    ret->first = spec->first;
    ret->last = spec->last < size ? spec->last : size - 1;
    return true;
}

/* Fills the parts that can be satisfied; the sum of their lengths saturates. */
static uint64_t resolve_all(const struct http_range_set *set, uint64_t size, struct origin_selection *ret)
{
    uint64_t sum = 0;
    ret->count = 0;
    for (unsigned i = 0; i < set->count; i++) {
        struct origin_part *part = &ret->part[ret->count];
        if (resolve(&set->spec[i], size, part)) {
            ret->count++;
            if (__builtin_add_overflow(sum, part->last - part->first + 1, &sum)) {
                sum = UINT64_MAX;
            }
        }
    }
    return sum;
}

static bool wants_suffix(const struct http_range_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->spec[i].first == HTTP_RANGE_OPEN && set->spec[i].last > 0) {
            return true;
        }
    }
    return false;
}

void origin_select(const struct origin_representation *r, const struct origin_conditions *c,
                   struct origin_selection *ret)
{
    ret->count = 0;
    ret->status = precondition(r, c);
    if (ret->status) {
        return;
    }
    ret->status = 200;
    struct http_range_set set;
    if (c->is_head || !c->range.p || !http_range_parse(c->range, &set) ||
        (c->if_range.p && !if_range_holds(r, c->if_range))) {
        return;
    }
    /* a suffix of nothing can be satisfied (RFC 9110 14.1.2), but no Content-Range can say so */
    if (r->size == 0 && wants_suffix(&set)) {
        return;
    }
    uint64_t sum = r->size ? resolve_all(&set, r->size, ret) : 0;
    if (ret->count == 0) {
        ret->status = 416;
    } else if (sum > r->size) { /* overlaps that ask for more than all of it: RFC 9110 17.15 */
        ret->count = 0;
    } else {
        ret->status = 206;
    }
}
