#include "edge/semantics/promise.h"

#include "common/mem.h"
#include "edge/semantics/key.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define DIGITS 12

struct edge_promise {
    gnutls_hash_hd_t md5;
    bool ok; /* false: cannot be computed, and so nothing is verified */
    char digits[DIGITS];
};

struct edge_promise *edge_promise_begin(struct cdn_str key)
{
    struct cdn_str digits;
    if (!edge_key_hashed(key, &digits)) {
        return NULL;
    }
    struct edge_promise *p = cdn_calloc(1, sizeof *p);
    memcpy(p->digits, digits.p, sizeof p->digits);
    p->ok = gnutls_hash_init(&p->md5, GNUTLS_DIG_MD5) == 0;
    return p;
}

void edge_promise_add(struct edge_promise *p, const void *data, size_t n)
{
    if (p && p->ok) {
        p->ok = gnutls_hash(p->md5, data, n) == 0;
    }
}

bool edge_promise_kept(struct edge_promise *p, char hex[static 33])
{
    unsigned char md5[16];
    hex[0] = 0;
    if (!p || !p->ok) {
        return !p;
    }
    gnutls_hash_output(p->md5, md5);
    for (unsigned i = 0; i < sizeof md5; i++) {
        snprintf(hex + 2 * i, 3, "%02x", md5[i]);
    }
    return memcmp(hex, p->digits, sizeof p->digits) == 0;
}

void edge_promise_free(struct edge_promise *p)
{
    if (p && p->md5) {
        gnutls_hash_deinit(p->md5, NULL);
    }
    free(p);
}
