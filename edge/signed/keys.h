/* keys: the public keys that may sign, by their ids, as CloudFront has them: RSA of 2048 bits or more, or
 * ECDSA on P-256. Built once from a file, then read by all threads; GnuTLS changes nothing in a key that it
 * verifies with.
 *
 *     K2JCJMDEHXQW5F: keys/shop.pem            # a file, from the folder of this one
 *     KOLDONE: |
 *       -----BEGIN PUBLIC KEY-----
 */
#ifndef CDN_EDGE_KEYS_H
#define CDN_EDGE_KEYS_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_KEYS_MAX 1000u
#define EDGE_KEY_ID_MAX 64u

struct edge_keys;
struct edge_signer; /* one of them */

struct edge_keys *edge_keys_create(void);
void edge_keys_destroy(struct edge_keys *keys); /* NULL is fine */
/* CDN_INVALID: the id is taken or malformed, or `pem` is no public key of a kind that may sign. */
enum cdn_status edge_keys_add(struct edge_keys *keys, struct cdn_str id, struct cdn_str pem,
                              struct cdn_error *err) CDN_MUST_CHECK;
size_t edge_keys_count(const struct edge_keys *keys);
const struct edge_signer *edge_keys_find(const struct edge_keys *keys, struct cdn_str id); /* or NULL */
uint64_t edge_signer_number(const struct edge_signer *signer); /* no other one ever had it */

/* Whether `signature` is that of `text` by the key. Some 30 us for RSA, 100 us for ECDSA. */
bool edge_signer_verify(const struct edge_signer *signer, bool sha256, struct cdn_str text,
                        struct cdn_str signature);

#endif
