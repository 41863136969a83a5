/* rule: which paths a rule is for, and what it says of keys, lifetimes, cookies and devices. */
#include "common/config/config.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/key.h"
#include "edge/semantics/storable.h"
#include "edge/site/device.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"
#include "edge/site/site.h"
#include "edge/site/target.h"
#include "tests/unit/edge/head_of.h"
#include "tests/unit/edge/sites_fixture.h"

#include <check.h>
#include <stdbool.h>

#define PATHS                                                   \
    SITE_OF("    origins: [\"http://a.example\"]\n    rules:\n" \
            "      - {path: \"/static/*.{css,js}\"}\n"          \
            "      - {path: \"/static/*.(jpg|PNG)\"}\n"         \
            "      - {path: \"/static/*.tar.gz,woff2\"}\n"      \
            "      - {path: /%73tatic/}\n"                      \
            "      - {path: \"*.html\"}\n"                      \
            "      - {path: /caf\xc3\xa9/}\n"                   \
            "      - {path: \"/x/../api/*\"}\n"                 \
            "      - {path: /exact}\n")

static const struct {
    const char *path;
    unsigned rule; /* 0: none */
} paths[] = {
    {"/static/app.css", 1},
    {"/static/a/b/app.JS", 1},
    {"/static/app.min.css", 1},
    {"/static/app.css?x=.jpg", 1}, /* the query is no part of it */
    {"/static/app.cssx", 4},
    {"/static/appcss", 4},
    {"/static/.css", 1},
    {"/static/a.jpg", 2},
    {"/static/a.png", 2},
    {"/static/a.tar.gz", 3},
    {"/static/a.gz", 4},
    {"/static/a.woff2", 3},
    {"/static/", 4},
    {"/%73tatic/app.css", 1},
    {"/%53tatic/app.css", 0}, /* paths have a case */
    {"/x/../static/app.css", 1},
    {"/static/../app.css", 0},
    {"/static", 0},
    {"/staticx/a.css", 0},
    {"/static%2Fapp.css", 0}, /* an encoded slash is no slash */
    {"/a.html", 5},
    {"/a/b/c.HTML", 5},
    {"/static/a.html", 4}, /* the first that matches */
    {"/html", 0},
    {"/caf%c3%a9/x", 6},
    {"/caf%C3%A9/", 6},
    {"/api/", 7},
    {"/api/v1/x.css", 7},
    {"/exact", 8},
    {"/exactly", 8}, /* a prefix */
    {"/", 0},
    {"", 0},
};

START_TEST(the_first_rule_that_matches)
{
    struct edge_sites sites;
    struct edge_target target;
    struct cdn_str rest = cdn_str(paths[_i].path);
    struct edge_key_parts parts = {.host = CDN_STR("shop.example")};
    char into[EDGE_KEY_MAX];
    parts.path = cdn_str_cut(&rest, '?');
    parts.query = rest;
    read_good(PATHS, "", &sites);
    const enum edge_key_error e = edge_target_build(&sites, &parts, into, &target);
    ck_assert_msg(e == (paths[_i].rule ? EDGE_KEY_OK : EDGE_KEY_RULE), "%s: %d", paths[_i].path, e);
    ck_assert_uint_eq(edge_key_error_status(EDGE_KEY_RULE), 404);
    if (e == EDGE_KEY_OK) {
        ck_assert_msg(target.rule->number == paths[_i].rule, "%s: %zu", paths[_i].path, target.rule->number);
    }
    end_sites(&sites);
}
END_TEST

/* ---- the query ---- */

static const struct {
    const char *key, *query, *keyed;
} queries[] = {
    {"key: {query: all}", "b=2&a=1&utm_source=x", "?b=2&a=1&utm_source=x"},
    {"key_query: none", "b=2&a=1", ""},
    {"key: {query: sort}", "b=2&a=1&b=1", "?a=1&b=2&b=1"},
    {"key: {query: allow, allow: [a]}", "b=2&a=1&aa=3", "?a=1"},
    {"key: {query: allow, allow: [a]}", "b=2", ""},
    {"key: {query: allow, allow: []}", "a=1", ""},
    {"key: {query: ignore, ignore: [\"utm_*\", b]}", "b=2&a=1&utm_source=x&utm=1", "?a=1&utm=1"},
    {"key: {query: ignore, ignore: tracking}", "a=1&gclid=3&fbclid=4&utm_x=5", "?a=1"},
    {"key: {ignore: [b]}", "b=2&a=1", "?a=1"},
    {"key: {query: sort, ignore: [b]}", "c=3&b=2&a=1", "?a=1&c=3"},
    {"key: {query: none}", "", ""},
};

