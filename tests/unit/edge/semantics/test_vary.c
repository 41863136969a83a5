/* vary: which variant a request selects (RFC 9111 4.1). A wrong match sends somebody what was
 * made for other request fields. */
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/head.h"
#include "edge/semantics/vary.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static const struct {
    const char *section;
    const char *head;
    const char *spec; /* NULL: matches nothing */
} specs[] = {
    {"4.1 none", "Foo: 1", ""},
    {"4.1 one", "Vary: Accept-Encoding", "accept-encoding"},
    {"4.1 sorted, each once", "Vary: B, a\nVary: A, c", "a,b,c"},
    {"4.1 spaces and empty elements", "Vary: , a ,, b,", "a,b"},
    {"4.1 *", "Vary: *", NULL},
    {"4.1 *, *", "Vary: *, *", NULL},
    {"4.1 two lines of *", "Vary: *\nVary: *", NULL},
    {"4.1 empty, *", "Vary: , *", NULL},
    {"4.1 empty line, *", "Vary:\nVary: *", NULL},
    {"4.1 *, Foo", "Vary: *, Foo", NULL},
    {"4.1 Foo, *", "Vary: Foo, *", NULL},
    {"a request has its own number", "Vary: Foo, X-Request-ID", "foo"},
    {"a request has its own number", "Vary: x-request-id", ""},
    {"malformed", "Vary: Fo o", NULL},
    {"too many",
     "Vary: "
     "a1,a2,a3,a4,a5,a6,a7,a8,a9,b1,b2,b3,b4,b5,b6,b7,b8,b9,c1,c2,c3,c4,c5,c6,c7,c8,c9,d1,d2,d3,d4,d5,d6",
     NULL},
};

START_TEST(spec_rows)
{
    CDN_AUTOBUF struct cdn_buf spec = {0};
    struct edge_head *head = head_of(200, specs[_i].head);
    bool ok = edge_vary_spec(head, CDN_STR(""), &spec);
    ck_assert_msg(ok == (specs[_i].spec != NULL), "%s", specs[_i].section);
    ck_assert_msg(!ok || cdn_str_eq(cdn_buf_str(&spec), cdn_str(specs[_i].spec)), "%s: %s", specs[_i].section,
                  spec.p);
    edge_head_destroy(head);
}
END_TEST

static const struct {
    const char *section;
    const char *spec;
    const char *stored, *presented;
    bool match;
} rows_[] = {
    {"4.1 equal", "foo", "Foo: 1", "foo: 1", true},
    {"4.1 another value", "foo", "Foo: 1", "Foo: 2", false},
    {"4.1 stored without", "foo", "Bar: 1", "Foo: 1", false},
    {"4.1 presented without", "foo", "Foo: 1", "Bar: 1", false},
    {"4.1 both without", "foo", "Bar: 1", "Baz: 1", true},
    {"4.1 absent is not empty", "foo", "Foo:", "Bar: 1", false},
    {"4.1 other fields do not count", "foo", "Foo: 1\nOther: 2", "Foo: 1\nOther: 3", true},
    {"4.1 two", "bar,foo", "Foo: 1\nBar: abc", "Foo: 1\nBar: abc", true},
    {"4.1 two, one differs", "bar,foo", "Foo: 1\nBar: abc", "Foo: 2\nBar: abc", false},
    {"4.1 three, in another order", "bar,baz,foo", "Foo: 1\nBar: abc\nBaz: 789",
     "Foo: 1\nBaz: 789\nBar: abcde", false},
    {"4.1 three, one missing in both", "bar,baz,foo", "Foo: 1\nBaz: 789", "Baz: 789\nFoo: 1", true},
    {"4.1 values do not move to other names", "bar,foo", "Foo: 1", "Bar: 1", false},
    {"4.1 lines are joined", "foo", "Foo: 1, 2", "Foo: 1\nFoo: 2", true},
    {"4.1 spaces", "foo", "Foo: 1,2", "Foo:  1, 2 ", true},
    {"4.1 spaces within quotes count", "foo", "Foo: \"1,2\"", "Foo: \"1, 2\"", false},
    {"4.1 spaces within elements count", "foo", "Foo: a b", "Foo: a  b", false},
    {"4.1 case counts", "foo", "Foo: a", "Foo: A", false},
    {"4.1 order counts", "foo", "Foo: 1, 2", "Foo: 2, 1", false},
    {"9110 12.5.4 order", "accept-language", "Accept-Language: en, de", "Accept-Language: de, en", true},
    {"9110 12.5.4 case", "accept-language", "Accept-Language: en, de", "Accept-Language: eN, De", true},
    {"9110 12.5.4 spaces", "accept-language", "Accept-Language: en, de", "Accept-Language:  en ,   de", true},
    {"9110 12.5.4 weights", "accept-language", "Accept-Language: en, de", "Accept-Language: en, de;q=0.5",
     false},
    {"9110 12.4.2 weights alike", "accept-language", "Accept-Language: en;q=1.0,de;q=0.50",
     "Accept-Language: de;q=0.5,en", true},
    {"9110 12.5.3 order", "accept-encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: BR,gzip", true},
    {"9110 12.5.3 another", "accept-encoding", "Accept-Encoding: gzip", "Accept-Encoding: br", false},
    {"9110 12.5.3 absent", "accept-encoding", "Accept-Encoding: gzip", "Foo: 1", false},
};

