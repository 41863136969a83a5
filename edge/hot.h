/* hot: a thread's table of ready answers, the path of a plain hit.
 *
 * A plain GET (no range, no request directives, no credentials) whose bytes of host, target and Accept-Encoding were
 * answered from the cache before finds its libmicrohttpd response here: one hash, one probe, no lock, no allocation,
 * nothing written that another thread reads. The table holds references; whether an object is still the one to serve is
 * read from two words of the shared object (dead, and the time until which it is fresh) that are written only when that
 * changes. What cannot be decided here goes the long way (request.c).
 *
 * Age and Cache-Status count seconds, so they are renewed in the response at most once a second.
 * Owned by one worker thread; bounded in entries; a clock hand drops what was not asked for lately.
 */
#ifndef CDN_EDGE_HOT_H
#define CDN_EDGE_HOT_H

#include "common/http_server.h"
#include "edge/object.h"

struct edge_hot;

struct edge_hot *edge_hot_create(unsigned limit, struct cdn_str edge_name);
void edge_hot_destroy(struct edge_hot *hot);

/* Answers the request when it can; false when the long way has to be taken. `now_ms`: cache clock. */
bool edge_hot_answer(struct edge_hot *hot, struct http_request *req, int64_t now_ms, uint64_t *ret_body_bytes,
                     unsigned *ret_status);
/* Whether a request is of the plain kind, and so worth edge_hot_add(). */
bool edge_hot_is_plain(const struct http_request *req);
/* Remembers the object for requests like this one. Takes its own references. */
void edge_hot_add(struct edge_hot *hot, const struct http_request *req, struct edge_resident *resident, int64_t fresh_until_ms);
/* Drops entries of dead objects, `steps` slots at a time: called now and then, so that their memory goes. */
void edge_hot_sweep(struct edge_hot *hot, unsigned steps);
unsigned edge_hot_count(const struct edge_hot *hot);

#endif
