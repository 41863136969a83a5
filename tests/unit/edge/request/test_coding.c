/* coding: what is compressed for whom, what the head says then, and that the bytes come back. */
#include "common/http/syntax/http_field_accept.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/request/coding.h"
#include "edge/semantics/head.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

static struct edge_coding_rules with_zstd(struct edge_coding_rules rules)
{
    rules.offered |= 1u << HTTP_CODING_ZSTD;
    return rules;
}

static struct edge_coding_rules rules_of(bool br, bool gz)
{
    static struct cdn_str types[] = {{"text/*", 6}, {"application/json", 16}, {"image/svg+xml", 13}};
    return (struct edge_coding_rules){.offered = 1u << HTTP_CODING_IDENTITY | (unsigned)br << HTTP_CODING_BR |
                                                 (unsigned)gz << HTTP_CODING_GZIP,
                                      .types = types,
                                      .type_count = CDN_ARRAY_LEN(types),
                                      .min = 1024,
                                      .max = 1 << 20,
                                      .gzip_level = 6,
                                      .br_level = 5,
                                      .zstd_level = 6};
}

static const struct {
    unsigned status;
    const char *head;
    int64_t length;
    bool eligible;
} eligible_rows[] = {
    {200, "Content-Type: text/css\n", 1024, true},
    {200, "Content-Type: text/css\n", 1023, false},
    {200, "Content-Type: text/css\n", 1 << 20, true},
    {200, "Content-Type: text/css\n", (1 << 20) + 1, false},
    {200, "Content-Type: TEXT/html; charset=utf-8\n", 5000, true},
    {200, "Content-Type: application/json\n", 5000, true},
    {200, "Content-Type: application/jsonp\n", 5000, false},
    {200, "Content-Type: image/svg+xml\n", 5000, true},
    {200, "Content-Type: image/png\n", 5000, false},
    {200, "Content-Type: text\n", 5000, false},
    {200, "X: y\n", 5000, false},
    {404, "Content-Type: text/css\n", 5000, false},
    {206, "Content-Type: text/css\n", 5000, false},
    {200, "Content-Type: text/css\nContent-Encoding: gzip\n", 5000, false},
    {200, "Content-Type: text/css\nContent-Encoding: identity\n", 5000, false},
    {200, "Content-Type: text/css\nCache-Control: max-age=1\nCache-Control: No-Transform\n", 5000, false},
    {200, "Content-Type: text/css\nContent-Length: 10\n", -1, false},
    {200, "Content-Type: text/css\nContent-Length: 5000\n", -1, true},
    {200, "Content-Type: text/css\n", -1, true},
};

START_TEST(eligible)
{
    const struct edge_coding_rules rules = rules_of(true, true);
    struct edge_head *head = head_of(eligible_rows[_i].status, eligible_rows[_i].head);
    ck_assert_int_eq(edge_coding_eligible(&rules, head, eligible_rows[_i].length),
                     eligible_rows[_i].eligible);
    edge_head_destroy(head);
}
END_TEST

static const struct {
    const char *accept;
    bool br, gz;
    enum edge_coded_form form;
} wanted_rows[] = {
    {NULL, true, true, EDGE_CODED_COUNT},
    {"", true, true, EDGE_CODED_COUNT},
    {"gzip", true, true, EDGE_CODED_GZIP},
    {"x-gzip", true, true, EDGE_CODED_GZIP},
    {"gzip, br", true, true, EDGE_CODED_BR},
    {"gzip, br", false, true, EDGE_CODED_GZIP},
    {"gzip, br", true, false, EDGE_CODED_BR},
    {"gzip", true, false, EDGE_CODED_COUNT},
    {"br;q=0.2, gzip;q=0.4", true, true, EDGE_CODED_GZIP},
    {"br;q=0, gzip;q=0", true, true, EDGE_CODED_COUNT},
    {"*", true, true, EDGE_CODED_BR},
    {"*;q=0, gzip", true, true, EDGE_CODED_GZIP},
    {"identity, gzip;q=0.9", true, true, EDGE_CODED_COUNT},
    {"deflate, zstd", true, true, EDGE_CODED_COUNT},
};

