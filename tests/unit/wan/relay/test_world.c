/* The CDN as the network reads it from a cdn.yaml, and where names and addresses lead in it. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "wan/relay/end.h"
#include "wan/relay/settings.h"
#include "wan/relay/target.h"
#include "wan/relay/world.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

static struct wan_settings settings;
static struct wan_world world;

/* A file that has a path, until the process ends. */
static const char *file_of(const char *text)
{
    static char path[32];
    int fd = memfd_create("cdn.yaml", MFD_CLOEXEC);
    ck_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return path;
}

static enum cdn_status read_text(const char *text, struct cdn_error *err)
{
    const char *path = text ? file_of(text) : NULL;
    enum cdn_status status = cdn_config_load_item(&wan_program, path, 0, &settings, err);
    return status == CDN_OK ? wan_world_read(path, &settings, &world, err) : status;
}

static void setup(void)
{
    settings = (struct wan_settings){0};
    world = (struct wan_world){0};
}

static void teardown(void)
{
    wan_world_free(&world);
    cdn_config_free(&wan_program, &settings);
}

static const char cdn[] =
    "cdn: {trusted_proxies: ['127.0.0.0/8']}\n"
    "origin: {root: /x, place: Frankfurt, listen: '127.0.0.1:8090', proxy_protocol: optional}\n"
    "router: {dns_zone: 'Cdn.Test', dns_listen: '0.0.0.0:8053'}\n"
    "sites: {shop: {hosts: [shop.example, '*.Img.example', pay.cdn.test], rules: [{path: /}]}}\n"
    "wan: {allow: ['127.0.0.1:9000', 'localhost:9001=Sydney']}\n"
    "edges:\n"
    " - {name: fra, place: Frankfurt, listen: '127.0.1.1:8088'}\n"
    " - {name: nrt, place: Tokyo, listen: '127.0.1.2:8088', admin: '127.0.1.2:9999',"
    " proxy_protocol: yes}\n"
    " - {name: Sin-1, place: Singapore, listen: '127.0.1.3:8443', url: 'https://sin.example',"
    " proxy_protocol: yes, trusted_proxies: [10.0.0.0/8]}\n";

