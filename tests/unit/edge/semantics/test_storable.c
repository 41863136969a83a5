/* storable: RFC 9111 3 and 4.4, row by row. A row that lets too much through gives one client's
 * answer to another. */
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/invalidation.h"
#include "edge/semantics/storable.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

#define CC "Cache-Control: "
#define LM "Last-Modified: Mon, 13 Nov 2023 22:13:20 GMT\n"
#define AUTH 1u
#define HASHED 2u
#define ITSELF 4u

static const struct {
    const char *section;
    enum http_method method;
    unsigned flags;
    const char *request; /* Cache-Control */
    unsigned status;
    const char *head;
    enum edge_store_reason reason;
} rows_[] = {
    {"9111 3", HTTP_GET, 0, NULL, 200, CC "max-age=60", EDGE_STORE_OK},
    {"9111 3 nothing is said", HTTP_GET, 0, NULL, 200, DATE, EDGE_STORE_NO_FRESHNESS},
    {"9111 3 heuristic", HTTP_GET, 0, NULL, 200, DATE LM, EDGE_STORE_OK},
    {"9111 3 a validator is worth it", HTTP_GET, 0, NULL, 200, DATE "ETag: \"a\"", EDGE_STORE_OK},
    {"9111 3 Expires", HTTP_GET, 0, NULL, 200, DATE "Expires: Tue, 14 Nov 2023 23:13:20 GMT", EDGE_STORE_OK},
    {"9111 3 max-age=0, no validator", HTTP_GET, 0, NULL, 200, CC "max-age=0", EDGE_STORE_NO_FRESHNESS},
    {"9111 3 max-age=0, validator", HTTP_GET, 0, NULL, 200, CC "max-age=0\nETag: \"a\"", EDGE_STORE_OK},
    {"5861 3 max-age=0 with a stale window", HTTP_GET, 0, NULL, 200, CC "max-age=0, stale-while-revalidate=5",
     EDGE_STORE_OK},
    {"9111 3 HEAD", HTTP_HEAD, 0, NULL, 200, CC "max-age=60", EDGE_STORE_METHOD},
    {"9111 3 PUT", HTTP_PUT, 0, NULL, 200, CC "max-age=60", EDGE_STORE_METHOD},
    {"9111 3 DELETE", HTTP_DELETE, 0, NULL, 200, CC "max-age=60", EDGE_STORE_METHOD},
    {"9111 3 OPTIONS", HTTP_OPTIONS, 0, NULL, 200, CC "max-age=60", EDGE_STORE_METHOD},
    {"9110 9.3.3 POST", HTTP_POST, 0, NULL, 200, CC "max-age=60", EDGE_STORE_METHOD},
    {"9110 9.3.3 POST that names itself", HTTP_POST, ITSELF, NULL, 200, CC "max-age=60", EDGE_STORE_OK},
    {"9110 9.3.3 POST needs explicit freshness", HTTP_POST, ITSELF, NULL, 200, DATE LM, EDGE_STORE_METHOD},
    {"9110 9.3.3 POST 201", HTTP_POST, ITSELF, NULL, 201, CC "max-age=60", EDGE_STORE_METHOD},
    {"5.2.1.5", HTTP_GET, 0, "no-store", 200, CC "max-age=60", EDGE_STORE_REQUEST_NO_STORE},
    {"5.2.1.4 no-cache may be stored", HTTP_GET, 0, "no-cache", 200, CC "max-age=60", EDGE_STORE_OK},
    {"9111 3 interim", HTTP_GET, 0, NULL, 103, CC "max-age=60", EDGE_STORE_INTERIM},
    {"9111 3 304", HTTP_GET, 0, NULL, 304, CC "max-age=60", EDGE_STORE_NOT_MODIFIED},
    {"9110 13.1 412", HTTP_GET, 0, NULL, 412, CC "max-age=60", EDGE_STORE_CONDITIONAL},
    {"9110 15.5.17 416", HTTP_GET, 0, NULL, 416, CC "max-age=60", EDGE_STORE_CONDITIONAL},
    {"6585 3", HTTP_GET, 0, NULL, 428, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"6585 4", HTTP_GET, 0, NULL, 429, CC "public, max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"6585 4 whatever Vary says", HTTP_GET, 0, NULL, 429, CC "s-maxage=60\nVary: Cookie",
     EDGE_STORE_ABOUT_REQUEST},
    {"6585 5", HTTP_GET, 0, NULL, 431, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"6585 6", HTTP_GET, 0, NULL, 511, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"9110 15.5.7", HTTP_GET, 0, NULL, 406, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"9110 15.5.7 keyed", HTTP_GET, 0, NULL, 406, CC "max-age=60\nVary: Accept", EDGE_STORE_OK},
    {"9110 15.5.9", HTTP_GET, 0, NULL, 408, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"9110 15.5.16", HTTP_GET, 0, NULL, 415, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"9110 15.5.18", HTTP_GET, 0, NULL, 417, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"9110 15.5.20", HTTP_GET, 0, NULL, 421, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"8470 5.2", HTTP_GET, 0, NULL, 425, CC "max-age=60", EDGE_STORE_ABOUT_REQUEST},
    {"5.2.2.5", HTTP_GET, 0, NULL, 200, CC "no-store", EDGE_STORE_NO_STORE},
    {"5.2.2.5", HTTP_GET, 0, NULL, 200, CC "max-age=60, No-StOrE\nETag: \"a\"", EDGE_STORE_NO_STORE},
    {"5.2.2.5 on a line of its own", HTTP_GET, 0, NULL, 200, CC "max-age=60\n" CC "no-store",
     EDGE_STORE_NO_STORE},
    {"5.2.2.7", HTTP_GET, 0, NULL, 200, CC "private, max-age=60", EDGE_STORE_PRIVATE},
    {"5.2.2.7 with names", HTTP_GET, 0, NULL, 200, CC "private=\"a\", max-age=60", EDGE_STORE_OK},
    {"5.2.2.7 with too many names", HTTP_GET, 0, NULL, 200,
     CC "max-age=60, private=\"f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, "
        "f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31\"",
     EDGE_STORE_PRIVATE},
    {"5.2.2.4 with too many names", HTTP_GET, 0, NULL, 200,
     CC "max-age=60, no-cache=\"f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, "
        "f17, f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31\"",
     EDGE_STORE_NO_STORE},
    {"5.2.2.4", HTTP_GET, 0, NULL, 200, CC "no-cache\nETag: \"a\"", EDGE_STORE_OK},
    {"5.2.2.4 nothing to validate with", HTTP_GET, 0, NULL, 200, CC "no-cache", EDGE_STORE_NO_FRESHNESS},
    {"5.2.2.3 understood", HTTP_GET, 0, NULL, 200, CC "max-age=60, no-store, must-understand", EDGE_STORE_OK},
    {"5.2.2.3 not understood", HTTP_GET, 0, NULL, 599, CC "max-age=60, no-store, must-understand",
     EDGE_STORE_NOT_UNDERSTOOD},
    {"5.2.2.3 not understood", HTTP_GET, 0, NULL, 299, CC "max-age=60, must-understand",
     EDGE_STORE_NOT_UNDERSTOOD},
    {"3.5", HTTP_GET, AUTH, NULL, 200, DATE "Expires: Tue, 14 Nov 2023 23:13:20 GMT",
     EDGE_STORE_AUTHORIZATION},
    {"3.5 max-age", HTTP_GET, AUTH, NULL, 200, CC "max-age=60", EDGE_STORE_AUTHORIZATION},
    {"3.5 public", HTTP_GET, AUTH, NULL, 200, CC "max-age=60, public", EDGE_STORE_OK},
    {"3.5 must-revalidate", HTTP_GET, AUTH, NULL, 200, CC "max-age=60, must-revalidate", EDGE_STORE_OK},
    {"3.5 s-maxage", HTTP_GET, AUTH, NULL, 200, CC "s-maxage=60", EDGE_STORE_OK},
    {"3.5 proxy-revalidate does not suffice", HTTP_GET, AUTH, NULL, 200, CC "max-age=60, proxy-revalidate",
     EDGE_STORE_AUTHORIZATION},
    {"4.1", HTTP_GET, 0, NULL, 200, CC "max-age=60\nVary: *", EDGE_STORE_VARY_ANY},
    {"4.1", HTTP_GET, 0, NULL, 200, CC "max-age=60\nVary: Foo, *", EDGE_STORE_VARY_ANY},
    {"4.1", HTTP_GET, 0, NULL, 200, CC "max-age=60\nVary:\nVary: *", EDGE_STORE_VARY_ANY},
    {"4.1", HTTP_GET, 0, NULL, 200, CC "max-age=60\nVary: Foo", EDGE_STORE_OK},
    {"7.3 explicit", HTTP_GET, 0, NULL, 200, CC "max-age=60\nSet-Cookie: a=b", EDGE_STORE_OK},
    {"7.3 heuristic", HTTP_GET, 0, NULL, 200, DATE LM "Set-Cookie: a=b", EDGE_STORE_SET_COOKIE},
    {"3 299", HTTP_GET, 0, NULL, 299, CC "max-age=60", EDGE_STORE_OK},
    {"3 302", HTTP_GET, 0, NULL, 302, CC "max-age=60", EDGE_STORE_OK},
    {"3 303", HTTP_GET, 0, NULL, 303, CC "max-age=60", EDGE_STORE_OK},
    {"3 307", HTTP_GET, 0, NULL, 307, CC "max-age=60", EDGE_STORE_OK},
    {"3 400", HTTP_GET, 0, NULL, 400, CC "max-age=60", EDGE_STORE_OK},
    {"3 404", HTTP_GET, 0, NULL, 404, CC "max-age=60", EDGE_STORE_OK},
    {"3 499", HTTP_GET, 0, NULL, 499, CC "max-age=60", EDGE_STORE_OK},
    {"3 500", HTTP_GET, 0, NULL, 500, CC "max-age=60", EDGE_STORE_OK},
    {"3 503", HTTP_GET, 0, NULL, 503, CC "max-age=60", EDGE_STORE_OK},
    {"3 599", HTTP_GET, 0, NULL, 599, CC "max-age=60", EDGE_STORE_OK},
    {"3 302 says nothing", HTTP_GET, 0, NULL, 302, DATE LM, EDGE_STORE_NO_FRESHNESS},
    {"3 403 with an ETag", HTTP_GET, 0, NULL, 403, DATE "ETag: \"a\"", EDGE_STORE_NO_FRESHNESS},
    {"3 599 public", HTTP_GET, 0, NULL, 599, DATE LM CC "public", EDGE_STORE_OK},
    {"hashed name, 404", HTTP_GET, HASHED, NULL, 404, CC "max-age=60", EDGE_STORE_HASHED_ERROR},
    {"hashed name, 503", HTTP_GET, HASHED, NULL, 503, CC "max-age=60", EDGE_STORE_HASHED_ERROR},
    {"hashed name, 200", HTTP_GET, HASHED, NULL, 200, CC "max-age=60", EDGE_STORE_OK},
    {"3.3 one range", HTTP_GET, 0, NULL, 206, CC "max-age=60\nContent-Range: bytes 0-4/10\nContent-Length: 5",
     EDGE_STORE_OK},
    {"3.3 other length", HTTP_GET, 0, NULL, 206,
     CC "max-age=60\nContent-Range: bytes 4-9/10\nContent-Length: 5", EDGE_STORE_PARTIAL},
    {"3.3 several ranges", HTTP_GET, 0, NULL, 206,
     CC "max-age=60\nContent-Type: multipart/byteranges; boundary=x", EDGE_STORE_PARTIAL},
    {"3.3 nonsense", HTTP_GET, 0, NULL, 206, CC "max-age=60\nContent-Range: bytes 5-4/10",
     EDGE_STORE_PARTIAL},
    {"3.3 two of them", HTTP_GET, 0, NULL, 206,
     CC "max-age=60\nContent-Range: bytes 0-4/10\nContent-Range: bytes 0-4/10", EDGE_STORE_PARTIAL},
    {"9213 private", HTTP_GET, 0, NULL, 200, CC "max-age=60\nCDN-Cache-Control: private", EDGE_STORE_PRIVATE},
    {"9213 no-store", HTTP_GET, 0, NULL, 200, CC "max-age=60\nCDN-Cache-Control: no-store",
     EDGE_STORE_NO_STORE},
    {"9213 over no-store", HTTP_GET, 0, NULL, 200, CC "no-store\nCDN-Cache-Control: max-age=60",
     EDGE_STORE_OK},
    {"9213 invalid", HTTP_GET, 0, NULL, 200, CC "no-store\nCDN-Cache-Control: max-age=\"60\"",
     EDGE_STORE_NO_STORE},
};

