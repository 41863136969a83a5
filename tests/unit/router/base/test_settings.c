/* Where edges come from (flags, a file, the defaults), and what is filled in for them; also that
 * thousands are read in moments. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"
#include "router/choice/overrides.h"
#include "router/choice/select.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

/* "url admin place weight" of the first edge. */
static char *edge_text(const struct router_config *config, size_t i)
{
    const struct router_edge_settings *s = &config->edges[i].settings;
    return cdn_asprintf("%s %s %s %llu", s->url, s->admin, s->place, (unsigned long long)s->weight);
}

START_TEST(edges_from_flags)
{
    static const struct {
        const char *edge, *text;
    } rows[] = {
        {"name=fra", "http://127.0.1.1:8088 http://127.0.1.1:9088 fra 1"},
        {"name=fra,place=Frankfurt,weight=3", "http://127.0.1.1:8088 http://127.0.1.1:9088 Frankfurt 3"},
        {"name=a,place=50.1,8.7", "http://127.0.1.1:8088 http://127.0.1.1:9088 50.1,8.7 1"},
        {"name=a,place=50.1,8.7,weight=2", "http://127.0.1.1:8088 http://127.0.1.1:9088 50.1,8.7 2"},
        {" name = a , place = Frankfurt,DE ", "http://127.0.1.1:8088 http://127.0.1.1:9088 Frankfurt,DE 1"},
        {"name=fra,listen=10.0.0.1:80", "http://10.0.0.1:80 http://10.0.0.1:1080 fra 1"},
        {"name=fra,listen=[2001:db8::1]:80", "http://[2001:db8::1]:80 http://[2001:db8::1]:1080 fra 1"},
        {"name=fra,url=http://e.example", "http://e.example http://e.example:1080 fra 1"},
        {"name=fra,url=https://e.example/", "https://e.example http://e.example:1443 fra 1"},
        {"name=fra,url=http://e.example:81,listen=10.0.0.1:80",
         "http://e.example:81 http://10.0.0.1:1080 fra 1"},
        {"name=fra,url=http://e.example,admin=10.0.0.1:99", "http://e.example http://10.0.0.1:99 fra 1"},
        {"name=fra,url=http://e.example,admin=https://x", "http://e.example https://x fra 1"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        char program[] = "router", flag[] = "--edge";
        CDN_AUTOFREE char *edge = cdn_strdup(rows[i].edge);
        char *argv[] = {program, flag, edge, NULL};
        struct router_config config = {0};
        enum cdn_config_outcome outcome;
        struct cdn_error err = {0};
        ck_assert_msg(router_config_load(3, argv, &config, &outcome, &err) == CDN_OK, "row %zu: %s", i,
                      err.text);
        ck_assert_uint_eq(config.edge_count, 1);
        CDN_AUTOFREE char *text = edge_text(&config, 0);
        ck_assert_str_eq(text, rows[i].text);
        router_config_free(&config);
    }
}
END_TEST

START_TEST(default_edges)
{
    struct router_config config = {0};
    ck_assert_int_eq(router_config_read(NULL, &config, NULL), CDN_OK);
    ck_assert_uint_eq(config.edge_count, 10);
    CDN_AUTOFREE char *last = edge_text(&config, 9);
    ck_assert_msg(cdn_str_starts(cdn_str(last), CDN_STR("http://127.0.1.10:8088 http://127.0.1.10:9088 ")),
                  "%s", last);
    router_config_free(&config);
}
END_TEST

START_TEST(edges_from_a_file)
{
    static const char yaml[] =
        "router:\n  policy: distance\n  overrides:\n    10.0.0.0/8: edge:b\n"
        "edges:\n  - name: a\n    place: Tokyo\n    listen: 127.0.9.1:8088\n    memory: 1GiB\n"
        "  - name: b\n    place: Oslo\n    weight: 4\n";
    char path[] = "/tmp/router-settings-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, yaml, sizeof(yaml) - 1), sizeof(yaml) - 1);
    close(fd);
    struct router_config config = {0};
    struct router_table *table = NULL;
    struct cdn_error err = {0};
    ck_assert_msg(router_config_read(path, &config, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(config.edge_count, 2);
    CDN_AUTOFREE char *first = edge_text(&config, 0), *second = edge_text(&config, 1);
    ck_assert_str_eq(first, "http://127.0.9.1:8088 http://127.0.9.1:9088 Tokyo 1");
    ck_assert_str_eq(second, "http://127.0.1.2:8088 http://127.0.1.2:9088 Oslo 4");
    ck_assert_msg(router_table_create(&config, &table, &err) == CDN_OK, "%s", err.text);
    ck_assert_int_eq(table->policy, ROUTER_POLICY_DISTANCE);
    struct cdn_addr a = addr("10.1.1.1");
    const struct router_override *o = router_overrides_find(table->overrides, &a);
    ck_assert_str_eq(edge_name(table, o->edge), "b");
    ck_assert_msg(strstr(o->origin, path) && strstr(o->origin, ":4"), "%s", o->origin); /* file and line */
    router_table_unref(table);
    router_config_free(&config);
    unlink(path);
}
END_TEST

/* A file of n edges, read. */
static enum cdn_status read_many(size_t n, struct router_config *ret, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf yaml = {0};
    cdn_buf_printf(&yaml, "edges:\n");
    for (size_t i = 0; i < n; i++) {
        cdn_buf_printf(&yaml, "  - {name: e%zu, place: '%zu,%zu', listen: '127.0.0.1:%zu'}\n", i, i % 90,
                       i % 180, 10000 + i);
    }
    char path[] = "/tmp/router-settings-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, yaml.p, yaml.n), (ssize_t)yaml.n);
    close(fd);
    enum cdn_status status = router_config_read(path, ret, err);
    unlink(path);
    return status;
}

START_TEST(thousands_of_edges)
{
    struct router_config config = {0};
    struct cdn_error err = {0};
    ck_assert_msg(read_many(2000, &config, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(config.edge_count, 2000);
    CDN_AUTOFREE char *last = edge_text(&config, 1999);
    ck_assert_str_eq(last, "http://127.0.0.1:11999 http://127.0.0.1:12999 19,19 1");
    router_config_free(&config);
    ck_assert_int_eq(read_many(4097, &config, &err), CDN_TOO_LARGE);
    ck_assert_msg(strstr(err.text, "edges: more than 4096 items"), "%s", err.text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {edges_from_flags, default_edges, edges_from_a_file, thousands_of_edges};
    return run_suite("settings", tests, CDN_ARRAY_LEN(tests));
}
