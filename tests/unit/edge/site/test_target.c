/* target: what is asked of the origin is what is keyed, for every spelling of one resource; and nothing else.
 */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/site.h"
#include "edge/site/target.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

static const struct cdn_config_list none;
static struct edge_origins origins;
static struct edge_machine machine;

static void sites_of(const char *origin, const char *url, const char *listen, struct edge_sites *ret)
{
    struct cdn_addr address;
    struct edge_rule_defaults defaults = {.query_allow = &none,
                                          .query_ignore = &none,
                                          .origin = cdn_str(origin),
                                          .origin_host = CDN_STR("origin"),
                                          .origins = &origins};
    ck_assert(cdn_parse_host_port(cdn_str(listen), &address));
    ck_assert_int_eq(edge_sites_create(NULL, &defaults, ret, NULL), CDN_OK);
    ck_assert_int_eq(edge_target_machine_create(url, &address, false, &machine, NULL), CDN_OK);
    ret->names = &machine;
}

static void end_sites(struct edge_sites *sites)
{
    edge_sites_free(sites);
    edge_target_machine_free(&machine);
    edge_origins_free(&origins);
}

static enum edge_key_error build(const struct edge_sites *n, bool secure, const char *host,
                                 const char *target, char *into, struct edge_target *ret)
{
    struct cdn_str rest = cdn_str(target);
    struct edge_key_parts parts = {.secure = secure, .host = cdn_str(host)};
    parts.path = cdn_str_cut(&rest, '?');
    parts.query = rest;
    return edge_target_build(n, &parts, into, ret);
}

