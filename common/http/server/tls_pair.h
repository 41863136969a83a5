/* tls_pair: a certificate and its private key from two PEM files, or one with both, checked before anybody
 * serves with them.
 *
 * The certificate file may hold the chain, leaf first. Keys with a passphrase are refused: a daemon has
 * nobody to ask. Life cycle: read -> use -> free; reading again (a reload) makes another pair and touches
 * nothing.
 */
#ifndef CDN_COMMON_TLS_PAIR_H
#define CDN_COMMON_TLS_PAIR_H
#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

#define CDN_TLS_FILE_MAX (1u << 20) /* bytes of either file */

struct cdn_tls_pair {
    char *certificate; /* PEM text */
    char *key;
    int64_t starts_s; /* of the leaf: seconds since 1970 */
    int64_t expires_s;
    /* DNS names that it is for, in small letters, "*.example.com" among them: the alternative names or, when
     * it has none, the common name. */
    char **names;
    size_t name_count;
    int algorithm; /* of the key: a gnutls_pk_algorithm_t */
};

/* `key_file` NULL: the key is in the certificate's file; CDN_USAGE: it is not. CDN_IO: a file cannot be
 * read; CDN_INVALID: no PEM of its kind in it, or key and certificate are no pair. The sentence names the
 * file. An expired certificate is read: whether that matters is the caller's to say. */
enum cdn_status cdn_tls_pair_read(const char *certificate_file, const char *key_file,
                                  struct cdn_tls_pair *ret, struct cdn_error *err) CDN_MUST_CHECK;
/* The same of texts, which it takes over also when it fails; the file names are for sentences. */
enum cdn_status cdn_tls_pair_parse(char *take_certificate, char *take_key, const char *certificate_file,
                                   const char *key_file, struct cdn_tls_pair *ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
void cdn_tls_pair_free(struct cdn_tls_pair *pair); /* wipes the key; harmless on a zeroed one */
/* "expired", "not valid yet", or NULL when the time is within the certificate's. */
const char *cdn_tls_pair_trouble(const struct cdn_tls_pair *pair, int64_t now_s);

#endif
