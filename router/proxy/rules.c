/* rules: tables, so that a test can go through all of them. Names are compared with '_' as '-', because that
 * is how the programs behind the edge may read them, and then two fields are one. */
#include "router/proxy/rules.h"

#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_purge.h"
#include "common/mem.h"

#include <stddef.h>

#include "common/banned.h"

#define NAME_MAX_FOLDED 64

static bool starts_nocase(struct cdn_str s, struct cdn_str prefix)
{
    return s.n >= prefix.n && cdn_str_eq_nocase((struct cdn_str){s.p, prefix.n}, prefix);
}

bool router_rule_hands_on(struct cdn_str method)
{
    return !http_purge_is_method(method) && !starts_nocase(method, CDN_STR("PURGE")) &&
           !starts_nocase(method, CDN_STR("BAN")) && !cdn_str_eq_nocase(method, CDN_STR("REFRESH")) &&
           !cdn_str_eq_nocase(method, CDN_STR("TRACE")) && !cdn_str_eq_nocase(method, CDN_STR("CONNECT"));
}

bool router_rule_is_safe(enum http_method method, struct cdn_str name)
{
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS ||
           cdn_str_eq(name, CDN_STR("QUERY"));
}

bool router_rule_sends(struct cdn_str name, struct cdn_str connection, bool trusted)
{
    static const struct cdn_str ours[] = {{"Host", 4},   {"Via", 3},           {"Forwarded", 9},
                                          {"Expect", 6}, {"Max-Forwards", 12}, {"Content-Length", 14}};
    char folded[NAME_MAX_FOLDED];
    if (http_is_hop_by_hop(name, connection)) {
        return false;
    }
    if (name.n > sizeof(folded)) { /* all of ours are shorter, but for the family */
        name.n = sizeof(folded);
    }
    for (size_t i = 0; i < name.n; i++) {
        folded[i] = name.p[i] == '_' ? '-' : name.p[i];
    }
    const struct cdn_str as = {folded, name.n};
    for (size_t i = 0; i < CDN_ARRAY_LEN(ours); i++) {
        if (cdn_str_eq_nocase(as, ours[i])) {
            return false;
        }
    }
    return !starts_nocase(as, CDN_STR("X-Forwarded-")) && !starts_nocase(as, CDN_STR("CDN-")) &&
           (trusted || !cdn_str_eq_nocase(as, CDN_STR("X-Request-ID"))) &&
           !http_is_hop_by_hop(as, CDN_STR(""));
}

bool router_rule_conditions(struct cdn_str name)
{
    return (name.n > 3 && starts_nocase(name, CDN_STR("If-"))) || cdn_str_eq_nocase(name, CDN_STR("Range"));
}

/* The edge has got nothing: no connection, or none that a request could be sent on. */
static bool is_unsent(enum http_fetch_error e)
{
    return e == HTTP_FETCH_CONNECT || e == HTTP_FETCH_TIMEOUT || e == HTTP_FETCH_RESOLVE ||
           e == HTTP_FETCH_TLS;
}

bool router_rule_repeats(const struct router_failure *f)
{
    if (f->body_taken) {
        return false;
    }
    return is_unsent(f->error) ||
           (f->safe && (f->error == HTTP_FETCH_CLOSED || f->error == HTTP_FETCH_PROTOCOL ||
                        f->error == HTTP_FETCH_READ_TIMEOUT));
}

/* Not a time-out of an answer, which may be the origin's; the probes tell an edge that hangs. */
bool router_rule_blames(enum http_fetch_error e)
{
    return is_unsent(e) || e == HTTP_FETCH_CLOSED || e == HTTP_FETCH_PROTOCOL;
}

unsigned router_rule_status(enum http_fetch_error e)
{
    return e == HTTP_FETCH_TIMEOUT || e == HTTP_FETCH_READ_TIMEOUT ? 504
           : e == HTTP_FETCH_DESCRIPTORS                           ? 503
                                                                   : 502;
}