START_TEST(nodes_are_what_the_file_says)
{
    static const struct {
        const char *name, *place, *listen, *admin;
        enum wan_node_kind kind;
        bool proxy;
    } rows[] = {{"fra", "Frankfurt", "127.0.1.1:8088", "127.0.1.1:9088", WAN_NODE_EDGE, false},
                {"nrt", "Tokyo", "127.0.1.2:8088", "127.0.1.2:9999", WAN_NODE_EDGE, true},
                {"Sin-1", "Singapore", "127.0.1.3:8443", "127.0.1.3:9443", WAN_NODE_EDGE, false},
                {"origin", "Frankfurt", "127.0.0.1:8090", "127.0.0.1:9090", WAN_NODE_ORIGIN, true},
                {"router", "Frankfurt", "127.0.0.1:8080", "127.0.0.1:9080", WAN_NODE_ROUTER, false},
                {"127.0.0.1:9000", "Frankfurt", "127.0.0.1:9000", NULL, WAN_NODE_ALLOWED, false},
                {"localhost:9001", "Sydney", "127.0.0.1:9001", NULL, WAN_NODE_ALLOWED, false}};
    struct cdn_error err;
    char text[CDN_ADDR_TEXT_SIZE];
    ck_assert_msg(read_text(cdn, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(world.n, CDN_ARRAY_LEN(rows));
    for (size_t i = 0; i < world.n; i++) {
        const struct wan_node *node = &world.nodes[i];
        ck_assert_str_eq(node->end.name, rows[i].name);
        ck_assert_str_eq(node->end.place, rows[i].place);
        ck_assert_int_eq(node->kind, rows[i].kind);
        ck_assert_int_eq(node->proxy, rows[i].proxy);
        cdn_addr_format(&node->listen, text);
        ck_assert_str_eq(text, rows[i].listen);
        ck_assert_int_eq(node->admin.sa.sa_family != AF_UNSPEC, rows[i].admin != NULL);
        if (rows[i].admin) {
            cdn_addr_format(&node->admin, text);
            ck_assert_str_eq(text, rows[i].admin);
        }
        ck_assert_ptr_eq(wan_world_node_of(&world, &node->end), node);
    }
    ck_assert_str_eq(world.zone, "Cdn.Test");
    ck_assert_str_eq(world.site, "www.Cdn.Test");
    cdn_addr_format(&world.dns, text);
    ck_assert_str_eq(text, "127.0.0.1:8053");
}
END_TEST

START_TEST(without_a_file_it_is_the_built_in_cdn)
{
    struct cdn_error err;
    ck_assert_msg(read_text(NULL, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(world.n, 12);
    ck_assert_str_eq(world.site, "www.cdn.test");
    ck_assert(wan_world_node(&world, CDN_STR("NRT")) && wan_world_node(&world, CDN_STR("origin")));
}
END_TEST

START_TEST(names_and_addresses_lead_there)
{
    static const struct {
        const char *host;
        unsigned port;
        const char *node;    /* NULL: refused; "": DNS is asked */
        const char *address; /* where to */
    } rows[] = {
        {"www.cdn.test", 80, "", NULL},
        {"WWW.CDN.TEST.", 443, "", NULL},
        {"cdn.test", 80, "", NULL},
        {"shop.cdn.test", 80, "", NULL},
        {"fra.cdn.test", 80, "fra", "127.0.1.1:8088"},
        {"Fra.Cdn.Test.", 443, "fra", "127.0.1.1:8088"},
        {"fra.cdn.test", 8088, "fra", "127.0.1.1:8088"},
        {"fra.cdn.test", 9088, "fra", "127.0.1.1:9088"},
        {"nrt.cdn.test", 9999, "nrt", "127.0.1.2:9999"},
        {"sin-1.cdn.test", 443, "Sin-1", "127.0.1.3:8443"},
        {"sin.example", 443, "Sin-1", "127.0.1.3:8443"},
        {"origin.cdn.test", 80, "origin", "127.0.0.1:8090"},
        {"router.cdn.test", 80, "router", "127.0.0.1:8080"},
        {"127.0.1.2", 8088, "nrt", "127.0.1.2:8088"},
        {"[127.0.1.2]", 8088, "nrt", "127.0.1.2:8088"},
        {"127.0.1.2", 80, "nrt", "127.0.1.2:8088"},
        {"127.0.1.2", 9999, "nrt", "127.0.1.2:9999"},
        {"127.0.0.1", 8090, "origin", "127.0.0.1:8090"},
        {"localhost", 8090, "origin", "127.0.0.1:8090"},
        {"127.0.0.1", 9080, "router", "127.0.0.1:9080"},
        {"127.0.0.1", 9000, "127.0.0.1:9000", "127.0.0.1:9000"},
        {"localhost", 9001, "localhost:9001", "127.0.0.1:9001"},
        {"LOCALHOST", 9001, "localhost:9001", "127.0.0.1:9001"},
        {"127.0.0.1", 80, NULL, NULL},
        {"127.0.0.1", 22, NULL, NULL},
        {"::1", 80, NULL, NULL},
        {"10.0.0.1", 80, NULL, NULL},
        {"fra.cdn.test", 22, NULL, NULL},
        {"sin.example", 80, NULL, NULL},
        {"example.com", 80, NULL, NULL},
        {"shop.example", 80, "", NULL},
        {"Shop.Example.", 443, "", NULL},
        {"a.b.img.example", 443, "", NULL},
        {"pay.cdn.test", 443, "", NULL},
        {"img.example", 80, NULL, NULL},
        {"x.shop.example", 80, NULL, NULL},
        {"xcdn.test", 80, NULL, NULL},
        {"cdn.test.example", 80, NULL, NULL},
        {".", 80, NULL, NULL},
        {".cdn.test", 80, NULL, NULL},
        {"test", 80, NULL, NULL},
    };
    struct cdn_error err;
    ck_assert_msg(read_text(cdn, &err) == CDN_OK, "%s", err.text);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct wan_target target = {0};
        char text[CDN_ADDR_TEXT_SIZE] = "";
        enum cdn_status status = wan_target_find(&world, cdn_str(rows[i].host), rows[i].port, &target, &err);
        ck_assert_msg((status == CDN_OK) == (rows[i].node != NULL), "%s:%u", rows[i].host, rows[i].port);
        if (status != CDN_OK) {
            ck_assert_int_eq(status, CDN_REFUSED);
            ck_assert(err.text[0]);
        } else if (!rows[i].node[0]) {
            ck_assert_ptr_null(target.node);
        } else {
            cdn_addr_format(&target.address, text);
            ck_assert_msg(target.node && strcmp(target.node->end.name, rows[i].node) == 0, "%s:%u",
                          rows[i].host, rows[i].port);
            ck_assert_str_eq(text, rows[i].address);
        }
    }
}
END_TEST

/* Our DNS knows the zone alone. */
START_TEST(hosts_of_sites_are_asked_for_as_the_site)
{
    static const char *const rows[][2] = {
        {"shop.example", "www.Cdn.Test"},    {"SHOP.example.", "www.Cdn.Test"},
        {"x.img.example", "www.Cdn.Test"},   {"pay.cdn.test", "www.Cdn.Test"},
        {"www.cdn.test", "www.cdn.test"},    {"cdn.test", "cdn.test"},
        {"other.cdn.test", "other.cdn.test"}};
    struct cdn_error err;
    ck_assert_msg(read_text(cdn, &err) == CDN_OK, "%s", err.text);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        ck_assert_str_eq(wan_target_question(&world, rows[i][0]), rows[i][1]);
    }
}
END_TEST

START_TEST(an_answer_must_be_an_edge)
{
    struct cdn_error err;
    struct wan_target target;
    struct cdn_addr answer;
    ck_assert_msg(read_text(cdn, &err) == CDN_OK, "%s", err.text);
    ck_assert(cdn_parse_ip(CDN_STR("127.0.1.2"), &answer));
    ck_assert_int_eq(wan_target_of_answer(&world, &answer, 80, &target, &err), CDN_OK);
    ck_assert_str_eq(target.node->end.name, "nrt");
    ck_assert_int_eq(wan_target_of_answer(&world, &answer, 22, &target, &err), CDN_REFUSED);
    ck_assert(cdn_parse_ip(CDN_STR("127.0.0.1"), &answer)); /* the origin is no edge */
    ck_assert_int_eq(wan_target_of_answer(&world, &answer, 80, &target, &err), CDN_REFUSED);
}
END_TEST

START_TEST(mistakes_name_their_place)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"edges: [{name: fra, place: Atlantis}]", "fra: place: no place 'Atlantis' is known"},
        {"origin: {root: /x, place: Atlantis}", "origin: place: no place"},
        {"edges: [{name: fra, listen: '127.0.0.1:99999'}]",
         "fra: listen: '127.0.0.1:99999' has no host and port"},
        {"wan: {router_place: Atlantis}", "router: place: no place"},
        {"wan: {allow: ['http://x']}", "allow: 'http://x' is not HOST:PORT"},
        {"wan: {speed: 1}", "unknown key \"speed\" in wan"},
        {"wan: {links: [{listen: [1]}]}", "must be a single value, not a list"},
        {"wann: {}", "unknown key \"wann\"; did you mean \"wan\"?"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_error err = {0};
        ck_assert_msg(read_text(rows[i].text, &err) != CDN_OK, "%s", rows[i].text);
        ck_assert_msg(strstr(err.text, rows[i].words), "%s: %s", rows[i].text, err.text);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(the_origin_may_be_somebody_elses)
{
    static const struct {
        const char *text, *listen;
    } rows[] = {{"cdn: {origin: 'http://127.0.0.1:8000'}", "127.0.0.1:8000"},
                {"edge: {origin: 'http://127.0.0.1:8001/'}", "127.0.0.1:8001"},
                {"wan: {origin: 'http://localhost'}", "127.0.0.1:80"},
                {"origin: {root: /x}\nedge: {origin: 'http://127.0.0.1:8001/'}", "127.0.0.1:8090"}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_error err = {0};
        char text[CDN_ADDR_TEXT_SIZE];
        ck_assert_msg(read_text(rows[i].text, &err) == CDN_OK, "%s", err.text);
        cdn_addr_format(&wan_world_node(&world, CDN_STR("origin"))->listen, text);
        ck_assert_str_eq(text, rows[i].listen);
        teardown();
        setup();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan world");
    TCase *tcase = tcase_create("world");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nodes_are_what_the_file_says);
    tcase_add_test(tcase, without_a_file_it_is_the_built_in_cdn);
    tcase_add_test(tcase, names_and_addresses_lead_there);
    tcase_add_test(tcase, an_answer_must_be_an_edge);
    tcase_add_test(tcase, hosts_of_sites_are_asked_for_as_the_site);
    tcase_add_test(tcase, mistakes_name_their_place);
    tcase_add_test(tcase, the_origin_may_be_somebody_elses);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
