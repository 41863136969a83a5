/* explain_now: the stored answer is chosen by the functions that choose for requests, with the fields of the
 * question in place of a client's. */
#include "edge/control/explain_now.h"

#include "common/config/config.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/accept.h"
#include "edge/base/settings.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/semantics/vary.h"
#include "edge/site/explain.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct asking {
    struct edge *edge;
    struct edge_explain_source source;
    struct edge_explain_question question;
    struct edge_target target;
    char key[EDGE_KEY_MAX];
};

/* In the form in which the origin is asked (upstream.c). */
static bool get(void *asking, struct cdn_str name, struct cdn_buf *into)
{
    struct asking *a = asking;
    const struct edge_accept *accept = &a->edge->accept;
    CDN_AUTOBUF struct cdn_buf sent = {0};
    const bool any = edge_explain_get(&a->source, name, &sent);
    const struct cdn_str value = any ? cdn_buf_str(&sent) : (struct cdn_str){0};
    if (!accept->encoding_as_sent && cdn_str_eq_nocase(name, CDN_STR("Accept-Encoding"))) {
        edge_accept_encoding_write(accept, value, into);
        return true;
    }
    if (accept->languages->n && cdn_str_eq_nocase(name, CDN_STR("Accept-Language"))) {
        return edge_accept_language_write(accept, value, into);
    }
    cdn_buf_add_str(into, value.p ? value : CDN_STR(""));
    return any;
}

static json_t *tell_stored(struct asking *a, const struct edge_rep *rep)
{
    const struct edge_rule *rule = a->target.rule;
    struct edge_request_control control;
    CDN_AUTOBUF struct cdn_buf cc = {0};
    CDN_AUTOBUF struct cdn_buf pragma = {0};
    const bool said = edge_explain_get(&a->source, CDN_STR("Cache-Control"), &cc);
    const bool old = edge_explain_get(&a->source, CDN_STR("Pragma"), &pragma);
    edge_request_control_read(said ? cdn_buf_str(&cc) : (struct cdn_str){0},
                              old ? cdn_buf_str(&pragma) : (struct cdn_str){0}, &control);
    const int64_t now = a->question.now_ms;
    const enum edge_reuse reuse = edge_reuse_decide(&rule->rules, &rep->fresh, &control, EDGE_ORIGIN_UP,
                                                    atomic_load(&a->edge->unsynced), now);
    const enum edge_cause cause = edge_cause_of_stored(reuse, &rep->fresh);
    const char *next = reuse == EDGE_REUSE_FRESH  ? "HIT"
                       : edge_reuse_serves(reuse) ? "STALE"
                                                  : "asks the origin";
    return json_pack("{s:b, s:s, s:s, s:s, s:I, s:I}", "found", true, "next", next, "cause",
                     edge_cause_word(cause), "because", edge_cause_meaning(cause), "age_s",
                     (json_int_t)edge_freshness_age(&rep->fresh, now), "ttl_s",
                     (json_int_t)edge_freshness_left(&rep->fresh, now));
}

static json_t *tell_now(struct asking *a)
{
    const struct edge_vary_source source = {get, a, cdn_str(a->target.rule->key_names)};
    struct edge_story s;
    json_t *now = NULL;
    edge_cache_story(a->edge->cache, a->target.key, a->question.now_ms, &s);
    for (size_t i = 0; !now && i < s.count; i++) {
        if (s.rep[i]->whole < 0 && edge_cache_rep_suits(s.rep[i], &source)) {
            now = tell_stored(a, s.rep[i]);
        }
    }
    if (!now) {
        const enum edge_cause cause = s.count        ? EDGE_CAUSE_VARY
                                      : s.unstorable ? edge_cause_of_unstorable(s.why)
                                                     : s.missing;
        now = json_pack("{s:b, s:s, s:s, s:s}", "found", false, "next", "MISS", "cause",
                        edge_cause_word(cause), "because", edge_cause_meaning(cause));
    }
    edge_story_free(a->edge->cache, &s);
    return now;
}

enum cdn_status edge_explain_now(struct edge *edge, const json_t *question, int64_t now_ms, json_t **ret,
                                 struct cdn_error *err)
{
    struct asking *a = cdn_calloc(1, sizeof(*a));
    enum cdn_status status = edge_explain_read(question, &a->question, err);
    if (status == CDN_OK) {
        a->edge = edge;
        a->question.sites = &edge_tuning_now(edge)->sites;
        a->question.now_ms = now_ms;
        status = edge_explain(&a->question, a->key, &a->target, ret, err);
    }
    if (status == CDN_OK) {
        a->source = (struct edge_explain_source){&a->question, a->target.rule};
        json_object_set_new(*ret, "edge", json_string(edge->settings.name));
        /* a body or an address that no question has is keyed: then nobody can say */
        if (!cdn_str_eq(a->question.method, CDN_STR("QUERY")) &&
            !strstr(a->target.rule->key_names, "cdn-client-")) {
            json_object_set_new(*ret, "now", tell_now(a));
        }
    }
    free(a);
    return status;
}
