/* Maps of bits, against a row of flags that does the same one by one: every stretch that begins or ends at or
 * beside the bounds of words. */
#include "common/mem.h"
#include "edge/memory/bits.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define SIZE 256u

static const unsigned bounds[] = {0, 1, 2, 31, 62, 63, 64, 65, 127, 128, 129, 191, 192, 254, 255, 256};

static bool flags[SIZE];
static uint64_t map[SIZE / 64];

static void compare(void)
{
    for (unsigned on = 0; on < 2; on++) {
        unsigned next = SIZE;
        for (unsigned i = SIZE; i-- > 0;) {
            next = flags[i] == on ? i : next;
            ck_assert_uint_eq(edge_bits_next(map, SIZE, i, on), next);
            ck_assert(edge_bit(map, i) == flags[i]);
        }
        ck_assert_uint_eq(edge_bits_next(map, SIZE, SIZE, on), SIZE);
    }
}

static void fill(unsigned from, unsigned n, bool on)
{
    unsigned changed = 0;
    for (unsigned i = from; i < from + n; i++) {
        changed += flags[i] != on;
        flags[i] = on;
    }
    ck_assert_uint_eq(edge_bits_fill(map, from, n, on), changed);
    compare();
}

START_TEST(every_stretch)
{
    const bool before = _i;
    for (size_t a = 0; a < CDN_ARRAY_LEN(bounds); a++) {
        for (size_t b = a; b < CDN_ARRAY_LEN(bounds); b++) {
            fill(0, SIZE, before);
            fill(bounds[a], bounds[b] - bounds[a], !before);
            fill(bounds[a], bounds[b] - bounds[a], !before); /* nothing changes */
        }
    }
}
END_TEST

/* One after the other, over what others left. */
START_TEST(stretches_upon_stretches)
{
    uint64_t state = 88172645463325252u;
    for (unsigned i = 0; i < 1000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const unsigned from = (unsigned)(state >> 20) % SIZE;
        fill(from, (unsigned)(state >> 40) % (SIZE - from + 1), state & 1);
    }
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_loop_test(tc, every_stretch, 0, 2);
    tcase_add_test(tc, stretches_upon_stretches);
}

int main(void)
{
    return run_suite("bits", add);
}
