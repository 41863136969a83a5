/* authority: what it makes is what browsers want, lasts, and is made anew in time; and its files. */
#include "cli/run/authority.h"
#include "cli/run/authority_files.h"
#include "common/http/server/tls_pair.h"
#include "common/mem.h"
#include "common/status.h"

#include <check.h>
#include <ftw.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1800000000)

static const char *const names[] = {"localhost", "www.cdn.test", "*.shop.example", "127.0.1.1", "::1"};
#define COUNT CDN_ARRAY_LEN(names)

static gnutls_x509_crt_t imported(const char *pem)
{
    gnutls_x509_crt_t crt;
    const gnutls_datum_t text = {(unsigned char *)(uintptr_t)pem, (unsigned)strlen(pem)};
    ck_assert_int_eq(gnutls_x509_crt_init(&crt), 0);
    ck_assert_int_eq(gnutls_x509_crt_import(crt, &text, GNUTLS_X509_FMT_PEM), 0);
    return crt;
}

static void make_both(struct cdn_tls_pair *authority, struct cdn_tls_pair *site)
{
    struct cdn_error err;
    ck_assert_msg(authority_make("me@here", NOW, authority, &err) == CDN_OK, "%s", err.text);
    ck_assert_msg(authority_sign(authority, names, COUNT, NOW, site, &err) == CDN_OK, "%s", err.text);
}

START_TEST(a_site_is_what_browsers_want)
{
    struct cdn_tls_pair authority = {0}, site = {0};
    unsigned usage, critical, verdict;
    char purpose[64];
    size_t n = sizeof(purpose);
    make_both(&authority, &site);
    gnutls_x509_crt_t by = imported(authority.certificate), crt = imported(site.certificate);
    ck_assert_int_gt(gnutls_x509_crt_get_ca_status(by, NULL), 0);
    ck_assert_int_eq(gnutls_x509_crt_get_key_usage(by, &usage, &critical), 0);
    ck_assert_uint_eq(usage, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    ck_assert_int_eq(gnutls_x509_crt_get_ca_status(crt, NULL), 0);
    ck_assert_int_eq(gnutls_x509_crt_get_key_purpose_oid(crt, 0, purpose, &n, NULL), 0);
    ck_assert_str_eq(purpose, GNUTLS_KP_TLS_WWW_SERVER);
    ck_assert_int_eq(gnutls_x509_crt_verify(crt, &by, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &verdict), 0);
    ck_assert_uint_eq(verdict, 0);
    ck_assert(gnutls_x509_crt_check_hostname(crt, "a.shop.example"));
    ck_assert(gnutls_x509_crt_check_hostname(crt, "127.0.1.1"));
    ck_assert(!gnutls_x509_crt_check_hostname(crt, "127.0.1.2"));
    ck_assert_int_eq(site.algorithm, GNUTLS_PK_ECDSA);
    ck_assert_int_le(site.expires_s - site.starts_s, 398 * AUTHORITY_DAY_S); /* CA/B forum */
    gnutls_x509_crt_deinit(by);
    gnutls_x509_crt_deinit(crt);
    cdn_tls_pair_free(&authority);
    cdn_tls_pair_free(&site);
}
END_TEST

static const struct {
    const char *more; /* a name beside the others */
    int64_t after_s;
    bool covers;
} coverings[] = {
    {NULL, 0, true},
    {"WWW.cdn.test", 0, true},
    {"*.shop.example", 0, true},
    {"0:0:0:0:0:0:0:1", 0, true},
    {"a.shop.example", 0, false}, /* a name is asked for as it is written */
    {"new.example", 0, false},
    {"127.0.1.2", 0, false},
    {NULL, AUTHORITY_SITE_LIFE_S - AUTHORITY_SPARE_S - 1, true},
    {NULL, AUTHORITY_SITE_LIFE_S - AUTHORITY_SPARE_S, false},
    {NULL, AUTHORITY_SITE_LIFE_S + 1, false},
    {NULL, -2 * AUTHORITY_DAY_S, false}, /* a clock that went back */
};

START_TEST(what_is_good_is_kept)
{
    struct cdn_tls_pair authority = {0}, site = {0}, other = {0}, others = {0};
    make_both(&authority, &site);
    make_both(&other, &others);
    for (size_t i = 0; i < CDN_ARRAY_LEN(coverings); i++) {
        const char *wanted[COUNT + 1];
        memcpy(wanted, names, sizeof(names));
        wanted[COUNT] = coverings[i].more;
        const bool covers = authority_covers(&authority, &site, wanted, COUNT + (coverings[i].more != NULL),
                                             NOW + coverings[i].after_s);
        ck_assert_msg(covers == coverings[i].covers, "%zu", i);
    }
    ck_assert(!authority_covers(&other, &site, names, COUNT, NOW));
    ck_assert(authority_is_fit(&authority, NOW));
    ck_assert(!authority_is_fit(&site, NOW));
    ck_assert(!authority_is_fit(&authority, NOW + AUTHORITY_LIFE_S - AUTHORITY_SPARE_S));
    cdn_tls_pair_free(&authority);
    cdn_tls_pair_free(&site);
    cdn_tls_pair_free(&other);
    cdn_tls_pair_free(&others);
}
END_TEST

START_TEST(a_key_has_a_hash)
{
    struct cdn_tls_pair authority = {0}, site = {0};
    char one[AUTHORITY_HASH_SIZE], two[AUTHORITY_HASH_SIZE];
    struct cdn_error err;
    make_both(&authority, &site);
    ck_assert_int_eq(authority_key_hash(authority.certificate, one, &err), CDN_OK);
    ck_assert_int_eq(authority_key_hash(site.certificate, two, &err), CDN_OK);
    ck_assert_uint_eq(strlen(one), AUTHORITY_HASH_SIZE - 1);
    ck_assert_str_ne(one, two);
    ck_assert_int_eq(authority_key_hash("x", two, &err), CDN_INVALID);
    cdn_tls_pair_free(&authority);
    cdn_tls_pair_free(&site);
}
END_TEST

/* ---- files ---- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static char *text_of(const char *path)
{
    char text[4096] = "";
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, f), 0);
    fclose(f);
    return cdn_strdup(text);
}

static const struct {
    int64_t after_s;
    size_t count;      /* of the names */
    const char *spoil; /* a file that is spoilt before */
    bool authority, site;
    const char *says; /* the sentence, when it is refused */
} steps[] = {
    {0, 4, NULL, true, true, NULL},
    {0, 4, NULL, false, false, NULL},
    {0, 3, NULL, false, false, NULL}, /* it is for all of them still */
    {0, COUNT, NULL, false, true, NULL},
    {0, COUNT, "site.crt", false, true, NULL},
    {0, COUNT, "site.key", false, true, NULL},
    {AUTHORITY_SITE_LIFE_S - AUTHORITY_SPARE_S, COUNT, NULL, false, true, NULL},
    {AUTHORITY_LIFE_S - AUTHORITY_SPARE_S, COUNT, NULL, true, true, NULL},
    {AUTHORITY_LIFE_S, COUNT, "authority.key", false, false, "/authority.key: no private key in PEM form"},
    {AUTHORITY_LIFE_S, COUNT, "authority.crt", false, false, "/authority.crt: no certificate in PEM form"},
};

