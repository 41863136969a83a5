/* cookies: which of a request's cookies an origin gets, as its rule says (RFC 6265 5.4: pairs divided by
 * "; ", the first of a name is the one that counts). */
#include "common/config/config.h"
#include "common/str.h"
#include "edge/signed/signed.h"
#include "edge/site/guard.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

static bool next_cookie(struct cdn_str *rest, struct cdn_str *ret_name, struct cdn_str *ret_pair)
{
    while (rest->p) {
        struct cdn_str pair = cdn_str_trim(cdn_str_cut(rest, ';'));
        *ret_pair = pair;
        *ret_name = cdn_str_trim(cdn_str_cut(&pair, '='));
        if (ret_pair->n) {
            return true;
        }
    }
    return false;
}

bool edge_rule_cookie_find(struct cdn_str cookies, struct cdn_str name, struct cdn_str *ret)
{
    struct cdn_str one, pair;
    while (next_cookie(&cookies, &one, &pair)) {
        if (cdn_str_eq(one, name)) {
            (void)cdn_str_cut(&pair, '=');
            *ret = pair.p ? cdn_str_trim(pair) : CDN_STR("");
            return true;
        }
    }
    return false;
}

/* "wordpress_*" is every name that begins so. */
static bool is_in(const struct cdn_config_list *list, struct cdn_str name)
{
    for (size_t i = 0; i < list->n; i++) {
        struct cdn_str one = cdn_str(list->items[i].key);
        const bool open = one.n > 0 && one.p[one.n - 1] == '*';
        one.n -= open;
        if (open ? cdn_str_starts(name, one) : cdn_str_eq(name, one)) {
            return true;
        }
    }
    return false;
}

void edge_rule_cookies(const struct edge_rule *rule, struct cdn_str cookies, struct cdn_buf *into)
{
    const size_t from = into->n;
    struct cdn_str name, pair;
    CDN_AUTOBUF struct cdn_buf unsigned_ones = {0};
    if (rule->guard.keys) {
        struct edge_signed_parts parts;
        edge_signed_of_cookie(cookies, &parts, &unsigned_ones);
        cookies = cdn_buf_str(&unsigned_ones);
    }
    if (!rule->filters_cookies) {
        cdn_buf_add_str(into, cookies);
        return;
    }
    while (next_cookie(&cookies, &name, &pair)) {
        if (is_in(&rule->settings.cookies_keep, name) || is_in(&rule->settings.key_cookies, name)) {
            cdn_buf_add_str(into, into->n > from ? CDN_STR("; ") : CDN_STR(""));
            cdn_buf_add_str(into, pair);
        }
    }
}

bool edge_rule_has_own_cookie(const struct edge_rule *rule, struct cdn_str cookies)
{
    struct cdn_str name, pair;
    while (rule->filters_cookies && next_cookie(&cookies, &name, &pair)) {
        if (is_in(&rule->settings.cookies_keep, name) && !is_in(&rule->settings.key_cookies, name)) {
            return true;
        }
    }
    return false;
}
