/* outgoing: which fields of a client reach the origin. accept: how its wishes are told. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/accept.h"
#include "edge/base/settings.h"
#include "edge/semantics/outgoing.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum goes { NEVER, PASSED /* with POST only */, OWN /* not where many share the answer */, ALWAYS };

static const struct {
    const char *name;
    enum goes goes;
} fields[] = {
    {"Accept", ALWAYS},
    {"Cookie", ALWAYS},
    {"X-Kept", ALWAYS},
    {"X-Forwarded", ALWAYS},
    {"Authorization", ALWAYS},
    {"Host", NEVER},
    {"X-Forwarded-For", NEVER},
    {"X_Forwarded_For", NEVER},
    {"x-forwarded_host", NEVER},
    {"X_FORWARDED-PROTO", NEVER},
    {"Transfer-Encoding", NEVER},
    {"Transfer_Encoding", NEVER},
    {"transfer_encoding", NEVER},
    {"Content_Length", NEVER},
    {"CDN_Loop", NEVER},
    {"Max_Forwards", NEVER},
    {"Keep_Alive", NEVER},
    {"Proxy_Connection", NEVER},
    {"Proxy_Authorization", NEVER},
    {"TE", NEVER},
    {"Upgrade", NEVER},
    {"X-Hop", NEVER}, /* Connection names it */
    {"If-None-Match", OWN},
    {"Range", OWN},
    {"If_None_Match", PASSED},
    {"X-Original-URL", PASSED},
    {"X-Rewrite-URL", PASSED},
    {"x_rewrite_url", PASSED},
    {"X-HTTP-Method-Override", PASSED},
    {"X_HTTP_Method_Override", PASSED},
    {"X-HTTP-Method", PASSED},
    {"X-Method-Override", PASSED},
    {"X-Host", PASSED},
    {"X-Forwarded-Server", PASSED},
    {"X-Forwarded-Port", PASSED},
    {"X-Forwarded-Prefix", PASSED},
    {"X-Forwarded-Scheme", PASSED},
    {"X-Forwarded-Ssl", PASSED},
    {"X-Forwarded-Anything", PASSED},
    {"X-Original-Host", PASSED},
    {"Front-End-Https", PASSED},
    {"X-Real-IP", PASSED},
    {"Accept_Language", PASSED}, /* CGI reads it as Accept-Language, which Vary may name */
    {"api_key", PASSED},
};

START_TEST(field_rows)
{
    struct cdn_config_entry through[] = {{.key = (char *)(uintptr_t) "x-forwarded-prefix"}};
    struct cdn_config_list none = {0}, some = {.items = through, .n = 1};
    const struct cdn_str name = cdn_str(fields[_i].name);
    for (unsigned i = 0; i < 4; i++) {
        const struct edge_outgoing o = {
            .connection = CDN_STR("close, x-hop"), .shared = i & 1, .guarded = i >> 1, .forward = &none};
        const enum goes goes = fields[_i].goes;
        const bool wanted = goes == OWN      ? !o.shared
                            : goes == PASSED ? !o.guarded && !(o.shared && edge_outgoing_is_condition(name))
                                             : goes != NEVER;
        ck_assert_msg(edge_outgoing_has(&o, name) == wanted, "%s %u", fields[_i].name, i);
    }
    const struct edge_outgoing o = {.shared = true, .guarded = true, .forward = &some};
    ck_assert(edge_outgoing_has(&o, CDN_STR("X-Forwarded-Prefix")));
    ck_assert(!edge_outgoing_has(&o, CDN_STR("X-Forwarded-Port")));
}
END_TEST

static const struct {
    const char *value; /* NULL: absent */
    const char *sent;
} encodings[] = {
    {NULL, "identity"},
    {"", "identity"},
    {"identity", "identity"},
    {"deflate", "identity"},
    {"compress, zstd", "identity"},
    {"gzip", "gzip"},
    {"GZIP", "gzip"},
    {"x-gzip", "gzip"},
    {"gzip, deflate", "gzip"},
    {"deflate,gzip;q=1.0", "gzip"},
    {"gzip;q=0.8, deflate;q=0.5", "gzip"},
    {"br", "br"},
    {"br;q=1", "br"},
    {"gzip, deflate, br", "br, gzip"},
    {"gzip, deflate, br, zstd", "br, gzip"},
    {"br;q=0.1, gzip;q=0.9", "br, gzip"},
    {"gzip,br", "br, gzip"},
    {"*", "br, gzip"},
    {"*;q=0.1", "br, gzip"},
    {"gzip, *", "br, gzip"},
    {"br;q=0, gzip", "gzip"},
    {"br;q=0.000, *", "gzip"},
    {"gzip, br;q=0.0000", "gzip"},
    {"gzip, br;x=1;q=0", "gzip"},
    {"gzip, br;q=\"0\"", "gzip"},
    {"gzip, br, br;q=0", "gzip"},
    {"gzip, br;q=0, br", "gzip"},
    {"gzip;q=0", "identity"},
    {"*;q=0, gzip", "gzip, identity;q=0"},
    {"br, identity;q=0", "br, identity;q=0"},
    {"identity;q=0", "identity;q=0"},
    {"*;q=0", "identity;q=0"},
    {"identity, gzip;q=0.5", "identity"}, /* it likes the plain form better */
    {"identity;q=0.5, gzip", "gzip"},
    {"gzip, identity", "gzip"},
    {", ,gzip,,", "gzip"},
};

