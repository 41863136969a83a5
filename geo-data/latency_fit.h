/* latency_fit: fits the latency model to a measured matrix and judges it. For the fitting program only.
 *
 * What is fitted: the few parameters of latency_model.h and the FIT factor of every link, as logarithms, by
 * Adam on the mean over pairs of sqrt(r^2 + SOFT^2) with r = ln(model / truth): close to the mean relative
 * error, so a few absurd measurements do not matter. A link's factor is drawn towards 1 by link_pull x
 * (ln factor)^2, so that only what many pairs agree on moves it, and the parameters likewise to where they
 * began. Measured sites may be worse connected than their city: each has an excess of ms at its end, at least
 * 0 and drawn to 0, that is fitted along and then thrown away: the model is to say how well one can be
 * connected there.
 */
#ifndef CDN_GEO_DATA_LATENCY_FIT_H
#define CDN_GEO_DATA_LATENCY_FIT_H
#include "common/status.h"
#include "common/str.h"
#include "geo-data/backbone.h"
#include "geo-data/latency_model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATENCY_FIT_OPTIONS(X) /* name, value, text */                                                    \
    X(rounds, 200, "steps of the descent")                                                                \
    X(rate, 0.015, "size of a step, of logarithms")                                                       \
    X(link_pull, 0.0003, "how strongly a link's factor is drawn to 1")                                    \
    X(parameter_pull, 1, "how strongly a parameter is drawn to its committed value")                      \
    X(land_max, 1.25, "largest factor of a land link between major hubs")                                 \
    X(excess_pull, 0.5, "cost of an excess ms at a site, as a share of its gain; 1: no excess")           \
    X(sea_max, 1.15, "largest factor of a sea link, but to minor hubs: its length is known")              \
    X(detour, 0.25, "a measured time so much (logarithm) over the model counts half: a detour of policy") \
    X(quantile, 0.2, "0.5: the median; less: lower round-trip times count more")                          \
    X(min_km, 300, "nearer pairs are neither fitted nor judged")                                          \
    X(minor_detour, 0.6, "the same for pairs with an end at a hub that is not major")                     \
    X(minor_quantile, 0.65, "the same for such pairs")                                                    \
    X(minor_weight, 0.15, "weight of a site whose nearest hub is not major; 1 for the others")            \
    X(crowd_km, 300, "sites so near share their weight in the fit")

struct latency_fit_options {
#define X(name, value, text) double name;
    LATENCY_FIT_OPTIONS(X)
#undef X
};
extern const struct latency_fit_options latency_fit_defaults;

#define LATENCY_REGIONS(X) /* name, word, countries */                                                   \
    X(NORTH_AMERICA, "N-America", "US CA BM GL PM")                                                      \
    X(LATIN_AMERICA, "L-America",                                                                        \
      "MX CU BS JM HT DO PR MQ BB TT CW GT SV HN NI CR PA CO VE GY SR GF EC PE BO PY CL AR UY BR")       \
    X(RUSSIA, "Russia+C-Asia", "RU KZ UZ KG TJ TM MN GE AM AZ")                                          \
    X(MIDDLE_EAST, "Middle-East", "IL LB SY JO IQ KW IR SA BH QA AE OM YE")                              \
    X(AFRICA, "Africa",                                                                                  \
      "EG SD DJ ET SO KE UG RW TZ MW ZM ZW MZ MG MU RE SC ZA BW NA AO CD GA CM TD NG NE BJ GH BF CI ML " \
      "LR GN SN MR CV MA DZ TN LY")                                                                      \
    X(SOUTH_ASIA, "S-Asia", "PK AF IN LK MV BD NP")                                                      \
    X(SOUTH_EAST_ASIA, "SE-Asia", "MM TH MY SG ID BN VN KH LA PH")                                       \
    X(EAST_ASIA, "E-Asia", "HK CN TW KR JP")                                                             \
    X(OCEANIA, "Oceania", "GU AU NZ PG SB NC FJ WS PF MH")                                               \
    X(EUROPE, "Europe", "")

enum latency_region {
#define X(name, word, countries) LATENCY_REGION_##name,
    LATENCY_REGIONS(X)
#undef X
        LATENCY_REGION_COUNT
};
const char *latency_region_word(enum latency_region region);

struct latency_site {
    struct cdn_str name;
    double lat, lon;
    enum latency_region region; /* of the nearest hub */
    struct cdn_str country_code;
    bool is_major; /* its nearest hub is */
    bool is_metro; /* a city where the large clouds have a region */
};

struct latency_pair {
    uint32_t from, to; /* sites */
    double rtt_ms;
    double km;
};

struct latency_matrix {
    struct latency_site *sites;
    size_t site_count;
    struct latency_pair *pairs;
    size_t pair_count;
};

/* Rows from,lat,lon,to,lat,lon,rtt_ms; a head and '#' lines are passed over. Names are borrowed. */
enum cdn_status latency_matrix_parse(struct cdn_str text, const struct backbone *backbone,
                                     struct latency_matrix **ret, struct cdn_error *err) CDN_MUST_CHECK;
/* Leaves out what cannot be: as long as a site has two or more times below the round trip of light in vacuum,
 * the one with the most goes with all its pairs, as it is not where it is said to be (`tell` is called);
 * then the single pairs that are left, as it could be either site. */
void latency_matrix_drop_impossible(struct latency_matrix *matrix,
                                    void (*tell)(const struct latency_site *site, size_t pairs));
void latency_matrix_destroy(struct latency_matrix *matrix);

/* Fits `parameters` and the FIT factors of `backbone` in place to the pairs whose sites are both `used`. */
void latency_fit(struct backbone *backbone, struct latency_parameters *parameters,
                 const struct latency_matrix *matrix, const bool *used,
                 const struct latency_fit_options *options);

/* ret_ms[i]: the model's round-trip time of pair i. */
void latency_predict(const struct latency_model *model, const struct latency_matrix *matrix, float *ret_ms);

#endif
