/* authority: by GnuTLS, which the listeners use as well. A certificate is filled in field by field, the first
 * problem ends it; what comes out is read by the listeners' own reader, so that nothing is handed out that
 * they would refuse. */
#include "cli/run/authority.h"

#include "common/http/server/tls_pair.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "common/banned.h"

#define SERIAL_SIZE 16
#define ID_SIZE 32
#define NAME_MAX_BYTES 64u /* of a common name (RFC 5280, ub-common-name) */
#define BEFORE_S 3600      /* clocks of others may be late */

struct work { /* one certificate in the making; `problem` < 0 is GnuTLS's, and ends it */
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    int problem;
};

static void note(struct work *w, int problem)
{
    w->problem = w->problem < 0 ? w->problem : problem;
}

static void begin(struct work *w, const char *name, int64_t now_s, int64_t life_s)
{
    unsigned char serial[SERIAL_SIZE], id[ID_SIZE];
    size_t id_n = sizeof(id);
    note(w, gnutls_x509_privkey_generate(w->key, GNUTLS_PK_ECDSA,
                                         GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    note(w, gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)));
    serial[0] = (serial[0] & 0x3f) | 0x40; /* positive, and as long as it looks */
    note(w, gnutls_x509_crt_set_version(w->crt, 3));
    note(w, gnutls_x509_crt_set_serial(w->crt, serial, sizeof(serial)));
    note(w, gnutls_x509_crt_set_dn_by_oid(w->crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, "pocketcdn", 9));
    note(w, gnutls_x509_crt_set_dn_by_oid(w->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                          (unsigned)strnlen(name, NAME_MAX_BYTES)));
    note(w, gnutls_x509_crt_set_activation_time(w->crt, (time_t)(now_s - BEFORE_S)));
    note(w, gnutls_x509_crt_set_expiration_time(w->crt, (time_t)(now_s + life_s)));
    note(w, gnutls_x509_crt_set_key(w->crt, w->key));
    note(w, gnutls_x509_crt_get_key_id(w->crt, GNUTLS_KEYID_USE_SHA1, id, &id_n));
    note(w, gnutls_x509_crt_set_subject_key_id(w->crt, id, id_n));
}

static enum cdn_status open_work(struct work *w, struct cdn_error *err)
{
    *w = (struct work){0};
    note(w, gnutls_x509_crt_init(&w->crt));
    note(w, gnutls_x509_privkey_init(&w->key));
    return w->problem < 0 ? cdn_error_set(err, CDN_INTERNAL, "no memory for a certificate") : CDN_OK;
}

/* The pair in PEM, read back; frees what was worked on. */
static enum cdn_status finish(struct work *w, struct cdn_tls_pair *ret, struct cdn_error *err)
{
    gnutls_datum_t certificate = {0}, key = {0};
    enum cdn_status status;
    if (w->problem >= 0) {
        note(w, gnutls_x509_crt_export2(w->crt, GNUTLS_X509_FMT_PEM, &certificate));
        note(w,
             gnutls_x509_privkey_export2_pkcs8(w->key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &key));
    }
    if (w->problem < 0) {
        status =
            cdn_error_set(err, CDN_INTERNAL, "cannot make a certificate: %s", gnutls_strerror(w->problem));
    } else {
        status = cdn_tls_pair_parse(cdn_strndup((const char *)certificate.data, certificate.size),
                                    cdn_strndup((const char *)key.data, key.size), "the certificate made",
                                    "its key", ret, err);
    }
    if (key.data) {
        gnutls_memset(key.data, 0, key.size);
    }
    gnutls_free(certificate.data);
    gnutls_free(key.data);
    gnutls_x509_crt_deinit(w->crt);
    gnutls_x509_privkey_deinit(w->key);
    return status;
}

enum cdn_status authority_make(const char *owner, int64_t now_s, struct cdn_tls_pair *ret,
                               struct cdn_error *err)
{
    struct work w;
    CDN_AUTOFREE char *name = cdn_asprintf("pocketcdn of %s", owner);
    enum cdn_status status = open_work(&w, err);
    if (status != CDN_OK) {
        return status;
    }
    begin(&w, name, now_s, AUTHORITY_LIFE_S);
    note(&w, gnutls_x509_crt_set_basic_constraints(w.crt, 1, 0)); /* no authority below it */
    note(&w, gnutls_x509_crt_set_key_usage(w.crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN));
    if (w.problem >= 0) {
        note(&w, gnutls_x509_crt_sign2(w.crt, w.crt, w.key, GNUTLS_DIG_SHA256, 0));
    }
    return finish(&w, ret, err);
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

static void add_name(struct work *w, const char *name)
{
    struct cdn_addr address;
    if (cdn_parse_ip(cdn_str(name), &address)) {
        size_t n;
        const unsigned char *bytes = cdn_addr_bytes(&address, &n);
        note(w, gnutls_x509_crt_set_subject_alt_name(w->crt, GNUTLS_SAN_IPADDRESS, bytes, (unsigned)n,
                                                     GNUTLS_FSAN_APPEND));
    } else {
        note(w, gnutls_x509_crt_set_subject_alt_name(w->crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name),
                                                     GNUTLS_FSAN_APPEND));
    }
}

