/* http_field_cache: Cache-Control as it is meant and as it is sent (RFC 9111 5.2, 4.2.1, 1.2.2; RFC 9213). */
#include "common/http/syntax/http_field_cache.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define B(name) (UINT32_C(1) << HTTP_CC_##name)
#define MAX INT32_MAX

static const struct {
    const char *section;
    const char *value; /* lines separated by '\n' */
    uint32_t present;
    int32_t max_age, s_maxage;
} responses[] = {
    {"5.2.2.1", "max-age=3600", B(MAX_AGE), 3600, 0},
    {"5.2.2.1", "max-age=0", B(MAX_AGE), 0, 0},
    {"5.2.2.10", "s-maxage=60, max-age=5", B(S_MAXAGE) | B(MAX_AGE), 5, 60},
    {"5.2 several lines", "s-maxage=60\nmax-age=5", B(S_MAXAGE) | B(MAX_AGE), 5, 60},
    {"5.2 case", "MaX-aGe=3600, No-StOrE", B(MAX_AGE) | B(NO_STORE), 3600, 0},
    {"5.2 quoted", "max-age=\"3600\"", B(MAX_AGE), 3600, 0},
    {"5.2 single quotes are no quotes", "max-age='3600'", B(MAX_AGE), 0, 0},
    {"5.2 within a quoted string", "extension=\"max-age=3600\", max-age=1", B(MAX_AGE), 1, 0},
    {"5.2 within a quoted string", "max-age=1, extension=\"max-age=3600, no-store\"", B(MAX_AGE), 1, 0},
    {"5.2 within a quoted string with escapes", "x=\"\\\", no-store\", max-age=2", B(MAX_AGE), 2, 0},
    {"5.2 other separators", "max-age=60; no-store", B(MAX_AGE) | B(NO_STORE), 0, 0},
    {"5.2 other separators", "no-store;", B(NO_STORE), 0, 0},
    {"5.2 other separators", ";private ;", B(PRIVATE), 0, 0},
    {"5.2 other separators", "public no-cache", B(NO_CACHE), 0, 0},
    {"5.2 other separators", "foo;No-Store=1\tbar", B(NO_STORE), 0, 0},
    {"5.2 other separators, quoted", "x=\"a; no-store\" ;y=\"\\\" no-store \", max-age=2", B(MAX_AGE), 2, 0},
    {"5.2 what allows is not guessed", "foo max-age=60", 0, 0, 0},
    {"5.2 an open quote swallows the rest", "max-age=2, x=\"no-store", B(MAX_AGE), 2, 0},
    {"5.2.3 unknown directives", "foobar, max-age=3600, a=b, c=\"d,e\"", B(MAX_AGE), 3600, 0},
    {"5.2 spaces and empty elements", " ,, max-age=5 ,\t,no-cache ,", B(MAX_AGE) | B(NO_CACHE), 5, 0},
    {"1.2.2 leading zeros", "max-age=003600", B(MAX_AGE), 3600, 0},
    {"1.2.2 2^31-1", "max-age=2147483647", B(MAX_AGE), MAX, 0},
    {"1.2.2 2^31", "max-age=2147483648", B(MAX_AGE), MAX, 0},
    {"1.2.2 larger", "max-age=99999999999", B(MAX_AGE), MAX, 0},
    {"1.2.2 larger than any number", "max-age=99999999999999999999999999999999", B(MAX_AGE), MAX, 0},
    {"4.2.1 negative", "max-age=-3600", B(MAX_AGE), 0, 0},
    {"4.2.1 fraction", "max-age=3600.5", B(MAX_AGE), 0, 0},
    {"4.2.1 letters", "max-age=3600a", B(MAX_AGE), 0, 0},
    {"4.2.1 letters", "max-age=a3600", B(MAX_AGE), 0, 0},
    {"4.2.1 plus", "max-age=+5", B(MAX_AGE), 0, 0},
    {"4.2.1 no argument", "max-age", B(MAX_AGE), 0, 0},
    {"4.2.1 empty argument", "max-age=", B(MAX_AGE), 0, 0},
    {"4.2.1 space before =", "max-age =3600", B(MAX_AGE), 0, 0},
    {"4.2.1 space after =", "max-age= 3600", B(MAX_AGE), 0, 0},
    {"4.2.1 first of two", "max-age=1800, max-age=1", B(MAX_AGE), 1800, 0},
    {"4.2.1 first of two", "max-age=1, max-age=1800", B(MAX_AGE), 1, 0},
    {"4.2.1 first of two lines", "max-age=1\nmax-age=1800", B(MAX_AGE), 1, 0},
    {"4.2.1 first is unreadable", "max-age=x, max-age=1800", B(MAX_AGE), 0, 0},
    {"5.2.2 flags",
     "no-store, no-transform, must-revalidate, proxy-revalidate, public, immutable, must-understand",
     B(NO_STORE) | B(NO_TRANSFORM) | B(MUST_REVALIDATE) | B(PROXY_REVALIDATE) | B(PUBLIC) | B(IMMUTABLE) |
         B(MUST_UNDERSTAND),
     0, 0},
    {"5.2.2 a flag with an argument is still a flag", "no-store=1, must-revalidate=\"x\"",
     B(NO_STORE) | B(MUST_REVALIDATE), 0, 0},
    {"5.2 names are whole", "xmax-age=5, max-agex=6, no-storex", 0, 0, 0},
    {"5.2 empty", "", 0, 0, 0},
    {"5.2 commas only", ",,,", 0, 0, 0},
};

