/* Messages: answers row by row, refusals, client subnets, sizes, golden packets. Resolvers cache
 * what is wrong here for everybody behind them. */
#include "common/daemon/metrics.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/dns/dns_answer.h"
#include "router/dns/dns_cookie.h"
#include "router/dns/dns_metrics.h"
#include "router/dns/dns_rate.h"
#include "router/dns/dns_zone.h"
#include "router/table/table.h"
#include "tests/unit/router/dns_help.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <libknot/libknot.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define FRA "--edge", "name=fra,place=Frankfurt,listen=192.0.2.1:80"
#define NRT "--edge", "name=nrt,place=Tokyo,listen=192.0.2.2:80"
#define IAD "--edge", "name=iad,place=Ashburn,url=http://[2001:db8::3]:80"
#define PLACES                                                                                         \
    "--overrides", "203.0.113.0/25=Frankfurt", "--overrides", "203.0.113.128/25=Tokyo", "--overrides", \
        "2001:db8:1::/48=Ashburn", "--overrides", "198.51.100.0/24=Tokyo"
#define SOA "cdn.test. 30 SOA ns1.cdn.test. hostmaster.cdn.test. 7 3600 600 1209600 30"

enum { A = 1, NS = 2, SOA_TYPE = 6, MX = 15, TXT = 16, AAAA = 28, HTTPS = 65, ANY = 255, CAA = 257 };

