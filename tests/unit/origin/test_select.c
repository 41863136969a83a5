/* origin/select: preconditions in their order, ranges. A wrong order answers 304 to who has an
 * old copy. */
#include "common/mem.h"
#include "common/str.h"
#include "origin/select.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

/* Last-Modified of all rows: 1000 s = Thu, 01 Jan 1970 00:16:40 GMT */
#define AT "Thu, 01 Jan 1970 00:16:40 GMT"
#define BEFORE "Thu, 01 Jan 1970 00:16:39 GMT"
#define AFTER "Thu, 01 Jan 1970 00:16:41 GMT"

struct row {
    const char *match, *none_match, *modified, *unmodified, *range, *if_range;
    unsigned status;
    const char *parts; /* "first-last,..." */
};

static const struct row rows[] = {
    {.status = 200},
    /* If-None-Match: weak comparison; stronger than If-Modified-Since */
    {.none_match = "\"t\"", .status = 304},
    {.none_match = "W/\"t\"", .status = 304},
    {.none_match = "\"x\", \"t\"", .status = 304},
    {.none_match = "*", .status = 304},
    {.none_match = "\"x\"", .status = 200},
    {.none_match = "\"x\"", .modified = AT, .status = 200},
    {.none_match = "rubbish", .modified = AT, .status = 200},
    {.none_match = "\"t\"", .modified = BEFORE, .status = 304},
    /* If-Modified-Since */
    {.modified = AT, .status = 304},
    {.modified = AFTER, .status = 304},
    {.modified = BEFORE, .status = 200},
    {.modified = "yesterday", .status = 200},
    /* If-Match: strong comparison; stronger than If-Unmodified-Since */
    {.match = "\"t\"", .status = 200},
    {.match = "*", .status = 200},
    {.match = "W/\"t\"", .status = 412},
    {.match = "\"x\"", .status = 412},
    {.match = "\"x\"", .none_match = "\"t\"", .status = 412},
    {.match = "\"t\"", .none_match = "\"t\"", .status = 304},
    {.match = "\"t\"", .unmodified = BEFORE, .status = 200},
    {.unmodified = BEFORE, .status = 412},
    {.unmodified = AT, .status = 200},
    {.unmodified = "never", .status = 200},
    {.unmodified = AT, .modified = AT, .status = 304},
    /* ranges of 100 bytes */
    {.range = "bytes=0-0", .status = 206, .parts = "0-0"},
    {.range = "bytes=0-", .status = 206, .parts = "0-99"},
    {.range = "bytes=10-19", .status = 206, .parts = "10-19"},
    {.range = "bytes=90-1000", .status = 206, .parts = "90-99"},
    {.range = "bytes=-10", .status = 206, .parts = "90-99"},
    {.range = "bytes=-1000", .status = 206, .parts = "0-99"},
    {.range = "bytes=99-", .status = 206, .parts = "99-99"},
    {.range = "bytes=100-", .status = 416},
    {.range = "bytes=-0", .status = 416},
    {.range = "bytes=100-,200-300", .status = 416},
    {.range = "bytes=0-1,5-6", .status = 206, .parts = "0-1,5-6"},
    {.range = "bytes=5-6, 0-1", .status = 206, .parts = "5-6,0-1"},
    {.range = "bytes=0-1,100-,-1", .status = 206, .parts = "0-1,99-99"},
    {.range = "bytes=0-1,500-", .status = 206, .parts = "0-1"},
    {.range = "bytes=0-,0-,0-", .status = 200},
    {.range = "bytes=5-1", .status = 200},
    {.range = "lines=0-1", .status = 200},
    {.range = "bytes=a-b", .status = 200},
    {.range = "bytes=0-18446744073709551615", .status = 206, .parts = "0-99"},
    /* If-Range */
    {.range = "bytes=0-0", .if_range = "\"t\"", .status = 206, .parts = "0-0"},
    {.range = "bytes=0-0", .if_range = "W/\"t\"", .status = 200},
    {.range = "bytes=0-0", .if_range = "\"x\"", .status = 200},
    {.range = "bytes=0-0", .if_range = AT, .status = 206, .parts = "0-0"},
    {.range = "bytes=0-0", .if_range = AFTER, .status = 200},
    {.range = "bytes=0-0", .if_range = BEFORE, .status = 200},
    {.range = "bytes=0-0", .if_range = "rubbish", .status = 200},
    {.range = "bytes=500-", .if_range = "\"x\"", .status = 200},
    {.range = "bytes=500-", .if_range = "\"t\"", .status = 416},
    /* conditions come before ranges */
    {.none_match = "\"t\"", .range = "bytes=500-", .status = 304},
    {.match = "\"x\"", .range = "bytes=0-0", .status = 412},
    {.none_match = "\"x\"", .range = "bytes=0-0", .status = 206, .parts = "0-0"},
};

