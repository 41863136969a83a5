/* decorate: what is added to an answer is in it before the hot table may keep it, so that a hit costs nothing
 * more. What is taken away is never put in (serve.c). */
#include "edge/request/decorate.h"

#include "common/config/config.h"
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/request/txn.h"
#include "edge/semantics/head.h"
#include "edge/semantics/key.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"
#include "edge/site/shield.h"
#include "edge/site/target.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

/* Fonts, scripts and styles with a content-hashed name are for pages of any origin: browsers ask for fonts
 * and modules with CORS, and a name that says its bytes has no secrets. */
static bool is_open_by_default(const struct edge_txn *t)
{
    static const struct cdn_str ends[] = {{".js", 3},   {".mjs", 4}, {".css", 4}, {".woff2", 6},
                                          {".woff", 5}, {".ttf", 4}, {".otf", 4}};
    struct cdn_str digits;
    const struct cdn_str path = edge_key_path(t->target.key);
    for (size_t i = 0; i < CDN_ARRAY_LEN(ends); i++) {
        if (path.n > ends[i].n && cdn_str_eq(cdn_str_sub(path, path.n - ends[i].n), ends[i])) {
            return edge_key_hashed(path, &digits);
        }
    }
    return false;
}

struct origin_search {
    const struct edge_rule *rule;
    const char *found;
};

static bool find_origin(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct origin_search *s = arg;
    const char *listed =
        cdn_str_eq_nocase(name, CDN_STR("Origin")) ? edge_rule_cors_origin(s->rule, value) : NULL;
    s->found = listed ? listed : s->found;
    return true;
}

static void add_cors(struct edge_txn *t, const struct edge_head *head, struct http_head *into)
{
    const struct edge_rule *rule = t->target.rule;
    const struct cdn_str allow = CDN_STR("Access-Control-Allow-Origin");
    struct cdn_str theirs;
    if (rule->cors_listed) {
        struct origin_search s = {.rule = rule};
        http_request_each_field(t->http, find_origin, &s);
        http_head_add(into, CDN_STR("Vary"), CDN_STR("Origin"));
        if (s.found) {
            http_head_add(into, allow, cdn_str(s.found));
        }
    } else if (rule->cors_any || (!rule->settings.cors.n && is_open_by_default(t) &&
                                  !edge_head_get_named(head, allow, &theirs))) {
        http_head_add(into, allow, CDN_STR("*"));
    }
}

void edge_decorate(struct edge_txn *t, const struct edge_head *head, struct http_head *into)
{
    const struct edge_rule_settings *s = &t->target.rule->settings;
    const struct cdn_config_list *lists[] = {&s->fields_set, &s->fields_add};
    for (size_t k = 0; k < CDN_ARRAY_LEN(lists); k++) {
        for (size_t i = 0; i < lists[k]->n; i++) {
            http_head_add(into, cdn_str(lists[k]->items[i].key), cdn_str(lists[k]->items[i].value));
        }
    }
    add_cors(t, head, into);
    if (t->for_edge) {
        char state[EDGE_SHIELD_STATE_SIZE];
        edge_shield_state_write(&t->seen, state);
        http_head_add(into, CDN_STR(EDGE_SHIELD_STATE), cdn_str(state));
    }
}
