/* What signs a request, as a stranger sends it: the query, the cookies, the policy's bytes. Splitting
 * loses and invents nothing, and nothing here is good that no key has signed. */
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/signed/keys.h"
#include "edge/signed/policy.h"
#include "edge/signed/signed.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static void check_policy(struct cdn_str json)
{
    struct edge_signed_policy policy;
    struct cdn_addr client;
    MUST(cdn_parse_ip(CDN_STR("192.0.2.7"), &client));
    const struct edge_signed_moment moment = {CDN_STR("https://shop.example/a"), 1, &client};
    if (edge_signed_policy_read(json, &policy) == EDGE_SIGNED_GOOD) {
        MUST(policy.before_s >= 0);
        MUST(!policy.has_network || policy.network.prefix <= 128);
        (void)edge_signed_policy_allows(&policy, &moment);
        edge_signed_policy_free(&policy);
    }
}

static void check_split(struct cdn_str text, bool cookie)
{
    struct edge_signed_parts parts, none;
    CDN_AUTOBUF struct cdn_buf rest = {0};
    CDN_AUTOBUF struct cdn_buf again = {0};
    const bool left =
        cookie ? edge_signed_of_cookie(text, &parts, &rest) : edge_signed_of_query(text, &parts, &rest);
    MUST(left || rest.n == 0);
    MUST(rest.n <= 2 * text.n);
    if (left) { /* all of it is out */
        (void)(cookie ? edge_signed_of_cookie(cdn_buf_str(&rest), &none, &again)
                      : edge_signed_of_query(cdn_buf_str(&rest), &none, &again));
        MUST(!edge_signed_is_there(&none) && cdn_str_eq(cdn_buf_str(&rest), cdn_buf_str(&again)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str text = fuzz_text(data, n);
    const uint8_t kind = fuzz_byte(&text);
    struct edge_keys *keys = edge_keys_create();
    struct edge_signed_request request = {
        .url = {CDN_STR("https://shop.example/a")}, .url_count = 1, .canonical_count = 1, .now_s = 1};
    CDN_AUTOBUF struct cdn_buf rest = {0};
    CDN_AUTOBUF struct cdn_buf bytes = {0};
    struct cdn_error err;
    check_policy(text);
    check_split(text, kind & 1);
    if (edge_signed_base64(text, 100, &bytes)) {
        MUST(bytes.n <= 102);
    }
    edge_signed_of_query(text, &request.parts, &rest);
    MUST(edge_signed_check(keys, NULL, &request) != EDGE_SIGNED_GOOD);
    if (edge_keys_add(keys, CDN_STR("K"), text, &err) != CDN_OK) {
        fuzz_check_error(&err);
    }
    edge_keys_destroy(keys);
    return 0;
}
