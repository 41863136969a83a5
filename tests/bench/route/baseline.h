/* baseline: what a router does that keeps nothing: libmaxminddb for the address, latitude and longitude out
 * of the record, and the great circle to every edge. */
#ifndef CDN_TESTS_BENCH_ROUTE_BASELINE_H
#define CDN_TESTS_BENCH_ROUTE_BASELINE_H
#include "common/parse.h"
#include "common/status.h"

#include <maxminddb.h>
#include <stdbool.h>
#include <stddef.h>

struct baseline {
    MMDB_s files[2];
    size_t count;
    const double (*edges)[2]; /* latitude and longitude, degrees */
    size_t edge_count;
};

enum cdn_status baseline_open(struct baseline *b, const char *const *paths, size_t n,
                              struct cdn_error *err) CDN_MUST_CHECK;
void baseline_close(struct baseline *b);
/* Whether there is a record. */
bool baseline_look_up(const struct baseline *b, const struct cdn_addr *address, MMDB_lookup_result_s *ret);
/* The nearest edge, or -1. */
int baseline_nearest(const struct baseline *b, const struct cdn_addr *address);

#endif
