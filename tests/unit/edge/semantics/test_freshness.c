/* freshness: the arithmetic of RFC 9111 4.2 and when a stored response may be used. Each row names its
 * section. */
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_cache.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define CC "Cache-Control: "
#define LATER "Expires: Tue, 14 Nov 2023 23:13:20 GMT\n"   /* an hour */
#define EARLIER "Expires: Tue, 14 Nov 2023 21:13:20 GMT\n" /* an hour ago */

static void compute(unsigned status, const char *text, int64_t delay_s, struct edge_freshness *ret)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_rules policy;
    struct edge_control control;
    struct edge_head *head = head_of(status, text);
    edge_rules_init(&policy);
    policy.negative[0].status = 502;
    policy.negative[0].ttl_s = 5;
    policy.negative_count = 1;
    edge_control_read(&policy, head, &scratch, &control);
    edge_freshness_compute(&policy, head, &control, (RESPONSE_S - delay_s) * 1000, RESPONSE_S * 1000, 0, ret);
    edge_head_destroy(head);
}

static const struct {
    const char *section;
    unsigned status;
    const char *head;
    int64_t lifetime_s;
    enum edge_lifetime_source source;
} lifetimes[] = {
    {"4.2.1 nothing is said", 200, DATE, 0, EDGE_LIFETIME_NONE},
    {"5.2.2.1", 200, DATE CC "max-age=3600", 3600, EDGE_LIFETIME_MAX_AGE},
    {"4.2.1 s-maxage first", 200, DATE CC "max-age=1, s-maxage=3600", 3600, EDGE_LIFETIME_S_MAXAGE},
    {"4.2.1 s-maxage first, though shorter", 200, DATE CC "s-maxage=1\n" CC "max-age=3600", 1,
     EDGE_LIFETIME_S_MAXAGE},
    {"4.2.1 s-maxage before Expires", 200, DATE EARLIER CC "max-age=0, s-maxage=9", 9,
     EDGE_LIFETIME_S_MAXAGE},
    {"5.3 max-age before Expires", 200, DATE EARLIER CC "max-age=3600", 3600, EDGE_LIFETIME_MAX_AGE},
    {"5.3 max-age before Expires", 200, DATE LATER CC "max-age=0", 0, EDGE_LIFETIME_MAX_AGE},
    {"5.3 max-age before an invalid Expires", 200, DATE "Expires: 0\n" CC "max-age=9", 9,
     EDGE_LIFETIME_MAX_AGE},
    {"4.2.1 Expires - Date", 200, DATE LATER, 3600, EDGE_LIFETIME_EXPIRES},
    {"4.2.1 Expires - Date, not - now", 200, "Date: Tue, 14 Nov 2023 22:13:30 GMT\n" LATER, 3590,
     EDGE_LIFETIME_EXPIRES},
    {"5.3 past", 200, DATE EARLIER, 0, EDGE_LIFETIME_EXPIRES},
    {"5.3 present", 200, DATE "Expires: Tue, 14 Nov 2023 22:13:20 GMT\n", 0, EDGE_LIFETIME_EXPIRES},
    {"5.3 earlier than Date, both ahead", 200,
     "Date: Tue, 14 Nov 2023 22:20:00 GMT\nExpires: Tue, 14 Nov 2023 22:18:20 GMT", 0, EDGE_LIFETIME_EXPIRES},
    {"5.3 invalid means past", 200, DATE "Expires: 0", 0, EDGE_LIFETIME_EXPIRES},
    {"5.3 invalid means past", 200, DATE "Expires: Thu, 18 Aug 2050 02:01:18 UTC", 0, EDGE_LIFETIME_EXPIRES},
    {"5.3 invalid, though Last-Modified", 200,
     DATE "Expires: -1\nLast-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 0, EDGE_LIFETIME_EXPIRES},
    {"5.3 without a usable Date: since its arrival", 200, "Date: foo\n" LATER, 3600, EDGE_LIFETIME_EXPIRES},
    {"5.3 without Date: since its arrival", 200, LATER, 3600, EDGE_LIFETIME_EXPIRES},
    {"4.2.1 first of two", 200, DATE EARLIER LATER, 0, EDGE_LIFETIME_EXPIRES},
    {"1.2.2 cut at 2^31-1", 200, DATE "Expires: Fri, 31 Dec 9999 23:59:59 GMT", HTTP_SECONDS_MAX,
     EDGE_LIFETIME_EXPIRES},
    {"4.2.2 a tenth", 200, DATE "Last-Modified: Tue, 14 Nov 2023 20:33:20 GMT", 600, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 capped", 200, DATE "Last-Modified: Sun, 01 Jan 2012 00:00:00 GMT", 86400,
     EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 not from the future", 200, DATE LATER "Last-Modified: Tue, 14 Nov 2023 23:00:00 GMT", 3600,
     EDGE_LIFETIME_EXPIRES},
    {"4.2.2 not from the future", 200, DATE "Last-Modified: Tue, 14 Nov 2023 23:00:00 GMT", 0,
     EDGE_LIFETIME_NONE},
    {"4.2.2 not with explicit freshness", 200,
     DATE CC "max-age=x\nLast-Modified: Sun, 01 Jan 2012 00:00:00 GMT", 0, EDGE_LIFETIME_MAX_AGE},
    {"4.2.2 203", 203, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 204", 204, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 300", 300, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 301", 301, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 308", 308, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 404", 404, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 405", 405, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 410", 410, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 414", 414, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 501", 501, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640, EDGE_LIFETIME_HEURISTIC},
    {"4.2.2 not 201", 201, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 0, EDGE_LIFETIME_NONE},
    {"4.2.2 not 202", 202, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 0, EDGE_LIFETIME_NONE},
    {"4.2.2 not 302", 302, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 0, EDGE_LIFETIME_NONE},
    {"4.2.2 not 307", 307, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 0, EDGE_LIFETIME_NONE},
    {"4.2.2 not 403", 403, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 0, EDGE_LIFETIME_NONE},
    {"4.2.2 not 503", 503, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 0, EDGE_LIFETIME_NONE},
    {"4.2.2 not 599", 599, DATE "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 0, EDGE_LIFETIME_NONE},
    {"5.2.2.9 but with public", 599, DATE CC "public\nLast-Modified: Mon, 13 Nov 2023 22:13:20 GMT", 8640,
     EDGE_LIFETIME_HEURISTIC},
    {"negative caching", 502, DATE, 5, EDGE_LIFETIME_NEGATIVE},
    {"negative caching: what is said counts", 502, DATE CC "max-age=1", 1, EDGE_LIFETIME_MAX_AGE},
    {"9213 2.2 targeted first", 200, DATE CC "max-age=1\nCDN-Cache-Control: max-age=3600", 3600,
     EDGE_LIFETIME_TARGETED},
    {"9213 2.2 targeted first", 200, DATE CC "max-age=3600\nCDN-Cache-Control: max-age=1", 1,
     EDGE_LIFETIME_TARGETED},
    {"9213 2.2 Expires is not looked at", 200, DATE LATER "CDN-Cache-Control: max-age=0", 0,
     EDGE_LIFETIME_TARGETED},
    {"9213 2.2 Expires is not looked at", 200, DATE EARLIER "CDN-Cache-Control: max-age=60", 60,
     EDGE_LIFETIME_TARGETED},
    {"9213 2.2 Expires is not looked at", 200, DATE LATER "CDN-Cache-Control: foo", 0, EDGE_LIFETIME_NONE},
    {"9213 2.1 invalid: ignored whole", 200, DATE CC "max-age=7\nCDN-Cache-Control: max-age=60, &", 7,
     EDGE_LIFETIME_MAX_AGE},
    {"9213 2.1 several lines are one", 200, DATE "CDN-Cache-Control: foo\nCDN-Cache-Control: max-age=60", 60,
     EDGE_LIFETIME_TARGETED},
    {"9213 2.2 our own name before it", 200,
     DATE "CDN-Cache-Control: max-age=60\npocketcdn-Cache-Control: max-age=30", 30, EDGE_LIFETIME_TARGETED},
    {"9213 2.2 our own name, invalid", 200, DATE "CDN-Cache-Control: max-age=60\npocketcdn-Cache-Control: ,",
     60, EDGE_LIFETIME_TARGETED},
};

START_TEST(lifetime_rows)
{
    struct edge_freshness f;
    compute(lifetimes[_i].status, lifetimes[_i].head, 0, &f);
    ck_assert_msg(f.lifetime_s == lifetimes[_i].lifetime_s && f.source == lifetimes[_i].source,
                  "%s: %s: %d %s", lifetimes[_i].section, lifetimes[_i].head, f.lifetime_s,
                  edge_lifetime_source_word((enum edge_lifetime_source)f.source));
}
END_TEST

static const struct {
    const char *section;
    const char *head;
    int64_t delay_s;
    int64_t age_s; /* corrected_initial_age */
} ages[] = {
    {"4.2.3 none", DATE, 0, 0},
    {"4.2.3 apparent_age", "Date: Tue, 14 Nov 2023 22:13:00 GMT\n", 0, 20},
    {"4.2.3 a Date ahead of us", "Date: Tue, 14 Nov 2023 22:14:00 GMT\n", 0, 0},
    {"4.2.3 no usable Date", "Date: foo\n", 0, 0},
    {"4.2.3 Age", DATE "Age: 30", 0, 30},
    {"4.2.3 response_delay", DATE "Age: 30", 4, 34},
    {"4.2.3 response_delay alone", DATE, 4, 4},
    {"4.2.3 the larger of the two", "Date: Tue, 14 Nov 2023 22:13:00 GMT\nAge: 5", 4, 20},
    {"4.2.3 the larger of the two", "Date: Tue, 14 Nov 2023 22:13:00 GMT\nAge: 25", 4, 29},
    {"5.1 not a number", DATE "Age: abc", 0, 0},
    {"5.1 negative", DATE "Age: -7200", 0, 0},
    {"5.1 fraction", DATE "Age: 7200.0", 0, 0},
    {"5.1 parameter", DATE "Age: 7200;foo=bar", 0, 0},
    {"5.1 first of a list", DATE "Age: 7200, 0", 0, 7200},
    {"5.1 first of a list", DATE "Age: 0, 7200", 0, 0},
    {"5.1 first of two lines", DATE "Age: 7200\nAge: 0", 0, 7200},
    {"5.1 first of two lines", DATE "Age: 0\nAge: 7200", 0, 0},
    {"1.2.2 2^31-1", DATE "Age: 2147483647", 0, HTTP_SECONDS_MAX},
    {"1.2.2 2^31", DATE "Age: 2147483648", 0, HTTP_SECONDS_MAX},
    {"1.2.2 no overflow by the delay", DATE "Age: 99999999999999999999", 100, HTTP_SECONDS_MAX},
    {"4.2.3 a clock that went back", DATE "Age: 3", -10, 3},
};

START_TEST(age_rows)
{
    struct edge_freshness f;
    compute(200, ages[_i].head, ages[_i].delay_s, &f);
    ck_assert_msg(f.initial_age_s == ages[_i].age_s, "%s: %s: %d", ages[_i].section, ages[_i].head,
                  f.initial_age_s);
    ck_assert_int_eq(edge_freshness_age(&f, RESPONSE_S * 1000), ages[_i].age_s);
    int64_t later = ages[_i].age_s + 10 < HTTP_SECONDS_MAX ? ages[_i].age_s + 10 : HTTP_SECONDS_MAX;
    ck_assert_int_eq(edge_freshness_age(&f, RESPONSE_S * 1000 + 10999), later);
    ck_assert_int_eq(edge_freshness_age(&f, RESPONSE_S * 1000 - 5000), ages[_i].age_s);
}
END_TEST

#define UP EDGE_ORIGIN_UP
#define ERROR EDGE_ORIGIN_ERROR
#define GONE EDGE_ORIGIN_DISCONNECTED

static const struct {
    const char *section;
    const char *response;
    int64_t after_s;
    const char *request; /* Cache-Control; NULL: none */
    enum edge_origin_state origin;
    bool unsynced;
    enum edge_reuse reuse;
} reuses[] = {
    {"4.2 fresh", CC "max-age=10", 9, NULL, UP, false, EDGE_REUSE_FRESH},
    {"4.2 just stale", CC "max-age=10", 10, NULL, UP, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"4.2 stale", CC "max-age=10", 100, NULL, UP, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"4.2 stale when it came", CC "max-age=3600\nAge: 7200", 0, NULL, UP, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"5.2.2.4 no-cache", CC "max-age=10, no-cache", 1, NULL, UP, false, EDGE_REUSE_VALIDATE_NO_CACHE},
    {"5.2.2.4 no-cache with names", CC "max-age=10, no-cache=\"a\"", 1, NULL, UP, false, EDGE_REUSE_FRESH},
    {"5.2.2.4 no-cache, origin gone", CC "max-age=10, no-cache", 1, NULL, GONE, false,
     EDGE_REUSE_VALIDATE_NO_CACHE},
    {"5.2.2.2 fresh", CC "max-age=10, must-revalidate", 1, NULL, UP, false, EDGE_REUSE_FRESH},
    {"5.2.2.2 stale", CC "max-age=10, must-revalidate", 11, NULL, GONE, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"5.2.2.8 proxy-revalidate", CC "max-age=10, proxy-revalidate", 11, NULL, GONE, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"5.2.2.10 s-maxage", CC "s-maxage=10", 11, NULL, GONE, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"5861 3 s-maxage with a window of its own", CC "s-maxage=10, stale-while-revalidate=5", 11, NULL, UP,
     false, EDGE_REUSE_STALE_REVALIDATE},
    {"5861 4 s-maxage with a window of its own", CC "s-maxage=10, stale-if-error=5", 15, NULL, GONE, false,
     EDGE_REUSE_STALE_ERROR},
    {"5.2.2.10 never beyond the window", CC "s-maxage=10, stale-if-error=5", 16, NULL, GONE, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"5.2.2.10 max-stale is no window", CC "s-maxage=10, stale-if-error=5", 11, "max-stale", UP, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"5.2.2.2 before any window", CC "s-maxage=10, must-revalidate, stale-if-error=5", 11, NULL, GONE, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"4.2.3 a clock set back", CC "max-age=10", -60, NULL, UP, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"4.2.3 a clock set back a little", CC "max-age=10", -2, NULL, UP, false, EDGE_REUSE_FRESH},
    {"5.2.2.2 and max-stale", CC "max-age=10, must-revalidate", 11, "max-stale", UP, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"4.2.4 disconnected", CC "max-age=10", 11, NULL, GONE, false, EDGE_REUSE_STALE_ERROR},
    {"4.2.4 disconnected for a day", CC "max-age=10", 86411, NULL, GONE, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"4.2.4 an error is an answer", CC "max-age=10", 11, NULL, ERROR, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"5861 4 stale-if-error", CC "max-age=10, stale-if-error=60", 70, NULL, ERROR, false,
     EDGE_REUSE_STALE_ERROR},
    {"5861 4 past the window", CC "max-age=10, stale-if-error=60", 71, NULL, ERROR, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"5861 4 only on errors", CC "max-age=10, stale-if-error=60", 20, NULL, UP, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"5861 4 by the request", CC "max-age=10", 20, "stale-if-error=60", ERROR, false, EDGE_REUSE_STALE_ERROR},
    {"5861 4 against must-revalidate", CC "max-age=10, must-revalidate, stale-if-error=60", 20, NULL, ERROR,
     false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"5861 3 window", CC "max-age=1, stale-while-revalidate=4", 5, NULL, UP, false,
     EDGE_REUSE_STALE_REVALIDATE},
    {"5861 3 past the window", CC "max-age=1, stale-while-revalidate=4", 6, NULL, UP, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"5861 3 fresh", CC "max-age=9, stale-while-revalidate=4", 6, NULL, UP, false, EDGE_REUSE_FRESH},
    {"5861 3 against must-revalidate", CC "max-age=1, must-revalidate, stale-while-revalidate=4", 2, NULL, UP,
     false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"5861 3 against no-cache", CC "no-cache, stale-while-revalidate=4", 2, NULL, UP, false,
     EDGE_REUSE_VALIDATE_NO_CACHE},
    {"5.2.1.1 young enough", CC "max-age=3600", 10, "max-age=10", UP, false, EDGE_REUSE_FRESH},
    {"5.2.1.1 too old", CC "max-age=3600", 11, "max-age=10", UP, false, EDGE_REUSE_VALIDATE_REQUEST},
    {"5.2.1.1 too old by Age", CC "max-age=3600\nAge: 1800", 0, "max-age=600", UP, false,
     EDGE_REUSE_VALIDATE_REQUEST},
    {"5.2.1.1 reload", CC "max-age=3600", 0, "max-age=0", UP, false, EDGE_REUSE_VALIDATE_REQUEST},
    {"8246 2 reload of an immutable", CC "max-age=3600, immutable", 5, "max-age=0", UP, false,
     EDGE_REUSE_FRESH},
    {"8246 2 forced reload", CC "max-age=3600, immutable", 5, "no-cache", UP, false,
     EDGE_REUSE_VALIDATE_REQUEST},
    {"8246 2 only while fresh", CC "max-age=3, immutable", 5, "max-age=0", UP, false,
     EDGE_REUSE_VALIDATE_REQUEST},
    {"5.2.1.1 does not want stale", CC "max-age=1, stale-while-revalidate=60", 5, "max-age=100", UP, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"5.2.1.2 max-stale", CC "max-age=10", 20, "max-stale=10", UP, false, EDGE_REUSE_STALE_ALLOWED},
    {"5.2.1.2 too stale", CC "max-age=10", 21, "max-stale=10", UP, false, EDGE_REUSE_VALIDATE_EXPIRED},
    {"5.2.1.2 any", CC "max-age=10", 100000, "max-stale", UP, false, EDGE_REUSE_STALE_ALLOWED},
    {"5.2.1.2 by Age", CC "max-age=1500\nAge: 2000", 0, "max-stale=1000", UP, false,
     EDGE_REUSE_STALE_ALLOWED},
    {"5.2.1.3 min-fresh", CC "max-age=1500", 0, "min-fresh=2000", UP, false, EDGE_REUSE_VALIDATE_REQUEST},
    {"5.2.1.3 min-fresh", CC "max-age=1500\nAge: 1000", 0, "min-fresh=1000", UP, false,
     EDGE_REUSE_VALIDATE_REQUEST},
    {"5.2.1.3 fresh for long enough", CC "max-age=1500", 500, "min-fresh=1000", UP, false, EDGE_REUSE_FRESH},
    {"5.2.1.4 no-cache", CC "max-age=10", 1, "no-cache", UP, false, EDGE_REUSE_VALIDATE_REQUEST},
    {"5.2.1.5 no-store", CC "max-age=10", 1, "no-store", UP, false, EDGE_REUSE_VALIDATE_REQUEST},
    {"5.2.1.4 no-cache, origin gone", CC "max-age=10", 1, "no-cache", GONE, false, EDGE_REUSE_STALE_ERROR},
    {"unsynced", CC "max-age=10", 1, NULL, UP, true, EDGE_REUSE_VALIDATE_UNSYNCED},
    {"unsynced, origin gone", CC "max-age=10", 1, NULL, GONE, true, EDGE_REUSE_STALE_ERROR},
    {"unsynced and stale-while-revalidate", CC "max-age=1, stale-while-revalidate=60", 5, NULL, UP, true,
     EDGE_REUSE_VALIDATE_UNSYNCED},
    {"9213 targeted no-cache", CC "max-age=10\nCDN-Cache-Control: no-cache", 1, NULL, UP, false,
     EDGE_REUSE_VALIDATE_NO_CACHE},
    {"9213 targeted age", "CDN-Cache-Control: max-age=3600\nAge: 7200", 0, NULL, UP, false,
     EDGE_REUSE_VALIDATE_EXPIRED},
    {"5.4 Pragma of a response says nothing", CC "max-age=10\nPragma: no-cache", 1, NULL, UP, false,
     EDGE_REUSE_FRESH},
};

START_TEST(reuse_rows)
{
    struct edge_rules policy;
    struct edge_freshness f;
    struct edge_request_control request;
    edge_rules_init(&policy);
    compute(200, reuses[_i].response, 0, &f);
    edge_request_control_read(
        (struct cdn_str){reuses[_i].request, reuses[_i].request ? strlen(reuses[_i].request) : 0},
        (struct cdn_str){NULL, 0}, &request);
    enum edge_reuse r = edge_reuse_decide(&policy, &f, &request, reuses[_i].origin, reuses[_i].unsynced,
                                          (RESPONSE_S + reuses[_i].after_s) * 1000);
    ck_assert_msg(r == reuses[_i].reuse, "%s: %s after %" PRId64 " s: %s", reuses[_i].section,
                  reuses[_i].response, reuses[_i].after_s, edge_reuse_word(r));
}
END_TEST

START_TEST(request_directives_can_be_switched_off)
{
    struct edge_rules policy;
    struct edge_freshness f;
    struct edge_request_control request;
    edge_rules_init(&policy);
    compute(200, CC "max-age=10", 0, &f);
    edge_request_control_read(CDN_STR("no-cache, only-if-cached"), (struct cdn_str){NULL, 0}, &request);
    ck_assert(edge_freshness_only_if_cached(&policy, &request));
    policy.ignore_reload = true;
    ck_assert_int_eq(edge_reuse_decide(&policy, &f, &request, UP, false, RESPONSE_S * 1000),
                     EDGE_REUSE_FRESH);
    policy.ignore_reload = false;
    policy.honour_request = false;
    ck_assert_int_eq(edge_reuse_decide(&policy, &f, &request, UP, false, RESPONSE_S * 1000),
                     EDGE_REUSE_FRESH);
    ck_assert(!edge_freshness_only_if_cached(&policy, &request));
}
END_TEST

/* RFC 9111 5.4: Pragma counts only without Cache-Control. */
START_TEST(pragma_of_a_request)
{
    struct edge_request_control r;
    edge_request_control_read((struct cdn_str){NULL, 0}, CDN_STR("no-cache"), &r);
    ck_assert(http_cc_has(&r.cc, HTTP_CC_NO_CACHE));
    edge_request_control_read((struct cdn_str){NULL, 0}, CDN_STR("foo"), &r);
    ck_assert(!http_cc_has(&r.cc, HTTP_CC_NO_CACHE));
    edge_request_control_read(CDN_STR("max-age=5"), CDN_STR("no-cache"), &r);
    ck_assert(!http_cc_has(&r.cc, HTTP_CC_NO_CACHE));
}
END_TEST

START_TEST(a_soft_purge_makes_stale_at_once)
{
    struct edge_rules policy;
    struct edge_freshness f;
    int64_t now = (RESPONSE_S + 100) * 1000;
    edge_rules_init(&policy);
    compute(200, CC "max-age=3600, stale-while-revalidate=60", 0, &f);
    edge_freshness_soft_purge(&f, now);
    ck_assert_int_eq(edge_freshness_left(&f, now), 0);
    ck_assert_int_eq(f.source, EDGE_LIFETIME_PURGED);
    ck_assert_int_eq(edge_reuse_decide(&policy, &f, NULL, UP, false, now), EDGE_REUSE_STALE_REVALIDATE);
    ck_assert_int_eq(edge_reuse_decide(&policy, &f, NULL, UP, false, now + 61000),
                     EDGE_REUSE_VALIDATE_EXPIRED);
}
END_TEST

START_TEST(times_of_the_end)
{
    struct edge_freshness f;
    compute(200, CC "max-age=100, stale-if-error=50, stale-while-revalidate=20\nAge: 10", 0, &f);
    ck_assert_int_eq(edge_freshness_expires_ms(&f), (RESPONSE_S + 90) * 1000);
    ck_assert_int_eq(edge_freshness_useless_ms(&f), (RESPONSE_S + 140) * 1000);
}
END_TEST

START_TEST(explanation_names_every_part)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct edge_freshness f;
    compute(200, CC "max-age=100\nAge: 10", 2, &f);
    edge_freshness_explain(&f, (RESPONSE_S + 5) * 1000, &text);
    ck_assert_ptr_nonnull(strstr(text.p, "freshness_lifetime = 100 s (max-age)"));
    ck_assert_ptr_nonnull(strstr(text.p, "corrected_age_value = 12 s (Age 10 + response delay 2)"));
    ck_assert_ptr_nonnull(strstr(text.p, "current_age = 17 s"));
    ck_assert_ptr_nonnull(strstr(text.p, "fresh for 83 s more"));
}
END_TEST

/* RFC 9111 4.2.3 with a moved clock: RESPONSE_S is what the moved clock says. */
static const struct {
    int64_t travelled_s;
    const char *head;
    int64_t age_s;
} travels[] = {
    {0, "Date: Tue, 14 Nov 2023 21:13:20 GMT\n", 3600},
    {86400, "Date: Tue, 14 Nov 2023 22:13:20 GMT\n", 0}, /* the origin came along */
    {86400, "Date: Tue, 14 Nov 2023 22:12:20 GMT\n", 60},
    {86400, "Date: Mon, 13 Nov 2023 22:13:20 GMT\n", 0}, /* it stands in true time */
    {86400, "Date: Mon, 13 Nov 2023 22:12:20 GMT\n", 60},
    {86400, "Date: Mon, 13 Nov 2023 22:14:20 GMT\n", 0},
    {-86400, "Date: Wed, 15 Nov 2023 22:12:20 GMT\n", 60},
    {-86400, "Date: Tue, 14 Nov 2023 22:12:20 GMT\n", 60},
    {86400, "Age: 7\nDate: Mon, 13 Nov 2023 22:13:20 GMT\n", 7},
    {86400, "", 0},
};

START_TEST(travel_rows)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_rules policy;
    struct edge_control control;
    struct edge_freshness f;
    struct edge_head *head = head_of(200, travels[_i].head);
    edge_rules_init(&policy);
    edge_control_read(&policy, head, &scratch, &control);
    edge_freshness_compute(&policy, head, &control, RESPONSE_S * 1000, RESPONSE_S * 1000,
                           travels[_i].travelled_s * 1000, &f);
    ck_assert_int_eq(edge_freshness_age(&f, RESPONSE_S * 1000), travels[_i].age_s);
    edge_head_destroy(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("freshness");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, lifetime_rows, 0, (int)CDN_ARRAY_LEN(lifetimes));
    tcase_add_loop_test(rows, age_rows, 0, (int)CDN_ARRAY_LEN(ages));
    tcase_add_loop_test(rows, reuse_rows, 0, (int)CDN_ARRAY_LEN(reuses));
    tcase_add_loop_test(rows, travel_rows, 0, (int)CDN_ARRAY_LEN(travels));
    tcase_add_test(rows, request_directives_can_be_switched_off);
    tcase_add_test(rows, pragma_of_a_request);
    tcase_add_test(rows, a_soft_purge_makes_stale_at_once);
    tcase_add_test(rows, times_of_the_end);
    tcase_add_test(rows, explanation_names_every_part);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
