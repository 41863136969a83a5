/* the modelled round-trip time: bounds, symmetry, well-known pairs, the way it takes; the graph's file; the
 * fit */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/backbone.h"
#include "geo-data/embedded.h"
#include "geo-data/geodesy.h"
#include "geo-data/latency.h"
#include "geo-data/latency_fit.h"
#include "geo-data/latency_model.h"
#include "geo-data/places.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define TOLERANCE 0.15 /* of a well-known time */

/* What large clouds and carriers publish for these, in round figures. */
static const struct {
    const char *from, *to;
    double ms;
} known[] = {
    {"iad", "fra", 90},  {"iad", "lhr", 76},  {"iad", "gru", 117}, {"iad", "nrt", 155}, {"iad", "sjc", 62},
    {"sjc", "nrt", 105}, {"sjc", "sin", 170}, {"sjc", "syd", 145}, {"fra", "sin", 160}, {"fra", "bom", 120},
    {"lhr", "jnb", 160}, {"sin", "syd", 93},  {"sin", "nrt", 70},  {"sin", "bom", 60},  {"sin", "hkg", 35},
    {"nrt", "syd", 110}, {"nrt", "icn", 33},  {"gru", "scl", 47},  {"lhr", "fra", 15},  {"lhr", "sjc", 140},
    {"jfk", "lhr", 70},  {"lhr", "gru", 185}, {"nrt", "lhr", 220}, {"fra", "dxb", 110},
};

/* Ways that their own country's cable makes short, and that others do not take: between these bounds. */
static const struct {
    const char *from, *to;
    double least, most;
} bounded[] = {
    {"Luanda", "Fortaleza", 60, 75},      /* the South Atlantic cable: 63 ms */
    {"Cape Town", "Sao Paulo", 290, 350}, /* by Europe: 324 to 337 measured */
    {"Johannesburg", "Sao Paulo", 310, 360},
    {"Nairobi", "Johannesburg", 45, 75},
    {"Dar es Salaam", "Johannesburg", 45, 70},
    {"Hong Kong", "Bangkok", 50, 66}, /* by sea: 61 to 64 measured */
    {"Singapore", "Bangkok", 25, 34},
    {"Phnom Penh", "Bangkok", 15, 40},
};

static struct geo_place place(const char *name)
{
    struct geo_place found;
    struct cdn_error err;
    ck_assert_msg(geo_place_find(cdn_str(name), &found, &err) == CDN_OK, "%s: %s", name, err.text);
    return found;
}

static double between(struct geo_place a, struct geo_place b)
{
    return geo_rtt_ms(a.lat, a.lon, b.lat, b.lon);
}

START_TEST(test_known)
{
    double ms = between(place(known[_i].from), place(known[_i].to));
    ck_assert_msg(fabs(ms - known[_i].ms) <= TOLERANCE * known[_i].ms, "%s-%s: %.1f ms, known %.1f",
                  known[_i].from, known[_i].to, ms, known[_i].ms);
}
END_TEST

START_TEST(test_bounded)
{
    double ms = between(place(bounded[_i].from), place(bounded[_i].to));
    ck_assert_msg(ms >= bounded[_i].least && ms <= bounded[_i].most, "%s-%s: %.1f ms", bounded[_i].from,
                  bounded[_i].to, ms);
}
END_TEST

/* Each pair: the first is nearer by cable, though not always on the map. */
static const struct {
    const char *from, *near, *far;
} nearer[] = {
    {"fra", "lhr", "iad"},         {"fra", "iad", "nrt"}, {"nrt", "icn", "sin"}, {"syd", "sin", "fra"},
    {"gru", "eze", "mia"},         {"gru", "mia", "jnb"}, {"jnb", "lhr", "gru"}, {"bom", "sin", "nrt"},
    {"Nairobi", "Kampala", "fra"}, {"dxb", "bom", "sin"}, {"sea", "sjc", "iad"}, {"Reykjavik", "lhr", "iad"},
};

START_TEST(test_nearer)
{
    struct geo_place from = place(nearer[_i].from);
    double near = between(from, place(nearer[_i].near)), far = between(from, place(nearer[_i].far));
    ck_assert_msg(near < far, "%s: %s %.1f ms, %s %.1f ms", nearer[_i].from, nearer[_i].near, near,
                  nearer[_i].far, far);
}
END_TEST

