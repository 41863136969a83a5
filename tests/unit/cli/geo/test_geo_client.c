/* The client of a log line, in the forms that servers write. */
#include "cli/geo/geo_client.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <string.h>

#include "common/banned.h"

/* Addresses of documentation count as inside of somebody's network: these here are public ones. */
static const struct {
    const char *client;  /* as --client; NULL: not given */
    const char *line;    /* several, parted by '\n': the last is the one; those before are comments */
    const char *address; /* NULL: none */
} rows[] = {
    /* the usual one */
    {NULL, "8.8.8.8 - - [29/Nov/2026] \"GET / HTTP/1.1\" 200 5", "8.8.8.8"},
    {NULL, "2001:4860:4860::8888 - - \"GET /\"", "2001:4860:4860::8888"},
    {NULL, "2026-11-29T10:00:00Z GET / from 9.9.9.9:4711", "9.9.9.9"},
    {NULL, "10.0.0.1 for 8.8.8.8", "10.0.0.1"},
    {NULL, "no address at 10:00:00, version 1.2.3", NULL},
    {NULL, "", NULL},
    {NULL, "{\"time\":\"1.1.1.1\",\"client_ip\":\"8.8.8.8\"}", "8.8.8.8"},
    {NULL, "{\"remote_ip\":\"1.1.1.1\",\"client_ip\":\"8.8.8.8\"}", "8.8.8.8"},
    {NULL, "{\"request\":{\"remote_ip\":\"1.1.1.1\",\"client_ip\":\"9.9.9.9\"},\"client_ip\":\"8.8.8.8\"}",
     "9.9.9.9"},
    {NULL, "{\"ClientHost\":\"8.8.8.8\",\"ClientAddr\":\"9.9.9.9:1\"}", "8.8.8.8"},
    {NULL, "{\"ClientAddr\":\"[2001:4860:4860::8888]:443\"}", "2001:4860:4860::8888"},
    {NULL, "{\"client\":{\"ip\":\"8.8.8.8\"}}", "8.8.8.8"},
    {NULL, "{\"client.ip\":\"8.8.8.8\"}", "8.8.8.8"},
    {NULL, "{\"client\":\"8.8.8.8\"}", "8.8.8.8"},
    {NULL, "{\"client_ip\":17,\"remote_addr\":\"8.8.8.8\"}", "8.8.8.8"},
    {NULL, "{\"client_ip\":\"-\",\"remote_addr\":\"8.8.8.8\"}", "8.8.8.8"},
    {NULL, "{\"other\":\"8.8.8.8\"}", "8.8.8.8"},    /* the first there is */
    {NULL, "{\"client_ip\":\"8.8.8.8\"", "8.8.8.8"}, /* torn */
    {NULL, "Nov 29 host caddy[1]: {\"client_ip\":\"8.8.8.8\"}", "8.8.8.8"},
    {NULL, "1.1.1.1 {\"client_ip\":\"8.8.8.8\"} and more", "8.8.8.8"},
    {NULL, "[\"8.8.8.8\"]", "8.8.8.8"},
    /* W3C */
    {NULL, "#Fields: date time c-ip cs-uri\n2026-11-29 10:00:00 8.8.8.8 /", "8.8.8.8"},
    {NULL, "#fields: s-ip C-IP\n1.1.1.1 8.8.8.8", "8.8.8.8"},
    {NULL, "#Fields:\ts-ip\tc-ip\n1.1.1.1\t8.8.8.8", "8.8.8.8"},
    {NULL, "#Fields: c-ip c-ip\n8.8.8.8 1.1.1.1", "8.8.8.8"},
    {NULL, "#Fields: s-ip c-ip\n#Fields: c-ip s-ip\n8.8.8.8 1.1.1.1", "8.8.8.8"},
    {NULL, "#Fields: s-ip c-ip\n#Fields: s-ip\n1.1.1.1 8.8.8.8", "1.1.1.1"}, /* it names no client any more */
    {NULL, "#Fields: s-ip c-ip\n1.1.1.1 -", NULL},
    {NULL, "#Fields: s-ip c-ip\n1.1.1.1", NULL},
    {NULL, "#Version: 1.0 c-ip\n1.1.1.1 8.8.8.8", "1.1.1.1"},
    /* columns */
    {"1", "8.8.8.8 1.1.1.1", "8.8.8.8"},
    {"2", "1.1.1.1 8.8.8.8", "8.8.8.8"},
    {"2", "  1.1.1.1 \t 8.8.8.8", "8.8.8.8"},
    {"2", "GET client=8.8.8.8:80,x", "8.8.8.8"},
    {"3", "1.1.1.1 8.8.8.8", NULL},
    {"2", "1.1.1.1 x 8.8.8.8", NULL},
    {"2", "#Fields: c-ip s-ip\n8.8.8.8 1.1.1.1", "1.1.1.1"}, /* said is said */
    {"10000", "8.8.8.8", NULL},
    /* names */
    {"cs-addr", "#Fields: c-ip cs-addr\n1.1.1.1 8.8.8.8", "8.8.8.8"},
    {"CS-Addr", "#Fields: c-ip cs-addr\n1.1.1.1 8.8.8.8", "8.8.8.8"},
    {"cs-addr", "#Fields: c-ip\n1.1.1.1 8.8.8.8", NULL},
    {"a.b", "{\"a\":{\"b\":\"8.8.8.8\"}}", "8.8.8.8"},
    {"a.b", "{\"a.b\":\"8.8.8.8\",\"a\":{\"b\":\"1.1.1.1\"}}", "8.8.8.8"},
    {"a.b", "{\"a\":[{\"b\":[\"8.8.8.8\",\"1.1.1.1\"]}]}", "8.8.8.8"},
    {"a.b.c", "{\"a\":{\"b.c\":\"8.8.8.8\"}}", "8.8.8.8"},
    {"a.b", "{\"a\":{\"c\":\"8.8.8.8\"}}", NULL},
    {"a.b", "{\"a\":\"8.8.8.8\"}", NULL},
    {"a", "{\"A\":\"8.8.8.8\"}", NULL},
    {"a", "{\"a\":[]}", NULL},
    {"a", "8.8.8.8", NULL},
    {"a", "{\"a\":\"8.8.8.8\"", NULL},
    /* X-Forwarded-For: from the right, past trusted proxies and private networks */
    {"xff", "X-Forwarded-For: 8.8.8.8, 10.0.0.1", "8.8.8.8"},
    {"xff", "x-forwarded-for=9.9.9.9,8.8.8.8,192.168.0.1", "8.8.8.8"},
    {"XFF", "xff=\"9.9.9.9, 8.8.8.8\" 200", "8.8.8.8"},
    {"xff", "X-Forwarded-For: 8.8.8.8, 5.5.5.5, 10.0.0.1", "8.8.8.8"}, /* 5.5.5.0/24 is trusted */
    {"xff", "X-Forwarded-For: 10.0.0.1, 5.5.5.5", "10.0.0.1"},         /* all are: the first */
    {"xff", "1.1.1.1 - - \"GET / HTTP/1.1\" 200 \"-\" \"curl\" \"9.9.9.9, 8.8.8.8\"", "8.8.8.8"},
    {"xff", "1.1.1.1 - - \"GET / HTTP/1.1\" 200 \"9.9.9.9\" \"8.8.8.8\"", "8.8.8.8"}, /* the last such */
    {"xff", "1.1.1.1 - - \"GET / HTTP/1.1\" 200 \"-\"", "1.1.1.1"},
    {"xff", "5.5.5.5 - - \"GET /\" \"-\"", "5.5.5.5"},
    {"xff", "{\"x_forwarded_for\":\"9.9.9.9, 8.8.8.8, 10.1.1.1\",\"client\":\"5.5.5.5\"}", "8.8.8.8"},
    {"xff", "{\"http_x_forwarded_for\": \"8.8.8.8\"}", "8.8.8.8"},
    {"xff", "{\"headers\":{\"X-Forwarded-For\":[\"9.9.9.9, 8.8.8.8\"]},\"ip\":\"5.5.5.5\"}", "8.8.8.8"},
    {"xff", "Forwarded: for=9.9.9.9, for=\"[2001:4860:4860::8888]:4711\";proto=https",
     "2001:4860:4860::8888"},
    {"xff", "Forwarded: for=9.9.9.9, for=\"[2001:4860:4860::8888]\"", "2001:4860:4860::8888"},
    {"xff", "Forwarded: for=\"[2001:4860:4860::8888]\", for=8.8.8.8", "8.8.8.8"},
    {"xff", "Forwarded: for=9.9.9.9, for=\"8.8.8.8:80\", for=10.0.0.1 1.1.1.1", "8.8.8.8"},
    {"xff", "Forwarded: for=9.9.9.9;by=\"_x\", for=8.8.8.8;proto=http", "8.8.8.8"},
    {"xff", "forwarded=for=9.9.9.9,for=\"8.8.8.8", "9.9.9.9"}, /* cut off */
    {"xff", "[Forwarded: for=8.8.8.8] \"1.1.1.1\"", "8.8.8.8"},
    {"xff", "{\"forwarded\":\"for=9.9.9.9, for=\\\"[2001:4860:4860::8888]:1\\\"\"}", "2001:4860:4860::8888"},
    {"xff", "Forwarded: FOR=\"[2001:4860:4860::8888]\"", "2001:4860:4860::8888"},
    {"xff", "http_x_forwarded_for=\"9.9.9.9\", upstream=\"8.8.8.8\"", "9.9.9.9"},
    {"xff", "x-forwarded-for=\"9.9.9.9, 8.8.8.8\" upstream=\"1.1.1.1\"", "8.8.8.8"},
    {"xff", "X-Forwarded-For: unknown, 8.8.8.8", "8.8.8.8"},
    {"xff", "X-Forwarded-For: 2001:4860:4860::8888, fd00::1, ::1", "2001:4860:4860::8888"},
    {"xff", "X-Forwarded-For: - 8.8.8.8", "8.8.8.8"},
    {"xff", "nothing", NULL},
    {"xff", "", NULL},
};

