/* http_mhd: what we know of libmicrohttpd's insides, in one place.
 *
 * Two things cannot be had by its documented calls: every byte of a request before it is parsed, decrypted
 * (http_gate.c says why that is needed), and memory of a connection that grows when a head is large: its pool
 * has one size, is zeroed in full after every request, and a head that does not fit costs the connection.
 * Both are reached through the fields of `struct MHD_Connection` of release 0.9.75, copied in http_mhd.c.
 *
 * http_mhd_is_known() tries that on a connection of its own, once a process: release, fields, a receive
 * function put in between, and a pool exchanged for a larger one. Where anything is not as expected nothing
 * of this is used: then heads are limited to the pool and framing is what libmicrohttpd takes it for, but all
 * else works.
 *
 * One thread per connection, as everywhere in the server.
 */
#ifndef CDN_COMMON_HTTP_MHD_H
#define CDN_COMMON_HTTP_MHD_H
#include <microhttpd.h>
#include <stdbool.h>
#include <sys/types.h>

#define HTTP_MHD_AGAIN ((ssize_t)-3073) /* MHD_ERR_AGAIN_: nothing has come */

typedef ssize_t (*http_mhd_receive)(struct MHD_Connection *connection, void *into, size_t max);

bool http_mhd_is_known(void);

/* Puts `receive` in the place of the connection's own, which is returned. */
http_mhd_receive http_mhd_wrap(struct MHD_Connection *connection, http_mhd_receive receive);
void *http_mhd_context(const struct MHD_Connection *connection); /* MHD_CONNECTION_INFO_SOCKET_CONTEXT */

/* The pool that a larger one stands in for; zeroed: none does. */
struct http_mhd_spare {
    unsigned char *memory;
    size_t size;
};
/* While receiving the start of a request, nothing of which was handed over: puts bytes[0..n) into the read
 * buffer of a pool with `room` bytes beyond them. Then n is to be returned as received. */
bool http_mhd_receive_large(struct MHD_Connection *connection, struct http_mhd_spare *spare,
                            const char *bytes, size_t n, size_t room);
/* Before an answer is queued: room for a head of n bytes. */
bool http_mhd_make_room(struct MHD_Connection *connection, struct http_mhd_spare *spare, size_t n);
/* After a request: the small pool again, unless bytes of the next request are in the large one. */
void http_mhd_shrink(struct MHD_Connection *connection, struct http_mhd_spare *spare);

#endif