START_TEST(answers)
{
    static const struct {
        const char *name;
        uint16_t type;
        const char *options; /* NULL: no EDNS */
        const char *text;
    } rows[] = {
        {"www.cdn.test.", A, NULL,
         "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.2"}, /* by the resolver's address */
        {"www.cdn.test.", AAAA, NULL, "NOERROR aa rd; www.cdn.test. 30 AAAA 2001:db8::3"},
        {"cdn.test.", A, NULL, "NOERROR aa rd; cdn.test. 30 A 192.0.2.2"},
        {"www.cdn.test.", MX, NULL, "NOERROR aa rd | " SOA},
        {"www.cdn.test.", HTTPS, NULL, "NOERROR aa rd | " SOA},
        {"www.cdn.test.", ANY, NULL, "NOERROR aa rd; www.cdn.test. 3600 HINFO \"RFC8482\" \"\""},
        {"cdn.test.", SOA_TYPE, NULL,
         "NOERROR aa rd; cdn.test. 3600 SOA ns1.cdn.test. hostmaster.cdn.test. 7 3600 600 1209600 30"},
        {"cdn.test.", NS, NULL,
         "NOERROR aa rd; cdn.test. 3600 NS ns1.cdn.test. + ns1.cdn.test. 3600 A 192.0.2.53"},
        {"cdn.test.", CAA, NULL, "NOERROR aa rd; cdn.test. 3600 CAA 0 issue \"ca.example\""},
        {"ns1.cdn.test.", A, NULL, "NOERROR aa rd; ns1.cdn.test. 3600 A 192.0.2.53"},
        {"fra.cdn.test.", A, NULL, "NOERROR aa rd; fra.cdn.test. 30 A 192.0.2.1"},
        {"fra.cdn.test.", AAAA, NULL, "NOERROR aa rd | " SOA},
        {"iad.cdn.test.", AAAA, NULL, "NOERROR aa rd; iad.cdn.test. 30 AAAA 2001:db8::3"},
        {"x.cdn.test.", A, NULL, "NXDOMAIN aa rd | " SOA},
        {"x.www.cdn.test.", A, NULL, "NXDOMAIN aa rd | " SOA},
        {"_why.www.cdn.test.", A, NULL, "NOERROR aa rd | " SOA},
        {"test.", A, NULL, "REFUSED rd"},
        {".", NS, NULL, "REFUSED rd"},
        {"xcdn.test.", A, NULL, "REFUSED rd"},
        {"www.example.", A, "", "REFUSED rd edns0"},
        {"cdn.test.", 252, NULL, "REFUSED rd"},
        {"cdn.test.", 251, NULL, "REFUSED rd"},
        {"www.cdn.test.", 41, NULL, "FORMERR rd"},
        {"www.cdn.test.", 250, NULL, "FORMERR rd"},
        {"www.cdn.test.", 254, NULL, "NOTIMPL rd"},
        /* client subnets: family, source, scope, address */
        {"www.cdn.test.", A, "0008 0007 0001 1800 cb0071",
         "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.1 edns0 24/25"},
        {"www.cdn.test.", A, "0008 0008 0001 2000 cb007101",
         "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.1 edns0 32/25"},
        {"www.cdn.test.", A, "0008 0008 0001 1900 cb007180",
         "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.2 edns0 25/25"},
        {"www.cdn.test.", AAAA, "0008 000a 0002 3000 20010db80001",
         "NOERROR aa rd; www.cdn.test. 30 AAAA 2001:db8::3 edns0 48/48"},
        {"fra.cdn.test.", A, "0008 0007 0001 1800 cb0071",
         "NOERROR aa rd; fra.cdn.test. 30 A 192.0.2.1 edns0 24/0"},
        {"x.cdn.test.", A, "0008 0007 0001 1800 cb0071", "NXDOMAIN aa rd | " SOA " edns0 24/0"},
        {"www.cdn.test.", MX, "0008 0007 0001 1800 cb0071", "NOERROR aa rd | " SOA " edns0 24/0"},
        {"www.cdn.test.", A, "0008 0004 0001 0000", "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.2 edns0 0/0"},
        {"www.cdn.test.", A, "0008 0004 0000 0000", "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.2 edns0 0/0"},
        {"www.cdn.test.", A, "0008 0007 0001 1801 cb0071", "FORMERR rd edns0"},   /* a scope in a query */
        {"www.cdn.test.", A, "0008 0008 0001 1800 cb007101", "FORMERR rd edns0"}, /* too long */
        {"www.cdn.test.", A, "0008 0006 0001 1800 cb00", "FORMERR rd edns0"},     /* too short */
        {"www.cdn.test.", A, "0008 0007 0001 1700 cb0071", "FORMERR rd edns0"},   /* bits behind the prefix */
        {"www.cdn.test.", A, "0008 0009 0001 2100 cb00710000", "FORMERR rd edns0"}, /* 33 bits of IPv4 */
        {"www.cdn.test.", A, "0008 0007 0003 1800 cb0071", "FORMERR rd edns0"},     /* no such family */
        {"www.cdn.test.", A, "0008 0005 0000 0800 cb", "FORMERR rd edns0"},
        {"www.cdn.test.", A, "0008 0003 0001 18", "FORMERR rd edns0"},
        {"www.cdn.test.", A, "0008 0000", "FORMERR rd edns0"},
        {"www.cdn.test.", A, "0008 0007 0001 1800 cb0071 0008 0007 0001 1800 cb0071", "FORMERR rd edns0"},
        /* cookies */
        {"fra.cdn.test.", A, "000a 0008 2464c4abcf10c957",
         "NOERROR aa rd; fra.cdn.test. 30 A 192.0.2.1 edns0 cookie"},
        {"fra.cdn.test.", A, "000a 0007 2464c4abcf10c9", "FORMERR rd edns0"},
        {"fra.cdn.test.", A, "000a 000c 2464c4abcf10c95700000000", "FORMERR rd edns0"},
        {"fra.cdn.test.", A, "fde9 0002 abcd",
         "NOERROR aa rd; fra.cdn.test. 30 A 192.0.2.1 edns0"}, /* unknown */
    };
    struct dns_zone *zone = ZONE_OF(FRA, NRT, IAD, PLACES, "--dns-caa", "ca.example");
    struct asking *a = asking_create(zone);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        uint8_t message[512];
        size_t n = make_query(rows[i].name, rows[i].type, rows[i].options, 1232, message, sizeof(message));
        ck_assert_msg(strcmp(ask(a, message, n), rows[i].text) == 0, "row %zu: %s %u\n%s\ninstead of\n%s", i,
                      rows[i].name, rows[i].type, a->text.p, rows[i].text);
    }
    asking_destroy(a);
    dns_zone_unref(zone);
}
END_TEST

