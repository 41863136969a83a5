/* The states of a request: the table is a whole (every state is reached, and ends), and the documents show
 * what it says. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/request/step.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t bit(int step)
{
    return UINT32_C(1) << step;
}

START_TEST(every_state_is_reached)
{
    uint32_t reached = bit(EDGE_STEP_BEGIN);
    for (uint32_t before = 0; before != reached;) {
        before = reached;
        for (int s = 0; s < EDGE_STEP_COUNT; s++) {
            reached |= reached & bit(s) ? edge_step_successors((enum edge_step)s) : 0;
        }
    }
    ck_assert_uint_eq(reached, bit(EDGE_STEP_COUNT) - 1);
}
END_TEST

START_TEST(every_state_can_answer)
{
    for (int s = EDGE_STEP_WAIT + 1; s < EDGE_STEP_COUNT; s++) {
        const uint32_t next = edge_step_successors((enum edge_step)s);
        ck_assert_msg(next & bit(EDGE_STEP_DONE), "%s", edge_step_name((enum edge_step)s));
        ck_assert_uint_eq(next >> EDGE_STEP_COUNT, 0);
        ck_assert(edge_step_what((enum edge_step)s)[0]);
    }
    ck_assert_uint_eq(edge_step_successors(EDGE_STEP_DONE), 0);
}
END_TEST

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "re");
    CDN_AUTOBUF struct cdn_buf text = {0};
    ck_assert_msg(f != NULL, "%s", path);
    for (int c; (c = fgetc(f)) != EOF;) {
        cdn_buf_add(&text, &(char){(char)c}, 1);
    }
    fclose(f);
    return cdn_str_dup(cdn_buf_str(&text));
}

static void add_row(struct cdn_buf *into, enum edge_step s)
{
    cdn_buf_printf(into, "    %-12s ->", edge_step_name(s));
    for (int next = EDGE_STEP_COUNT - 1; next >= 0; next--) {
        if (edge_step_successors(s) & bit(next)) {
            cdn_buf_printf(into, " %s", edge_step_name((enum edge_step)next));
        }
    }
    cdn_buf_printf(into, "\n%19s%s\n", "", edge_step_what(s));
}

START_TEST(architecture_shows_the_table)
{
    CDN_AUTOFREE char *text = read_all(CDN_SOURCE_DIR "/docs/architecture.md");
    CDN_AUTOBUF struct cdn_buf rows = {0};
    for (int s = EDGE_STEP_WAIT + 1; s < EDGE_STEP_COUNT; s++) {
        add_row(&rows, (enum edge_step)s);
    }
    ck_assert_msg(strstr(text, rows.p) != NULL, "docs/architecture.md should have these lines:\n%s", rows.p);
}
END_TEST

START_TEST(header_draws_every_state)
{
    CDN_AUTOFREE char *text = read_all(CDN_SOURCE_DIR "/edge/request/step.h");
    *strstr(text, "*/") = '\0';
    for (int s = 0; s < EDGE_STEP_COUNT; s++) {
        ck_assert_msg(strstr(text, edge_step_name((enum edge_step)s)) != NULL, "%s",
                      edge_step_name((enum edge_step)s));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("step");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, every_state_is_reached);
    tcase_add_test(tests, every_state_can_answer);
    tcase_add_test(tests, architecture_shows_the_table);
    tcase_add_test(tests, header_draws_every_state);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
