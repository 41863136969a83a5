/* demo_visit: visits by real requests in the name of clients elsewhere (cli/run/traveller): first
 * asks the router, then the edge that it names. What is modelled (time to the client) and what is
 * measured (the rest) is kept apart. */
#include "cli/demo/demo.h"
#include "cli/run/traveller.h"
#include "common/clock.h"
#include "common/http/client/http_client.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/latency.h"
#include "geo-data/near.h"
#include "geo-data/places.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define ASK_TIMEOUT_MS 5000
#define ASK_MAX (4u << 20)

static const char *const cities[] = {"Tokyo",     "Osaka",     "Singapore", "Jakarta",     "Mumbai",
                                     "Delhi",     "Sydney",    "Auckland",  "Dubai",       "Nairobi",
                                     "Lagos",     "Cape Town", "Cairo",     "Berlin",      "Madrid",
                                     "Stockholm", "New York",  "Denver",    "Mexico City", "Buenos Aires"};

enum cdn_status demo_ask(const char *base, const char *path, json_t **ret, struct cdn_error *err)
{
    CDN_AUTOFREE char *url = cdn_asprintf("%s%s", base, path);
    struct http_simple_result result = {0};
    enum cdn_status status =
        http_simple("GET", url, NULL, 0, (struct cdn_str){0}, ASK_TIMEOUT_MS, ASK_MAX, &result, err);
    if (status != CDN_OK) {
        return status;
    }
    *ret = result.status == 200 ? json_loadb(result.body.p, result.body.n, 0, NULL) : NULL;
    if (!*ret) {
        status = cdn_error_set(err, CDN_NETWORK, "%s: answer %u is no JSON", url, result.status);
    }
    http_simple_free(&result);
    return status;
}

static char *text_of(const json_t *object, const char *key)
{
    return cdn_strdup(json_string_value(json_object_get(object, key)));
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* What the router says of the visitor's address. */
static enum cdn_status ask_router(struct demo *demo, struct demo_visit *visit, const struct geo_place *origin,
                                  struct cdn_error *err)
{
    char ip[CDN_ADDR_TEXT_SIZE];
    json_t *route;
    cdn_addr_format_ip(&visit->traveller.address, ip);
    CDN_AUTOFREE char *path = cdn_asprintf("/route?ip=%s", ip);
    enum cdn_status status = demo_ask(demo->router_admin, path, &route, err);
    if (status != CDN_OK) {
        return status;
    }
    double lat = number_of(route, "lat"), lon = number_of(route, "lon");
    visit->found = cdn_str_dup(geo_place_nearest(lat, lon, NULL)->name);
    visit->edge = text_of(route, "edge");
    visit->edge_url = text_of(route, "url");
    visit->km = number_of(route, "km");
    visit->edge_ms = number_of(route, "rtt_ms");
    visit->origin_ms = geo_rtt_ms(lat, lon, origin->lat, origin->lon);
    json_decref(route);
    return CDN_OK;
}

static enum cdn_status find_visitors(struct demo *demo, struct cdn_error *err)
{
    struct geo_near travellers[CDN_ARRAY_LEN(cities)];
    struct geo_place place;
    struct geo_db *db;
    demo->visits = cdn_calloc(CDN_ARRAY_LEN(cities), sizeof(*demo->visits));
    demo->visit_count = CDN_ARRAY_LEN(cities);
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < demo->visit_count && status == CDN_OK; i++) {
        status = geo_place_find(cdn_str(cities[i]), &place, err);
        travellers[i] = (struct geo_near){.lat = place.lat, .lon = place.lon};
    }
    if (status == CDN_OK) {
        status = geo_db_open_embedded(&db, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    status = geo_near_find(db, travellers, demo->visit_count, err);
    geo_db_unref(db);
    for (size_t i = 0; i < demo->visit_count; i++) {
        demo->visits[i] = (struct demo_visit){.city = cities[i], .traveller = travellers[i]};
    }
    return status;
}

static void note(struct demo *demo, const struct demo_visit *visit, const char *path, const char *what)
{
    if (demo->wrong.n < 4096) {
        cdn_buf_printf(&demo->wrong, "%s, %s: %s\n", visit->city, path, what);
    }
}

static void count_verdict(struct demo_visit *visit, int round, const char *x_cache)
{
    size_t kind = strcmp(x_cache, "HIT") == 0 ? 0 : strcmp(x_cache, "MISS") == 0 ? 1 : 2;
    visit->verdicts[round][kind]++;
}

/* Router, then the edge that it names; the body must be the file's. */
static enum cdn_status fetch(struct demo *demo, struct demo_visit *visit, const struct demo_file *file,
                             int round, struct cdn_error *err)
{
    struct traveller_answer answer = {0};
    CDN_AUTOFREE char *url = cdn_asprintf("%s%s", demo->router, file->path);
    CDN_AUTOFREE char *expected = cdn_asprintf("%s%s", visit->edge_url, file->path);
    enum cdn_status status = traveller_get(url, &visit->traveller.address, &answer, err);
    if (status != CDN_OK) {
        return status;
    }
    if (answer.status / 100 != 3 || strcmp(answer.location, expected) != 0) {
        note(demo, visit, file->path, "the router did not redirect to the edge that it had named");
    }
    traveller_answer_free(&answer);
    status = traveller_get(expected, &visit->traveller.address, &answer, err);
    if (status != CDN_OK) {
        return status;
    }
    if (answer.status != 200 || !cdn_str_eq(cdn_buf_str(&answer.body), cdn_buf_str(&file->bytes))) {
        note(demo, visit, file->path, "the edge's answer is not the file");
    }
    visit->bytes += answer.body.n;
    count_verdict(visit, round, answer.x_cache);
    traveller_answer_free(&answer);
    return CDN_OK;
}

static enum cdn_status go_round(struct demo *demo, int round, struct cdn_error *err)
{
    for (size_t i = 0; i < demo->visit_count; i++) {
        for (size_t k = 0; k < demo->file_count; k++) {
            if (demo_interrupted) {
                return cdn_error_set(err, CDN_UNAVAILABLE, "interrupted");
            }
            enum cdn_status status = fetch(demo, &demo->visits[i], &demo->files[k], round, err);
            if (status != CDN_OK) {
                return status;
            }
        }
    }
    return CDN_OK;
}

enum cdn_status demo_visits(struct demo *demo, struct cdn_error *err)
{
    struct geo_place origin;
    enum cdn_status status = find_visitors(demo, err);
    if (status == CDN_OK) {
        status = geo_place_find(CDN_STR(DEMO_ORIGIN_PLACE), &origin, err);
    }
    for (size_t i = 0; i < demo->visit_count && status == CDN_OK; i++) {
        status = ask_router(demo, &demo->visits[i], &origin, err);
    }
    int64_t began = cdn_clock_mono_ns();
    for (int round = 0; round < DEMO_ROUNDS && status == CDN_OK; round++) {
        status = go_round(demo, round, err);
    }
    demo->visits_ms = (double)(cdn_clock_mono_ns() - began) / 1e6;
    return status;
}

void demo_visits_free(struct demo *demo)
{
    for (size_t i = 0; i < demo->visit_count; i++) {
        free(demo->visits[i].found);
        free(demo->visits[i].edge);
        free(demo->visits[i].edge_url);
    }
    free(demo->visits);
}