static enum edge_store_reason decide(const struct edge_rules *policy, int i)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_control control;
    struct edge_freshness f;
    struct edge_request_control request;
    struct edge_head *head = head_of(rows_[i].status, rows_[i].head);
    edge_request_control_read(
        (struct cdn_str){rows_[i].request, rows_[i].request ? strlen(rows_[i].request) : 0},
        (struct cdn_str){NULL, 0}, &request);
    edge_control_read(policy, head, &scratch, &control);
    edge_freshness_compute(policy, head, &control, RESPONSE_S * 1000, RESPONSE_S * 1000, 0, &f);
    struct edge_store_request r = {.method = rows_[i].method,
                                   .authorized = rows_[i].flags & AUTH,
                                   .hashed_name = rows_[i].flags & HASHED,
                                   .names_itself = rows_[i].flags & ITSELF,
                                   .control = &request};
    enum edge_store_reason reason = edge_storable(policy, &r, head, &control, &f);
    edge_head_destroy(head);
    return reason;
}

START_TEST(store_rows)
{
    struct edge_rules policy;
    edge_rules_init(&policy);
    enum edge_store_reason r = decide(&policy, _i);
    ck_assert_msg(r == rows_[_i].reason, "%s: %s: %s", rows_[_i].section, rows_[_i].head,
                  edge_store_reason_word(r));
    ck_assert(edge_store_reason_ok(r) == (r == EDGE_STORE_OK));
}
END_TEST

