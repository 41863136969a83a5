/* What other CDNs do by their documentation (docs/explain.md): golden rows, one for each sentence. */
#include "cli/explain/others.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NO (-1)
#define NOW INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */
#define SOON "Date: Sun, 06 Nov 1994 08:49:37 GMT\nExpires: Sun, 06 Nov 1994 08:50:37 GMT"

static const struct {
    const char *method, *path;
    unsigned status;
    const char *fields;
    int ttl[EXPLAIN_OTHER_COUNT]; /* CloudFront, CloudFront's legacy settings, Cloudflare, Fastly */
} rows[] = {
    /* nothing said */
    {"GET", "/a.css", 200, "", {86400, 86400, 7200, 3600}},
    {"HEAD", "/a.css", 200, "", {86400, 86400, 7200, 3600}},
    {"POST", "/a.css", 200, "Cache-Control: max-age=60", {NO, NO, NO, NO}},
    {"GET", "/", 200, "", {86400, 86400, NO, 3600}},
    {"GET", "/api.json", 200, "Cache-Control: max-age=60", {60, 60, NO, 60}},
    {"GET", "/robots.txt", 200, "", {86400, 86400, 7200, 3600}},
    {"GET", "/x/robots.txt", 200, "", {86400, 86400, NO, 3600}},
    {"GET", "/A.JPG", 200, "", {86400, 86400, 7200, 3600}},
    {"GET", "/css", 200, "", {86400, 86400, NO, 3600}},
    {"GET", "/a.css/", 200, "", {86400, 86400, NO, 3600}},
    /* lifetimes */
    {"GET", "/a.js", 200, "Cache-Control: max-age=60", {60, 60, 60, 60}},
    {"GET", "/a.js", 200, "Cache-Control: max-age=60, s-maxage=600", {600, 600, 600, 600}},
    {"GET",
     "/a.js",
     200,
     "Cache-Control: max-age=60\nCache-Control: public, s-maxage=600",
     {600, 600, 600, 600}},
    {"GET", "/a.js", 200, "Cache-Control: max-age=0", {1, NO, NO, NO}},
    {"GET", "/a.js", 200, "Cache-Control: max-age=99999999", {31536000, 31536000, 99999999, 99999999}},
    {"GET", "/a.js", 200, SOON, {60, 60, 60, 60}},
    {"GET", "/a.js", 200, SOON "\nCache-Control: max-age=9", {9, 9, 9, 9}},
    {"GET", "/a.js", 200, "Expires: 0", {1, NO, NO, NO}},
    {"GET", "/a.js", 200, "Expires: Sun, 06 Nov 1994 08:49:36 GMT", {1, NO, NO, NO}},
    {"GET", "/a.js", 200, "Surrogate-Control: max-age=300\nCache-Control: max-age=60", {60, 60, 60, 300}},
    {"GET", "/a.js", 200, "CDN-Cache-Control: max-age=300\nCache-Control: max-age=60", {60, 60, 300, 60}},
    {"GET",
     "/a.js",
     200,
     "Cloudflare-CDN-Cache-Control: max-age=5\nCDN-Cache-Control: max-age=300\nCache-Control: no-store",
     {1, NO, 5, NO}},
    /* what forbids it */
    {"GET", "/a.js", 200, "Cache-Control: no-store", {1, NO, NO, NO}},
    {"GET", "/a.js", 200, "Cache-Control: private, max-age=60", {1, NO, NO, NO}},
    {"GET", "/a.js", 200, "Cache-Control: no-cache", {1, NO, NO, 3600}},
    {"GET", "/a.js", 200, "Cache-Control: no-cache, max-age=60", {1, NO, NO, 60}},
    {"GET", "/a.js", 200, "Surrogate-Control: max-age=300\nCache-Control: no-store", {1, NO, NO, NO}},
    {"GET", "/a.js", 200, "Set-Cookie: a=1", {86400, 86400, NO, NO}},
    {"GET", "/a.js", 200, "Set-Cookie: a=1\nCache-Control: public, max-age=60", {60, 60, NO, NO}},
    /* statuses */
    {"GET", "/a.js", 301, "", {86400, 86400, 7200, 3600}},
    {"GET", "/a.js", 302, "", {86400, 86400, 1200, 3600}},
    {"GET", "/a.js", 307, "", {86400, 86400, NO, NO}},
    {"GET", "/a.js", 404, "", {10, 10, 180, 3600}},
    {"GET", "/a.js", 404, "Cache-Control: max-age=60", {60, 60, 60, 60}},
    {"GET", "/a.js", 404, "Cache-Control: max-age=5", {10, 10, 5, 5}},
    {"GET", "/a.js", 404, "Cache-Control: no-store", {10, 10, NO, NO}},
    {"GET", "/a.js", 410, "", {NO, NO, 180, 3600}},
    {"GET", "/a.js", 403, "", {NO, NO, NO, NO}},
    {"GET", "/a.js", 403, "Cache-Control: max-age=60", {60, 60, 60, NO}},
    {"GET", "/a.js", 500, "", {10, 10, NO, NO}},
    {"GET", "/a.js", 503, "Cache-Control: max-age=60", {60, 60, 60, NO}},
    {"GET", "/a.js", 416, "", {NO, NO, NO, NO}},
};

