/* Overrides by network, AS, country and continent: entries, precedence, what each action does, health inside
 * the limits, and that the compiled table says what the chain says. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/database.h"
#include "geo-data/geo.h"
#include "geo-data/mmdb_encode.h"
#include "geo-data/tools/mmdb_writer.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/decide/compiled.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/dns/dns_pick.h"
#include "router/dns/dns_zone.h"
#include "router/table/table.h"
#include "tests/unit/geo/rows.h"
#include "tests/unit/router/dns_help.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define NL "193.0.0.1"
#define US "8.8.8.8"
#define JP "133.11.0.1"
#define ZA "196.25.1.1"
#define PAIR(text) "--overrides", text

/* The networks that the rows ask about, as the whole database has them. Its table is compiled in a
 * thousandth of the time, and rows compile one each. */
static const struct {
    const char *network, *country, *continent;
    double lat, lon;
} known[] = {
    {"193.0.0.0/20", "NL", "EU", 52.34, 4.85},    {"8.8.0.0/17", "US", "NA", 32.59, -92.07},
    {"133.10.0.0/15", "JP", "AS", 35.68, 139.75}, {"196.25.0.0/20", "ZA", "AF", -26.03, 28.09},
    {"2001:678::/29", "DE", "EU", 51.49, 7.12},   {"2001:610::/28", "NL", "EU", 51.94, 5.32},
};

/* {country: {iso_code}, continent: {code}, location: {latitude, longitude, accuracy_radius}} */
static void put_place(struct cdn_buf *out, size_t i)
{
    mmdb_put_map(out, 3);
    mmdb_put_string(out, CDN_STR("country"));
    mmdb_put_map(out, 1);
    mmdb_put_string(out, CDN_STR("iso_code"));
    mmdb_put_string(out, cdn_str(known[i].country));
    mmdb_put_string(out, CDN_STR("continent"));
    mmdb_put_map(out, 1);
    mmdb_put_string(out, CDN_STR("code"));
    mmdb_put_string(out, cdn_str(known[i].continent));
    mmdb_put_string(out, CDN_STR("location"));
    mmdb_put_map(out, 3);
    mmdb_put_string(out, CDN_STR("latitude"));
    mmdb_put_double(out, known[i].lat);
    mmdb_put_string(out, CDN_STR("longitude"));
    mmdb_put_double(out, known[i].lon);
    mmdb_put_string(out, CDN_STR("accuracy_radius"));
    mmdb_put_uint16(out, 100);
}

