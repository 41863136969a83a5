/* enough: the whole matrix of round trips is computed once (a few ten nanoseconds a pair), after which
 * a step is a pass over it; with the gazetteer as candidates and a thousand clients that is a few
 * milliseconds, so nothing cleverer is needed. */
#include "cli/compare/model/enough.h"

#include "common/mem.h"

#include <math.h>
#include <stdlib.h>

#include "common/banned.h"

struct ranked {
    float ms;
    double weight;
};

static int by_ms(const void *a, const void *b)
{
    float x = ((const struct ranked *)a)->ms, y = ((const struct ranked *)b)->ms;
    return (x > y) - (x < y);
}

static double share_of(const struct ranked *sorted, size_t n, double all, double share)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += sorted[i].weight;
        if (sum >= share * all - 1e-9) {
            return (double)sorted[i].ms;
        }
    }
    return n ? (double)sorted[n - 1].ms : NAN;
}

static struct enough_step step_of(const struct enough_client *clients, size_t n, const float *nearest)
{
    CDN_AUTOFREE struct ranked *sorted = cdn_calloc(n, sizeof(*sorted));
    double all = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = (struct ranked){nearest[i], clients[i].weight};
        all += clients[i].weight;
        sum += clients[i].weight * (double)nearest[i];
    }
    qsort(sorted, n, sizeof(*sorted), by_ms);
    return (struct enough_step){.mean_ms = sum / all,
                                .p50_ms = share_of(sorted, n, all, 0.5),
                                .p95_ms = share_of(sorted, n, all, 0.95)};
}

static float *nearest_of(const struct enough_client *clients, size_t n, const struct geo_rtt_point *edges,
                         size_t edge_count)
{
    float *nearest = cdn_calloc(n, sizeof(*nearest));
    for (size_t i = 0; i < n; i++) {
        nearest[i] = INFINITY;
        for (size_t e = 0; e < edge_count; e++) {
            nearest[i] = fminf(nearest[i], geo_rtt_between(clients[i].at, &edges[e]));
        }
    }
    return nearest;
}

struct enough_step enough_now(const struct enough_client *clients, size_t n,
                              const struct geo_rtt_point *edges, size_t edge_count)
{
    CDN_AUTOFREE float *nearest = nearest_of(clients, n, edges, edge_count);
    return step_of(clients, n, nearest);
}

/* What all clients' round trips add up to with one more edge. */
static double sum_with(const struct enough_client *clients, size_t n, const float *nearest, const float *row)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += clients[i].weight * (double)fminf(nearest[i], row[i]);
    }
    return sum;
}

size_t enough_greedy(const struct enough_client *clients, size_t n, const struct geo_rtt_point *edges,
                     size_t edge_count, const struct geo_rtt_point *candidates, size_t candidate_count,
                     size_t steps, struct enough_step *ret)
{
    CDN_AUTOFREE float *nearest = nearest_of(clients, n, edges, edge_count);
    CDN_AUTOFREE float *matrix = cdn_calloc(candidate_count * n + 1, sizeof(*matrix));
    double now = edge_count ? sum_with(clients, n, nearest, nearest) : INFINITY;
    size_t done = 0;
    for (size_t c = 0; c < candidate_count; c++) {
        for (size_t i = 0; i < n; i++) {
            matrix[c * n + i] = geo_rtt_between(clients[i].at, &candidates[c]);
        }
    }
    while (done < steps) {
        size_t best = candidate_count;
        double best_sum = now;
        for (size_t c = 0; c < candidate_count; c++) {
            double sum = sum_with(clients, n, nearest, matrix + c * n);
            if (sum < best_sum) {
                best = c;
                best_sum = sum;
            }
        }
        if (best == candidate_count) {
            break;
        }
        for (size_t i = 0; i < n; i++) {
            nearest[i] = fminf(nearest[i], matrix[best * n + i]);
        }
        now = best_sum;
        ret[done] = step_of(clients, n, nearest);
        ret[done++].candidate = best;
    }
    return done;
}