/* Whole messages, byte for byte. */
START_TEST(golden)
{
    static const struct {
        const char *query, *answer;
    } rows[] = {
        /* fRa.cdn.test A: the case comes back, the owner is a pointer */
        {"1234 0100 0001 0000 0000 0000 03665261 0363646e 0474657374 00 0001 0001",
         "1234 8500 0001 0001 0000 0000 03665261 0363646e 0474657374 00 0001 0001 c00c 0001 0001 0000001e "
         "0004 "
         "c0000201"},
        /* without RD, with CD and AD, DO: CD and DO come back */
        {"1234 0030 0001 0000 0000 0001 03667261 0363646e 0474657374 00 001c 0001 00 0029 0200 0000 8000 "
         "0000",
         "1234 8410 0001 0000 0001 0001 03667261 0363646e 0474657374 00 001c 0001 "
         "c010 0006 0001 0000001e 0027 036e7331 c010 0a686f73746d6173746572 c010 00000007 00000e10 00000258 "
         "00127500 0000001e 00 0029 04d0 0000 8000 0000"},
        /* a status request, an update: nothing but the header */
        {"1234 1000 0001 0000 0000 0000 00 0001 0001", "1234 9004 0000 0000 0000 0000"},
        {"1234 2900 0001 0000 0000 0000 00 0006 0001", "1234 a904 0000 0000 0000 0000"},
        {"1234 3000 0000 0000 0000 0000", "1234 b004 0000 0000 0000 0000"},
        /* an answer, half a header */
        {"1234 8100 0001 0000 0000 0000 00 0001 0001", ""},
        {"1234 0100 0001 0000 0000", ""},
        {"", ""},
        /* two questions, none, a cut one, rubbish behind, an answer in a query */
        {"1234 0100 0002 0000 0000 0000 00 0001 0001 00 0001 0001", "1234 8101 0000 0000 0000 0000"},
        {"1234 0100 0000 0000 0000 0000", "1234 8101 0000 0000 0000 0000"},
        {"1234 0100 0001 0000 0000 0000 03777777 0363", "1234 8101 0000 0000 0000 0000"},
        {"1234 0100 0001 0000 0000 0000 00 0001 0001 ff", "1234 8101 0001 0000 0000 0000 00 0001 0001"},
        {"1234 0100 0001 0001 0000 0000 00 0001 0001 00 0001 0001 00000000 0004 01020304",
         "1234 8101 0000 0000 0000 0000"},
        /* class CH; a version of EDNS that is not known yet; two OPTs; an OPT that is not the root's */
        {"1234 0100 0001 0000 0000 0000 0363646e 0474657374 00 0001 0003",
         "1234 8105 0001 0000 0000 0000 0363646e 0474657374 00 0001 0003"},
        {"1234 0100 0001 0000 0000 0001 0363646e 0474657374 00 0001 0001 00 0029 1000 0001 0000 0000",
         "1234 8100 0001 0000 0000 0001 0363646e 0474657374 00 0001 0001 00 0029 04d0 0100 0000 0000"},
        {"1234 0100 0001 0000 0000 0002 00 0001 0001 00 0029 1000 0000 0000 0000 00 0029 1000 0000 0000 0000",
         "1234 8101 0001 0000 0000 0000 00 0001 0001"},
        {"1234 0100 0001 0000 0000 0001 00 0001 0001 0161 00 0029 1000 0000 0000 0000",
         "1234 8101 0001 0000 0000 0001 00 0001 0001 00 0029 04d0 0000 0000 0000"},
        /* a cookie without a question (RFC 7873, section 5.4): the vector of RFC 9018, A.1 */
        {"1234 0000 0000 0000 0000 0001 00 0029 1000 0000 0000 000c 000a 0008 2464c4abcf10c957",
         "1234 8000 0000 0000 0000 0001 00 0029 04d0 0000 0000 001c 000a 0018 2464c4abcf10c957 "
         "010000005cf79f111f8130c3eee29480"},
    };
    struct dns_zone *zone = ZONE_OF(FRA, NRT, IAD, PLACES);
    struct asking *a = asking_create(zone);
    ck_assert_int_eq(
        dns_cookie_secret_read(CDN_STR("e5e973e5a6b2a43f48e7dc849e37bfcf"), &a->responder.secret, NULL),
        CDN_OK);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        uint8_t message[512], expected[512];
        size_t n = from_hex(rows[i].query, message, sizeof(message));
        size_t expected_n = from_hex(rows[i].answer, expected, sizeof(expected));
        size_t got = dns_answer(&a->responder, &a->asker, message, n, a->answer, sizeof(a->answer));
        CDN_AUTOBUF struct cdn_buf hex = {0};
        for (size_t k = 0; k < got; k++) {
            cdn_buf_printf(&hex, "%02x", a->answer[k]);
        }
        ck_assert_msg(got == expected_n && memcmp(a->answer, expected, got) == 0, "row %zu: %s", i,
                      hex.p ? hex.p : "nothing");
    }
    asking_destroy(a);
    dns_zone_unref(zone);
}
END_TEST

