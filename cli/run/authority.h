/* authority: a certificate authority of one CDN's own, and certificates by it (`up --tls`).
 *
 * The pure part: values in, PEM texts out. The authority (ECDSA, P-256) lives for ten years, since a user has
 * told browsers to trust it; what it signs for about a year, as browsers want it. Both are made anew
 * AUTHORITY_SPARE_S before their end. The key of the authority never leaves its state folder
 * (authority_files.h); who has it can pretend to be any site to those who trust it.
 */
#ifndef CDN_CLI_AUTHORITY_H
#define CDN_CLI_AUTHORITY_H
#include "common/http/server/tls_pair.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTHORITY_DAY_S INT64_C(86400)
#define AUTHORITY_LIFE_S (3650 * AUTHORITY_DAY_S)
#define AUTHORITY_SITE_LIFE_S (397 * AUTHORITY_DAY_S)
#define AUTHORITY_SPARE_S (30 * AUTHORITY_DAY_S)

/* `owner`: of whom it says that it is, such as "me@laptop". */
enum cdn_status authority_make(const char *owner, int64_t now_s, struct cdn_tls_pair *ret,
                               struct cdn_error *err) CDN_MUST_CHECK;
/* `names`: DNS names and IP addresses, as texts. */
enum cdn_status authority_sign(const struct cdn_tls_pair *authority, const char *const *names, size_t count,
                               int64_t now_s, struct cdn_tls_pair *ret, struct cdn_error *err) CDN_MUST_CHECK;

/* It is one, and has long enough to live. */
bool authority_is_fit(const struct cdn_tls_pair *authority, int64_t now_s);
/* It is by the authority, for all the names, and has long enough to live. */
bool authority_covers(const struct cdn_tls_pair *authority, const struct cdn_tls_pair *site,
                      const char *const *names, size_t count, int64_t now_s);

#define AUTHORITY_HASH_SIZE 45
/* Of the public key, as browsers pin it: base64 of the SHA-256 of its SubjectPublicKeyInfo. */
enum cdn_status authority_key_hash(const char *certificate, char ret[static AUTHORITY_HASH_SIZE],
                                   struct cdn_error *err) CDN_MUST_CHECK;

#endif
