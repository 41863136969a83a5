/* comparison: all figures of one comparison, modelled and measured, and what follows from them. The outputs
 * (text, JSON, CSV, report) only read it.
 *
 * Modelled figures are computed here, from the places and wan/path alone: the same input gives the same bits.
 * Samples are put in by cli/compare/run, if anything was sent. The two are never mixed: a sample is what a
 * client waited (the path's time was taken by the network between the places, so by the model; the
 * processors' time is real), and what its first byte takes over the modelled time of the paths is what the
 * processors took.
 */
#ifndef CDN_CLI_COMPARE_COMPARISON_H
#define CDN_CLI_COMPARE_COMPARISON_H
#include "cli/compare/model/enough.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "cli/compare/model/world.h"
#include "cli/compare/stats/summary.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sample {                                            /* of one request, ms, measured */
    double router_ms, connect_ms, first_byte_ms, total_ms; /* as in struct times */
    double began_s;                                        /* since the beginning of the run */
    uint16_t edge;                                         /* that answered; ROUTER_NO_EDGE: the origin */
};
struct samples {
    size_t n;
    struct sample *at;
};

#define COMPARISON_SIZES_MAX 8u
#define COMPARISON_STEPS_MAX 20u

enum sweep_visit { SWEEP_DIRECT, SWEEP_COLD, SWEEP_WARM, SWEEP_VISIT_COUNT };
uint64_t comparison_size(size_t row); /* bytes of a row of the sweep; 0 behind the last */
enum visit_kind sweep_visit_kind(enum sweep_visit visit);

struct sweep_row { /* new connections */
    char *path;    /* of a file that was named; NULL: of the usual sizes */
    uint64_t bytes;
    struct summary modelled[SWEEP_VISIT_COUNT];
    double *measured[SWEEP_VISIT_COUNT]; /* total_ms of all cities; NULL: not sent */
    size_t measured_n[SWEEP_VISIT_COUNT];
};

struct traffic {                   /* what was asked of the edges, and of the origin by them */
    uint64_t hits, misses, others; /* by X-Cache; others: revalidated, passed, ... */
    uint64_t hit_bytes, miss_bytes;
    uint64_t requests, bytes;               /* of all clients of edges */
    uint64_t origin_requests, origin_bytes; /* that the origin saw of it */
};

struct warmup { /* requests of a catalogue, in the order in which they were answered */
    size_t n;
    bool *hit;
    double *total_ms;
    uint64_t *bytes;
    size_t objects;
    double exponent; /* of Zipf's law */
    struct traffic traffic;
};

struct outage_row { /* of clients while something was down */
    char *what;     /* "edge nrt killed" */
    uint64_t requests, failed, stale, wrong;
    double worst_ms, without_answer_s; /* the longest time in which nobody at that edge had an answer */
    struct samples samples;            /* of those who had one; total_ms */
};

struct comparison {
    struct world world;
    char *profile; /* of the clients' last mile */
    char *url;     /* "" where nothing was sent */
    uint64_t body_bytes, seed;
    unsigned runs;
    bool sent, own_cdn;      /* real requests; to a CDN that was started for it */
    double run_s;            /* measured: all of it */
    struct times *times;     /* [city][series]: modelled */
    struct samples *samples; /* [city][series]: measured; all empty unless `sent` */
    size_t size_count;
    struct sweep_row sizes[COMPARISON_SIZES_MAX];
    size_t step_count; /* how many edges are enough: of the best places */
    struct enough_step steps[COMPARISON_STEPS_MAX];
    struct enough_step now, one_more; /* of the edges there are, and the place that would help most */
    bool has_one_more;
    struct traffic traffic;
    struct warmup warmup;
    struct outage_row *outages;
    size_t outage_count;
    uint64_t errors;     /* requests that failed */
    uint64_t unexpected; /* that were not answered as their series wants; in no series */
    char *first_error;   /* a sentence, or NULL */
};

/* The world's places are known and decided. `sizes`: the usual ones, unless some are there. */
enum cdn_status comparison_model(struct comparison *c, struct cdn_error *err) CDN_MUST_CHECK;
void comparison_free(struct comparison *c); /* may be zeroed */

static inline const struct times *comparison_times(const struct comparison *c, size_t city, unsigned series)
{
    return &c->times[city * SERIES_COUNT + series];
}
static inline struct samples *comparison_samples(const struct comparison *c, size_t city, unsigned series)
{
    return &c->samples[city * SERIES_COUNT + series];
}
void comparison_add(struct comparison *c, size_t city, unsigned series, const struct sample *sample);

/* The paths of a city, the clients' last mile included. */
void comparison_paths(const struct comparison *c, size_t city, struct times_paths *ret);

/* ---- figures ---- */

double comparison_ms(int64_t ns);
struct summary comparison_modelled(const struct comparison *c, unsigned series); /* over the cities */
struct summary comparison_measured(const struct comparison *c, unsigned series); /* over all samples */
struct summary comparison_modelled_least(const struct comparison *c, unsigned series);
/* What the servers and this machine took: first byte measured less first byte modelled, which does not depend
 * on the windows behind the edge. */
struct summary comparison_processors(const struct comparison *c, unsigned series);
struct summary comparison_measured_in(const struct comparison *c, size_t city, unsigned series);
/* The median of the samples of a city where something was sent, else the modelled time. */
double comparison_typical_ms(const struct comparison *c, size_t city, unsigned series);

/* What a CDN is worth to a city: by the model, so that it does not depend on the day. */
#define COMPARISON_WORTH_TABLE(X) /* name, word, text */                           \
    X(HELPS, "helps", "over 3 % and over 3 ms faster than straight to the origin") \
    X(SAME, "same", "neither")                                                     \
    X(HURTS, "hurts", "over 3 % and over 3 ms slower")
enum comparison_worth {
#define X(name, word, text) COMPARISON_##name,
    COMPARISON_WORTH_TABLE(X)
#undef X
        COMPARISON_WORTH_COUNT
};
enum comparison_worth comparison_worth(const struct comparison *c, size_t city, unsigned series);
const char *comparison_worth_word(enum comparison_worth worth);

#define COMPARISON_CASE_TABLE(X) /* name, series, text */                                  \
    X(BESIDE, DNS_WARM, "client beside the origin: the edge is no nearer")                 \
    X(FIRST, DNS_COLD, "first request of an edge: it has to fetch, and the way is longer") \
    X(UNCACHEABLE, DNS_UNCACHEABLE, "uncacheable: every request goes to the origin")       \
    X(FAR_ROUTER, REDIRECT_WARM, "far router: the redirect takes longer than the edge saves")
enum comparison_case {
#define X(name, visit, text) COMPARISON_CASE_##name,
    COMPARISON_CASE_TABLE(X)
#undef X
        COMPARISON_CASE_COUNT
};
struct comparison_case_row {
    const char *text;
    unsigned series;       /* compared with direct-new; of new connections */
    size_t no_help, hurts; /* cities that it does not help; of these, where it is slower */
    size_t worst;          /* the city with the worst ratio; of BESIDE the one nearest to the origin */
};
struct comparison_case_row comparison_case(const struct comparison *c, enum comparison_case which);

#endif
