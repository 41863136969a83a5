/* The three forms of a list, and what is refused in each. A row that fails asks for another URL than was
 * meant, or lets a file from elsewhere do what it likes. */
#include "cli/warm/warm_list.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define SPACE " xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\""
#define PAGES(x) "<?xml version=\"1.0\"?>\n<urlset" SPACE ">" x "</urlset>"
#define ATOM "<feed xmlns=\"http://www.w3.org/2005/Atom\"><url><loc>http://a/b</loc></url></feed>"

static const struct {
    const char *text, *base;
    const char *expected; /* "[s]HOST TARGET\n" for each; "sitemap URL\n" */
} rows[] = {
    {"/a.css\n", NULL, "- /a.css\n"},
    {"a.css\r\n\r\n  # remark\n\t/b.css  \n", NULL, "- /a.css\n- /b.css\n"},
    {"\xef\xbb\xbf/a.css", NULL, "- /a.css\n"},
    {"/a\n/a\nhttp://X.example/a\nhttp://x.example:80/a#top", NULL, "- /a\nx.example /a\n"},
    {"https://x.example/a\nhttp://x.example/a", NULL, "sx.example /a\nx.example /a\n"},
    {"https://x.example:443?q=1", NULL, "sx.example /?q=1\n"},
    {"http://x.example:8080/ a", NULL, "x.example:8080 /%20a\n"},
    {"/\xc3\xa4?x=%C3%A4&y=\"", NULL, "- /%C3%A4?x=%C3%A4&y=%22\n"},
    {"a.css\n/b.css\nhttp://y.example/c", "https://x.example/static",
     "sx.example /static/a.css\nsx.example /b.css\ny.example /c\n"},
    {"a.css\n/b.css", "/s/", "- /s/a.css\n- /b.css\n"},
    {"http://[::1]:8080/a", NULL, "[::1]:8080 /a\n"},
    {"{\"paths\": {\"a.css\": \"a.12.css\", \"b\": \"x y/\xc3\xa4?#%.css\"}}", NULL,
     "- /static/a.12.css\n- /static/x%20y/%C3%A4%3F%23%25.css\n"},
    {" {\"version\": \"1.1\", \"paths\": {\"a\": \"a\", \"b\": \"a\"}}", "http://x.example/s/",
     "x.example /s/a\n"},
    {PAGES("<url><loc>\n http://x.example/a?b=1&amp;c=2\n</loc><lastmod>2020</lastmod></url>"), NULL,
     "x.example /a?b=1&c=2\n"},
    {PAGES("<url><loc>http://x.example/<![CDATA[a&b]]>&#x41;</loc></url>"), NULL, "x.example /a&bA\n"},
    {PAGES("<url><i:image xmlns:i=\"http://i\"><i:loc>http://x/i</i:loc></i:image></url>"), NULL, ""},
    {PAGES("<url><i:loc xmlns:i=\"http://i\">http://x/i</i:loc></url>"), NULL, ""},
    {PAGES("<x><loc>http://x.example/a</loc></x><loc>http://x.example/b</loc>"), NULL, ""},
    {"<urlset><url><loc>http://x.example/a</loc></url></urlset>", NULL, "x.example /a\n"},
    {"<s:urlset xmlns:s=\"http://s\"><s:url><s:loc>http://x.example/a</s:loc></s:url></s:urlset>", NULL,
     "x.example /a\n"},
    {"<sitemapindex" SPACE "><sitemap><loc>http://x/1.xml</loc></sitemap><sitemap><loc>http://x/1.xml</loc>"
     "</sitemap><sitemap><loc>http://x/2.xml.gz</loc></sitemap></sitemapindex>",
     NULL, "sitemap http://x/1.xml\nsitemap http://x/2.xml.gz\n"},
    {"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><urlset><url><loc>http://x/\xe4</loc></url></urlset>",
     NULL, "x /%C3%A4\n"},
    {"", NULL, ""},
    {"# nothing\n", NULL, ""},
};