START_TEST(what_is_keyed_of_a_query)
{
    struct edge_sites sites;
    struct edge_target target;
    struct edge_key_parts parts = {
        .host = CDN_STR("shop.example"), .path = CDN_STR("/s/x"), .query = cdn_str(queries[_i].query)};
    char into[EDGE_KEY_MAX];
    CDN_AUTOFREE char *text = cdn_asprintf(RULE_OF("%s"), queries[_i].key);
    CDN_AUTOFREE char *expected = cdn_asprintf("/s/x%s", queries[_i].keyed);
    read_good(text, "", &sites);
    ck_assert_int_eq(edge_target_build(&sites, &parts, into, &target), EDGE_KEY_OK);
    ck_assert_msg(cdn_str_eq(target.path, cdn_str(expected)), "%s: " CDN_STR_FMT, queries[_i].key,
                  CDN_STR_ARG(target.path));
    end_sites(&sites);
}
END_TEST

/* ---- what the site says, the rule may say anew ---- */

START_TEST(a_rule_is_over_its_site)
{
    struct edge_sites sites;
    read_good(SITE_OF("    origins: [\"http://a.example\", \"unix:/run/x.sock:/app/\"]\n"
                      "    lifetime: {min: 1m, status: {404: 5s}}\n"
                      "    cookies: {keep: [a]}\n"
                      "    key: {query: allow, allow: [q]}\n"
                      "    fields: {set: {X-Site: \"1\"}}\n"
                      "    rules:\n"
                      "      - {path: /a/, lifetime: {min: 2m}, cookies: {keep: []}, key: {query: none}}\n"
                      "      - {path: /b/, origins: unix:/run/y.sock, fields: {set: {X-Rule: \"2\"}}}\n"
                      "      - {path: /}\n"),
              "", &sites);
    const struct edge_rule *a = &sites.site->rule[0], *b = &sites.site->rule[1], *c = &sites.site->rule[2];
    ck_assert_uint_eq(a->origin_count, 2);
    ck_assert_str_eq(a->origin[1]->socket, "/run/x.sock");
    ck_assert_str_eq(a->origin[1]->base, "http://localhost/app");
    ck_assert_ptr_eq(a->origin[0], c->origin[0]); /* one origin, one state */
    ck_assert_str_eq(b->origin[0]->socket, "/run/y.sock");
    ck_assert_int_eq(b->host_sent, EDGE_HOST_CLIENT);
    ck_assert_int_eq(a->host_sent, EDGE_HOST_ORIGIN);
    ck_assert_int_eq(a->rules.min_lifetime_s, 120);
    ck_assert_int_eq(c->rules.min_lifetime_s, 60);
    ck_assert_int_eq(edge_rules_negative_ttl(&a->rules, 404), 5);
    ck_assert_int_eq(edge_rules_negative_ttl(&a->rules, 500), -1);
    ck_assert(a->filters_cookies && a->settings.cookies_keep.n == 0 && c->settings.cookies_keep.n == 1);
    ck_assert(a->query.mode == EDGE_QUERY_NONE && c->query.mode == EDGE_QUERY_ALLOW);
    ck_assert_str_eq(b->settings.fields_set.items[0].key, "X-Rule"); /* a map is replaced whole */
    ck_assert_uint_eq(b->settings.fields_set.n, 1);
    ck_assert_str_eq(c->place, "cdn.yaml:12");
    end_sites(&sites);
}
END_TEST

/* ---- parts of the key beside the URL ---- */

static const struct {
    const char *key, *names;
    bool never_hot;
} specs[] = {
    {"pass: no", "", false},
    {"key: {fields: [X-B, X-a, x-b]}", "x-a,x-b", true},
    {"key: {cookies: [Lang], fields: [dnt]}", "cookie;Lang,dnt", true},
    {"key: {device: yes}", "cdn-device", true},
    {"key: {device: yes, fields: [CDN-Device], cookies: [b, a, b]}", "cdn-device,cookie;a,cookie;b", true},
    {"pass: yes", "", true},
    {"cors: [\"https://a.example\"]", "", true},
    {"cors: \"*\"", "", false},
    {"methods: [POST]", "", true},
    {"methods: [GET, HEAD]", "", false},
};

START_TEST(what_tells_variants_apart)
{
    struct edge_sites sites;
    CDN_AUTOFREE char *text = cdn_asprintf(RULE_OF("%s"), specs[_i].key);
    read_good(text, "", &sites);
    ck_assert_str_eq(sites.site->rule->key_names, specs[_i].names);
    ck_assert_int_eq(sites.site->rule->never_hot, specs[_i].never_hot);
    end_sites(&sites);
}
END_TEST

