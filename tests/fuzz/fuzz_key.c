/* Cache keys: the key of a key is that key, and its parts are where they should be. First byte: the policy.
 */
#include "edge/key.h"

#include "fuzz.h"

static void is_its_own_key(struct cdn_str key, const struct edge_query_policy *policy)
{
    static char again[EDGE_KEY_MAX];
    struct edge_key_parts parts;
    struct cdn_str twice, digits;
    MUST(edge_key_split(key, &parts));
    MUST(edge_key_build(&parts, policy, again, sizeof again, &twice) == EDGE_KEY_OK);
    MUST(cdn_str_eq(key, twice));
    MUST(edge_key_target(key).p[0] == '/' && edge_key_path(key).p[0] == '/');
    MUST(edge_key_host(key).n > 0);
    for (size_t i = 0; i < key.n; i++) {
        MUST(key.p[i] > ' ' && key.p[i] < 0x7f && key.p[i] != '#');
    }
    if (edge_key_hashed(key, &digits)) {
        MUST(digits.n == 12);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char room[EDGE_KEY_MAX];
    static const struct cdn_str allow[] = {{"a", 1}, {"%C3%A4", 6}};
    struct cdn_str url = fuzz_text(data, n), key;
    uint8_t choice = fuzz_byte(&url);
    struct edge_query_policy policy = {choice & 3, choice >> 2 & 1, allow, 2};
    struct edge_key_parts parts;
    if (!edge_key_split(url, &parts)) {
        struct cdn_str rest = url;
        parts = (struct edge_key_parts){.secure = choice >> 3 & 1, .host = CDN_STR("example.com")};
        parts.path = cdn_str_cut(&rest, '?');
        parts.query = rest;
    }
    size_t size = choice >> 7 ? (size_t)(choice & 127) : sizeof room;
    if (edge_key_build(&parts, &policy, room, size, &key) == EDGE_KEY_OK) {
        MUST(key.n <= size);
        is_its_own_key(key, &policy);
    }
    return 0;
}
