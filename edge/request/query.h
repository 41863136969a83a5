/* query: QUERY (RFC 10008), a safe method whose request has a body that says what is asked.
 *
 * Its answers are stored and shared as those of GET, by a key of their own: the URL's, and behind a '#',
 * which no URL has, a digest of the body and of what says how to read it (Content-Type, Content-Encoding,
 * Content-Language; RFC 10008 2.7). So a purge of the URL or of a prefix of it reaches them. The body is
 * kept until the answer is there, since the origin may have to be asked again. A longer one than
 * `query_body` passes, as does one without a body.
 *
 * Life: collects (at the head) -> body* -> begin, which makes the key; or becomes an ordinary upload. */
#ifndef CDN_EDGE_QUERY_H
#define CDN_EDGE_QUERY_H
#include "edge/fetch/fetch.h"
#include "edge/request/txn.h"

#include <stdbool.h>
#include <stddef.h>

/* At its head: whether this request's body is collected. */
bool edge_query_collects(const struct edge_txn *txn);
/* False: it has become too long, nothing was taken; it goes on as an upload. */
bool edge_query_take(struct edge_txn *txn, const char *data, size_t n);
/* The body is complete, and txn->target is built: the key becomes that of the query. */
void edge_query_begin(struct edge_txn *txn);
/* The request to the origin gets method and body. */
void edge_query_ask(const struct edge_txn *txn, struct edge_fetch_request *request);

#endif
