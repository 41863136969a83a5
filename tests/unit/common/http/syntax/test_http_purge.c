/* Purges as other caches' clients send them, row by row: what becomes of each, and what is refused rather
 * than done in part. The comments name who sends a form. */
#include "common/http/syntax/http_purge.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* "METHOD path" and field lines, as an HTTP parser would hand them over. */
static enum cdn_status read_purge(const char *text, struct http_purge *ret, struct cdn_error *err)
{
    struct cdn_str rest = cdn_str(text), line = cdn_str_cut(&rest, '\n');
    const struct cdn_str method = cdn_str_cut(&line, ' ');
    http_purge_begin(ret, method, line);
    while (rest.p) {
        struct cdn_str value = cdn_str_cut(&rest, '\n');
        const struct cdn_str name = cdn_str_cut(&value, ':');
        http_purge_field(ret, name, value);
    }
    return http_purge_end(ret, err);
}

/* "all", "own", or "url http://..., tag a"; " soft" behind it. */
static char *shown(const struct http_purge *p)
{
    static const char *const kinds[] = {
        [HTTP_PURGE_URL] = "url", [HTTP_PURGE_PREFIX] = "prefix", [HTTP_PURGE_TAG] = "tag"};
    struct cdn_buf out = {0};
    cdn_buf_printf(&out, "%s%s", p->all ? "all" : "", p->own ? "own" : "");
    for (size_t i = 0; i < p->count; i++) {
        cdn_buf_printf(&out, "%s%s %s", out.n ? ", " : "", kinds[p->item[i].kind], p->item[i].text);
    }
    cdn_buf_printf(&out, "%s", p->soft ? " soft" : "");
    return cdn_buf_take(&out);
}