START_TEST(match_rows)
{
    CDN_AUTOBUF struct cdn_buf key = {0}, scratch = {0};
    struct http_field stored[FIELDS_MAX], presented[FIELDS_MAX];
    struct edge_vary_fields a = {stored, fields_of(rows_[_i].stored, stored)};
    struct edge_vary_fields b = {presented, fields_of(rows_[_i].presented, presented)};
    struct edge_vary_source from_a = {.get = edge_vary_fields_get, .arg = &a},
                            from_b = {.get = edge_vary_fields_get, .arg = &b};
    edge_vary_key(cdn_str(rows_[_i].spec), &from_a, &key);
    ck_assert_msg(edge_vary_match(cdn_str(rows_[_i].spec), cdn_buf_str(&key), &from_b, &scratch) ==
                      rows_[_i].match,
                  "%s: %s", rows_[_i].section, key.p);
    ck_assert(edge_vary_match(cdn_str(rows_[_i].spec), cdn_buf_str(&key), &from_a, &scratch));
}
END_TEST

static const struct {
    const char *stored, *presented, *language;
    bool match;
} languages[] = {
    {"Accept-Language: en, de", "Accept-Language: fr;q=0.5, de;q=1.0", "de", true},
    {"Accept-Language: en, de", "Accept-Language: fr;q=0.5, de;q=1.0", "en", false},
    {"Accept-Language: en, de", "Accept-Language: fr, de", "de", false},
    {"Accept-Language: en, de", "Accept-Language: *", "de", false},
    {"Accept-Language: en, de", "Foo: 1", "de", false},
    {"Accept-Language: en, de", "Accept-Language: de;q=0", "de", false},
    {"Accept-Language: en, de\nFoo: 1", "Accept-Language: de\nFoo: 2", "de", false},
    {"Accept-Language: en, de\nFoo: 1", "Accept-Language: de\nFoo: 1", "de", true},
    {"Accept-Language: en\nFoo: 1", "Accept-Language: de\nFoo: 1", "", false},
};

START_TEST(language_rows)
{
    CDN_AUTOBUF struct cdn_buf key = {0}, scratch = {0};
    struct http_field stored[FIELDS_MAX], presented[FIELDS_MAX];
    struct edge_vary_fields a = {stored, fields_of(languages[_i].stored, stored)};
    struct edge_vary_fields b = {presented, fields_of(languages[_i].presented, presented)};
    struct edge_vary_source from_a = {.get = edge_vary_fields_get, .arg = &a},
                            from_b = {.get = edge_vary_fields_get, .arg = &b};
    struct cdn_str spec = CDN_STR("accept-language,foo");
    edge_vary_key(spec, &from_a, &key);
    ck_assert_msg(edge_vary_match_language(spec, cdn_buf_str(&key), cdn_str(languages[_i].language), &from_b,
                                           &scratch) == languages[_i].match,
                  "%s", languages[_i].presented);
}
END_TEST