START_TEST(wanted)
{
    const struct edge_coding_rules rules = rules_of(wanted_rows[_i].br, wanted_rows[_i].gz);
    const char *accept = wanted_rows[_i].accept;
    ck_assert_int_eq(edge_coding_wanted(&rules, accept ? cdn_str(accept) : (struct cdn_str){0}),
                     wanted_rows[_i].form);
}
END_TEST

static const struct {
    const char *before;
    enum edge_coded_form form;
    const char *field;
    const char *value; /* NULL: absent */
} head_rows[] = {
    {"X: y\n", EDGE_CODED_GZIP, "Content-Encoding", "gzip"},
    {"X: y\n", EDGE_CODED_BR, "Content-Encoding", "br"},
    {"X: y\n", EDGE_CODED_BR, "X", "y"},
    {"ETag: \"a\"\n", EDGE_CODED_BR, "ETag", "W/\"a\""},
    {"ETag: W/\"a\"\n", EDGE_CODED_BR, "ETag", "W/\"a\""},
    {"X: y\n", EDGE_CODED_BR, "ETag", NULL},
    {"X: y\n", EDGE_CODED_BR, "Vary", "Accept-Encoding"},
    {"Vary: Cookie\nVary: Accept\n", EDGE_CODED_BR, "Vary", "Cookie, Accept, Accept-Encoding"},
    {"Vary: accept-encoding, Cookie\n", EDGE_CODED_BR, "Vary", "accept-encoding, Cookie"},
    {"Content-Length: 7\n", EDGE_CODED_BR, "Content-Length", NULL},
    {"Accept-Ranges: bytes\n", EDGE_CODED_BR, "Accept-Ranges", NULL},
    {"Repr-Digest: sha-256=:x:\n", EDGE_CODED_BR, "Repr-Digest", NULL},
    {"Content-MD5: x\n", EDGE_CODED_BR, "Content-MD5", NULL},
    {"Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\n", EDGE_CODED_BR, "Last-Modified",
     "Tue, 14 Nov 2023 22:13:20 GMT"},
};

START_TEST(head)
{
    struct edge_head *before = head_of(200, head_rows[_i].before);
    struct edge_head *after;
    CDN_AUTOBUF struct cdn_buf value = {0};
    ck_assert_int_eq(edge_coding_head(before, head_rows[_i].form, &after, NULL), CDN_OK);
    ck_assert_uint_eq(edge_head_status(after), 200);
    ck_assert(edge_coding_varies(after));
    ck_assert_int_eq(edge_head_join_named(after, cdn_str(head_rows[_i].field), &value),
                     head_rows[_i].value != NULL);
    if (head_rows[_i].value) {
        ck_assert_str_eq(value.p, head_rows[_i].value);
    }
    edge_head_destroy(after);
    edge_head_destroy(before);
}
END_TEST

START_TEST(varies)
{
    static const struct {
        const char *head;
        bool varies;
    } rows[] = {{"X: y\n", false},
                {"Vary: Accept\n", false},
                {"Vary: *\n", true},
                {"Vary: Accept-Encoding\n", true},
                {"Vary: a\nVary: b, ACCEPT-ENCODING\n", true},
                {"Vary: X-Accept-Encoding\n", false}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct edge_head *h = head_of(200, rows[i].head);
        ck_assert_int_eq(edge_coding_varies(h), rows[i].varies);
        edge_head_destroy(h);
    }
}
END_TEST

/* Of a frame's head (RFC 8878 3.1.1.1). */
static uint64_t zstd_window(const char *frame)
{
    const unsigned char *p = (const unsigned char *)frame;
    ck_assert_mem_eq(p, "\x28\xb5\x2f\xfd", 4);
    if (p[4] & 0x20) { /* Single_Segment_Flag: as long as the content */
        return ZSTD_getFrameContentSize(frame, 18);
    }
    const uint64_t base = UINT64_C(1) << (10 + (p[5] >> 3));
    return base + base / 8 * (p[5] & 7);
}

