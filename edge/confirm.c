#include "edge/confirm.h"

#include "common/clock.h"
#include "edge/storable.h"
#include "edge/validate.h"

#include "common/banned.h"

static struct edge_cache *cache_of(const struct edge_fetch *f)
{
    return f->owner->edge->cache;
}

static bool same_vary(const struct edge_rep *rep, const struct edge_head *head)
{
    CDN_AUTOBUF struct cdn_buf spec = {0};
    return edge_vary_spec(head, &spec) && cdn_str_eq(cdn_buf_str(&spec), edge_rep_spec(rep));
}

/* Takes out what no-cache="..." and private="..." name, as when the answer was stored first. */
static bool drop_named(const struct edge_rules *rules, const struct edge_control *control,
                       struct edge_head **head)
{
    struct cdn_str drop[EDGE_DROP_MAX];
    struct http_field none[EDGE_DROP_MAX];
    struct edge_head *less;
    size_t n = edge_storable_drop(rules, control, drop, CDN_ARRAY_LEN(drop));
    for (size_t i = 0; i < n; i++) {
        none[i] = (struct http_field){drop[i], {NULL, 0}};
    }
    if (n == 0) {
        return true;
    }
    if (edge_head_with(*head, edge_head_status(*head), none, n, &less, NULL) != CDN_OK) {
        return false;
    }
    edge_head_destroy(*head);
    *head = less;
    return true;
}

/* What a stored response says after an update: a new reference. NULL when it may not be kept on these words:
 * then it is gone, except after an authorised request, whose answer does not say what others may get. */
static struct edge_rep *updated(struct edge_fetch *f, const struct edge_hold *old,
                                const struct http_fetch_head *h, int64_t now_ms)
{
    const struct edge_rules *rules = &edge_tuning_now(f->owner->edge)->rules;
    struct edge_store_request about = f->request.about;
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_head *head;
    struct edge_control control;
    struct edge_freshness fresh;
    if (edge_head_update(old->rep->head, h->fields, h->field_count, &head, NULL) != CDN_OK) {
        return NULL;
    }
    edge_control_read(rules, head, &scratch, &control);
    edge_freshness_compute(rules, head, &control, f->request_ms, now_ms, cdn_clock_offset_ms(), &fresh);
    fresh.received = old->rep->fresh.received;
    about.method = HTTP_GET;
    if (edge_store_reason_ok(edge_storable(rules, &about, head, &control, &fresh)) &&
        same_vary(old->rep, head) && drop_named(rules, &control, &head)) {
        return edge_rep_with(old->rep, head, &fresh, now_ms);
    }
    edge_head_destroy(head);
    if (!about.authorized) {
        edge_cache_remove(cache_of(f), old->object, EDGE_GHOST_EXPIRED);
    }
    return NULL;
}

bool edge_confirm_not_modified(struct edge_fetch *f, const struct http_fetch_head *h, int64_t now_ms)
{
    struct edge_hold *c = f->request.candidate;
    const struct edge_head *heads[EDGE_FETCH_CANDIDATES];
    for (unsigned i = 0; i < f->request.candidate_count; i++) {
        heads[i] = c[i].rep->head;
    }
    ptrdiff_t which = edge_validators_select(heads, f->request.candidate_count, h->fields, h->field_count);
    struct edge_rep *rep = which < 0 ? NULL : updated(f, &c[which], h, now_ms);
    if (!rep) {
        return false;
    }
    edge_rep_ref(rep);
    if (!edge_cache_refresh(cache_of(f), c[which].object, rep, f->purge_number)) {
        edge_rep_unref(rep);
        return false; /* purged meanwhile */
    }
    f->result = c[which];
    c[which] = c[--f->request.candidate_count];
    edge_rep_unref(f->result.rep);
    f->result.rep = rep;
    return true;
}

void edge_confirm_by_head(struct edge_fetch *f, const struct http_fetch_head *h, int64_t now_ms)
{
    const struct edge_hold *stored = &f->request.candidate[0];
    struct edge_rep *rep;
    if (edge_head_answer_matches(stored->rep->head, h->fields, h->field_count)) {
        rep = updated(f, stored, h, now_ms);
    } else {
        struct edge_freshness fresh = stored->rep->fresh;
        edge_freshness_soft_purge(&fresh, now_ms);
        rep = edge_rep_with(stored->rep, NULL, &fresh, stored->rep->stored_ms);
    }
    if (rep) {
        (void)edge_cache_refresh(cache_of(f), stored->object, rep, f->purge_number);
    }
}
