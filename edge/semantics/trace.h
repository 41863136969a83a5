/* trace: what follows a request through several servers: W3C Trace Context, and X-Request-ID. Pure.
 *
 * Neither has to do with what is answered, so neither is in a key; what a stranger sends is checked before it
 * goes to the origin or into a log.
 */
#ifndef CDN_EDGE_TRACE_H
#define CDN_EDGE_TRACE_H
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

#define EDGE_TRACE_PARENT_MAX 128u /* a later version's may be longer than the 55 bytes of this one */
#define EDGE_REQUEST_ID_MAX 128u

/* A value of traceparent (Trace Context 3.2): "00-32 hex digits-16 hex digits-2 hex digits", in lower case,
 * neither identity all zeros; a later version may have more behind it. */
bool edge_trace_is_parent(struct cdn_str value);
/* Whether a value of X-Request-ID may be passed on: letters, digits, and signs that nothing reads in another
 * way. */
bool edge_trace_is_request_id(struct cdn_str value);
#define EDGE_REQUEST_ID_SIZE 33 /* of one of ours */
void edge_trace_write_request_id(uint64_t high, uint64_t low, char into[static EDGE_REQUEST_ID_SIZE]);

/* The lines of a request that are about this, found in one walk. */
struct edge_trace {
    struct cdn_str parent, state, request_id; /* the first line of each; p NULL: there is none */
    unsigned parents, states, request_ids;    /* lines */
};
void edge_trace_note(struct edge_trace *trace, struct cdn_str name, struct cdn_str value);
/* Takes out what is not valid. tracestate means nothing without its traceparent (3.3). */
void edge_trace_check(struct edge_trace *trace);

#endif
