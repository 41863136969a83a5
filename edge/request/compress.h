/* compress: compressed forms of stored answers, made once and kept beside the body in RAM.
 *
 * What is stored is what the origin sent. When a hit would like it compressed (coding.h) and it lies in RAM,
 * a helper thread of low priority makes the compressed form; until that is ready, requests get the plain one.
 * Forms count against the RAM budget and go with the body (eviction, purge, a newer answer); a confirmed
 * answer (304) keeps them, as its bytes are the same. What does not get smaller is remembered as such. At
 * most a few hundred bodies wait for the thread; more are put off to a later hit.
 *
 * Locks: the queue has one; a form is published under the cache's lock and read without (struct edge_coded).
 */
#ifndef CDN_EDGE_COMPRESS_H
#define CDN_EDGE_COMPRESS_H
#include "common/status.h"
#include "edge/base/worker.h"
#include "edge/request/txn.h"
#include "edge/semantics/head.h"

#include <stdbool.h>

struct edge_compress;

/* By the edge's settings; *ret is NULL when they switch it off. Starts the thread. */
enum cdn_status edge_compress_create(struct edge *edge, struct edge_compress **ret,
                                     struct cdn_error *err) CDN_MUST_CHECK;
void edge_compress_destroy(struct edge_compress *z); /* before the cache; NULL is fine */

struct edge_chosen {        /* what is answered with */
    struct edge_rep *rep;   /* counted */
    struct edge_blob *blob; /* borrowed from the transaction's hold */
    bool settled;           /* the same request would get the same form again */
};
/* For a transaction whose hold has its body in RAM. */
void edge_compress_choose(struct edge_txn *txn, struct edge_chosen *ret);
/* Whether answers with this stored head depend on Accept-Encoding
 * here, though they do not say so themselves. */
bool edge_compress_adds_vary(const struct edge_compress *compress, const struct edge_head *head);

#endif