static const struct {
    enum edge_set_cookie policy;
    const char *head;
    enum edge_store_reason reason;
} cookies[] = {
    {EDGE_SET_COOKIE_REFUSE, CC "max-age=60\nSet-Cookie: a=b", EDGE_STORE_SET_COOKIE},
    {EDGE_SET_COOKIE_REFUSE, CC "max-age=60, public\nSet-Cookie: a=b", EDGE_STORE_OK},
    {EDGE_SET_COOKIE_REFUSE, CC "s-maxage=60\nSet-Cookie: a=b", EDGE_STORE_OK},
    {EDGE_SET_COOKIE_REFUSE, "CDN-Cache-Control: max-age=60\nSet-Cookie: a=b", EDGE_STORE_OK},
    {EDGE_SET_COOKIE_STRIP, CC "max-age=60\nSet-Cookie: a=b", EDGE_STORE_OK},
    {EDGE_SET_COOKIE_STRIP, DATE LM "Set-Cookie: a=b", EDGE_STORE_SET_COOKIE},
    {EDGE_SET_COOKIE_STRIP, CC "max-age=60\nVary: a, cookie\nSet-Cookie: a=b", EDGE_STORE_SET_COOKIE},
    {EDGE_SET_COOKIE_REPLAY, CC "max-age=60\nSet-Cookie: a=b", EDGE_STORE_OK},
    {EDGE_SET_COOKIE_REPLAY, DATE LM "Set-Cookie: a=b", EDGE_STORE_SET_COOKIE},
    {EDGE_SET_COOKIE_REPLAY, CC "max-age=60\nVary: Cookie\nSet-Cookie: a=b", EDGE_STORE_SET_COOKIE},
};

