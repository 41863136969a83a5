/* tls_pair: reads a certificate and its key as GnuTLS will use them and compares the two, since a
 * pair that does not fit would otherwise fail at the first handshake, in front of a client. Key
 * bytes are wiped before their memory is given back. */
#include "common/http/server/tls_pair.h"

#include "common/mem.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/banned.h"

#define CHAIN_MAX 16u
#define KEY_ID_SIZE 64
#define NAME_SIZE 256 /* a name has 253 bytes at most (RFC 1035) */
#define NAMES_MAX 10000u

static void wipe(char *secret)
{
    if (secret) {
        gnutls_memset(secret, 0, strlen(secret));
        free(secret);
    }
}

static enum cdn_status read_text(const char *path, char **ret, struct cdn_error *err)
{
    struct stat about;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &about) != 0 || S_ISDIR(about.st_mode)) {
        const char *why = file ? "it is no file" : strerror(errno);
        if (file) {
            fclose(file);
        }
        return cdn_error_set(err, CDN_IO, "cannot read %s: %s", path, why);
    }
    setvbuf(file, NULL, _IONBF, 0); /* no second copy of a key */
    char *text = cdn_malloc(CDN_TLS_FILE_MAX + 1);
    size_t n = fread(text, 1, CDN_TLS_FILE_MAX + 1, file);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    text[n <= CDN_TLS_FILE_MAX ? n : CDN_TLS_FILE_MAX] = '\0';
    if (failed || n > CDN_TLS_FILE_MAX) {
        wipe(text);
        return failed ? cdn_error_set(err, CDN_IO, "cannot read %s: %s", path, strerror(failed))
                      : cdn_error_set(err, CDN_TOO_LARGE, "%s: larger than %u bytes", path, CDN_TLS_FILE_MAX);
    }
    *ret = text;
    return CDN_OK;
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

/* ---- its names ---- */

static void add_name(struct cdn_tls_pair *pair, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~') { /* no DNS name; a NUL in one is somebody's trick */
            return;
        }
    }
    char *name = cdn_strndup(text, n);
    for (size_t i = 0; i < n; i++) {
        name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
    }
    pair->names = cdn_realloc(pair->names, pair->name_count + 1, sizeof(*pair->names));
    pair->names[pair->name_count++] = name;
}

/* RFC 6125 6.4.4: the common name counts only where there are no alternative ones. */
static void read_names(gnutls_x509_crt_t leaf, struct cdn_tls_pair *pair)
{
    char text[NAME_SIZE];
    bool any = false;
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        size_t n = sizeof(text);
        const int kind = gnutls_x509_crt_get_subject_alt_name(leaf, i, text, &n, NULL);
        if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            break;
        }
        any = true;
        if (kind == GNUTLS_SAN_DNSNAME) {
            add_name(pair, text, n);
        }
    }
    size_t n = sizeof(text);
    if (!any && gnutls_x509_crt_get_dn_by_oid(leaf, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &n) >= 0) {
        add_name(pair, text, n);
    }
}

/* ---- reading ---- */

