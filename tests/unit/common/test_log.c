/* log: one line a call, whatever the values hold: nothing from the network may begin a line or
 * forge a key. */
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int saved_stderr;
static int file;

static void capture(void)
{
    saved_stderr = dup(STDERR_FILENO);
    file = memfd_create("log", MFD_CLOEXEC);
    ck_assert_int_ge(dup2(file, STDERR_FILENO), 0);
}

/* What was logged since capture(). */
static const char *captured(void)
{
    static char text[16384];
    ssize_t n = pread(file, text, sizeof(text) - 1, 0);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(file);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static const struct {
    const char *value;
    const char *logfmt;
    const char *json;
} values[] = {
    {"plain", "v=plain\n", "\"v\":\"plain\"}\n"},
    {"", "v=\"\"\n", "\"v\":\"\"}\n"},
    {"two words", "v=\"two words\"\n", "\"v\":\"two words\"}\n"},
    {"a=b", "v=\"a=b\"\n", "\"v\":\"a=b\"}\n"},
    {"say \"hi\"", "v=\"say \\\"hi\\\"\"\n", "\"v\":\"say \\\"hi\\\"\"}\n"},
    {"back\\slash", "v=\"back\\\\slash\"\n", "\"v\":\"back\\\\slash\"}\n"},
    {"x\nlevel=error", "v=\"x\\nlevel=error\"\n", "\"v\":\"x\\nlevel=error\"}\n"},
    {"\r\x1b[31m\t", "v=\"\\u000d\\u001b[31m\\u0009\"\n", "\"v\":\"\\u000d\\u001b[31m\\u0009\"}\n"},
    {"\x7f", "v=\"\\u007f\"\n", "\"v\":\"\\u007f\"}\n"},
    {"Z\xc3\xbcrich", "v=\"Z\xc3\xbcrich\"\n", "\"v\":\"Z\xc3\xbcrich\"}\n"},
    {"\xff\xc0\xaf", "v=\"\\ufffd\\ufffd\\ufffd\"\n", "\"v\":\"\\ufffd\\ufffd\\ufffd\"}\n"},
    {"cut \xe2\x82", "v=\"cut \\ufffd\\ufffd\"\n", "\"v\":\"cut \\ufffd\\ufffd\"}\n"},
    {"\xed\xa0\x80", "v=\"\\ufffd\\ufffd\\ufffd\"\n", "\"v\":\"\\ufffd\\ufffd\\ufffd\"}\n"},
    {"\xc2\x85\xe2\x80\xa8\xe2\x80\xae", "v=\"\\u0085\\u2028\\u202e\"\n",
     "\"v\":\"\\u0085\\u2028\\u202e\"}\n"},
    {"\xf0\x9f\x98\x80", "v=\"\xf0\x9f\x98\x80\"\n", "\"v\":\"\xf0\x9f\x98\x80\"}\n"},
};

START_TEST(value_rows)
{
    for (int json = 0; json < 2; json++) {
        cdn_log_init("test", "fra", CDN_LOG_INFO, json);
        capture();
        cdn_log(CDN_LOG_WARN, "event_word", "v=%s", values[_i].value);
        const char *line = captured();
        const char *end = json ? values[_i].json : values[_i].logfmt;
        ck_assert_msg(cdn_str_ends(cdn_str(line), cdn_str(end)), "%s", line);
        ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
    }
}
END_TEST

START_TEST(line_begins_with_the_standard_fields)
{
    cdn_log_init("pocketcdn-edge", "fra", CDN_LOG_DEBUG, false);
    capture();
    cdn_log(CDN_LOG_DEBUG, "ready", "public=%s", "127.0.0.1:80");
    const char *line = captured();
    ck_assert(strncmp(line, "ts=20", 5) == 0 && line[26] == 'Z' && line[22] == '.' && line[13] == 'T');
    ck_assert_str_eq(line + 27,
                     " level=debug program=pocketcdn-edge node=fra event=ready public=127.0.0.1:80\n");
}
END_TEST

START_TEST(no_node_no_field)
{
    cdn_log_init("router", NULL, CDN_LOG_INFO, false);
    capture();
    cdn_log(CDN_LOG_ERROR, "x", "n=%d", -1);
    ck_assert_str_eq(captured() + 27, " level=error program=router event=x n=-1\n");
}
END_TEST

START_TEST(conversions)
{
    cdn_log_init("t", NULL, CDN_LOG_INFO, false);
    capture();
    cdn_log(CDN_LOG_INFO, "e",
            "a=%d b=%u c=%ld d=%lu e=%lld f=%llu g=%zu h=%.2f i=%x j=%c k=%.3s l=%.*s m=%s:%u n=%5d%%", -1,
            2u, -3L, 4ul, -5LL, UINT64_MAX + 0ull, (size_t)7, 1.005, 255u, 'c', "abcdef", 2, "xyz", "host",
            80u, 9);
    ck_assert_str_eq(
        strstr(captured(), "event=e") + 7,
        " a=-1 b=2 c=-3 d=4 e=-5 f=18446744073709551615 g=7 h=1.00 i=ff j=c k=abc l=xy m=host:80 n=9%\n");
}
END_TEST

START_TEST(json_line_is_one_object_with_numbers)
{
    cdn_log_init("t", "n\"1", CDN_LOG_INFO, true);
    capture();
    cdn_log(CDN_LOG_INFO, "e", "bytes=%" PRIu64 " part=%.1f text=%s mixed=%s:%d nan=%f", UINT64_C(12), 0.5,
            "1", "a", 1, __builtin_nan(""));
    json_error_t error;
    json_t *line = json_loads(captured(), 0, &error);
    ck_assert_msg(line != NULL, "%s", error.text);
    ck_assert_int_eq(json_integer_value(json_object_get(line, "bytes")), 12);
    ck_assert_double_eq(json_real_value(json_object_get(line, "part")), 0.5);
    ck_assert_str_eq(json_string_value(json_object_get(line, "text")), "1");
    ck_assert_str_eq(json_string_value(json_object_get(line, "mixed")), "a:1");
    ck_assert_str_eq(json_string_value(json_object_get(line, "nan")), "nan");
    ck_assert_str_eq(json_string_value(json_object_get(line, "node")), "n\"1");
    json_decref(line);
}
END_TEST

START_TEST(level_holds_back)
{
    cdn_log_init("t", NULL, CDN_LOG_WARN, false);
    capture();
    cdn_log(CDN_LOG_INFO, "quiet", "n=%d", 1);
    ck_assert(!cdn_log_wants(CDN_LOG_INFO) && cdn_log_wants(CDN_LOG_WARN));
    cdn_log_set_level(CDN_LOG_DEBUG);
    errno = ENOENT;
    cdn_log(CDN_LOG_DEBUG, "loud", "n=%d", 1);
    ck_assert_int_eq(errno, ENOENT);
    const char *text = captured();
    ck_assert_ptr_null(strstr(text, "quiet"));
    ck_assert_ptr_nonnull(strstr(text, "loud"));
}
END_TEST

START_TEST(long_value_is_cut)
{
    static char value[10000];
    memset(value, 'x', sizeof(value) - 1);
    cdn_log_init("t", NULL, CDN_LOG_INFO, false);
    capture();
    cdn_log(CDN_LOG_INFO, "e", "v=%s end=%s", value, "");
    const char *text = strstr(captured(), "v=");
    ck_assert_uint_eq(strspn(text + 2, "x"), 4096);
    ck_assert_str_eq(text + 2 + 4096, " end=\"\"\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, value_rows, 0, (int)CDN_ARRAY_LEN(values));
    tcase_add_test(all, line_begins_with_the_standard_fields);
    tcase_add_test(all, no_node_no_field);
    tcase_add_test(all, conversions);
    tcase_add_test(all, json_line_is_one_object_with_numbers);
    tcase_add_test(all, level_holds_back);
    tcase_add_test(all, long_value_is_cut);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