START_TEST(sizes)
{
    static const char *const issuers[] = {"a-certification-authority-with-a-long-name-1.example",
                                          "a-certification-authority-with-a-long-name-2.example",
                                          "a-certification-authority-with-a-long-name-3.example"};
    static const struct {
        const char *options;
        unsigned udp_size;
        bool tcp, truncated;
        size_t most;
    } rows[] = {
        {NULL, 0, false, true, 512},    {"", 100, false, true, 512},     {"", 512, false, true, 512},
        {"", 1232, false, false, 1232}, {"", 65535, false, false, 1232}, {NULL, 0, true, false, 65535},
        {"", 512, true, false, 65535},
    };
    struct dns_zone *zone = ZONE_OF(FRA, PLACES, "--dns-caa", issuers[0], "--dns-caa", issuers[1],
                                    "--dns-caa", issuers[2], "--dns-caa", "4.a.example", "--dns-caa",
                                    "a-certification-authority-with-a-long-name-5.example", "--dns-caa",
                                    "a-certification-authority-with-a-long-name-6.example", "--dns-caa",
                                    "a-certification-authority-with-a-long-name-7.example", "--dns-caa",
                                    "a-certification-authority-with-a-long-name-8.example");
    struct asking *a = asking_create(zone);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        uint8_t message[512];
        size_t n = make_query("cdn.test.", CAA, rows[i].options, rows[i].udp_size, message, sizeof(message));
        a->asker.tcp = rows[i].tcp;
        n = dns_answer(&a->responder, &a->asker, message, n, a->answer, sizeof(a->answer));
        ck_assert_uint_le(n, rows[i].most);
        answer_text(a->answer, n, &a->text);
        if (rows[i].truncated) {
            ck_assert_str_eq(a->text.p, rows[i].options ? "NOERROR aa tc rd edns0" : "NOERROR aa tc rd");
        } else {
            ck_assert_msg(cdn_str_starts(cdn_buf_str(&a->text), CDN_STR("NOERROR aa rd; ")), "row %zu", i);
        }
    }
    ck_assert_uint_eq(cdn_metric_get(&a->metrics.dns_truncated_total), 3);
    asking_destroy(a);
    dns_zone_unref(zone);
}
END_TEST

#define QUERY_A(a, ip_options) \
    ask(a, message, make_query("www.cdn.test.", A, ip_options, 1232, message, sizeof(message)))

