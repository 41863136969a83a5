/* cache_look: what is stored for a request. Each call takes the lock once and tells all that its caller
 * decides by; what was found is held by references and stays what it was, whatever others do afterwards.
 */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/object.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/validate.h"
#include "edge/semantics/vary.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

/* ---- selection (RFC 9111 4.1) ---- */

static bool decodable(const struct edge_rep *rep, const struct edge_vary_source *request)
{
    return edge_vary_takes_coding(rep->head, rep->fresh.despite, request);
}

static bool suits(const struct edge_rep *rep, const struct edge_vary_source *request, struct cdn_buf *scratch)
{
    cdn_buf_clear(scratch);
    return (rep->spec_length == 0 ||
            edge_vary_match(edge_rep_spec(rep), edge_rep_variant(rep), request, scratch)) &&
           decodable(rep, request);
}

bool edge_cache_rep_suits(const struct edge_rep *rep, const struct edge_vary_source *request)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    return suits(rep, request, &scratch);
}

/* The stored answer is in the language that the request wants most, though another request brought it. */
static bool suits_by_language(const struct edge_rep *rep, const struct edge_vary_source *request,
                              struct cdn_buf *scratch)
{
    struct cdn_str language;
    cdn_buf_clear(scratch);
    return rep && rep->spec_length && rep->whole < 0 &&
           edge_head_get_named(rep->head, CDN_STR("Content-Language"), &language) &&
           edge_vary_match_language(edge_rep_spec(rep), edge_rep_variant(rep), language, request, scratch) &&
           decodable(rep, request);
}

bool edge_cache_select_locked(struct edge_entry *entry, const struct edge_vary_source *request,
                              struct edge_hold *ret, bool *ret_others)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    *ret_others = false;
    for (struct edge_object *o = entry->objects; o; o = o->next) {
        const struct edge_rep *rep = atomic_load_explicit(&o->rep, memory_order_relaxed);
        if (!rep || rep->whole >= 0) {
            continue; /* asleep, or a part */
        }
        if (suits(rep, request, &scratch)) {
            return edge_cache_hold_locked(o, ret);
        }
        *ret_others = true;
    }
    for (struct edge_object *o = *ret_others ? entry->objects : NULL; o; o = o->next) {
        if (suits_by_language(atomic_load_explicit(&o->rep, memory_order_relaxed), request, &scratch)) {
            return edge_cache_hold_locked(o, ret);
        }
    }
    return false;
}

static bool select_part(struct edge_entry *entry, const struct edge_vary_source *request, uint64_t at,
                        const struct edge_head *like, struct edge_hold *ret)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    for (struct edge_object *o = entry->objects; o; o = o->next) {
        const struct edge_rep *rep = atomic_load_explicit(&o->rep, memory_order_relaxed);
        if (!rep || rep->whole < 0 ||
            (at != UINT64_MAX && (at < rep->first || at >= rep->first + edge_object_length(o))) ||
            (like && like != rep->head && !edge_validate_may_combine(like, rep->head))) {
            continue;
        }
        if (suits(rep, request, &scratch)) {
            return edge_cache_hold_locked(o, ret);
        }
    }
    return false;
}

/* ---- at one moment ---- */

static struct edge_moment moment_of(const struct edge_cache *c, const struct edge_entry *e)
{
    return (struct edge_moment){.purge_number = c->purge_number,
                                .published = atomic_load_explicit(&e->use->published, memory_order_relaxed)};
}

uint64_t edge_cache_purge_number(struct edge_cache *c)
{
    edge_cache_lock(c);
    const uint64_t number = c->purge_number;
    edge_cache_unlock(c);
    return number;
}

/* The newest object says Vary as the origin uses it now. */
static struct edge_rep *newest_of(const struct edge_entry *e)
{
    struct edge_rep *rep = e->objects ? atomic_load_explicit(&e->objects->rep, memory_order_relaxed) : NULL;
    return rep ? edge_rep_ref(rep) : NULL;
}

