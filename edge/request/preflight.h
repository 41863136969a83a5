/* preflight: a browser's question whether a page of another origin may send a request (Fetch, 4.8 "CORS-
 * preflight fetch"), answered from the site's rule, so that an origin that knows nothing of CORS need not. */
#ifndef CDN_EDGE_PREFLIGHT_H
#define CDN_EDGE_PREFLIGHT_H
#include "edge/request/step.h"
#include "edge/request/txn.h"

/* LOOKUP: it is no preflight, or the rule says nothing of CORS; DONE: it was answered. */
enum edge_step edge_preflight(struct edge_txn *txn);

#endif
