/* keys: GnuTLS reads and verifies. SHA-1 is allowed by name here, because it is what CloudFront's signers
 * have used from the beginning, whatever the system's policy says of certificates. Each key gets a number
 * that no other has, so that what was verified with an old set of keys is not taken for a new one's. */
#include "edge/signed/keys.h"

#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define RSA_BITS_MIN 2048u

struct edge_signer {
    char *id;
    gnutls_pubkey_t key;
    bool elliptic;
    uint64_t number;
};

struct edge_keys {
    struct edge_signer *items;
    size_t n;
};

static _Atomic uint64_t last_number;

struct edge_keys *edge_keys_create(void)
{
    return cdn_calloc(1, sizeof(struct edge_keys));
}

void edge_keys_destroy(struct edge_keys *keys)
{
    for (size_t i = 0; keys && i < keys->n; i++) {
        gnutls_pubkey_deinit(keys->items[i].key);
        free(keys->items[i].id);
    }
    if (keys) {
        free(keys->items);
        free(keys);
    }
}

size_t edge_keys_count(const struct edge_keys *keys)
{
    return keys->n;
}

const struct edge_signer *edge_keys_find(const struct edge_keys *keys, struct cdn_str id)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (cdn_str_eq(cdn_str(keys->items[i].id), id)) {
            return &keys->items[i];
        }
    }
    return NULL;
}

uint64_t edge_signer_number(const struct edge_signer *signer)
{
    return signer->number;
}

/* ---- reading ---- */

static gnutls_datum_t datum(struct cdn_str s)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)s.p, (unsigned)s.n};
}

static bool is_p256(gnutls_pubkey_t key)
{
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    gnutls_datum_t x = {0}, y = {0};
    if (gnutls_pubkey_export_ecc_raw(key, &curve, &x, &y) < 0) {
        return false;
    }
    gnutls_free(x.data);
    gnutls_free(y.data);
    return curve == GNUTLS_ECC_CURVE_SECP256R1;
}

static enum cdn_status check_kind(gnutls_pubkey_t key, bool *ret_elliptic, struct cdn_error *err)
{
    unsigned bits = 0;
    const int kind = gnutls_pubkey_get_pk_algorithm(key, &bits);
    if (kind == GNUTLS_PK_RSA && bits < RSA_BITS_MIN) {
        return cdn_error_set(err, CDN_INVALID, "an RSA key of %u bits; %u are the least", bits, RSA_BITS_MIN);
    }
    if (kind != GNUTLS_PK_RSA && !(kind == GNUTLS_PK_ECDSA && is_p256(key))) {
        return cdn_error_set(err, CDN_INVALID, "a key of another kind than RSA and ECDSA on P-256");
    }
    *ret_elliptic = kind == GNUTLS_PK_ECDSA;
    return CDN_OK;
}

static enum cdn_status read_key(struct cdn_str pem, gnutls_pubkey_t *ret, bool *ret_elliptic,
                                struct cdn_error *err)
{
    gnutls_pubkey_t key;
    const gnutls_datum_t text = datum(pem);
    if (gnutls_pubkey_init(&key) < 0) {
        cdn_out_of_memory();
    }
    int problem = gnutls_pubkey_import(key, &text, GNUTLS_X509_FMT_PEM);
    enum cdn_status status =
        problem < 0 ? cdn_error_set(err, CDN_INVALID, "no public key in PEM form (BEGIN PUBLIC KEY): %s",
                                    gnutls_strerror(problem))
                    : check_kind(key, ret_elliptic, err);
    if (status != CDN_OK) {
        gnutls_pubkey_deinit(key);
        return status;
    }
    *ret = key;
    return CDN_OK;
}

/* Ids are printed, compared and stand in URLs. */
static bool is_id(struct cdn_str id)
{
    for (size_t i = 0; i < id.n; i++) {
        const char c = id.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_')) {
            return false;
        }
    }
    return id.n > 0 && id.n <= EDGE_KEY_ID_MAX;
}

enum cdn_status edge_keys_add(struct edge_keys *keys, struct cdn_str id, struct cdn_str pem,
                              struct cdn_error *err)
{
    gnutls_pubkey_t key;
    bool elliptic = false;
    if (!is_id(id)) {
        return cdn_error_set(err, CDN_INVALID, "an id has up to %u letters, digits, '-' and '_'",
                             EDGE_KEY_ID_MAX);
    }
    if (edge_keys_find(keys, id) || keys->n == EDGE_KEYS_MAX) {
        return cdn_error_set(err, CDN_INVALID, keys->n == EDGE_KEYS_MAX ? "too many keys" : "is there twice");
    }
    enum cdn_status status = read_key(pem, &key, &elliptic, err);
    if (status != CDN_OK) {
        return status;
    }
    keys->items = cdn_realloc(keys->items, keys->n + 1, sizeof(*keys->items));
    keys->items[keys->n++] =
        (struct edge_signer){cdn_str_dup(id), key, elliptic, atomic_fetch_add(&last_number, 1) + 1};
    return CDN_OK;
}

/* ---- verifying ---- */

bool edge_signer_verify(const struct edge_signer *signer, bool sha256, struct cdn_str text,
                        struct cdn_str signature)
{
    const gnutls_sign_algorithm_t algorithm =
        signer->elliptic ? (sha256 ? GNUTLS_SIGN_ECDSA_SHA256 : GNUTLS_SIGN_ECDSA_SHA1)
                         : (sha256 ? GNUTLS_SIGN_RSA_SHA256 : GNUTLS_SIGN_RSA_SHA1);
    const unsigned flags = sha256 ? 0 : GNUTLS_VERIFY_ALLOW_SIGN_WITH_SHA1;
    const gnutls_datum_t data = datum(text), bytes = datum(signature);
    return gnutls_pubkey_verify_data2(signer->key, algorithm, flags, &data, &bytes) >= 0;
}
