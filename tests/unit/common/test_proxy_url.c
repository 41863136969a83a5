/* proxy_url: what is read of a proxy's URL, what is refused, and that nothing shown has the
 * credentials in it. */
#include "common/mem.h"
#include "common/proxy_url.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LONG50 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define LONG255 LONG50 LONG50 LONG50 LONG50 LONG50 "12345"

static const struct {
    const char *text, *server, *user, *password; /* server NULL: refused; user NULL: none */
    const char *shown;
} rows[] = {
    {"socks5h://127.0.0.1:1080", "socks5h://127.0.0.1:1080", NULL, "", "socks5h://127.0.0.1:1080"},
    {"socks5h://127.0.0.1:1080/", "socks5h://127.0.0.1:1080", NULL, "", "socks5h://127.0.0.1:1080/"},
    {"SOCKS5H://h:1", "socks5h://h:1", NULL, "", "SOCKS5H://h:1"},
    {"socks5://[::1]:65535", "socks5://[::1]:65535", NULL, "", "socks5://[::1]:65535"},
    {"http://proxy.example.net:3128", "http://proxy.example.net:3128", NULL, "",
     "http://proxy.example.net:3128"},
    {"socks5h://fra@127.0.0.1:1080", "socks5h://127.0.0.1:1080", "fra", "", "socks5h://***@127.0.0.1:1080"},
    {"socks5h://fra:@127.0.0.1:1080", "socks5h://127.0.0.1:1080", "fra", "", "socks5h://***@127.0.0.1:1080"},
    {"socks5h://u:p:w@h:1", "socks5h://h:1", "u", "p:w", "socks5h://***@h:1"},
    {"socks5h://S%C3%A3o%20Paulo%2C%20BR:4g%40%2f@h:1", "socks5h://h:1", "S\xc3\xa3o Paulo, BR", "4g@/",
     "socks5h://***@h:1"},
    {"socks5h://35.6,139.7:4g@h:1", "socks5h://h:1", "35.6,139.7", "4g", "socks5h://***@h:1"},
    {"socks5h://a%3ab@h:1", "socks5h://h:1", "a:b", "", "socks5h://***@h:1"},
    {"socks5h://" LONG255 ":" LONG255 "@h:1", "socks5h://h:1", LONG255, LONG255, "socks5h://***@h:1"},
    {"socks5h://" LONG255 "6@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u:" LONG255 "6@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"http://a%3ab@h:1", NULL, NULL, NULL, "http://***@h:1"},
    {"", NULL, NULL, NULL, ""},
    {"127.0.0.1:1080", NULL, NULL, NULL, "127.0.0.1:1080"},
    {"u:secret@127.0.0.1:1080", NULL, NULL, NULL, "***@127.0.0.1:1080"},
    {"socks4://h:1", NULL, NULL, NULL, "socks4://h:1"},
    {"socks5a://h:1", NULL, NULL, NULL, "socks5a://h:1"},
    {"https://h:1", NULL, NULL, NULL, "https://h:1"},
    {"ftp://u:secret@h:1", NULL, NULL, NULL, "ftp://***@h:1"},
    {"socks5h:/h:1", NULL, NULL, NULL, "socks5h:/h:1"},
    {"socks5h://", NULL, NULL, NULL, "socks5h://"},
    {"socks5h://h", NULL, NULL, NULL, "socks5h://h"},
    {"socks5h://h:", NULL, NULL, NULL, "socks5h://h:"},
    {"socks5h://:1", NULL, NULL, NULL, "socks5h://:1"},
    {"socks5h://h:0", NULL, NULL, NULL, "socks5h://h:0"},
    {"socks5h://h:65536", NULL, NULL, NULL, "socks5h://h:65536"},
    {"socks5h://h:1x", NULL, NULL, NULL, "socks5h://h:1x"},
    {"socks5h://h:+1", NULL, NULL, NULL, "socks5h://h:+1"},
    {"socks5h://h:1/path", NULL, NULL, NULL, "socks5h://h:1/path"},
    {"socks5h://h:1?q", NULL, NULL, NULL, "socks5h://h:1?q"},
    {"socks5h://h:1//", NULL, NULL, NULL, "socks5h://h:1//"},
    {"socks5h://h h:1", NULL, NULL, NULL, "socks5h://h h:1"},
    {"socks5h://-h:1", NULL, NULL, NULL, "socks5h://-h:1"},
    {"socks5h://::1:1", NULL, NULL, NULL, "socks5h://::1:1"},
    {"socks5h://[::1:1", NULL, NULL, NULL, "socks5h://[::1:1"},
    {"socks5h://[h]:1", NULL, NULL, NULL, "socks5h://[h]:1"},
    {"socks5h://[1.2.3.4]:1", NULL, NULL, NULL, "socks5h://[1.2.3.4]:1"},
    {"socks5h://[]:1", NULL, NULL, NULL, "socks5h://[]:1"},
    {"socks5h://@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://:secret@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u:sec@ret@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u:sec/ret@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u%:p@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u%4:p@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u%zz:p@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u%00:p@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u:p%0d%0a@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
    {"socks5h://u\n@h:1", NULL, NULL, NULL, "socks5h://***@h:1"},
};

START_TEST(url_rows)
{
    struct proxy_url url = {0};
    const char *why = NULL;
    const bool read = proxy_url_read(cdn_str(rows[_i].text), &url, &why);
    ck_assert_msg(read == (rows[_i].server != NULL), "%s: %s", rows[_i].text, read ? url.server : why);
    if (read) {
        ck_assert_str_eq(url.server, rows[_i].server);
        ck_assert(url.has_user == (rows[_i].user != NULL));
        ck_assert_str_eq(url.user, rows[_i].user ? rows[_i].user : "");
        ck_assert_str_eq(url.password, rows[_i].password);
    } else {
        ck_assert(why && why[0] && !strstr(why, "sec"));
    }
    CDN_AUTOBUF struct cdn_buf shown = {0};
    proxy_url_show(cdn_str(rows[_i].text), &shown);
    ck_assert_str_eq(shown.p ? shown.p : "", rows[_i].shown);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxy_url");
    TCase *cases = tcase_create("rows");
    tcase_add_loop_test(cases, url_rows, 0, (int)CDN_ARRAY_LEN(rows));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
