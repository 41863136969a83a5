/* Tables on terminals of 80 columns and others: nothing is wider than the terminal but a single long word,
 * and no note is lost. */
#include "cli/base/table.h"
#include "cli/base/terminal.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

/* As `pocketcdn status` has them. */
#define HEADS "NODE|PLACE|1URL|2>PID|>HITS|NOTE"
static const char *const cells[] = {
    "origin",
    "Frankfurt am Main",
    "http://127.0.0.1:8090",
    "123456",
    "",
    "",
    "fra",
    "Frankfurt am Main",
    "http://127.0.1.1:8088",
    "123457",
    "98.7 %",
    "fine",
    "gru",
    "S\xc3\xa3o Paulo",
    "http://127.0.1.10:8088",
    "123458",
    "1.2 %",
    "restarted 3 times; its origin answers 503; the cache is full and nothing more is admitted to the disk ",
    "tier",
};

static size_t letters(struct cdn_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static void print(unsigned width, struct cdn_buf *out)
{
    struct table table;
    table_init(&table, HEADS);
    for (size_t i = 0; i < CDN_ARRAY_LEN(cells); i++) {
        table_add(&table, "%s", cells[i]);
    }
    table_print_to(&table, (struct terminal){.width = width}, out);
    table_fini(&table);
}

/* Whether all words of a text stand in the output, in their order. */
static bool has_words(const char *out, const char *text)
{
    struct cdn_str rest = cdn_str(text);
    while (rest.p && out) {
        CDN_AUTOFREE char *word = cdn_str_dup(cdn_str_cut(&rest, ' '));
        out = strstr(out, word);
    }
    return out != NULL;
}

static const unsigned widths[] = {20, 30, 40, 50, 60, 70, 79, 80, 81, 100, 132, 200, 0};

START_TEST(within_the_width)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    const unsigned width = widths[_i];
    print(width, &out);
    struct cdn_str rest = cdn_buf_str(&out);
    while (rest.p) {
        const struct cdn_str line = cdn_str_cut(&rest, '\n');
        /* what may not be left out takes 35 columns: narrower ones are broken by the terminal */
        ck_assert_msg(!width || letters(line) <= (width > 35 ? width : 35), "%u: %.*s", width, (int)line.n,
                      line.p);
        ck_assert(!line.n || line.p[line.n - 1] != ' ');
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(cells); i++) {
        const bool may_go = i % 6 == 2 || i % 6 == 3;
        ck_assert_msg(may_go || has_words(out.p, cells[i]), "%u: no '%s' in\n%s", width, cells[i], out.p);
    }
}
END_TEST

/* Of the columns that may be left out, the first to go is the one marked so. */
static const struct {
    unsigned width;
    bool url, pid;
} left[] = {{0, true, true},   {80, true, true},  {70, true, true},
            {60, false, true}, {50, false, true}, {40, false, false}};

START_TEST(who_is_left_out)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    print(left[_i].width, &out);
    ck_assert_msg((strstr(out.p, "URL") != NULL) == left[_i].url, "%u:\n%s", left[_i].width, out.p);
    ck_assert_msg((strstr(out.p, "PID") != NULL) == left[_i].pid, "%u:\n%s", left[_i].width, out.p);
    ck_assert((strstr(out.p, "http://127.0.1.10:8088") != NULL) == left[_i].url);
    ck_assert((strstr(out.p, "123458") != NULL) == left[_i].pid);
}
END_TEST

static const struct {
    const char *cell, *shown;
} foreign[] = {
    {"a\nb", "a\\x0ab"},
    {"\033[31mred", "\\x1b[31mred"},
    {"a\tb", "a\\x09b"},
    {"\xe2\x80\xae"
     "x",
     "\\u202ex"},
    {"\xff", "\\xff"},
};

/* A cell steers nothing, and the columns stand where they should. */
START_TEST(foreign_cells)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf out = {0};
    CDN_AUTOFREE char *expected =
        cdn_asprintf("%-*s  B\n%s  1\n", (int)strlen(foreign[_i].shown), "A", foreign[_i].shown);
    table_init(&table, "A|B");
    table_add(&table, "%s", foreign[_i].cell);
    table_add(&table, "1");
    table_print(&table, &out);
    table_fini(&table);
    ck_assert_str_eq(out.p, expected);
}
END_TEST

static const struct {
    const char *heads, *text;
    unsigned width;
    const char *shown;
} words[] = {
    {"A|B", "one two three four five", 20, "A   B\nxx\n    one two three\n    four five\n"},
    {"A|B", "exactly sixteen!", 20, "A   B\nxx  exactly sixteen!\n"},
    {"A|B", "exactly seventeen", 20, "A   B\nxx\n    exactly\n    seventeen\n"},
    {"A|B", "averyveryverylongwordthatfitsnowhere", 20,
     "A   B\nxx\n    averyveryverylongwordthatfitsnowhere\n"},
    {"A|B", "", 20, "A   B\nxx\n"},
    {"A|B", "one two three four five", 0, "A   B\nxx  one two three four five\n"},
};

START_TEST(long_notes)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf out = {0};
    table_init(&table, words[_i].heads);
    table_add(&table, "xx");
    table_add(&table, "%s", words[_i].text);
    table_print_to(&table, (struct terminal){.width = words[_i].width}, &out);
    table_fini(&table);
    ck_assert_str_eq(out.p, words[_i].shown);
}
END_TEST

START_TEST(only_heads)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf out = {0};
    table_init(&table, "NAME|>N");
    table_print_to(&table, (struct terminal){.width = 80}, &out);
    table_fini(&table);
    ck_assert_str_eq(out.p, "NAME  N\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, within_the_width, 0, (int)CDN_ARRAY_LEN(widths));
    tcase_add_loop_test(all, who_is_left_out, 0, (int)CDN_ARRAY_LEN(left));
    tcase_add_loop_test(all, foreign_cells, 0, (int)CDN_ARRAY_LEN(foreign));
    tcase_add_loop_test(all, long_notes, 0, (int)CDN_ARRAY_LEN(words));
    tcase_add_test(all, only_heads);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
