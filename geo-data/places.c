/* places: see places.h. Names are compared folded: lower case, accents off, no blanks and signs. */
#include "geo-data/places.h"

#include "common/mem.h"
#include "geo-data/embedded.h"
#include "geo-data/fold.h"
#include "geo-data/geodesy.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define FOLDED_MAX 96

struct alias { /* one spelling of one city; `folded` decides the order */
    char *folded;
    uint32_t place;
};

struct country_alias { /* one spelling of one country: a name or a code of three letters, folded */
    char *folded;
    uint32_t country;
};

static struct {
    struct geo_place *places;
    struct geo_unit *units; /* of places */
    size_t place_count;
    struct alias *aliases;
    size_t alias_count;
    struct geo_country *countries; /* by code, as in the file */
    size_t country_count;
    struct country_alias *country_aliases; /* by `folded` */
    size_t country_alias_count;
    uint16_t country_of_code[26 * 26]; /* index + 1; 0 for unknown codes */
    struct geo_site *sites;
    size_t site_count;
} tables;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Two letters of any case as 0..675; -1 when they are not letters. */
static int code_number(struct cdn_str code)
{
    if (code.n != 2) {
        return -1;
    }
    int a = (code.p[0] | 32) - 'a', b = (code.p[1] | 32) - 'a';
    return a < 0 || a > 25 || b < 0 || b > 25 ? -1 : a * 26 + b;
}

/* ---- reading the embedded files; a flaw in them is a bug ---- */

static size_t count_lines(struct cdn_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += text.p[i] == '\n';
    }
    return n;
}

static double real_field(struct cdn_str *line)
{
    struct cdn_str field = cdn_str_cut(line, ',');
    char text[32], *end;
    bool whole = cdn_str_copy(text, sizeof(text), field);
    double value = strtod(text, &end);
    assert(whole && end != text && *end == '\0');
    (void)whole;
    return value;
}

static void read_places(void)
{
    struct cdn_str rest = geo_embedded_cities();
    tables.places = cdn_calloc(count_lines(rest), sizeof(*tables.places));
    tables.units = cdn_calloc(count_lines(rest), sizeof(*tables.units));
    for (cdn_str_cut(&rest, '\n'); rest.p && rest.n;) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        struct geo_place *place = &tables.places[tables.place_count];
        place->name = cdn_str_cut(&line, ',');
        place->other_names = cdn_str_cut(&line, ',');
        place->country_code = cdn_str_cut(&line, ',');
        place->lat = real_field(&line);
        place->lon = real_field(&line);
        place->population_k = (unsigned)real_field(&line);
        assert(geo_coordinates_valid(place->lat, place->lon));
        tables.units[tables.place_count++] = geo_unit(place->lat, place->lon);
    }
}

static const struct geo_place *largest_city(struct cdn_str country_code)
{
    const struct geo_place *best = NULL;
    for (size_t i = 0; i < tables.place_count; i++) {
        const struct geo_place *place = &tables.places[i];
        if (cdn_str_eq(place->country_code, country_code) &&
            (!best || place->population_k > best->population_k)) {
            best = place;
        }
    }
    return best;
}

static void add_country_alias(struct cdn_str name)
{
    char folded[FOLDED_MAX];
    geo_fold(name, folded, sizeof(folded));
    tables.country_aliases =
        cdn_realloc(tables.country_aliases, tables.country_alias_count + 1, sizeof(*tables.country_aliases));
    tables.country_aliases[tables.country_alias_count++] =
        (struct country_alias){cdn_strdup(folded), (uint32_t)tables.country_count - 1};
}

static int compare_country_aliases(const void *a, const void *b)
{
    const struct country_alias *x = a, *y = b;
    return strcmp(x->folded, y->folded);
}

static void read_countries(void)
{
    struct cdn_str rest = geo_embedded_countries();
    tables.countries = cdn_calloc(count_lines(rest), sizeof(*tables.countries));
    for (cdn_str_cut(&rest, '\n'); rest.p && rest.n;) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        struct geo_country *country = &tables.countries[tables.country_count++];
        country->code = cdn_str_cut(&line, ',');
        int number = code_number(country->code);
        assert(number >= 0);
        tables.country_of_code[number] = (uint16_t)tables.country_count;
        country->continent_code = cdn_str_cut(&line, ',');
        add_country_alias(cdn_str_cut(&line, ','));
        country->name = cdn_str_cut(&line, ',');
        add_country_alias(country->name);
        while (line.n) {
            add_country_alias(cdn_str_cut(&line, '|'));
        }
        const struct geo_place *city = largest_city(country->code);
        assert(city);
        country->lat = city ? city->lat : 0;
        country->lon = city ? city->lon : 0;
    }
    qsort(tables.country_aliases, tables.country_alias_count, sizeof(*tables.country_aliases),
          compare_country_aliases);
}

