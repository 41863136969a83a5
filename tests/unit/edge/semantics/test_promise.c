/* promise, decode: content-hashed names against plain and coded bodies, good, damaged, cut off and huge. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/decode.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/promise.h"
#include "tests/unit/edge/head_of.h"

#include <brotli/encode.h>
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define TEXT "console.log(1)" /* its MD5 begins with 6114f5adc373 */

enum form { PLAIN, GZIP, GZIP_TWICE /* two members */, BROTLI, ZSTD, ZSTD_TWICE, ZSTD_WIDE };

static void gzip(struct cdn_str text, struct cdn_buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)text.p, .avail_in = (uInt)text.n};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const size_t room = deflateBound(&z, (uLong)text.n);
    cdn_buf_reserve(out, room);
    z.next_out = (Bytef *)out->p + out->n;
    z.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += z.total_out;
    deflateEnd(&z);
}

static void zstd(struct cdn_str text, int window, struct cdn_buf *out)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    const size_t room = ZSTD_compressBound(text.n) + 64;
    ZSTD_inBuffer in = {text.p, text.n, 0};
    cdn_buf_reserve(out, room);
    ZSTD_outBuffer to = {out->p + out->n, room, 0};
    ck_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, window)));
    ck_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0)));
    ck_assert(!ZSTD_isError(ZSTD_compressStream2(z, &to, &in, ZSTD_e_continue))); /* a length is not known */
    ck_assert_uint_eq(ZSTD_compressStream2(z, &to, &in, ZSTD_e_end), 0);
    out->n += to.pos;
    ZSTD_freeCCtx(z);
}

static void code(enum form form, struct cdn_str text, struct cdn_buf *out)
{
    size_t n = BrotliEncoderMaxCompressedSize(text.n) + 64;
    const size_t half = text.n / 2;
    switch (form) {
    case PLAIN:
        cdn_buf_add_str(out, text);
        break;
    case GZIP:
        gzip(text, out);
        break;
    case GZIP_TWICE:
        gzip((struct cdn_str){text.p, half}, out);
        gzip(cdn_str_sub(text, half), out);
        break;
    case BROTLI:
        cdn_buf_reserve(out, n);
        ck_assert(BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT, text.n, (const uint8_t *)text.p, &n,
                                        (uint8_t *)out->p));
        out->n = n;
        break;
    case ZSTD:
        zstd(text, 23, out);
        break;
    case ZSTD_TWICE:
        zstd((struct cdn_str){text.p, half}, 20, out);
        zstd(cdn_str_sub(text, half), 20, out);
        break;
    case ZSTD_WIDE: /* more than RFC 9659 allows */
        zstd(text, 24, out);
        break;
    }
}

static const struct {
    const char *name;     /* of the file */
    const char *encoding; /* Content-Encoding; NULL: none */
    enum form form;
    int cut;      /* bytes less (negative: more) than there should be */
    bool on_disk; /* the body is not in memory when it is complete */
    enum edge_promise_state state;
} rows[] = {
    {"app.6114f5adc373.js", NULL, PLAIN, 0, false, EDGE_PROMISE_KEPT},
    {"app.6114f5adc373.js", NULL, PLAIN, 0, true, EDGE_PROMISE_KEPT},
    {"app.6114f5adc373.js", NULL, PLAIN, 1, false, EDGE_PROMISE_BROKEN},
    {"app.6114f5adc373.js", "identity", PLAIN, 0, true, EDGE_PROMISE_KEPT},
    {"app.6114f5adc373.js", "gzip", GZIP, 0, false, EDGE_PROMISE_KEPT},
    {"app.6114f5adc373.js", "x-gzip", GZIP, 0, false, EDGE_PROMISE_KEPT},
    {"app.6114f5adc373.js", " GZip ", GZIP_TWICE, 0, false, EDGE_PROMISE_KEPT},
    {"app.6114f5adc373.js", "br", BROTLI, 0, false, EDGE_PROMISE_KEPT},
    {"app.0123456789ab.js", "gzip", GZIP, 0, false, EDGE_PROMISE_BROKEN},
    {"app.0123456789ab.js", "br", BROTLI, 0, false, EDGE_PROMISE_BROKEN},
    {"app.0123456789ab.js", NULL, PLAIN, 0, false, EDGE_PROMISE_BROKEN},
    {"app.6114f5adc373.js", "gzip", GZIP, 0, true, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "gzip", GZIP, 1, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "gzip", GZIP, -1, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "br", BROTLI, 1, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "br", BROTLI, -1, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "gzip", PLAIN, 0, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "br", PLAIN, 0, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "gzip", BROTLI, 0, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "zstd", ZSTD, 0, false, EDGE_PROMISE_KEPT},
    {"app.6114f5adc373.js", "zstd", ZSTD_TWICE, 0, false, EDGE_PROMISE_KEPT},
    {"app.0123456789ab.js", "zstd", ZSTD, 0, false, EDGE_PROMISE_BROKEN},
    {"app.6114f5adc373.js", "zstd", ZSTD, 1, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "zstd", ZSTD, -1, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "zstd", ZSTD_WIDE, 0, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "zstd", PLAIN, 0, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "deflate", GZIP, 0, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "gzip, br", GZIP, 0, false, EDGE_PROMISE_UNVERIFIED},
    {"app.6114f5adc373.js", "gzip\nContent-Encoding: gzip", GZIP, 0, false, EDGE_PROMISE_UNVERIFIED},
    {"app.js", "gzip", PLAIN, 0, false, EDGE_PROMISE_KEPT}, /* promises nothing */
    {"app.js", NULL, PLAIN, 0, false, EDGE_PROMISE_KEPT},
};