/* Places everywhere: every seventh city, and points where nobody lives. */
static const double odd_places[][2] = {
    {90, 0}, {-90, 0},        {90, 135},     {0, 180},         {0, -180},
    {0, 0},  {-48.9, -123.4}, {89.999, -77}, {0.001, 179.999},
};

#define SOME_MAX 200

static size_t some_points(struct geo_rtt_point points[static SOME_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < CDN_ARRAY_LEN(odd_places); i++) {
        geo_rtt_point(odd_places[i][0], odd_places[i][1], &points[n++]);
    }
    for (size_t i = 0; i < geo_place_count() && n < SOME_MAX; i += 7) {
        geo_rtt_point(geo_place_at(i)->lat, geo_place_at(i)->lon, &points[n++]);
    }
    return n;
}

START_TEST(test_bounds)
{
    struct geo_rtt_point points[SOME_MAX];
    size_t n = some_points(points);
    for (size_t i = 0; i < n; i++) {
        float row[SOME_MAX];
        geo_rtt_row(&points[i], points, n, row);
        for (size_t j = 0; j < n; j++) {
            const struct geo_rtt_point *a = &points[i], *b = &points[j];
            double ms = geo_rtt_ms(a->lat, a->lon, b->lat, b->lon);
            double light = 2 * geo_distance_km(a->lat, a->lon, b->lat, b->lon) / 199.86;
            ck_assert_msg(isfinite(ms) && ms > 0 && ms < 1000 && ms >= 1.199 * light,
                          "%.2f,%.2f to %.2f,%.2f: %.1f ms, light %.1f", a->lat, a->lon, b->lat, b->lon, ms,
                          light);
            ck_assert(ms == (double)row[j]);
            ck_assert(geo_rtt_between(a, b) == geo_rtt_between(b, a));
        }
    }
}
END_TEST

/* Whether it is entered in a country that has border links, which carry nobody else's traffic. */
static bool is_closed(const struct backbone *b, const struct geo_rtt_point *at)
{
    for (size_t i = 0; i < b->link_count; i++) {
        for (unsigned j = 0; j < at->n; j++) {
            if (b->links[i].is_border &&
                b->nodes[b->links[i].from].country == b->nodes[at->access[j].node].country) {
                return true;
            }
        }
    }
    return false;
}

/* No third place on the way saves time, unless its country lets others' traffic stop there but not pass; or
 * a border's cost, as from there on the traffic is at home. */
START_TEST(test_triangles)
{
    struct geo_rtt_point points[SOME_MAX];
    size_t n = some_points(points);
    struct backbone *b;
    struct cdn_error err;
    bool closed[SOME_MAX];
    ck_assert_int_eq(backbone_parse(geo_embedded_backbone(), &b, &err), CDN_OK);
    for (size_t i = 0; i < n; i++) {
        closed[i] = is_closed(b, &points[i]);
    }
    backbone_destroy(b);
    for (size_t i = CDN_ARRAY_LEN(odd_places); i < n; i += 3) {
        for (size_t j = CDN_ARRAY_LEN(odd_places); j < i; j += 3) {
            for (size_t k = CDN_ARRAY_LEN(odd_places); k < n; k += 5) {
                if (closed[k]) {
                    continue;
                }
                float straight = geo_rtt_between(&points[i], &points[j]);
                float around =
                    geo_rtt_between(&points[i], &points[k]) + geo_rtt_between(&points[k], &points[j]);
                ck_assert_msg(straight <= around * 1.01f + (float)latency_fitted.border,
                              "%.2f,%.2f to %.2f,%.2f: %.1f ms, around %.1f", points[i].lat, points[i].lon,
                              points[j].lat, points[j].lon, (double)straight, (double)around);
            }
        }
    }
}
END_TEST

START_TEST(test_near)
{
    double here = geo_rtt_ms(48.2, 16.4, 48.2, 16.4);
    ck_assert_double_gt(here, 0.5);
    ck_assert_double_lt(here, 5);
    double last = here;
    for (int km = 5; km <= 320;
         km *= 2) { /* northwards from Vienna, away from any hub's influence at first */
        double ms = geo_rtt_ms(48.2, 16.4, 48.2 + km / 111.2, 16.4);
        ck_assert_msg(ms >= last - 0.5, "%d km: %.2f ms, nearer %.2f", km, ms, last);
        last = ms;
    }
    ck_assert_double_lt(last, 30);
    ck_assert_double_eq_tol(geo_rtt_ms(-17, 179.99, -17, -179.99), here, 1); /* two km over the date line */
}
END_TEST

