/* baseline: each query walks the database and measures the way to every edge. It is slow on
 * purpose: what the router's tables save is told against it. */
#include "tests/bench/route/baseline.h"

#include "geo-data/geodesy.h"

#include <math.h>

#include "common/banned.h"

enum cdn_status baseline_open(struct baseline *b, const char *const *paths, size_t n, struct cdn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        int code = MMDB_open(paths[i], MMDB_MODE_MMAP, &b->files[i]);
        if (code != MMDB_SUCCESS) {
            return cdn_error_set(err, CDN_IO, "%s: %s", paths[i], MMDB_strerror(code));
        }
        b->count++;
    }
    return CDN_OK;
}

void baseline_close(struct baseline *b)
{
    for (size_t i = 0; i < b->count; i++) {
        MMDB_close(&b->files[i]);
    }
}

bool baseline_look_up(const struct baseline *b, const struct cdn_addr *address, MMDB_lookup_result_s *ret)
{
    for (size_t i = 0; i < b->count; i++) {
        int code;
        *ret = MMDB_lookup_sockaddr(&b->files[i], &address->sa, &code);
        if (code == MMDB_SUCCESS && ret->found_entry) {
            return true;
        }
    }
    return false;
}

static bool number_at(MMDB_entry_s *entry, const char *const *path, double *ret)
{
    MMDB_entry_data_s data;
    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data) {
        return false;
    }
    if (data.type != MMDB_DATA_TYPE_DOUBLE && data.type != MMDB_DATA_TYPE_FLOAT) {
        return false;
    }
    *ret = data.type == MMDB_DATA_TYPE_DOUBLE ? data.double_value : (double)data.float_value;
    return true;
}

int baseline_nearest(const struct baseline *b, const struct cdn_addr *address)
{
    static const char *const flat[2][3] = {{"latitude", NULL}, {"longitude", NULL}};
    static const char *const nested[2][3] = {{"location", "latitude", NULL}, {"location", "longitude", NULL}};
    MMDB_lookup_result_s found;
    double at[2];
    if (!baseline_look_up(b, address, &found)) {
        return -1;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (!number_at(&found.entry, flat[i], &at[i]) && !number_at(&found.entry, nested[i], &at[i])) {
            return -1;
        }
    }
    int best = -1;
    double best_km = INFINITY;
    for (size_t i = 0; i < b->edge_count; i++) {
        double km = geo_distance_km(at[0], at[1], b->edges[i][0], b->edges[i][1]);
        if (km < best_km) {
            best_km = km;
            best = (int)i;
        }
    }
    return best;
}
