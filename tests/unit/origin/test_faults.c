/* origin/faults: what may be asked for, and that the same seed does the same again. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "origin/faults.h"

#include <check.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

static const struct {
    const char *json;
    enum cdn_status status;
} rows[] = {
    {"{}", CDN_OK},
    {"{\"delay\":\"200ms\",\"error_rate\":0.1,\"status\":500,\"drop_rate\":0.5,\"seed\":7,\"paths\":\"/"
     "static/*\"}",
     CDN_OK},
    {"{\"off\":true}", CDN_OK},
    {"{\"error_rate\":1}", CDN_OK},
    {"{\"delay\":200}", CDN_INVALID},
    {"{\"delay\":\"1d\"}", CDN_INVALID},
    {"{\"delay\":\"soon\"}", CDN_INVALID},
    {"{\"error_rate\":1.1}", CDN_INVALID},
    {"{\"error_rate\":-1}", CDN_INVALID},
    {"{\"error_rate\":\"1\"}", CDN_INVALID},
    {"{\"error_rate\":0.6,\"drop_rate\":0.6}", CDN_INVALID},
    {"{\"status\":200}", CDN_INVALID},
    {"{\"status\":600}", CDN_INVALID},
    {"{\"status\":503.0}", CDN_INVALID},
    {"{\"seed\":-1}", CDN_INVALID},
    {"{\"seed\":\"x\"}", CDN_INVALID},
    {"{\"paths\":1}", CDN_INVALID},
    {"{\"off\":1}", CDN_INVALID},
    {"{\"latency\":\"1s\"}", CDN_INVALID},
    {"[]", CDN_INVALID},
};

static enum cdn_status parse(const char *text, struct origin_faults *ret, struct cdn_error *err)
{
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    enum cdn_status status = origin_faults_parse(json, ret, err);
    json_decref(json);
    return status;
}

START_TEST(test_parse)
{
    struct origin_faults f;
    struct cdn_error err;
    ck_assert_msg(parse(rows[_i].json, &f, &err) == rows[_i].status, "%s", rows[_i].json);
}
END_TEST

START_TEST(test_values)
{
    struct origin_faults f;
    ck_assert_int_eq(parse(rows[1].json, &f, NULL), CDN_OK);
    ck_assert(f.active);
    ck_assert_int_eq(f.delay_ms, 200);
    ck_assert_uint_eq(f.status, 500);
    ck_assert_uint_eq(f.seed, 7);
    ck_assert_str_eq(f.paths, "/static/*");
    json_t *json = origin_faults_json(&f);
    struct origin_faults again;
    ck_assert_int_eq(origin_faults_parse(json, &again, NULL), CDN_OK);
    json_decref(json);
    ck_assert_int_eq(again.delay_ms, f.delay_ms);
    ck_assert_str_eq(again.paths, f.paths);
    ck_assert_int_eq(parse("{\"off\":true}", &f, NULL), CDN_OK);
    ck_assert(!f.active);
}
END_TEST

START_TEST(test_decide)
{
    struct origin_faults f;
    ck_assert_int_eq(parse("{\"error_rate\":0.3,\"drop_rate\":0.2,\"seed\":42,\"paths\":\"/s/*\"}", &f, NULL),
                     CDN_OK);
    _Atomic uint64_t first = 0, second = 0;
    unsigned errors = 0, drops = 0;
    for (int i = 0; i < 10000; i++) {
        struct origin_verdict a = origin_faults_decide(&f, CDN_STR("/s/a/b"), &first);
        struct origin_verdict b = origin_faults_decide(&f, CDN_STR("/s/other"), &second);
        ck_assert_uint_eq(a.status, b.status);
        ck_assert_int_eq(a.drop, b.drop);
        ck_assert(!(a.drop && a.status));
        errors += a.status == 503;
        drops += a.drop;
    }
    ck_assert_uint_ge(errors, 2800);
    ck_assert_uint_le(errors, 3200);
    ck_assert_uint_ge(drops, 1850);
    ck_assert_uint_le(drops, 2150);
    struct origin_verdict none = origin_faults_decide(&f, CDN_STR("/t/a"), &first);
    ck_assert_uint_eq(first, 10000); /* other paths do not count */
    ck_assert(!none.drop && !none.status && !none.delay_ms);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/faults");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, test_parse, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tests, test_values);
    tcase_add_test(tests, test_decide);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