static enum cdn_status read_certificate(const char *path, struct cdn_tls_pair *pair,
                                        unsigned char id[static KEY_ID_SIZE], size_t *id_n,
                                        struct cdn_error *err)
{
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned count = CHAIN_MAX;
    const gnutls_datum_t text = datum(pair->certificate);
    int problem = gnutls_x509_crt_list_import(chain, &count, &text, GNUTLS_X509_FMT_PEM,
                                              GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (problem <= 0) {
        return cdn_error_set(err, CDN_INVALID, "%s: no certificate in PEM form: %s", path,
                             gnutls_strerror(problem));
    }
    pair->starts_s = gnutls_x509_crt_get_activation_time(chain[0]);
    pair->expires_s = gnutls_x509_crt_get_expiration_time(chain[0]);
    pair->algorithm = gnutls_x509_crt_get_pk_algorithm(chain[0], NULL);
    read_names(chain[0], pair);
    problem = gnutls_x509_crt_get_key_id(chain[0], GNUTLS_KEYID_USE_SHA256, id, id_n);
    for (unsigned i = 0; i < count; i++) {
        gnutls_x509_crt_deinit(chain[i]);
    }
    return problem < 0 ? cdn_error_set(err, CDN_INVALID, "%s: %s", path, gnutls_strerror(problem)) : CDN_OK;
}

static enum cdn_status read_key(const char *path, const struct cdn_tls_pair *pair,
                                unsigned char id[static KEY_ID_SIZE], size_t *id_n, struct cdn_error *err)
{
    gnutls_x509_privkey_t key;
    const gnutls_datum_t text = datum(pair->key);
    if (gnutls_x509_privkey_init(&key) < 0) {
        return cdn_error_set(err, CDN_INTERNAL, "%s: no memory for a key", path);
    }
    int problem = gnutls_x509_privkey_import2(key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (problem >= 0) {
        problem = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, id_n);
    }
    gnutls_x509_privkey_deinit(key);
    if (problem == GNUTLS_E_DECRYPTION_FAILED) {
        return cdn_error_set(err, CDN_INVALID, "%s: the key has a passphrase; give one without", path);
    }
    return problem < 0 ? cdn_error_set(err, CDN_INVALID, "%s: no private key in PEM form: %s", path,
                                       gnutls_strerror(problem))
                       : CDN_OK;
}

static enum cdn_status check_pair(const char *certificate_file, const char *key_file,
                                  struct cdn_tls_pair *pair, struct cdn_error *err)
{
    unsigned char of_certificate[KEY_ID_SIZE] = {0};
    unsigned char of_key[KEY_ID_SIZE] = {0};
    size_t certificate_n = sizeof(of_certificate);
    size_t key_n = sizeof(of_key);
    enum cdn_status status = read_certificate(certificate_file, pair, of_certificate, &certificate_n, err);
    if (status == CDN_OK) {
        status = read_key(key_file, pair, of_key, &key_n, err);
    }
    if (status == CDN_OK && (certificate_n != key_n || memcmp(of_certificate, of_key, key_n) != 0)) {
        return cdn_error_set(err, CDN_INVALID, "%s is not the key of the certificate in %s", key_file,
                             certificate_file);
    }
    return status;
}

enum cdn_status cdn_tls_pair_parse(char *take_certificate, char *take_key, const char *certificate_file,
                                   const char *key_file, struct cdn_tls_pair *ret, struct cdn_error *err)
{
    struct cdn_tls_pair pair = {.certificate = take_certificate, .key = take_key};
    const enum cdn_status status = check_pair(certificate_file, key_file, &pair, err);
    if (status != CDN_OK) {
        cdn_tls_pair_free(&pair);
        return status;
    }
    *ret = pair;
    return CDN_OK;
}

enum cdn_status cdn_tls_pair_read(const char *certificate_file, const char *key_file,
                                  struct cdn_tls_pair *ret, struct cdn_error *err)
{
    const char *of_key = key_file ? key_file : certificate_file;
    char *certificate = NULL, *key = NULL;
    enum cdn_status status = read_text(certificate_file, &certificate, err);
    if (status == CDN_OK) {
        status = read_text(of_key, &key, err);
    }
    if (status != CDN_OK) {
        wipe(certificate);
        return status;
    }
    if (!key_file && strstr(key, "CERTIFICATE-----") && !strstr(key, "PRIVATE KEY-----")) {
        wipe(certificate);
        wipe(key);
        return cdn_error_set(err, CDN_USAGE, "%s: no private key in it", certificate_file);
    }
    return cdn_tls_pair_parse(certificate, key, certificate_file, of_key, ret, err);
}

void cdn_tls_pair_free(struct cdn_tls_pair *pair)
{
    wipe(pair->certificate); /* its file may hold the key, too */
    wipe(pair->key);
    for (size_t i = 0; i < pair->name_count; i++) {
        free(pair->names[i]);
    }
    free(pair->names);
    *pair = (struct cdn_tls_pair){0};
}

const char *cdn_tls_pair_trouble(const struct cdn_tls_pair *pair, int64_t now_s)
{
    return now_s > pair->expires_s ? "expired" : now_s < pair->starts_s ? "not valid yet" : NULL;
}
