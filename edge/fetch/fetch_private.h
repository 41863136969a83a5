/* fetch_private: what fetch.c and fetch_answer.c share; nobody else includes it. All on the owner's thread.
 */
#ifndef CDN_EDGE_FETCH_PRIVATE_H
#define CDN_EDGE_FETCH_PRIVATE_H
#include "common/http/client/http_client.h"
#include "common/str.h"
#include "edge/fetch/fetch.h"

#include <stdbool.h>

extern const struct http_fetch_handler edge_fetch_handler; /* fetch_answer.c */

void edge_fetch_tell_later(struct edge_fetch *fetch); /* all waiters, at the end of the turn */
void edge_fetch_send(struct edge_fetch *fetch);       /* its request, for the first time or again */
void edge_fetch_unlist(struct edge_fetch *fetch);     /* nobody joins any more */
void edge_fetch_publish(struct edge_fetch *fetch, enum edge_fetch_phase phase);
void edge_fetch_fail(struct edge_fetch *fetch, enum http_fetch_error error);
void edge_fetch_uncharge(struct edge_fetch *fetch);  /* its request to the origin is over */
void edge_fetch_end_early(struct edge_fetch *fetch); /* nobody wants it any more */
/* A field of the request as it was sent (struct edge_vary_source; arg: struct edge_vary_fields of it). */
bool edge_fetch_sent_get(void *arg, struct cdn_str name, struct cdn_buf *into);
/* Ends a fetch whose answer is being stored if nobody waits for it and it is not worth going on; true:
 * `fetch` may be gone. A refresh is wanted by nobody in particular; a whole that came in place of a range is
 * stored once. */
bool edge_fetch_abandon(struct edge_fetch *fetch);
void edge_fetch_room_again(void *arg); /* any thread: the body takes bytes again */

#endif
