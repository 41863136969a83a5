/* tls_set, tls_folder: which certificate is for which name, and which files of a folder are certificates. */
#include "common/http/server/tls_pair.h"
#include "common/http/server/tls_set.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static char folder[] = "/tmp/tls-set-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[8][96];
    static int used;
    char *path = paths[used++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

/* PEM texts of a pair for the names, separated by blanks; the first is the common name. */
static void make(const char *names, gnutls_pk_algorithm_t kind, gnutls_datum_t *ret_certificate,
                 gnutls_datum_t *ret_key)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(
        key, kind, kind == GNUTLS_PK_RSA ? 2048 : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&crt);
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "\x01", 1);
    struct cdn_str rest = cdn_str(names);
    const bool common_name_alone = cdn_str_starts(rest, CDN_STR("CN="));
    if (common_name_alone) {
        rest = cdn_str_sub(rest, 3);
        gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, rest.p, (unsigned)rest.n);
    } else {
        gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "not.counted", 11);
        gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, "\x7f\0\0\x01", 4, GNUTLS_FSAN_SET);
    }
    while (!common_name_alone && rest.n > 0) {
        struct cdn_str name = cdn_str_cut(&rest, ' ');
        gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name.p, (unsigned)name.n,
                                             GNUTLS_FSAN_APPEND);
    }
    gnutls_x509_crt_set_activation_time(crt, time(NULL) - 60);
    gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
    gnutls_x509_crt_set_key(crt, key);
    ck_assert_int_eq(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    ck_assert_int_eq(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, ret_certificate), 0);
    ck_assert_int_eq(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, ret_key), 0);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static void write_text(const char *name, const gnutls_datum_t *first, const gnutls_datum_t *second)
{
    FILE *f = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(first->data, 1, first->size, f), first->size);
    if (second) {
        ck_assert_uint_eq(fwrite(second->data, 1, second->size, f), second->size);
    }
    fclose(f);
}

static void make_files(const char *certificate_name, const char *key_name, const char *names)
{
    gnutls_datum_t certificate, key;
    make(names, GNUTLS_PK_ECDSA, &certificate, &key);
    write_text(certificate_name, &certificate, key_name ? NULL : &key);
    if (key_name) {
        write_text(key_name, &key, NULL);
    }
    gnutls_free(certificate.data);
    gnutls_free(key.data);
}

/* ---- the choice ---- */

static const char *const names_of[] = {
    "default.example", "Shop.Example www.shop.example", "*.shop.example *.a.b.example",
    "CN=old.example",  "shop.example other.example",    "x.deep.shop.example"};
#define PAIRS CDN_ARRAY_LEN(names_of)

static struct cdn_tls_set *set_of(const char *const *names, const gnutls_pk_algorithm_t *kinds, size_t n)
{
    struct cdn_tls_pair *pairs = cdn_calloc(n, sizeof(*pairs));
    struct cdn_tls_set *set = NULL;
    struct cdn_error err;
    for (size_t i = 0; i < n; i++) {
        gnutls_datum_t certificate, key;
        make(names[i], kinds ? kinds[i] : GNUTLS_PK_ECDSA, &certificate, &key);
        ck_assert_msg(cdn_tls_pair_parse(cdn_strndup((char *)certificate.data, certificate.size),
                                         cdn_strndup((char *)key.data, key.size), "c", "k", &pairs[i],
                                         &err) == CDN_OK,
                      "%s", err.text);
        gnutls_free(certificate.data);
        gnutls_free(key.data);
    }
    ck_assert_msg(cdn_tls_set_of(pairs, n, &set, &err) == CDN_OK, "%s", err.text);
    return set;
}

