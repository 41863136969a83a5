/* Command lines of subcommands, the numbers that rows are printed with, and aligned tables. */
#include "cli/base/options.h"
#include "cli/base/table.h"
#include "cli/base/terminal.h"
#include "cli/geo/geo_row.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define SAMPLE_OPTIONS(X)                \
    X(FLAG, all_edges, 'a', NULL, "All") \
    X(TEXT, format, 'f', "F", "Format")  \
    X(LIST, db, 0, "FILE", "Database")
CLI_OPTIONS_STRUCT(sample_options, SAMPLE_OPTIONS);
#define ROW(...) CLI_OPTION_ROW(struct sample_options, __VA_ARGS__)
static const struct cli_option options[] = {SAMPLE_OPTIONS(ROW)};

#define ARGS_MAX 8
static const struct {
    const char *argv[ARGS_MAX];
    const char *expected; /* all, format, databases, positional; or the error */
} rows[] = {
    {{NULL}, "0 - [] []"},
    {{"x", "-", "y"}, "0 - [] [x - y]"},
    {{"--all-edges", "-f", "q", "x"}, "1 q [] [x]"},
    {{"-a", "-fq"}, "1 q [] []"},
    {{"--format=a=b"}, "0 a=b [] []"},
    {{"--format="}, "0  [] []"},
    {{"--db", "a", "--db=b"}, "0 - [a b] []"},
    {{"--", "--all-edges", "-a"}, "0 - [] [--all-edges -a]"},
    {{"-1h", "-33.9,151", "-a"}, "1 - [] [-1h -33.9,151]"},
    {{"--format"}, "'--format' needs a value: F"},
    {{"--all-edges=1"}, "'--all-edges=1' takes no value"},
    {{"--all_edges"}, "unknown option '--all_edges'; did you mean --all-edges?"},
    {{"--all-edge"}, "unknown option '--all-edge'; did you mean --all-edges?"},
    {{"--fromat=x"}, "unknown option '--fromat=x'; did you mean --format?"},
    {{"--bd", "x"}, "unknown option '--bd'; did you mean --db?"},
    {{"--nothing-like-it"}, "unknown option '--nothing-like-it' (--help lists them)"},
    {{"-x"}, "unknown option '-x' (--help lists them)"},
    {{"--format", "a", "-f", "b"}, "0 b [] []"},
    {{"--format", "--all-edges"}, "0 --all-edges [] []"}, /* a value, whatever it looks like */
    {{"-f"}, "'-f' needs a value: F"},
    {{"--db"}, "'--db' needs a value: FILE"},
    {{"-ax"}, "'-ax' takes no value"},
    {{"--formatt", "x"}, "unknown option '--formatt'; did you mean --format?"},
    {{"--formar"}, "unknown option '--formar'; did you mean --format?"},
    {{"--ormat"}, "unknown option '--ormat'; did you mean --format?"},
    {{"--dbs"}, "unknown option '--dbs'; did you mean --db?"},
    {{"--alledges"}, "unknown option '--alledges'; did you mean --all-edges?"},
    {{"--al"}, "unknown option '--al' (--help lists them)"},
};

static void join(struct cdn_buf *out, const char *const *items, size_t n)
{
    cdn_buf_printf(out, " [");
    for (size_t i = 0; i < n; i++) {
        cdn_buf_printf(out, "%s%s", i ? " " : "", items[i]);
    }
    cdn_buf_printf(out, "]");
}

START_TEST(command_lines)
{
    struct sample_options got = {0};
    const char *items[ARGS_MAX];
    char *argv[ARGS_MAX];
    struct cli_args args = {.items = items};
    struct cdn_error err;
    CDN_AUTOBUF struct cdn_buf text = {0};
    int argc = 0;
    for (; rows[_i].argv[argc]; argc++) {
        argv[argc] = cdn_strdup(rows[_i].argv[argc]);
    }
    if (cli_options_parse(options, CDN_ARRAY_LEN(options), argc, argv, &got, &args, &err)) {
        ck_assert_int_eq(err.status, CDN_USAGE);
        cdn_buf_printf(&text, "%s", err.text);
    } else {
        cdn_buf_printf(&text, "%d %s", got.all_edges, got.format ? got.format : "-");
        join(&text, got.db.items, got.db.n);
        join(&text, args.items, args.n);
    }
    ck_assert_str_eq(text.p, rows[_i].expected);
    while (argc > 0) {
        free(argv[--argc]);
    }
}
END_TEST

static const struct {
    const char *argv[ARGS_MAX];
    size_t n, before;
} dashes[] = {
    {{NULL}, 0, 0},
    {{"x", "y"}, 2, 2},
    {{"x", "-a", "y"}, 2, 2},
    {{"x", "--", "y", "-a"}, 3, 1},
    {{"--", "y"}, 1, 0},
    {{"x", "--"}, 1, 1},
    {{"x", "--", "y", "--", "z"}, 4, 1}, /* the second one is an argument */
};

