/* access_format: the line of every format, byte for byte, and what must not be able to forge one. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "edge/log/access_format.h"
#include "edge/semantics/cause.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TIME INT64_C(1791298799042) /* 2026-10-06T14:59:59.042Z */

struct given {
    uint16_t status, fwd_status;
    uint64_t bytes, duration_us;
    int64_t origin_us;
    enum edge_verdict verdict;
    enum edge_cause cause;
    bool stored, collapsed, aborted, secure, http10;
    const char *client, *method, *host, *target, *referer, *agent, *range, *trace, *request_id;
};

static struct edge_access_record *record_of(const struct given *g)
{
    const char *texts[EDGE_ACCESS_TEXT_COUNT] = {g->method, g->host,  g->target, g->referer,
                                                 g->agent,  g->range, g->trace,  g->request_id};
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct edge_access_record head = {
        .status = g->status,
        .fwd_status = g->fwd_status,
        .time_ms = TIME,
        .bytes = g->bytes,
        .duration_us = g->duration_us,
        .origin_us = g->origin_us,
        .verdict = (uint8_t)g->verdict,
        .cause = (uint8_t)g->cause,
        .stored = g->stored,
        .collapsed = g->collapsed,
        .aborted = g->aborted,
        .secure = g->secure,
        .http10 = g->http10,
    };
    ck_assert(cdn_parse_ip(cdn_str(g->client ? g->client : "192.0.2.7"), &head.client));
    for (unsigned i = 0; i < EDGE_ACCESS_TEXT_COUNT; i++) {
        cdn_buf_add_str(&text, cdn_str(texts[i]));
        head.text_n[i] = (uint16_t)cdn_str(texts[i]).n;
    }
    struct edge_access_record *r = cdn_malloc(sizeof(*r) + text.n);
    *r = head;
    memcpy(r->text, cdn_buf_str(&text).p, text.n);
    return r;
}

