/* signed: splitting, then one check in the order of cost: form, key, time of a canned policy, signature, and
 * only then what a custom policy says, which nobody may be told who did not sign it. */
#include "edge/signed/signed.h"

#include "common/mem.h"
#include "common/str.h"
#include "edge/signed/keys.h"
#include "edge/signed/policy.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define SIGNATURE_MAX 1024u /* bytes; RSA of 8192 bits */
#define COOKIE_PREFIX CDN_STR("CloudFront-")

/* ---- what signs a request ---- */

/* Whether `name` is one of them; the first value of each counts. */
static bool take(struct edge_signed_parts *parts, struct cdn_str name, struct cdn_str value)
{
#define X(field, text)                                        \
    if (cdn_str_eq(name, CDN_STR(text))) {                    \
        parts->field = parts->field.p ? parts->field : value; \
        return true;                                          \
    }
    EDGE_SIGNED_PARTS(X)
#undef X
    return false;
}

/* `prefix` in front of the names; `between` parts, and what is written between those that are left. */
static bool split(struct cdn_str text, struct cdn_str prefix, char between, struct cdn_str joined,
                  struct edge_signed_parts *ret, struct cdn_buf *rest)
{
    bool any = false;
    *ret = (struct edge_signed_parts){0};
    while (text.p) {
        struct cdn_str part = cdn_str_cut(&text, between), value = part;
        if (between == ';') {
            part = value = cdn_str_trim(part);
        }
        struct cdn_str name = cdn_str_cut(&value, '=');
        const struct cdn_str given = value.p ? value : CDN_STR("");
        if (cdn_str_starts(name, prefix) && take(ret, cdn_str_sub(name, prefix.n), given)) {
            continue;
        }
        if (any) {
            cdn_buf_add_str(rest, joined);
        }
        cdn_buf_add_str(rest, part);
        any = true;
    }
    return any;
}

bool edge_signed_of_query(struct cdn_str query, struct edge_signed_parts *ret, struct cdn_buf *ret_rest)
{
    return split(query, CDN_STR(""), '&', CDN_STR("&"), ret, ret_rest);
}

bool edge_signed_of_cookie(struct cdn_str cookie, struct edge_signed_parts *ret, struct cdn_buf *ret_rest)
{
    return split(cookie, COOKIE_PREFIX, ';', CDN_STR("; "), ret, ret_rest);
}

bool edge_signed_is_there(const struct edge_signed_parts *parts)
{
    return parts->expires.p || parts->policy.p || parts->signature.p || parts->key_id.p;
}

/* ---- what was verified before ---- */

#define DIGEST_BYTES 32u
#define WAYS 4u

struct entry {
    unsigned char digest[DIGEST_BYTES]; /* all zero: free */
};

struct edge_signed_memo {
    size_t sets; /* a power of two, of WAYS entries each */
    unsigned next;
    uint64_t verified;
    struct entry *entries; /* made with the first one */
};

struct edge_signed_memo *edge_signed_memo_create(size_t entries)
{
    struct edge_signed_memo *memo = cdn_calloc(1, sizeof(*memo));
    memo->sets = 1;
    while (memo->sets * WAYS < entries) {
        memo->sets *= 2;
    }
    return memo;
}

void edge_signed_memo_destroy(struct edge_signed_memo *memo)
{
    if (memo) {
        free(memo->entries);
        free(memo);
    }
}

uint64_t edge_signed_memo_verified(const struct edge_signed_memo *memo)
{
    return memo->verified;
}

/* Of key, algorithm, text and signature, by a hash that nobody can aim. */
static bool make_digest(const struct edge_signer *signer, bool sha256, struct cdn_str text,
                        struct cdn_str signature, unsigned char ret[static DIGEST_BYTES])
{
    gnutls_hash_hd_t hash;
    const uint64_t front[] = {edge_signer_number(signer), sha256, text.n, signature.n};
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0) {
        return false;
    }
    gnutls_hash(hash, front, sizeof(front));
    gnutls_hash(hash, text.p, text.n);
    gnutls_hash(hash, signature.p, signature.n);
    gnutls_hash_deinit(hash, ret);
    return true;
}

static struct entry *set_of(const struct edge_signed_memo *memo, const unsigned char *digest)
{
    uint64_t head;
    memcpy(&head, digest, sizeof(head));
    return memo->entries + (head & (memo->sets - 1)) * WAYS;
}