static void read_sites(void)
{
    struct cdn_str rest = geo_embedded_sites();
    tables.sites = cdn_calloc(count_lines(rest), sizeof(*tables.sites));
    for (cdn_str_cut(&rest, '\n'); rest.p && rest.n;) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        struct geo_site *site = &tables.sites[tables.site_count++];
        site->name = cdn_str_cut(&line, ',');
        site->city = cdn_str_cut(&line, ',');
        site->lat = real_field(&line);
        site->lon = real_field(&line);
    }
}

static int compare_aliases(const void *a, const void *b)
{
    const struct alias *x = a, *y = b;
    int order = strcmp(x->folded, y->folded);
    if (order != 0) {
        return order;
    }
    unsigned px = tables.places[x->place].population_k, py = tables.places[y->place].population_k;
    return px != py ? (px < py ? 1 : -1) : (x->place > y->place) - (x->place < y->place);
}

static void add_alias(struct cdn_str name, size_t place)
{
    char folded[FOLDED_MAX];
    geo_fold(name, folded, sizeof(folded));
    tables.aliases = cdn_realloc(tables.aliases, tables.alias_count + 1, sizeof(*tables.aliases));
    tables.aliases[tables.alias_count++] = (struct alias){cdn_strdup(folded), (uint32_t)place};
}

static void prepare(void)
{
    read_places();
    read_countries();
    read_sites();
    for (size_t i = 0; i < tables.place_count; i++) {
        add_alias(tables.places[i].name, i);
        struct cdn_str names = tables.places[i].other_names;
        while (names.n) {
            add_alias(cdn_str_cut(&names, '|'), i);
        }
    }
    qsort(tables.aliases, tables.alias_count, sizeof(*tables.aliases), compare_aliases);
}

/* ---- by name ---- */

static bool parse_coordinates(struct cdn_str text, double *ret_lat, double *ret_lon)
{
    char copy[64], *end;
    if (!cdn_str_copy(copy, sizeof(copy), text)) {
        return false;
    }
    double lat = strtod(copy, &end);
    if (end == copy || *end != ',') {
        return false;
    }
    const char *second = end + 1;
    double lon = strtod(second, &end);
    if (end == second || *end != '\0' || !geo_coordinates_valid(lat, lon)) {
        return false;
    }
    *ret_lat = lat;
    *ret_lon = lon;
    return true;
}

static bool in_country(const struct geo_place *place, struct cdn_str country)
{
    const struct geo_country *named = geo_country_named(country);
    return named && cdn_str_eq(named->code, place->country_code);
}

/* The most populous city of that name, in that country when one is given. */
static const struct geo_place *find_city(struct cdn_str name, struct cdn_str country)
{
    char folded[FOLDED_MAX];
    if (!geo_fold(name, folded, sizeof(folded)) || folded[0] == '\0') {
        return NULL;
    }
    size_t low = 0, high = tables.alias_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(tables.aliases[middle].folded, folded) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < tables.alias_count && strcmp(tables.aliases[low].folded, folded) == 0; low++) {
        const struct geo_place *place = &tables.places[tables.aliases[low].place];
        if (country.n == 0 || in_country(place, country)) {
            return place;
        }
    }
    return NULL;
}

static const struct geo_site *find_site(struct cdn_str name)
{
    for (size_t i = 0; i < tables.site_count; i++) {
        if (cdn_str_eq_nocase(tables.sites[i].name, name)) {
            return &tables.sites[i];
        }
    }
    return NULL;
}

/* Up to three of the nearest spellings, if within a third of the letters, as "A, B or C"; empty when none is
 * near. */
