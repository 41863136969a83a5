/* ruled: what the site's rule says of a request before the cache is looked at. */
#ifndef CDN_EDGE_RULED_H
#define CDN_EDGE_RULED_H
#include "edge/request/step.h"
#include "edge/request/txn.h"

#include <stdbool.h>

/* LOOKUP: nothing stands against the usual way; PASS: it goes to the origin; DONE: it was answered. */
enum edge_step edge_ruled_begin(struct edge_txn *txn);
/* Whether edge_ruled_begin() is going to answer by itself, whatever the request's body. */
bool edge_ruled_refuses(struct edge_txn *txn);

#endif
