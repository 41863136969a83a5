/* What a stream leads to: width and colours, from the terminal, the environment, and neither. */
#include "cli/base/terminal.h"

#include <check.h>
#include <fcntl.h>
#include <pty.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/banned.h"

static void set_or_unset(const char *name, const char *value)
{
    ck_assert_int_eq(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static const struct {
    const char *columns; /* NULL: not set */
    unsigned short window;
    unsigned width;
} widths[] = {
    {NULL, 80, 80},    {NULL, 132, 132},  {NULL, 0, 0}, /* a serial line, a container */
    {NULL, 19, 0},     {NULL, 20, 20},    {NULL, 10000, 10000},
    {NULL, 10001, 0},  {"100", 80, 100},  {"20", 80, 20},
    {"19", 80, 0},     {"0", 80, 0},      {"10000", 80, 10000},
    {"10001", 80, 0},  {"", 80, 80},      {"wide", 80, 80},
    {"-80", 120, 120}, {"80x", 120, 120}, {"99999999999999999999999", 120, 120},
};

START_TEST(widths_of_a_terminal)
{
    struct winsize size = {.ws_row = 24, .ws_col = widths[_i].window};
    int leader, follower;
    ck_assert_int_eq(openpty(&leader, &follower, NULL, NULL, &size), 0);
    set_or_unset("COLUMNS", widths[_i].columns);
    ck_assert_uint_eq(terminal_of(follower).width, widths[_i].width);
    close(leader);
    close(follower);
}
END_TEST

static const struct {
    const char *term, *no_color;
    bool color;
} colors[] = {
    {"xterm-256color", NULL, true}, {"xterm", "", true}, {"xterm", "1", false}, {"xterm", "0", false},
    {"dumb", NULL, false},          {"", NULL, false},   {NULL, NULL, false},   {"dumber", NULL, true},
};

START_TEST(colours_of_a_terminal)
{
    int leader, follower;
    ck_assert_int_eq(openpty(&leader, &follower, NULL, NULL, NULL), 0);
    set_or_unset("TERM", colors[_i].term);
    set_or_unset("NO_COLOR", colors[_i].no_color);
    const struct terminal terminal = terminal_of(follower);
    ck_assert(terminal.color == colors[_i].color);
    ck_assert((terminal_begin(terminal, TERMINAL_BAD)[0] != 0) == colors[_i].color);
    close(leader);
    close(follower);
}
END_TEST

/* What goes into a pipe or a file is for programs, whatever the environment says. */
START_TEST(no_terminal)
{
    int ends[2];
    set_or_unset("COLUMNS", "100");
    set_or_unset("TERM", "xterm");
    set_or_unset("NO_COLOR", NULL);
    ck_assert_int_eq(pipe(ends), 0);
    const int others[] = {ends[1], open("/dev/null", O_WRONLY), -1};
    for (unsigned i = 0; i < 3; i++) {
        const struct terminal terminal = terminal_of(others[i]);
        ck_assert(terminal.width == 0 && !terminal.color);
        ck_assert_str_eq(terminal_begin(terminal, TERMINAL_GOOD), "");
        ck_assert_str_eq(terminal_end(terminal, TERMINAL_GOOD), "");
    }
    close(ends[0]);
    close(ends[1]);
    close(others[1]);
}
END_TEST

START_TEST(every_style_that_begins_ends)
{
    const struct terminal terminal = {.color = true};
    for (enum terminal_style s = TERMINAL_PLAIN; s <= TERMINAL_BAD; s++) {
        ck_assert((terminal_begin(terminal, s)[0] == '\033') == (s != TERMINAL_PLAIN));
        ck_assert_str_eq(terminal_end(terminal, s), s == TERMINAL_PLAIN ? "" : "\033[0m");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("terminal");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, widths_of_a_terminal, 0, (int)(sizeof(widths) / sizeof(widths[0])));
    tcase_add_loop_test(all, colours_of_a_terminal, 0, (int)(sizeof(colors) / sizeof(colors[0])));
    tcase_add_test(all, no_terminal);
    tcase_add_test(all, every_style_that_begins_ends);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
