/* http_frame: rows of requests whole and cut at every byte. Where a request ends must not depend
 * on how it arrives: that is how one is smuggled. */
#include "common/http/syntax/http_frame.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "POST /a HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define NEXT "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
#define ROW(bytes, verdict)                                       \
    {                                                             \
        bytes, sizeof(bytes) - 1, HTTP_REFUSE_##verdict, SIZE_MAX \
    }
#define PART(bytes, ready)                                \
    {                                                     \
        bytes, sizeof(bytes) - 1, HTTP_REFUSE_NONE, ready \
    }

static const struct {
    const char *bytes;
    size_t n;
    enum http_refusal verdict;
    size_t ready; /* SIZE_MAX: all, or with a refusal the bytes before the bad request */
} rows[] = {
    ROW(NEXT, NONE),
    ROW(NEXT NEXT NEXT, NONE),
    ROW("\r\n" NEXT, NONE),
    ROW("\r\n\r\n\r\n\r\n" NEXT, NONE),
    ROW("\r\n\r\n\r\n\r\n\r\n" NEXT, REQUEST_LINE),
    ROW("\n" NEXT, LINES),
    ROW("GET /a HTTP/1.0\r\n\r\n" NEXT, NONE),
    ROW("GET /a HTTP/1.2\r\n\r\n", NONE),
    ROW("GET /a HTTP/2.0\r\n\r\n", VERSION),
    ROW("PRI * HTTP/2.0\r\n\r\n", VERSION),
    ROW("GET /a HTTP/0.9\r\n\r\n", VERSION),
    ROW("GET /a\r\n\r\n", REQUEST_LINE),
    ROW("GET\r\n\r\n", REQUEST_LINE),
    ROW("GET  HTTP/1.1\r\n\r\n", REQUEST_LINE),
    ROW("GET HTTP/1.1\r\n\r\n", REQUEST_LINE),
    ROW(" GET / HTTP/1.1\r\n\r\n", REQUEST_LINE),
    ROW("GET / HTTP/1.1 \r\n\r\n", REQUEST_LINE),
    ROW("GET / HTTP/1,1\r\n\r\n", REQUEST_LINE),
    ROW("GET / HTTP/11\r\n\r\n", REQUEST_LINE),
    ROW("GET / http/1.1\r\n\r\n", REQUEST_LINE),
    ROW("\x16\x03\x01\x02\x00\x01\r\n", REQUEST_LINE), /* TLS on a plain port */
    ROW("GET /a HTTP/1.1\n\n", LINES),
    ROW("GET /a HTTP/1.1\r\nHost: h\n\r\n", LINES),
    ROW("GET /a HTTP/1.1\r\nHost: h\r\n\n", LINES),
    ROW("GET /a HTTP/1.1\r\nA: b\r\n c\r\n\r\n", LINES),
    ROW("GET /a HTTP/1.1\r\n A: b\r\n\r\n", LINES),
    ROW("GET /a HTTP/1.1\r\nA\0: b\r\n\r\n", LINES),
    ROW("GET /a HTTP/1.1\r\nA: b\0\r\n\r\n", LINES),
    ROW("GET /a HTTP/1.1\r\nno colon\r\n\r\n", FIELD_NAME),
    ROW("GET /a HTTP/1.1\r\n: x\r\n\r\n", FIELD_NAME),
    ROW("GET /a HTTP/1.1\r\nCooki\x7f: x\r\n\r\n", FIELD_NAME),
    ROW(HEAD "Content-Length: 3\r\n\r\nabc" NEXT, NONE),
    ROW(HEAD "content-length:3\r\n\r\nabc" NEXT, NONE),
    ROW(HEAD "Content-Length: \t3 \t\r\n\r\nabc" NEXT, NONE),
    ROW(HEAD "Content-Length: 0\r\n\r\n" NEXT, NONE),
    ROW(HEAD "Content-Length: 003\r\n\r\nabc" NEXT, NONE),
    ROW(HEAD "Content-Length: +3\r\n\r\nabc", LENGTH_INVALID),
    ROW(HEAD "Content-Length: -3\r\n\r\nabc", LENGTH_INVALID),
    ROW(HEAD "Content-Length: 0x3\r\n\r\nabc", LENGTH_INVALID),
    ROW(HEAD "Content-Length: 3,3\r\n\r\nabc", LENGTH_INVALID),
    ROW(HEAD "Content-Length: 3 3\r\n\r\nabc", LENGTH_INVALID),
    ROW(HEAD "Content-Length:\r\n\r\n", LENGTH_INVALID),
    ROW(HEAD "Content-Length: 99999999999999999999\r\n\r\n", LENGTH_INVALID),
    ROW(HEAD "Content-Length: 9223372036854775808\r\n\r\n", LENGTH_INVALID),
    ROW(HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", LENGTH_TWICE),
    ROW(HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", LENGTH_AND_CODING),
    ROW(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_INVALID),
    ROW(HEAD "Transfer-Encoding: identity\r\n\r\n", CODING_INVALID),
    ROW(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", CODING_UNKNOWN),
    ROW(HEAD "Transfer-Encoding: xchunked\r\n\r\n", CODING_INVALID),
    ROW("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_OLD),
    ROW(HEAD "Transfer-Encoding: CHUNKED \r\n\r\n0\r\n\r\n" NEXT, NONE),
    ROW(CHUNKED "0\r\n\r\n" NEXT, NONE),
    ROW(CHUNKED "3\r\nabc\r\n0\r\n\r\n" NEXT, NONE),
    ROW(CHUNKED "3\r\n\r\n\n\r\n0\r\n\r\n" NEXT, NONE),
    ROW(CHUNKED "0003\r\nabc\r\n000\r\n\r\n" NEXT, NONE),
    ROW(CHUNKED "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n" NEXT, NONE),
    ROW(CHUNKED "3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n" NEXT, NONE),
    ROW(CHUNKED "0\r\nA: b\r\nC:\r\n\r\n" NEXT, NONE),
    ROW(CHUNKED "3\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3;a\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3\r\nabc\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3\r\nabc0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3\r\nabcd\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3\r\nabc\r0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3\rabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3\r\rabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3;\rx\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3;\0\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3;\x01\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3 \r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED " 3\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3\t;a\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "+3\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "-3\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "0x3\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "3g\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED ";a\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "\0"
                "3\r\nabc\r\n0\r\n\r\n",
        CHUNK),
    ROW(CHUNKED "00000000000000003\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(CHUNKED "ffffffffffffffff\r\nabc", CHUNK),
    ROW(CHUNKED "8000000000000000\r\nabc", CHUNK),
    ROW(CHUNKED "7fffffffffffffff\r\nabc", NONE),
    ROW(CHUNKED "0\n\n", CHUNK),
    ROW(CHUNKED "0\r\n\n", TRAILERS),
    ROW(CHUNKED "0\r\nA: b\n\r\n", TRAILERS),
    ROW(CHUNKED "0\r\nA: b\0\r\n\r\n", TRAILERS),
    ROW(CHUNKED "0\r\nA\0: b\r\n\r\n", TRAILERS),
    ROW(CHUNKED "0\r\nA: b\rc\r\n\r\n", TRAILERS),
    ROW(CHUNKED "0\r\nA: b\r\n c\r\n\r\n", TRAILERS),
    ROW(CHUNKED "0\r\nA : b\r\n\r\n", TRAILERS),
    ROW(CHUNKED "0\r\nnothing\r\n\r\n", TRAILERS),
    ROW(CHUNKED "0\r\n: b\r\n\r\n", TRAILERS),
    ROW(CHUNKED "0\r\n" NEXT, TRAILERS), /* the last CRLF is missing: no field has a space in its name */
    ROW(NEXT CHUNKED "3\nabc\r\n0\r\n\r\n", CHUNK),
    ROW(NEXT NEXT "GET /a\r\n\r\n", REQUEST_LINE),
    PART("G", 0),
    PART("\r", 0),
    PART("GET /a HTTP/1.1\r\nHost: h\r\n", 0),
    PART("GET /a HTTP/1.1\r\nHost: h\r\n\r", 0),
    PART(NEXT "GET /a HTTP", sizeof(NEXT) - 1),
    PART(HEAD "Content-Length: 3\r\n\r\nabcG", sizeof(HEAD "Content-Length: 3\r\n\r\nabc") - 1),
};

/* Feeds as the gate does: what is not ready is offered again, with the next piece behind it. Returns the
 * bytes handed on. */
static size_t feed(struct http_frame *f, const char *bytes, size_t n, size_t piece,
                   enum http_refusal *verdict)
{
    char *held = malloc(n + 1);
    size_t held_n = 0;
    size_t given = 0;
    *verdict = HTTP_REFUSE_NONE;
    for (size_t at = 0; at < n && !*verdict; at += piece) {
        size_t some = n - at < piece ? n - at : piece;
        memcpy(held + held_n, bytes + at, some);
        held_n += some;
        size_t ready;
        *verdict = http_frame_feed(f, held, held_n, &ready);
        ck_assert_uint_le(ready, held_n);
        given += ready;
        memmove(held, held + ready, held_n - ready);
        held_n -= ready;
    }
    free(held);
    return given;
}

START_TEST(any_cut_gives_the_same_verdict)
{
    for (size_t piece = 1; piece <= rows[_i].n; piece++) {
        struct http_frame f = {0};
        enum http_refusal verdict;
        size_t given = feed(&f, rows[_i].bytes, rows[_i].n, piece, &verdict);
        ck_assert_msg(verdict == rows[_i].verdict, "'%s' in pieces of %zu: %s", rows[_i].bytes, piece,
                      http_refusal_detail(verdict));
        if (!verdict) {
            ck_assert_uint_eq(given, rows[_i].ready == SIZE_MAX ? rows[_i].n : rows[_i].ready);
        } else {
            ck_assert_uint_lt(given, rows[_i].n);
        }
    }
}
END_TEST

/* Nothing of a bad request is handed on when it comes in one piece, all of the good ones before it is. */
START_TEST(what_came_before_a_bad_request_is_handed_on)
{
    struct http_frame f = {0};
    enum http_refusal verdict;
    static const char bytes[] = NEXT NEXT CHUNKED "3\nabc\r\n0\r\n\r\n" NEXT;
    ck_assert_uint_eq(feed(&f, bytes, sizeof(bytes) - 1, sizeof(bytes), &verdict), 2 * (sizeof(NEXT) - 1));
    ck_assert_int_eq(verdict, HTTP_REFUSE_CHUNK);
}
END_TEST

static void fill_with(struct cdn_buf *b, const char *text, size_t times)
{
    while (times--) {
        cdn_buf_add_str(b, cdn_str(text));
    }
}

static const struct {
    const char *start, *filler, *end;
    size_t times;
    enum http_refusal verdict;
} sizes[] = {
    {"GET / HTTP/1.1\r\nA: ", "a", "\r\n\r\n", 65000, HTTP_REFUSE_NONE},
    {"GET / HTTP/1.1\r\nA: ", "a", "\r\n\r\n", 70000, HTTP_REFUSE_HEAD_TOO_LARGE},
    {"GET / HTTP/1.1\r\nA: ", "a", "", 70000, HTTP_REFUSE_HEAD_TOO_LARGE},
    {"GET /", "a", " HTTP/1.1\r\n\r\n", 65000, HTTP_REFUSE_NONE},
    {"GET /", "a", "", 70000, HTTP_REFUSE_TARGET_TOO_LONG},
    {"GET / HTTP/1.1\r\n", "A:b\r\n", "\r\n", HTTP_HEAD_LINES, HTTP_REFUSE_NONE},
    {"GET / HTTP/1.1\r\n", "A:b\r\n", "\r\n", HTTP_HEAD_LINES + 1, HTTP_REFUSE_FIELD_COUNT},
    {CHUNKED "0;", "a", "\r\n\r\n", 1000, HTTP_REFUSE_NONE},
    {CHUNKED "0;", "a", "\r\n\r\n", 1100, HTTP_REFUSE_CHUNK},
    {CHUNKED, "1;aaaaaaa\r\nx\r\n", "0\r\n\r\n", 2000, HTTP_REFUSE_NONE},
    {CHUNKED, "1;aaaaaaa\r\nx\r\n", "0\r\n\r\n", 3000, HTTP_REFUSE_CHUNK},
    {CHUNKED "0\r\nA: ", "a", "\r\n\r\n", 4000, HTTP_REFUSE_NONE},
    {CHUNKED "0\r\nA: ", "a", "\r\n\r\n", 4100, HTTP_REFUSE_TRAILERS_TOO_LARGE},
    {CHUNKED "0\r\n", "A:\r\n", "\r\n", 64, HTTP_REFUSE_NONE},
    {CHUNKED "0\r\n", "A:\r\n", "\r\n", 66, HTTP_REFUSE_TRAILERS_TOO_LARGE},
};

START_TEST(sizes_have_limits)
{
    static const size_t pieces[] = {1000, 1460, 16384, 1 << 20};
    CDN_AUTOBUF struct cdn_buf b = {0};
    fill_with(&b, sizes[_i].start, 1);
    fill_with(&b, sizes[_i].filler, sizes[_i].times);
    fill_with(&b, sizes[_i].end, 1);
    for (size_t p = 0; p < CDN_ARRAY_LEN(pieces); p++) {
        struct http_frame f = {0};
        enum http_refusal verdict;
        feed(&f, b.p, b.n, pieces[p], &verdict);
        ck_assert_msg(verdict == sizes[_i].verdict, "row %d: %s", _i, http_refusal_detail(verdict));
    }
}
END_TEST

START_TEST(the_value_of_a_framing_field_ends_its_line)
{
    char bytes[] = HEAD "Content-Length: 3 \t \r\nCOOKIE: a=b\r\n\r\nabc";
    struct http_frame f = {0};
    size_t ready;
    ck_assert_int_eq(http_frame_feed(&f, bytes, sizeof(bytes) - 1, &ready), HTTP_REFUSE_NONE);
    ck_assert(strstr(bytes, " 3\r\n") && !strstr(bytes, "3 "));
    ck_assert(strstr(bytes, "COOKI\x7f: a=b\r\n"));
}
END_TEST

static const struct {
    const char *head;
    bool waits;
} upgrades[] = {
    {"GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", true},
    {"GET /a HTTP/1.1\r\nuPGRADE:h2c , WebSocket \r\n\r\n", true},
    {"GET /a HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", false},
    {"GET /a HTTP/1.1\r\nUpgrades: websocket\r\n\r\n", false},
    {"GET /a HTTP/1.0\r\nUpgrade: websocket\r\n\r\n", false},
    {"POST /a HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n", false},
};

START_TEST(behind_a_request_for_websocket_nothing_is_judged)
{
    char bytes[256];
    const size_t n = strlen(upgrades[_i].head);
    const size_t all = (size_t)snprintf(bytes, sizeof(bytes), "%s no HTTP\n", upgrades[_i].head);
    struct http_frame f = {.upgrades = true};
    size_t ready;
    const enum http_refusal bad = http_frame_feed(&f, bytes, all, &ready);
    ck_assert_uint_eq(ready, n);
    ck_assert(f.waits == upgrades[_i].waits && (bad == HTTP_REFUSE_NONE) == upgrades[_i].waits);
    http_frame_go_on(&f);
    ck_assert(http_frame_feed(&f, bytes + n, all - n, &ready) != HTTP_REFUSE_NONE);
    f = (struct http_frame){0}; /* where no upgrades are made */
    ck_assert(http_frame_feed(&f, bytes, all, &ready) != HTTP_REFUSE_NONE && !f.waits);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_loop_test(all, behind_a_request_for_websocket_nothing_is_judged, 0,
                        (int)CDN_ARRAY_LEN(upgrades));
    tcase_add_loop_test(all, any_cut_gives_the_same_verdict, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(all, what_came_before_a_bad_request_is_handed_on);
    tcase_add_loop_test(all, sizes_have_limits, 0, (int)CDN_ARRAY_LEN(sizes));
    tcase_add_test(all, the_value_of_a_framing_field_ends_its_line);
}

int main(void)
{
    return run_suite("http_frame", fill);
}