static void sign(struct work *w, const struct cdn_tls_pair *authority)
{
    struct work by;
    unsigned char id[ID_SIZE];
    size_t id_n = sizeof(id);
    const gnutls_datum_t certificate = datum(authority->certificate), key = datum(authority->key);
    if (open_work(&by, NULL) != CDN_OK) {
        note(w, GNUTLS_E_MEMORY_ERROR);
        return;
    }
    note(w, gnutls_x509_crt_import(by.crt, &certificate, GNUTLS_X509_FMT_PEM));
    note(w, gnutls_x509_privkey_import2(by.key, &key, GNUTLS_X509_FMT_PEM, NULL, 0));
    note(w, gnutls_x509_crt_get_subject_key_id(by.crt, id, &id_n, NULL));
    note(w, gnutls_x509_crt_set_authority_key_id(w->crt, id, id_n));
    if (w->problem >= 0) {
        note(w, gnutls_x509_crt_sign2(w->crt, by.crt, by.key, GNUTLS_DIG_SHA256, 0));
    }
    gnutls_x509_crt_deinit(by.crt);
    gnutls_x509_privkey_deinit(by.key);
}

enum cdn_status authority_sign(const struct cdn_tls_pair *authority, const char *const *names, size_t count,
                               int64_t now_s, struct cdn_tls_pair *ret, struct cdn_error *err)
{
    struct work w;
    enum cdn_status status = open_work(&w, err);
    if (status != CDN_OK) {
        return status;
    }
    begin(&w, count ? names[0] : "localhost", now_s, AUTHORITY_SITE_LIFE_S);
    note(&w, gnutls_x509_crt_set_basic_constraints(w.crt, 0, -1));
    note(&w, gnutls_x509_crt_set_key_usage(w.crt, GNUTLS_KEY_DIGITAL_SIGNATURE));
    note(&w, gnutls_x509_crt_set_key_purpose_oid(w.crt, GNUTLS_KP_TLS_WWW_SERVER, 0));
    for (size_t i = 0; i < count; i++) {
        add_name(&w, names[i]);
    }
    if (w.problem >= 0) {
        sign(&w, authority);
    }
    return finish(&w, ret, err);
}

/* ---- what there is ---- */

static bool import(const char *pem, gnutls_x509_crt_t *ret)
{
    const gnutls_datum_t text = datum(pem);
    if (gnutls_x509_crt_init(ret) < 0) {
        return false;
    }
    if (gnutls_x509_crt_import(*ret, &text, GNUTLS_X509_FMT_PEM) >= 0) {
        return true;
    }
    gnutls_x509_crt_deinit(*ret);
    return false;
}

static bool lives(const struct cdn_tls_pair *pair, int64_t now_s)
{
    return now_s >= pair->starts_s && now_s + AUTHORITY_SPARE_S < pair->expires_s;
}

bool authority_is_fit(const struct cdn_tls_pair *authority, int64_t now_s)
{
    gnutls_x509_crt_t crt;
    if (!lives(authority, now_s) || !import(authority->certificate, &crt)) {
        return false;
    }
    const bool fit = gnutls_x509_crt_get_ca_status(crt, NULL) > 0;
    gnutls_x509_crt_deinit(crt);
    return fit;
}

static bool has_name(const struct cdn_tls_pair *site, gnutls_x509_crt_t crt, const char *name)
{
    struct cdn_addr address;
    bool has = false;
    if (cdn_parse_ip(cdn_str(name), &address)) {
        size_t n;
        const unsigned char *bytes = cdn_addr_bytes(&address, &n);
        return gnutls_x509_crt_check_ip(crt, bytes, (unsigned)n, 0) != 0;
    }
    for (size_t i = 0; i < site->name_count && !has; i++) { /* a wildcard as it is written */
        has = cdn_str_eq_nocase(cdn_str(site->names[i]), cdn_str(name));
    }
    return has;
}

bool authority_covers(const struct cdn_tls_pair *authority, const struct cdn_tls_pair *site,
                      const char *const *names, size_t count, int64_t now_s)
{
    gnutls_x509_crt_t by, crt;
    unsigned verdict = 0;
    if (!lives(site, now_s) || !import(authority->certificate, &by)) {
        return false;
    }
    if (!import(site->certificate, &crt)) {
        gnutls_x509_crt_deinit(by);
        return false;
    }
    /* its times were looked at, by a clock that is an argument */
    bool covers =
        gnutls_x509_crt_verify(crt, &by, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &verdict) >= 0 && verdict == 0;
    for (size_t i = 0; i < count && covers; i++) {
        covers = has_name(site, crt, names[i]);
    }
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_crt_deinit(by);
    return covers;
}

enum cdn_status authority_key_hash(const char *certificate, char ret[static AUTHORITY_HASH_SIZE],
                                   struct cdn_error *err)
{
    gnutls_x509_crt_t crt;
    unsigned char id[ID_SIZE];
    size_t n = sizeof(id);
    gnutls_datum_t text = {0};
    if (!import(certificate, &crt)) {
        return cdn_error_set(err, CDN_INVALID, "no certificate in PEM form");
    }
    int problem = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &n);
    gnutls_x509_crt_deinit(crt);
    const gnutls_datum_t hash = {id, (unsigned)n};
    problem = problem < 0 ? problem : gnutls_base64_encode2(&hash, &text);
    if (problem < 0 || text.size >= AUTHORITY_HASH_SIZE) {
        gnutls_free(text.data);
        return cdn_error_set(err, CDN_INTERNAL, "cannot hash a key: %s", gnutls_strerror(problem));
    }
    memcpy(ret, text.data, text.size);
    ret[text.size] = '\0';
    gnutls_free(text.data);
    return CDN_OK;
}
