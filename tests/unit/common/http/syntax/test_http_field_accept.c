/* http_field_accept: negotiation and canonical forms (RFC 9110 12.4.2, 12.5.3, 12.5.4). Two
 * spellings of one wish must have one form, or each is stored by itself. */
#include "common/http/syntax/http_field_accept.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

#define OFFER(name) (1u << HTTP_CODING_##name)
#define ALL (OFFER(BR) | OFFER(GZIP) | OFFER(IDENTITY))

static const struct {
    const char *value; /* NULL: absent */
    unsigned offered;
    enum http_coding best;
} rows_[] = {
    {NULL, ALL, HTTP_CODING_BR},
    {"", ALL, HTTP_CODING_IDENTITY},
    {"gzip", ALL, HTTP_CODING_GZIP},
    {"x-gzip", ALL, HTTP_CODING_GZIP},
    {"gzip, br", ALL, HTTP_CODING_BR},
    {"gzip;q=1.0, br;q=0.9", ALL, HTTP_CODING_GZIP},
    {"GZIP ; Q=0.5", ALL, HTTP_CODING_GZIP},
    {"br;q=0, gzip", ALL, HTTP_CODING_GZIP},
    {"*", ALL, HTTP_CODING_BR},
    {"*;q=0.1, br;q=0", ALL, HTTP_CODING_GZIP},
    {"identity", ALL, HTTP_CODING_IDENTITY},
    {"compress", ALL, HTTP_CODING_IDENTITY},
    {"identity;q=0, gzip", OFFER(IDENTITY), HTTP_CODING_COUNT},
    {"*;q=0", ALL, HTTP_CODING_COUNT},
    {"*;q=0, identity;q=0.5", ALL, HTTP_CODING_IDENTITY},
    {"gzip;q=0.001, identity", ALL, HTTP_CODING_IDENTITY},
    {"gzip;q=nonsense", ALL, HTTP_CODING_GZIP},
    {"gzip", OFFER(BR), HTTP_CODING_COUNT},
};

START_TEST(best_rows)
{
    struct http_accept_encoding a;
    struct cdn_str value = {rows_[_i].value, rows_[_i].value ? strlen(rows_[_i].value) : 0};
    http_accept_encoding_parse(value, &a);
    enum http_coding c = http_accept_encoding_best(&a, rows_[_i].offered);
    ck_assert_msg(c == rows_[_i].best, "%s: %s", rows_[_i].value, http_coding_text(c));
}
END_TEST

static const struct {
    const char *value, *canonical;
} forms[] = {
    {"gzip, deflate, br", "br,deflate,gzip"},
    {" BR , x-gzip;q=1.000", "br,gzip"},
    {"gzip;q=0.50, br", "br,gzip;q=0.5"},
    {"a;q=0.005, b;q=0.050, c;q=0.5", "c;q=0.5,b;q=0.05,a;q=0.005"},
    {"gzip;q=0, br", "br,gzip;q=0"},
    {"gzip, gzip", "gzip"},
    {"", ""},
    {" gzip;q=2 ", "gzip;q=2"},
    {"gzip;x=1, br", "gzip;x=1, br"},
    {"gzip;q=0.1234", "gzip;q=0.1234"},
};

START_TEST(form_rows)
{
    CDN_AUTOBUF struct cdn_buf b = {0}, again = {0};
    http_accept_encoding_normalize(cdn_str(forms[_i].value), &b);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&b), cdn_str(forms[_i].canonical)), "%s: %s", forms[_i].value, b.p);
    http_accept_encoding_normalize(cdn_buf_str(&b), &again);
    ck_assert(cdn_str_eq(cdn_buf_str(&b), cdn_buf_str(&again)));
}
END_TEST

static const struct {
    const char *value, *best; /* NULL: none */
} languages[] = {
    {"de", "de"},
    {"fr;q=0.5, de;q=1.0", "de"},
    {"en, de", NULL},
    {"*", NULL},
    {"*;q=0.5, de", "de"},
    {"de;q=0", NULL},
    {"", NULL},
    {"de;;", "de"},
    {"de;q=x", NULL},
};

START_TEST(language_rows)
{
    struct cdn_str best = {NULL, 0};
    bool ok = http_accept_language_best(cdn_str(languages[_i].value), &best);
    ck_assert_msg(ok == (languages[_i].best != NULL) && cdn_str_eq(best, cdn_str(languages[_i].best)), "%s",
                  languages[_i].value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_field_accept");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, best_rows, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_loop_test(rows, form_rows, 0, (int)CDN_ARRAY_LEN(forms));
    tcase_add_loop_test(rows, language_rows, 0, (int)CDN_ARRAY_LEN(languages));
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