START_TEST(gzip_comes_back)
{
    const struct edge_coding_rules rules = rules_of(true, true);
    enum { SIZE = 300000 };
    char *text = cdn_malloc(SIZE);
    char *back = cdn_malloc(SIZE + 1);
    for (size_t i = 0; i < SIZE; i++) {
        text[i] = "the quick brown fox "[(i + i / 1000) % 20];
    }
    struct edge_blob *blob = edge_coding_compress(&rules, EDGE_CODED_GZIP, text, SIZE);
    ck_assert_ptr_nonnull(blob);
    ck_assert_uint_lt(blob->n, SIZE / 10);
    z_stream z = {.next_in = (Bytef *)blob->data,
                  .avail_in = (uInt)blob->n,
                  .next_out = (Bytef *)back,
                  .avail_out = SIZE + 1};
    ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
    ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    ck_assert_uint_eq(z.total_out, SIZE);
    ck_assert_mem_eq(back, text, SIZE);
    inflateEnd(&z);
    edge_blob_unref(blob);
    free(text);
    free(back);
}
END_TEST

static const struct {
    const char *accept;
    enum edge_coded_form form;
} zstd_rows[] = {
    {"zstd", EDGE_CODED_ZSTD},
    {"gzip, deflate, br, zstd", EDGE_CODED_BR}, /* Chrome */
    {"gzip, zstd", EDGE_CODED_ZSTD},
    {"br;q=0.5, zstd;q=0.9, gzip", EDGE_CODED_GZIP},
    {"br;q=0.5, zstd, gzip;q=0.9", EDGE_CODED_ZSTD},
    {"zstd;q=0, *", EDGE_CODED_BR},
    {"zstd;q=0", EDGE_CODED_COUNT},
    {"identity, zstd;q=0.5", EDGE_CODED_COUNT},
    {"ZSTD", EDGE_CODED_ZSTD},
    {"zst", EDGE_CODED_COUNT},
};

START_TEST(zstd_is_wanted)
{
    const struct edge_coding_rules rules = with_zstd(rules_of(true, true));
    ck_assert_int_eq(edge_coding_wanted(&rules, cdn_str(zstd_rows[_i].accept)), zstd_rows[_i].form);
}
END_TEST

/* RFC 9659: no more than 8 MiB of window, whatever the length and the level. */
START_TEST(zstd_comes_back)
{
    static const struct {
        size_t size;
        int level;
    } rows[] = {{2000, 1}, {300000, 6}, {300000, 19}, {(size_t)16 << 20, 3}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        const size_t n = rows[i].size;
        struct edge_coding_rules rules = with_zstd(rules_of(true, true));
        rules.zstd_level = rows[i].level;
        char *text = cdn_malloc(n), *back = cdn_malloc(n);
        for (size_t k = 0; k < n; k++) {
            text[k] = "the quick brown fox "[(k + k / 1000) % 20];
        }
        struct edge_blob *blob = edge_coding_compress(&rules, EDGE_CODED_ZSTD, text, n);
        ck_assert_ptr_nonnull(blob);
        ck_assert_uint_lt(blob->n, n / 10);
        ck_assert_uint_le(zstd_window(blob->data), 8u << 20);
        ck_assert_uint_eq(ZSTD_decompress(back, n, blob->data, blob->n), n);
        ck_assert_mem_eq(back, text, n);
        edge_blob_unref(blob);
        free(text);
        free(back);
    }
}
END_TEST

START_TEST(noise_stays)
{
    const struct edge_coding_rules rules = rules_of(true, true);
    unsigned char noise[4096];
    uint32_t x = 2463534242u;
    for (size_t i = 0; i < sizeof(noise); i++) { /* xorshift */
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        noise[i] = (unsigned char)x;
    }
    for (unsigned form = 0; form < EDGE_CODED_COUNT; form++) {
        ck_assert_ptr_null(
            edge_coding_compress(&rules, (enum edge_coded_form)form, (const char *)noise, sizeof(noise)));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coding");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, eligible, 0, (int)CDN_ARRAY_LEN(eligible_rows));
    tcase_add_loop_test(tests, wanted, 0, (int)CDN_ARRAY_LEN(wanted_rows));
    tcase_add_loop_test(tests, head, 0, (int)CDN_ARRAY_LEN(head_rows));
    tcase_add_test(tests, varies);
    tcase_add_test(tests, gzip_comes_back);
    tcase_add_loop_test(tests, zstd_is_wanted, 0, (int)CDN_ARRAY_LEN(zstd_rows));
    tcase_add_test(tests, zstd_comes_back);
    tcase_add_test(tests, noise_stays);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
