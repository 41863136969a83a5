/* validate: entity tags decide before dates, as RFC 9110 13.2.2 has it. A tag in which only one
 * side is weak still selects a stored answer for an update, because servers weaken tags when they
 * compress; where bytes are put together (edge_validate_may_combine) only a strong one counts. */
#include "edge/semantics/validate.h"

#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field.h"
#include "common/mem.h"

#include "common/banned.h"

void edge_validators_read(const struct edge_head *head, struct edge_validators *ret)
{
    struct http_etag tag;
    int64_t date;
    struct cdn_str etag = edge_head_get(head, EDGE_HEAD_ETAG);
    struct cdn_str modified = edge_head_get(head, EDGE_HEAD_LAST_MODIFIED);
    *ret = (struct edge_validators){0};
    if (etag.p && http_etag_parse(etag, &tag)) {
        ret->etag = etag;
    }
    if (modified.p && http_date_parse(modified, &date)) {
        ret->last_modified = modified;
    }
}

static bool head_etag(const struct edge_head *head, struct http_etag *ret)
{
    struct cdn_str value = edge_head_get(head, EDGE_HEAD_ETAG);
    return value.p && http_etag_parse(value, ret);
}

static bool is_among(struct cdn_str etag, struct cdn_str list)
{
    struct cdn_str element;
    while (http_list_next(&list, &element)) {
        if (cdn_str_eq(element, etag)) {
            return true;
        }
    }
    return false;
}

bool edge_validators_join(const struct edge_head *const *heads, size_t count, struct cdn_buf *into)
{
    size_t from = into->n;
    for (size_t i = 0; i < count; i++) {
        struct edge_validators v;
        edge_validators_read(heads[i], &v);
        if (v.etag.p && !is_among(v.etag, cdn_str_sub(cdn_buf_str(into), from))) {
            if (into->n > from) {
                cdn_buf_add(into, ", ", 2);
            }
            cdn_buf_add_str(into, v.etag);
        }
    }
    return into->n > from;
}