static void read_lines(struct http_cache_control *cc, const char *text)
{
    struct cdn_str rest = cdn_str(text);
    *cc = (struct http_cache_control){0};
    while (rest.p) {
        http_cache_control_add(cc, cdn_str_cut(&rest, '\n'));
    }
}

START_TEST(response_rows)
{
    struct http_cache_control cc;
    read_lines(&cc, responses[_i].value);
    ck_assert_msg(cc.present == responses[_i].present, "%s: %s: %x", responses[_i].section,
                  responses[_i].value, cc.present);
    ck_assert_msg(cc.seconds[HTTP_CC_MAX_AGE] == responses[_i].max_age &&
                      cc.seconds[HTTP_CC_S_MAXAGE] == responses[_i].s_maxage,
                  "%s: %s", responses[_i].section, responses[_i].value);
}
END_TEST

static const struct {
    const char *section;
    const char *value;
    enum http_cache_directive directive;
    int32_t seconds; /* -1: absent */
} others[] = {
    {"5.2.1.2", "max-stale=10", HTTP_CC_MAX_STALE, 10},
    {"5.2.1.2 any", "max-stale", HTTP_CC_MAX_STALE, MAX},
    {"5.2.1.2", "max-stale=x", HTTP_CC_MAX_STALE, -1},
    {"5.2.1.3", "min-fresh=20", HTTP_CC_MIN_FRESH, 20},
    {"5.2.1.3", "min-fresh", HTTP_CC_MIN_FRESH, -1},
    {"5861 3", "stale-while-revalidate=30", HTTP_CC_STALE_WHILE_REVALIDATE, 30},
    {"5861 3", "stale-while-revalidate", HTTP_CC_STALE_WHILE_REVALIDATE, -1},
    {"5861 3", "stale-while-revalidate=-1", HTTP_CC_STALE_WHILE_REVALIDATE, -1},
    {"5861 4", "stale-if-error=\"40\"", HTTP_CC_STALE_IF_ERROR, 40},
    {"5861 4", "stale-if-error=4e3", HTTP_CC_STALE_IF_ERROR, -1},
};

START_TEST(other_rows)
{
    struct http_cache_control cc;
    read_lines(&cc, others[_i].value);
    int32_t s = http_cc_has(&cc, others[_i].directive) ? cc.seconds[others[_i].directive] : -1;
    ck_assert_msg(s == others[_i].seconds, "%s: %s: %d", others[_i].section, others[_i].value, s);
}
END_TEST

static const struct {
    const char *value;
    const char *no_cache; /* NULL: absent; "": for the whole response */
    const char *private;
} names[] = {
    {"no-cache=\"a\"", "a", NULL},
    {"no-cache=\"a, b\", private=\"c\"", "a, b", "c"},
    {"no-cache", "", NULL},
    {"private", NULL, ""},
    {"no-cache=a", "a", NULL},
    {"no-cache=\"\"", "", NULL},
    {"no-cache=\"a\", no-cache", "", NULL},
    {"no-cache, no-cache=\"a\"", "", NULL},
    {"no-cache=\"a\", no-cache=\"b\"", "", NULL},
    {"private=\"a", NULL, ""},
};

