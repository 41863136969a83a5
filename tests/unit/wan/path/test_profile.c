/* The table of last miles: each is found by its name, the figures are possible, and docs/travel.md shows
 * them. */
#include "common/mem.h"
#include "common/str.h"
#include "wan/path/profile.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static char *page(void)
{
    FILE *f = fopen(CDN_SOURCE_DIR "/docs/travel.md", "re");
    ck_assert_ptr_nonnull(f);
    char *text = cdn_malloc(1 << 16);
    size_t n = fread(text, 1, (1 << 16) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

START_TEST(each_is_possible_and_documented)
{
    CDN_AUTOFREE char *text = page();
    ck_assert_uint_ge(wan_profile_count(), 5);
    for (size_t i = 0; i < wan_profile_count(); i++) {
        const struct wan_profile *p = wan_profile_at(i);
        ck_assert_ptr_eq(wan_profile_find(cdn_str(p->name)), p);
        ck_assert(p->down > 0 && p->up > 0 && p->up <= p->down);
        ck_assert(p->rtt_ns > 0 && p->loss >= 0 && p->loss < 0.1);
        CDN_AUTOFREE char *row = cdn_asprintf("| %s | %g | %g | %g | %g |", p->name, (double)p->down / 125000,
                                              (double)p->up / 125000, (double)p->rtt_ns / 1e6, p->loss * 100);
        ck_assert_msg(strstr(text, row) != NULL, "docs/travel.md has no row %s", row);
    }
}
END_TEST

START_TEST(names)
{
    ck_assert_ptr_nonnull(wan_profile_find(cdn_str("Fibre")));
    ck_assert_ptr_nonnull(wan_profile_find(cdn_str("4G")));
    ck_assert_ptr_null(wan_profile_find(cdn_str("")));
    ck_assert_ptr_null(wan_profile_find(cdn_str("4")));
    ck_assert_ptr_null(wan_profile_find(cdn_str("fibre ")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan.profile");
    TCase *tcase = tcase_create("rows");
    tcase_add_test(tcase, each_is_possible_and_documented);
    tcase_add_test(tcase, names);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
