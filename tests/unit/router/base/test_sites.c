/* Which mode a host has, in all spellings, and what of `sites:` is refused. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/proxy_settings.h"
#include "router/base/sites.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

static enum cdn_status read_text(const char *text, struct router_sites *ret, struct cdn_error *err)
{
    char path[] = "/tmp/pocketcdn-sites-XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    const enum cdn_status status = router_sites_read(path, ret, err);
    unlink(path);
    return status;
}

START_TEST(hosts)
{
    static const char text[] =
        "sites:\n"
        "  shop:\n"
        "    hosts: [shop.example, \"*.shop.example\", \"dev.example:8080\", \"[::1]\"]\n"
        "    mode: proxy\n"
        "    origins: http://127.0.0.1:1\n"
        "    health: {path: /x}\n"
        "    rules: [{path: /, pass: yes}]\n"
        "  files:\n"
        "    hosts: [Files.Shop.Example., \"*.a.shop.example\"]\n"
        "    mode: redirect\n"
        "  other:\n"
        "    hosts: other.example\n"
        "    cors: \"*\"\n";
    static const struct {
        const char *host;
        char mode; /* 'p', 'r'; '-': the router's */
    } rows[] = {
        {"shop.example", 'p'},
        {"SHOP.example", 'p'},
        {"shop.example.", 'p'},
        {"shop.example:8080", 'p'},
        {"shop.example.:8080", 'p'},
        {"www.shop.example", 'p'},
        {"a.b.shop.example:1", 'p'},
        {"files.shop.example", 'r'},
        {"x.files.shop.example", 'p'},
        {"a.shop.example", 'p'},
        {"x.a.shop.example", 'r'},
        {"x.y.A.shop.example", 'r'},
        {"dev.example:8080", 'p'},
        {"dev.example", '-'},
        {"dev.example:81", '-'},
        {"[::1]", 'p'},
        {"[::1]:80", 'p'},
        {"other.example", '-'},
        {"example", '-'},
        {"", '-'},
        {"notshop.example", '-'},
        {".shop.example", 'p'},
        {"shop.example.evil.net", '-'},
        {"*.shop.example", 'p'},
    };
    struct router_sites sites;
    struct cdn_error err;
    ck_assert_msg(read_text(text, &sites, &err) == CDN_OK, "%s", err.text);
    struct router_sites copy;
    router_sites_copy(&sites, &copy);
    router_sites_free(&sites);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        const enum router_mode proxy = router_sites_mode(&copy, cdn_str(rows[i].host), ROUTER_MODE_PROXY);
        const enum router_mode redirect =
            router_sites_mode(&copy, cdn_str(rows[i].host), ROUTER_MODE_REDIRECT);
        ck_assert_msg(proxy == (rows[i].mode == 'r' ? ROUTER_MODE_REDIRECT : ROUTER_MODE_PROXY), "%s",
                      rows[i].host);
        ck_assert_msg(redirect == (rows[i].mode == 'p' ? ROUTER_MODE_PROXY : ROUTER_MODE_REDIRECT), "%s",
                      rows[i].host);
    }
    char longest[400];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    ck_assert_int_eq(router_sites_mode(&copy, cdn_str(longest), ROUTER_MODE_PROXY), ROUTER_MODE_PROXY);
    router_sites_free(&copy);
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"sites: {a: {hosts: [x.example], mode: both}}", "mode"},
        {"sites: {a: {hosts: [x.example], mode: proxy}, b: {hosts: [X.example.], mode: redirect}}",
         "the host \"x.example\" is in the site at "},
        {"sites: {a: {hosts: [\"*.x.example\", \"*.X.example\"], mode: proxy}}",
         "the host \"*.x.example\" is in"},
        {"sites: {a: {hosts: [\"\"], mode: proxy}}", "sites.a.hosts"},
        {"sites: {a: {hosts: {x: y}, mode: proxy}}", "hosts"},
        {"sites: {a: [x]}", "a"},
        {"sites: [x]", "sites"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_sites sites = {0};
        struct cdn_error err = {0};
        ck_assert_msg(read_text(rows[i].text, &sites, &err) != CDN_OK, "%s", rows[i].text);
        ck_assert_msg(strstr(err.text, rows[i].why) && strstr(err.text, ":1"), "%s: %s", rows[i].text,
                      err.text);
    }
    struct router_sites none = {0};
    struct cdn_error err;
    ck_assert_int_eq(router_sites_read(NULL, &none, &err), CDN_OK);
    ck_assert_int_eq(router_sites_mode(&none, CDN_STR("x"), ROUTER_MODE_PROXY), ROUTER_MODE_PROXY);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {hosts, refusals};
    return run_suite("sites", tests, CDN_ARRAY_LEN(tests));
}