static ptrdiff_t select_by_etag(const struct edge_head *const *heads, size_t count,
                                const struct http_etag *tag)
{
    struct http_etag stored;
    for (size_t i = 0; i < count; i++) {
        if (head_etag(heads[i], &stored) && http_etag_match_strong(&stored, tag)) {
            return (ptrdiff_t)i;
        }
    }
    /* Also where only one side is weak: servers weaken the tag of a body they compress but not that of its
     * 304, and what was asked (If-None-Match) compares weakly. */
    for (size_t i = 0; i < count; i++) {
        if (head_etag(heads[i], &stored) && http_etag_match_weak(&stored, tag)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

ptrdiff_t edge_validators_select(const struct edge_head *const *heads, size_t count,
                                 const struct http_field *fields, size_t field_count)
{
    struct cdn_str value, stored;
    struct http_etag tag;
    if (http_fields_find(fields, field_count, CDN_STR("ETag"), &value) > 0 && http_etag_parse(value, &tag)) {
        ptrdiff_t i = select_by_etag(heads, count, &tag);
        struct http_etag own;
        /* a stored response without a tag cannot contradict the new one */
        return i < 0 && count == 1 && !head_etag(heads[0], &own) ? 0 : i;
    }
    if (http_fields_find(fields, field_count, CDN_STR("Last-Modified"), &value) > 0) {
        for (size_t i = 0; i < count; i++) {
            stored = edge_head_get(heads[i], EDGE_HEAD_LAST_MODIFIED);
            if (stored.p && cdn_str_eq(stored, cdn_str_trim(value))) {
                return (ptrdiff_t)i;
            }
        }
        return count == 1 && !edge_head_get(heads[0], EDGE_HEAD_LAST_MODIFIED).p ? 0 : -1;
    }
    return count == 1 ? 0 : -1;
}

bool edge_validate_head_answer(const struct edge_head *stored, const struct http_field *fields, size_t count)
{
    static const enum edge_head_field compared[] = {EDGE_HEAD_CONTENT_LENGTH, EDGE_HEAD_ETAG,
                                                    EDGE_HEAD_LAST_MODIFIED};
    for (size_t i = 0; i < CDN_ARRAY_LEN(compared); i++) {
        struct cdn_str fresh, old = edge_head_get(stored, compared[i]);
        if (old.p &&
            http_fields_find(fields, count, cdn_str(edge_head_field_name(compared[i])), &fresh) > 0 &&
            !cdn_str_eq(old, cdn_str_trim(fresh))) {
            return false;
        }
    }
    return true;
}

/* Is the Last-Modified of `head` strong: did the origin date the answer `gap_s` later at least (RFC
 * 9110 8.8.2.2)? */
static bool modified_is_strong(const struct edge_head *head, int64_t gap_s)
{
    struct cdn_str modified = edge_head_get(head, EDGE_HEAD_LAST_MODIFIED),
                   date = edge_head_get(head, EDGE_HEAD_DATE);
    int64_t m, d;
    return modified.p && date.p && http_date_parse(modified, &m) && http_date_parse(date, &d) &&
           d - m >= gap_s;
}

bool edge_validate_may_combine(const struct edge_head *stored, const struct edge_head *fresh)
{
    struct http_etag a, b;
    bool has_a = head_etag(stored, &a), has_b = head_etag(fresh, &b);
    CDN_AUTOBUF struct cdn_buf coding_a = {0};
    CDN_AUTOBUF struct cdn_buf coding_b = {0};
    edge_head_join(stored, EDGE_HEAD_CONTENT_ENCODING,
                   &coding_a); /* some origins have one tag for all codings */
    edge_head_join(fresh, EDGE_HEAD_CONTENT_ENCODING, &coding_b);
    if (!cdn_str_eq_nocase(cdn_buf_str(&coding_a), cdn_buf_str(&coding_b))) {
        return false;
    }
    if (has_a || has_b) {
        return has_a && has_b && http_etag_match_strong(&a, &b);
    }
    /* a minute, not the one second that suffices: clocks of several servers differ, and wrong bytes are worse
     * than more */
    return modified_is_strong(stored, 60) && modified_is_strong(fresh, 60) &&
           cdn_str_eq(edge_head_get(stored, EDGE_HEAD_LAST_MODIFIED),
                      edge_head_get(fresh, EDGE_HEAD_LAST_MODIFIED));
}

bool edge_validate_if_range(struct cdn_str if_range, const struct edge_head *head)
{
    struct http_etag wanted, stored;
    int64_t date, modified;
    if (http_etag_parse(if_range, &wanted)) {
        return head_etag(head, &stored) && http_etag_match_strong(&wanted, &stored);
    }
    struct cdn_str value = edge_head_get(head, EDGE_HEAD_LAST_MODIFIED);
    return value.p && http_date_parse(if_range, &date) && http_date_parse(value, &modified) &&
           date == modified && modified_is_strong(head, 1);
}

/* When the stored representation changed last, as far as a cache can say (RFC 9111 4.3.2). */
static int64_t changed_at(const struct edge_head *head, int64_t response_ms)
{
    int64_t s = response_ms / 1000;
    struct cdn_str modified = edge_head_get(head, EDGE_HEAD_LAST_MODIFIED),
                   date = edge_head_get(head, EDGE_HEAD_DATE);
    if (modified.p && http_date_parse_at(modified, response_ms / 1000, &s)) {
        return s;
    }
    if (date.p) {
        (void)http_date_parse_at(date, response_ms / 1000, &s);
    }
    return s;
}

static bool fails(const struct edge_conditions *c, const struct edge_head *head, int64_t response_ms)
{
    struct http_etag tag;
    int64_t limit, modified;
    if (c->if_match.p) {
        return !http_etag_list_match(c->if_match, head_etag(head, &tag) ? &tag : NULL, true);
    }
    struct cdn_str value = edge_head_get(head, EDGE_HEAD_LAST_MODIFIED);
    return c->if_unmodified_since.p && value.p &&
           http_date_parse_at(c->if_unmodified_since, response_ms / 1000, &limit) &&
           http_date_parse_at(value, response_ms / 1000, &modified) && modified > limit;
}

static bool not_modified(const struct edge_conditions *c, const struct edge_head *head, int64_t response_ms)
{
    struct http_etag tag;
    int64_t since;
    if (c->if_none_match.p) {
        return http_etag_list_match(c->if_none_match, head_etag(head, &tag) ? &tag : NULL, false);
    }
    return c->if_modified_since.p && http_date_parse_at(c->if_modified_since, response_ms / 1000, &since) &&
           changed_at(head, response_ms) <= since;
}

enum edge_condition edge_conditions_decide(const struct edge_conditions *c, const struct edge_head *head,
                                           bool is_get, int64_t response_ms, bool *ret_use_range)
{
    unsigned status = edge_head_status(head);
    bool range_counts = is_get && c->range.p && (status == 200 || status == 206);
    *ret_use_range = false;
    if (status >= 200 && status < 300) {
        if (fails(c, head, response_ms)) {
            return EDGE_CONDITION_FAILED;
        }
        if (not_modified(c, head, response_ms)) {
            return EDGE_CONDITION_NOT_MODIFIED;
        }
    }
    *ret_use_range = range_counts && (!c->if_range.p || edge_validate_if_range(c->if_range, head));
    return EDGE_CONDITION_PASS;
}

bool edge_validate_field_in_not_modified(enum edge_head_field f, struct cdn_str name)
{
    static const struct cdn_str metadata[] = {{"Content-", 8}, {"Digest", 6}, {"Repr-Digest", 11}};
    if (f == EDGE_HEAD_CONTENT_LOCATION || cdn_str_eq_nocase(name, CDN_STR("Content-Security-Policy"))) {
        return true;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(metadata); i++) {
        if (name.n >= metadata[i].n &&
            cdn_str_eq_nocase((struct cdn_str){name.p, metadata[i].n}, metadata[i])) {
            return false;
        }
    }
    return true;
}
