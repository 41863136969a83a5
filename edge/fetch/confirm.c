/* confirm: an update is for all, for the leader alone (cookies, fields that are somebody's), or
 * for all with more for the leader; sort_fields parts the lines, and the rest follows from that.
 * It makes a new representation and swaps it in, as readers hold the old one without a lock. */
#include "edge/fetch/confirm.h"

#include "common/clock.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch_private.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/validate.h"
#include "edge/semantics/vary.h"
#include "edge/site/rule.h"

#include <stddef.h>
#include <stdlib.h>

#include "common/banned.h"

static struct edge_cache *cache_of(const struct edge_fetch *f)
{
    return f->owner->edge->cache;
}

/* Takes out what no-cache="..." and private="..." name, as when the answer was stored first. */
static bool drop_named(const struct edge_rules *rules, const struct edge_control *control,
                       struct edge_head **head)
{
    struct cdn_str drop[EDGE_DROP_MAX];
    struct http_field none[EDGE_DROP_MAX];
    struct edge_head *less;
    size_t n = edge_storable_drop(rules, *head, control, drop, CDN_ARRAY_LEN(drop));
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

/* The fields of the answer by whom they are for, with the Vary of the stored answer where the new one adds
 * nothing to it: servers add Vary to a body that they compress, and not to its 304. */
struct sorted {
    struct http_field *shared, *personal;
    size_t shared_count, personal_count;
    bool wider; /* Vary names something new */
    bool any;   /* Vary: * */
};

static bool is_vary(const struct http_field *f)
{
    return cdn_str_eq_nocase(f->name, CDN_STR("Vary"));
}

static void sort_fields(const struct edge_rules *rules, const struct edge_rep *old,
                        const struct http_fetch_head *h, struct sorted *ret)
{
    const bool replay = rules->set_cookie == EDGE_SET_COOKIE_REPLAY;
    *ret = (struct sorted){.shared = cdn_malloc((h->field_count + 1) * sizeof(*ret->shared)),
                           .personal = cdn_malloc((h->field_count + 1) * sizeof(*ret->personal))};
    for (size_t i = 0; i < h->field_count; i++) {
        const struct http_field *f = &h->fields[i];
        if (edge_storable_field_is_personal(edge_head_field_find(f->name), f->name, replay)) {
            ret->personal[ret->personal_count++] = *f;
        } else if (is_vary(f)) {
            ret->any |= http_list_has_token(f->value, CDN_STR("*"));
            ret->wider |= !edge_vary_covers(edge_rep_spec(old), f->value);
        } else {
            ret->shared[ret->shared_count++] = *f;
        }
    }
}

/* Both Varies in one line. */
static void join_vary(const struct edge_rep *old, const struct http_fetch_head *h, struct cdn_buf *into)
{
    edge_head_join(old->head, EDGE_HEAD_VARY, into);
    for (size_t i = 0; i < h->field_count; i++) {
        if (is_vary(&h->fields[i])) {
            cdn_buf_add_str(into, into->n ? CDN_STR(", ") : CDN_STR(""));
            cdn_buf_add_str(into, h->fields[i].value);
        }
    }
}

/* The updated head as a representation: of the variant that the origin was asked about, if Vary names more
 * than before. NULL when the request did not select the old one: then its key cannot be told. The head is
 * consumed. */
static struct edge_rep *as_rep(struct edge_fetch *f, const struct edge_rep *old, struct edge_head *head,
                               const struct edge_freshness *fresh, int64_t now_ms, bool wider)
{
    struct edge_vary_fields from = {f->request.fields.item, f->request.fields.count};
    struct edge_vary_source source = {edge_fetch_sent_get, &from, cdn_str(f->request.rule->key_names)};
    CDN_AUTOBUF struct cdn_buf spec = {0};
    CDN_AUTOBUF struct cdn_buf variant = {0};
    if (!wider) {
        return edge_rep_with(old, head, fresh, now_ms);
    }
    if (!edge_cache_rep_suits(old, &source) ||
        !edge_vary_spec(head, cdn_str(f->request.rule->key_names), &spec)) {
        edge_head_destroy(head);
        return NULL;
    }
    edge_vary_key(cdn_buf_str(&spec), &source, &variant);
    struct edge_rep *rep = edge_rep_create(head, fresh, now_ms, cdn_buf_str(&spec), cdn_buf_str(&variant));
    rep->first = old->first;
    rep->whole = old->whole;
    return rep;
}

/* What an update says to the leader: `rep` with further fields. */
static struct edge_rep *for_leader(const struct edge_rep *rep, const struct http_field *fields, size_t count)
{
    struct edge_head *head;
    return edge_head_update(rep->head, fields, count, &head, NULL) == CDN_OK
               ? edge_rep_with(rep, head, &rep->fresh, rep->stored_ms)
               : NULL;
}

/* The updated response, or NULL when it may not be stored on these words. */
static struct edge_rep *for_all(struct edge_fetch *f, const struct edge_rules *rules,
                                const struct edge_rep *old, const struct sorted *fields, int64_t now_ms)
{
    struct edge_store_request about = f->request.about;
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_head *head;
    struct edge_control control;
    struct edge_freshness fresh;
    if (fields->any ||
        edge_head_update(old->head, fields->shared, fields->shared_count, &head, NULL) != CDN_OK) {
        return NULL;
    }
    edge_control_read(rules, head, &scratch, &control);
    edge_freshness_compute(rules, head, &control, f->request_ms, now_ms, cdn_clock_offset_ms(), &fresh);
    fresh.received = old->fresh.received;
    fresh.despite = old->fresh.despite;
    fresh.promise = old->fresh.promise;
    about.method = HTTP_GET;
    about.has_cookie = true; /* cookies are for the leader: they do not hinder */
    if (!edge_store_reason_ok(edge_storable(rules, &about, head, &control, &fresh)) ||
        !drop_named(rules, &control, &head)) {
        edge_head_destroy(head);
        return NULL;
    }
    return as_rep(f, old, head, &fresh, now_ms, fields->wider);
}

/* What a stored response says after an update: a new reference; NULL when it may not be stored on these
 * words, which are for the leader then, and leave what is stored as it is. *ret_leader: what differs for the
 * leader, or NULL. */
static struct edge_rep *updated(struct edge_fetch *f, const struct edge_hold *old,
                                const struct http_fetch_head *h, int64_t now_ms, struct edge_rep **ret_leader)
{
    const struct edge_rules *rules = &f->request.rule->rules;
    CDN_AUTOBUF struct cdn_buf vary = {0};
    struct sorted fields;
    sort_fields(rules, old->rep, h, &fields);
    if (fields.wider) {
        join_vary(old->rep, h, &vary);
        fields.shared[fields.shared_count++] = (struct http_field){CDN_STR("Vary"), cdn_buf_str(&vary)};
    }
    struct edge_rep *rep = for_all(f, rules, old->rep, &fields, now_ms);
    if (!rep) {
        *ret_leader = for_leader(old->rep, h->fields, h->field_count);
    } else if (fields.personal_count) {
        *ret_leader = for_leader(rep, fields.personal, fields.personal_count);
    }
    free(fields.shared);
    free(fields.personal);
    return rep;
}

bool edge_confirm_not_modified(struct edge_fetch *f, const struct http_fetch_head *h, int64_t now_ms)
{
    struct edge_hold *c = f->request.candidate;
    const struct edge_head *heads[EDGE_FETCH_CANDIDATES];
    struct edge_rep *leader = NULL;
    for (unsigned i = 0; i < f->request.candidate_count; i++) {
        heads[i] = c[i].rep->head;
    }
    ptrdiff_t which = edge_validators_select(heads, f->request.candidate_count, h->fields, h->field_count);
    struct edge_rep *rep = which < 0 ? NULL : updated(f, &c[which], h, now_ms, &leader);
    if (!rep && !leader) {
        return false;
    }
    if (rep) {
        edge_rep_ref(rep);
        if (!edge_cache_refresh(cache_of(f), c[which].object, rep, f->purge_number)) {
            edge_rep_unref(rep);
            edge_rep_unref(leader);
            return false; /* purged meanwhile */
        }
    }
    f->leader_rep = leader;
    f->leader_only = !rep;
    f->result = c[which];
    c[which] = c[--f->request.candidate_count];
    if (rep) {
        edge_rep_unref(f->result.rep);
        f->result.rep = rep;
    }
    return true;
}

/* Whether a GET answered so would be for others, too. */
static bool is_for_others(const struct edge_fetch *f)
{
    const struct edge_rules *rules = &f->request.rule->rules;
    struct edge_store_request about = f->request.about;
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_control control;
    edge_control_read(rules, f->rep->head, &scratch, &control);
    about.method = HTTP_GET;
    const enum edge_store_reason r = edge_storable(rules, &about, f->rep->head, &control, &f->rep->fresh);
    return edge_store_reason_ok(r) || r == EDGE_STORE_NO_FRESHNESS;
}

/* RFC 9111 4.3.5, with the care of 3.5: what one client is told does not make a stored answer stale. */
void edge_confirm_by_head(struct edge_fetch *f, const struct http_fetch_head *h, int64_t now_ms)
{
    const struct edge_hold *stored = &f->request.candidate[0];
    struct edge_rep *rep;
    struct edge_rep *leader = NULL; /* gets the answer itself */
    if (!is_for_others(f)) {
        return;
    }
    if (edge_validate_head_answer(stored->rep->head, h->fields, h->field_count)) {
        rep = updated(f, stored, h, now_ms, &leader);
        edge_rep_unref(leader);
    } else {
        struct edge_freshness fresh = stored->rep->fresh;
        edge_freshness_soft_purge(&fresh, now_ms);
        rep = edge_rep_with(stored->rep, NULL, &fresh, stored->rep->stored_ms);
    }
    if (rep) {
        (void)edge_cache_refresh(cache_of(f), stored->object, rep, f->purge_number);
    }
}
