/* latency_matrix: reads a measured matrix (latency_fit.h) and drops what cannot be: times below
 * light in fibre mean that a host is not where it says it is. The host with the most of such pairs
 * goes first. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/backbone.h"
#include "geo-data/geodesy.h"
#include "geo-data/latency_fit.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define SITES_MAX 5000u
#define FIELDS 7
#define METRO_KM 60.0
#define LIGHT_KM_PER_MS 149.896 /* round trip in vacuum */

/* Cities where several of the large clouds have a region: nearest to what other matrices are measured in. */
static const struct {
    double lat, lon;
} metros[] = {
    {39.0, -77.5},  {37.4, -122.0},  {47.6, -122.3}, {45.5, -122.7}, {32.8, -96.8},  {41.9, -87.7},
    {40.0, -83.0},  {41.6, -93.6},   {33.4, -112.1}, {29.4, -98.5},  {43.7, -79.4},  {45.5, -73.6},
    {20.6, -100.4}, {-23.5, -46.6},  {-33.4, -70.7}, {51.5, -0.1},   {53.3, -6.3},   {48.9, 2.35},
    {50.1, 8.7},    {52.4, 4.8},     {59.3, 18.1},   {47.4, 8.5},    {45.5, 9.2},    {52.2, 21.0},
    {40.4, -3.7},   {59.9, 10.8},    {19.1, 72.9},   {13.1, 80.3},   {17.4, 78.5},   {18.5, 73.8},
    {1.35, 103.8},  {22.3, 114.2},   {35.7, 139.7},  {34.7, 135.5},  {37.6, 127.0},  {-33.9, 151.2},
    {-37.8, 145.0}, {-26.2, 28.0},   {-33.9, 18.4},  {25.1, 55.3},   {25.3, 51.5},   {26.2, 50.6},
    {32.1, 34.8},   {-6.2, 106.8},   {25.0, 121.6},  {3.1, 101.7},   {-36.8, 174.8}, {55.7, 12.6},
    {60.2, 25.0},   {-31.95, 115.9},
};

const char *latency_region_word(enum latency_region region)
{
    static const char *const words[] = {
#define X(name, word, countries) word,
        LATENCY_REGIONS(X)
#undef X
    };
    return words[region];
}

static enum latency_region region_of(struct cdn_str country_code)
{
    static const char *const countries[] = {
#define X(name, word, codes) codes,
        LATENCY_REGIONS(X) // NOLINT(bugprone-suspicious-missing-comma): a region's codes are one string
#undef X
    };
    for (unsigned region = 0; region < LATENCY_REGION_COUNT; region++) {
        for (struct cdn_str rest = cdn_str(countries[region]); rest.p;) {
            if (cdn_str_eq(cdn_str_cut(&rest, ' '), country_code)) {
                return (enum latency_region)region;
            }
        }
    }
    return LATENCY_REGION_EUROPE;
}

static const struct backbone_node *nearest_hub(const struct backbone *b, struct backbone_vector at)
{
    const struct backbone_node *best = NULL;
    for (size_t i = 0; i < b->node_count; i++) {
        if (b->nodes[i].is_hub && (!best || backbone_km(at, b->nodes[i].at) < backbone_km(at, best->at))) {
            best = &b->nodes[i];
        }
    }
    return best;
}

static bool is_metro(double lat, double lon)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(metros); i++) {
        if (geo_distance_km(lat, lon, metros[i].lat, metros[i].lon) <= METRO_KM) {
            return true;
        }
    }
    return false;
}

static enum cdn_status site_of(struct latency_matrix *m, const struct backbone *b,
                               const struct cdn_str fields[3], uint32_t *ret, struct cdn_error *err)
{
    struct latency_site site = {.name = fields[0]};
    for (size_t i = 0; i < m->site_count; i++) {
        if (cdn_str_eq(m->sites[i].name, site.name)) {
            *ret = (uint32_t)i;
            return CDN_OK;
        }
    }
    if (!cdn_parse_real(fields[1], &site.lat) || !cdn_parse_real(fields[2], &site.lon) ||
        !geo_coordinates_valid(site.lat, site.lon) || m->site_count == SITES_MAX) {
        return cdn_error_set(err, CDN_INVALID, "coordinates of '" CDN_STR_FMT "', or too many sites",
                             CDN_STR_ARG(site.name));
    }
    const struct backbone_node *hub = nearest_hub(b, backbone_vector(site.lat, site.lon));
    site.country_code = hub->country_code;
    site.is_major = hub->is_major;
    site.region = region_of(hub->country_code);
    site.is_metro = is_metro(site.lat, site.lon);
    m->sites[m->site_count] = site;
    *ret = (uint32_t)m->site_count++;
    return CDN_OK;
}

