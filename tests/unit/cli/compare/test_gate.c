/* `--fail-if`: what is understood, what is refused with which words, and when a condition is met. */
#include "cli/compare/stats/gate.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

static const char *const series[] = {"direct-new", "dns-warm-new", NULL};

static const struct {
    const char *text;
    double value, baseline;
    bool met;
} met[] = {
    {"p95>+5%", 105.1, 100, true},
    {"p95>+5%", 105, 100, false},
    {"p95 > +5%", 106, 100, true},
    {"p95>=+5%", 105, 100, true},
    {"p50<-10%", 89, 100, true},
    {"p50<-10%", 91, 100, false},
    {"p50>+20ms", 121, 100, true},
    {"p50>+20ms", 119, 100, false},
    {"max>1.5s", 1501, 0, true},
    {"max>1.5s", 1500, 0, false},
    {"min<500us", 0.4, 0, true},
    {"dns-warm-new.p99>200ms", 201, 0, true},
    {"hit_ratio<90%", 0.89, 0, true},
    {"hit_ratio<0.9", 0.91, 0, false},
    {"hit_ratio<-2%", 0.87, 0.90, true}, /* points, not a part of it */
    {"hit_ratio<-2%", 0.885, 0.90, false},
    {"offload_bytes<=50%", 0.5, 0, true},
    {"errors>0", 1, 0, true},
    {"errors>0", 0, 0, false},
    {"n<100", 99, 0, true},
    {"errors>+3", 8, 4, true},
};

START_TEST(conditions)
{
    struct gate gate;
    struct cdn_error err;
    ck_assert_int_eq(gate_parse(cdn_str(met[_i].text), series, &gate, &err), CDN_OK);
    ck_assert_uint_eq(gate.n, 1);
    ck_assert_str_eq(gate.at[0].text, met[_i].text);
    ck_assert_int_eq(gate_met(&gate.at[0], met[_i].value, met[_i].baseline), met[_i].met);
    bool sign = strpbrk(strpbrk(met[_i].text, "<>="), "+-") != NULL;
    ck_assert_int_eq(gate_is_relative(&gate), sign);
}
END_TEST

START_TEST(several)
{
    struct gate gate;
    struct cdn_error err;
    ck_assert_int_eq(gate_parse(CDN_STR("p95>+5%, errors>0,verdict=slower"), series, &gate, &err), CDN_OK);
    ck_assert_uint_eq(gate.n, 3);
    ck_assert_int_eq(gate.at[1].figure, GATE_FIGURE_ERRORS);
    ck_assert_int_eq(gate.at[2].sign, GATE_IS);
    ck_assert_str_eq(gate.at[2].word, "slower");
}
END_TEST

static const struct {
    const char *text, *said;
} refused[] = {
    {"", "not FIGURE<VALUE"},
    {"p95", "not FIGURE<VALUE"},
    {">5", "not FIGURE<VALUE"},
    {"p95>", "p95 wants a time"},
    {"p95>5", "p95 wants a time"},
    {"p95>5%", "p95 wants a time"}, /* of what? */
    {"p95>-", "p95 wants a time"},
    {"p95>fast", "p95 wants a time"},
    {"p95=+5%", "p95 wants a time"},
    {"p95>>5ms", "p95 wants a time"},
    {"p96>5ms", "no figure 'p96'; did you mean 'p95'?"},
    {"colour>5", "no figure 'colour'"},
    {"hitratio<90%", "did you mean 'hit_ratio'?"},
    {"hit_ratio<90ms", "hit_ratio wants a share"},
    {"hit_ratio<-", "hit_ratio wants a share"},
    {"errors>many", "errors wants a number"},
    {"dns-warm-nwe.p50>1ms", "no series 'dns-warm-nwe'; did you mean 'dns-warm-new'?"},
    {"direct-new.errors>0", "errors is one figure for all"},
    {"verdict=worse", "verdict wants ="},
    {"verdict>slower", "verdict wants ="},
    {"p95>+5%,", "not FIGURE<VALUE"},
    {"p95>nan", "p95 wants a time"},
    {"p95>1e999ms", "p95 wants a time"},
    {"p95>1ms and p99>2ms and other things that nobody would ever write in one condition", "over 63 letters"},
};

START_TEST(refusals)
{
    struct gate gate;
    struct cdn_error err;
    ck_assert_int_eq(gate_parse(cdn_str(refused[_i].text), series, &gate, &err), CDN_USAGE);
    ck_assert_msg(strstr(err.text, refused[_i].said), "%s: %s", refused[_i].text, err.text);
    ck_assert_msg(strstr(err.text, "--fail-if"), "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, conditions, 0, (int)CDN_ARRAY_LEN(met));
    tcase_add_test(all, several);
    tcase_add_loop_test(all, refusals, 0, (int)CDN_ARRAY_LEN(refused));
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