START_TEST(cookie_rows)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_rules policy;
    struct edge_control control;
    struct edge_freshness f;
    struct edge_store_request r = {.method = HTTP_GET};
    struct edge_head *head = head_of(200, cookies[_i].head);
    edge_rules_init(&policy);
    policy.set_cookie = cookies[_i].policy;
    edge_control_read(&policy, head, &scratch, &control);
    edge_freshness_compute(&policy, head, &control, RESPONSE_S * 1000, RESPONSE_S * 1000, 0, &f);
    ck_assert_int_eq(edge_storable(&policy, &r, head, &control, &f), cookies[_i].reason);
    struct cdn_str drop[4];
    ck_assert_uint_eq(edge_storable_drop(&policy, head, &control, drop, 4),
                      policy.set_cookie != EDGE_SET_COOKIE_REPLAY);
    edge_head_destroy(head);
}
END_TEST

static const struct {
    const char *name;
    bool strip, replay; /* personal under these policies */
} personal_rows[] = {
    {"Set-Cookie", true, false},
    {"SET-COOKIE", true, false},
    {"set-cookie2", false, false},
    {"Clear-Site-Data", false, false},
    {"Authentication-Info", true, true},
    {"proxy-authentication-info", true, true},
    {"WWW-Authenticate", false, false},
    {"Cookie", false, false},
    {"ETag", false, false},
    {"Set-Cookies", false, false},
};

