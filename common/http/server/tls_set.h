/* tls_set: the certificates of a listener, of which each connection gets the one for the name that it asks
 * for (SNI, RFC 6066 section 3).
 *
 * A certificate for exactly that name comes first, then one whose wildcard stands for the name's first label
 * ("*.example.com" is for a.example.com, not for a.b.example.com or example.com), then the first of all,
 * which also serves those who ask for none. Of several for one name the first counts, but those with the
 * same names and keys of different kinds (RSA beside ECDSA) stand together: a client gets what it can check.
 *
 * A set never changes. It is counted (atomically), since connections outlive its replacement. Life cycle:
 * read -> ref, unref by any thread.
 */
#ifndef CDN_COMMON_TLS_SET_H
#define CDN_COMMON_TLS_SET_H
#include "common/http/server/tls_pair.h"
#include "common/status.h"
#include "common/str.h"

#include <gnutls/gnutls.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define CDN_TLS_PAIRS_MAX 4096u

struct cdn_tls_set;

/* NULL-ended lists. `certificates`: PEM files, or folders of them (tls_folder.h); `keys`: the files of their
 * keys in the same order, folders left out; or none at all, when each certificate's file holds its key. A
 * NULL set when both are empty. The sentences name setting and file. */
enum cdn_status cdn_tls_set_read(const char *const *certificates, const char *const *keys,
                                 struct cdn_tls_set **ret, struct cdn_error *err) CDN_MUST_CHECK;
/* Takes the pairs over, also when it fails; `count` > 0. */
enum cdn_status cdn_tls_set_of(struct cdn_tls_pair *take_pairs, size_t count, struct cdn_tls_set **ret,
                               struct cdn_error *err) CDN_MUST_CHECK;
struct cdn_tls_set *cdn_tls_set_ref(struct cdn_tls_set *set); /* NULL is fine, here and below */
void cdn_tls_set_unref(struct cdn_tls_set *set);

size_t cdn_tls_set_count(const struct cdn_tls_set *set);
const struct cdn_tls_pair *cdn_tls_set_at(const struct cdn_tls_set *set, size_t i);
/* Which pair is for this name, in any letters. */
size_t cdn_tls_set_choose(const struct cdn_tls_set *set, struct cdn_str name);
int64_t cdn_tls_set_expires_s(const struct cdn_tls_set *set); /* of the one that ends first; 0 of NULL */
/* [{"names", "starts_s", "expires_s", "expires_in_s"}]; a new reference. */
json_t *cdn_tls_set_json(const struct cdn_tls_set *set, int64_t now_s);

/* For a session before its handshake; the caller keeps the set for as long as the session lives. */
void cdn_tls_set_serve(const struct cdn_tls_set *set, gnutls_session_t session);

#endif