void edge_cache_look(struct edge_cache *c, struct cdn_str key, struct edge_entry **entry,
                     const struct edge_vary_source *request, int64_t now_ms, struct edge_stored *ret)
{
    struct edge_past past;
    *ret = (struct edge_stored){0};
    edge_cache_lock(c);
    struct edge_entry *e = *entry = *entry ? *entry : edge_cache_enter_locked(c, key);
    ret->asleep = edge_cache_asleep_locked(e);
    if (!ret->asleep) {
        edge_cache_past_locked(c, e, now_ms, &past);
        if (!edge_cache_select_locked(e, request, &ret->hold, &ret->others)) {
            ret->missing = past.missing;
        }
        ret->newest = newest_of(e);
        ret->failing = past.failing;
        ret->may_refresh = past.may_refresh;
        ret->parallel = past.parallel;
        ret->whole = edge_cache_whole_locked(c, e, now_ms);
        ret->moment = moment_of(c, e);
    }
    edge_cache_unlock(c);
}

bool edge_cache_select_part(struct edge_cache *c, struct edge_entry *e,
                            const struct edge_vary_source *request, uint64_t at, const struct edge_head *like,
                            struct edge_hold *ret, struct edge_moment *ret_moment)
{
    edge_cache_lock(c);
    const bool found = select_part(e, request, at, like, ret);
    if (ret_moment) {
        *ret_moment = moment_of(c, e);
    }
    edge_cache_unlock(c);
    return found;
}

/* Whether the origin may choose this other variant for the request: one that it accepts, and that was not
 * negotiated by another Accept-Encoding. A tag need not tell codings apart, so a 304 does not say which of
 * them is meant. */
static bool may_be_chosen(const struct edge_rep *rep, const struct edge_vary_source *request)
{
    CDN_AUTOBUF struct cdn_buf own = {0};
    if (rep->whole >= 0 || !edge_head_count(rep->head, EDGE_HEAD_ETAG) ||
        !edge_vary_takes_coding(rep->head, 0, request)) {
        return false;
    }
    edge_vary_key(edge_rep_spec(rep), request, &own);
    return edge_vary_same_encoding(edge_rep_spec(rep), edge_rep_variant(rep), cdn_buf_str(&own));
}

unsigned edge_cache_candidates(struct edge_cache *c, struct edge_entry *e, const struct edge_hold *selected,
                               const struct edge_vary_source *request, struct edge_hold *ret, unsigned max)
{
    unsigned count = 0;
    edge_cache_lock(c);
    if (selected->object && edge_cache_hold_locked(selected->object, &ret[0])) {
        count = 1;
    }
    for (struct edge_object *o = e->objects; o && count < max; o = o->next) {
        const struct edge_rep *rep = atomic_load_explicit(&o->rep, memory_order_relaxed);
        if (o != selected->object && rep && may_be_chosen(rep, request) &&
            edge_cache_hold_locked(o, &ret[count])) {
            count++;
        }
    }
    edge_cache_unlock(c);
    return count;
}

/* ---- the story of a key ---- */

static void tell_objects(const struct edge_entry *e, int64_t now_ms, struct edge_story *ret)
{
    size_t room = 0;
    for (const struct edge_object *o = e->objects; o; o = o->next) {
        room++;
    }
    ret->rep = cdn_calloc(room + 1, sizeof(struct edge_rep *));
    for (struct edge_object *o = e->objects; o; o = o->next) {
        struct edge_rep *rep = atomic_load_explicit(&o->rep, memory_order_relaxed);
        if (rep) { /* else it fell asleep again */
            ret->rep[ret->count++] = edge_rep_ref(rep);
            json_array_append_new(ret->about, edge_cache_describe_locked(o, now_ms));
        }
    }
}

void edge_cache_story(struct edge_cache *c, struct cdn_str key, int64_t now_ms, struct edge_story *ret)
{
    struct edge_past past;
    *ret = (struct edge_story){.entry = edge_cache_enter(c, key), .about = json_array()};
    edge_cache_wake(c, ret->entry, NULL, NULL);
    edge_cache_lock(c);
    tell_objects(ret->entry, now_ms, ret);
    edge_cache_past_locked(c, ret->entry, now_ms, &past);
    ret->missing = past.missing;
    ret->unstorable = past.unstorable;
    ret->why = past.why;
    ret->parallel = past.parallel;
    ret->whole = edge_cache_whole_locked(c, ret->entry, now_ms);
    edge_cache_unlock(c);
}

void edge_story_free(struct edge_cache *c, struct edge_story *story)
{
    for (size_t i = 0; i < story->count; i++) {
        edge_rep_unref(story->rep[i]);
    }
    free(story->rep);
    json_decref(story->about);
    edge_cache_leave(c, story->entry);
    *story = (struct edge_story){0};
}
