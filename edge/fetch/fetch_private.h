/* fetch_private: what the files of a fetch share; nobody else includes it. All on the owner's thread. */
#ifndef CDN_EDGE_FETCH_PRIVATE_H
#define CDN_EDGE_FETCH_PRIVATE_H
#include "common/http/client/http_client.h"
#include "common/str.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"

#include <stdbool.h>
#include <stdint.h>

extern const struct http_fetch_handler edge_fetch_handler; /* fetch_answer.c */

void edge_fetch_tell_later(struct edge_fetch *fetch); /* all waiters, at the end of the turn */
void edge_fetch_send(struct edge_fetch *fetch);       /* its request, for the first time or again */
/* `arrived`: the origin may have seen the request. */
bool edge_fetch_may_fail_over(const struct edge_fetch *fetch, bool arrived);
void edge_fetch_fail_over(struct edge_fetch *fetch); /* the same request to the next origin */
void edge_fetch_unlist(struct edge_fetch *fetch);    /* nobody joins any more */
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

/* fetch_note.c: what follows for others */
void edge_fetch_note_answer(struct edge_fetch *fetch, unsigned status); /* the origin's head came */
void edge_fetch_note_failure(struct edge_fetch *fetch, enum http_fetch_error error);
void edge_fetch_note_origin(struct edge_fetch *fetch, enum http_fetch_error error); /* of the one asked */
void edge_fetch_note_time(struct edge_fetch *fetch);
/* From an answer that is not stored. */
void edge_fetch_note_unstorable(struct edge_fetch *fetch, unsigned status, int64_t now_ms);
/* A request for a range has an answer: whether the origin knows ranges. That this one may not be stored is
 * noted elsewhere (edge_fetch_note_unstorable): the next one may. */
void edge_fetch_note_range(struct edge_fetch *fetch, unsigned status, int64_t now_ms);
void edge_fetch_note_homeless(struct edge_fetch *fetch); /* it was to be stored, but found no place */
/* fetch_store.c */
/* Which part of the whole a 206 brings; false when it cannot be told, or it is not what was asked for. */
bool edge_fetch_place_part(const struct edge_fetch *fetch, struct edge_rep *rep);
void edge_fetch_store(struct edge_fetch *fetch); /* its complete body, if it may be */

#endif