START_TEST(files_last)
{
    char folder[] = "/tmp/authority-XXXXXX";
    struct authority_files files;
    struct stat about;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    authority_files_of(folder, &files);
    for (size_t i = 0; i < CDN_ARRAY_LEN(steps); i++) {
        struct authority_news news = {0};
        struct cdn_error err = {0};
        if (steps[i].spoil) {
            CDN_AUTOFREE char *path = cdn_asprintf("%s/%s", files.folder, steps[i].spoil);
            FILE *f = fopen(path, "w");
            ck_assert_ptr_nonnull(f);
            fputs("rubbish\n", f);
            fclose(f);
        }
        const enum cdn_status status =
            authority_files_prepare(&files, names, steps[i].count, NOW + steps[i].after_s, &news, &err);
        if (steps[i].says) {
            ck_assert_msg(status == CDN_CORRUPT && strstr(err.text, steps[i].says), "%zu: %s", i, err.text);
            ck_assert_ptr_nonnull(strstr(err.text, "a new authority is made"));
            continue;
        }
        ck_assert_msg(status == CDN_OK, "%zu: %s", i, err.text);
        ck_assert_msg(news.authority == steps[i].authority && news.site == steps[i].site, "%zu", i);
        ck_assert_int_eq(stat(files.key, &about), 0);
        ck_assert_uint_eq(about.st_mode & 0777, 0600);
        CDN_AUTOFREE char *authority = text_of(files.authority);
        CDN_AUTOFREE char *command = cdn_asprintf("tail -c %zu %s", strlen(authority), files.bundle);
        FILE *tail = popen(command, "r");
        char last[4096] = "";
        ck_assert_ptr_nonnull(tail);
        ck_assert_uint_eq(fread(last, 1, sizeof(last) - 1, tail), strlen(authority));
        pclose(tail);
        ck_assert_str_eq(last, authority); /* behind those of the system */
    }
    authority_files_free(&files);
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("authority");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_site_is_what_browsers_want);
    tcase_add_test(tests, what_is_good_is_kept);
    tcase_add_test(tests, a_key_has_a_hash);
    tcase_add_test(tests, files_last);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
