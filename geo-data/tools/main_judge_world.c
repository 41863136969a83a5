/* judge-world: how often a database picks the same edge as the full one.
 *
 *   judge-world CANDIDATE.mmdb IPV4.mmdb IPV6.mmdb [sample COUNT]
 *
 * 500,000 random unicast IPv4 addresses (so the share is one of addresses, not of traffic) and as many IPv6
 * addresses, each in a random network of the full file; fixed seed. For the first 10, 20 and 30 sites of
 * sites.csv: the share of addresses with the same nearest site by great circle and the mean extra km of the
 * others' choice. With `sample` it prints COUNT IPv4 and COUNT / 10 IPv6 addresses with the full database's
 * nearest of 20 sites, which tests/unit/geo/sample-20sites.csv holds.
 */
#include "common/mem.h"
#include "common/mix.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/geodesy.h"
#include "geo-data/places.h"
#include "geo-data/special.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

#define ADDRESSES 500000u
#define SITES_MAX 30u

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

struct networks {
    struct geo_net *p;
    size_t n, room;
};

struct tally {
    size_t asked, answered, same_country;
    size_t same[3];
    double extra_km[3];
    float *error_km; /* of the place; `answered` of them */
};
static const size_t site_counts[3] = {10, 20, 30};

static size_t nearest_site(double lat, double lon, size_t sites, double *ret_km)
{
    size_t best = 0;
    *ret_km = INFINITY;
    for (size_t i = 0; i < sites; i++) {
        double km = geo_distance_km(lat, lon, geo_site_at(i)->lat, geo_site_at(i)->lon);
        if (km < *ret_km) {
            *ret_km = km;
            best = i;
        }
    }
    return best;
}

static void random_ipv4(uint64_t *state, union address *ret)
{
    do {
        *ret = (union address){.ipv4 = {.sin_family = AF_INET}};
        ret->ipv4.sin_addr.s_addr = htonl((uint32_t)(cdn_mix_next(state) >> 32));
    } while (geo_special(&ret->any));
}

static bool keep_network(void *ctx, const struct geo_net *net)
{
    struct networks *all = ctx;
    if (net->entry == GEO_ENTRY_NONE) {
        return true;
    }
    if (all->n == all->room) {
        all->room = all->room ? 2 * all->room : 1024;
        all->p = cdn_realloc(all->p, all->room, sizeof(*all->p));
    }
    all->p[all->n++] = *net;
    return true;
}

static void random_ipv6(uint64_t *state, const struct networks *all, union address *ret)
{
    do {
        const struct geo_net *net = &all->p[cdn_mix_next(state) % all->n];
        *ret = (union address){.ipv6 = {.sin6_family = AF_INET6}};
        for (unsigned i = 0; i < 16; i++) {
            unsigned kept = net->prefix_len >= 8 * (i + 1) ? 8
                            : net->prefix_len > 8 * i      ? net->prefix_len - 8 * i
                                                           : 0;
            uint8_t mask = (uint8_t)(0xff >> kept);
            ret->ipv6.sin6_addr.s6_addr[i] = (uint8_t)(net->address[i] | (cdn_mix_next(state) & mask));
        }
    } while (geo_special(&ret->any));
}