static const struct {
    const char *request;
    const char *is; /* or the status that refuses it */
} rows[] = {
    /* curl, Wagtail's HTTPBackend, FOSHttpCache's purge() */
    {"PURGE /a", "own"},
    {"PURGE /a\nHost: shop.example\nUser-Agent: Wagtail-frontendcache/2.15", "own"},
    {"PURGE /a\nFastly-Soft-Purge: 1", "own soft"},
    {"PURGE /a\nFastly-Soft-Purge: 0", "own"},
    {"PURGE /a\nX-Host: other\nX-Url: .*", "own"},
    /* tags in fields */
    {"PURGE /\nSurrogate-Key: a b", "tag a, tag b"},
    {"PURGE /\nSurrogate-Key: a,b\nxkey: c", "tag a, tag b, tag c"},
    {"PURGE /\nxkey-purge: a", "tag a"},
    {"PURGE /\nxkey-softpurge: a\t b", "tag a, tag b soft"},
    {"PURGE /\nCache-Tag: red shoes, hats", "tag red shoes, tag hats"},
    {"PURGE /\nX-Cache-Tags: a,b", "tag a, tag b"},
    {"PURGE /\nSurrogate-Key: , ,", "400"},
    {"PURGE /\nSurrogate-Key:", "own"}, /* as if it were not there */
    /* FOSHttpCache with Symfony's cache */
    {"PURGETAGS /\nX-Cache-Tags: a,b", "tag a, tag b"},
    {"PURGE /\nClear-Cache: true", "all"},
    {"PURGE /\nClear-Cache: false", "own"},
    {"PURGETAGS /", "400"},
    /* FOSHttpCache, tag_mode purgekeys; Ibexa */
    {"PURGEKEYS /\nxkey-softpurge: c52 l2", "tag c52, tag l2 soft"},
    {"PURGEKEYS /\nxkey-purge: c52", "tag c52"},
    {"PURGEKEYS /\nSurrogate-Key: a", "tag a"},
    {"PURGEKEYS /\nxkey-purge:", "400"},
    {"PURGEKEYS /\nX-Host: .*", "400"},
    /* FOSHttpCache for Varnish: ban() by tags, paths and hosts */
    {"BAN /\nX-Host: .*\nX-Url: .*\nX-Content-Type: .*\nX-Cache-Tags: (^|,)(a|b\\-1)(,|$)", "tag a, tag b-1"},
    {"BAN /\nX-Host: .*\nX-Url: .*\nX-Content-Type: .*\nX-Cache-Tags: (a|b)(,.+)?$", "tag a, tag b"},
    {"BAN /\nX-Host: .*\nX-Url: .*\nX-Content-Type: .*", "all"},
    {"BAN /\nX-Host: .*\nX-Url: ^/a$\nX-Content-Type: .*", "url http://*/a"},
    {"BAN /\nX-Host: .*\nX-Url: ^/a", "prefix http://*/a"},
    {"BAN /\nX-Url: ^/a/.*", "prefix http://*/a/"},
    {"BAN /\nX-Url: ^/a/.*$", "prefix http://*/a/"},
    {"BAN /\nX-Url: ^/(a|b\\.css)$", "url http://*/a, url http://*/b.css"},
    {"BAN /\nX-Url: ^/a$|^/b", "url http://*/a, prefix http://*/b"},
    {"BAN /\nX-Url: ^/a(/.*)?$", "prefix http://*/a/, url http://*/a"},
    {"BAN /\nX-Url: ^/a/?$", "url http://*/a/, url http://*/a"},
    {"BAN /\nX-Url: ^/a\\?b=1$", "url http://*/a?b=1"},
    {"BAN /\nX-Host: ^(a.example|b\\.example)$\nX-Url: .*\nX-Content-Type: .*",
     "prefix http://a.example/, prefix http://b.example/"},
    {"BAN /\nX-Host: ^a\\.example$\nX-Url: ^/x$", "url http://a.example/x"},
    {"BAN /\nSurrogate-Key: a", "tag a"},
    {"BAN /\nX-Url: ^/a$\nFastly-Soft-Purge: 1", "url http://*/a soft"},
    /* what would have to be done in part */
    {"BAN /", "400"},
    {"BAN /\nX-Content-Type: .*", "400"},
    {"BAN /\nX-Url:", "400"},
    {"BAN /\nX-Url: ^/a\nX-Url: ^/b", "400"},
    {"BAN /\nX-Url: .*png$", "501"},
    {"BAN /\nX-Url: /a", "501"},
    {"BAN /\nX-Url: /a$", "501"},
    {"BAN /\nX-Url: ^/a.css$", "501"},
    {"BAN /\nX-Url: ^/a[0-9]", "501"},
    {"BAN /\nX-Url: ^/\\d+", "501"},
    {"BAN /\nX-Url: ^/a+", "501"},
    {"BAN /\nX-Url: ^/a{2}", "501"},
    {"BAN /\nX-Url: ^/a.*b$", "501"},
    {"BAN /\nX-Url: ^/(a.*|b)c$", "501"},
    {"BAN /\nX-Url: ^/a$|/b", "501"},
    {"BAN /\nX-Url: ^/(?!a)", "501"},
    {"BAN /\nX-Url: (?i)^/a", "501"},
    {"BAN /\nX-Url: ^/(a|(b|c))", "501"},
    {"BAN /\nX-Url: ^/(a", "400"},
    {"BAN /\nX-Url: ^/a\\", "400"},
    {"BAN /\nX-Url: ^a", "400"},
    {"BAN /\nX-Url: ^(/a|b)", "400"},
    {"BAN /\nX-Host: a.example\nX-Url: .*", "501"},
    {"BAN /\nX-Host: ^a.example\nX-Url: .*", "501"},
    {"BAN /\nX-Host: .*\\.example$", "501"},
    {"BAN /\nX-Url: .*\nX-Content-Type: text/html", "501"},
    {"BAN /\nX-Url: ^/a\nX-Cache-Tags: (^|,)(a)(,|$)", "501"},
    {"BAN /\nX-Cache-Tags: a", "501"},
    {"BAN /\nX-Cache-Tags: (^|,)a", "501"},
    {"BAN /\nX-Cache-Tags: (^|,)(a.*)(,|$)", "501"},
    {"BAN /\nX-Cache-Tags: (^|,)[ab](,|$)", "501"},
    {"PURGE /.*\nX-Purge-Method: regex", "501"},
    {"PURGE /a\nX-Purge-Method: default", "own"}, /* Proxy Cache Purge for WordPress */
    /* Magento 2 */
    {"PURGE /\nX-Magento-Tags-Pattern: ((^|,)cat_p_1(,|$))", "tag cat_p_1"},
    {"PURGE /\nX-Magento-Tags-Pattern: ((^|,)cat_p_1(,|$))|((^|,)cat_c(,|$))", "tag cat_p_1, tag cat_c"},
    {"PURGE /\nX-Magento-Tags-Pattern: (^|,)(cat_p_1|cat_c)(,|$)", "tag cat_p_1, tag cat_c"},
    {"PURGE /\nX-Magento-Tags-Pattern: .*", "all"},
    {"PURGE /\nX-Magento-Tags-Pattern: ((^|,)a(,|$))|.*", "all"},
    {"PURGE /\nX-Magento-Tags-Pattern: cat_p_1|cat_c", "501"},
    {"PURGE /\nX-Magento-Tags-Pattern: *", "501"},
    {"PURGE /\nX-Magento-Tags-Pattern:", "400"},
    {"PURGE /\nX-Magento-Tags-Pattern: (((((((((((^|,)a(,|$))))))))))", "501"},
    /* Fastly's API */
    {"POST /service/SU1Z0isxPaozGVKXdv0eY/purge/key_1", "tag key_1"},
    {"POST /service/s/purge/a%2Fb", "tag a/b"},
    {"POST /service/s/purge/a\nFastly-Soft-Purge: 1", "tag a soft"},
    {"POST /service/s/purge\nSurrogate-Key: a b c", "tag a, tag b, tag c"},
    {"POST /service/s/purge_all", "all"},
    {"POST /purge/shop.example/a.jpg", "url http://shop.example/a.jpg"},
    {"POST /service/s/purge", "400"},
    {"POST /service/s/purge/", "404"},
    {"POST /service/s/purge/%zz", "400"},
    {"POST /service/s/purge/a%2Cb", "400"},
    {"POST /service/s/purge/a%00b", "400"},
    {"POST /service//purge_all", "404"},
    {"POST /service/s/purge_all/x", "404"},
    {"POST /service/s/version", "404"},
    {"POST /service/s", "404"},
    {"POST /purge/", "404"},
};

