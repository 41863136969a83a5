/* Faults of links: which ends a name means, and what becomes of both directions of a path. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "wan/path/path.h"
#include "wan/relay/end.h"
#include "wan/relay/fault.h"
#include "wan/relay/settings.h"
#include "wan/relay/world.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define MS INT64_C(1000000)

static struct wan_settings settings;
static struct wan_world world;
static struct wan_faults faults;

static void setup(void)
{
    struct cdn_error err;
    settings = (struct wan_settings){0};
    ck_assert_int_eq(cdn_config_load_item(&wan_program, NULL, 0, &settings, &err), CDN_OK);
    ck_assert_int_eq(wan_world_read(NULL, &settings, &world, &err), CDN_OK);
    faults.n = 0;
}

static void teardown(void)
{
    wan_world_free(&world);
    cdn_config_free(&wan_program, &settings);
}

static enum cdn_status change(const char *text, struct cdn_error *err)
{
    json_t *body = json_loads(text, 0, NULL);
    ck_assert_msg(body != NULL, "%s", text);
    enum cdn_status status = wan_faults_change(&faults, &world, body, err);
    json_decref(body);
    return status;
}

struct both {
    struct wan_path there, back;
};

/* `from` and `to`: nodes, or places. */
static struct both applied(const char *from, const char *to)
{
    struct wan_end ends[2] = {{0}};
    const struct wan_end *used[2];
    const char *names[] = {from, to};
    struct cdn_error err;
    for (size_t i = 0; i < 2; i++) {
        const struct wan_node *node = wan_world_node(&world, cdn_str(names[i]));
        ck_assert(node || wan_end_init_client(&ends[i], names[i], &err) == CDN_OK);
        used[i] = node ? &node->end : &ends[i];
    }
    struct both both = {.there = {.there_ns = 50 * MS, .back_ns = 50 * MS},
                        .back = {.there_ns = 50 * MS, .back_ns = 50 * MS}};
    wan_faults_apply(&faults, used[0], used[1], &both.there, &both.back);
    wan_end_fini(&ends[0]);
    wan_end_fini(&ends[1]);
    return both;
}

START_TEST(a_link_is_named_by_its_ends)
{
    static const struct {
        const char *link, *from, *to;
        bool hit;
    } rows[] = {
        {"fra-origin", "fra", "origin", true},
        {"fra-origin", "origin", "fra", true},
        {"FRA-Origin", "fra", "origin", true},
        {" fra - origin ", "fra", "origin", true},
        {"fra-origin", "nrt", "origin", false},
        {"fra-origin", "Frankfurt", "origin", false}, /* a node is not who stands beside it */
        {"Frankfurt-nrt", "fra", "nrt", true},        /* a place is all who stand there */
        {"Frankfurt-nrt", "Frankfurt", "nrt", true},
        {"TOKYO-nrt", "Tokyo", "nrt", true},
        {"Tokyo,JP-nrt", "Tokyo", "nrt", true},
        {"Tokyo-nrt", "Osaka", "nrt", false},
        {"Tokyo-*", "Osaka", "nrt", true},
        {"*-nrt", "Osaka", "nrt", true},
        {"*-nrt", "Osaka", "fra", false},
        {"*-*", "Osaka", "fra", true},
        {"35.68,139.69-nrt", "Tokyo", "nrt", true},
        {"-33.87,151.21-fra", "Sydney", "fra", true}, /* dashes are in coordinates, too */
        {"fra--33.87,151.21", "Sydney", "fra", true},
        {"Clermont-Ferrand-fra", "Clermont-Ferrand", "fra", true},
        {"são paulo-iad", "Sao Paulo", "iad", true},
        {"router-fra", "router", "fra", true},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_error err = {0};
        CDN_AUTOFREE char *text = cdn_asprintf("{\"link\":\"%s\",\"cut\":true}", rows[i].link);
        faults.n = 0;
        if (strstr(rows[i].link, "Clermont") && change(text, &err) != CDN_OK) {
            continue; /* not among the cities */
        }
        ck_assert_msg(change(text, &err) == CDN_OK, "%s: %s", rows[i].link, err.text);
        ck_assert_msg(applied(rows[i].from, rows[i].to).there.cut == rows[i].hit, "%s: %s to %s",
                      rows[i].link, rows[i].from, rows[i].to);
    }
}
END_TEST

