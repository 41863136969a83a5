/* No-Vary-Search: which values say something, and which two queries have one normal form by them, row by
 * row. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/search.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#define KEY "http://h/p"

static const struct {
    const char *value, *key;
    const char *form; /* NULL: the value says nothing */
} rows[] = {
    {"params", KEY "?a=1&b", KEY "?"},
    {"params", KEY, KEY "?"},
    {"params=?1", KEY "?a", KEY "?"},
    {"params=(\"a\")", KEY "?a=1&b=2&a=3", KEY "?b=2&"},
    {"params=(\"a\" \"b\")", KEY "?a=1&b=2&c=3", KEY "?c=3&"},
    {"params=(\"a\");x=1, y", KEY "?a=1&b", KEY "?b=&"},
    {"params=(\"%61\")", KEY "?a=1&b", KEY "?b=&"},
    {"params=(\"a+b\")", KEY "?a%20b=1&c", KEY "?c=&"},
    {"params=(\"\")", KEY "?=1&c", KEY "?c=&"},
    {"params=(\"a\")", KEY "?&&c&", KEY "?c=&"},
    {"params=(\"a\")", KEY "?c=1=2", KEY "?c=1%3D2&"},
    {"params=(\"a\")", KEY "?c=1+2&d=1%2B2", KEY "?c=1%202&d=1%2B2&"},
    {"params=(\"a\")", KEY "?c=%00&%00=a", KEY "?c=%2500&%2500=a&"},
    {"params, except=(\"a\")", KEY "?a=1&b=2", KEY "?a=1&"},
    {"params, except=()", KEY "?a=1", KEY "?"},
    {"key-order", KEY "?b=2&a=1&b=1", KEY "?a=1&b=2&b=1&"},
    {"key-order", KEY "?ab&a", KEY "?a=&ab=&"},
    {"key-order, params=(\"a\")", KEY "?c&b&a", KEY "?b=&c=&"},
    {"key-order=?0, params=(\"a\")", KEY "?c&b&a", KEY "?c=&b=&"},
    {"key-order", KEY "?a/b=1", KEY "?a%2Fb=1&"},
    {"", KEY, NULL},
    {"key-order=?0", KEY, NULL},
    {"params=?0", KEY, NULL},
    {"params=()", KEY, NULL},
    {"params=(a)", KEY, NULL},
    {"params=(\"a\" 1)", KEY, NULL},
    {"params=\"a\"", KEY, NULL},
    {"params=1", KEY, NULL},
    {"key-order=1", KEY, NULL},
    {"except=(\"a\")", KEY, NULL},
    {"params=?0, except=(\"a\")", KEY, NULL},
    {"params=(\"a\"), except=(\"b\")", KEY, NULL},
    {"params, except", KEY, NULL},
    {"params, except=(a)", KEY, NULL},
    {"params=(\"a\"", KEY, NULL},
    {"params,", KEY, NULL},
    {"Params", KEY, NULL},
};

START_TEST(a_value_and_a_key)
{
    CDN_AUTOBUF struct cdn_buf form = {0};
    struct edge_search_rule rule;
    const bool says = edge_search_rule_read(cdn_str(rows[_i].value), &rule);
    ck_assert_msg(says == (rows[_i].form != NULL), "%s", rows[_i].value);
    if (says) {
        ck_assert(edge_search_normalize(&rule, cdn_str(rows[_i].key), &form));
        ck_assert_str_eq(form.p, rows[_i].form);
    }
}
END_TEST

START_TEST(so_many_parameters_and_no_more)
{
    CDN_AUTOBUF struct cdn_buf key = {0};
    CDN_AUTOBUF struct cdn_buf form = {0};
    struct edge_search_rule rule;
    ck_assert(edge_search_rule_read(CDN_STR("key-order"), &rule));
    cdn_buf_add_str(&key, CDN_STR(KEY "?a"));
    for (unsigned i = 1; i < 256; i++) {
        cdn_buf_add_str(&key, CDN_STR("&a"));
    }
    ck_assert(edge_search_normalize(&rule, cdn_buf_str(&key), &form));
    cdn_buf_add_str(&key, CDN_STR("&a"));
    ck_assert(!edge_search_normalize(&rule, cdn_buf_str(&key), &form));
    ck_assert(!edge_search_normalize(&rule, CDN_STR(KEY "?a#query:0"), &form));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("search");
    tcase_add_loop_test(tc, a_value_and_a_key, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tc, so_many_parameters_and_no_more);
    Suite *suite = suite_create("search");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
