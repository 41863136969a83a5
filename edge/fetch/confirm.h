/* confirm: what an answer without a body says about stored responses (RFC 9111 3.2, 4.3.4, 4.3.5).
 *
 * Both run on the fetch's own thread, with its candidates.
 */
#ifndef CDN_EDGE_CONFIRM_H
#define CDN_EDGE_CONFIRM_H
#include "common/http/client/http_client.h"
#include "edge/fetch/fetch.h"

#include <stdbool.h>
#include <stdint.h>

/* A 304 made one of the candidates good again: it is brought up to date in the cache and becomes the
 * fetch's result. When the 304 says something that forbids storing, its answer is good for the leader
 * alone, and the cache stays as it is (leader_only). false when the one it is about is gone or cannot be
 * told: the origin must be asked again. */
bool edge_confirm_not_modified(struct edge_fetch *fetch, const struct http_fetch_head *head, int64_t now_ms);
/* A HEAD's 200 updates the stored answer to GET that it is about (the first candidate), or makes it stale
 * when it is not the same any more. */
void edge_confirm_by_head(struct edge_fetch *fetch, const struct http_fetch_head *head, int64_t now_ms);

#endif
