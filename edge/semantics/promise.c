/* promise: MD5 because the names have it, not for safety: it finds a deployment that mixes
 * versions, no attacker. What cannot be computed is `unverified`, never `broken`. */
#include "edge/semantics/promise.h"

#include "common/http/syntax/http_field_accept.h"
#include "common/mem.h"
#include "edge/semantics/decode.h"
#include "edge/semantics/key.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define DIGITS 12
#define CODED_MAX ((size_t)1 << 20) /* bytes that are decoded in one go */

struct edge_promise {
    gnutls_hash_hd_t md5;
    bool ok;    /* false: cannot be computed, and so nothing is verified */
    bool coded; /* what arrives is not what the name is about */
    struct cdn_buf coding;
    char digits[DIGITS];
};

struct edge_promise *edge_promise_begin(struct cdn_str key, const struct edge_head *head)
{
    struct cdn_str digits;
    if (!edge_key_hashed(key, &digits)) {
        return NULL;
    }
    struct edge_promise *p = cdn_calloc(1, sizeof(*p));
    memcpy(p->digits, digits.p, sizeof(p->digits));
    p->ok = gnutls_hash_init(&p->md5, GNUTLS_DIG_MD5) == 0;
    edge_head_join(head, EDGE_HEAD_CONTENT_ENCODING, &p->coding);
    p->coded = http_coding_find(cdn_buf_str(&p->coding)) != HTTP_CODING_IDENTITY;
    return p;
}

static void add(struct edge_promise *p, const void *data, size_t n)
{
    p->ok = p->ok && gnutls_hash(p->md5, data, n) == 0;
}

void edge_promise_add(struct edge_promise *p, const void *data, size_t n)
{
    if (p && !p->coded) {
        add(p, data, n);
    }
}

static void add_plain(void *arg, struct cdn_str piece)
{
    add(arg, piece.p, piece.n);
}

enum edge_promise_state edge_promise_check(struct edge_promise *p, struct cdn_str body, char hex[static 33])
{
    unsigned char md5[16];
    hex[0] = 0;
    if (!p) {
        return EDGE_PROMISE_KEPT;
    }
    if (p->coded &&
        (!body.p || body.n > CODED_MAX || !edge_decode(cdn_buf_str(&p->coding), body, add_plain, p))) {
        return EDGE_PROMISE_UNVERIFIED;
    }
    if (!p->ok) {
        return EDGE_PROMISE_UNVERIFIED;
    }
    gnutls_hash_output(p->md5, md5);
    for (unsigned i = 0; i < sizeof(md5); i++) {
        snprintf(hex + 2 * i, 3, "%02x", md5[i]);
    }
    if (memcmp(hex, p->digits, sizeof(p->digits)) != 0) {
        return EDGE_PROMISE_BROKEN;
    }
    hex[0] = 0;
    return EDGE_PROMISE_KEPT;
}

void edge_promise_free(struct edge_promise *p)
{
    if (p) {
        if (p->md5) {
            gnutls_hash_deinit(p->md5, NULL);
        }
        cdn_buf_free(&p->coding);
        free(p);
    }
}