static void check_path(const struct geo_rtt_path *path, double lat, double lon)
{
    double ms = path->end_ms + path->floor_ms, leg_ms = 0;
    for (unsigned kind = 0; kind < GEO_RTT_LEG_KIND_COUNT; kind++) {
        ms += path->kind_ms[kind];
    }
    for (size_t i = 0; i < path->leg_count; i++) {
        leg_ms += path->legs[i].ms;
        ck_assert_msg(path->legs[i].km >= 0 && path->legs[i].ms >= 0, "leg %zu", i);
    }
    ck_assert_double_eq_tol(ms, path->rtt_ms, 0.01);
    ck_assert_double_eq_tol(leg_ms + path->end_ms + path->floor_ms, path->rtt_ms, 0.01);
    ck_assert_uint_gt(path->leg_count, 0);
    const struct geo_rtt_leg *last = &path->legs[path->leg_count - 1];
    ck_assert_uint_eq(last->to.n, 0);
    ck_assert(last->lat == lat && last->lon == lon);
}

START_TEST(test_path)
{
    struct geo_rtt_point points[SOME_MAX];
    struct geo_rtt_path path;
    size_t n = some_points(points);
    for (size_t i = 0; i < n; i += 3) {
        for (size_t j = 0; j < n; j += 5) {
            geo_rtt_path(points[i].lat, points[i].lon, points[j].lat, points[j].lon, &path);
            ck_assert((float)path.rtt_ms == geo_rtt_between(&points[i], &points[j]));
            check_path(&path, points[j].lat, points[j].lon);
        }
    }
}
END_TEST

static const struct {
    const char *from, *to, *over;
} ways[] = {
    {"fra", "sin", "Suez"},      {"sin", "syd", "Perth"},         {"lhr", "jnb", "Cape Town"},
    {"iad", "scl", "Miami"},     {"jfk", "lhr", "Bude"},          {"Reykjavik", "Edinburgh", "Torshavn"},
    {"nrt", "sjc", "Off Boso"},  {"Darwin", "sin", "Java Sea"},   {"Warsaw", "nrt", "Suez"},
    {"Doha", "Milan", "Suez"},   {"Moscow", "nrt", "Khabarovsk"}, {"Kathmandu", "fra", "Delhi"},
    {"Jakarta", "syd", "Perth"},
};

START_TEST(test_ways)
{
    struct geo_place from = place(ways[_i].from), to = place(ways[_i].to);
    struct geo_rtt_path path;
    bool found = false;
    geo_rtt_path(from.lat, from.lon, to.lat, to.lon, &path);
    for (size_t i = 0; i < path.leg_count; i++) {
        found = found || cdn_str_eq(path.legs[i].to, cdn_str(ways[_i].over));
    }
    ck_assert_msg(found, "%s to %s is not over %s", ways[_i].from, ways[_i].to, ways[_i].over);
}
END_TEST

#define AB "hub,A,DE,50,8\nmajor,B,FR,49,2\n"
static const struct {
    const char *text, *flaw; /* NULL: sound */
} files[] = {
    {AB "land,A,B,1,1\n", NULL},
    {"# x\n\n" AB "point,P,,48,1\nsea,A,P,1.5,0.9\nland,P,B,1,1", NULL},
    {"", "no node"},
    {AB, "no way from 'A' to 'B'"},
    {"point,P,,0,0\n", "no hub"},
    {AB "border-land,A,B,1,1\n", NULL},
    {AB "border-sea,B,A,1,1\n", NULL},
    {AB "border-air,A,B,1,1\n", "unknown kind 'border-air'"},
    {AB "hub,C,DE,51,8\nborder-land,A,C,1,1\n", "a border link joins hubs of two countries, not 'C'"},
    {AB "point,P,,48,1\nborder-sea,A,P,1,1\n", "a border link joins hubs of two countries, not 'P'"},
    {AB "land,A,B,1\n", "line 3: not five fields"},
    {AB "land,A,B,1,1,1\n", "not five fields"},
    {AB "air,A,B,1,1\n", "unknown kind 'air'"},
    {AB "land,A,C,1,1\n", "unknown node, or the same twice: 'C'"},
    {AB "land,C,A,1,1\n", "unknown node 'C'"},
    {AB "land,A,A,1,1\n", "the same twice"},
    {AB "land,A,B,1,1\nsea,B,A,1,1\n", "line 4: this link is there already"},
    {AB "land,A,B,0,1\n", "route factor '0'"},
    {AB "land,A,B,1,nan\n", "fitted factor 'nan'"},
    {AB "hub,A,DE,1,1\n", "there already: 'A'"},
    {"hub,A,DEU,1,1\n", "country"},
    {"point,A,DE,1,1\n", "country"},
    {"hub,A,DE,91,1\n", "latitude '91'"},
    {"hub,A,DE,1,x\n", "longitude 'x'"},
};

