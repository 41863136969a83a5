/* The question that is asked of our GeoDNS, and which messages count as its answer. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "wan/relay/dns_message.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define ID 0x1234
#define QUESTION "\3www\3cdn\4test\0\0\1\0\1"
#define QUESTION_V6 "\3www\3cdn\4test\0\0\34\0\1"
#define NAME "www.cdn.test"
#define ANSWER "\300\014\0\1\0\1\0\0\0\036\0\4\177\0\1\2"

START_TEST(a_question_has_the_clients_subnet)
{
    static const struct {
        const char *client;
        const char *option;
        size_t n;
    } rows[] = {{"60.64.0.1", "\0\10\0\10\0\1\40\0\74\100\0\1", 12},
                {"2001:db8::1", "\0\10\0\24\0\2\200\0\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 24},
                {NULL, "", 0}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_addr client = {0};
        uint8_t query[WAN_DNS_QUERY_MAX];
        ck_assert(!rows[i].client || cdn_parse_ip(cdn_str(rows[i].client), &client));
        size_t n = wan_dns_query(ID, NAME, WAN_DNS_A, &client, query);
        ck_assert_uint_eq(n, 12 + sizeof(QUESTION) - 1 + 11 + rows[i].n);
        ck_assert(query[0] == ID >> 8 && query[1] == (ID & 255) && query[5] == 1 && query[11] == 1);
        ck_assert(memcmp(query + 12, QUESTION, sizeof(QUESTION) - 1) == 0);
        ck_assert(memcmp(query + n - rows[i].n, rows[i].option, rows[i].n) == 0);
    }
    uint8_t query[WAN_DNS_QUERY_MAX];
    struct cdn_addr none = {0};
    ck_assert_uint_eq(wan_dns_query(ID, "a..b", WAN_DNS_A, &none, query), 0);
}
END_TEST

#define MESSAGE(flags1, flags2, answers, rest) "\22\64" flags1 flags2 "\0\1\0" answers "\0\0\0\0" rest

START_TEST(only_an_answer_to_the_question_counts)
{
#define ROW(name, outcome, text)                                      \
    {                                                                 \
        name, text, sizeof(text) - 1, outcome, WAN_DNS_A, "127.0.1.2" \
    }
#define ROW_V6(name, outcome, text)                                \
    {                                                              \
        name, text, sizeof(text) - 1, outcome, WAN_DNS_AAAA, "::1" \
    }
    static const struct {
        const char *name, *message;
        size_t n;
        enum wan_dns_outcome outcome;
        enum wan_dns_type type;
        const char *address;
    } rows[] = {
        ROW("an address", WAN_DNS_ADDRESS, MESSAGE("\204", "\0", "\1", QUESTION ANSWER)),
        ROW("in other letters", WAN_DNS_ADDRESS,
            MESSAGE("\204", "\0", "\1", "\3WWW\3cdn\4TEST\0\0\1\0\1" ANSWER)),
        ROW("no such name", WAN_DNS_NONE, MESSAGE("\204", "\3", "\0", QUESTION)),
        ROW("no address", WAN_DNS_NONE, MESSAGE("\204", "\0", "\0", QUESTION)),
        ROW("refused", WAN_DNS_ERROR, MESSAGE("\200", "\5", "\0", QUESTION)),
        ROW("a failure", WAN_DNS_ERROR, MESSAGE("\200", "\2", "\0", QUESTION)),
        ROW("truncated", WAN_DNS_TRUNCATED, MESSAGE("\206", "\0", "\0", QUESTION)),
        ROW("a query", WAN_DNS_FOREIGN, MESSAGE("\0", "\0", "\0", QUESTION)),
        ROW("of another name", WAN_DNS_FOREIGN, MESSAGE("\204", "\0", "\0", "\3fra\3cdn\4test\0\0\1\0\1")),
        ROW("of another type", WAN_DNS_FOREIGN, MESSAGE("\204", "\0", "\0", "\3www\3cdn\4test\0\0\34\0\1")),
        ROW("of another number", WAN_DNS_FOREIGN, "\22\65\204\0\0\1\0\0\0\0\0\0" QUESTION),
        ROW("cut short", WAN_DNS_ERROR, MESSAGE("\204", "\0", "\1", QUESTION "\300\014\0\1")),
        ROW("half a head", WAN_DNS_FOREIGN, "\22\64\204\0\0\1"),
        ROW_V6("an address of IPv6", WAN_DNS_ADDRESS,
               MESSAGE("\204", "\0", "\1",
                       QUESTION_V6 "\300\014\0\34\0\1\0\0\0\36\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")),
        ROW_V6("of IPv4 where IPv6 was asked for", WAN_DNS_FOREIGN,
               MESSAGE("\204", "\0", "\1", QUESTION ANSWER)),
        ROW_V6("a record of the other type", WAN_DNS_NONE, MESSAGE("\204", "\0", "\1", QUESTION_V6 ANSWER)),
        ROW("nothing", WAN_DNS_FOREIGN, ""),
    };
#undef ROW
#undef ROW_V6
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_addr address = {0};
        uint8_t message[WAN_DNS_ANSWER_MAX];
        memcpy(message, rows[i].message, rows[i].n);
        enum wan_dns_outcome outcome = wan_dns_answer(message, rows[i].n, ID, NAME, rows[i].type, &address);
        ck_assert_msg(outcome == rows[i].outcome, "%s: %d", rows[i].name, outcome);
        if (outcome == WAN_DNS_ADDRESS) {
            char text[CDN_ADDR_TEXT_SIZE];
            cdn_addr_format_ip(&address, text);
            ck_assert_str_eq(text, rows[i].address);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan dns_message");
    TCase *tcase = tcase_create("dns_message");
    tcase_add_test(tcase, a_question_has_the_clients_subnet);
    tcase_add_test(tcase, only_an_answer_to_the_question_counts);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