START_TEST(what_stands_before_the_dashes)
{
    struct sample_options got = {0};
    const char *items[ARGS_MAX];
    struct cli_args args = {.items = items};
    struct cdn_error err;
    int argc = 0;
    while (dashes[_i].argv[argc]) {
        argc++;
    }
    ck_assert_int_eq(cli_options_parse(options, CDN_ARRAY_LEN(options), argc,
                                       (char **)(uintptr_t)dashes[_i].argv, &got, &args, &err),
                     CDN_OK);
    ck_assert_uint_eq(args.n, dashes[_i].n);
    ck_assert_uint_eq(args.before, dashes[_i].before);
}
END_TEST

static const struct {
    double value;
    unsigned decimals;
    const char *text;
} numbers[] = {
    {0, 0, "0"},           {0, 2, "0.00"},
    {-0.001, 2, "0.00"},   {1.005, 1, "1.0"},
    {99.95, 1, "100.0"},   {-33.8688, 4, "-33.8688"},
    {0.0625, 4, "0.0625"}, {123456789.5, 6, "123456789.500000"},
    {-0.5, 0, "-1"},
};

START_TEST(fixed_numbers)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    geo_put_fixed(&text, numbers[_i].value, numbers[_i].decimals);
    ck_assert_str_eq(text.p, numbers[_i].text);
}
END_TEST

START_TEST(fields_are_found_by_name)
{
    for (size_t i = 0; i < GEO_FIELD_COUNT; i++) {
        enum geo_field field;
        ck_assert(geo_field_find(cdn_str(geo_field_name((enum geo_field)i)), &field));
        ck_assert_uint_eq(field, i);
        ck_assert_uint_gt(strlen(geo_field_text(field)), 0);
    }
    enum geo_field none;
    ck_assert(!geo_field_find(CDN_STR("nonsense"), &none));
}
END_TEST

START_TEST(tables_are_aligned_by_letters)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    table_init(&table, "CITY|>KM|NOTE");
    table_add(&table, "S\xc3\xa3o Paulo");
    table_add(&table, "%d", 7);
    table_add(&table, "far");
    table_add(&table, "Oslo");
    table_add(&table, "%d", 1234);
    table_print(&table, &text);
    table_fini(&table);
    ck_assert_str_eq(text.p, "CITY         KM  NOTE\nS\xc3\xa3o Paulo     7  far\nOslo       1234\n");
}
END_TEST

static const struct {
    unsigned width;
    const char *expected;
} narrow[] = {
    {0, "NODE  PLACE       PID  NOTE\nfra   Frankfurt  1234  its origin fails; restarted 2 x\nnrt   Tokyo"
        "        99\n"},
    {60, "NODE  PLACE       PID  NOTE\nfra   Frankfurt  1234  its origin fails; restarted 2 x\nnrt   Tokyo"
         "        99\n"},
    {40,
     "NODE  PLACE       PID  NOTE\nfra   Frankfurt  1234\n    its origin fails; restarted 2 x\nnrt   Tokyo"
     "        99\n"},
    {20, "NODE  PLACE\nfra   Frankfurt\n    its origin\n    fails; restarted\n    2 x\nnrt   Tokyo\n"},
};

START_TEST(a_narrow_terminal_loses_columns_not_notes)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    static const char *const cells[] = {"fra", "Frankfurt", "1234", "its origin fails; restarted 2 x",
                                        "nrt", "Tokyo",     "99",   ""};
    table_init(&table, "NODE|PLACE|1>PID|NOTE");
    for (size_t i = 0; i < CDN_ARRAY_LEN(cells); i++) {
        table_add(&table, "%s", cells[i]);
    }
    table_print_to(&table, (struct terminal){.width = narrow[_i].width}, &text);
    table_fini(&table);
    ck_assert_str_eq(text.p, narrow[_i].expected);
}
END_TEST

START_TEST(colours_do_not_count_as_letters)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    table_init(&table, "STATE|>N");
    table_add(&table, "up");
    table_style(&table, TERMINAL_GOOD);
    table_add(&table, "7");
    table_print_to(&table, (struct terminal){.width = 80, .color = true}, &text);
    table_fini(&table);
    ck_assert_str_eq(text.p, "STATE  N\n\033[32mup\033[0m     7\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, command_lines, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(tcase, what_stands_before_the_dashes, 0, (int)CDN_ARRAY_LEN(dashes));
    tcase_add_loop_test(tcase, fixed_numbers, 0, (int)CDN_ARRAY_LEN(numbers));
    tcase_add_test(tcase, fields_are_found_by_name);
    tcase_add_test(tcase, tables_are_aligned_by_letters);
    tcase_add_loop_test(tcase, a_narrow_terminal_loses_columns_not_notes, 0, (int)CDN_ARRAY_LEN(narrow));
    tcase_add_test(tcase, colours_do_not_count_as_letters);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
