/* traveller: a place as the command line gives it becomes an address (geo-data/near.h), in whose name is
 * asked by X-Forwarded-For: all that is needed where no network stands between. */
#include "cli/run/traveller.h"

#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "geo-data/geo.h"
#include "geo-data/near.h"
#include "geo-data/places.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define BODY_MAX (256u << 20)
#define TIMEOUT_MS 30000

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
    struct geo_near near = {.lat = place.lat, .lon = place.lon};
    status = geo_db_open_embedded(&db, err);
    if (status != CDN_OK) {
        return status;
    }
    status = geo_near_find(db, &near, 1, err);
    geo_db_unref(db);
    if (status != CDN_OK) {
        return status;
    }
    if (!isfinite(near.km)) {
        return cdn_error_set(err, CDN_NOT_FOUND, "--from: the database has no address near %s", text);
    }
    *ret_address = near.address;
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
