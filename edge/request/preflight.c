/* preflight: what is asked for is allowed when the page's origin is one of the rule's: which fields a request
 * may have is the origin's to judge, and browsers send no cookies where the answer does not say so. */
#include "edge/request/preflight.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/str.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

#define FIELDS_MAX 2048u /* bytes of Access-Control-Request-Headers that are repeated */

struct question {
    struct cdn_str origin, method, fields; /* p NULL: not there */
};

static bool read_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct question *q = arg;
    if (cdn_str_eq_nocase(name, CDN_STR("Origin"))) {
        q->origin = value;
    } else if (cdn_str_eq_nocase(name, CDN_STR("Access-Control-Request-Method"))) {
        q->method = value;
    } else if (cdn_str_eq_nocase(name, CDN_STR("Access-Control-Request-Headers")) && value.n <= FIELDS_MAX) {
        q->fields = value;
    }
    return true;
}

static enum edge_step answer(struct edge_txn *t, const struct question *q)
{
    const struct edge_rule *rule = t->target.rule;
    const bool allowed = (rule->cors_any || edge_rule_cors_origin(rule, q->origin)) &&
                         edge_rule_allows_method(rule, q->method);
    CDN_AUTOBUF struct cdn_buf origin = {0};
    CDN_AUTOBUF struct cdn_buf methods = {0};
    CDN_AUTOBUF struct cdn_buf fields = {0};
    const struct cdn_str told = rule->cors_any ? CDN_STR("*") : q->origin;
    cdn_buf_printf(&origin, "Access-Control-Allow-Origin: " CDN_STR_FMT, CDN_STR_ARG(told));
    cdn_buf_printf(&methods, "Access-Control-Allow-Methods: " CDN_STR_FMT, CDN_STR_ARG(q->method));
    cdn_buf_printf(&fields, "Access-Control-Allow-Headers: " CDN_STR_FMT, CDN_STR_ARG(q->fields));
    const char *lines[] = {"Cache-Control: no-store", "Vary: Origin", NULL, NULL, NULL, NULL, NULL};
    size_t n = 2;
    if (allowed) {
        lines[n++] = origin.p;
        lines[n++] = methods.p;
        lines[n++] = "Access-Control-Max-Age: 600";
        lines[n++] = q->fields.n ? fields.p : NULL;
    }
    http_respond_text(t->http, 204, "text/plain", CDN_STR(""), lines);
    t->status = 204;
    return EDGE_STEP_DONE;
}

enum edge_step edge_preflight(struct edge_txn *t)
{
    const struct edge_rule *rule = t->target.rule;
    struct question q = {0};
    if (t->http->method != HTTP_OPTIONS || !(rule->cors_any || rule->cors_listed)) {
        return EDGE_STEP_LOOKUP;
    }
    http_request_each_field(t->http, read_field, &q);
    return q.origin.n && q.method.n ? answer(t, &q) : EDGE_STEP_LOOKUP;
}