static const struct {
    const char *text, *expected; /* the error */
} refused[] = {
    {"/a\nhttp:///b", "list: line 2: 'http:///b' is no URL"},
    {"http://x y/b", "list: line 1: 'http://x y/b' is no URL"},
    {"/a\nb\tc", "list: line 2: 'b' is followed by a control character"},
    {"\x1b[31m", "list: line 1: '' is followed by a control character"},
    {"http://[::1/b", "list: line 1: 'http://[::1/b' is no URL"},
    {"{\"paths\": {\"a\": 1}}", "list: paths: 'a' is not the name of a file"},
    {"{\"a\": \"b\"}", "list: no object 'paths', so this is no manifest of staticfiles"},
    {"{\"paths\": {\"a\": \"b\", ", "list: line 1:"},
    {"{\"paths\": {\"a\": \"\\u0000\"}}", "list: line 1:"},
    {PAGES("<url><loc>/a</loc></url>"), "list: line 2: '/a' is no URL (http://...)"},
    {PAGES("<url><loc>ftp://x/a</loc></url>"), "list: line 2: 'ftp://x/a' is no URL (http://...)"},
    {PAGES("<url><loc></loc></url>"), "list: line 2: '' is no URL (http://...)"},
    {PAGES("<url><loc>http://x/a</url>"), "list: line 2: mismatched tag"},
    {PAGES("<url>"), "list: line 2: mismatched tag"},
    {"<urlset>\n<url>", "list: line 2: no element found"},
    {PAGES("<url><loc>http://x/&b;</loc></url>"), "list: line 2: undefined entity"},
    {ATOM, "list: line 1: the root is neither <urlset> nor <sitemapindex>, so this is no sitemap"},
    {"<!DOCTYPE html><html></html>", "list: line 1: a document type, which sitemaps do not have"},
    {"<!DOCTYPE u [<!ENTITY a \"aaaa\">]><urlset><url><loc>&a;</loc></url></urlset>",
     "list: line 1: a document type, which sitemaps do not have"},
    {"<!DOCTYPE u SYSTEM \"file:///etc/passwd\"><urlset/>",
     "list: line 1: a document type, which sitemaps do not have"},
};

static char *list_text(const struct warm_list *list)
{
    struct cdn_buf text = {0};
    for (size_t i = 0; i < list->n; i++) {
        const struct warm_url *url = &list->urls[i];
        cdn_buf_printf(&text, "%s%s %s\n", url->secure ? "s" : "", url->host[0] ? url->host : "-",
                       url->target);
    }
    for (size_t i = 0; i < list->sitemap_count; i++) {
        cdn_buf_printf(&text, "sitemap %s\n", list->sitemaps[i]);
    }
    return cdn_buf_take(&text);
}

START_TEST(forms)
{
    struct warm_list list = {0};
    struct cdn_error err = {0};
    const struct warm_base base = {rows[_i].base};
    enum cdn_status status = warm_list_add(&list, "list", cdn_str(rows[_i].text), &base, &err);
    ck_assert_msg(status == CDN_OK, "%s", err.text);
    CDN_AUTOFREE char *text = list_text(&list);
    ck_assert_str_eq(text, rows[_i].expected);
    warm_list_free(&list);
}
END_TEST

START_TEST(refusals)
{
    struct warm_list list = {0};
    struct cdn_error err = {0};
    const struct warm_base base = {NULL};
    ck_assert(warm_list_add(&list, "list", cdn_str(refused[_i].text), &base, &err) == CDN_INVALID);
    size_t n = strlen(refused[_i].expected);
    ck_assert_msg(strncmp(err.text, refused[_i].expected, n) == 0, "%s", err.text);
    warm_list_free(&list);
}
END_TEST

START_TEST(long_ones_are_refused)
{
    struct warm_list list = {0};
    struct cdn_error err = {0};
    const struct warm_base base = {NULL};
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(&text, "/%08000d\n", 1);
    ck_assert(warm_list_add(&list, "list", cdn_buf_str(&text), &base, &err) == CDN_INVALID);
    ck_assert_msg(strstr(err.text, "...' is too long for a URL"), "%s", err.text);
    cdn_buf_clear(&text);
    cdn_buf_printf(&text, "<urlset><url><loc>http://x/%08001d</loc></url></urlset>", 1);
    ck_assert(warm_list_add(&list, "list", cdn_buf_str(&text), &base, &err) == CDN_INVALID);
    ck_assert_msg(strstr(err.text, "longer than any URL"), "%s", err.text);
    ck_assert(warm_list_add(&list, "list", (struct cdn_str){"/a\0b", 4}, &base, &err) == CDN_INVALID);
    ck_assert_uint_eq(list.n, 0);
    warm_list_free(&list);
}
END_TEST

START_TEST(there_is_a_limit)
{
    struct warm_list list = {.most = 1000};
    struct cdn_error err = {0};
    char url[32];
    for (size_t i = 0; i < list.most; i++) {
        (void)snprintf(url, sizeof(url), "/%zu", i);
        ck_assert(warm_list_add_url(&list, cdn_str(url), CDN_STR("/"), &err) == CDN_OK);
    }
    ck_assert(warm_list_add_url(&list, CDN_STR("/0"), CDN_STR("/"), &err) == CDN_OK); /* known */
    ck_assert(warm_list_add_url(&list, CDN_STR("/one"), CDN_STR("/"), &err) == CDN_TOO_LARGE);
    ck_assert_str_eq(err.text, "more than 1000 URLs");
    warm_list_free(&list);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("warm_list");
    TCase *cases = tcase_create("rows");
    tcase_add_loop_test(cases, forms, 0, CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(cases, refusals, 0, CDN_ARRAY_LEN(refused));
    tcase_add_test(cases, long_ones_are_refused);
    tcase_add_test(cases, there_is_a_limit);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