static void suggest(struct cdn_str text, struct cdn_buf *out)
{
    char folded[FOLDED_MAX];
    geo_fold(text, folded, sizeof(folded));
    unsigned limit = (unsigned)strlen(folded) / 3 + 1;
    const struct geo_place *best[3] = {NULL};
    size_t count = 0;
    for (unsigned distance = 0; distance <= limit && count == 0; distance++) {
        for (size_t i = 0; i < tables.alias_count && count < 3; i++) {
            const struct geo_place *place = &tables.places[tables.aliases[i].place];
            bool known = place == best[0] || place == best[1];
            if (!known && geo_fold_distance(folded, tables.aliases[i].folded, limit) == distance) {
                best[count++] = place;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        cdn_buf_printf(out, "%s" CDN_STR_FMT "," CDN_STR_FMT,
                       i == 0           ? ""
                       : i + 1 == count ? " or "
                                        : ", ",
                       CDN_STR_ARG(best[i]->name), CDN_STR_ARG(best[i]->country_code));
    }
}

static enum cdn_status not_found(struct cdn_str text, struct cdn_str name, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf near = {0};
    suggest(name, &near);
    return cdn_error_set(err, CDN_NOT_FOUND, "no place '" CDN_STR_FMT "' is known%s%s%s",
                         CDN_STR_ARG(((struct cdn_str){text.p, text.n < 80 ? text.n : 80})),
                         near.n ? "; did you mean " : "; give a city, City,COUNTRY or LAT,LON",
                         near.n ? near.p : "", near.n ? "?" : "");
}

enum cdn_status geo_place_find(struct cdn_str text, struct geo_place *ret_place, struct cdn_error *err)
{
    pthread_once(&once, prepare);
    text = cdn_str_trim(text);
    double lat, lon;
    if (parse_coordinates(text, &lat, &lon)) {
        *ret_place = (struct geo_place){
            .name = text, .other_names = CDN_STR(""), .country_code = CDN_STR(""), .lat = lat, .lon = lon};
        return CDN_OK;
    }
    struct cdn_str country = text;
    struct cdn_str name = cdn_str_trim(cdn_str_cut(&country, ','));
    country = country.p ? cdn_str_trim(country) : CDN_STR("");
    const struct geo_place *city = find_city(name, country);
    const struct geo_site *site = city || country.n ? NULL : find_site(name);
    if (site) {
        city = find_city(site->city, CDN_STR(""));
    }
    if (!city) {
        return not_found(text, name, err);
    }
    *ret_place = *city;
    if (site) {
        ret_place->lat = site->lat;
        ret_place->lon = site->lon;
    }
    return CDN_OK;
}

/* ---- the tables ---- */

const struct geo_place *geo_place_nearest(double lat, double lon, double *ret_km)
{
    pthread_once(&once, prepare);
    struct geo_unit here = geo_unit(lat, lon);
    size_t best = 0;
    float best_dot = -2;
    for (size_t i = 0; i < tables.place_count; i++) {
        float dot = geo_unit_dot(here, tables.units[i]);
        if (dot > best_dot) {
            best_dot = dot;
            best = i;
        }
    }
    const struct geo_place *place = &tables.places[best];
    if (ret_km) {
        *ret_km = geo_distance_km(lat, lon, place->lat, place->lon);
    }
    return place;
}

size_t geo_place_count(void)
{
    pthread_once(&once, prepare);
    return tables.place_count;
}

const struct geo_place *geo_place_at(size_t i)
{
    pthread_once(&once, prepare);
    return &tables.places[i];
}

const struct geo_country *geo_country_find(struct cdn_str code)
{
    pthread_once(&once, prepare);
    int number = code_number(code);
    unsigned found = number < 0 ? 0 : tables.country_of_code[number];
    return found ? &tables.countries[found - 1] : NULL;
}

const struct geo_country *geo_country_named(struct cdn_str text)
{
    const struct geo_country *country = geo_country_find(text);
    char folded[FOLDED_MAX];
    if (country || !geo_fold(text, folded, sizeof(folded))) {
        return country;
    }
    const struct country_alias key = {.folded = folded},
                               *found = bsearch(&key, tables.country_aliases, tables.country_alias_count,
                                                sizeof(key), compare_country_aliases);
    return found ? &tables.countries[found->country] : NULL;
}

const struct geo_continent *geo_continent_find(struct cdn_str text)
{
    static const struct geo_continent continents[] = {
#define X(code, name, lat, lon) {{code, 2}, {name, sizeof(name) - 1}, lat, lon},
        GEO_CONTINENT_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(continents); i++) {
        if (cdn_str_eq_nocase(text, continents[i].code) || cdn_str_eq_nocase(text, continents[i].name)) {
            return &continents[i];
        }
    }
    return NULL;
}

size_t geo_country_count(void)
{
    pthread_once(&once, prepare);
    return tables.country_count;
}

const struct geo_country *geo_country_at(size_t i)
{
    pthread_once(&once, prepare);
    return &tables.countries[i];
}

size_t geo_site_count(void)
{
    pthread_once(&once, prepare);
    return tables.site_count;
}

const struct geo_site *geo_site_at(size_t i)
{
    pthread_once(&once, prepare);
    return &tables.sites[i];
}
