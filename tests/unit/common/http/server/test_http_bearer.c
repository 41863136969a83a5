/* Bearer tokens: what counts as one, and that no other spelling of the secret does. */
#include "common/http/server/http_bearer.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

START_TEST(tokens)
{
    static const struct {
        const char *field; /* NULL: there is none */
        const char *token;
        bool is;
    } rows[] = {
        {"Bearer secret", "secret", true},
        {"bearer secret", "secret", true},
        {"BEARER secret", "secret", true},
        {"Bearer   secret ", "secret", true},
        {"Bearer secre", "secret", false},
        {"Bearer secret2", "secret", false},
        {"Bearer Secret", "secret", false},
        {"Bearer secret secret", "secret", false},
        {"Bearer", "secret", false},
        {"Bearer ", "secret", false},
        {"Bearersecret", "secret", false},
        {"Basic secret", "secret", false},
        {"secret", "secret", false},
        {" Bearer secret", "secret", false}, /* values come trimmed: this is none */
        {"Bearer ", "", false},              /* nobody has the empty token */
        {"Bearer", "", false},
        {"", "", false},
        {NULL, "secret", false},
        {NULL, "", false},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_str field = rows[i].field ? cdn_str(rows[i].field) : (struct cdn_str){0};
        struct cdn_str given;
        const bool is = http_bearer_read(field, &given) && http_bearer_same(given, cdn_str(rows[i].token));
        ck_assert_msg(is == rows[i].is, "row %zu", i);
    }
}
END_TEST

START_TEST(reading)
{
    struct cdn_str token;
    ck_assert(http_bearer_read(CDN_STR("Bearer a b "), &token));
    ck_assert(cdn_str_eq(token, CDN_STR("a b")));
    ck_assert(http_bearer_read(CDN_STR("bEARER "), &token));
    ck_assert_uint_eq(token.n, 0);
    ck_assert(!http_bearer_read(CDN_STR("Digest a"), &token));
    ck_assert(!http_bearer_read((struct cdn_str){0}, &token));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("http_bearer");
    tcase_add_test(tc, tokens);
    tcase_add_test(tc, reading);
    Suite *suite = suite_create("http_bearer");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