static struct cdn_str value(const char *s)
{
    return s ? cdn_str(s) : (struct cdn_str){0};
}

static struct origin_conditions conditions(const struct row *row)
{
    return (struct origin_conditions){
        .if_match = value(row->match),
        .if_none_match = value(row->none_match),
        .if_modified_since = value(row->modified),
        .if_unmodified_since = value(row->unmodified),
        .range = value(row->range),
        .if_range = value(row->if_range),
    };
}

static struct origin_representation representation(uint64_t size)
{
    return (struct origin_representation){
        .etag = {.value = CDN_STR("\"t\"")}, .modified_s = 1000, .size = size, .now_s = 2000};
}

static void check_parts(const struct origin_selection *s, const char *expected)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    for (unsigned i = 0; i < s->count; i++) {
        cdn_buf_printf(&text, "%s%llu-%llu", i ? "," : "", (unsigned long long)s->part[i].first,
                       (unsigned long long)s->part[i].last);
    }
    ck_assert_str_eq(text.p ? text.p : "", expected ? expected : "");
}

START_TEST(test_rows)
{
    const struct origin_conditions c = conditions(&rows[_i]);
    const struct origin_representation r = representation(100);
    struct origin_selection s;
    origin_select(&r, &c, &s);
    ck_assert_msg(s.status == rows[_i].status, "row %d: status %u", _i, s.status);
    check_parts(&s, rows[_i].parts);
}
END_TEST

START_TEST(test_head_has_no_ranges)
{
    const struct row row = {.range = "bytes=0-0"};
    struct origin_conditions c = conditions(&row);
    const struct origin_representation r = representation(100);
    struct origin_selection s;
    c.is_head = true;
    origin_select(&r, &c, &s);
    ck_assert_uint_eq(s.status, 200);
    c.if_none_match = CDN_STR("\"t\"");
    origin_select(&r, &c, &s);
    ck_assert_uint_eq(s.status, 304);
}
END_TEST

START_TEST(test_empty)
{
    static const struct row empty[] = {{.range = "bytes=0-", .status = 416},
                                       {.range = "bytes=-1", .status = 200},
                                       {.range = "bytes=-0", .status = 416}};
    const struct origin_conditions c = conditions(&empty[_i]);
    const struct origin_representation r = representation(0);
    struct origin_selection s;
    origin_select(&r, &c, &s);
    ck_assert_uint_eq(s.status, empty[_i].status);
    ck_assert_uint_eq(s.count, 0);
}
END_TEST

/* A date that was given in the very second of the change may stand for two contents. */
START_TEST(test_weak_date)
{
    const struct row row = {.range = "bytes=0-0", .if_range = AT};
    const struct origin_conditions c = conditions(&row);
    struct origin_representation r = representation(100);
    struct origin_selection s;
    r.now_s = 1000;
    origin_select(&r, &c, &s);
    ck_assert_uint_eq(s.status, 200);
    r.now_s = 1001;
    origin_select(&r, &c, &s);
    ck_assert_uint_eq(s.status, 206);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/select");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, test_rows, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tests, test_head_has_no_ranges);
    tcase_add_loop_test(tests, test_empty, 0, 3);
    tcase_add_test(tests, test_weak_date);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
