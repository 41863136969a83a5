/* signed: CloudFront's signed URLs and cookies: who may have what is behind a rule with `signed`.
 *
 * In a URL the parameters Expires (canned policy) or Policy (custom), Signature, Key-Pair-Id and perhaps
 * Hash-Algorithm; in cookies the same names behind "CloudFront-". A URL that is signed counts alone, whatever
 * the cookies say. None of that is in the key nor goes to the origin, so what was verified for one client is
 * one stored answer for all.
 *
 * Verified pairs of text and signature are remembered (`edge_signed_memo`: one for each thread, bounded), so
 * that a page of a hundred files costs one verification with cookies. Time, resource and address are looked
 * at each time.
 */
#ifndef CDN_EDGE_SIGNED_H
#define CDN_EDGE_SIGNED_H
#include "common/str.h"
#include "edge/signed/keys.h"
#include "edge/signed/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* field, its name as a parameter; the cookie's is "CloudFront-" and that */
#define EDGE_SIGNED_PARTS(X)  \
    X(expires, "Expires")     \
    X(policy, "Policy")       \
    X(signature, "Signature") \
    X(key_id, "Key-Pair-Id")  \
    X(hash, "Hash-Algorithm")

struct edge_signed_parts { /* `p` NULL: not there; the first of each counts */
#define X(field, name) struct cdn_str field;
    EDGE_SIGNED_PARTS(X)
#undef X
};
bool edge_signed_is_there(const struct edge_signed_parts *parts); /* a signature, or what belongs to one */

/* Reads them out of a raw query and appends the others to `ret_rest`; false: nothing is left, which is no
 * query. */
bool edge_signed_of_query(struct cdn_str query, struct edge_signed_parts *ret, struct cdn_buf *ret_rest);
/* The same with the value of a field Cookie. */
bool edge_signed_of_cookie(struct cdn_str cookie, struct edge_signed_parts *ret, struct cdn_buf *ret_rest);

struct edge_signed_memo;
struct edge_signed_memo *edge_signed_memo_create(size_t entries);
void edge_signed_memo_destroy(struct edge_signed_memo *memo);            /* NULL is fine */
uint64_t edge_signed_memo_verified(const struct edge_signed_memo *memo); /* how often a key was used */

#define EDGE_SIGNED_URLS 3
struct edge_signed_request {
    struct edge_signed_parts parts;
    /* The URL in the forms in which it may have been signed with a canned policy. The first ones are in the
     * form of keys, which says what the client gets: these alone are compared with a custom policy's
     * resource. */
    struct cdn_str url[EDGE_SIGNED_URLS];
    size_t url_count, canonical_count;
    int64_t now_s;
    const struct cdn_addr *client;
};
/* `memo` may be NULL. */
enum edge_signed_verdict edge_signed_check(const struct edge_keys *keys, struct edge_signed_memo *memo,
                                           const struct edge_signed_request *request);

#endif