/* The path of a small database, which is in this process's memory. */
static char *small_world(void)
{
    static const struct mmdb_metadata metadata = {.database_type = GEO_WORLD_TYPE, .build_epoch = 1};
    static char path[64];
    if (!path[0]) {
        CDN_AUTOBUF struct cdn_buf file = {0};
        struct mmdb_writer *w = mmdb_writer_create(6);
        for (size_t i = 0; i < CDN_ARRAY_LEN(known); i++) {
            CDN_AUTOBUF struct cdn_buf record = {0};
            put_place(&record, i);
            insert_text(w, known[i].network, mmdb_writer_add(w, cdn_buf_str(&record)));
        }
        ck_assert_int_eq(mmdb_writer_finish(w, &metadata, &file, NULL), CDN_OK);
        mmdb_writer_destroy(w);
        const int fd = memfd_create("small", MFD_CLOEXEC);
        ck_assert_int_eq(write(fd, file.p, file.n), (ssize_t)file.n);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    return path;
}

#define SMALL "--database", small_world()

START_TEST(bad_entries)
{
    static const struct {
        const char *one, *two, *says;
    } rows[] = {
        {"country:XX=fra", NULL, "country:XX: 'XX' is not the code of a country"},
        {"country:=fra", NULL, "is not the code of a country"},
        {"country:DEU=fra", NULL, "'DEU' is not the code"},
        {"country:Germany=fra", NULL, "'Germany' is not the code"},
        {"continent:EX=fra", NULL, "'EX' is not a continent: AF AN AS EU NA OC SA"},
        {"continent:Europe=fra", NULL, "'Europe' is not a continent"},
        {"asn:=Tokyo", NULL, "'' is not the number of an AS"},
        {"asn:0=Tokyo", NULL, "'0' is not the number of an AS, 1 to 4294967295"},
        {"asn:4294967296=Tokyo", NULL, "'4294967296' is not"},
        {"asn:-1=Tokyo", NULL, "'-1' is not"},
        {"asn:ASN1=Tokyo", NULL, "'ASN1' is not"},
        {"AS12x=Tokyo", NULL, "'AS12x' is not"},
        {"region:EU=Tokyo", NULL, "'region:EU' is not a network"},
        {"asn:3320=Tokyo", NULL, "asn:3320: the database knows no AS numbers; put one that does behind it"},
        {"country:DE=", NULL, "country:DE: says neither a place nor an edge"},
        {"country:DE=;", NULL, "says neither a place nor an edge"},
        {"country:DE=Tokyo;", NULL, "says neither a place nor an edge"},
        {"country:DE=edge:", NULL, "there is no edge ''"},
        {"country:DE=edge:nobody", NULL, "there is no edge 'nobody'"},
        {"country:DE=only:", NULL, "only: without an edge"},
        {"country:DE=only:fra,", NULL, "only: without an edge"},
        {"country:DE=only:fra,nobody", NULL, "there is no edge 'nobody'"},
        {"country:DE=exclude:nobody", NULL, "there is no edge 'nobody'"},
        {"country:DE=prefer:fra within soon", NULL, "within 'soon' is not a time"},
        {"country:DE=prefer:fra within -1ms", NULL, "within '-1ms' is not a time"},
        {"country:DE=only:fra within 5ms", NULL, "there is no edge 'fra within 5ms'"},
        {"country:DE=Tokyo; Oslo", NULL, "two places: 'Tokyo' and 'Oslo'"},
        {"country:DE=edge:fra;edge:lhr", NULL, "edge: is there twice"},
        {"country:DE=only:fra;only:lhr", NULL, "only: is there twice"},
        {"country:DE=only:fra;exclude:fra", NULL, "only: and exclude: leave no edge"},
        {"country:DE=exclude:iad,sjc,gru,lhr,fra,jnb,bom,sin,nrt,syd", NULL, "leave no edge"},
        {"country:DE=only:fra;edge:lhr", NULL, "edge 'lhr' shall come first, and is left out"},
        {"country:DE=exclude:fra;prefer:fra,lhr", NULL, "edge 'fra' shall come first, and is left out"},
        {"country:DE=edge:fra;prefer:lhr", NULL, "edge: and prefer: both say"},
        {"country:DE=onyl:fra", NULL, "no place 'onyl:fra'"},
        {"country:DE=Tokyo", "country:de=Oslo", "country:DE 'Oslo' is already there"},
        {"continent:EU=Tokyo", "continent:eu=Tokyo", "continent:EU 'Tokyo' is already there"},
        {"asn:3320=Tokyo", "AS3320=Oslo", "asn:3320 'Oslo' is already there"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_table *table = NULL;
        struct cdn_error err = {0};
        enum cdn_status status = table_try(&table, &err, "--overrides", rows[i].one,
                                           rows[i].two ? "--overrides" : NULL, rows[i].two, NULL);
        ck_assert_msg(status == CDN_INVALID && !table, "row %zu: %d", i, status);
        ck_assert_msg(strstr(err.text, rows[i].says), "row %zu: %s", i, err.text);
    }
}
END_TEST

/* The chain and the compiled table, which have to agree. */
static void check(const struct router_table *table, const char *ip, const char *edge, const char *next,
                  const char *reason, size_t row)
{
    struct router_question question = {.client = addr(ip), .path = CDN_STR("/a.js")};
    struct router_decision d;
    struct router_brief b;
    router_decide(table, &question, NULL, &d);
    router_decide_brief(table, &question, 2, &b);
    ck_assert_msg(strcmp(edge_name(table, d.choice.edge), edge) == 0, "row %zu: %s: edge %s", row, ip,
                  edge_name(table, d.choice.edge));
    if (next) {
        ck_assert_msg(strcmp(edge_name(table, d.choice.runner_up), next) == 0, "row %zu: runner-up %s", row,
                      edge_name(table, d.choice.runner_up));
    }
    ck_assert_msg(strcmp(router_reason_word(d.reason), reason) == 0, "row %zu: %s: reason %s", row, ip,
                  router_reason_word(d.reason));
    ck_assert_msg(b.count ==
                      (size_t)(d.choice.edge != ROUTER_NO_EDGE) + (d.choice.runner_up != ROUTER_NO_EDGE),
                  "row %zu: %u edges", row, b.count);
    ck_assert(b.count < 1 || b.edges[0] == d.choice.edge);
    ck_assert(b.count < 2 || b.edges[1] == d.choice.runner_up);
    ck_assert_int_eq(b.reason, d.reason);
    ck_assert_int_eq(b.ambiguous, d.ambiguous);
    ck_assert_int_eq(b.optimistic, d.choice.optimistic);
}

static void flags_set(const struct router_table *table, const char *names, enum router_edge_flag flag)
{
    struct cdn_str rest = cdn_str(names);
    while (rest.p && rest.n > 0) {
        uint16_t edge = router_edges_find(table->edges, cdn_str_cut(&rest, ' '));
        ck_assert_int_ne(edge, ROUTER_NO_EDGE);
        router_edge_flag_set(table->edges, edge, flag, true);
    }
}

START_TEST(actions)
{
    static const struct {
        const char *overrides[3], *sick, *drained, *ip, *edge, *next, *reason;
    } rows[] = {
        {{"country:NL=only:iad,nrt"}, "", "", NL, "iad", "nrt", "override"},
        {{"country:nl=only:iad"}, "", "", NL, "iad", "-", "override"},
        {{"country:NL=only:iad"}, "", "", US, "iad", "sjc", "geo"},
        {{"continent:EU=only:iad,nrt"}, "", "", NL, "iad", "nrt", "override"},
        {{"continent:eu=Tokyo"}, "", "", NL, "nrt", "sin", "override"},
        {{"country:NL=Tokyo"}, "", "", NL, "nrt", "sin", "override"},
        {{"country:NL=edge:syd"}, "", "", NL, "syd", "lhr", "override"},
        {{"country:NL=edge:syd;Tokyo"}, "", "", NL, "syd", "nrt", "override"},
        {{"country:NL=exclude:fra,lhr"}, "", "", NL, "iad", NULL, "override"},
        {{"country:NL=prefer:syd"}, "", "", NL, "syd", NULL, "override"},
        {{"country:NL=prefer:syd,iad"}, "", "", NL, "iad", "syd", "override"},
        {{"country:NL=prefer:syd within 50ms"}, "", "", NL, "lhr", NULL, "override"},
        {{"country:NL=prefer:iad within 500ms"}, "", "", NL, "iad", NULL, "override"},
        {{"country:NL=only:iad,nrt;prefer:nrt"}, "", "", NL, "nrt", "iad", "override"},
        {{"country:NL=only:iad,nrt;Sydney"}, "", "", NL, "nrt", "iad", "override"},
        {{"country:NL=only:iad;nrt"}, "", "", NL, "iad", "nrt", "override"}, /* as [only:iad,nrt] comes */
        {{"country:NL=prefer:iad;syd within 900ms"}, "", "", NL, "iad", "syd", "override"},
        /* network, then country, then continent; one counts, whole */
        {{"country:NL=only:iad", "continent:EU=only:nrt"}, "", "", NL, "iad", "-", "override"},
        {{"country:NL=only:iad", "193.0.0.0/24=Tokyo"}, "", "", NL, "nrt", "sin", "override"},
        {{"country:NL=only:iad", "193.0.0.0/24=edge:syd"}, "", "", NL, "syd", "lhr", "override"},
        {{"country:NL=Tokyo", "193.0.0.0/24=only:iad"}, "", "", NL, "iad", "-", "override"},
        {{"193.0.0.0/16=only:iad", "193.0.0.0/24=only:nrt"}, "", "", NL, "nrt", "-", "override"},
        /* health, inside of what is allowed */
        {{"country:NL=only:iad,nrt"}, "iad", "", NL, "nrt", "-", "health"},
        {{"country:NL=only:iad,nrt"}, "iad nrt", "", NL, "iad", "nrt", "override"}, /* optimistic */
        {{"country:NL=only:iad,nrt"}, "iad", "nrt", NL, "iad", "-", "override"},
        {{"country:NL=only:iad,nrt"}, "", "iad nrt", NL, "-", "-", "health"},
        {{"country:NL=only:iad"}, "iad", "", NL, "iad", "-", "override"},
        {{"country:NL=prefer:syd"}, "syd", "", NL, "lhr", NULL, "health"},
        {{"country:NL=prefer:syd,iad"}, "iad", "", NL, "syd", NULL, "health"},
        {{"country:NL=edge:syd;exclude:fra"}, "syd", "", NL, "lhr", NULL, "health"},
        /* special addresses are in no country, and others are not touched */
        {{"continent:NA=only:syd", "continent:EU=only:syd"}, "", "", "10.0.0.1", "iad", "sjc", "special"},
        {{"continent:EU=only:syd"}, "", "", ZA, "jnb", NULL, "geo"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        const char *const *o = rows[i].overrides;
        struct router_table *table = TABLE_OF(SMALL, "--overrides", o[0], o[1] ? "--overrides" : NULL, o[1]);
        flags_set(table, rows[i].sick, ROUTER_EDGE_SICK);
        flags_set(table, rows[i].drained, ROUTER_EDGE_DRAINED);
        check(table, rows[i].ip, rows[i].edge, rows[i].next, rows[i].reason, i);
        ck_assert_int_eq(router_compiled_build(table, NULL, NULL), CDN_OK);
        check(table, rows[i].ip, rows[i].edge, rows[i].next, rows[i].reason, i);
        router_table_unref(table);
    }
}
END_TEST

/* An edge that the operator pins does not break a restriction; one that a client asks for neither. */
START_TEST(pins)
{
    struct router_table *table = TABLE_OF("--simulate", PAIR("country:NL=only:iad,nrt"));
    struct router_question question = {.client = addr(NL)};
    struct router_decision d;
    router_edges_pin(table->edges, edge_named(table, "syd"));
    check(table, NL, "iad", "nrt", "override", 0);
    check(table, US, "syd", "iad", "pinned", 1);
    router_edges_pin(table->edges, edge_named(table, "nrt"));
    check(table, NL, "nrt", "iad", "pinned", 2);
    router_edges_pin(table->edges, ROUTER_NO_EDGE);
    static const struct {
        const char *pin, *edge;
    } rows[] = {
        {"edge:nrt", "nrt"}, {"edge:syd", "iad"}, {"Tokyo", "nrt"}, {"Amsterdam", "iad"}, {JP, "nrt"}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        question.pin = cdn_str(rows[i].pin);
        router_decide(table, &question, NULL, &d);
        ck_assert_msg(strcmp(edge_name(table, d.choice.edge), rows[i].edge) == 0, "row %zu: %s", i,
                      edge_name(table, d.choice.edge));
    }
    router_table_unref(table);
}
END_TEST

/* Edges of one place, of which only one is meant. */
START_TEST(edges_of_one_place)
{
    static const struct {
        const char *override, *sick, *edge, *next, *reason;
    } rows[] = {
        {"country:NL=only:b", "", "b", "-", "override"},
        {"country:NL=only:b,c", "", "b", "c", "override"},
        {"country:NL=prefer:b", "", "b", "c", "override"},
        {"country:NL=prefer:b", "b", "a", "c", "health"},
        {"country:NL=prefer:b", "a b", "c", "-", "health"},
        {"country:NL=exclude:a", "b", "c", "-", "health"},
        {"country:NL=prefer:c within 1ms", "", NULL, "c", "override"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_table *table = TABLE_OF(
            SMALL, "--edge", "name=a,place=Paris,url=http://a", "--edge", "name=b,place=Paris,url=http://b",
            "--edge", "name=c,place=Tokyo,url=http://c", "--overrides", rows[i].override);
        flags_set(table, rows[i].sick, ROUTER_EDGE_SICK);
        struct router_question question = {.client = addr(NL), .path = CDN_STR("/a.js")};
        struct router_brief b;
        router_decide_brief(table, &question, 2, &b);
        const char *edge = rows[i].edge ? rows[i].edge : edge_name(table, b.edges[0]);
        check(table, NL, edge, rows[i].next, rows[i].reason, i);
        ck_assert_int_eq(router_compiled_build(table, NULL, NULL), CDN_OK);
        check(table, NL, edge, rows[i].next, rows[i].reason, i);
        router_table_unref(table);
    }
}
END_TEST

/* ---- AS numbers ---- */

static char *as_database(void)
{
    static const struct {
        const char *network;
        uint32_t asn;
    } rows[] = {
        {"193.0.0.0/21", 3333}, {"193.0.4.0/24", 64500}, {"8.0.0.0/9", 3356}, {"2001:67c::/33", 3333}};
    const struct mmdb_metadata metadata = {.database_type = "test-ASN", .build_epoch = 1};
    CDN_AUTOBUF struct cdn_buf file = {0};
    struct mmdb_writer *w = mmdb_writer_create(6);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        CDN_AUTOBUF struct cdn_buf record = {0};
        mmdb_put_map(&record, 1);
        mmdb_put_string(&record, CDN_STR("autonomous_system_number"));
        mmdb_put_uint32(&record, rows[i].asn);
        insert_text(w, rows[i].network, mmdb_writer_add(w, cdn_buf_str(&record)));
    }
    ck_assert_int_eq(mmdb_writer_finish(w, &metadata, &file, NULL), CDN_OK);
    mmdb_writer_destroy(w);
    return write_file(file.p, file.n);
}

/* The AS from a file of its own: it cuts through the networks of the other one. */
START_TEST(as_numbers)
{
    static const struct {
        const char *ip, *edge, *reason;
        unsigned scope_least; /* the answer must not hold for more */
    } rows[] = {
        {"193.0.0.1", "syd", "override", 21},   {"193.0.3.255", "syd", "override", 21},
        {"193.0.4.1", "fra", "geo", 24},        {"193.0.5.0", "syd", "override", 21},
        {"193.0.8.1", "fra", "geo", 21},        {"193.0.6.139", "nrt", "override", 24},
        {"8.8.8.8", "nrt", "override", 9},      {"8.128.0.1", NULL, "geo", 9},
        {"2001:67c::1", "syd", "override", 33}, {"2001:67c:8000::1", NULL, NULL, 33},
    };
    char *path = as_database();
    struct dns_zone *zone = ZONE_OF("--edge", "name=fra,place=Frankfurt,listen=192.0.2.1:80", "--edge",
                                    "name=syd,place=Sydney,listen=192.0.2.2:80", "--edge",
                                    "name=nrt,place=Tokyo,listen=192.0.2.3:80", "--asn-database", path,
                                    PAIR("asn:AS3333=only:syd"), PAIR("AS3356=Tokyo"),
                                    PAIR("country:NL=only:fra"), PAIR("193.0.6.0/24=edge:nrt"));
    struct router_table *table = zone->table;
    for (int compiled = 0; compiled < 2; compiled++) {
        for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
            struct router_question question = {.client = addr(rows[i].ip)};
            struct router_decision d;
            struct dns_pick pick;
            router_decide(table, &question, NULL, &d);
            const char *edge = rows[i].edge ? rows[i].edge : edge_name(table, d.choice.edge);
            const char *reason = rows[i].reason ? rows[i].reason : router_reason_word(d.reason);
            bool by_country = strcmp(edge, "fra") == 0 && d.where.override;
            check(table, rows[i].ip, edge, NULL, by_country ? "override" : reason, i);
            dns_pick(zone, &question.client, 0, true, &pick);
            ck_assert_msg(pick.count == 1 && pick.edges[0] == d.choice.edge, "row %zu", i);
            ck_assert_msg(pick.scope >= rows[i].scope_least, "row %zu: scope %u", i, pick.scope);
        }
        ck_assert_int_eq(router_compiled_build(table, NULL, NULL), CDN_OK);
    }
    dns_zone_unref(zone);
    unlink(path);
    free(path);
}
END_TEST

/* Limits of all kinds, each edge in any state: the compiled table against the chain, and each DNS answer's
 * scope against the addresses at its ends. */
START_TEST(compiled_and_scopes)
{
    char *path = as_database();
    struct dns_zone *zone =
        ZONE_OF("--database", GEO_EMBEDDED, "--database", path, PAIR("continent:EU=only:fra,lhr,iad"),
                PAIR("country:DE=only:fra"), PAIR("country:JP=prefer:sin,syd"),
                PAIR("country:US=exclude:sjc;prefer:lhr within 60ms"),
                PAIR("continent:AF=edge:fra;exclude:jnb"), PAIR("AS3356=only:gru,syd"),
                PAIR("8.8.0.0/16=prefer:nrt"), PAIR("2a00::/13=only:bom,jnb"), PAIR("country:BR=Tokyo"));
    struct router_table *table = zone->table;
    ck_assert_int_eq(router_compiled_build(table, NULL, NULL), CDN_OK);
    uint32_t seed = 5;
    for (unsigned i = 0; i < 4000; i++) {
        seed = seed * 1664525u + 1013904223u;
        if (i % 100 == 99) {
            router_edge_flag_set(table->edges, (uint16_t)(i / 100 % 10),
                                 (enum router_edge_flag)(1u << i / 1000 % 3), i / 100 % 3 != 0);
        }
        struct cdn_addr a = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = seed}};
        if (i % 3 == 0) {
            a.v4.sin_addr.s_addr = __builtin_bswap32(0xc1000000u | (seed >> 20)); /* 193.0.0.0/20 */
        }
        if (i % 4 == 0) {
            struct cdn_addr six = {.v6 = {.sin6_family = AF_INET6}};
            six.v6.sin6_addr.s6_addr[0] = i % 8 ? 0x2a : 0x20;
            six.v6.sin6_addr.s6_addr[1] = (unsigned char)(i % 8 ? seed & 15 : 1);
            memcpy(&six.v6.sin6_addr.s6_addr[2], &seed, 4);
            a = six;
        }
        struct router_question question = {.client = a};
        struct router_decision d, other;
        struct router_brief b;
        struct dns_pick pick;
        router_decide(table, &question, NULL, &d);
        router_decide_brief(table, &question, 2, &b);
        uint16_t first = b.count ? b.edges[0] : ROUTER_NO_EDGE;
        ck_assert_msg(first == d.choice.edge && b.reason == d.reason && b.optimistic == d.choice.optimistic &&
                          b.ambiguous == d.ambiguous,
                      "%u: %s %s, the chain says %s %s", i, edge_name(table, first),
                      router_reason_word(b.reason), edge_name(table, d.choice.edge),
                      router_reason_word(d.reason));
        dns_pick(zone, &a, 0, true, &pick);
        size_t size;
        unsigned char *bytes = (unsigned char *)(uintptr_t)cdn_addr_bytes(&question.client, &size);
        for (unsigned bit = pick.scope; bit < size * 8; bit++) { /* the last address of the scope */
            bytes[bit / 8] |= (unsigned char)(0x80u >> bit % 8);
        }
        router_decide(table, &question, NULL, &other);
        ck_assert_msg(other.choice.edge == d.choice.edge, "%u: scope %u: %s and %s", i, pick.scope,
                      edge_name(table, d.choice.edge), edge_name(table, other.choice.edge));
    }
    dns_zone_unref(zone);
    unlink(path);
    free(path);
}
END_TEST

