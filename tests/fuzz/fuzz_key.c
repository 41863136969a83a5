/* Cache keys: the key of a key is that key, what the origin is told makes the same key again, and the parts
 * are where they should be. First byte: the policy; the second: where the URL goes. */
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/site/rule.h"
#include "edge/site/site.h"
#include "edge/site/target.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static char site[] = "127.0.0.1:8090", listener[] = "192.0.2.1:8088", own[] = "cdn.example", narrow[] = "/a",
            all[] = "/";

static void is_same(const struct edge_target *a, const struct edge_target *b)
{
    MUST(cdn_str_eq(a->key, b->key) && cdn_str_eq(a->host, b->host) && cdn_str_eq(a->path, b->path));
}

static void is_its_own_key(const struct edge_sites *sites, const struct edge_target *t)
{
    static char room[EDGE_KEY_MAX];
    struct edge_target again;
    struct cdn_str digits, rest = t->path;
    MUST(edge_target_of_url(sites, t->key, t->secure, room, &again) == EDGE_KEY_OK);
    is_same(t, &again);
    struct edge_key_parts told = {.secure = t->secure, .host = t->host};
    told.path = cdn_str_cut(&rest, '?');
    told.query = rest;
    MUST(edge_target_build(sites, &told, room, &again) == EDGE_KEY_OK);
    is_same(t, &again);
    MUST(t->path.p[0] == '/' && edge_key_path(t->key).p[0] == '/' && t->host.n > 0);
    MUST(t->path.p + t->path.n == t->key.p + t->key.n);
    MUST(!memmem(edge_key_path(t->key).p, edge_key_path(t->key).n, "/../", 4));
    for (size_t i = 0; i < t->key.n; i++) {
        MUST(t->key.p[i] > ' ' && t->key.p[i] < 0x7f && t->key.p[i] != '#');
    }
    if (edge_key_hashed(t->key, &digits)) {
        MUST(digits.n == 12);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char room[EDGE_KEY_MAX];
    static const struct cdn_str allow[] = {{"a", 1}, {"%C3%A4", 6}}, ignore[] = {{"b", 1}, {"c*", 2}};
    struct cdn_str url = fuzz_text(data, n), key;
    uint8_t choice = fuzz_byte(&url);
    struct edge_query_policy query = (struct edge_query_policy){.mode = choice & 3,
                                                                .sort = choice >> 2 & 1,
                                                                .allow = allow,
                                                                .allow_count = 2,
                                                                .ignore = ignore,
                                                                .ignore_count = choice >> 4 & 1 ? 2 : 0};
    const struct edge_query_policy none = {.mode = EDGE_QUERY_NONE};
    struct edge_rule rules[] = {{.prefix = narrow, .query = none}, {.prefix = all, .query = query}};
    const size_t one = choice >> 5 & 1; /* one rule, or the narrow one before it */
    struct edge_site any = {.key_host = {site, site}, .key_host_is_loopback = true};
    any.rule = &rules[one ? 1 : 0];
    any.rule_count = one ? 1 : 2;
    const struct edge_machine machine = {.listener = listener, .own = own};
    const struct edge_sites sites = {.any = &any, .machine = &any, .names = &machine};
    struct edge_key_parts parts;
    struct edge_target t;
    if (!edge_key_split(url, &parts)) {
        struct cdn_str rest = url;
        parts = (struct edge_key_parts){.secure = choice >> 3 & 1, .host = CDN_STR("example.com")};
        parts.path = cdn_str_cut(&rest, '?');
        parts.query = rest;
    }
    size_t size = choice >> 7 ? (size_t)(choice & 127) : sizeof(room);
    if (edge_key_build(&parts, &query, room, size, &key) == EDGE_KEY_OK) {
        MUST(key.n <= size);
    }
    if (edge_target_build(&sites, &parts, room, &t) == EDGE_KEY_OK) {
        is_its_own_key(&sites, &t);
    }
    if (edge_target_of_url(&sites, url, choice >> 3 & 1, room, &t) == EDGE_KEY_OK) {
        is_its_own_key(&sites, &t);
    }
    return 0;
}