/* The nearest first, then the next; health shows at once; nobody is left when all drain. */
START_TEST(health)
{
    const char *ecs = "0008 0008 0001 1900 cb007100";
    struct dns_zone *zone = ZONE_OF(FRA, NRT, "--edge", "name=lhr,place=London,listen=192.0.2.4:80", PLACES,
                                    "--dns-answers", "2", "--dns-ttl", "5s");
    struct router_edges *edges = zone->table->edges;
    struct asking *a = asking_create(zone);
    uint8_t message[512];
#define BOTH(first, second) \
    "NOERROR aa rd; www.cdn.test. 5 A " first "; www.cdn.test. 5 A " second " edns0 25/25"
    ck_assert_str_eq(QUERY_A(a, ecs), BOTH("192.0.2.1", "192.0.2.4"));
    router_edge_flag_set(edges, 0, ROUTER_EDGE_SICK, true);
    ck_assert_str_eq(QUERY_A(a, ecs), BOTH("192.0.2.4", "192.0.2.2"));
    router_edge_flag_set(edges, 2, ROUTER_EDGE_DRAINED, true);
    ck_assert_str_eq(QUERY_A(a, ecs), "NOERROR aa rd; www.cdn.test. 5 A 192.0.2.2 edns0 25/25");
    router_edge_flag_set(edges, 1, ROUTER_EDGE_SICK, true); /* all sick or draining: sick is believed less */
    ck_assert_str_eq(QUERY_A(a, ecs), BOTH("192.0.2.1", "192.0.2.2"));
    router_edge_flag_set(edges, 0, ROUTER_EDGE_DRAINED, true);
    router_edge_flag_set(edges, 1, ROUTER_EDGE_DRAINED, true);
    ck_assert_str_eq(QUERY_A(a, ecs), "SERVFAIL aa rd edns0 25/25");
    router_edge_flag_set(edges, 0, ROUTER_EDGE_DRAINED, false);
    router_edge_flag_set(edges, 0, ROUTER_EDGE_SICK, false);
    router_edges_pin(edges, 0);
    ck_assert_msg(strstr(QUERY_A(a, "0008 0008 0001 1900 cb007180"), "A 192.0.2.1"), "%s", a->text.p);
    asking_destroy(a);
    dns_zone_unref(zone);
}
END_TEST

/* Where nothing depends on the place, an answer is everybody's. */
START_TEST(everybody)
{
    const char *ecs = "0008 0008 0001 1900 cb007100";
    struct dns_zone *zones[] = {
        ZONE_OF(FRA, PLACES), ZONE_OF(FRA, NRT, PLACES, "--policy", "pinned"),
        ZONE_OF(FRA, NRT, "--overrides", "203.0.113.128/25=edge:nrt", "--policy", "pinned")};
    static const char *const scopes[] = {" edns0 25/0", " edns0 25/0", " edns0 25/25"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(zones); i++) {
        struct asking *a = asking_create(zones[i]);
        uint8_t message[512];
        const char *text = QUERY_A(a, ecs);
        ck_assert_msg(cdn_str_ends(cdn_str(text), cdn_str(scopes[i])), "row %zu: %s", i, text);
        asking_destroy(a);
        dns_zone_unref(zones[i]);
    }
}
END_TEST

START_TEST(why)
{
    struct dns_zone *zone = ZONE_OF(FRA, NRT, PLACES);
    struct asking *a = asking_create(zone);
    uint8_t message[512];
    size_t n =
        make_query("_WHY.www.cdn.test.", TXT, "0008 0008 0001 1900 cb007180", 1232, message, sizeof(message));
    const char *text = ask(a, message, n);
    static const char *const parts[] = {
        "_why.www.cdn.test. 0 TXT", "\"client=203.0.113.128\"",     "\"by=subnet\"",     "\"edge=nrt\"",
        "\"reason=override\"",      "\"network=203.0.113.128/25\"", "\"runner_up=fra\"", "edns0 25/25"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(parts); i++) {
        ck_assert_msg(strstr(text, parts[i]), "no %s in %s", parts[i], text);
    }
    n = make_query("_why.cdn.test.", TXT, NULL, 0, message, sizeof(message));
    ck_assert_msg(strstr(ask(a, message, n), "\"by=resolver\""), "%s", a->text.p);
    asking_destroy(a);
    dns_zone_unref(zone);
}
END_TEST

