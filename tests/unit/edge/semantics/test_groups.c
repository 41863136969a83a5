/* Cache groups (RFC 9875): which values are lists of Strings, and what they name. */
#include "common/http/syntax/http_structured.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/groups.h"

#include <check.h>
#include <stddef.h>

static const struct {
    const char *value;
    const char *names; /* each in brackets; NULL: not such a list */
} rows[] = {
    {"\"a\"", "[a]"},
    {"\"a\", \"b\"", "[a][b]"},
    {" \"a\" ,\t\"b c\" ", "[a][b c]"},
    {"\"a\";x=1;y, \"b\"", "[a][b]"},
    {"\"\"", "[]"},
    {"\"a\\\"b\\\\c\"", "[a\"b\\c]"},
    {"\"a,b\"", "[a,b]"},
    {"", ""},
    {"a", NULL},
    {"\"a\", b", NULL},
    {"\"a\", 1", NULL},
    {"\"a\", (\"b\")", NULL},
    {"(\"a\" \"b\")", NULL},
    {"\"a\",", NULL},
    {"\"a\" \"b\"", NULL},
    {"\"a", NULL},
    {"'a'", NULL},
    {"\"\xc3\xa4\"", NULL},
    {"\"a\", ?1", NULL},
    {"\"a\";X=1", NULL},
};

START_TEST(a_value)
{
    CDN_AUTOBUF struct cdn_buf is = {0};
    CDN_AUTOBUF struct cdn_buf name = {0};
    struct cdn_str rest = cdn_str(rows[_i].value);
    ck_assert_msg(edge_groups_valid(rest) == (rows[_i].names != NULL), "%s", rows[_i].value);
    while (rows[_i].names && edge_groups_next(&rest, &name)) {
        cdn_buf_printf(&is, "[%s]", name.p ? name.p : "");
    }
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&is), cdn_str(rows[_i].names)), "%s: %s", rows[_i].value, is.p);
}
END_TEST

/* The reader under it: members of all types, and inner lists with their parameters. */
START_TEST(a_list)
{
    struct cdn_str rest = CDN_STR("a;b=1, (x y);z, 1.5 ,:YQ==:");
    struct http_structured_value v;
    ck_assert_int_eq(http_structured_list_next(&rest, &v), 1);
    ck_assert(v.type == HTTP_SF_TOKEN && cdn_str_eq(v.parameters, CDN_STR(";b=1")));
    ck_assert_int_eq(http_structured_list_next(&rest, &v), 1);
    ck_assert(v.type == HTTP_SF_INNER_LIST && cdn_str_eq(v.text, CDN_STR("x y")));
    ck_assert(cdn_str_eq(v.parameters, CDN_STR(";z")));
    ck_assert_int_eq(http_structured_list_next(&rest, &v), 1);
    ck_assert(v.type == HTTP_SF_DECIMAL && v.integer == 1500);
    ck_assert_int_eq(http_structured_list_next(&rest, &v), 1);
    ck_assert_int_eq(http_structured_list_next(&rest, &v), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("groups");
    tcase_add_loop_test(tc, a_value, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tc, a_list);
    Suite *suite = suite_create("groups");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