START_TEST(field_name_rows)
{
    struct http_cache_control cc;
    read_lines(&cc, names[_i].value);
    ck_assert_msg(http_cc_has(&cc, HTTP_CC_NO_CACHE) == (names[_i].no_cache != NULL), "%s", names[_i].value);
    ck_assert_msg(http_cc_has(&cc, HTTP_CC_PRIVATE) == (names[_i].private != NULL), "%s", names[_i].value);
    ck_assert_msg(cdn_str_eq(cc.no_cache_fields, cdn_str(names[_i].no_cache)), "%s", names[_i].value);
    ck_assert_msg(cdn_str_eq(cc.private_fields, cdn_str(names[_i].private)), "%s", names[_i].value);
}
END_TEST

/* RFC 9213 2.1 */
static const struct {
    const char *why;
    const char *value;
    bool valid;
    uint32_t present;
    int32_t max_age;
} targeted[] = {
    {"as usual", "max-age=3600", true, B(MAX_AGE), 3600},
    {"flags", "no-store, private", true, B(NO_STORE) | B(PRIVATE), 0},
    {"2^31 is cut", "max-age=2147483648", true, B(MAX_AGE), MAX},
    {"large", "max-age=99999999999", true, B(MAX_AGE), MAX},
    {"negative", "max-age=-1", true, B(MAX_AGE), 0},
    {"extension", "foobar, max-age=3600, x=\"y\", z=(1 2);a", true, B(MAX_AGE), 3600},
    {"the last of two counts", "max-age=1, max-age=2", true, B(MAX_AGE), 2},
    {"parameters are ignored", "max-age=10;foo=bar", true, B(MAX_AGE), 10},
    {"false is absent", "no-store=?0, max-age=5", true, B(MAX_AGE), 5},
    {"true is present", "no-store=?1", true, B(NO_STORE), 0},
    {"field names as a string", "no-cache=\"a\"", true, B(NO_CACHE), 0},
    {"only extensions", "foo", true, 0, 0},
    {"empty", "", false, 0, 0},
    {"spaces", "   ", false, 0, 0},
    {"unknown type", "max-age=10000, &&&&&", false, 0, 0},
    {"wrong type", "max-age=\"10000\"", false, 0, 0},
    {"wrong type", "max-age=1.5", false, 0, 0},
    {"wrong type", "max-age", false, 0, 0},
    {"wrong type", "no-store=5", false, 0, 0},
    {"upper case is no key", "MaX-aGe=3600", false, 0, 0},
    {"space before =", "max-age =100", false, 0, 0},
    {"space after =", "max-age= 100", false, 0, 0},
    {"trailing comma", "max-age=5,", false, 0, 0},
};

START_TEST(targeted_rows)
{
    struct http_cache_control cc = {0};
    bool ok = http_cache_control_add_structured(&cc, cdn_str(targeted[_i].value));
    ck_assert_msg(ok == targeted[_i].valid && cc.present == targeted[_i].present &&
                      cc.seconds[HTTP_CC_MAX_AGE] == targeted[_i].max_age,
                  "%s: %s: %d %x", targeted[_i].why, targeted[_i].value, ok, cc.present);
}
END_TEST

START_TEST(an_invalid_field_changes_nothing)
{
    struct http_cache_control cc = {0};
    http_cache_control_add(&cc, CDN_STR("max-age=7"));
    struct http_cache_control before = cc;
    ck_assert(!http_cache_control_add_structured(&cc, CDN_STR("max-age=5, no-store, &")));
    ck_assert_mem_eq(&cc, &before, sizeof(cc));
}
END_TEST

START_TEST(every_directive_reads_its_own_text)
{
    for (unsigned d = 0; d < HTTP_CC_COUNT; d++) {
        char text[64];
        struct http_cache_control cc = {0};
        (void)snprintf(text, sizeof(text), "%s=1", http_cache_directive_text((enum http_cache_directive)d));
        http_cache_control_add(&cc, cdn_str(text));
        ck_assert_msg(cc.present == UINT32_C(1) << d, "%s", text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_field_cache");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, response_rows, 0, (int)CDN_ARRAY_LEN(responses));
    tcase_add_loop_test(rows, other_rows, 0, (int)CDN_ARRAY_LEN(others));
    tcase_add_loop_test(rows, field_name_rows, 0, (int)CDN_ARRAY_LEN(names));
    tcase_add_loop_test(rows, targeted_rows, 0, (int)CDN_ARRAY_LEN(targeted));
    tcase_add_test(rows, an_invalid_field_changes_nothing);
    tcase_add_test(rows, every_directive_reads_its_own_text);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
