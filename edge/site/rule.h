/* rule: what one path rule of a site says, ready for use: its settings (rule_settings.h) parsed and joined
 * with what the edge's own settings say of what it leaves open.
 *
 * A rule belongs to its site (site.h) and never changes. Pure but for the origins, which are shared and have
 * figures of their own (origin.h).
 */
#ifndef CDN_EDGE_RULE_H
#define CDN_EDGE_RULE_H
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/site/guard.h"
#include "edge/site/rule_settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edge_page;
struct edge_site;

enum edge_host_sent { EDGE_HOST_ORIGIN, EDGE_HOST_CLIENT, EDGE_HOST_NAME };

/* What the edge's settings say, for what rules leave open. All borrowed. */
struct edge_rule_defaults {
    struct edge_rules rules;
    enum edge_query_mode query;
    const struct cdn_config_list *query_allow, *query_ignore;
    struct cdn_str origin;      /* "": none */
    struct cdn_str origin_host; /* as the setting: "origin", "client" or a name */
    struct edge_origins *origins;
    const struct edge_page *page; /* for errors; NULL: ours */
    struct edge_page **pages;     /* those of the rules */
    struct edge_rates rates;
};

struct edge_rule {
    const struct edge_site *site;
    struct edge_rule_settings settings; /* owned */
    char *place;                        /* "cdn.yaml:12"; "--origin" of the one rule by flags */
    size_t number;                      /* in its site, from 1 */
    /* which paths */
    char *prefix; /* as in keys */
    struct cdn_str *extension;
    size_t extension_count; /* 0: any */
    char *extension_text;
    /* what is done with them */
    struct edge_rules rules;
    struct edge_query_policy query;
    struct cdn_str *query_allow, *query_ignore;
    struct edge_origin **origin;
    unsigned origin_count;
    enum edge_host_sent host_sent;
    char *host; /* with EDGE_HOST_NAME */
    uint16_t *failover;
    unsigned failover_count;
    char *key_names;              /* a Vary spec (vary.h): fields, "cookie;NAME" for cookies; "": none */
    const struct edge_page *page; /* for errors; NULL: ours */
    struct edge_guard guard;      /* who may have it, and how often */
    bool filters_cookies;
    bool rewrites_cookies; /* that, or some of them sign the request */
    bool checks;           /* requests: by method, scheme or pass (gate.c) */
    bool changes_request, changes_answer;
    bool cors_any, cors_listed; /* else: not said, or off */
    bool never_hot;             /* what is answered depends on more than the hot table looks at */
    bool hot_without_cookie;    /* only requests that have none are answered from there */
};

/* `from`: where each setting came from; NULL: the rule does not say it. `inherited`: its site said it; NULL:
 * none. Takes what `settings` owns. CDN_INVALID names file, line and key. */
enum cdn_status edge_rule_create(struct edge_rule *ret, struct edge_rule_settings *settings,
                                 char *const *from, const bool *inherited, const char *place,
                                 const char *name, const struct edge_rule_defaults *defaults,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void edge_rule_free(struct edge_rule *rule);

bool edge_rule_matches(const struct edge_rule *rule, struct cdn_str path); /* without the query */
/* Whether every path of `rule` is one of `earlier`, which comes before it. */
bool edge_rule_is_hidden(const struct edge_rule *rule, const struct edge_rule *earlier);
/* Whether an answer's own field of that name is left out. */
bool edge_rule_replaces(const struct edge_rule *rule, struct cdn_str name);
/* Whether the rule's next origin is asked after an answer with this status. */
bool edge_rule_fails_over(const struct edge_rule *rule, unsigned status);
/* A page's origin as the rule's `cors` lists it; NULL: it does not. */
const char *edge_rule_cors_origin(const struct edge_rule *rule, struct cdn_str origin);
bool edge_rule_allows_method(const struct edge_rule *rule, struct cdn_str method);
/* Its origins are in use, and checked as it says: when the rules come into force. */
void edge_rule_use_origins(const struct edge_rule *rule);
/* How the origins do: UP when one of them does. */
enum edge_origin_state edge_rule_origin_state(const struct edge_rule *rule);

/* ---- cookies ---- */

/* The value of a cookie of that name in a Cookie field; false: none. The first of several. */
bool edge_rule_cookie_find(struct cdn_str cookies, struct cdn_str name, struct cdn_str *ret);
/* Appends the cookies that go to the origin. */
void edge_rule_cookies(const struct edge_rule *rule, struct cdn_str cookies, struct cdn_buf *into);
/* Whether one of them is kept for its owner alone (and not as a part of the key). */
bool edge_rule_has_own_cookie(const struct edge_rule *rule, struct cdn_str cookies);

#endif
