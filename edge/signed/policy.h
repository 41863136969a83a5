/* policy: what a CloudFront policy says, and whether a request is within it. Pure.
 *
 * A policy is a JSON text that somebody has signed: {"Statement": [{"Resource": URL, "Condition":
 * {"DateLessThan": {"AWS:EpochTime": N}, "DateGreaterThan": ..., "IpAddress": {"AWS:SourceIp": NETWORK}}}]}.
 * In the resource '*' stands for any number of letters and '?' for one. Who signs with the canned policy
 * sends its time alone, and the text is made here from the request's URL. A restriction that is not known
 * here is never passed over: such a policy is malformed.
 */
#ifndef CDN_EDGE_POLICY_SIGNED_H
#define CDN_EDGE_POLICY_SIGNED_H
#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_SIGNED_POLICY_MAX 6000u /* bytes; a target has room for no more in base64 */

/* name, word for logs and answers, what the client is told */
#define EDGE_SIGNED_VERDICTS(X)                                                                  \
    X(GOOD, "good", "")                                                                          \
    X(MISSING, "missing", "this needs a signed URL or signed cookies")                           \
    X(MALFORMED, "malformed", "the policy, signature or time is malformed")                      \
    X(KEY, "wrong-key", "the key is not one of those that may sign here")                        \
    X(SIGNATURE, "bad-signature", "the signature is not that of this URL or policy by that key") \
    X(EXPIRED, "expired", "the signature has expired")                                           \
    X(NOT_YET, "not-yet", "the signature is not valid yet")                                      \
    X(RESOURCE, "resource", "the policy is about something else")                                \
    X(ADDRESS, "address", "the policy is for other addresses")

enum edge_signed_verdict {
#define X(name, word, text) EDGE_SIGNED_##name,
    EDGE_SIGNED_VERDICTS(X)
#undef X
        EDGE_SIGNED_VERDICT_COUNT
};
const char *edge_signed_word(enum edge_signed_verdict v);
const char *edge_signed_text(enum edge_signed_verdict v);

struct edge_signed_policy {
    struct cdn_buf resource; /* owned; empty: anything */
    int64_t before_s;        /* DateLessThan */
    int64_t after_s;         /* DateGreaterThan; INT64_MIN: none */
    bool has_network;
    struct cdn_cidr network; /* IpAddress */
};

/* GOOD or MALFORMED. *ret is to be freed after GOOD. */
enum edge_signed_verdict edge_signed_policy_read(struct cdn_str json, struct edge_signed_policy *ret);
void edge_signed_policy_free(struct edge_signed_policy *policy);

/* The text that was signed with the canned policy. MALFORMED: `expires` is no number, or the URL has letters
 * that would end a JSON string. */
enum edge_signed_verdict edge_signed_canned(struct cdn_str url, struct cdn_str expires, struct cdn_buf *ret,
                                            int64_t *ret_before_s);

struct edge_signed_moment { /* who asks for what, and when */
    struct cdn_str url;     /* scheme://host/path?query without what signs it, as keys have it */
    int64_t now_s;
    const struct cdn_addr *client;
};
enum edge_signed_verdict edge_signed_policy_allows(const struct edge_signed_policy *policy,
                                                   const struct edge_signed_moment *moment);

/* '*' any number of letters, '?' one. */
bool edge_signed_wildcard(struct cdn_str pattern, struct cdn_str text);

/* CloudFront's base64: '-', '_' and '~' for '+', '=' and '/'; percent-encoded letters count as themselves.
 * False: it is none, or it is longer than `most` bytes. Appends. */
bool edge_signed_base64(struct cdn_str text, size_t most, struct cdn_buf *ret);

#endif