START_TEST(test_backbone_file)
{
    struct backbone *b = NULL;
    struct cdn_error err = {.text = ""};
    enum cdn_status status = backbone_parse(cdn_str(files[_i].text), &b, &err);
    if (files[_i].flaw) {
        ck_assert_int_eq(status, CDN_INVALID);
        ck_assert_ptr_null(b);
        ck_assert_msg(strstr(err.text, files[_i].flaw) != NULL, "%s", err.text);
        return;
    }
    ck_assert_msg(status == CDN_OK, "%s", err.text);
    CDN_AUTOBUF struct cdn_buf out = {0};
    struct backbone *again;
    backbone_print(b, &out);
    ck_assert_int_eq(backbone_parse(cdn_buf_str(&out), &again, &err), CDN_OK);
    ck_assert_uint_eq(again->link_count, b->link_count);
    ck_assert_uint_eq(again->node_count, b->node_count);
    backbone_destroy(again);
    backbone_destroy(b);
}
END_TEST

/* West and East are joined by Middle's border links, and by a way eight times as long. */
static const char passage[] =
    "major,West,DE,0,0\nmajor,Middle,CH,0,10\nmajor,Inner,CH,1,10\nmajor,East,IT,0,20\n"
    "border-land,Middle,West,1,1\nborder-land,Middle,East,1,1\n"
    "land,Middle,Inner,1,1\nland,West,East,8,1\n";

static const struct {
    uint16_t from, to;
    size_t links;
} passages[] = {{0, 3, 1}, {0, 1, 1}, {0, 2, 2}, {2, 3, 2}, {1, 3, 1}, {3, 3, 0}};

START_TEST(test_border_links_carry_no_transit)
{
    struct backbone *b;
    struct cdn_error err;
    uint16_t links[LATENCY_WAY_MAX], from = passages[_i].from, to = passages[_i].to;
    ck_assert_int_eq(backbone_parse(cdn_str(passage), &b, &err), CDN_OK);
    struct latency_model *m = latency_model_create(b, &latency_fitted);
    for (unsigned back = 0; back < 2; back++) {
        float ms = 0;
        size_t n = latency_model_way(m, back ? to : from, back ? from : to, links);
        uint16_t at = back ? to : from;
        ck_assert_uint_eq(n, passages[_i].links);
        for (size_t i = 0; i < n; i++) {
            ms += m->link_ms[links[i]];
            at = latency_model_over(m, links[i], at);
        }
        ck_assert_uint_eq(at, back ? from : to);
        ck_assert_float_eq_tol(ms, m->ms[from * b->node_count + to], 0.001f);
        ck_assert(m->ms[from * b->node_count + to] == m->ms[to * b->node_count + from]);
    }
    latency_model_destroy(m);
    backbone_destroy(b);
}
END_TEST

/* X is said to be in the east of the row and answers like D's neighbour in the west; Y and Z only disagree
 * with each other. */
static const char impossible[] = "A,40,-120,B,40,-110,12\nA,40,-120,X,40,-60,2\nB,40,-110,X,40,-60,12\n"
                                 "Y,40,-100,Z,40,-90,1\nA,40,-120,Y,40,-100,30\nA,40,-120,Z,40,-90,40\n";
static unsigned told;

static void tell(const struct latency_site *site, size_t pairs)
{
    ck_assert(cdn_str_eq(site->name, CDN_STR("X")));
    ck_assert_uint_eq(pairs, 2);
    told++;
}

