/* exchange: requests by one client whose connections are kept, each with the moments when its parts
 * came.
 *
 * By libcurl's easy interface and not by common/http/client: that one serves the edge, and tells neither
 * when a proxy had connected, nor when TLS began, nor when each piece of the body came, which is all
 * that is wanted here. Blocking; a client is used by one thread. The environment's proxies do not count:
 * what is measured is what was asked for.
 */
#ifndef CDN_CLI_GET_EXCHANGE_H
#define CDN_CLI_GET_EXCHANGE_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange_client;

struct exchange_piece { /* of a body, as it was read: at most until `n` bytes in all had come */
    int64_t us;
    size_t n;
};

struct exchange_times { /* microseconds of real time since the beginning; 0: did not happen */
    int64_t connect_us; /* the connection stands, behind the proxy if there is one */
    int64_t tls_us;     /* TLS stands */
    int64_t sent_us;    /* the request begins to leave */
    int64_t first_us;   /* first byte of the answer */
    int64_t total_us;   /* last byte */
    bool reused;        /* the connection was kept from before */
};

struct exchange {
    unsigned status, version; /* 200; 11 */
    struct cdn_buf head;      /* "Name: value\n" lines of the final answer */
    struct cdn_buf body;
    struct exchange_times times;
    struct exchange_piece *pieces;
    size_t piece_count;
    int64_t began_ms; /* since 1970 */
};

struct exchange_request { /* borrowed */
    const char *method, *url;
    const struct http_field *fields;
    size_t field_count;
    struct cdn_str body;
    bool fresh; /* on a connection of its own */
};

/* `proxy`: "socks5h://HOST:PORT", or NULL. `ca_file` NULL: the system's. */
struct exchange_client_config {
    const char *proxy, *ca_file;
    bool insecure; /* do not verify certificates */
};
enum cdn_status exchange_client_create(const struct exchange_client_config *config,
                                       struct exchange_client **ret, struct cdn_error *err) CDN_MUST_CHECK;
void exchange_client_destroy(struct exchange_client *client); /* NULL is fine */

/* One request; redirects are not followed. */
enum cdn_status exchange_run(struct exchange_client *client, const struct exchange_request *request,
                             struct exchange *ret, struct cdn_error *err) CDN_MUST_CHECK;
void exchange_free(struct exchange *exchange); /* may be zeroed */
/* The first field of that name, owned by the caller; "" when there is none. */
char *exchange_field(const struct exchange *exchange, const char *name);

#endif