static const struct {
    bool secure;
    const char *host, *target;
    const char *key, *told, *path; /* key NULL: refused */
} rows_[] = {
    {false, "a.example", "/app.css", "http://a.example/app.css", "a.example", "/app.css"},
    {false, "A.EXAMPLE", "/%61pp.css", "http://a.example/app.css", "a.example", "/app.css"},
    {false, "a.example.", "/x/%2e%2e/app.css", "http://a.example/app.css", "a.example", "/app.css"},
    {false, "a.example:80", "/x/../app.css", "http://a.example/app.css", "a.example", "/app.css"},
    {false, "a.example:080", "/./app.css", "http://a.example/app.css", "a.example", "/app.css"},
    {false, "a.example:", "/%2E/app.css", "http://a.example/app.css", "a.example", "/app.css"},
    {false, "a.example.:00080", "/../%2e./app.css", "http://a.example/app.css", "a.example", "/app.css"},
    {true, "a.example:443", "/app.css", "https://a.example/app.css", "a.example", "/app.css"},
    {true, "a.example:80", "/app.css", "https://a.example:80/app.css", "a.example:80", "/app.css"},
    {false, "a.example:443", "/app.css", "http://a.example:443/app.css", "a.example:443", "/app.css"},
    {false, "a.example:8080", "/a?b=%7e&&c", "http://a.example:8080/a?b=~&&c", "a.example:8080", "/a?b=~&&c"},
    {false, "a.example", "", "http://a.example/", "a.example", "/"},
    {false, "a.example", "/?", "http://a.example/?", "a.example", "/?"},
    {false, "a.example", "//b.example/x", "http://a.example//b.example/x", "a.example", "//b.example/x"},
    {false, "a.example", "/a%2fb", "http://a.example/a%2Fb", "a.example", "/a%2Fb"},
    {false, "a.example", "/a%5cb", "http://a.example/a%5Cb", "a.example", "/a%5Cb"},
    {false, "a.example", "/a%00", "http://a.example/a%00", "a.example", "/a%00"},
    {false, "a.example", "/a%c3%a9", "http://a.example/a%C3%A9", "a.example", "/a%C3%A9"},
    {false, "a.example", "/%25%32%65", "http://a.example/%252e", "a.example", "/%252e"},
    {false, "a.example", "/100%", NULL, NULL, NULL},
    {false, "a.example", "/a?b=%", NULL, NULL, NULL},
    {false, "a.example", "*", NULL, NULL, NULL},
    {false, "a.example", "http://b.example/", NULL, NULL, NULL},
    {false, "u@a.example", "/", NULL, NULL, NULL},
    {false, "%61.example", "/", NULL, NULL, NULL},
    {false, "a.example:8080:80", "/", NULL, NULL, NULL},
    /* this machine: one site, told by one name */
    {false, "", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "127.0.1.1:8088", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "127.0.0.1:6666", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "127.0.0.1", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "localhost:6666", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "LocalHost.", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "[::1]:8088", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "[0::0:1]", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "[::ffff:127.9.9.9]:1", "/a", "http://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {true, "localhost", "/a", "https://127.0.0.1:8090/a", "127.0.1.1:8088", "/a"},
    {false, "localhost.example", "/a", "http://localhost.example/a", "localhost.example", "/a"},
    {false, "128.0.0.1", "/a", "http://128.0.0.1/a", "128.0.0.1", "/a"},
};

/* The same from what came out: from the key as a URL, and from what the origin is told. */
static void is_stable(const struct edge_sites *n, const struct edge_target *t)
{
    char into[EDGE_KEY_MAX], path[EDGE_KEY_MAX + 1], host[EDGE_KEY_HOST_MAX + 1];
    struct edge_target again;
    ck_assert_int_eq(edge_target_of_url(n, t->key, t->secure, into, &again), EDGE_KEY_OK);
    ck_assert(cdn_str_eq(again.key, t->key) && cdn_str_eq(again.path, t->path));
    ck_assert(cdn_str_eq(again.host, t->host));
    ck_assert(cdn_str_copy(path, sizeof(path), t->path) && cdn_str_copy(host, sizeof(host), t->host));
    ck_assert_int_eq(build(n, t->secure, host, path, into, &again), EDGE_KEY_OK);
    ck_assert(cdn_str_eq(again.key, t->key) && cdn_str_eq(again.path, t->path));
    ck_assert(cdn_str_eq(again.host, t->host));
}

START_TEST(what_is_asked_is_what_is_keyed)
{
    struct edge_sites n;
    struct edge_target t;
    char into[EDGE_KEY_MAX];
    sites_of("http://127.0.0.1:8090", "", "127.0.1.1:8088", &n);
    enum edge_key_error e = build(&n, rows_[_i].secure, rows_[_i].host, rows_[_i].target, into, &t);
    ck_assert_msg((e == EDGE_KEY_OK) == (rows_[_i].key != NULL), "%s %s", rows_[_i].host, rows_[_i].target);
    if (rows_[_i].key) {
        ck_assert_msg(cdn_str_eq(t.key, cdn_str(rows_[_i].key)), "%s: " CDN_STR_FMT, rows_[_i].key,
                      CDN_STR_ARG(t.key));
        ck_assert_msg(cdn_str_eq(t.host, cdn_str(rows_[_i].told)), "%s: " CDN_STR_FMT, rows_[_i].key,
                      CDN_STR_ARG(t.host));
        ck_assert_msg(cdn_str_eq(t.path, cdn_str(rows_[_i].path)), "%s: " CDN_STR_FMT, rows_[_i].key,
                      CDN_STR_ARG(t.path));
        is_stable(&n, &t);
    }
    end_sites(&n);
}
END_TEST

static const struct {
    const char *origin, *url, *listen, *host;
    const char *keyed, *told;
} names[] = {
    {"http://127.0.0.1:8090", "http://cdn.example", "0.0.0.0:8088", "cdn.example:80", "127.0.0.1:8090",
     "cdn.example"},
    {"http://127.0.0.1:8090", "https://CDN.example:443/", "0.0.0.0:8088", "localhost", "127.0.0.1:8090",
     "cdn.example"},
    {"http://127.0.0.1:8090", "", "0.0.0.0:8088", "127.0.0.1:8088", "127.0.0.1:8090", "localhost:8088"},
    {"http://127.0.0.1:8090", "", "192.0.2.1:8088", "192.0.2.1:08088", "127.0.0.1:8090", "192.0.2.1:8088"},
    {"http://127.0.0.1:8090", "", "192.0.2.1:8088", "192.0.2.1:8089", "192.0.2.1:8089", "192.0.2.1:8089"},
    {"http://origin:8090", "", "0.0.0.0:8088", "localhost:8088", "origin:8090", "origin:8090"},
    {"http://origin:8090", "", "0.0.0.0:8088", "ORIGIN.:8090", "origin:8090", "origin:8090"},
    {"https://www.example:443", "", "0.0.0.0:8088", "", "www.example", "www.example"},
    {"https://www.example", "", "0.0.0.0:8088", "www.example", "www.example", "www.example"},
    {"http://[::1]:8090", "", "[::1]:8088", "[0:0::1]:8088", "[::1]:8090", "[::1]:8088"},
};

START_TEST(names_of_this_machine)
{
    struct edge_sites n;
    struct edge_target t;
    char into[EDGE_KEY_MAX];
    sites_of(names[_i].origin, names[_i].url, names[_i].listen, &n);
    ck_assert_int_eq(build(&n, false, names[_i].host, "/a", into, &t), EDGE_KEY_OK);
    ck_assert_msg(cdn_str_eq(edge_key_host(t.key), cdn_str(names[_i].keyed)), "%d: " CDN_STR_FMT, _i,
                  CDN_STR_ARG(t.key));
    ck_assert_msg(cdn_str_eq(t.host, cdn_str(names[_i].told)), "%d: " CDN_STR_FMT, _i, CDN_STR_ARG(t.host));
    is_stable(&n, &t);
    end_sites(&n);
}
END_TEST

static const struct {
    const char *url;
    bool secure;
    const char *key; /* NULL: refused */
} urls[] = {
    {"/a/../%62?c#d", false, "http://127.0.0.1:8090/b?c"},
    {"/a", true, "https://127.0.0.1:8090/a"},
    {"HTTP://A.example:80/%61", true, "https://a.example/a"},
    {"https://a.example:443/a", false, "http://a.example/a"},
    {"https://a.example:8443/a", false, "http://a.example:8443/a"},
    {"http://localhost:1/a", false, "http://127.0.0.1:8090/a"},
    {"http://a.example", false, "http://a.example/"},
    {"http://u:p@a.example/", false, NULL},
    {"/100%", false, NULL},
    {"a.example/x", false, NULL},
    {"ftp://a.example/x", false, NULL},
    {"", false, NULL},
};

START_TEST(urls_of_purges_and_questions)
{
    struct edge_sites n;
    struct edge_target t;
    char into[EDGE_KEY_MAX];
    sites_of("http://127.0.0.1:8090", "", "127.0.1.1:8088", &n);
    enum edge_key_error e = edge_target_of_url(&n, cdn_str(urls[_i].url), urls[_i].secure, into, &t);
    ck_assert_msg((e == EDGE_KEY_OK) == (urls[_i].key != NULL), "%s", urls[_i].url);
    ck_assert_msg(!urls[_i].key || cdn_str_eq(t.key, cdn_str(urls[_i].key)), "%s", urls[_i].url);
    end_sites(&n);
}
END_TEST

START_TEST(bad_names_are_refused)
{
    struct cdn_addr address;
    struct cdn_error err;
    ck_assert(cdn_parse_host_port(CDN_STR("127.0.0.1:1"), &address));
    ck_assert_int_eq(edge_target_machine_create("cdn.example", &address, false, &machine, &err), CDN_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "cdn.example"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("target");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, what_is_asked_is_what_is_keyed, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_loop_test(rows, names_of_this_machine, 0, (int)CDN_ARRAY_LEN(names));
    tcase_add_loop_test(rows, urls_of_purges_and_questions, 0, (int)CDN_ARRAY_LEN(urls));
    tcase_add_test(rows, bad_names_are_refused);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
