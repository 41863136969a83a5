/* traveller: finds an address that the database places near a point by walking its networks, since
 * the database has no index by place; and asks in its name by X-Forwarded-For. */
#include "cli/run/traveller.h"

#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "geo-data/geodesy.h"
#include "geo-data/places.h"
#include "geo-data/special.h"

#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define BODY_MAX (256u << 20)
#define TIMEOUT_MS 30000

struct search {
    const struct geo_db *db;
    struct traveller *travellers;
    size_t n;
    struct seen {
        float nearest; /* cosine of the angle to the best place yet */
        unsigned prefix_len;
    } * best;
    struct geo_unit *units;
    uint32_t entry; /* the last one decoded */
    struct geo_unit place;
    bool placed;
};

static bool visit(void *ctx, const struct geo_net *net)
{
    struct search *s = ctx;
    struct cdn_addr address = {.v4 = {.sin_family = AF_INET}};
    if (net->entry == GEO_ENTRY_NONE) {
        return true;
    }
    memcpy(&address.v4.sin_addr, net->address, 4);
    if (net->entry != s->entry) {
        struct geo_record record;
        s->entry = net->entry;
        s->placed = geo_entry_record(s->db, AF_INET, net->entry, &record) == CDN_OK && record.has_coordinates;
        s->place = geo_unit(record.lat, record.lon);
    }
    if (!s->placed || net->prefix_len < 8 || geo_special(&address.sa)) {
        return true;
    }
    for (size_t i = 0; i < s->n; i++) {
        float cosine = geo_unit_dot(s->units[i], s->place);
        struct seen *best = &s->best[i];
        if (cosine < best->nearest || (cosine <= best->nearest && net->prefix_len >= best->prefix_len)) {
            continue;
        }
        *best = (struct seen){cosine, net->prefix_len};
        s->travellers[i].address = address;
    }
    return true;
}

enum cdn_status traveller_find(const struct geo_db *db, struct traveller *travellers, size_t n,
                               struct cdn_error *err)
{
    CDN_AUTOFREE struct seen *best = cdn_calloc(n, sizeof(*best));
    CDN_AUTOFREE struct geo_unit *units = cdn_calloc(n, sizeof(*units));
    struct search s = {
        .db = db, .travellers = travellers, .n = n, .best = best, .units = units, .entry = GEO_ENTRY_NONE};
    for (size_t i = 0; i < n; i++) {
        units[i] = geo_unit(travellers[i].lat, travellers[i].lon);
        best[i] = (struct seen){-2, 0};
        travellers[i].km = INFINITY;
    }
    enum cdn_status status = geo_walk(db, AF_INET, visit, &s, err);
    for (size_t i = 0; i < n && status == CDN_OK; i++) {
        struct geo_record record;
        if (best[i].nearest < -1) {
            continue;
        }
        if (best[i].prefix_len < 32) { /* the second address: the first one is the network's own */
            travellers[i].address.v4.sin_addr.s_addr |= htonl(1);
        }
        if (geo_lookup(db, &travellers[i].address.sa, &record) == CDN_OK) {
            travellers[i].km = geo_distance_km(travellers[i].lat, travellers[i].lon, record.lat, record.lon);
        }
    }
    return status;
}

enum cdn_status traveller_from_text(const char *text, struct cdn_addr *ret_address, char **ret_name,
                                    struct cdn_error *err)
{
    struct geo_place place;
    struct geo_db *db;
    if (cdn_parse_ip(cdn_str(text), ret_address)) {
        *ret_name = cdn_strdup("");
        return CDN_OK;
    }
    enum cdn_status status = geo_place_find(cdn_str(text), &place, err);
    if (status != CDN_OK) {
        return cdn_error_prefix(err, "--from");
    }
    struct traveller traveller = {.lat = place.lat, .lon = place.lon};
    status = geo_db_open_embedded(&db, err);
    if (status != CDN_OK) {
        return status;
    }
    status = traveller_find(db, &traveller, 1, err);
    geo_db_unref(db);
    if (status != CDN_OK) {
        return status;
    }
    if (!isfinite(traveller.km)) {
        return cdn_error_set(err, CDN_NOT_FOUND, "--from: the database has no address near %s", text);
    }
    *ret_address = traveller.address;
    *ret_name = cdn_str_dup(place.name);
    return CDN_OK;
}

static char *field_of(const struct http_simple_result *result, const char *name)
{
    struct cdn_str value;
    return http_simple_field(result, name, &value) ? cdn_str_dup(value) : cdn_strdup("");
}

enum cdn_status traveller_get(const char *url, const struct cdn_addr *as, struct traveller_answer *ret,
                              struct cdn_error *err)
{
    return traveller_ask(url, as, &(struct traveller_request){0}, ret, err);
}

enum cdn_status traveller_ask(const char *url, const struct cdn_addr *as,
                              const struct traveller_request *request, struct traveller_answer *ret,
                              struct cdn_error *err)
{
    char address[CDN_ADDR_TEXT_SIZE];
    struct http_simple_result result = {0};
    struct http_field fields[TRAVELLER_FIELDS_MAX + 1];
    size_t n = request->field_count < TRAVELLER_FIELDS_MAX ? request->field_count : TRAVELLER_FIELDS_MAX;
    if (n) {
        memcpy(fields, request->fields, n * sizeof(*fields));
    }
    if (as) {
        cdn_addr_format_ip(as, address);
        fields[n++] = (struct http_field){CDN_STR("X-Forwarded-For"), cdn_str(address)};
    }
    enum cdn_status status = http_simple(request->method ? request->method : "GET", url, fields, n,
                                         request->body, TIMEOUT_MS, BODY_MAX, &result, err);
    if (status != CDN_OK) {
        return status;
    }
    *ret = (struct traveller_answer){
        .status = result.status,
        .location = field_of(&result, "Location"),
        .x_cache = field_of(&result, "X-Cache"),
        .cache_status = field_of(&result, "Cache-Status"),
        .age = field_of(&result, "Age"),
        .type = field_of(&result, "Content-Type"),
        .body = result.body,
        .ms = (double)result.times.total_us / 1000,
    };
    result.body = (struct cdn_buf){0};
    http_simple_free(&result);
    return CDN_OK;
}

void traveller_answer_free(struct traveller_answer *answer)
{
    free(answer->location);
    free(answer->x_cache);
    free(answer->cache_status);
    free(answer->age);
    free(answer->type);
    cdn_buf_free(&answer->body);
    *answer = (struct traveller_answer){0};
}