static void judge(struct tally *t, const struct geo_db *full, const struct geo_db *candidate,
                  const struct sockaddr *address)
{
    struct geo_record truth, guess;
    if (geo_lookup(full, address, &truth) != CDN_OK) {
        return;
    }
    t->asked++;
    if (geo_lookup(candidate, address, &guess) != CDN_OK || !guess.has_coordinates) {
        return;
    }
    t->error_km[t->answered++] = (float)geo_distance_km(truth.lat, truth.lon, guess.lat, guess.lon);
    t->same_country += cdn_str_eq(truth.country_code, guess.country_code);
    for (size_t i = 0; i < 3; i++) {
        double least_km, ignored;
        size_t right = nearest_site(truth.lat, truth.lon, site_counts[i], &least_km);
        size_t chosen = nearest_site(guess.lat, guess.lon, site_counts[i], &ignored);
        const struct geo_site *site = geo_site_at(chosen);
        t->same[i] += right == chosen;
        t->extra_km[i] += geo_distance_km(truth.lat, truth.lon, site->lat, site->lon) - least_km;
    }
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_tally(const char *what, struct tally *t)
{
    qsort(t->error_km, t->answered, sizeof(*t->error_km), compare_floats);
    double asked = (double)t->asked, answered = (double)t->answered;
    printf("%s: %zu addresses, answered %.2f %%, same country %.2f %%, median place error %.1f km\n", what,
           t->asked, 100 * answered / asked, 100 * (double)t->same_country / asked,
           t->answered ? (double)t->error_km[t->answered / 2] : NAN);
    for (size_t i = 0; i < 3; i++) {
        printf("  %zu sites: same edge %.2f %%, mean extra %.1f km\n", site_counts[i],
               100 * (double)t->same[i] / asked, t->extra_km[i] / answered);
    }
}

static void print_sample(const struct geo_db *full, const union address *address)
{
    struct geo_record r;
    char text[INET6_ADDRSTRLEN];
    double km;
    if (geo_lookup(full, &address->any, &r) != CDN_OK) {
        return;
    }
    const void *bytes = address->any.sa_family == AF_INET ? (const void *)&address->ipv4.sin_addr
                                                          : (const void *)&address->ipv6.sin6_addr;
    inet_ntop(address->any.sa_family, bytes, text, sizeof(text));
    const struct geo_site *site = geo_site_at(nearest_site(r.lat, r.lon, 20, &km));
    printf("%s," CDN_STR_FMT "," CDN_STR_FMT "\n", text, CDN_STR_ARG(site->name),
           CDN_STR_ARG(r.country_code));
}

static void run(const struct geo_db *candidate, const struct geo_db *full, const struct networks *ipv6,
                size_t sample)
{
    struct tally tallies[2] = {{.error_km = cdn_calloc(ADDRESSES, sizeof(float))},
                               {.error_km = cdn_calloc(ADDRESSES, sizeof(float))}};
    uint64_t state = sample ? 20 : 1;
    if (sample) {
        printf("address,site,country\n");
    }
    for (size_t family = 0; family < 2; family++) {
        size_t count = sample == 0 ? ADDRESSES : family == 0 ? sample : sample / 10;
        for (size_t i = 0; i < count; i++) {
            union address address;
            if (family == 0) {
                random_ipv4(&state, &address);
            } else {
                random_ipv6(&state, ipv6, &address);
            }
            if (sample) {
                print_sample(full, &address);
            } else {
                judge(&tallies[family], full, candidate, &address.any);
            }
        }
    }
    if (!sample) {
        print_tally("IPv4", &tallies[0]);
        print_tally("IPv6", &tallies[1]);
    }
    free(tallies[0].error_km);
    free(tallies[1].error_km);
}

static int fail(const struct cdn_error *err)
{
    fprintf(stderr, "judge-world: %s\n", err->text);
    return cdn_status_exit_code(err->status);
}

int main(int argc, char **argv)
{
    struct geo_db *candidate, *full;
    struct cdn_error err;
    char *end = NULL;
    unsigned long sample = argc == 6 ? strtoul(argv[5], &end, 10) : 0;
    if ((argc != 4 && argc != 6) || (end && (*end != '\0' || sample == 0))) {
        fprintf(stderr, "usage: judge-world CANDIDATE.mmdb IPV4.mmdb IPV6.mmdb [sample COUNT]\n");
        return cdn_status_exit_code(CDN_USAGE);
    }
    if (geo_db_open((const char *const[]){argv[1]}, 1, &candidate, &err) != CDN_OK) {
        return fail(&err);
    }
    struct networks ipv6 = {0};
    enum cdn_status status = geo_db_open((const char *const[]){argv[2], argv[3]}, 2, &full, &err);
    if (status == CDN_OK) {
        status = geo_walk(full, AF_INET6, keep_network, &ipv6, &err);
        if (status == CDN_OK && ipv6.n > 0) {
            run(candidate, full, &ipv6, sample);
        }
        geo_db_unref(full);
    }
    free(ipv6.p);
    geo_db_unref(candidate);
    return status == CDN_OK ? 0 : fail(&err);
}