static enum cdn_status add_pair(struct latency_matrix *m, const struct backbone *b, struct cdn_str line,
                                struct cdn_error *err)
{
    struct cdn_str fields[FIELDS] = {{0}};
    struct latency_pair *pair = &m->pairs[m->pair_count];
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = cdn_str_cut(&line, ',');
    }
    if (line.p || !cdn_parse_real(fields[6], &pair->rtt_ms) || pair->rtt_ms <= 0) {
        return cdn_error_set(err, CDN_INVALID, "not from,lat,lon,to,lat,lon,rtt_ms");
    }
    enum cdn_status status = site_of(m, b, fields, &pair->from, err);
    if (status == CDN_OK) {
        status = site_of(m, b, fields + 3, &pair->to, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    const struct latency_site *from = &m->sites[pair->from], *to = &m->sites[pair->to];
    pair->km = geo_distance_km(from->lat, from->lon, to->lat, to->lon);
    m->pair_count++;
    return CDN_OK;
}

enum cdn_status latency_matrix_parse(struct cdn_str text, const struct backbone *backbone,
                                     struct latency_matrix **ret, struct cdn_error *err)
{
    size_t lines = 1, number = 0;
    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
    }
    struct latency_matrix *m = cdn_calloc(1, sizeof(*m));
    m->sites = cdn_calloc(SITES_MAX, sizeof(*m->sites));
    m->pairs = cdn_calloc(lines, sizeof(*m->pairs));
    enum cdn_status status = CDN_OK;
    while (text.p && status == CDN_OK) {
        struct cdn_str line = cdn_str_trim(cdn_str_cut(&text, '\n'));
        number++;
        if (line.n == 0 || line.p[0] == '#' || cdn_str_starts(line, CDN_STR("from,lat"))) {
            continue;
        }
        status = add_pair(m, backbone, line, err);
    }
    if (status == CDN_OK && m->pair_count == 0) {
        status = cdn_error_set(err, CDN_INVALID, "no pairs");
    }
    if (status != CDN_OK) {
        latency_matrix_destroy(m);
        return cdn_error_prefix(err, "line %zu", number);
    }
    *ret = m;
    return CDN_OK;
}

static bool is_impossible(const struct latency_pair *pair)
{
    return pair->rtt_ms < pair->km / LIGHT_KM_PER_MS;
}

static size_t most_impossible(const struct latency_matrix *m, size_t *counts)
{
    size_t worst = 0;
    memset(counts, 0, m->site_count * sizeof(*counts));
    for (size_t i = 0; i < m->pair_count; i++) {
        if (is_impossible(&m->pairs[i])) {
            counts[m->pairs[i].from]++;
            counts[m->pairs[i].to]++;
        }
    }
    for (size_t i = 1; i < m->site_count; i++) {
        if (counts[i] > counts[worst]) {
            worst = i;
        }
    }
    return worst;
}

void latency_matrix_drop_impossible(struct latency_matrix *matrix,
                                    void (*tell)(const struct latency_site *site, size_t pairs))
{
    CDN_AUTOFREE size_t *counts = cdn_calloc(matrix->site_count, sizeof(*counts));
    size_t worst, kept;
    bool is_site;
    do {
        worst = most_impossible(matrix, counts);
        is_site = counts[worst] > 1;
        if (is_site) {
            tell(&matrix->sites[worst], counts[worst]);
        }
        kept = 0;
        for (size_t i = 0; i < matrix->pair_count; i++) {
            const struct latency_pair *pair = &matrix->pairs[i];
            if (is_site ? pair->from != worst && pair->to != worst : !is_impossible(pair)) {
                matrix->pairs[kept++] = *pair;
            }
        }
        matrix->pair_count = kept;
    } while (is_site);
}

void latency_matrix_destroy(struct latency_matrix *matrix)
{
    if (!matrix) {
        return;
    }
    free(matrix->sites);
    free(matrix->pairs);
    free(matrix);
}
