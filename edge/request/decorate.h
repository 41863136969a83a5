/* decorate: fields that the site's rule sets and adds, CORS with them. */
#ifndef CDN_EDGE_DECORATE_H
#define CDN_EDGE_DECORATE_H
#include "common/http/server/http_head.h"
#include "edge/request/txn.h"
#include "edge/semantics/head.h"

/* To those of the answer, whose stored head is `head`. */
void edge_decorate(struct edge_txn *txn, const struct edge_head *head, struct http_head *into);

#endif