/* ---- cookies ---- */

static const struct {
    const char *settings, *cookies, *sent;
    bool own;
} cookies[] = {
    {"pass: no", "a=1; sessionid=x", "a=1; sessionid=x", false}, /* not said: as they are */
    {"cookies: {keep: []}", "a=1; b=2", "", false},
    {"cookies: {keep: [sessionid]}", "_ga=1; _gid=2", "", false},
    {"cookies: {keep: [sessionid]}", "_ga=1; sessionid=x; _gid=2", "sessionid=x", true},
    {"cookies: {keep: [sessionid, csrftoken]}", "csrftoken=t;sessionid=x", "csrftoken=t; sessionid=x", true},
    {"cookies: {keep: [sessionid]}", "SessionID=x; xsessionid=y; sessionid2=z", "", false},
    {"cookies: {keep: [sessionid]}", " ; ;; sessionid = x ;", "sessionid = x", true},
    {"cookies: {keep: [sessionid]}", "sessionid", "sessionid", true},
    {"cookies: {keep: [sessionid]}", "a=sessionid=x", "", false},
    {"cookies: {keep: [sessionid]}", "sessionid=a=b; sessionid=c", "sessionid=a=b; sessionid=c", true},
    {"cookies: {keep: [sessionid]}", "", "", false},
    {"cookies: {keep: [\"wp_*\"]}", "wp_=1; wp_x=2; wp=3", "wp_=1; wp_x=2", true},
    {"cookies: {keep: []}, key: {cookies: [lang]}", "lang=de; a=1", "lang=de", false},
    {"cookies: {keep: [lang]}, key: {cookies: [lang]}", "lang=de", "lang=de", false}, /* is in the key */
    {"key: {cookies: [lang]}", "lang=de; a=1", "lang=de; a=1", false},
};

START_TEST(which_cookies_an_origin_gets)
{
    struct edge_sites sites;
    CDN_AUTOBUF struct cdn_buf sent = {0};
    CDN_AUTOFREE char *text = cdn_asprintf(RULE_OF("%s"), cookies[_i].settings);
    read_good(text, "", &sites);
    edge_rule_cookies(sites.site->rule, cdn_str(cookies[_i].cookies), &sent);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&sent), cdn_str(cookies[_i].sent)), "%s: %s", cookies[_i].cookies,
                  sent.n ? sent.p : "");
    ck_assert_int_eq(edge_rule_has_own_cookie(sites.site->rule, cdn_str(cookies[_i].cookies)),
                     cookies[_i].own);
    end_sites(&sites);
}
END_TEST

/* ---- devices ---- */