START_TEST(directions_are_from_the_end_named_first)
{
    static const struct {
        const char *link, *direction;
        bool there, back;
    } rows[] = {{"fra-origin", "both", true, true},  {"fra-origin", "there", true, false},
                {"fra-origin", "back", false, true}, {"origin-fra", "there", false, true},
                {"origin-fra", "back", true, false}, {"origin-fra", "both", true, true},
                {"fra-*", "there", true, false},     {"*-origin", "there", true, false}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_error err;
        CDN_AUTOFREE char *cut = cdn_asprintf("{\"link\":\"%s\",\"direction\":\"%s\",\"cut\":true}",
                                              rows[i].link, rows[i].direction);
        CDN_AUTOFREE char *slow = cdn_asprintf("{\"link\":\"%s\",\"direction\":\"%s\",\"delay\":\"100ms\"}",
                                               rows[i].link, rows[i].direction);
        faults.n = 0;
        ck_assert_int_eq(change(cut, &err), CDN_OK);
        struct both both = applied("fra", "origin");
        ck_assert(both.there.cut == rows[i].there && both.back.cut == rows[i].back);
        ck_assert(both.there.acks_cut == rows[i].back && both.back.acks_cut == rows[i].there);
        ck_assert_int_eq(change(slow, &err), CDN_OK);
        ck_assert_uint_eq(faults.n, 1); /* in place of the first */
        both = applied("fra", "origin");
        const int64_t part = rows[i].there && rows[i].back ? 50 * MS : 100 * MS;
        ck_assert_int_eq(both.there.there_ns, 50 * MS + (rows[i].there ? part : 0));
        ck_assert_int_eq(both.back.there_ns, 50 * MS + (rows[i].back ? part : 0));
        ck_assert_int_eq(both.there.back_ns, both.back.there_ns); /* acknowledgements go the other way */
        ck_assert_int_eq(both.back.back_ns, both.there.there_ns);
    }
}
END_TEST

START_TEST(several_faults_add_up)
{
    struct cdn_error err;
    ck_assert_int_eq(change("{\"link\":\"fra-origin\",\"loss\":0.1,\"rate\":\"1MB\"}", &err), CDN_OK);
    ck_assert_int_eq(change("{\"link\":\"fra-*\",\"loss\":0.1,\"rate\":2000000,\"delay\":\"10ms\"}", &err),
                     CDN_OK);
    struct both both = applied("fra", "origin");
    ck_assert_double_eq_tol(both.there.loss, 0.19, 1e-9);
    ck_assert_int_eq(both.there.bytes_per_s, 1000000);
    ck_assert_int_eq(both.there.there_ns + both.back.there_ns, 110 * MS);
    ck_assert_int_eq(change("{\"link\":\"fra-*\",\"off\":true}", &err), CDN_OK);
    ck_assert_uint_eq(faults.n, 1);
    ck_assert_int_eq(change("{\"off\":true}", &err), CDN_OK);
    ck_assert_uint_eq(faults.n, 0);
    both = applied("fra", "origin");
    ck_assert(!both.there.bytes_per_s && both.there.there_ns == 50 * MS);
}
END_TEST

START_TEST(there_is_a_limit)
{
    struct cdn_error err;
    for (unsigned i = 0; i <= WAN_FAULTS_MAX; i++) {
        CDN_AUTOFREE char *text = cdn_asprintf("{\"link\":\"%u.5,%u-fra\",\"cut\":true}", i % 80, i % 170);
        ck_assert_int_eq(change(text, &err), i < WAN_FAULTS_MAX ? CDN_OK : CDN_TOO_LARGE);
    }
    CDN_AUTOFREE char *text = cdn_asprintf("{\"link\":\"%0200d-fra\",\"cut\":true}", 1);
    ck_assert_int_eq(change(text, &err), CDN_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan fault");
    TCase *tcase = tcase_create("fault");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_link_is_named_by_its_ends);
    tcase_add_test(tcase, directions_are_from_the_end_named_first);
    tcase_add_test(tcase, several_faults_add_up);
    tcase_add_test(tcase, there_is_a_limit);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