static const struct {
    const char *name;
    size_t pair;
} choices[] = {
    {"default.example", 0},
    {"shop.example", 1}, /* the first of two for it */
    {"SHOP.example", 1},
    {"shop.example.", 1},
    {"www.shop.example", 1}, /* exactly, before a wildcard */
    {"img.shop.example", 2},
    {"IMG.Shop.Example.", 2},
    {"a.img.shop.example", 0}, /* a wildcard is one label */
    {"deep.shop.example", 2},
    {"x.deep.shop.example", 5},
    {"y.deep.shop.example", 0},
    {"c.a.b.example", 2},
    {"a.b.example", 0},
    {"*.shop.example", 2},
    {"xshop.example", 0},
    {"shop.example.org", 0},
    {"other.example", 4},
    {"old.example", 3},
    {"not.counted", 0}, /* a common name beside alternative ones */
    {"127.0.0.1", 0},
    {"example", 0},
    {".shop.example", 0},
    {".", 0},
    {"", 0},
    {"..", 0},
};

START_TEST(names_are_chosen)
{
    struct cdn_tls_set *set = set_of(names_of, NULL, PAIRS);
    for (size_t i = 0; i < CDN_ARRAY_LEN(choices); i++) {
        const size_t pair = cdn_tls_set_choose(set, cdn_str(choices[i].name));
        ck_assert_msg(pair == choices[i].pair, "%s: %zu", choices[i].name, pair);
    }
    char long_name[400];
    memset(long_name, 'a', sizeof(long_name));
    for (size_t n = 250; n < sizeof(long_name); n++) {
        ck_assert_uint_eq(cdn_tls_set_choose(set, (struct cdn_str){long_name, n}), 0);
    }
    ck_assert_uint_eq(cdn_tls_set_choose(set, (struct cdn_str){"shop.example\0.x", 15}), 0);
    ck_assert_int_eq(cdn_tls_set_expires_s(set) > time(NULL), 1);
    cdn_tls_set_unref(set);
}
END_TEST

/* ---- a handshake in memory ---- */

struct end {
    gnutls_session_t session;
    struct end *peer;
    struct cdn_buf in;
};

static ssize_t push(gnutls_transport_ptr_t arg, const void *p, size_t n)
{
    struct end *end = arg;
    cdn_buf_add(&end->peer->in, p, n);
    return (ssize_t)n;
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *p, size_t n)
{
    struct end *end = arg;
    if (end->in.n == 0) {
        gnutls_transport_set_errno(end->session, EAGAIN);
        return -1;
    }
    n = n < end->in.n ? n : end->in.n;
    memcpy(p, end->in.p, n);
    memmove(end->in.p, end->in.p + n, end->in.n - n);
    end->in.n -= n;
    return (ssize_t)n;
}

static void begin(struct end *end, struct end *peer, unsigned flags, const char *priorities)
{
    *end = (struct end){.peer = peer};
    ck_assert_int_eq(gnutls_init(&end->session, flags | GNUTLS_NONBLOCK), 0);
    ck_assert_int_eq(gnutls_priority_set_direct(end->session, priorities, NULL), 0);
    gnutls_transport_set_ptr(end->session, end);
    gnutls_transport_set_push_function(end->session, push);
    gnutls_transport_set_pull_function(end->session, pull);
}

/* What a client that asks for `name` is given: the kind of key, and in `into` the first name of it. */
static gnutls_pk_algorithm_t shake(const struct cdn_tls_set *set, const char *name, const char *priorities,
                                   char into[static 64])
{
    struct end server, client;
    gnutls_certificate_credentials_t any;
    gnutls_x509_crt_t crt;
    int a = GNUTLS_E_AGAIN, b = GNUTLS_E_AGAIN;
    begin(&server, &client, GNUTLS_SERVER, "NORMAL");
    begin(&client, &server, GNUTLS_CLIENT, priorities);
    gnutls_certificate_allocate_credentials(&any);
    gnutls_credentials_set(client.session, GNUTLS_CRD_CERTIFICATE, any);
    if (name) {
        gnutls_server_name_set(client.session, GNUTLS_NAME_DNS, name, strlen(name));
    }
    cdn_tls_set_serve(set, server.session);
    for (int i = 0; i < 50 && (a != 0 || b != 0); i++) {
        a = a != 0 ? gnutls_handshake(client.session) : a;
        b = b != 0 ? gnutls_handshake(server.session) : b;
    }
    ck_assert_msg(a == 0 && b == 0, "%s, %s", gnutls_strerror(a), gnutls_strerror(b));
    unsigned n;
    size_t size = 64;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(client.session, &n);
    ck_assert_ptr_nonnull(chain);
    gnutls_x509_crt_init(&crt);
    gnutls_x509_crt_import(crt, chain, GNUTLS_X509_FMT_DER);
    for (unsigned i = 0;
         i < 2 && gnutls_x509_crt_get_subject_alt_name(crt, i, into, &size, NULL) != GNUTLS_SAN_DNSNAME;
         i++) {
        size = 64;
    }
    const int kind = gnutls_x509_crt_get_pk_algorithm(crt, NULL);
    gnutls_x509_crt_deinit(crt);
    gnutls_deinit(client.session);
    gnutls_deinit(server.session);
    gnutls_certificate_free_credentials(any);
    cdn_buf_free(&client.in);
    cdn_buf_free(&server.in);
    return (gnutls_pk_algorithm_t)kind;
}