static const struct {
    const char *agent, *hint, *expected;
} devices[] = {
    {"", "", "desktop"},
    {"curl/7.88.1", "", "desktop"},
    {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36", "?0", "desktop"},
    {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.0 Safari/605.1.15", "", "desktop"},
    {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148 Safari/604.1", "", "mobile"},
    {"Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) Mobile/15E148 Safari/604.1", "", "tablet"},
    {"Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/120.0.0.0 Mobile Safari/537.36", "", "mobile"},
    {"Mozilla/5.0 (Linux; Android 13; SM-X700) Chrome/120.0.0.0 Safari/537.36", "", "tablet"},
    {"Mozilla/5.0 (Android 13; Tablet; rv:109.0) Gecko/115.0 Firefox/115.0", "", "tablet"},
    {"Mozilla/5.0 (Android 13; Mobile; rv:109.0) Gecko/115.0 Firefox/115.0", "", "mobile"},
    {"Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.0.0 Safari/537.36", "?1", "mobile"},
};

START_TEST(devices_have_three_classes)
{
    const struct cdn_str is = edge_device_class(cdn_str(devices[_i].agent), cdn_str(devices[_i].hint));
    ck_assert_msg(cdn_str_eq(is, cdn_str(devices[_i].expected)), "%s: " CDN_STR_FMT, devices[_i].agent,
                  CDN_STR_ARG(is));
}
END_TEST

/* ---- lifetimes ---- */

static const struct {
    const char *key;
    unsigned status;
    const char *fields;
    int lifetime_s; /* -1: not stored */
    enum edge_lifetime_source source;
} lives[] = {
    {"lifetime: {min: 1h}", 200, "Cache-Control: max-age=60", 3600, EDGE_LIFETIME_RULE},
    {"lifetime: {min: 1h}", 200, "Cache-Control: max-age=7200", 7200, EDGE_LIFETIME_MAX_AGE},
    {"lifetime: {min: 1h}", 200, "", 3600, EDGE_LIFETIME_RULE},
    {"lifetime: {min: 1h}", 302, "Location: /", 3600, EDGE_LIFETIME_RULE},
    {"lifetime: {min: 1h}", 200, "Cache-Control: no-store", -1, EDGE_LIFETIME_NONE},
    {"lifetime: {min: 1h}", 200, "Cache-Control: private, max-age=60", -1, EDGE_LIFETIME_NONE},
    {"lifetime: {min: 1h}", 500, "", -1, EDGE_LIFETIME_NONE}, /* not of errors */
    {"lifetime: {min: 1h}", 503, "Cache-Control: max-age=5", 5, EDGE_LIFETIME_MAX_AGE},
    {"lifetime: {min: 1h, status: {404: 5s}}", 404, "", 5, EDGE_LIFETIME_NEGATIVE},
    {"lifetime: {max: 1h}", 200, "Cache-Control: max-age=7200", 3600, EDGE_LIFETIME_MAX_AGE},
    {"lifetime: {max: 1h}", 200, "Cache-Control: s-maxage=30, max-age=7200", 30, EDGE_LIFETIME_S_MAXAGE},
    {"lifetime: {override: 10m}", 200, "Cache-Control: max-age=7200", 600, EDGE_LIFETIME_RULE},
    {"lifetime: {override: 10m}", 200, "Cache-Control: max-age=0", 600, EDGE_LIFETIME_RULE},
    {"lifetime: {override: 10m}", 200, "", 600, EDGE_LIFETIME_RULE},
    {"lifetime: {override: 10m, max: 5m}", 200, "", 300, EDGE_LIFETIME_RULE},
    {"lifetime: {override: 10m}", 200, "Cache-Control: private", -1, EDGE_LIFETIME_NONE},
    {"lifetime: {override: 10m}", 200, "CDN-Cache-Control: no-store", -1, EDGE_LIFETIME_NONE},
    {"lifetime: {override: 10m}", 502, "", -1, EDGE_LIFETIME_NONE},
    {"lifetime: {status: {200: 1h, 404: 5s, 500: 2s}}", 200, "", 3600, EDGE_LIFETIME_NEGATIVE},
    {"lifetime: {status: {200: 1h, 404: 5s}}", 200, "Cache-Control: max-age=9", 9, EDGE_LIFETIME_MAX_AGE},
    {"lifetime: {status: {200: 1h, 404: 5s, 500: 2s}}", 500, "", 2, EDGE_LIFETIME_NEGATIVE},
    {"pass: no", 200, "", -1, EDGE_LIFETIME_NONE},
    {"pass: no", 200, "Cache-Control: max-age=60", 60, EDGE_LIFETIME_MAX_AGE},
};

START_TEST(lifetimes)
{
    struct edge_sites sites;
    struct edge_control control;
    struct edge_freshness fresh;
    const struct edge_store_request request = {.method = HTTP_GET};
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    CDN_AUTOFREE char *text = cdn_asprintf(RULE_OF("%s"), lives[_i].key);
    read_good(text, "", &sites);
    const struct edge_rules *rules = &sites.site->rule->rules;
    struct edge_head *head = head_of(lives[_i].status, lives[_i].fields);
    edge_control_read(rules, head, &scratch, &control);
    edge_freshness_compute(rules, head, &control, RESPONSE_S * 1000, RESPONSE_S * 1000, 0, &fresh);
    const bool stored = edge_store_reason_ok(edge_storable(rules, &request, head, &control, &fresh));
    ck_assert_msg(stored == (lives[_i].lifetime_s >= 0), "%s, %s", lives[_i].key, lives[_i].fields);
    ck_assert(!stored || fresh.lifetime_s == lives[_i].lifetime_s);
    ck_assert(!stored || fresh.source == lives[_i].source);
    edge_head_destroy(head);
    end_sites(&sites);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rule");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, the_first_rule_that_matches, 0, (int)CDN_ARRAY_LEN(paths));
    tcase_add_loop_test(rows, what_is_keyed_of_a_query, 0, (int)CDN_ARRAY_LEN(queries));
    tcase_add_test(rows, a_rule_is_over_its_site);
    tcase_add_loop_test(rows, what_tells_variants_apart, 0, (int)CDN_ARRAY_LEN(specs));
    tcase_add_loop_test(rows, which_cookies_an_origin_gets, 0, (int)CDN_ARRAY_LEN(cookies));
    tcase_add_loop_test(rows, devices_have_three_classes, 0, (int)CDN_ARRAY_LEN(devices));
    tcase_add_loop_test(rows, lifetimes, 0, (int)CDN_ARRAY_LEN(lives));
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