START_TEST(a_request)
{
    struct http_purge purge;
    struct cdn_error err;
    enum cdn_status status = read_purge(rows[_i].request, &purge, &err);
    CDN_AUTOFREE char *is = status == CDN_OK ? shown(&purge) : cdn_asprintf("%d", cdn_status_http(status));
    ck_assert_msg(strcmp(is, rows[_i].is) == 0, "%s\n is '%s', not '%s' (%s)", rows[_i].request, is,
                  rows[_i].is, status == CDN_OK ? "" : err.text);
    http_purge_free(&purge);
}
END_TEST

START_TEST(much_is_refused)
{
    static const struct {
        const char *repeat;
        size_t times;
        int status;
    } many[] = {{"t%zu ", 1000, 200}, {"t%zu ", 1001, 413}, {"x", 1024, 200}, {"x", 1025, 413}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(many); i++) {
        CDN_AUTOBUF struct cdn_buf text = {0};
        struct http_purge purge;
        struct cdn_error err;
        cdn_buf_printf(&text, "PURGE /\nSurrogate-Key: ");
        for (size_t k = 0; k < many[i].times; k++) {
            if (many[i].repeat[0] == 't') {
                cdn_buf_printf(&text, "t%zu ", k);
            } else {
                cdn_buf_add_char(&text, 'x');
            }
        }
        ck_assert_int_eq(cdn_status_http(read_purge(text.p, &purge, &err)), many[i].status);
        http_purge_free(&purge);
    }
    struct http_purge purge;
    struct cdn_error err;
    const char *bomb = "BAN /\nX-Url: ^/(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)$";
    ck_assert_int_eq(read_purge(bomb, &purge, &err), CDN_TOO_LARGE);
    http_purge_free(&purge);
}
END_TEST

START_TEST(methods)
{
    ck_assert(http_purge_is_method(CDN_STR("PURGE")) && http_purge_is_method(CDN_STR("BAN")));
    ck_assert(http_purge_is_method(CDN_STR("PURGEKEYS")) && http_purge_is_method(CDN_STR("PURGETAGS")));
    ck_assert(!http_purge_is_method(CDN_STR("purge")) && !http_purge_is_method(CDN_STR("BANANA")));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("http_purge");
    tcase_add_loop_test(tc, a_request, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tc, much_is_refused);
    tcase_add_test(tc, methods);
    Suite *suite = suite_create("http_purge");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