static const struct {
    enum edge_access_format format;
    struct given given;
    const char *line;
} rows[] = {
    {EDGE_ACCESS_CLF,
     {.status = 200,
      .bytes = 1024,
      .origin_us = -1,
      .method = "GET",
      .host = "a.example",
      .target = "/x?y=1"},
     "192.0.2.7 - - [06/Oct/2026:14:59:59 +0000] \"GET /x?y=1 HTTP/1.1\" 200 1024\n"},
    {EDGE_ACCESS_CLF,
     {.status = 304,
      .origin_us = -1,
      .http10 = true,
      .method = "HEAD",
      .target = "/",
      .client = "2001:db8::1"},
     "2001:db8::1 - - [06/Oct/2026:14:59:59 +0000] \"HEAD / HTTP/1.0\" 304 -\n"},
    {EDGE_ACCESS_CLF,
     {.method = "GET", .target = "/", .origin_us = -1},
     "192.0.2.7 - - [06/Oct/2026:14:59:59 +0000] \"GET / HTTP/1.1\" 000 -\n"},
    {EDGE_ACCESS_COMBINED,
     {.status = 200, .bytes = 5, .origin_us = -1, .method = "GET", .target = "/", .agent = "curl/8 \"x\" \\"},
     "192.0.2.7 - - [06/Oct/2026:14:59:59 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl/8 \\\"x\\\" \\\\\"\n"},
    {EDGE_ACCESS_COMBINED,
     {.status = 404,
      .bytes = 5,
      .origin_us = -1,
      .method = "GET",
      .target = "/\x1b[2J",
      .referer = "\n\xe2\x80\xae"},
     "192.0.2.7 - - [06/Oct/2026:14:59:59 +0000] \"GET /\\x1b[2J HTTP/1.1\" 404 5 \"\\x0a\\xe2\\x80\\xae\" "
     "\"-\"\n"},
    {EDGE_ACCESS_JSON,
     {.status = 200,
      .bytes = 1024,
      .duration_us = 37,
      .origin_us = -1,
      .method = "GET",
      .host = "a.example",
      .target = "/x",
      .secure = true},
     "{\"time\":\"2026-10-06T14:59:59.042Z\",\"client\":\"192.0.2.7\",\"method\":\"GET\",\"scheme\":"
     "\"https\","
     "\"host\":\"a.example\",\"target\":\"/x\",\"status\":200,\"bytes\":1024,\"duration_us\":37,"
     "\"verdict\":\"HIT\",\"cause\":\"\",\"edge\":\"fra\"}\n"},
    {EDGE_ACCESS_JSON,
     {.status = 206,
      .fwd_status = 200,
      .bytes = UINT64_MAX,
      .duration_us = 1000000,
      .origin_us = 0,
      .verdict = EDGE_VERDICT_MISS,
      .cause = EDGE_CAUSE_PURGED,
      .stored = true,
      .collapsed = true,
      .aborted = true,
      .method = "GET",
      .host = "a",
      .target = "/\"\\\x01\x7f\xc3\xa9",
      .referer = "http://b/",
      .agent = "m",
      .range = "bytes=0-1"},
     "{\"time\":\"2026-10-06T14:59:59.042Z\",\"client\":\"192.0.2.7\",\"method\":\"GET\",\"scheme\":\"http\","
     "\"host\":\"a\",\"target\":\"/\\\"\\\\\\u0001\\u007f\\u00c3\\u00a9\",\"status\":206,"
     "\"bytes\":18446744073709551615,\"duration_us\":1000000,\"verdict\":\"MISS\",\"cause\":\"purged\","
     "\"edge\":\"fra\",\"origin_us\":0,\"fwd_status\":200,\"stored\":true,\"collapsed\":true,\"aborted\":"
     "true,"
     "\"range\":\"bytes=0-1\",\"referer\":\"http://b/\",\"user_agent\":\"m\"}\n"},
    {EDGE_ACCESS_JSON,
     {.status = 502,
      .origin_us = -1,
      .verdict = EDGE_VERDICT_COUNT,
      .cause = EDGE_CAUSE_COLD,
      .method = "GET",
      .target = "/"},
     "{\"time\":\"2026-10-06T14:59:59.042Z\",\"client\":\"192.0.2.7\",\"method\":\"GET\",\"scheme\":\"http\","
     "\"host\":\"\",\"target\":\"/\",\"status\":502,\"bytes\":0,\"duration_us\":0,\"verdict\":\"REFUSED\","
     "\"cause\":\"cold\",\"edge\":\"fra\"}\n"},
};

START_TEST(lines)
{
    struct edge_access_record *r = record_of(&rows[_i].given);
    CDN_AUTOBUF struct cdn_buf line = {0};
    edge_access_line(r, rows[_i].format, CDN_STR("fra"), &line);
    ck_assert_str_eq(line.p, rows[_i].line);
    free(r);
}
END_TEST

/* Every byte in every text: one line, printable ASCII only. */
START_TEST(no_byte_breaks_out)
{
    char all[256];
    for (int i = 0; i < 255; i++) {
        all[i] = (char)(i + 1);
    }
    all[255] = '\0';
    const struct given g = {.status = 200,
                            .origin_us = -1,
                            .method = all,
                            .host = all,
                            .target = all,
                            .referer = all,
                            .agent = all,
                            .range = all};
    struct edge_access_record *r = record_of(&g);
    CDN_AUTOBUF struct cdn_buf line = {0};
    edge_access_line(r, (enum edge_access_format)_i, CDN_STR("fra"), &line);
    for (size_t i = 0; i < line.n - 1; i++) {
        ck_assert_int_ge(line.p[i], 0x20);
        ck_assert_int_lt(line.p[i], 0x7f);
    }
    ck_assert_int_eq(line.p[line.n - 1], '\n');
    free(r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access_format");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, lines, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(tests, no_byte_breaks_out, 0, 3);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