START_TEST(personal_fields)
{
    const struct cdn_str name = cdn_str(personal_rows[_i].name);
    const enum edge_head_field field = edge_head_field_find(name);
    ck_assert(edge_storable_field_is_personal(field, name, false) == personal_rows[_i].strip);
    ck_assert(edge_storable_field_is_personal(field, name, true) == personal_rows[_i].replay);
}
END_TEST

static const struct {
    enum edge_store_reason reason;
    bool authorized, has_cookie;
    unsigned status;
    enum edge_aftermath after;
} afters[] = {
    {EDGE_STORE_AUTHORIZATION, true, false, 200, EDGE_AFTER_NOTHING},
    {EDGE_STORE_NO_STORE, true, false, 200, EDGE_AFTER_NOTHING},
    {EDGE_STORE_NO_STORE, false, false, 503, EDGE_AFTER_NOTHING},
    {EDGE_STORE_PARTIAL, false, false, 206, EDGE_AFTER_NOTHING},
    {EDGE_STORE_HASHED_ERROR, false, false, 404, EDGE_AFTER_NOTHING},
    {EDGE_STORE_NOT_MODIFIED, false, false, 304, EDGE_AFTER_NOTHING},
    {EDGE_STORE_SET_COOKIE, false, false, 200, EDGE_AFTER_PARALLEL},
    {EDGE_STORE_PRIVATE, false, true, 200, EDGE_AFTER_PARALLEL},
    {EDGE_STORE_NO_STORE, false, true, 200, EDGE_AFTER_PARALLEL},
    {EDGE_STORE_NO_STORE, false, false, 200, EDGE_AFTER_SETTLED},
    {EDGE_STORE_VARY_ANY, false, false, 200, EDGE_AFTER_SETTLED},
    {EDGE_STORE_PRIVATE, false, false, 404, EDGE_AFTER_SETTLED},
    {EDGE_STORE_NO_FRESHNESS, false, false, 404, EDGE_AFTER_GONE},
    {EDGE_STORE_NO_FRESHNESS, false, true, 410, EDGE_AFTER_GONE},
    {EDGE_STORE_NO_FRESHNESS, true, false, 410, EDGE_AFTER_NOTHING},
};

