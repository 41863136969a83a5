/* deliver: answers to the client: conditions and ranges against what is stored, fields that are
 * added, and the edge's own answers. */
#ifndef CDN_EDGE_DELIVER_H
#define CDN_EDGE_DELIVER_H
#include "edge/cache/object.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/range.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

/* Conditions and range against a complete response of `length` bytes. False: answered already (304, 412, 416,
 * HEAD). */
bool edge_deliver_choose(struct edge_txn *txn, const struct edge_rep *rep, uint64_t length,
                         struct edge_range_plan *ret_plan);
/* Adds stored fields and marks, and answers. */
void edge_deliver_respond(struct edge_txn *txn, struct MHD_Response *response, unsigned status,
                          const struct edge_rep *rep, const struct edge_range_plan *plan,
                          uint64_t body_bytes);
enum edge_step edge_deliver_error(struct edge_txn *txn, unsigned status, const char *detail);
/* The same with a further field, "NAME: VALUE" (NULL: none). */
enum edge_step edge_deliver_error_with(struct edge_txn *txn, unsigned status, const char *detail,
                                       const char *field);
/* For only-if-cached when nothing usable is stored (RFC 9111 5.2.1.7). */
enum edge_step edge_deliver_uncached(struct edge_txn *txn);
enum edge_step edge_deliver_options(struct edge_txn *txn); /* OPTIONS that goes no further than here */

#endif
