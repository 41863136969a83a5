/* http_date: RFC 9110 5.6.7; each row names what it is about. A date that is read wrongly makes
 * an answer fresh or stale for years. */
#include "common/http/syntax/http_date.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#define NO INT64_C(-1)

static const struct {
    const char *why;
    const char *text;
    int64_t s; /* NO: refused */
} dates[] = {
    {"IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"obsolete RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"obsolete asctime", "Sun Nov  6 08:49:37 1994", 784111777},
    {"asctime, two digits of the day", "Sun Nov 16 08:49:37 1994", 784975777},
    {"the epoch", "Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"the last second", "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"behind 2038", "Tue, 19 Jan 2038 14:14:08 GMT", 2147523248},
    {"behind 32 bits without a sign", "Sun, 21 Nov 2286 04:46:39 GMT", 10000039599},
    {"leap day", "Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
    {"leap day of 2000", "Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
    {"leap second", "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
    {"wrong case of the weekday", "SUN, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"wrong case of the month", "Sun, 06 NOV 1994 08:49:37 GMT", 784111777},
    {"wrong case of the zone", "Sun, 06 Nov 1994 08:49:37 gMT", 784111777},
    {"spaces round it", "  Sun, 06 Nov 1994 08:49:37 GMT\t", 784111777},
    {"the weekday is not checked against the date", "Mon, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"RFC 850 year of the last century", "Thursday, 01-Jan-70 00:00:00 GMT", 0},
    {"RFC 850 year ahead", "Thursday, 18-Aug-50 02:01:18 GMT", 2544400878},
    {"no such leap day", "Wed, 29 Feb 2023 12:00:00 GMT", NO},
    {"no leap day in 2100", "Mon, 29 Feb 2100 12:00:00 GMT", NO},
    {"no day 0", "Sun, 00 Nov 1994 08:49:37 GMT", NO},
    {"no 31 November", "Thu, 31 Nov 1994 08:49:37 GMT", NO},
    {"hour 24", "Sun, 06 Nov 1994 24:00:00 GMT", NO},
    {"minute 60", "Sun, 06 Nov 1994 08:60:37 GMT", NO},
    {"second 61", "Sun, 06 Nov 1994 08:49:61 GMT", NO},
    {"before 1970", "Wed, 31 Dec 1969 23:59:59 GMT", NO},
    {"UTC", "Thu, 18 Aug 2050 02:01:18 UTC", NO},
    {"another zone", "Thu, 18 Aug 2050 02:01:18 AEST", NO},
    {"a numeric zone", "Thu, 18 Aug 2050 02:01:18 +0000", NO},
    {"no zone", "Thu, 18 Aug 2050 02:01:18", NO},
    {"two digits of the year", "Thu, 18 Aug 50 02:01:18 GMT", NO},
    {"no comma", "Thu 18 Aug 2050 02:01:18 GMT", NO},
    {"several spaces", "Thu, 18  Aug  2050 02:01:18 GMT", NO},
    {"dashes", "Thu, 18-Aug-2050 02:01:18 GMT", NO},
    {"full stops in the time", "Thu, 18 Aug 2050 02.01.18 GMT", NO},
    {"one digit of the hour", "Thu, 18 Aug 2050 2:01:18 GMT", NO},
    {"no seconds", "Thu, 18 Aug 2050 02:01 GMT", NO},
    {"no weekday", "18 Aug 2050 02:01:18 GMT", NO},
    {"unknown weekday", "Xyz, 18 Aug 2050 02:01:18 GMT", NO},
    {"unknown month", "Thu, 18 Abc 2050 02:01:18 GMT", NO},
    {"something behind it", "Sun, 06 Nov 1994 08:49:37 GMT;", NO},
    {"two dates", "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", NO},
    {"0", "0", NO},
    {"-1", "-1", NO},
    {"empty", "", NO},
    {"a sign in the day", "Sun, +6 Nov 1994 08:49:37 GMT", NO},
    {"RFC 850 with a short weekday", "Sun, 06-Nov-94 08:49:37 GMT", NO},
    {"asctime with GMT", "Sun Nov  6 08:49:37 1994 GMT", NO},
};

START_TEST(date_rows)
{
    int64_t s = NO;
    bool ok = http_date_parse(cdn_str(dates[_i].text), &s);
    ck_assert_msg(ok == (dates[_i].s != NO) && s == dates[_i].s, "%s: %d %" PRId64, dates[_i].why, ok, s);
}
END_TEST

/* A two-digit year is the one that is at most 50 years ahead. */
static const struct {
    int64_t now_s;
    const char *text;
    int64_t s;
} centuries[] = {
    {784111777, "Sunday, 06-Nov-94 08:49:37 GMT", 784111777},      /* 1994: this year */
    {784111777, "Thursday, 18-Aug-44 02:01:18 GMT", 2355098478},   /* 1994: 2044, 50 ahead */
    {2524608000, "Wednesday, 18-Aug-99 02:01:18 GMT", 4090701678}, /* 2050: 2099 */
    {2524608000, "Thursday, 18-Aug-01 02:01:18 GMT", 998100078},   /* 2050: 2001 is 49 back */
    {2524608000, "Friday, 18-Aug-00 02:01:18 GMT", 4122237678},    /* 2050: 2100 is just 50 ahead */
    {1767225600, "Tuesday, 18-Aug-76 02:01:18 GMT", 3364941678},   /* 2026: 2076 is just 50 ahead */
    {1767225600, "Thursday, 18-Aug-77 02:01:18 GMT", 240717678},   /* 2026: 2077 would be 51 ahead */
};

START_TEST(century_rows)
{
    int64_t s = NO;
    ck_assert(http_date_parse_at(cdn_str(centuries[_i].text), centuries[_i].now_s, &s));
    ck_assert_msg(s == centuries[_i].s, "%s: %" PRId64, centuries[_i].text, s);
}
END_TEST

START_TEST(formatting_reads_back)
{
    static const int64_t seconds[] = {0, 1, 784111777, 951782400, 2147483648, 4102444799, 253402300799};
    for (size_t i = 0; i < CDN_ARRAY_LEN(seconds); i++) {
        char text[HTTP_DATE_SIZE];
        int64_t s = NO;
        http_date_format(seconds[i], text);
        ck_assert_msg(http_date_parse(cdn_str(text), &s) && s == seconds[i], "%s", text);
    }
}
END_TEST

START_TEST(every_day_of_four_centuries_reads_back)
{
    for (int64_t day = 0; day < 146097; day++) {
        char text[HTTP_DATE_SIZE];
        int64_t s = NO;
        http_date_format(day * 86400 + 3661, text);
        ck_assert_msg(http_date_parse(cdn_str(text), &s) && s == day * 86400 + 3661, "%s", text);
    }
}
END_TEST

START_TEST(formatting_is_bounded)
{
    char text[HTTP_DATE_SIZE];
    http_date_format(-5, text);
    ck_assert_str_eq(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date_format(INT64_MAX, text);
    ck_assert_str_eq(text, "Fri, 31 Dec 9999 23:59:59 GMT");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_date");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, date_rows, 0, (int)CDN_ARRAY_LEN(dates));
    tcase_add_loop_test(rows, century_rows, 0, (int)CDN_ARRAY_LEN(centuries));
    tcase_add_test(rows, formatting_reads_back);
    tcase_add_test(rows, every_day_of_four_centuries_reads_back);
    tcase_add_test(rows, formatting_is_bounded);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