START_TEST(aftermath_rows)
{
    const struct edge_store_request r = {.authorized = afters[_i].authorized,
                                         .has_cookie = afters[_i].has_cookie};
    ck_assert_int_eq(edge_storable_aftermath(afters[_i].reason, &r, afters[_i].status), afters[_i].after);
}
END_TEST

/* RFC 9111 5.2.2.4 and 5.2.2.7 */
START_TEST(named_fields_are_dropped)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_rules policy;
    struct edge_control control;
    struct cdn_str drop[8];
    struct edge_head *head = head_of(200, CC "no-cache=\"a, b\", private=\"c\", max-age=5");
    edge_rules_init(&policy);
    edge_control_read(&policy, head, &scratch, &control);
    ck_assert_uint_eq(edge_storable_drop(&policy, head, &control, drop, 8), 3);
    ck_assert(cdn_str_eq(drop[0], CDN_STR("a")) && cdn_str_eq(drop[1], CDN_STR("b")) &&
              cdn_str_eq(drop[2], CDN_STR("c")));
    ck_assert_uint_eq(edge_storable_drop(&policy, head, &control, drop, 2), 2);
    edge_head_destroy(head);
}
END_TEST

static const struct {
    enum http_method method;
    unsigned status;
    bool invalidates;
} changes[] = {
    {HTTP_POST, 200, true},   {HTTP_PUT, 204, true},    {HTTP_DELETE, 200, true},   {HTTP_OTHER, 200, true},
    {HTTP_POST, 303, true},   {HTTP_POST, 500, false},  {HTTP_PUT, 404, false},     {HTTP_DELETE, 503, false},
    {HTTP_GET, 200, false},   {HTTP_HEAD, 200, false},  {HTTP_OPTIONS, 200, false}, {HTTP_TRACE, 200, false},
    {HTTP_QUERY, 200, false}, {HTTP_OTHER, 500, false},
};

START_TEST(change_rows) /* 4.4 */
{
    ck_assert_int_eq(edge_invalidation_due(changes[_i].method, changes[_i].status), changes[_i].invalidates);
}
END_TEST

static const struct {
    const char *reference;
    const char *url; /* NULL: another host, or none */
} targets[] = {
    {"other", "http://a.example/x/other"},
    {"/other?q", "http://a.example/other?q"},
    {"?q=2", "http://a.example/x/y?q=2"},
    {"", "http://a.example/x/y?q=1"},
    {"../z", "http://a.example/x/../z"},
    {"//a.example/z", "http://a.example/z"},
    {"//b.example/z", NULL},
    {"http://a.example/z#frag", "http://a.example/z"},
    {"http://A.Example:80/z", "http://A.Example:80/z"},
    {"http://a.example:81/z", NULL},
    {"https://a.example/z", NULL},
    {"http://b.example/z", NULL},
    {"mailto:a@a.example", NULL},
    {"http://user@a.example/z", NULL},
    {"ftp://a.example/z", NULL},
};

START_TEST(target_rows) /* 4.4: the same origin only */
{
    CDN_AUTOBUF struct cdn_buf url = {0};
    bool ok =
        edge_invalidation_target(CDN_STR("http://a.example/x/y?q=1"), cdn_str(targets[_i].reference), &url);
    ck_assert_msg(ok == (targets[_i].url != NULL), "%s", targets[_i].reference);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&url), cdn_str(targets[_i].url)), "%s: %s", targets[_i].reference,
                  url.p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storable");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, store_rows, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_loop_test(rows, cookie_rows, 0, (int)CDN_ARRAY_LEN(cookies));
    tcase_add_loop_test(rows, personal_fields, 0, (int)CDN_ARRAY_LEN(personal_rows));
    tcase_add_loop_test(rows, aftermath_rows, 0, (int)CDN_ARRAY_LEN(afters));
    tcase_add_loop_test(rows, change_rows, 0, (int)CDN_ARRAY_LEN(changes));
    tcase_add_loop_test(rows, target_rows, 0, (int)CDN_ARRAY_LEN(targets));
    tcase_add_test(rows, named_fields_are_dropped);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
