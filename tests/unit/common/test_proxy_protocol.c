/* proxy_protocol: many spellings of both versions, each offered whole and in every split: the
 * verdict must be that of the bytes. The binary rows are written out, not made by the writer. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/proxy_protocol.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x01\x7f\x00\x00\x01\xdb\x2c\x01\xbb" /* 192.0.2.1:56108 127.0.0.1:443 */
#define V6                                                             \
    "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" \
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" \
    "\xdb\x2c\x01\xbb"
#define MAPPED                                                         \
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" \
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" \
    "\xdb\x2c\x01\xbb"
#define X9 "xxxxxxxxx"
#define X36 X9 X9 X9 X9
#define X216 X36 X36 X36 X36 X36 X36
#define BYTES(literal)                  \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }
#define FINE(bytes, source)              \
    {                                    \
        BYTES(bytes), PROXY_FINE, source \
    }
#define LOCAL(bytes)                   \
    {                                  \
        BYTES(bytes), PROXY_FINE, NULL \
    }
#define BAD(bytes, why)                        \
    {                                          \
        BYTES(bytes), PROXY_REFUSE_##why, NULL \
    }

static const struct {
    struct cdn_str bytes;
    enum proxy_refusal why;
    const char *source; /* NULL: local */
} rows[] = {
    /* version 1 */
    FINE("PROXY TCP4 192.0.2.1 127.0.0.1 56108 443\r\n", "192.0.2.1:56108"),
    FINE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
    FINE("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"),
    FINE("PROXY TCP6 2001:db8::1 ::1 56108 443\r\n", "[2001:db8::1]:56108"),
    FINE("PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 2\r\n", "[2001:db8::1]:1"),
    FINE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
         "65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
    FINE("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:127.0.0.1 1 2\r\n", "192.0.2.1:1"),
    LOCAL("PROXY UNKNOWN\r\n"),
    LOCAL("PROXY UNKNOWN \r\n"),
    LOCAL("PROXY UNKNOWN anything at all 1 2 3\r\n"),
    LOCAL(
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
        "65535\r\n"),
    BAD("PROXY UNKNOWNX\r\n", LINE),
    BAD("PROXY unknown\r\n", LINE),
    BAD("PROXY \r\n", LINE),
    BAD("PROXY  TCP4 192.0.2.1 127.0.0.1 1 2\r\n", LINE),
    BAD("PROXY TCP4\r\n", LINE),
    BAD("PROXY TCP 192.0.2.1 127.0.0.1 1 2\r\n", LINE),
    BAD("PROXY UDP4 192.0.2.1 127.0.0.1 1 2\r\n", LINE),
    BAD("PROXY tcp4 192.0.2.1 127.0.0.1 1 2\r\n", LINE),
    BAD("PROXY / HTTP/1.1\r\n", LINE),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 1 2\n", LINE),
    BAD("PROXY TCP4 192.0.2.1\n 127.0.0.1 1 2\r\n", LINE),
    BAD("PROXY UNKNOWN " X36 X36 X9 X9 "xxxxxxx\r\n", LINE), /* 108 bytes */
    BAD("PROXY UNKNOWN " X216 "\r\n", LINE),
    BAD("PROXY TCP4 192.0.2.1\r\n", ADDRESS),
    BAD("PROXY TCP4 192.0.2.1 \r\n", ADDRESS),
    BAD("PROXY TCP4  192.0.2.1 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 192.0.2.1  127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 192.0.2.256 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 192.0.2 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 192.0.02.1 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 0xc0.0.2.1 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 192.0.2.1 localhost 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 2001:db8::1 ::1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 ::ffff:192.0.2.1 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP6 192.0.2.1 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP6 ::1 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP6 [::1] ::1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP6 fe80::1%lo ::1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP6 1::2::3 ::1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 192.0.2.1\0 127.0.0.1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 1\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 1 \r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1  1 2\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 1 2 \r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 1 2 3\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 65536 2\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 1 99999999999999999999\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 01 2\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 -1 2\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 +1 2\r\n", PORT),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 0x1 2\r\n", PORT),
    /* version 2 */
    FINE(SIG "\x21\x11\0\x0c" V4, "192.0.2.1:56108"),
    FINE(SIG "\x21\x21\0\x24" V6, "[2001:db8::1]:56108"),
    FINE(SIG "\x21\x21\0\x24" MAPPED, "192.0.2.1:56108"),
    FINE(SIG "\x21\x11\0\x0f" V4 "\x04\0\0", "192.0.2.1:56108"),                /* NOOP, empty */
    FINE(SIG "\x21\x11\0\x15" V4 "\x01\0\x02h2\xee\0\x01x", "192.0.2.1:56108"), /* ALPN, private */
    FINE(SIG "\x21\x11\0\x16" V4 "\x20\0\x07\x01\0\0\0\0\x21\0",
         "192.0.2.1:56108"), /* SSL: not looked into */
    FINE(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\xd0\x4d\xd0\x42", "192.0.2.1:56108"),
    FINE(SIG "\x21\x11\0\x16" V4 "\x03\0\x04\x14\x82\x0f\x5e\x04\0\0", "192.0.2.1:56108"),
    LOCAL(SIG "\x20\0\0\0"),
    LOCAL(SIG "\x20\x11\0\x0c" V4),
    LOCAL(SIG "\x20\x11\0\x05"
              "short"),
    LOCAL(SIG "\x20\xff\0\x03"
              "any"),
    LOCAL(SIG "\x21\0\0\0"),
    LOCAL(SIG "\x21\0\0\x05"
              "chaos"),
    LOCAL(SIG "\x21\x01\0\0"),
    LOCAL(SIG "\x21\x12\0\x0c" V4), /* datagrams */
    LOCAL(SIG "\x21\x22\0\x24" V6),
    LOCAL(SIG "\x21\x10\0\x0c" V4),
    LOCAL(SIG "\x21\x31\0\xd8" X216),
    LOCAL(SIG "\x21\x32\0\xdb" X216 "\x04\0\0"),
    BAD(SIG "\x11\x11\0\x0c" V4, VERSION),
    BAD(SIG "\x31\x11\0\x0c" V4, VERSION),
    BAD(SIG "\x01\x11\0\x0c" V4, VERSION),
    BAD(SIG "\x22\x11\0\x0c" V4, COMMAND),
    BAD(SIG "\x2f\x11\0\x0c" V4, COMMAND),
    BAD(SIG "\x21\x41\0\x0c" V4, FAMILY),
    BAD(SIG "\x21\xf1\0\x0c" V4, FAMILY),
    BAD(SIG "\x21\x13\0\x0c" V4, FAMILY),
    BAD(SIG "\x21\x2f\0\x24" V6, FAMILY),
    BAD(SIG "\x21\x11\0\0", LENGTH),
    BAD(SIG "\x21\x11\0\x0b\xc0\0\x02\x01\x7f\0\0\x01\xdb\x2c\x01", LENGTH),
    BAD(SIG "\x21\x21\0\x0c" V4, LENGTH),
    BAD(SIG "\x21\x31\0\x24" X36, LENGTH),
    BAD(SIG "\x21\x11\x0f\xf1", LENGTH), /* 4097 with the fixed part */
    BAD(SIG "\x20\x11\xff\xff", LENGTH),
    BAD(SIG "\x21\x11\0\x0d" V4 "\x04", TLV),
    BAD(SIG "\x21\x11\0\x0e" V4 "\x04\0", TLV),
    BAD(SIG "\x21\x11\0\x0f" V4 "\x04\0\x01", TLV),
    BAD(SIG "\x21\x11\0\x10" V4 "\x04\0\x02x", TLV),
    BAD(SIG "\x21\x11\0\x12" V4 "\x04\0\0\x04\xff\xff", TLV),
    BAD(SIG "\x21\x31\0\xd9" X216 "\x04", TLV),
    BAD(SIG "\x21\x11\0\x12" V4 "\x03\0\x03\x45\x0c\xd3", TLV),               /* a checksum of three bytes */
    BAD(SIG "\x21\x11\0\x1a" V4 "\x03\0\x04\0\0\0\0\x03\0\x04\0\0\0\0", TLV), /* two */
    BAD(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\xd0\x4d\xd0\x43", CHECKSUM),
    BAD(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\0\0\0\0", CHECKSUM),
    BAD(SIG "\x21\0\0\x07\x03\0\x04\0\0\0\0", CHECKSUM),
    /* neither */
    BAD("GET / HTTP/1.1\r\n\r\n", NO_HEADER),
    BAD("\x16\x03\x01\x02\0\x01", NO_HEADER), /* TLS */
    BAD("proxy TCP4 192.0.2.1 127.0.0.1 1 2\r\n", NO_HEADER),
    BAD("PROXY\tTCP4 192.0.2.1 127.0.0.1 1 2\r\n", NO_HEADER),
    BAD("PRI * HTTP/2.0\r\n\r\n", NO_HEADER),
    BAD(" PROXY UNKNOWN\r\n", NO_HEADER),
    BAD("\r\nGET / HTTP/1.1\r\n\r\n", NO_HEADER),
    BAD("\r\n\r\nGET / HTTP/1.1\r\n\r\n", NO_HEADER),
    BAD("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c" V4, NO_HEADER),
    BAD("\0", NO_HEADER),
};

struct result {
    enum proxy_verdict verdict;
    enum proxy_refusal why;
    struct proxy_header header;
};

/* As a block of its own, so that a read beyond its end is noticed. */
static void look(struct cdn_str bytes, struct result *ret)
{
    char *own = cdn_malloc(bytes.n ? bytes.n : 1);
    memcpy(own, bytes.p, bytes.n);
    *ret = (struct result){.verdict = PROXY_MORE};
    ret->verdict = proxy_header_read(own, bytes.n, &ret->header, &ret->why);
    free(own);
}

static void check_verdict(size_t row, const struct result *r)
{
    const enum proxy_refusal why = rows[row].why;
    const enum proxy_verdict verdict = !why                            ? PROXY_HEADER
                                       : why == PROXY_REFUSE_NO_HEADER ? PROXY_NONE
                                                                       : PROXY_BAD;
    ck_assert_msg(r->verdict == verdict && r->why == why, "row %zu: verdict %d, %s", row, (int)r->verdict,
                  proxy_refusal_word(r->why));
    if (verdict != PROXY_HEADER) {
        ck_assert_uint_eq(r->header.length, 0);
        return;
    }
    char source[CDN_ADDR_TEXT_SIZE] = "";
    if (!r->header.local) {
        cdn_addr_format(&r->header.source, source);
    }
    ck_assert_str_eq(source, rows[row].source ? rows[row].source : "");
    ck_assert_uint_eq(r->header.length, rows[row].bytes.n);
    ck_assert_uint_eq(r->header.version, rows[row].bytes.p[0] == 'P' ? 1 : 2);
}

START_TEST(header_rows)
{
    struct result r;
    look(rows[_i].bytes, &r);
    check_verdict((size_t)_i, &r);
}
END_TEST

START_TEST(more_behind_it_changes_nothing)
{
    struct cdn_buf all = {0};
    cdn_buf_add_str(&all, rows[_i].bytes);
    if (rows[_i].why != PROXY_REFUSE_LENGTH) { /* which may be decided by the first bytes */
        cdn_buf_add_str(&all, CDN_STR("GET / HTTP/1.1\r\nHost: a\r\n\r\nPROXY UNKNOWN\r\n" SIG X216 X216));
    }
    struct result r;
    look(cdn_buf_str(&all), &r);
    check_verdict((size_t)_i, &r);
    cdn_buf_free(&all);
}
END_TEST

/* Byte by byte: MORE until the verdict, which is then the same one and stays. */
START_TEST(every_split)
{
    const struct cdn_str all = rows[_i].bytes;
    bool decided = false;
    for (size_t n = 0; n <= all.n; n++) {
        struct result r;
        look((struct cdn_str){all.p, n}, &r);
        ck_assert_msg(!decided || r.verdict != PROXY_MORE, "row %d: undecided again at %zu", _i, n);
        decided = r.verdict != PROXY_MORE;
        if (decided) {
            check_verdict((size_t)_i, &r);
        }
        ck_assert_msg(decided || n < all.n, "row %d: never decided", _i);
    }
}
END_TEST

START_TEST(largest)
{
    char bytes[PROXY_HEADER_MAX] = SIG "\x21\x11\x0f\xf0" V4 "\xee\x0f\xe1";
    struct result r;
    look((struct cdn_str){bytes, sizeof(bytes) - 1}, &r);
    ck_assert_int_eq(r.verdict, PROXY_MORE);
    look((struct cdn_str){bytes, sizeof(bytes)}, &r);
    ck_assert_int_eq(r.verdict, PROXY_HEADER);
    ck_assert_uint_eq(r.header.length, sizeof(bytes));
}
END_TEST

static const struct {
    const char *source, *destination;
    struct cdn_str bytes;
} written[] = {
    {"192.0.2.1:56108", "127.0.0.1:443", BYTES(SIG "\x21\x11\0\x0c" V4)},
    {"[2001:db8::1]:56108", "[::1]:443", BYTES(SIG "\x21\x21\0\x24" V6)},
    {"192.0.2.1:56108", "[::1]:443", BYTES(SIG "\x21\x21\0\x24" MAPPED)},
    {NULL, NULL, BYTES(SIG "\x20\0\0\0")},
};

START_TEST(written_rows)
{
    struct cdn_addr source;
    struct cdn_addr destination;
    char bytes[PROXY_WRITE_MAX];
    const bool local = !written[_i].source;
    ck_assert(local || cdn_parse_host_port(cdn_str(written[_i].source), &source));
    ck_assert(local || cdn_parse_host_port(cdn_str(written[_i].destination), &destination));
    const size_t n = proxy_header_write(local ? NULL : &source, local ? NULL : &destination, bytes);
    ck_assert_uint_eq(n, written[_i].bytes.n);
    ck_assert(memcmp(bytes, written[_i].bytes.p, n) == 0);
    struct result r;
    look((struct cdn_str){bytes, n}, &r);
    ck_assert_int_eq(r.verdict, PROXY_HEADER);
    ck_assert(r.header.local == local);
}
END_TEST

START_TEST(each_refusal_has_words)
{
    for (enum proxy_refusal why = PROXY_FINE; why < PROXY_REFUSAL_COUNT; why++) {
        ck_assert(proxy_refusal_word(why)[0] && proxy_refusal_text(why)[0]);
        ck_assert_ptr_null(strchr(proxy_refusal_word(why), ' '));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxy_protocol");
    TCase *cases = tcase_create("rows");
    const int n = (int)CDN_ARRAY_LEN(rows);
    tcase_add_loop_test(cases, header_rows, 0, n);
    tcase_add_loop_test(cases, more_behind_it_changes_nothing, 0, n);
    tcase_add_loop_test(cases, every_split, 0, n);
    tcase_add_loop_test(cases, written_rows, 0, (int)CDN_ARRAY_LEN(written));
    tcase_add_test(cases, largest);
    tcase_add_test(cases, each_refusal_has_words);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
