/* purge_method: the PURGE method on the public listener, as Varnish and Fastly have it.
 *
 * PURGE /path purges the URL; with a tag field (Surrogate-Key, Cache-Tag, xkey) it purges what carries the
 * tags instead. Allowed are who has the token and programs in `purge_allow`; a web page in a browser that
 * happens to be there is not. It is answered when what it hit cannot come back, neither from rows that were
 * not loaded nor after a crash.
 */
#ifndef CDN_EDGE_PURGE_METHOD_H
#define CDN_EDGE_PURGE_METHOD_H

#include "edge/request/txn.h"

void edge_purge_method(struct edge_txn *txn); /* answers it, now or later */

#endif
