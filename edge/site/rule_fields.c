/* rule_fields: what a rule says of fields, of origins that may read its answers, of methods and of cookies.
 * What would look as if it did something, and does nothing, is refused. */
#include "common/config/config.h"
#include "common/http/syntax/http_field.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/semantics/outgoing.h"
#include "edge/site/rule.h"
#include "edge/site/rule_private.h"
#include "edge/site/rule_settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/banned.h"

/* ---- fields ---- */

static bool is_written_here(struct cdn_str name)
{
    static const struct cdn_str fixed[] = {{"Content-Length", 14},
                                           {"Transfer-Encoding", 17},
                                           {"Connection", 10},
                                           {"Host", 4},
                                           {"Keep-Alive", 10},
                                           {"Upgrade", 7},
                                           {"Trailer", 7},
                                           {"TE", 2},
                                           {"Age", 3},
                                           {"Via", 3},
                                           {"Content-Range", 13},
                                           {"Content-Encoding", 16},
                                           {"Range", 5},
                                           {"CDN-Loop", 8},
                                           {"Cache-Status", 12},
                                           {"X-Cache", 7}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(fixed); i++) {
        if (cdn_str_eq_nocase(name, fixed[i])) {
            return true;
        }
    }
    return false;
}

/* Fields of the answer, or of the request to the origin. */
static bool is_fixed(enum edge_rule_row row, struct cdn_str name)
{
    const bool request = row == EDGE_RULE_ROW_request_set || row == EDGE_RULE_ROW_request_add ||
                         row == EDGE_RULE_ROW_request_remove;
    return is_written_here(name) ||
           (request && (edge_outgoing_is_ours(name) || edge_outgoing_is_condition(name)));
}

static enum cdn_status check_fields(const struct making *m, enum edge_rule_row row, const char *key,
                                    const struct cdn_config_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *name = list->items[i].key;
        if (!http_is_token(cdn_str(name))) {
            return edge_rule_wrong(m, row, key, "\"%s\" is not a name of a field", name);
        }
        if (is_fixed(row, cdn_str(name))) {
            return edge_rule_wrong(m, row, key, "%s is written by the edge and cannot be changed", name);
        }
        for (size_t k = 0; k < i; k++) {
            if (cdn_str_eq_nocase(cdn_str(name), cdn_str(list->items[k].key))) {
                return edge_rule_wrong(m, row, key, "%s is there twice", name);
            }
        }
    }
    return CDN_OK;
}

static bool list_has(const struct cdn_config_list *list, struct cdn_str text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (cdn_str_eq(cdn_str(list->items[i].key), text)) {
            return true;
        }
    }
    return false;
}

enum cdn_status edge_rule_read_cors(const struct making *m)
{
    struct edge_rule *rule = m->rule;
    const struct cdn_config_list *list = &rule->settings.cors;
    rule->cors_any = list_has(list, CDN_STR("*"));
    const bool off = list_has(list, CDN_STR("off"));
    rule->cors_listed = list->n > 0 && !rule->cors_any && !off;
    if ((rule->cors_any || off) && list->n > 1) {
        return WRONG(m, cors, "'*' and 'off' stand alone");
    }
    for (size_t i = 0; rule->cors_listed && i < list->n; i++) {
        struct edge_key_parts parts;
        char into[EDGE_KEY_HOST_MAX];
        struct cdn_str origin = cdn_str(list->items[i].key), host;
        if (!edge_key_split(origin, &parts) || parts.path.n || parts.query.p ||
            cdn_str_find(origin, '#') >= 0 || !edge_key_host_write(parts.host, parts.secure, into, &host)) {
            return WRONG(m, cors, "\"%s\" is not an origin such as https://shop.example", list->items[i].key);
        }
        if (!cdn_str_eq_nocase(host, parts.host)) { /* what no browser says is never found */
            return WRONG(m, cors, "\"%s\" is what browsers call %s://" CDN_STR_FMT, list->items[i].key,
                         parts.secure ? "https" : "http", CDN_STR_ARG(host));
        }
    }
    return CDN_OK;
}

enum cdn_status edge_rule_read_methods(const struct making *m)
{
    const struct cdn_config_list *list = &m->rule->settings.methods;
    for (size_t i = 0; i < list->n; i++) {
        const char *method = list->items[i].key;
        if (!http_is_token(cdn_str(method)) || cdn_str_eq_nocase(cdn_str(method), CDN_STR("TRACE"))) {
            return WRONG(m, methods, "\"%s\" is not a method that can be allowed", method);
        }
        if (strpbrk(method, "abcdefghijklmnopqrstuvwxyz")) { /* RFC 9110 9.1: they have a case */
            return WRONG(m, methods, "\"%s\": methods are written in capitals, such as GET", method);
        }
    }
    return CDN_OK;
}

const char *edge_rule_cors_origin(const struct edge_rule *rule, struct cdn_str origin)
{
    const struct cdn_config_list *list = &rule->settings.cors;
    for (size_t i = 0; i < list->n; i++) {
        if (cdn_str_eq_nocase(cdn_str(list->items[i].key), origin)) {
            return list->items[i].key;
        }
    }
    return NULL;
}

bool edge_rule_allows_method(const struct edge_rule *rule, struct cdn_str method)
{
    const struct cdn_config_list *methods = &rule->settings.methods;
    return methods->n == 0 || list_has(methods, method) ||
           (cdn_str_eq(method, CDN_STR("HEAD")) && list_has(methods, CDN_STR("GET")));
}

enum cdn_status edge_rule_read_fields(const struct making *m)
{
    const struct edge_rule_settings *s = &m->rule->settings;
    enum cdn_status status = CDN_OK;
#define CHECK(row) status = status == CDN_OK ? check_fields(m, EDGE_RULE_ROW_##row, #row, &s->row) : status
    CHECK(fields_set);
    CHECK(fields_add);
    CHECK(fields_remove);
    CHECK(request_set);
    CHECK(request_add);
    CHECK(request_remove);
#undef CHECK
    return status;
}

/* "sessionid", or "wordpress_logged_in_*": all that begin so. */
enum cdn_status edge_rule_read_cookies(const struct making *m)
{
    const struct cdn_config_list *list = &m->rule->settings.cookies_keep;
    for (size_t i = 0; i < list->n; i++) {
        const struct cdn_str name = cdn_str(list->items[i].key);
        const ptrdiff_t star = cdn_str_find(name, '*');
        if (!http_is_token(name) || star == 0 || (star > 0 && (size_t)star + 1 < name.n)) {
            return WRONG(m, cookies_keep, "\"%s\" is not a name of a cookie", list->items[i].key);
        }
    }
    return CDN_OK;
}
