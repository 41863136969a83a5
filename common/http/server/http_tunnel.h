/* http_tunnel: the client's side of an upgraded connection (http_response_upgrade), for whoever has the
 * server's side: WebSocket through an edge, and through the router.
 *
 * Two pumps, one a direction, each with one bounded buffer: a side is read only when the other took what was
 * read before, so the slower one sets the pace. The owner gives what the server sends by read(), and takes
 * what the client sends by http_tunnel_take(), each when it is told that there is more.
 *
 * Ends: the client's end of sending is the end of http_tunnel_take(); the server's end, after what it sent is
 * delivered, ends the tunnel, and so does an error of either, and `idle_ms` without a byte.
 *
 * Life, on the loop's thread: begin -> (moved | take)* -> owner.over() -> http_upgrade_end(). The tunnel is
 * gone when over() is called.
 */
#ifndef CDN_COMMON_HTTP_TUNNEL_H
#define CDN_COMMON_HTTP_TUNNEL_H
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct http_tunnel;

struct http_tunnel_owner {
    /* What the server sent: > 0, or HTTP_STREAM_WAIT until http_tunnel_moved(), _END, _FAIL. */
    ssize_t (*read)(void *arg, char *into, size_t max);
    void (*sends)(void *arg); /* http_tunnel_take() has more, or its end */
    void (*moved)(void *arg, size_t up,
                  size_t down); /* bytes of the client, and to it, the 101 not counted */
    void (*over)(void *arg);
    void *arg;
    int64_t idle_ms;
    bool whole; /* the server cannot be told the end of one half: that of the client ends all */
};

/* In an http_upgrade_begin: `fd`, `head` and `early` are its own. */
struct http_tunnel *http_tunnel_begin(struct loop *loop, struct http_request *req, int fd,
                                      struct cdn_str head, struct cdn_str early,
                                      const struct http_tunnel_owner *owner);
void http_tunnel_moved(struct http_tunnel *tunnel);
/* As a fetch's read_body(): > 0, 0 at the end, HTTP_STREAM_WAIT. */
ssize_t http_tunnel_take(struct http_tunnel *tunnel, char *into, size_t max);
void http_tunnel_end(struct http_tunnel *tunnel, bool cut); /* `cut`: by a reset */

#endif
