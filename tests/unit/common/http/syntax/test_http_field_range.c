/* http_field_range: Content-Range (RFC 9110 14.4); Range itself is tested with the plans of
 * edge/semantics/range. */
#include "common/http/syntax/http_field_range.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

static const struct {
    const char *value;
    const char *written; /* NULL: refused */
} rows_[] = {
    {"bytes 0-4/10", "bytes 0-4/10"},
    {" bytes  0-4/10 ", "bytes 0-4/10"},
    {"BYTES 0-0/1", "bytes 0-0/1"},
    {"bytes 5-9/*", "bytes 5-9/*"},
    {"bytes */10", "bytes */10"},
    {"bytes */*", NULL},
    {"bytes 5-4/10", NULL},
    {"bytes 0-10/10", NULL},
    {"bytes 0-4", NULL},
    {"bytes=0-4/10", NULL},
    {"bytes -4/10", NULL},
    {"bytes 0-/10", NULL},
    {"bytes a-b/c", NULL},
    {"items 0-4/10", NULL},
    {"bytes 0-4/-10", NULL},
    {"bytes 0-99999999999999999999/*", NULL},
    {"bytes 0-18446744073709551615/*", NULL},
    {"", NULL},
};

START_TEST(content_range_rows)
{
    struct http_content_range r;
    char text[HTTP_CONTENT_RANGE_SIZE];
    bool ok = http_content_range_parse(cdn_str(rows_[_i].value), &r);
    ck_assert_msg(ok == (rows_[_i].written != NULL), "%s", rows_[_i].value);
    if (ok) {
        http_content_range_format(&r, text);
        ck_assert_str_eq(text, rows_[_i].written);
    }
}
END_TEST

START_TEST(too_many_ranges_are_ignored) /* RFC 9110 17.15 */
{
    CDN_AUTOBUF struct cdn_buf b = {0};
    struct http_range_set set;
    cdn_buf_add(&b, "bytes=0-0", 9);
    for (int i = 1; i < HTTP_RANGE_MAX; i++) {
        cdn_buf_printf(&b, ",%d-%d", i, i);
    }
    ck_assert(http_range_parse(cdn_buf_str(&b), &set) && set.count == HTTP_RANGE_MAX);
    cdn_buf_add(&b, ",99-", 4);
    ck_assert(!http_range_parse(cdn_buf_str(&b), &set));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_field_range");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, content_range_rows, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_test(rows, too_many_ranges_are_ignored);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
