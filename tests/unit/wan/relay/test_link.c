/* Fixed relays as cdn.yaml and flags name them, and the paths that they lead over. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "wan/path/path.h"
#include "wan/relay/address.h"
#include "wan/relay/client.h"
#include "wan/relay/end.h"
#include "wan/relay/link.h"
#include "wan/relay/route.h"
#include "wan/relay/settings.h"
#include "wan/relay/world.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/banned.h"

#define MS INT64_C(1000000)

static struct wan_settings settings;
static struct wan_world world;
static struct wan_addresses *addresses;

static void setup(void)
{
    struct cdn_error err;
    settings = (struct wan_settings){0};
    ck_assert_int_eq(cdn_config_load_item(&wan_program, NULL, 0, &settings, &err), CDN_OK);
    ck_assert_int_eq(wan_world_read(NULL, &settings, &world, &err), CDN_OK);
    ck_assert_int_eq(wan_addresses_create(&addresses, &err), CDN_OK);
}

static void teardown(void)
{
    wan_addresses_destroy(addresses);
    wan_world_free(&world);
    cdn_config_free(&wan_program, &settings);
}

static enum cdn_status read_link(const char *text, struct wan_link *ret, struct cdn_error *err)
{
    const struct wan_who who = {&world, addresses, "fibre"};
    char origin[] = "cdn.yaml:7", key[256];
    (void)cdn_str_copy(key, sizeof(key), cdn_str(text));
    const struct cdn_config_entry entry = {.key = key, .origin = origin};
    return wan_link_read(&who, &entry, ret, err);
}

START_TEST(links_are_what_they_say)
{
    static const struct {
        const char *text, *target, *end;
        int64_t least_ms, most_ms; /* of the round trip */
        bool udp, line;            /* a last mile's rate */
    } rows[] = {
        {"listen=127.0.0.1:9000,to=127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1:8000", 0, 0, false, false},
        {"listen=127.0.0.1:9000,to=fra", "127.0.1.5:8088", "fra", 0, 0, false, false}, /* from nowhere */
        {"listen=127.0.0.1:9000,to=fra,from=Tokyo", "127.0.1.5:8088", "fra", 200, 260, false, false},
        {"listen=127.0.0.1:9000, to = FRA , from=Tokyo", "127.0.1.5:8088", "fra", 200, 260, false, false},
        {"listen=127.0.0.1:9000,to=fra,from=Tokyo,profile=3g", "127.0.1.5:8088", "fra", 350, 410, false,
         true},
        {"listen=127.0.0.1:9000,to=fra,from=35.6,139.7", "127.0.1.5:8088", "fra", 200, 260, false, false},
        {"listen=127.0.0.1:9000,to=fra,from=Tokyo,JP,place=Osaka,JP", "127.0.1.5:8088", "fra", 3, 20, false,
         false},
        {"listen=127.0.0.1:9000,to=fra,from=nrt", "127.0.1.5:8088", "fra", 200, 260, false, false},
        {"listen=127.0.0.1:9000,to=127.0.1.5:8088,from=Tokyo", "127.0.1.5:8088", "fra", 200, 260, false,
         false},
        {"listen=127.0.0.1:9000,to=127.0.0.1:1,from=Tokyo", "127.0.0.1:1", "127.0.0.1:1", 0, 0, false, false},
        {"listen=127.0.0.1:9000,to=127.0.0.1:1,rtt=80ms", "127.0.0.1:1", "127.0.0.1:1", 80, 80, false, false},
        {"listen=127.0.0.1:9000,to=fra,from=Tokyo,rtt=80ms", "127.0.1.5:8088", "fra", 80, 80, false, false},
        {"listen=127.0.0.1:9000,to=fra,from=fra", "127.0.1.5:8088", "fra", 0, 0, false, false},
        {"listen=[::1]:9000,to=127.0.0.1:53,udp=yes", "127.0.0.1:53", "127.0.0.1:53", 0, 0, true, false},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct wan_link link = {0};
        struct wan_route route;
        struct cdn_error err;
        char text[CDN_ADDR_TEXT_SIZE];
        ck_assert_msg(read_link(rows[i].text, &link, &err) == CDN_OK, "%s: %s", rows[i].text, err.text);
        cdn_addr_format(&link.target, text);
        ck_assert_str_eq(text, rows[i].target);
        ck_assert_str_eq(link.end.name, rows[i].end);
        ck_assert_int_eq(link.udp, rows[i].udp);
        wan_route_find(&settings, NULL, link.client, &link.end, link.rtt_ns, &route);
        int64_t rtt_ns = route.up.there_ns + route.down.there_ns;
        ck_assert_msg(rtt_ns >= rows[i].least_ms * MS && rtt_ns <= rows[i].most_ms * MS, "%s: %lld ns",
                      rows[i].text, (long long)rtt_ns);
        ck_assert_int_eq(route.down.bytes_per_s != 0, rows[i].line);
        ck_assert_int_eq(route.up.back_ns, route.down.there_ns);
        wan_link_free(&link);
    }
}
END_TEST