/* ---- address families ---- */

#define FRA4 "--edge", "name=fra,place=Frankfurt,listen=192.0.2.1:80"
#define LHR4 "--edge", "name=lhr,place=Madrid,listen=192.0.2.2:80"
#define AMS6 "--edge", "name=ams,place=Amsterdam,listen=[2001:db8::3]:80"
#define CDG6 "--edge", "name=cdg,place=Paris,listen=[2001:db8::4]:80"

/* Who came by IPv4 is not sent to an IPv6 address while there is another, however sick. */
START_TEST(families)
{
    static const struct {
        const char *sick, *drained, *ip, *edge;
        bool optimistic;
    } rows[] = {
        {"", "", NL, "fra", false},
        {"", "", "2001:67c::1", "ams", false},
        {"fra", "", NL, "lhr", false},
        {"fra lhr", "", NL, "fra", true}, /* ams is well, and no use */
        {"fra lhr ams cdg", "", NL, "fra", true},
        {"", "fra lhr", NL, "-", false},
        {"ams", "", "2001:67c::1", "fra", false}, /* IPv6 is rarely alone */
        {"ams cdg fra", "", "2001:67c::1", "lhr", false},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_table *table = TABLE_OF(SMALL, FRA4, LHR4, AMS6, CDG6);
        flags_set(table, rows[i].sick, ROUTER_EDGE_SICK);
        flags_set(table, rows[i].drained, ROUTER_EDGE_DRAINED);
        for (int compiled = 0; compiled < 2; compiled++) {
            struct router_question question = {.client = addr(rows[i].ip)};
            struct router_decision d;
            router_decide(table, &question, NULL, &d);
            ck_assert_msg(d.choice.optimistic == rows[i].optimistic, "row %zu", i);
            check(table, rows[i].ip, rows[i].edge, NULL, router_reason_word(d.reason), i);
            ck_assert_int_eq(router_compiled_build(table, NULL, NULL), CDN_OK);
        }
        router_table_unref(table);
    }
    /* with no other edge, or none that an override allows, the address says nothing against it */
    struct router_table *table = TABLE_OF(SMALL, AMS6, CDG6);
    check(table, NL, "ams", "cdg", "geo", 100);
    router_table_unref(table);
    table = TABLE_OF(SMALL, FRA4, AMS6, CDG6, PAIR("country:NL=only:ams,cdg"));
    check(table, NL, "ams", "cdg", "override", 101);
    ck_assert_int_eq(router_compiled_build(table, NULL, NULL), CDN_OK);
    check(table, NL, "ams", "cdg", "override", 102);
    router_table_unref(table);
}
END_TEST

