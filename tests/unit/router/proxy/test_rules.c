/* What the proxy hands on, what of it, and when a try is repeated: tables against tables. */
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/str.h"
#include "router/proxy/rules.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

START_TEST(methods)
{
    static const struct {
        const char *name;
        bool handed_on, safe;
    } rows[] = {
        {"GET", true, true},         {"HEAD", true, true},        {"OPTIONS", true, true},
        {"QUERY", true, true},       {"POST", true, false},       {"PUT", true, false},
        {"PATCH", true, false},      {"DELETE", true, false},     {"PROPFIND", true, false},
        {"get", true, false},        {"query", true, false},      {"BANANA", false, false},
        {"PURGE", false, false},     {"purge", false, false},     {"PuRgE", false, false},
        {"PURGEKEYS", false, false}, {"PURGETAGS", false, false}, {"PURGE-ALL", false, false},
        {"BAN", false, false},       {"ban", false, false},       {"BANURL", false, false},
        {"REFRESH", false, false},   {"refresh", false, false},   {"TRACE", false, false},
        {"trace", false, false},     {"CONNECT", false, false},   {"PURG", true, false},
        {"BA", true, false},         {"REFRESHED", true, false},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        const struct cdn_str name = cdn_str(rows[i].name);
        ck_assert_msg(router_rule_hands_on(name) == rows[i].handed_on, "%s", rows[i].name);
        ck_assert_msg(router_rule_is_safe(http_method_parse(name), name) == rows[i].safe, "%s", rows[i].name);
    }
}
END_TEST

START_TEST(fields)
{
    static const struct {
        const char *name, *connection;
        bool sent;
    } rows[] = {
        {"Accept", "", true},
        {"Cookie", "", true},
        {"Authorization", "", true},
        {"Range", "", true},
        {"X-Real-IP", "", true}, /* the edge's to judge, as from any client */
        {"X-Custom", "", true},
        {"X-Custom", "close, x-custom", false},
        {"Cookie", "X-Custom", true},
        {"Sec-WebSocket-Key", "Upgrade", true},
        {"Host", "", false},
        {"HOST", "", false},
        {"Via", "", false},
        {"via", "", false},
        {"CDN-Loop", "", false},
        {"CDN_LOOP", "", false},
        {"CDN-Shield-For", "", false},
        {"cdn_shield_for", "", false},
        {"CDN-Client-Country", "", false},
        {"CDN", "", true},
        {"X-Request-ID", "", false},
        {"x_request_id", "", false},
        {"X-Request-IDs", "", true},
        {"Content-Length", "", false},
        {"content_length", "", false},
        {"Transfer-Encoding", "", false},
        {"Transfer_Encoding", "", false},
        {"Expect", "", false},
        {"Max-Forwards", "", false},
        {"Forwarded", "", false},
        {"FORWARDED", "", false},
        {"X-Forwarded-For", "", false},
        {"x-forwarded-for", "", false},
        {"X_Forwarded_For", "", false},
        {"X-Forwarded_For", "", false},
        {"X-Forwarded-Proto", "", false},
        {"X-Forwarded-Host", "", false},
        {"X-Forwarded-Port", "", false},
        {"X-Forwarded-Prefix", "", false},
        {"X-Forwarded-Something-That-Is-Much-Longer-Than-Any-Name-That-Anybody-Has-Made-Up", "", false},
        {"X-Something-That-Is-Much-Longer-Than-Any-Name-That-Anybody-Has-Made-Up-For-Forwarding", "", true},
        {"X-Forwarded", "", true},
        {"Connection", "", false},
        {"Keep-Alive", "", false},
        {"Proxy-Connection", "", false},
        {"Proxy_Connection", "", false},
        {"TE", "", false},
        {"Trailer", "", false},
        {"Upgrade", "", false},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        ck_assert_msg(router_rule_sends(cdn_str(rows[i].name), cdn_str(rows[i].connection), false) ==
                          rows[i].sent,
                      "%s", rows[i].name);
    }
}
END_TEST

START_TEST(of_a_trusted_proxy)
{
    ck_assert(router_rule_conditions(CDN_STR("If-None-Match")) &&
              router_rule_conditions(CDN_STR("if-range")));
    ck_assert(router_rule_conditions(CDN_STR("RANGE")) && !router_rule_conditions(CDN_STR("Cookie")));
    ck_assert(router_rule_sends(CDN_STR("X-Request-ID"), CDN_STR(""), true));
    ck_assert(!router_rule_sends(CDN_STR("CDN-Shield-For"), CDN_STR(""), true));
    ck_assert(!router_rule_sends(CDN_STR("X-Forwarded-For"), CDN_STR(""), true));
}
END_TEST

START_TEST(failures)
{
    static const struct {
        enum http_fetch_error error;
        bool safe_again, unsafe_again, blamed;
        unsigned status;
    } rows[] = {
        {HTTP_FETCH_CONNECT, true, true, true, 502},        {HTTP_FETCH_TIMEOUT, true, true, true, 504},
        {HTTP_FETCH_RESOLVE, true, true, true, 502},        {HTTP_FETCH_TLS, true, true, true, 502},
        {HTTP_FETCH_CLOSED, true, false, true, 502},        {HTTP_FETCH_PROTOCOL, true, false, true, 502},
        {HTTP_FETCH_READ_TIMEOUT, true, false, false, 504}, {HTTP_FETCH_TOO_LARGE, false, false, false, 502},
        {HTTP_FETCH_DESCRIPTORS, false, false, false, 503}, {HTTP_FETCH_ABORTED, false, false, false, 502},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        const enum http_fetch_error e = rows[i].error;
        const char *word = http_fetch_error_word(e);
        ck_assert_msg(router_rule_repeats(&(struct router_failure){e, true, false}) == rows[i].safe_again,
                      "%s", word);
        ck_assert_msg(router_rule_repeats(&(struct router_failure){e, false, false}) == rows[i].unsafe_again,
                      "%s", word);
        ck_assert_msg(!router_rule_repeats(&(struct router_failure){e, true, true}), "%s: its body is gone",
                      word);
        ck_assert_msg(router_rule_blames(e) == rows[i].blamed, "%s", word);
        ck_assert_uint_eq(router_rule_status(e), rows[i].status);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {methods, fields, of_a_trusted_proxy, failures};
    return run_suite("rules", tests, CDN_ARRAY_LEN(tests));
}