static struct router_table *table;

static void set_up(void)
{
    table = TABLE_OF("--simulate", "--edge", "name=fra,place=Frankfurt,url=http://a", "--trusted-proxies",
                     "5.5.5.0/24");
}

static void tear_down(void)
{
    router_table_unref(table);
}

START_TEST(clients)
{
    char text[CDN_ADDR_TEXT_SIZE] = "-";
    struct cdn_error err = {0};
    struct geo_client client;
    struct cdn_addr address;
    struct cdn_str rest = cdn_str(rows[_i].line);
    ck_assert_int_eq(geo_client_init(&client, rows[_i].client, table, &err), CDN_OK);
    struct cdn_str line = cdn_str_cut(&rest, '\n');
    for (; rest.p; line = cdn_str_cut(&rest, '\n')) {
        ck_assert(geo_client_comment(&client, line));
    }
    ck_assert(!geo_client_comment(&client, line));
    /* in memory of its own length, so that a step beyond its end is seen */
    CDN_AUTOFREE char *copy = line.n ? cdn_malloc(line.n) : NULL;
    if (copy) {
        memcpy(copy, line.p, line.n);
    }
    if (geo_client_find(&client, (struct cdn_str){copy ? copy : "", line.n}, &address)) {
        cdn_addr_format_ip(&address, text);
    }
    ck_assert_msg(strcmp(text, rows[_i].address ? rows[_i].address : "-") == 0, "%s: %s: %s",
                  rows[_i].client ? rows[_i].client : "", rows[_i].line, text);
}
END_TEST

