/* Healthy and sick by thresholds, and the damping of edges that flap. Each row is a life: '+' and '-' are
 * results a second apart, the line under it is the state after each ('h' healthy, 's' sick). */
#include "common/mem.h"
#include "router/pulse.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

START_TEST(lives)
{
    static const struct {
        unsigned up, down;
        const char *results, *states;
    } rows[] = {
        {2, 2, "+++", "hhh"},
        {2, 2, "-", "s"},             /* the first result decides */
        {2, 3, "+--+--+", "hhhhhhh"}, /* in a row means in a row */
        {2, 3, "+---++", "hhhssh"},
        {2, 2, "+--+-+-+-++", "hhssssssssh"},
        {1, 1, "+-+", "hsh"},
        {3, 1, "--++-+++", "sshhsssh"},
        /* the second fall within a minute of a recovery doubles what is needed, the third again */
        {2, 2, "+--++--++--++++--++++++++", "hhsshhsshhsssshhssssssssh"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_pulse pulse = {0};
        const struct router_pulse_rule rule = {rows[i].up, rows[i].down};
        char got[64] = "";
        for (size_t k = 0; rows[i].results[k]; k++) {
            router_pulse_beat(&pulse, &rule, rows[i].results[k] == '+', 1000 * (int64_t)(k + 1));
            got[k] = pulse.sick ? 's' : 'h';
        }
        ck_assert_msg(strncmp(got, rows[i].states, strlen(rows[i].results)) == 0, "row %zu: %s", i, got);
    }
}
END_TEST

START_TEST(changes_are_told_once)
{
    struct router_pulse pulse = {0};
    const struct router_pulse_rule rule = {2, 2};
    ck_assert_int_eq(router_pulse_beat(&pulse, &rule, true, 1), ROUTER_PULSE_SAME);
    ck_assert_int_eq(router_pulse_beat(&pulse, &rule, false, 2), ROUTER_PULSE_SAME);
    ck_assert_int_eq(router_pulse_beat(&pulse, &rule, false, 3), ROUTER_PULSE_FELL);
    ck_assert_int_eq(router_pulse_beat(&pulse, &rule, false, 4), ROUTER_PULSE_SAME);
    ck_assert_int_eq(router_pulse_beat(&pulse, &rule, true, 5), ROUTER_PULSE_SAME);
    ck_assert_int_eq(router_pulse_beat(&pulse, &rule, true, 6), ROUTER_PULSE_ROSE);
    ck_assert_int_eq(router_pulse_beat(&pulse, &rule, true, 7), ROUTER_PULSE_SAME);
}
END_TEST

START_TEST(damping_ends_and_has_a_limit)
{
    struct router_pulse pulse = {0};
    const struct router_pulse_rule rule = {1, 1};
    int64_t now = 1;
    router_pulse_beat(&pulse, &rule, true, now++);
    unsigned most = 0;
    for (int round = 0; round < 20; round++) {
        router_pulse_beat(&pulse, &rule, false, now++);
        ck_assert(pulse.sick);
        unsigned need = router_pulse_threshold(&pulse, &rule);
        most = need > most ? need : most;
        while (pulse.sick) {
            router_pulse_beat(&pulse, &rule, true, now++);
        }
    }
    ck_assert_uint_eq(most, 16);
    now += ROUTER_FLAP_WINDOW_MS;
    router_pulse_beat(&pulse, &rule, false, now++);
    ck_assert_uint_eq(router_pulse_threshold(&pulse, &rule), 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {lives, changes_are_told_once, damping_ends_and_has_a_limit};
    return run_suite("pulse", tests, CDN_ARRAY_LEN(tests));
}