START_TEST(test_impossible_sites)
{
    struct backbone *b;
    struct latency_matrix *matrix;
    struct cdn_error err;
    ck_assert_int_eq(backbone_parse(cdn_str(passage), &b, &err), CDN_OK);
    ck_assert_int_eq(latency_matrix_parse(cdn_str(impossible), b, &matrix, &err), CDN_OK);
    latency_matrix_drop_impossible(matrix, tell);
    ck_assert_uint_eq(told, 1);
    ck_assert_uint_eq(matrix->pair_count, 3);
    latency_matrix_destroy(matrix);
    backbone_destroy(b);
}
END_TEST

/* Four hubs in a row; the matrix says that the middle link takes half again as long. */
static const char line_of_hubs[] = "major,A,US,40,-120\nmajor,B,US,40,-110\nmajor,C,US,40,-100\n"
                                   "major,D,US,40,-90\nland,A,B,1,1\nland,B,C,1,1\nland,C,D,1,1\n";

START_TEST(test_fit_finds_a_slow_link)
{
    struct backbone *b;
    struct latency_matrix *matrix;
    CDN_AUTOBUF struct cdn_buf rows = {0};
    struct cdn_error err;
    static const bool used[4] = {true, true, true, true};
    struct latency_parameters parameters = latency_fitted;
    struct latency_fit_options options = latency_fit_defaults;
    ck_assert_int_eq(backbone_parse(cdn_str(line_of_hubs), &b, &err), CDN_OK);
    b->links[1].fit = 1.5;
    struct latency_model *truth = latency_model_create(b, &parameters);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = i + 1; j < 4; j++) {
            struct geo_rtt_point from, to;
            latency_model_point(truth, b->nodes[i].lat, b->nodes[i].lon, &from);
            latency_model_point(truth, b->nodes[j].lat, b->nodes[j].lon, &to);
            cdn_buf_printf(&rows, "%c,%.0f,%.0f,%c,%.0f,%.0f,%.3f\n", (int)('A' + i), from.lat, from.lon,
                           (int)('A' + j), to.lat, to.lon,
                           (double)latency_model_choose(truth, &from, &to).rtt_ms);
        }
    }
    latency_model_destroy(truth);
    b->links[1].fit = 1;
    ck_assert_int_eq(latency_matrix_parse(cdn_buf_str(&rows), b, &matrix, &err), CDN_OK);
    ck_assert_uint_eq(matrix->pair_count, 6);
    options.quantile = 0.5;
    options.land_max = 2;
    latency_fit(b, &parameters, matrix, used, &options);
    ck_assert_double_eq_tol(b->links[1].fit, 1.5, 0.1);
    ck_assert_double_eq_tol(b->links[0].fit, 1, 0.1);
    latency_matrix_destroy(matrix);
    backbone_destroy(b);
}
END_TEST

static const char *const bad_matrices[] = {
    "", "a,1,2,b,3,4\n", "a,1,2,b,3,4,0\n", "a,1,2,b,3,x,5\n", "a,99,2,b,3,4,5\n", "a,1,2,b,3,4,5,6\n"};

START_TEST(test_bad_matrix)
{
    struct backbone *b;
    struct latency_matrix *matrix;
    struct cdn_error err;
    ck_assert_int_eq(backbone_parse(cdn_str(line_of_hubs), &b, &err), CDN_OK);
    ck_assert_int_eq(latency_matrix_parse(cdn_str(bad_matrices[_i]), b, &matrix, &err), CDN_INVALID);
    backbone_destroy(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("latency");
    TCase *tc = tcase_create("rows");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, test_known, 0, (int)CDN_ARRAY_LEN(known));
    tcase_add_loop_test(tc, test_bounded, 0, (int)CDN_ARRAY_LEN(bounded));
    tcase_add_loop_test(tc, test_nearer, 0, (int)CDN_ARRAY_LEN(nearer));
    tcase_add_loop_test(tc, test_ways, 0, (int)CDN_ARRAY_LEN(ways));
    tcase_add_loop_test(tc, test_backbone_file, 0, (int)CDN_ARRAY_LEN(files));
    tcase_add_loop_test(tc, test_bad_matrix, 0, (int)CDN_ARRAY_LEN(bad_matrices));
    tcase_add_test(tc, test_bounds);
    tcase_add_test(tc, test_triangles);
    tcase_add_test(tc, test_near);
    tcase_add_test(tc, test_path);
    tcase_add_loop_test(tc, test_border_links_carry_no_transit, 0, (int)CDN_ARRAY_LEN(passages));
    tcase_add_test(tc, test_impossible_sites);
    tcase_add_test(tc, test_fit_finds_a_slow_link);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
