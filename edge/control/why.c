/* why: asks the functions that decide for requests (edge_reuse_decide, edge_cause_of_stored) instead
 * of telling their rules again, so what is told is what the next request gets. */
#include "edge/control/why.h"

#include "common/mem.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/semantics/storable.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

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

static void tell_object(struct edge *edge, const struct edge_rule *rule, const struct edge_rep *rep,
                        int64_t now_ms, json_t *j)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    edge_freshness_explain(&rep->fresh, now_ms, &text);
    json_object_set_new(j, "freshness", lines_of(cdn_buf_str(&text)));
    enum edge_reuse reuse = edge_reuse_decide(&rule->rules, &rep->fresh, NULL, EDGE_ORIGIN_UP,
                                              atomic_load(&edge->unsynced), now_ms);
    json_object_set_new(j, "next_request", json_string(edge_reuse_word(reuse)));
    json_object_set_new(j, "next_cause",
                        json_string(edge_cause_word(edge_cause_of_stored(reuse, &rep->fresh))));
    json_object_set_new(j, "next_serves", json_boolean(edge_reuse_serves(reuse)));
}

static void tell_missing(const struct edge_story *s, json_t *into)
{
    enum edge_cause cause = s->missing;
    if (s->unstorable) {
        cause = edge_cause_of_unstorable(s->why);
        json_object_set_new(into, "unstorable", json_string(edge_store_reason_word(s->why)));
        json_object_set_new(into, "unstorable_by", json_sprintf("RFC %s", edge_store_reason_section(s->why)));
    }
    if (s->unstorable && s->parallel) {
        json_object_set_new(
            into, "passing",
            json_string("the last answer may not be stored; requests do not wait for each other"));
    }
    if (s->whole != EDGE_WHOLE_UNKNOWN) {
        json_object_set_new(into, "ranges", json_string(edge_cause_word(EDGE_CAUSE_RANGE_IGNORED)));
        json_object_set_new(
            into, "ranges_because",
            json_string(s->whole == EDGE_WHOLE_KEEPABLE
                            ? "the origin answers a range with the whole, so that is asked for"
                            : "the origin answers a range with the whole, for which there is no room"));
    }
    json_object_set_new(into, "missing", json_string(edge_cause_word(cause)));
    json_object_set_new(into, "because", json_string(edge_cause_meaning(cause)));
}

static json_t *tell_entry(struct edge *edge, const struct edge_rule *rule, struct cdn_str key, int64_t now_ms)
{
    struct edge_story s;
    edge_cache_story(edge->cache, key, now_ms, &s);
    for (size_t i = 0; i < s.count; i++) {
        tell_object(edge, rule, s.rep[i], now_ms, json_array_get(s.about, i));
    }
    json_t *story = json_pack("{s:o, s:O}", "key", json_stringn(key.p, key.n), "stored", s.about);
    if (!s.count) {
        tell_missing(&s, story);
    }
    json_object_set_new(story, "fetching", json_boolean(edge_fetch_is_running(s.entry)));
    edge_story_free(edge->cache, &s);
    return story;
}

static enum edge_key_error tell_url(struct edge *edge, struct cdn_str url, bool secure, int64_t now_ms,
                                    json_t **ret)
{
    char into[EDGE_KEY_MAX];
    struct edge_target t;
    enum edge_key_error e = edge_target_of_url(&edge_tuning_now(edge)->sites, url, secure, into, &t);
    e = e == EDGE_KEY_OK && !t.rule ? EDGE_KEY_RULE : e;
    *ret = e == EDGE_KEY_OK ? tell_entry(edge, t.rule, t.key, now_ms) : NULL;
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
    const bool secure = whole ? parts.secure : edge->tls != NULL;
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
