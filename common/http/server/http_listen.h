/* http_listen: listening sockets that several servers of one process may share and no other program can.
 *
 * SO_REUSEPORT alone would let a second pocketcdn of the same user steal half of the first one's connections
 * in silence. So the first socket is bound without it (any other listener makes that fail), gets it before it
 * listens, and an abstract unix socket named after the address is held as long: two processes that start at
 * the same instant cannot both pass.
 */
#ifndef CDN_COMMON_HTTP_LISTEN_H
#define CDN_COMMON_HTTP_LISTEN_H
#include "common/parse.h"
#include "common/status.h"

#include <stdbool.h>

struct http_listener {
    int fd;
    int claim_fd; /* -1: none held */
};

/* `share`: others of this process will join; `join`: this is such another one. CDN_CONFLICT: the address is
 * in use. */
enum cdn_status http_listen(const struct cdn_addr *address, bool share, bool join, struct http_listener *ret,
                            struct cdn_error *err) CDN_MUST_CHECK;

/* A socket that has the address and does not listen, -1: none can be had; and its listening. */
int http_listen_reserve(const struct cdn_addr *address, bool share);
enum cdn_status http_listen_reserved(int fd, struct cdn_error *err) CDN_MUST_CHECK;

/* Holds an address for this process, by an abstract unix socket named after it (such names live in the
 * network namespace, as ports do). `kind`: "tcp", "udp". The descriptor, to be closed by the caller; -1 with
 * errno: EADDRINUSE when another process holds it. */
int http_listen_claim(const char *kind, const struct cdn_addr *address);

#endif