/* Over the rate: dropped or slipped; a cookie of ours, TCP and exempt networks pass. */
START_TEST(limited)
{
    struct dns_zone *zone =
        ZONE_OF(FRA, "--dns-rate", "5", "--dns-slip", "2", "--dns-rate-exempt", "203.0.113.0/24");
    struct asking *a = asking_create(zone);
    uint8_t message[512];
    a->responder.rate = dns_rate_create(1);
    ck_assert_int_eq(
        dns_cookie_secret_read(CDN_STR("e5e973e5a6b2a43f48e7dc849e37bfcf"), &a->responder.secret, NULL),
        CDN_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert_str_eq(QUERY_A(a, NULL), "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.1");
    }
    ck_assert_str_eq(QUERY_A(a, NULL), "nothing");
    ck_assert_str_eq(QUERY_A(a, NULL), "NOERROR aa tc rd");
    ck_assert_str_eq(QUERY_A(a, "000a 0008 2464c4abcf10c957"), "nothing");
    ck_assert_str_eq(QUERY_A(a, "000a 0008 2464c4abcf10c957"), "NOERROR aa tc rd edns0 cookie");
    ck_assert_str_eq(QUERY_A(a, "000a 0018 2464c4abcf10c957 010000005cf79f111f8130c3eee29480"),
                     "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.1 edns0 cookie");
    a->asker.tcp = true;
    ck_assert_str_eq(QUERY_A(a, NULL), "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.1");
    a->asker.tcp = false;
    a->asker.client = addr("203.0.113.9");
    for (int i = 0; i < 20; i++) {
        ck_assert_str_eq(QUERY_A(a, NULL), "NOERROR aa rd; www.cdn.test. 30 A 192.0.2.1");
    }
    ck_assert_uint_eq(cdn_metric_get(&a->metrics.dns_limited_total), 2);
    ck_assert_uint_eq(cdn_metric_get(&a->metrics.dns_slipped_total), 2);
    ck_assert_uint_eq(cdn_metric_get(&a->metrics.dns_cookie_good_total), 1);
    dns_rate_destroy(a->responder.rate);
    asking_destroy(a);
    dns_zone_unref(zone);
}
END_TEST

START_TEST(keepalive)
{
    struct dns_zone *zone = ZONE_OF(FRA);
    struct asking *a = asking_create(zone);
    uint8_t message[512];
    for (int tcp = 0; tcp < 2; tcp++) {
        a->asker.tcp = tcp;
        size_t n = make_query("fra.cdn.test.", A, "000b 0000", 1232, message, sizeof(message));
        n = dns_answer(&a->responder, &a->asker, message, n, a->answer, sizeof(a->answer));
        bool said = memcmp(a->answer + n - 6, "\0\013\0\2\0\144", 6) == 0; /* 10 s */
        ck_assert_int_eq(said, tcp);
    }
    asking_destroy(a);
    dns_zone_unref(zone);
}
END_TEST

/* RFC 5001: said to who asks for it, and only when the operator gave the server a name. */
START_TEST(nsid)
{
    static const struct {
        const char *name, *options, *says; /* NULL: no such option in the answer */
    } rows[] = {
        {NULL, "0003 0000", NULL},
        {"", "0003 0000", NULL},
        {"ns1.fra", "0003 0000", "ns1.fra"},
        {"ns1.fra", "0003 0002 6162", "ns1.fra"}, /* what stands in the query is ignored */
        {"ns1.fra", "000b 0000 0003 0000", "ns1.fra"},
        {"ns1.fra", "", NULL},
        {"ns1.fra", NULL, NULL},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct dns_zone *zone = ZONE_OF(FRA, rows[i].name ? "--dns-nsid" : NULL, rows[i].name);
        struct asking *a = asking_create(zone);
        uint8_t message[512];
        size_t n = make_query("fra.cdn.test.", A, rows[i].options, 1232, message, sizeof(message));
        n = dns_answer(&a->responder, &a->asker, message, n, a->answer, sizeof(a->answer));
        ck_assert_uint_gt(n, 12);
        knot_pkt_t *packet = knot_pkt_new(a->answer, (uint16_t)n, NULL);
        ck_assert_int_eq(knot_pkt_parse(packet, 0), KNOT_EOK);
        const uint8_t *said =
            packet->opt_rr ? knot_edns_get_option(packet->opt_rr, KNOT_EDNS_OPTION_NSID, NULL) : NULL;
        ck_assert_msg((said != NULL) == (rows[i].says != NULL), "row %zu", i);
        if (said) {
            ck_assert_uint_eq(knot_edns_opt_get_length(said), strlen(rows[i].says));
            ck_assert(memcmp(said + KNOT_EDNS_OPTION_HDRLEN, rows[i].says, strlen(rows[i].says)) == 0);
        }
        knot_pkt_free(packet);
        asking_destroy(a);
        dns_zone_unref(zone);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {answers, golden, sizes, health, everybody, why, limited, keepalive, nsid};
    return run_suite("dns_answer", tests, CDN_ARRAY_LEN(tests));
}
