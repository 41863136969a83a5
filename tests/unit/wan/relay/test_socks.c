/* The server's half of SOCKS5: what is answered and understood, however the bytes are split. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "wan/relay/socks.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define BYTES(text)               \
    {                             \
        "" text, sizeof(text) - 1 \
    }
#define OFFER_USER "\5\1\2"
#define OFFER_NONE "\5\1\0"
#define TOKYO "\1\5Tokyo\0"
#define CONNECT_WWW "\5\1\0\3\014www.cdn.test\0\120"

struct told { /* all that came of a handshake */
    enum wan_socks_outcome last;
    struct wan_socks socks;
    struct cdn_buf answers;
    size_t left; /* bytes that were not consumed */
    bool user;
};

/* As the relay does it: what has come is offered, what is consumed goes, in pieces cut at two places. */
static void feed(bool need_user, struct cdn_str all, size_t first, size_t second, struct told *ret)
{
    const size_t cuts[] = {first, second, all.n};
    struct cdn_buf held = {0};
    *ret = (struct told){.socks = {.need_user = need_user}};
    size_t at = 0;
    for (size_t i = 0; i < CDN_ARRAY_LEN(cuts); i++) {
        if (cuts[i] < at || cuts[i] > all.n) {
            continue;
        }
        cdn_buf_add(&held, all.p + at, cuts[i] - at);
        at = cuts[i];
        size_t used;
        while (ret->last != WAN_SOCKS_REFUSE && ret->last != WAN_SOCKS_REQUEST &&
               (ret->last = wan_socks_next(&ret->socks, cdn_buf_str(&held), &used)) != WAN_SOCKS_MORE) {
            ck_assert_uint_le(used, WAN_SOCKS_MESSAGE_MAX);
            held.n -= used;
            memmove(held.p, held.p + used, held.n);
            ret->user |= ret->last == WAN_SOCKS_USER;
            if (ret->last == WAN_SOCKS_USER) {
                wan_socks_judge(&ret->socks, true);
            }
            cdn_buf_add(&ret->answers, ret->socks.reply, ret->socks.reply_n);
        }
    }
    ret->left = held.n;
    cdn_buf_free(&held);
}

struct row {
    const char *name;
    bool open; /* a listener that knows who its clients are */
    struct cdn_str sent, answers;
    enum wan_socks_outcome outcome;
    enum wan_socks_refusal why;
    const char *user, *password, *host;
    unsigned port;
    size_t left;
};