START_TEST(what_the_name_says)
{
    CDN_AUTOBUF struct cdn_buf body = {0};
    CDN_AUTOFREE char *key = cdn_asprintf("http://a.example/static/%s", rows[_i].name);
    CDN_AUTOFREE char *fields =
        rows[_i].encoding ? cdn_asprintf("Content-Encoding: %s\n", rows[_i].encoding) : cdn_strdup("");
    struct edge_head *head = head_of(200, fields);
    struct edge_promise *p = edge_promise_begin(cdn_str(key), head);
    char hex[33];
    code(rows[_i].form, CDN_STR(TEXT), &body);
    if (rows[_i].cut < 0) {
        cdn_buf_add_char(&body, '!');
    }
    body.n -= rows[_i].cut > 0 ? (size_t)rows[_i].cut : 0;
    for (size_t i = 0; i < body.n; i++) {
        edge_promise_add(p, body.p + i, 1);
    }
    const struct cdn_str whole = rows[_i].on_disk ? (struct cdn_str){0} : cdn_buf_str(&body);
    ck_assert_int_eq(edge_promise_check(p, whole, hex), rows[_i].state);
    ck_assert_uint_eq(strlen(hex), rows[_i].state == EDGE_PROMISE_BROKEN ? 32 : 0);
    edge_promise_free(p);
    edge_head_destroy(head);
}
END_TEST

static void count(void *arg, struct cdn_str piece)
{
    *(size_t *)arg += piece.n;
}

static const struct {
    enum form form;
    const char *coding;
    size_t plain;
    bool well;
} sizes[] = {
    {GZIP, "gzip", 0, true},
    {BROTLI, "br", 0, true},
    {ZSTD, "zstd", 0, true},
    {ZSTD, "zstd", 1 << 20, true},
    {ZSTD, "zstd", EDGE_DECODE_MAX, true},
    {ZSTD_TWICE, "zstd", EDGE_DECODE_MAX, true},
    {ZSTD, "zstd", EDGE_DECODE_MAX + 1, false},
    {ZSTD_TWICE, "zstd", EDGE_DECODE_MAX + 2, false},
    {ZSTD, "zstd", 64 << 20, false},
    {GZIP, "gzip", 1 << 20, true},
    {BROTLI, "br", 1 << 20, true},
    {GZIP, "gzip", EDGE_DECODE_MAX, true},
    {GZIP_TWICE, "gzip", EDGE_DECODE_MAX, true},
    {BROTLI, "br", EDGE_DECODE_MAX, true},
    {GZIP, "gzip", EDGE_DECODE_MAX + 1, false},
    {GZIP_TWICE, "gzip", EDGE_DECODE_MAX + 2, false},
    {BROTLI, "br", EDGE_DECODE_MAX + 1, false},
    {GZIP, "gzip", 64 << 20, false}, /* some 64 KB */
    {BROTLI, "br", 64 << 20, false},
};

START_TEST(no_more_than_so_many_bytes)
{
    CDN_AUTOBUF struct cdn_buf body = {0};
    CDN_AUTOFREE char *zeros = cdn_calloc(1, sizes[_i].plain + 1);
    size_t n = 0;
    code(sizes[_i].form, (struct cdn_str){zeros, sizes[_i].plain}, &body);
    ck_assert_int_eq(edge_decode(cdn_str(sizes[_i].coding), cdn_buf_str(&body), count, &n), sizes[_i].well);
    ck_assert_uint_le(n, EDGE_DECODE_MAX);
    ck_assert(!sizes[_i].well || n == sizes[_i].plain);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("promise");
    TCase *c = tcase_create("promise");
    tcase_add_loop_test(c, what_the_name_says, 0, CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(c, no_more_than_so_many_bytes, 0, CDN_ARRAY_LEN(sizes));
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
