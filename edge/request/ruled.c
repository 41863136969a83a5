/* ruled: methods, redirects, passing and cookies, before the cache is asked. A rule that says nothing of
 * these costs a test or two. */
#include "edge/request/ruled.h"

#include "common/config/config.h"
#include "common/http/server/http_server.h"
#include "common/str.h"
#include "edge/request/deliver.h"
#include "edge/request/guarded.h"
#include "edge/request/preflight.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/cause.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"
#include "edge/site/target.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

static enum edge_step refuse_method(struct edge_txn *t)
{
    const struct cdn_config_list *methods = &t->target.rule->settings.methods;
    CDN_AUTOBUF struct cdn_buf allow = {0};
    cdn_buf_add_str(&allow, CDN_STR("Allow: "));
    for (size_t i = 0; i < methods->n; i++) {
        cdn_buf_printf(&allow, "%s%s", i ? ", " : "", methods->items[i].key);
    }
    return edge_deliver_error_with(t, 405, "the site's rule does not allow this method", allow.p);
}

/* 308 keeps the method (RFC 9110 15.4.9). */
static enum edge_step redirect(struct edge_txn *t)
{
    CDN_AUTOBUF struct cdn_buf location = {0};
    struct cdn_str host = t->target.host;
    const struct cdn_str name = host.n && host.p[0] == '[' ? host : cdn_str_cut(&host, ':');
    cdn_buf_printf(&location, "Location: https://" CDN_STR_FMT CDN_STR_FMT, CDN_STR_ARG(name),
                   CDN_STR_ARG(t->target.path));
    const char *const fields[] = {location.p, NULL};
    http_respond_text(t->http, 308, "text/plain", CDN_STR(""), fields);
    t->status = 308;
    return EDGE_STEP_DONE;
}

static bool has_own_cookie(struct edge_txn *t)
{
    CDN_AUTOBUF struct cdn_buf cookies = {0};
    if (!t->target.rule->filters_cookies || !t->http->field[HTTP_REQ_COOKIE].p) {
        return false;
    }
    edge_txn_cookies(t, &cookies);
    return edge_rule_has_own_cookie(t->target.rule, cdn_buf_str(&cookies));
}

bool edge_ruled_refuses(struct edge_txn *t)
{
    const struct edge_rule *rule = t->target.rule;
    return (rule->checks && (!edge_rule_allows_method(rule, t->http->method_name) ||
                             (rule->settings.redirect && !t->target.secure))) ||
           edge_guarded_refuses(t);
}

enum edge_step edge_ruled_begin(struct edge_txn *t)
{
    const struct edge_rule *rule = t->target.rule;
    const enum edge_step preflight = edge_preflight(t);
    if (preflight != EDGE_STEP_LOOKUP) {
        return preflight;
    }
    if (rule->checks && !edge_rule_allows_method(rule, t->http->method_name)) {
        return refuse_method(t);
    }
    if (rule->settings.redirect && !t->target.secure && !t->for_edge) {
        return redirect(t);
    }
    if (edge_guarded_refuses(t)) {
        return edge_guarded_answer(t);
    }
    if (rule->settings.pass) {
        return edge_txn_pass(t, EDGE_CAUSE_BYPASS_RULE);
    }
    return has_own_cookie(t) ? edge_txn_pass(t, EDGE_CAUSE_BYPASS_COOKIE) : EDGE_STEP_LOOKUP;
}
