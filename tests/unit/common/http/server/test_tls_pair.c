/* tls_pair: good pairs, and a sentence that names the file for every bad one. */
#include "common/http/server/tls_pair.h"
#include "common/mem.h"
#include "common/status.h"

#include <check.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/tls-pair-XXXXXX";
static char paths[8][64];
static int used;

static const char *path_of(const char *name)
{
    char *path = paths[used++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t n)
{
    FILE *f = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    fclose(f);
}

static void make(const char *certificate_name, const char *key_name, const char *password, time_t from,
                 time_t to)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_datum_t text = {0};
    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&crt);
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "\x01", 1);
    gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "a", 1);
    gnutls_x509_crt_set_activation_time(crt, from);
    gnutls_x509_crt_set_expiration_time(crt, to);
    gnutls_x509_crt_set_key(crt, key);
    ck_assert_int_eq(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    ck_assert_int_eq(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &text), 0);
    write_file(certificate_name, text.data, text.size);
    gnutls_free(text.data);
    ck_assert_int_eq(
        gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, password,
                                          password ? GNUTLS_PKCS_PBES2_AES_128 : GNUTLS_PKCS_PLAIN, &text),
        0);
    write_file(key_name, text.data, text.size);
    gnutls_free(text.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static void make_all(void)
{
    const time_t now = time(NULL);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    make("good.crt", "good.key", NULL, now - 100, now + 100);
    make("other.crt", "other.key", NULL, now - 100, now + 100);
    make("old.crt", "old.key", NULL, now - 200, now - 100);
    make("locked.crt", "locked.key", "secret", now - 100, now + 100);
    write_file("empty", "", 0);
    write_file("text", "hello\n", 6);
    char *large = cdn_calloc(1, CDN_TLS_FILE_MAX + 1);
    memset(large, 'x', CDN_TLS_FILE_MAX + 1);
    write_file("large", large, CDN_TLS_FILE_MAX + 1);
    free(large);
}

static void remove_all(void)
{
    static const char *const names[] = {"good.crt", "good.key", "other.crt",  "other.key",
                                        "old.crt",  "old.key",  "locked.crt", "locked.key",
                                        "empty",    "text",     "large"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(names); i++) {
        unlink(path_of(names[i]));
    }
    rmdir(folder);
}

static const struct {
    const char *certificate, *key;
    enum cdn_status status;
    const char *says; /* part of the sentence */
} rows[] = {
    {"good.crt", "good.key", CDN_OK, NULL},
    {"old.crt", "old.key", CDN_OK, NULL},
    {"none.crt", "good.key", CDN_IO, "/none.crt: No such file"},
    {"good.crt", "none.key", CDN_IO, "/none.key: No such file"},
    {".", "good.key", CDN_IO, "it is no file"},
    {"good.crt", "large", CDN_TOO_LARGE, "/large: larger than 1048576 bytes"},
    {"empty", "good.key", CDN_INVALID, "/empty: no certificate in PEM form"},
    {"good.key", "good.key", CDN_INVALID, "/good.key: no certificate in PEM form"},
    {"good.crt", "text", CDN_INVALID, "/text: no private key in PEM form"},
    {"good.crt", "good.crt", CDN_INVALID, "/good.crt: no private key in PEM form"},
    {"locked.crt", "locked.key", CDN_INVALID, "/locked.key: the key has a passphrase"},
    {"good.crt", "other.key", CDN_INVALID, "/other.key is not the key of the certificate in "},
};

START_TEST(reading)
{
    struct cdn_tls_pair pair = {0};
    struct cdn_error err = {0};
    const char *certificate = path_of(rows[_i].certificate);
    ck_assert_int_eq(cdn_tls_pair_read(certificate, path_of(rows[_i].key), &pair, &err), rows[_i].status);
    if (rows[_i].says) {
        ck_assert_msg(strstr(err.text, rows[_i].says) != NULL, "%s", err.text);
        ck_assert_ptr_null(pair.certificate);
    } else {
        ck_assert_ptr_nonnull(strstr(pair.certificate, "BEGIN CERTIFICATE"));
        ck_assert_ptr_nonnull(strstr(pair.key, "PRIVATE KEY"));
    }
    cdn_tls_pair_free(&pair);
}
END_TEST

START_TEST(times)
{
    struct cdn_tls_pair pair = {.starts_s = 100, .expires_s = 200};
    ck_assert_str_eq(cdn_tls_pair_trouble(&pair, 99), "not valid yet");
    ck_assert_ptr_null(cdn_tls_pair_trouble(&pair, 100));
    ck_assert_ptr_null(cdn_tls_pair_trouble(&pair, 200));
    ck_assert_str_eq(cdn_tls_pair_trouble(&pair, 201), "expired");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls_pair");
    TCase *tests = tcase_create("all");
    tcase_add_unchecked_fixture(tests, make_all, remove_all);
    tcase_add_loop_test(tests, reading, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tests, times);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