static bool verified_before(const struct edge_signed_memo *memo, const unsigned char *digest)
{
    if (!memo->entries) {
        return false;
    }
    const struct entry *set = set_of(memo, digest);
    for (unsigned i = 0; i < WAYS; i++) {
        if (memcmp(set[i].digest, digest, DIGEST_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Good ones alone are kept, so that nobody without a key can push them out. */
static void remember(struct edge_signed_memo *memo, const unsigned char *digest)
{
    if (!memo->entries) {
        memo->entries = cdn_calloc(memo->sets * WAYS, sizeof(*memo->entries));
    }
    memcpy(set_of(memo, digest)[memo->next++ % WAYS].digest, digest, DIGEST_BYTES);
}

static bool verify(struct edge_signed_memo *memo, const struct edge_signer *signer, bool sha256,
                   struct cdn_str text, struct cdn_str signature)
{
    unsigned char digest[DIGEST_BYTES];
    const bool has_digest = memo && make_digest(signer, sha256, text, signature, digest);
    if (has_digest && verified_before(memo, digest)) {
        return true;
    }
    if (memo) {
        memo->verified++;
    }
    const bool good = edge_signer_verify(signer, sha256, text, signature);
    if (good && has_digest) {
        remember(memo, digest);
    }
    return good;
}

/* ---- the check ---- */

struct check {
    const struct edge_signed_request *request;
    struct edge_signed_memo *memo;
    const struct edge_signer *signer;
    bool sha256;
    struct cdn_str signature;
};

static enum edge_signed_verdict check_canned(const struct check *c)
{
    const struct edge_signed_request *r = c->request;
    enum edge_signed_verdict verdict = EDGE_SIGNED_SIGNATURE;
    for (size_t i = 0; i < r->url_count && verdict == EDGE_SIGNED_SIGNATURE; i++) {
        CDN_AUTOBUF struct cdn_buf text = {0};
        int64_t before_s;
        verdict = edge_signed_canned(r->url[i], r->parts.expires, &text, &before_s);
        if (verdict == EDGE_SIGNED_GOOD) {
            verdict = r->now_s >= before_s ? EDGE_SIGNED_EXPIRED
                      : verify(c->memo, c->signer, c->sha256, cdn_buf_str(&text), c->signature)
                          ? EDGE_SIGNED_GOOD
                          : EDGE_SIGNED_SIGNATURE;
        }
    }
    return verdict;
}

static enum edge_signed_verdict check_custom(const struct check *c)
{
    const struct edge_signed_request *r = c->request;
    struct edge_signed_policy policy;
    CDN_AUTOBUF struct cdn_buf text = {0};
    if (!edge_signed_base64(r->parts.policy, EDGE_SIGNED_POLICY_MAX, &text)) {
        return EDGE_SIGNED_MALFORMED;
    }
    if (!verify(c->memo, c->signer, c->sha256, cdn_buf_str(&text), c->signature)) {
        return EDGE_SIGNED_SIGNATURE;
    }
    enum edge_signed_verdict verdict = edge_signed_policy_read(cdn_buf_str(&text), &policy);
    if (verdict != EDGE_SIGNED_GOOD) {
        return verdict;
    }
    verdict = EDGE_SIGNED_RESOURCE;
    for (size_t i = 0; i < r->canonical_count && verdict == EDGE_SIGNED_RESOURCE; i++) {
        const struct edge_signed_moment moment = {r->url[i], r->now_s, r->client};
        verdict = edge_signed_policy_allows(&policy, &moment);
    }
    edge_signed_policy_free(&policy);
    return verdict;
}

enum edge_signed_verdict edge_signed_check(const struct edge_keys *keys, struct edge_signed_memo *memo,
                                           const struct edge_signed_request *request)
{
    const struct edge_signed_parts *parts = &request->parts;
    CDN_AUTOBUF struct cdn_buf signature = {0};
    struct check c = {.request = request, .memo = memo, .sha256 = cdn_str_eq(parts->hash, CDN_STR("SHA256"))};
    if (!edge_signed_is_there(parts)) {
        return EDGE_SIGNED_MISSING;
    }
    if (!(parts->policy.p || parts->expires.p) || !parts->signature.p || !parts->key_id.p ||
        !(c.sha256 || !parts->hash.p || cdn_str_eq(parts->hash, CDN_STR("SHA1"))) ||
        !edge_signed_base64(parts->signature, SIGNATURE_MAX, &signature) || signature.n == 0) {
        return EDGE_SIGNED_MALFORMED;
    }
    c.signature = cdn_buf_str(&signature);
    c.signer = edge_keys_find(keys, parts->key_id);
    if (!c.signer) {
        return EDGE_SIGNED_KEY;
    }
    return parts->policy.p ? check_custom(&c) : check_canned(&c);
}