static const struct row rows[] = {
    {"a place and a name", false, BYTES(OFFER_USER TOKYO CONNECT_WWW), BYTES("\5\2\1\0"), WAN_SOCKS_REQUEST,
     0, "Tokyo", "", "www.cdn.test", 80, 0},
    {"with a profile", false, BYTES(OFFER_USER "\1\3fra\0024g" CONNECT_WWW), BYTES("\5\2\1\0"),
     WAN_SOCKS_REQUEST, 0, "fra", "4g", "www.cdn.test", 80, 0},
    {"curl's three methods", false, BYTES("\5\3\0\1\2" TOKYO CONNECT_WWW), BYTES("\5\2\1\0"),
     WAN_SOCKS_REQUEST, 0, "Tokyo", "", "www.cdn.test", 80, 0},
    {"early bytes stay", true, BYTES(OFFER_NONE CONNECT_WWW "GET / HTTP/1.1"), BYTES("\5\0"),
     WAN_SOCKS_REQUEST, 0, "", "", "www.cdn.test", 80, 14},
    {"an open listener prefers no user", true, BYTES("\5\2\2\0" CONNECT_WWW), BYTES("\5\0"),
     WAN_SOCKS_REQUEST, 0, "", "", "www.cdn.test", 80, 0},
    {"an open listener takes one, too", true, BYTES(OFFER_USER "\1\0\0" CONNECT_WWW), BYTES("\5\2\1\0"),
     WAN_SOCKS_REQUEST, 0, "", "", "www.cdn.test", 80, 0},
    {"IPv4", true, BYTES(OFFER_NONE "\5\1\0\1\177\0\1\2\037\230"), BYTES("\5\0"), WAN_SOCKS_REQUEST, 0, "",
     "", "127.0.1.2", 8088, 0},
    {"IPv6", true, BYTES(OFFER_NONE "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\273"), BYTES("\5\0"),
     WAN_SOCKS_REQUEST, 0, "", "", "::1", 443, 0},
    {"IPv4 in IPv6", true, BYTES(OFFER_NONE "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\377\377\177\0\0\1\0\120"),
     BYTES("\5\0"), WAN_SOCKS_REQUEST, 0, "", "", "127.0.0.1", 80, 0},
    {"a name of 255 bytes' limit is a length", true, BYTES(OFFER_NONE "\5\1\0\3\1a\0\1"), BYTES("\5\0"),
     WAN_SOCKS_REQUEST, 0, "", "", "a", 1, 0},
    {"nothing", false, BYTES(""), BYTES(""), WAN_SOCKS_MORE, 0, "", "", "", 0, 0},
    {"half a greeting", false, BYTES("\5\3\0\1"), BYTES(""), WAN_SOCKS_MORE, 0, "", "", "", 0, 4},
    {"half a user", false, BYTES(OFFER_USER "\1\5Tok"), BYTES("\5\2"), WAN_SOCKS_MORE, 0, "", "", "", 0, 5},
    {"no user on the general listener", false, BYTES(OFFER_NONE), BYTES("\5\377"), WAN_SOCKS_REFUSE,
     WAN_SOCKS_REFUSE_METHOD, "", "", "", 0, 0},
    {"no method at all", true, BYTES("\5\0"), BYTES("\5\377"), WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_METHOD_OPEN,
     "", "", "", 0, 0},
    {"only GSSAPI", true, BYTES("\5\1\1"), BYTES("\5\377"), WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_METHOD_OPEN,
     "", "", "", 0, 0},
    {"an empty user", false, BYTES(OFFER_USER "\1\0\0"), BYTES("\5\2\1\1"), WAN_SOCKS_REFUSE,
     WAN_SOCKS_REFUSE_NO_USER, "", "", "", 0, 0},
    {"a wrong version of the user's message", false, BYTES(OFFER_USER "\5\5Tokyo\0"), BYTES("\5\2\1\1"),
     WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_AUTH_VERSION, "", "", "", 0, 8},
    {"HTTP", false, BYTES("GET / HTTP/1.1\r\n"), BYTES(""), WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_HTTP, "", "",
     "", 0, 16},
    {"HTTP CONNECT", false, BYTES("CONNECT a:80 HTTP/1.1\r\n"), BYTES(""), WAN_SOCKS_REFUSE,
     WAN_SOCKS_REFUSE_HTTP, "", "", "", 0, 23},
    {"SOCKS4", false, BYTES("\4\1\0\120\177\0\0\1\0"), BYTES("\0\133\0\0\0\0\0\0"), WAN_SOCKS_REFUSE,
     WAN_SOCKS_REFUSE_SOCKS4, "", "", "", 0, 9},
    {"TLS", false, BYTES("\026\3\1\0\1"), BYTES(""), WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_TLS, "", "", "", 0,
     5},
    {"a NUL", false, BYTES("\0\0"), BYTES(""), WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_VERSION, "", "", "", 0, 2},
    {"BIND", true, BYTES(OFFER_NONE "\5\2\0\1\177\0\0\1\0\120"), BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"),
     WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_COMMAND, "", "", "", 0, 10},
    {"UDP ASSOCIATE", true, BYTES(OFFER_NONE "\5\3\0\1\177\0\0\1\0\120"), BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"),
     WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_COMMAND, "", "", "", 0, 10},
    {"an unknown type of address", true, BYTES(OFFER_NONE "\5\1\0\2\177\0\0\1\0\120"),
     BYTES("\5\0\5\10\0\1\0\0\0\0\0\0"), WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_ADDRESS_TYPE, "", "", "", 0, 10},
    {"an empty name", true, BYTES(OFFER_NONE "\5\1\0\3\0\0\120"), BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"),
     WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_NAME, "", "", "", 0, 0},
    {"a NUL in a name", true, BYTES(OFFER_NONE "\5\1\0\3\3a\0b\0\120"), BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"),
     WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_NAME, "", "", "a?b", 0, 0},
    {"an escape in a name", true, BYTES(OFFER_NONE "\5\1\0\3\2\033[\0\120"),
     BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"), WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_NAME, "", "", "\033[", 0, 0},
    {"port 0", true, BYTES(OFFER_NONE "\5\1\0\3\1a\0\0"), BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"), WAN_SOCKS_REFUSE,
     WAN_SOCKS_REFUSE_PORT, "", "", "a", 0, 0},
    {"a request of version 4", true, BYTES(OFFER_NONE "\4\1\0\1\177\0\0\1\0\120"),
     BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"), WAN_SOCKS_REFUSE, WAN_SOCKS_REFUSE_REQUEST_VERSION, "", "", "", 0,
     10},
};

static void check_row(const struct row *row, size_t first, size_t second)
{
    struct told told;
    feed(!row->open, row->sent, first, second, &told);
    ck_assert_msg(told.last == row->outcome, "%s, cut at %zu and %zu: %d", row->name, first, second,
                  told.last);
    ck_assert_msg(told.socks.why == row->why, "%s: %s", row->name, wan_socks_refusal_word(told.socks.why));
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&told.answers), row->answers), "%s: the answers differ", row->name);
    if (row->outcome == WAN_SOCKS_REQUEST) {
        ck_assert_str_eq(told.socks.user, row->user);
        ck_assert_str_eq(told.socks.password, row->password);
        ck_assert_str_eq(told.socks.host, row->host);
        ck_assert_uint_eq(told.socks.port, row->port);
    }
    if (first == row->sent.n) { /* refused in the middle of a message the rest has not come */
        ck_assert_msg(told.left == row->left, "%s: %zu left", row->name, told.left);
    }
    cdn_buf_free(&told.answers);
}

