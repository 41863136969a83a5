/* way_of: what the tests of wan/path share. Time is a value in all of them. */
#ifndef CDN_TESTS_WAN_WAY_OF_H
#define CDN_TESTS_WAN_WAY_OF_H
#include "wan/path/path.h"

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#define MS INT64_C(1000000)
#define FOREVER (WAN_NEVER - 1)

static inline struct wan_path path_of(int64_t rtt_ms, int64_t bytes_per_s)
{
    return (struct wan_path){
        .there_ns = rtt_ms * MS / 2, .back_ns = rtt_ms * MS / 2, .bytes_per_s = bytes_per_s};
}

/* Sends `n` bytes that lie ready at start_ns; gives when the first segment arrives and when the last byte. */
static inline struct wan_flight send_over(struct wan_way *way, int64_t start_ns, size_t n)
{
    struct wan_flight all = {.bytes = n}, one;
    for (size_t done = 0; done < n; done += one.bytes) {
        ck_assert_uint_gt(wan_way_send(way, start_ns, FOREVER, n - done, &one), 0);
        ck_assert_int_le(one.first_ns, one.last_ns);
        all.first_ns = done ? all.first_ns : one.first_ns;
        ck_assert(!done || one.first_ns >= all.last_ns);
        all.last_ns = one.last_ns;
    }
    return all;
}

#endif