START_TEST(claims)
{
    struct http_field fields[FIELDS_MAX];
    const struct explain_answer answer = {.method = cdn_str(rows[_i].method),
                                          .path = cdn_str(rows[_i].path),
                                          .status = rows[_i].status,
                                          .field = fields,
                                          .count = fields_of(rows[_i].fields, fields),
                                          .now_s = NOW};
    for (int who = 0; who < EXPLAIN_OTHER_COUNT; who++) {
        const struct explain_claim claim = explain_claim_of((enum explain_other)who, &answer);
        const int64_t ttl = claim.cached ? claim.ttl_s : NO;
        ck_assert_msg(ttl == rows[_i].ttl[who], "%s %s %u %s: %s (%s): %d", rows[_i].method, rows[_i].path,
                      rows[_i].status, rows[_i].fields, explain_other_name((enum explain_other)who),
                      explain_other_setting((enum explain_other)who), (int)ttl);
        ck_assert(claim.because && claim.because[0] && explain_page_name(claim.page)[0]);
    }
}
END_TEST

/* Cloudflare alone speaks of Authorization. */
START_TEST(authorized_requests)
{
    static const struct {
        const char *fields;
        bool cached;
    } says[] = {{"Cache-Control: max-age=60", false},
                {"Cache-Control: public, max-age=60", true},
                {"Cache-Control: s-maxage=60", true},
                {"Cache-Control: max-age=60, must-revalidate", true},
                {"", false}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(says); i++) {
        struct http_field fields[FIELDS_MAX];
        struct explain_answer answer = {.method = CDN_STR("GET"),
                                        .path = CDN_STR("/a.js"),
                                        .authorized = true,
                                        .status = 200,
                                        .field = fields,
                                        .count = fields_of(says[i].fields, fields)};
        ck_assert_int_eq(explain_claim_of(EXPLAIN_CLOUDFLARE, &answer).cached, says[i].cached);
        ck_assert(explain_claim_of(EXPLAIN_FASTLY, &answer).cached);
    }
}
END_TEST

START_TEST(cookies_that_cloudfront_takes_away)
{
    struct http_field fields[FIELDS_MAX];
    const struct explain_answer answer = {.method = CDN_STR("GET"),
                                          .path = CDN_STR("/"),
                                          .status = 200,
                                          .field = fields,
                                          .count = fields_of("Set-Cookie: a=1", fields)};
    ck_assert_ptr_nonnull(strstr(explain_claim_of(EXPLAIN_CLOUDFRONT, &answer).note, "Set-Cookie"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("others");
    TCase *table = tcase_create("rows");
    tcase_add_loop_test(table, claims, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(table, authorized_requests);
    tcase_add_test(table, cookies_that_cloudfront_takes_away);
    suite_add_tcase(suite, table);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