/* DNS decides by the family that is asked for, whatever the client's own. */
START_TEST(families_in_dns)
{
    static const struct {
        const char *override, *sick, *drained;
        const char *a, *aaaa; /* edge, "-": no such address, "!": no edge at all */
    } rows[] = {
        {"country:AQ=Tokyo", "", "", "fra", "ams"},
        {"country:AQ=Tokyo", "fra lhr", "", "fra", "ams"},
        {"country:AQ=Tokyo", "ams cdg", "", "fra", "ams"},
        {"country:AQ=Tokyo", "ams", "", "fra", "cdg"},
        {"country:AQ=Tokyo", "fra lhr ams", "", "fra", "cdg"},
        {"country:AQ=Tokyo", "fra", "", "lhr", "ams"},
        {"country:AQ=Tokyo", "", "fra lhr", "-", "ams"},
        {"country:AQ=Tokyo", "", "fra lhr ams cdg", "!", "!"},
        {"country:NL=only:ams,fra", "fra ams", "", "fra", "ams"},
        {"country:NL=only:lhr", "", "", "lhr", "-"},
        {"country:NL=only:cdg", "", "", "-", "cdg"},
        {"country:NL=only:cdg", "cdg", "", "-", "cdg"},
        {"country:NL=only:cdg,lhr", "", "lhr", "-", "cdg"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct dns_zone *zone = ZONE_OF(SMALL, FRA4, LHR4, AMS6, CDG6, "--overrides", rows[i].override);
        struct router_table *table = zone->table;
        flags_set(table, rows[i].sick, ROUTER_EDGE_SICK);
        flags_set(table, rows[i].drained, ROUTER_EDGE_DRAINED);
        for (int k = 0; k < 8; k++) {
            const struct cdn_addr client = addr(k & 1 ? "2001:610::1" : NL);
            const char *want = k & 2 ? rows[i].aaaa : rows[i].a;
            struct dns_pick pick;
            if (k == 4) {
                ck_assert_int_eq(router_compiled_build(table, NULL, NULL), CDN_OK);
            }
            dns_pick(zone, &client, k & 2 ? 1 : 0, true, &pick);
            const char *got = pick.count > 0 ? edge_name(table, pick.edges[0]) : pick.no_edge ? "!" : "-";
            ck_assert_msg(strcmp(got, want) == 0, "row %zu.%d: %s, not %s", i, k, got, want);
        }
        dns_zone_unref(zone);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {bad_entries,        actions,        pins,
                                  edges_of_one_place, as_numbers,     compiled_and_scopes,
                                  families,           families_in_dns};
    return run_suite("overrides", tests, CDN_ARRAY_LEN(tests));
}