#define PLAIN ""
#define GZIP "Content-Encoding: gzip"
#define NOTHING NULL /* is known of the origin */

static const struct {
    const char *head;    /* stored */
    const char *brought; /* Accept-Encoding of the request that brought it */
    const char *asks;    /* of the one that may get it; NULL: says nothing */
    bool takes;
} codings[] = {
    {PLAIN, NOTHING, NULL, true},
    {PLAIN, NOTHING, "", true},
    {PLAIN, NOTHING, "gzip", true},
    {PLAIN, NOTHING, "*;q=0, identity", true},
    {PLAIN, NOTHING, "identity;q=0.001", true},
    {PLAIN, NOTHING, "identity;q=0", false},
    {PLAIN, NOTHING, "*;q=0", false},
    {PLAIN, NOTHING, "*;q=0, gzip", false},
    {PLAIN, NOTHING, "gzip;q=0, identity;q=0", false},
    {PLAIN, NOTHING, "identity;q=0.000, br", false},
    {PLAIN, "gzip", "identity;q=0", false}, /* it was accepted: nothing is known of other forms */
    {PLAIN, "identity;q=0", "*;q=0", true}, /* it came all the same */
    {PLAIN, "identity;q=0", "gzip, identity;q=0", false},
    {PLAIN, "gzip, identity;q=0", "gzip, identity;q=0", true},
    {PLAIN, "gzip, identity;q=0", "identity;q=0", true},
    {PLAIN, "gzip, identity;q=0", "br, identity;q=0", false},
    {PLAIN, "*, identity;q=0", "br, identity;q=0", true},
    {GZIP, NOTHING, NULL, false},
    {GZIP, NOTHING, "", false},
    {GZIP, NOTHING, "gzip", true},
    {GZIP, NOTHING, "x-gzip", true},
    {GZIP, NOTHING, "*", true},
    {GZIP, NOTHING, "br", false},
    {GZIP, NOTHING, "gzip;q=0, *", false},
    {GZIP, NOTHING, "identity;q=0", false},
    {GZIP, "identity", NULL, true},
    {GZIP, "identity", "identity", true},
    {GZIP, "identity", "br", false}, /* it was not asked for br */
    {GZIP, "br", "identity", true},
    {GZIP, "identity;q=0", "identity", false}, /* nor for the plain form */
    {GZIP, "identity;q=0", "*;q=0", true},
    {GZIP "\n" GZIP, NOTHING, "gzip", true},
    {"Content-Encoding: identity", NOTHING, "identity;q=0", false},
    {"Content-Encoding: identity", NOTHING, "", true},
    {"Content-Encoding: gzip, br", NOTHING, "gzip", false},
    {"Content-Encoding: gzip, br", NOTHING, "gzip, br", true},
    {"Content-Encoding: secret", NOTHING, "gzip", false},
    {"Content-Encoding: secret", NOTHING, "secret", true},
};

static bool get_encoding(void *arg, struct cdn_str name, struct cdn_buf *into)
{
    const char *value = arg;
    if (!value || !cdn_str_eq_nocase(name, CDN_STR("Accept-Encoding"))) {
        return false;
    }
    cdn_buf_add_str(into, cdn_str(value));
    return true;
}

static struct edge_vary_source asking(const char *value)
{
    return (struct edge_vary_source){.get = get_encoding, .arg = (void *)(uintptr_t)value};
}

START_TEST(coding_rows)
{
    struct edge_head *head = head_of(200, codings[_i].head);
    const struct edge_vary_source asks = asking(codings[_i].asks), brought = asking(codings[_i].brought);
    const uint8_t known = codings[_i].brought ? edge_vary_despite(head, &brought) : 0;
    ck_assert_int_eq(edge_vary_takes_coding(head, known, &asks), codings[_i].takes);
    edge_head_destroy(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vary");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, spec_rows, 0, (int)CDN_ARRAY_LEN(specs));
    tcase_add_loop_test(rows, match_rows, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_loop_test(rows, coding_rows, 0, (int)CDN_ARRAY_LEN(codings));
    tcase_add_loop_test(rows, language_rows, 0, (int)CDN_ARRAY_LEN(languages));
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
