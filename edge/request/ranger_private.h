/* ranger_private: reading as ranger.c does it for libmicrohttpd, which its tests do without. */
#ifndef CDN_EDGE_RANGER_PRIVATE_H
#define CDN_EDGE_RANGER_PRIVATE_H
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/request/txn.h"

#include <stdint.h>
#include <sys/types.h>

/* The transaction's (txn->ranger), as edge_ranger_stream() says. */
struct edge_ranger *edge_ranger_begin(struct edge_txn *txn, struct edge_rep *rep, uint64_t from, uint64_t n,
                                      const struct edge_hold *part);
/* The next bytes, up to `max`; or HTTP_STREAM_WAIT, _END or _FAIL. */
ssize_t edge_ranger_read(struct edge_ranger *ranger, char *into, size_t max);

#endif