static const struct {
    const char *name, *priorities, *gets;
    gnutls_pk_algorithm_t kind;
} shakes[] = {
    {"shop.example", "NORMAL", "shop.example", GNUTLS_PK_ECDSA},
    {"shop.example", "NORMAL:-VERS-ALL:+VERS-TLS1.2", "shop.example", GNUTLS_PK_ECDSA},
    {"img.shop.example", "NORMAL", "*.shop.example", GNUTLS_PK_ECDSA},
    {"img.shop.example", "NORMAL:-VERS-ALL:+VERS-TLS1.2", "*.shop.example", GNUTLS_PK_ECDSA},
    {"else.example", "NORMAL", "default.example", GNUTLS_PK_ECDSA},
    {NULL, "NORMAL", "default.example", GNUTLS_PK_ECDSA},
    {NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.2", "default.example", GNUTLS_PK_ECDSA},
    /* the wildcard has both kinds of keys */
    {"img.shop.example", "NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256", "*.shop.example",
     GNUTLS_PK_RSA},
    {"img.shop.example", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA", "*.shop.example", GNUTLS_PK_RSA},
};

START_TEST(sessions_get_what_they_ask_for)
{
    static const char *const names[] = {"default.example", "shop.example", "*.shop.example",
                                        "*.shop.example"};
    static const gnutls_pk_algorithm_t kinds[] = {GNUTLS_PK_ECDSA, GNUTLS_PK_ECDSA, GNUTLS_PK_ECDSA,
                                                  GNUTLS_PK_RSA};
    struct cdn_tls_set *set = set_of(names, kinds, CDN_ARRAY_LEN(names));
    for (size_t i = 0; i < CDN_ARRAY_LEN(shakes); i++) {
        char got[64] = "";
        const gnutls_pk_algorithm_t kind = shake(set, shakes[i].name, shakes[i].priorities, got);
        ck_assert_msg(strcmp(got, shakes[i].gets) == 0 && kind == shakes[i].kind, "%zu: %s, %s", i, got,
                      gnutls_pk_get_name(kind));
    }
    cdn_tls_set_unref(set);
}
END_TEST

/* ---- files and folders ---- */

static void make_all(void)
{
    static const char *const folders[] = {"mixed", "mixed/shop.example", "mixed/empty", "live", "none",
                                          "broken"};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < CDN_ARRAY_LEN(folders); i++) {
        ck_assert_int_eq(mkdir(path_of(folders[i]), 0700), 0);
    }
    make_files("a.crt", "a.key", "a.example");
    make_files("b.crt", "b.key", "b.example");
    make_files("both.pem", NULL, "both.example");
    make_files("mixed/1.pem", NULL, "one.example");
    make_files("mixed/2.pem", "mixed/2-key.pem", "two.example");
    make_files("mixed/3.crt", "mixed/3.key", "three.example");
    make_files("mixed/.hidden.crt", NULL, "hidden.example");
    make_files("mixed/readme.txt", NULL, "text.example");
    make_files("mixed/shop.example/fullchain.pem", "mixed/shop.example/privkey.pem", "four.example");
    make_files("live/fullchain.pem", "live/privkey.pem", "live.example");
    make_files("live/cert.pem", "live/unused.key", "cert.example");
    make_files("broken/c.crt", "broken/other.key", "c.example");
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_all(void)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct {
    const char *certificates[4], *keys[4]; /* of the folder */
    enum cdn_status status;
    const char *says; /* the first names, or part of the sentence */
} readings[] = {
    {{NULL}, {NULL}, CDN_OK, ""},
    {{"a.crt"}, {"a.key"}, CDN_OK, "a.example"},
    {{"a.crt", "b.crt"}, {"a.key", "b.key"}, CDN_OK, "a.example b.example"},
    {{"both.pem"}, {NULL}, CDN_OK, "both.example"},
    {{"both.pem"}, {"both.pem"}, CDN_OK, "both.example"},
    {{"both.pem", "mixed/1.pem"}, {NULL}, CDN_OK, "both.example one.example"},
    {{"mixed"}, {NULL}, CDN_OK, "one.example two.example three.example four.example"},
    {{"live"}, {NULL}, CDN_OK, "live.example"},
    {{"live", "a.crt"}, {"a.key"}, CDN_OK, "live.example a.example"},
    {{"a.crt", "live", "b.crt"}, {"a.key", "b.key"}, CDN_OK, "a.example live.example b.example"},
    {{NULL}, {"a.key"}, CDN_USAGE, "tls_key is set without tls_certificate"},
    {{"a.crt"}, {NULL}, CDN_USAGE, "tls_certificate is set without tls_key: "},
    {{"a.crt", "b.crt"}, {"a.key"}, CDN_USAGE, "names 2 files and tls_key 1"},
    {{"a.crt"}, {"a.key", "b.key"}, CDN_USAGE, "names 1 files and tls_key 2"},
    {{"live"}, {"a.key"}, CDN_USAGE, "names 0 files and tls_key 1"},
    {{"a.crt", "b.crt"}, {"b.key", "a.key"}, CDN_INVALID, "/b.key is not the key of the certificate in "},
    {{"none"}, {NULL}, CDN_NOT_FOUND, "/none: no certificates in this folder"},
    {{"missing"}, {NULL}, CDN_IO, "/missing: No such file"},
    {{"broken"}, {NULL}, CDN_USAGE, "/broken/c.crt: no private key in it"},
};

START_TEST(files_are_read)
{
    const char *certificates[5] = {NULL}, *keys[5] = {NULL};
    struct cdn_tls_set *set = NULL;
    struct cdn_error err = {0};
    CDN_AUTOBUF struct cdn_buf got = {0};
    for (size_t i = 0; i < 4; i++) {
        certificates[i] = readings[_i].certificates[i] ? path_of(readings[_i].certificates[i]) : NULL;
        keys[i] = readings[_i].keys[i] ? path_of(readings[_i].keys[i]) : NULL;
    }
    const enum cdn_status status = cdn_tls_set_read(certificates, keys, &set, &err);
    ck_assert_msg(status == readings[_i].status, "%d %s", (int)status, err.text);
    for (size_t i = 0; i < cdn_tls_set_count(set); i++) {
        cdn_buf_printf(&got, "%s%s", i ? " " : "", cdn_tls_set_at(set, i)->names[0]);
    }
    if (status == CDN_OK) {
        ck_assert_str_eq(got.p ? got.p : "", readings[_i].says);
        ck_assert_int_eq(set != NULL, readings[_i].says[0] != '\0');
    } else {
        ck_assert_msg(strstr(err.text, readings[_i].says) != NULL, "%s", err.text);
    }
    cdn_tls_set_unref(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls_set");
    TCase *tests = tcase_create("all");
    tcase_add_unchecked_fixture(tests, make_all, remove_all);
    tcase_add_test(tests, names_are_chosen);
    tcase_add_test(tests, sessions_get_what_they_ask_for);
    tcase_add_loop_test(tests, files_are_read, 0, (int)CDN_ARRAY_LEN(readings));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