static const struct {
    const char *listed, *value;
    const char *sent; /* NULL: none */
} languages[] = {
    {"en,de", "de", "de"},
    {"en,de", "DE", "de"},
    {"en,de", "de-AT,de;q=0.9,en;q=0.8", "de"},
    {"en,de", "de-AT", "de"},
    {"en,de", "en-US,en;q=0.9,de;q=0.8", "en"},
    {"en,de", "fr, en;q=0.1", "en"},
    {"en,de", "fr", NULL},
    {"en,de", "", NULL},
    {"en,de", NULL, NULL},
    {"en,de", "*", "en"},
    {"en,de", "en;q=0, *", "de"},
    {"en,de", "en;q=0.5, de;q=0.5", "en"},
    {"en,de", "de, en", "de"},
    {"en,de", "de;q=0", NULL},
    {"en,de", "den, e", NULL},
    {"de-CH,de", "de-CH, de;q=0.9", "de-CH"},
    {"de-CH,de", "de, de-CH;q=0.9", "de"},
    {"pt-BR,en", "pt, en;q=0.9", "pt-BR"},
    {"zh-Hant,zh-Hans", "zh-Hant-TW, zh-Hans;q=0.9", "zh-Hant"},
};

static void list_of(char *text, struct cdn_config_entry *items, struct cdn_config_list *ret)
{
    *ret = (struct cdn_config_list){.items = items};
    for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
        items[ret->n++].key = word;
    }
}

START_TEST(encoding_rows)
{
    char text[] = "br,gzip";
    struct cdn_config_entry items[4] = {0};
    struct edge_settings settings = {0};
    struct edge_accept accept;
    CDN_AUTOBUF struct cdn_buf sent = {0};
    CDN_AUTOBUF struct cdn_buf again = {0};
    list_of(text, items, &settings.accept_encoding);
    ck_assert_int_eq(edge_accept_read(&settings, &accept, NULL), CDN_OK);
    const char *value = encodings[_i].value;
    edge_accept_encoding_write(&accept, (struct cdn_str){value, value ? strlen(value) : 0}, &sent);
    ck_assert_msg(strcmp(sent.p, encodings[_i].sent) == 0, "%s: %s", value, sent.p);
    edge_accept_encoding_write(&accept, cdn_buf_str(&sent), &again);
    ck_assert_str_eq(sent.p, again.p);
}
END_TEST

START_TEST(language_rows)
{
    char text[64];
    struct cdn_config_entry items[4] = {0};
    struct edge_settings settings = {0};
    struct edge_accept accept;
    CDN_AUTOBUF struct cdn_buf sent = {0};
    (void)cdn_str_copy(text, sizeof(text), cdn_str(languages[_i].listed));
    list_of(text, items, &settings.accept_language);
    ck_assert_int_eq(edge_accept_read(&settings, &accept, NULL), CDN_OK);
    const char *value = languages[_i].value;
    bool any = edge_accept_language_write(&accept, (struct cdn_str){value, value ? strlen(value) : 0}, &sent);
    ck_assert_msg(any == (languages[_i].sent != NULL), "%s", value);
    ck_assert_msg(!any || strcmp(sent.p, languages[_i].sent) == 0, "%s: %s", value, sent.p);
}
END_TEST

START_TEST(bad_lists_are_refused)
{
    static char gzip[] = "gzip", where[] = "--x";
    static char bad[][8] = {"snappy", "client", "en de", "*"};
    struct cdn_config_entry items[2] = {{.key = bad[_i], .origin = where}, {.key = gzip, .origin = where}};
    struct edge_settings settings = {0};
    struct edge_accept accept;
    struct cdn_error err;
    *(_i < 2 ? &settings.accept_encoding : &settings.accept_language) =
        (struct cdn_config_list){.items = items, .n = 2};
    ck_assert_int_eq(edge_accept_read(&settings, &accept, &err), CDN_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, bad[_i]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outgoing");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, field_rows, 0, (int)CDN_ARRAY_LEN(fields));
    tcase_add_loop_test(rows, encoding_rows, 0, (int)CDN_ARRAY_LEN(encodings));
    tcase_add_loop_test(rows, language_rows, 0, (int)CDN_ARRAY_LEN(languages));
    tcase_add_loop_test(rows, bad_lists_are_refused, 0, 4);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