START_TEST(mistakes_are_named)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "is not one of listen="},
        {"listen", "is not one of listen="},
        {"listen=127.0.0.1:1", "to: '' is neither HOST:PORT nor a node"},
        {"listen=127.0.0.1:1,to=nobody", "to: 'nobody' is neither HOST:PORT nor a node"},
        {"listen=127.0.0.1:1,to=127.0.0.1:0", "is neither HOST:PORT nor a node"},
        {"to=fra", "listen: '' is not HOST:PORT"},
        {"listen=8080,to=fra", "listen: '8080' is not HOST:PORT"},
        {"listen=10.0.0.1:80,to=fra", "listen: 10.0.0.1:80 is not on loopback"},
        {"listen=127.0.0.1:1,listen=127.0.0.1:2,to=fra", "listen= is there twice"},
        {"listen=127.0.0.1:1,to=fra,speed=1", "'speed' is not one of"},
        {"listen=127.0.0.1:1,to=fra,from=Atlantis", "from: no place 'Atlantis'"},
        {"listen=127.0.0.1:1,to=fra,place=Atlantis", "place: no place 'Atlantis'"},
        {"listen=127.0.0.1:1,to=fra,from=Tokyo,profile=5g", "no profile '5g'"},
        {"listen=127.0.0.1:1,to=fra,profile=5g", "no profile '5g'"},
        {"listen=127.0.0.1:1,to=fra,rtt=soon", "rtt: 'soon' is not a time"},
        {"listen=127.0.0.1:1,to=fra,rtt=-1s", "rtt: '-1s' is not a time"},
        {"listen=127.0.0.1:1,to=fra,rtt=2h", "rtt: '2h' is not a time"},
        {"listen=127.0.0.1:1,to=fra,udp=maybe", "udp: 'maybe' is neither yes nor no"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct wan_link link = {0};
        struct cdn_error err = {0};
        ck_assert_msg(read_link(rows[i].text, &link, &err) == CDN_INVALID, "%s", rows[i].text);
        ck_assert_msg(strstr(err.text, rows[i].words) && strstr(err.text, "cdn.yaml:7: links"), "%s: %s",
                      rows[i].text, err.text);
    }
}
END_TEST

START_TEST(in_a_file_they_are_mappings)
{
    static const char text[] =
        "wan:\n  links:\n    - {listen: '127.0.0.1:9000', to: fra, from: 'Tokyo, JP'}\n"
        "    - 'listen=127.0.0.1:9001,to=fra'\n";
    char path[32];
    struct wan_settings read = {0};
    struct cdn_error err = {0};
    int fd = memfd_create("cdn.yaml", MFD_CLOEXEC);
    ck_assert(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ck_assert_msg(cdn_config_load_item(&wan_program, path, 0, &read, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(read.links.n, 2);
    ck_assert_str_eq(read.links.items[0].key, "listen=127.0.0.1:9000,to=fra,from=Tokyo, JP");
    ck_assert_str_eq(read.links.items[1].key, "listen=127.0.0.1:9001,to=fra");
    ck_assert(strstr(read.links.items[0].origin, ":3"));
    cdn_config_free(&wan_program, &read);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan link");
    TCase *tcase = tcase_create("link");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, links_are_what_they_say);
    tcase_add_test(tcase, mistakes_are_named);
    tcase_add_test(tcase, in_a_file_they_are_mappings);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
