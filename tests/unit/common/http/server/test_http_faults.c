/* http_faults: what may be asked for, and that the same seed does the same again. */
#include "common/http/server/http_faults.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

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
    {"{\"truncate_rate\":0.5,\"corrupt_rate\":1,\"slow\":\"64KiB\",\"refuse\":true,\"down\":false}", CDN_OK},
    {"{\"slow\":1}", CDN_OK},
    {"{\"slow\":0}", CDN_INVALID},
    {"{\"slow\":-1}", CDN_INVALID},
    {"{\"slow\":1.5}", CDN_INVALID},
    {"{\"slow\":\"fast\"}", CDN_INVALID},
    {"{\"slow\":\"2TB\"}", CDN_INVALID},
    {"{\"truncate_rate\":2}", CDN_INVALID},
    {"{\"corrupt_rate\":\"all\"}", CDN_INVALID},
    {"{\"refuse\":1}", CDN_INVALID},
    {"{\"down\":\"yes\"}", CDN_INVALID},
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

static enum cdn_status parse(const char *text, struct http_faults *ret, struct cdn_error *err)
{
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    enum cdn_status status = http_faults_parse(json, ret, err);
    json_decref(json);
    return status;
}

START_TEST(test_parse)
{
    struct http_faults f;
    struct cdn_error err;
    ck_assert_msg(parse(rows[_i].json, &f, &err) == rows[_i].status, "%s", rows[_i].json);
}
END_TEST

START_TEST(test_values)
{
    struct http_faults f;
    ck_assert_int_eq(parse(rows[1].json, &f, NULL), CDN_OK);
    ck_assert(f.active);
    ck_assert_int_eq(f.delay_ms, 200);
    ck_assert_uint_eq(f.status, 500);
    ck_assert_uint_eq(f.seed, 7);
    ck_assert_str_eq(f.paths, "/static/*");
    json_t *json = http_faults_json(&f);
    struct http_faults again;
    ck_assert_int_eq(http_faults_parse(json, &again, NULL), CDN_OK);
    json_decref(json);
    ck_assert_int_eq(again.delay_ms, f.delay_ms);
    ck_assert_str_eq(again.paths, f.paths);
    ck_assert_int_eq(parse("{\"off\":true}", &f, NULL), CDN_OK);
    ck_assert(!f.active);
}
END_TEST

START_TEST(test_decide)
{
    struct http_faults f;
    ck_assert_int_eq(parse("{\"error_rate\":0.3,\"drop_rate\":0.2,\"seed\":42,\"paths\":\"/s/*\"}", &f, NULL),
                     CDN_OK);
    _Atomic uint64_t first = 0, second = 0;
    unsigned errors = 0, drops = 0;
    for (int i = 0; i < 10000; i++) {
        struct http_fault_verdict a = http_faults_decide(&f, CDN_STR("/s/a/b"), &first);
        struct http_fault_verdict b = http_faults_decide(&f, CDN_STR("/s/other"), &second);
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
    struct http_fault_verdict none = http_faults_decide(&f, CDN_STR("/t/a"), &first);
    ck_assert_uint_eq(first, 10000); /* other paths do not count */
    ck_assert(!none.drop && !none.status && !none.delay_ms);
}
END_TEST

START_TEST(test_bodies)
{
    struct http_faults f;
    ck_assert_int_eq(parse("{\"truncate_rate\":0.5,\"corrupt_rate\":0.25,\"slow\":\"1KiB\"}", &f, NULL),
                     CDN_OK);
    _Atomic uint64_t counter = 0;
    unsigned truncated = 0;
    unsigned corrupt = 0;
    unsigned both = 0;
    for (int i = 0; i < 10000; i++) {
        const struct http_fault_verdict v = http_faults_decide(&f, CDN_STR("/"), &counter);
        truncated += v.truncate;
        corrupt += v.corrupt;
        both += v.truncate && v.corrupt;
        ck_assert(v.slow == 1024 && !v.drop && !v.status);
    }
    ck_assert(truncated > 4800 && truncated < 5200);
    ck_assert(corrupt > 2300 && corrupt < 2700);
    ck_assert(both > 1000 && both < 1500); /* one says nothing of the other */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_faults");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, test_parse, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tests, test_values);
    tcase_add_test(tests, test_decide);
    tcase_add_test(tests, test_bodies);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
