/* Lines from a stencil are the lines that would have been printed without one. */
#include "cli/geo/geo.h"
#include "cli/geo/geo_memo.h"
#include "cli/geo/geo_row.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/decide/decide.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define WORLD CDN_SOURCE_DIR "/geo-data/world.mmdb"

static struct router_table *table;

static void set_up(void)
{
    table = TABLE_OF("--simulate", "--edge", "name=fra,place=Frankfurt,url=http://a", "--edge",
                     "name=nrt,place=Tokyo,url=http://b", "--edge", "name=iad,place=Ashburn,url=http://c",
                     "--database", WORLD, "--overrides", "10.1.0.0/16=edge:nrt", "--overrides",
                     "8.8.0.0/16=Paris", "--overrides", "1.1.1.1/32=Paris", "--default-place", "Frankfurt");
}

static void tear_down(void)
{
    router_table_unref(table);
}

static const struct geo_options forms[] = {
    {.csv = true},
    {.tsv = true},
    {.csv = true, .fields = "line,ip,network,country,city,edge"},
    {.tsv = true, .fields = "network,network,ip"},
    {.format = "%{ip} %{network} %{line} %{country} %{near} %{edge} %{rtt_ms}"},
    {.format = "%{line}%{line}%{ip}"},
    {.format = "no fields, %% and \\t only"},
    {.format = "%{country}\1\2\3%{edge}"}, /* the marks themselves */
    {.format = "%{edges}"},
};

/* One address of each kind, and its neighbours; then many at random. */
static struct cdn_addr address(unsigned i, uint64_t *state)
{
    static const char *const special[] = {"10.1.0.1",
                                          "8.8.8.8",
                                          "8.8.4.4",
                                          "127.0.0.1",
                                          "192.0.2.7",
                                          "0.0.0.0",
                                          "255.255.255.255",
                                          "::1",
                                          "2001:db8::1",
                                          "::",
                                          "2001:4860:4860::8888",
                                          "2001:4860:4860::8844",
                                          "1.1.1.2",
                                          "1.1.1.1",
                                          "1.1.1.2"};
    struct cdn_addr a = {.v4 = {.sin_family = AF_INET}};
    if (i < CDN_ARRAY_LEN(special)) {
        return addr(special[i]);
    }
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    const uint64_t bits = *state * 0x2545f4914f6cdd1du;
    a.v4.sin_addr.s_addr = (uint32_t)(bits >> 32);
    if (i % 3 == 0) {
        a = (struct cdn_addr){.v6 = {.sin6_family = AF_INET6}};
        memcpy(a.v6.sin6_addr.s6_addr, &bits, 8);
        static const unsigned char blocks[][2] = {{0x2a, 0x02}, {0x26, 0x00}, {0x24, 0x00}, {0x20, 0x01}};
        memcpy(a.v6.sin6_addr.s6_addr, blocks[i / 3 % 4], 2);
        a.v6.sin6_addr.s6_addr[2] &= 0x1f;
    }
    return a;
}

START_TEST(the_same_lines)
{
    struct geo_printer *printer;
    struct cdn_error err = {0};
    uint64_t state = 4711;
    CDN_AUTOBUF struct cdn_buf with = {0};
    CDN_AUTOBUF struct cdn_buf without = {0};
    ck_assert_msg(geo_printer_create(&forms[_i], &printer, &err) == CDN_OK, "%s", err.text);
    ck_assert(geo_printer_repeats(printer));
    struct geo_memo *memo = geo_memo_create(printer);
    for (unsigned i = 0; i < 600; i++) {
        if (i == 300) {
            state = 4711; /* the same once more: now all records are known */
        }
        const struct cdn_addr a = address(i % 300, &state);
        struct geo_row row = {.table = table, .question.client = a, .line = i + 1};
        struct geo_row plain = row;
        cdn_buf_clear(&with);
        cdn_buf_clear(&without);
        const enum geo_found found = geo_memo_row(memo, &row, &with);
        router_decide(table, &plain.question, NULL, &plain.decision);
        geo_printer_row(printer, &plain, NULL, &without);
        ck_assert_msg(cdn_str_eq(cdn_buf_str(&with), cdn_buf_str(&without)), "%u: %s instead of %s", i,
                      with.p, without.p);
        ck_assert_int_eq(found, geo_row_found(&plain));
    }
    geo_memo_destroy(memo);
    geo_printer_destroy(printer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("geo_memo");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, the_same_lines, 0, (int)CDN_ARRAY_LEN(forms));
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
