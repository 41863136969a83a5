#include "edge/control/why.h"

#include "common/mem.h"
#include "edge/request/txn.h"
#include "edge/cache/cache.h"

#include "common/banned.h"

/* Lines of text as an array. */
static json_t *lines_of(struct cdn_str text)
{
    json_t *lines = json_array();
    struct cdn_str rest = text;
    while (rest.p) {
        struct cdn_str line = cdn_str_trim(cdn_str_cut(&rest, '\n'));
        if (line.n) {
            json_array_append_new(lines, json_stringn(line.p, line.n));
        }
    }
    return lines;
}

static json_t *tell_object(struct edge *edge, const struct edge_object *o, int64_t now_ms)
{
    json_t *j = edge_cache_describe_locked(o, now_ms);
    const struct edge_rep *rep = atomic_load(&((struct edge_object *)(uintptr_t)o)->rep);
    CDN_AUTOBUF struct cdn_buf text = {0};
    edge_freshness_explain(&rep->fresh, now_ms, &text);
    json_object_set_new(j, "freshness", lines_of(cdn_buf_str(&text)));
    enum edge_reuse reuse = edge_reuse_decide(&edge_tuning_now(edge)->rules, &rep->fresh, NULL,
                                              EDGE_ORIGIN_UP, atomic_load(&edge->unsynced), now_ms);
    json_object_set_new(j, "next_request", json_string(edge_reuse_word(reuse)));
    json_object_set_new(j, "next_cause", json_string(edge_cause_word(edge_stored_cause(reuse, &rep->fresh))));
    json_object_set_new(j, "next_serves", json_boolean(edge_reuse_serves(reuse)));
    return j;
}

static void tell_missing(struct edge *edge, const struct edge_entry *e, int64_t now_ms, json_t *story)
{
    enum edge_cause cause = edge_cache_missing_locked(edge->cache, e);
    enum edge_store_reason why;
    bool passes = false;
    if (edge_cache_unstorable_locked(edge->cache, e, now_ms, &why, &passes)) {
        cause = edge_unstorable_cause(why);
        json_object_set_new(story, "unstorable", json_string(edge_store_reason_word(why)));
        json_object_set_new(story, "unstorable_by", json_sprintf("RFC %s", edge_store_reason_section(why)));
    }
    if (passes) {
        json_object_set_new(
            story, "passing",
            json_string("the last answer may not be stored; requests do not wait for each other"));
    }
    const enum edge_whole whole = edge_cache_whole_locked(edge->cache, e, now_ms);
    if (whole != EDGE_WHOLE_UNKNOWN) {
        json_object_set_new(story, "ranges", json_string(edge_cause_word(EDGE_CAUSE_RANGE_IGNORED)));
        json_object_set_new(
            story, "ranges_because",
            json_string(whole == EDGE_WHOLE_KEEPABLE
                            ? "the origin answers a range with the whole, so that is asked for"
                            : "the origin answers a range with the whole, for which there is no room"));
    }
    json_object_set_new(story, "missing", json_string(edge_cause_word(cause)));
    json_object_set_new(story, "because", json_string(edge_cause_meaning(cause)));
}

static json_t *tell_entry(struct edge *edge, struct cdn_str key, int64_t now_ms)
{
    json_t *objects = json_array();
    json_t *story = json_pack("{s:o, s:o}", "key", json_stringn(key.p, key.n), "stored", objects);
    edge_cache_lock(edge->cache);
    struct edge_entry *e = edge_cache_enter_locked(edge->cache, key);
    edge_cache_unlock(edge->cache);
    edge_cache_wake(edge->cache, e, NULL, NULL);
    edge_cache_lock(edge->cache);
    for (const struct edge_object *o = e->objects; o; o = o->next) {
        json_array_append_new(objects, tell_object(edge, o, now_ms));
    }
    if (!e->objects) {
        tell_missing(edge, e, now_ms, story);
    }
    json_object_set_new(story, "fetching", json_boolean(e->use->fetches != NULL));
    edge_cache_leave_locked(edge->cache, e);
    edge_cache_unlock(edge->cache);
    return story;
}

static enum edge_key_error tell_url(struct edge *edge, struct cdn_str url, bool secure, int64_t now_ms,
                                    json_t **ret)
{
    char into[EDGE_KEY_MAX];
    struct edge_target t;
    enum edge_key_error e = edge_target_of_url(&edge->naming, url, secure, into, &t);
    *ret = e == EDGE_KEY_OK ? tell_entry(edge, t.key, now_ms) : NULL;
    return e;
}

static bool has_stored(const json_t *story)
{
    return json_array_size(json_object_get(story, "stored")) > 0;
}

/* A path does not say its scheme: that of the listener, unless something is stored for the other alone. */
enum cdn_status edge_why(struct edge *edge, struct cdn_str url, int64_t now_ms, json_t **ret,
                         struct cdn_error *err)
{
    struct edge_key_parts parts;
    json_t *other = NULL;
    const bool whole = edge_key_split(url, &parts);
    const bool secure = whole ? parts.secure : edge->certificate.certificate != NULL;
    enum edge_key_error e = tell_url(edge, url, secure, now_ms, ret);
    if (e != EDGE_KEY_OK) {
        return cdn_error_set(err, CDN_INVALID, "why: \"" CDN_STR_FMT "\": %s", CDN_STR_ARG(url),
                             edge_key_error_text(e));
    }
    if (!whole && !has_stored(*ret) && tell_url(edge, url, !secure, now_ms, &other) == EDGE_KEY_OK &&
        has_stored(other)) {
        json_decref(*ret);
        *ret = CDN_TAKE(other);
    }
    json_decref(other);
    return CDN_OK;
}
