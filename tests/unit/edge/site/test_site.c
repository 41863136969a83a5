/* site: which site a host means, and which files are refused for what is between sites. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/site.h"
#include "edge/site/target.h"
#include "tests/unit/edge/sites_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

#define HOSTS                                                                                             \
    "sites:\n"                                                                                            \
    "  shop: {hosts: [shop.example, \"*.shop.example\"], origins: [\"http://a.example\"]}\n"              \
    "  deep: {hosts: [\"*.eu.shop.example\", www.shop.example], origins: [\"http://a.example\"]}\n"       \
    "  ports: {hosts: [\"port.example:8080\", \"tls.example:443\", \"[2001:DB8::0:1]\", \"192.0.2.1\"], " \
    "origins: [\"http://a.example\"]}\n"                                                                  \
    "  port: {hosts: [port.example, Big.EXAMPLE., \"[2001:db8::1]:8443\", \"*.example.net\"], "           \
    "origins: [\"http://a.example\"]}\n"

static const struct {
    bool secure;
    const char *host;
    const char *site; /* NULL: none, "": that of the flags */
} finds[] = {
    {false, "shop.example", "shop"},
    {false, "SHOP.example", "shop"},
    {false, "shop.example.", "shop"},
    {false, "shop.example:80", "shop"},
    {true, "shop.example:443", "shop"},
    {false, "shop.example:8443", "shop"}, /* on whatever port the edge listens */
    {true, "shop.example", "shop"},
    {false, "a.shop.example", "shop"},
    {false, "a.b.c.shop.example", "shop"},
    {false, "A.SHOP.EXAMPLE.:81", "shop"},
    {false, "www.shop.example", "deep"}, /* exact before wildcard */
    {false, "x.www.shop.example", "shop"},
    {false, "eu.shop.example", "shop"}, /* a wildcard is not the name itself */
    {false, "a.eu.shop.example", "deep"},
    {false, "a.b.eu.shop.example:8080", "deep"},
    {false, "xeu.shop.example", "shop"},
    {false, "shopp.example", NULL},
    {false, "xshop.example", NULL},
    {false, "example", NULL},
    {false, "port.example:8080", "ports"}, /* with the port before without */
    {true, "port.example:8080", "ports"},
    {false, "port.example:8081", "port"},
    {false, "port.example", "port"},
    {true, "tls.example", "ports"},
    {false, "tls.example", "ports"},
    {true, "tls.example:443", "ports"},
    {false, "big.example", "port"},
    {false, "[2001:db8::1]", "ports"},
    {false, "[2001:db8:0:0::1]:80", "ports"},
    {false, "[2001:db8::1]:8443", "port"},
    {false, "[2001:db8::1]:8444", "ports"},
    {false, "[2001:db8::2]", NULL},
    {false, "192.0.2.1:9999", "ports"},
    {false, "192.0.2.11", NULL},
    {false, "a.example.net", "port"},
    {false, "example.net", NULL},
    {false, "a.example.net.example", NULL},
};

static void check_find(const struct edge_sites *sites, int i, const char *expected)
{
    struct edge_key_parts parts = {
        .secure = finds[i].secure, .host = cdn_str(finds[i].host), .path = CDN_STR("/x")};
    struct edge_target target;
    char into[EDGE_KEY_MAX];
    const enum edge_key_error e = edge_target_build(sites, &parts, into, &target);
    if (!expected) {
        ck_assert_msg(e == EDGE_KEY_SITE, "%s: %d", finds[i].host, e);
        ck_assert_uint_eq(edge_key_error_status(e), 421);
        return;
    }
    ck_assert_msg(e == EDGE_KEY_OK, "%s: %s", finds[i].host, edge_key_error_text(e));
    ck_assert_msg(strcmp(target.rule->site->name, expected) == 0, "%s: %s", finds[i].host,
                  target.rule->site->name);
}

START_TEST(a_host_has_its_site)
{
    struct edge_sites sites;
    read_good(HOSTS, "", &sites);
    check_find(&sites, _i, finds[_i].site);
    end_sites(&sites);
}
END_TEST

START_TEST(what_sites_leave_is_that_of_the_flags)
{
    struct edge_sites sites;
    read_good(HOSTS, "http://b.example", &sites);
    check_find(&sites, _i, finds[_i].site ? finds[_i].site : "");
    end_sites(&sites);
}
END_TEST

/* One site alone is meant by all names of this machine; several by none. */
static const struct {
    const char *text, *origin;
    const char *key; /* NULL: no site */
} machine[] = {
    {RULE_OF("pass: no"), "", "http://shop.example/s/"},
    {RULE_OF("pass: no"), "http://b.example:81", "http://b.example:81/s/"},
    {"sites: {}\n", "http://b.example", "http://b.example/s/"},
    {"sites: {a: {hosts: [\"*.x.example\"], origins: [\"http://a.example\"]}}\n", "", NULL},
    {"sites: {a: {hosts: [localhost], origins: [\"http://a.example\"]}}\n", "", "http://localhost/s/"},
    {"sites: {a: {hosts: [x.example], origins: [\"http://a.example\"]},"
     " b: {hosts: [y.example], origins: [\"http://a.example\"]}}\n",
     "", NULL},
    {"sites: {a: {hosts: [x.example], origins: [\"http://a.example\"]},"
     " b: {hosts: [\"127.0.0.1\", localhost], origins: [\"http://a.example\"]}}\n",
     "", "http://localhost/s/"},
};