static const struct {
    const char *text, *error; /* a part of it; NULL: fine */
} choices[] = {
    {NULL, NULL},           {"1", NULL},
    {"10000", NULL},        {"xff", NULL},
    {"a.b", NULL},          {"4x", NULL}, /* a name */
    {"-1", NULL},           {"0", "columns count from 1 to 10000, not 0"},
    {"10001", "not 10001"}, {"", "a column, a name or xff is needed"},
};

START_TEST(choices_of_the_option)
{
    struct cdn_error err = {0};
    struct geo_client client;
    const enum cdn_status status = geo_client_init(&client, choices[_i].text, table, &err);
    ck_assert_int_eq(status, choices[_i].error ? CDN_USAGE : CDN_OK);
    ck_assert_msg(!choices[_i].error || strstr(err.text, choices[_i].error), "%s", err.text);
}
END_TEST

/* However many addresses a client sends, those at the end count. */
START_TEST(long_lists)
{
    struct geo_client client;
    struct cdn_addr address;
    struct cdn_error err;
    char text[CDN_ADDR_TEXT_SIZE];
    CDN_AUTOBUF struct cdn_buf line = {0};
    cdn_buf_printf(&line, "X-Forwarded-For: 1.1.1.1");
    for (unsigned i = 0; i < 300; i++) {
        cdn_buf_printf(&line, ", 9.9.9.9");
    }
    cdn_buf_printf(&line, ", 8.8.8.8");
    for (unsigned i = 0; i < 40; i++) {
        cdn_buf_printf(&line, ", 10.0.0.%u", i);
    }
    ck_assert_int_eq(geo_client_init(&client, "xff", table, &err), CDN_OK);
    ck_assert(geo_client_find(&client, cdn_buf_str(&line), &address));
    cdn_addr_format_ip(&address, text);
    ck_assert_str_eq(text, "8.8.8.8");
    for (unsigned i = 0; i < 200; i++) { /* more than are looked at: never one that is made up */
        cdn_buf_printf(&line, ", 10.0.1.%u", i);
    }
    ck_assert(geo_client_find(&client, cdn_buf_str(&line), &address));
    cdn_addr_format_ip(&address, text);
    ck_assert_str_eq(text, "10.0.1.136"); /* the 64th from the end */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("geo_client");
    TCase *all = tcase_create("all");
    tcase_add_unchecked_fixture(all, set_up, tear_down); /* once: nobody changes the table */
    tcase_add_loop_test(all, clients, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(all, choices_of_the_option, 0, (int)CDN_ARRAY_LEN(choices));
    tcase_add_test(all, long_lists);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