START_TEST(each_row_at_every_split)
{
    const struct row *row = &rows[_i];
    check_row(row, row->sent.n, row->sent.n);
    for (size_t first = 0; first <= row->sent.n; first++) {
        for (size_t second = first; second <= row->sent.n; second++) {
            check_row(row, first, second);
        }
    }
}
END_TEST

START_TEST(replies_say_where_they_come_from)
{
    static const struct {
        const char *bound;
        struct cdn_str reply;
    } wanted[] = {{NULL, BYTES("\5\0\0\1\0\0\0\0\0\0")},
                  {"127.0.0.1:258", BYTES("\5\0\0\1\177\0\0\1\1\2")},
                  {"[::1]:80", BYTES("\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\120")}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(wanted); i++) {
        struct wan_socks s = {0};
        struct cdn_addr bound;
        ck_assert(!wanted[i].bound || cdn_parse_host_port(cdn_str(wanted[i].bound), &bound));
        wan_socks_reply(&s, WAN_SOCKS_OK, wanted[i].bound ? &bound : NULL);
        ck_assert(cdn_str_eq((struct cdn_str){(char *)s.reply, s.reply_n}, wanted[i].reply));
    }
}
END_TEST

START_TEST(every_refusal_has_words)
{
    for (unsigned why = WAN_SOCKS_FINE + 1; why < WAN_SOCKS_REFUSAL_COUNT; why++) {
        ck_assert(wan_socks_refusal_word(why)[0] && wan_socks_refusal_text(why)[0]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan socks");
    TCase *tcase = tcase_create("socks");
    tcase_add_loop_test(tcase, each_row_at_every_split, 0, CDN_ARRAY_LEN(rows));
    tcase_add_test(tcase, replies_say_where_they_come_from);
    tcase_add_test(tcase, every_refusal_has_words);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