START_TEST(names_of_the_machine)
{
    struct edge_sites sites;
    struct edge_target target;
    struct edge_key_parts parts = {.host = CDN_STR("localhost"), .path = CDN_STR("/s/")};
    char into[EDGE_KEY_MAX];
    read_good(machine[_i].text, machine[_i].origin, &sites);
    const enum edge_key_error e = edge_target_build(&sites, &parts, into, &target);
    ck_assert_int_eq(e, machine[_i].key ? EDGE_KEY_OK : EDGE_KEY_SITE);
    ck_assert(!machine[_i].key || cdn_str_eq(target.key, cdn_str(machine[_i].key)));
    end_sites(&sites);
}
END_TEST

static const struct bad_row bad[] = {
    {SITE_OF(""), "2: sites.shop.origins: missing; give a list of URLs"},
    {SITE_OF("    rules: []\n"), "4: sites.shop.rules: the list is empty"},
    {SITE_OF("    rules:\n"), "2: sites.shop.origins: missing; give a list of URLs"},
    {SITE_OF("    rules: {path: /}\n"), "4: sites.shop.rules: must be a list, not a mapping"},
    {SITE_OF("    rules: [/static/]\n"), "4: sites.shop.rules[1]: must be a mapping, not a single value"},
    {"sites:\n  shop:\n    rules: [{path: /, origins: [\"http://a.example\"]}]\n",
     "2: sites.shop: `hosts` is missing: which names does it have?"},
    {"sites:\n  shop:\n    hosts: []\n    origins: [\"http://a.example\"]\n",
     "2: sites.shop: `hosts` is missing: which names does it have?"},
    {"sites: []\n", "1: sites: must be a mapping, not a list"},
    {"sites: x\n", "1: sites: must be a mapping, not a single value"},
    {"sites:\n  shop: x\n", "2: sites.shop: must be a mapping, not a single value"},
    {"sites:\n  shop:\n", "2: sites.shop: must be a mapping, not empty"},
    {"sites:\n  shop: {}\n", "2: sites.shop: `hosts` is missing: which names does it have?"},
    {"sites:\n  shop: [a]\n", "2: sites.shop: must be a mapping, not a list"},
    {"sites:\n  shop:\n    host: [a.example]\n",
     "3: unknown key \"host\" in sites.shop; did you mean \"hosts\"?"},
    {"sites:\n  shop:\n    hosts: [\"a b\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"a b\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [\"a.*\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"a.*\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [\"*\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"*\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [\"*.\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"*.\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [\"*.*.example\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"*.*.example\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [\"http://a.example\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"http://a.example\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [\"a.example/x\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"a.example/x\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [a.example, A.EXAMPLE.]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"a.example\" is there twice (also in shop, cdn.yaml:3)"},
    {"sites:\n  shop:\n    hosts: [a.example, \"a.example:80\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"a.example\" is there twice (also in shop, cdn.yaml:3)"},
    {"sites:\n  shop:\n    hosts: [\"*.a.example\", \"*.A.example\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"*.a.example\" is there twice (also in shop, cdn.yaml:3)"},
    {"sites:\n  shop:\n    hosts: {a: b}\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: must be a list, not a mapping"},
    {"sites:\n  shop:\n    hosts: [\"*.a.example:8080\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"*.a.example:8080\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [\"*.[::1]\"]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"*.[::1]\" is not a host name"},
    {"sites:\n  shop:\n    hosts: [a.example, a.example]\n    origins: [\"http://a.example\"]\n",
     "3: sites.shop.hosts: \"a.example\" is there twice (also in shop, cdn.yaml:3)"},
    {"sites:\n  a: {hosts: [x.example], origins: [\"http://a.example\"]}\n  b: {hosts: [y.example, "
     "X.example.], origins: [\"http://b.example\"]}\n",
     "3: sites.b.hosts: \"x.example\" is there twice (also in a, cdn.yaml:2)"},
    {"sites:\n  a: {hosts: [\"*.x.example\"], origins: [\"http://a.example\"]}\n  b: {hosts: "
     "[\"*.X.example\"], origins: [\"http://b.example\"]}\n",
     "3: sites.b.hosts: \"*.x.example\" is there twice (also in a, cdn.yaml:2)"},
    {"sites:\n  a: {hosts: [x.example], origins: [\"http://a.example\"]}\n  a: {hosts: [y.example], origins: "
     "[\"http://b.example\"]}\n",
     "3: sites.a: the key is there twice (first in line 2)"},
    {SITE_OF("    rules:\n      - {path: /, origins: [\"http://a.example\"]}\n      - {path: /s/, origins: "
             "[\"http://a.example\"]}\n"),
     "6: sites.shop.rules[2]: \"/s/\" is never reached: the rule in cdn.yaml:5 has all of its paths"},
    {SITE_OF("    rules:\n      - {path: /a/, origins: [\"http://a.example\"]}\n      - {path: /%61/b/, "
             "origins: [\"http://a.example\"]}\n"),
     "6: sites.shop.rules[2]: \"/%61/b/\" is never reached: the rule in cdn.yaml:5 has all of its paths"},
    {SITE_OF("    rules:\n      - {path: \"*.css,js\", origins: [\"http://a.example\"]}\n      - {path: "
             "\"/s/*.js\", origins: [\"http://a.example\"]}\n"),
     "6: sites.shop.rules[2]: \"/s/*.js\" is never reached: the rule in cdn.yaml:5 has all of its paths"},
    {SITE_OF("    rules:\n      - {path: \"/s/*.js\", origins: [\"http://a.example\"]}\n      - {path: "
             "\"/s/*.JS\", origins: [\"http://a.example\"]}\n"),
     "6: sites.shop.rules[2]: \"/s/*.JS\" is never reached: the rule in cdn.yaml:5 has all of its paths"},
    {SITE_OF("    rules:\n      - {path: \"/s/*.gz\", origins: [\"http://a.example\"]}\n      - {path: "
             "\"/s/*.tar.gz\", origins: [\"http://a.example\"]}\n"),
     "6: sites.shop.rules[2]: \"/s/*.tar.gz\" is never reached: the rule in cdn.yaml:5 has all of its paths"},
    {SITE_OF("    origins: [\"http://a.example\"]\n    key: {query: allow}\n"),
     "5: sites.shop.key_query: 'allow' needs key_allow"},
    {SITE_OF("    origins: [\"http://a.example\"]\n    key_query: none\n    key: {query: all}\n"),
     "6: sites.shop.key.query: it is there twice (first in cdn.yaml:5)"},
    {SITE_OF("    hosts: [x.example]\n"), "4: sites.shop.hosts: the key is there twice (first in line 3)"},
    {SITE_OF("    origins: [\"http://a.example\"]\n    mode: both\n"),
     "5: sites.shop.mode: \"both\" is not one of default, redirect, proxy"},
    {SITE_OF("    origins: [\"http://a.example\"]\n    key: {cookies: [a], cokies: [b]}\n"),
     "5: unknown key \"cokies\" in sites.shop.key; did you mean \"cookies\"?"},
    {"sitez: {}\n", "1: unknown key \"sitez\"; did you mean \"sites\"?"},
};

START_TEST(bad_files_are_refused)
{
    check_bad(&bad[_i]);
}
END_TEST

static char *many(unsigned sites, unsigned rules)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(&text, "sites:\n");
    for (unsigned i = 0; i < sites; i++) {
        cdn_buf_printf(&text,
                       "  s%u:\n    hosts: [\"s%u.example\"]\n    origins: [http://a.example]\n    rules:\n",
                       i, i);
        for (unsigned k = 0; k < rules; k++) {
            cdn_buf_printf(&text, "      - {path: /r%u/}\n", k);
        }
    }
    return cdn_str_dup(cdn_buf_str(&text));
}

START_TEST(a_thousand_sites_are_read)
{
    struct edge_sites sites;
    struct edge_target target;
    struct edge_key_parts parts = {.host = CDN_STR("s617.example"), .path = CDN_STR("/r19/x")};
    char into[EDGE_KEY_MAX];
    CDN_AUTOFREE char *text = many(1000, 20);
    read_good(text, "", &sites);
    ck_assert_int_eq(edge_target_build(&sites, &parts, into, &target), EDGE_KEY_OK);
    ck_assert_str_eq(target.rule->site->name, "s617");
    ck_assert_uint_eq(target.rule->number, 20);
    end_sites(&sites);
}
END_TEST

START_TEST(too_many_rules_are_refused)
{
    struct edge_sites sites;
    struct cdn_error err;
    CDN_AUTOFREE char *text = many(1, 1001);
    ck_assert_int_eq(read_sites(text, "", &sites, &err), CDN_TOO_LARGE);
    ck_assert_str_eq(err.text, "cdn.yaml:1006: sites.s0.rules[1001]: more than 1000 rules");
    edge_origins_free(&origins);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("site");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, a_host_has_its_site, 0, (int)CDN_ARRAY_LEN(finds));
    tcase_add_loop_test(rows, what_sites_leave_is_that_of_the_flags, 0, (int)CDN_ARRAY_LEN(finds));
    tcase_add_loop_test(rows, names_of_the_machine, 0, (int)CDN_ARRAY_LEN(machine));
    tcase_add_loop_test(rows, bad_files_are_refused, 0, (int)CDN_ARRAY_LEN(bad));
    tcase_add_test(rows, a_thousand_sites_are_read);
    tcase_add_test(rows, too_many_rules_are_refused);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
