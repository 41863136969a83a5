/* http_client: libcurl's multi interface on our loop, with limits.
 *
 * One client per thread. A fetch belongs to the client's loop; its callbacks run there. Easy handles are
 * reused, so a fetch costs no set-up; connections are kept alive; TLS is verified unless told otherwise.
 *
 * Order of callbacks: interim()* -> head() -> data()* -> end(). end() is called exactly once, also after a
 * failure, never after http_fetch_cancel(); the fetch is gone when it returns.
 */
#ifndef CDN_COMMON_HTTP_CLIENT_H
#define CDN_COMMON_HTTP_CLIENT_H
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct http_client;
struct http_fetch;

struct http_client_config {
    unsigned max_connections;      /* in all; 0: 256 */
    unsigned max_per_host;         /* 0: 128 */
    int64_t connect_timeout_ms;    /* 0: 5000 */
    int64_t first_byte_timeout_ms; /* request sent -> head; 0: 30000 */
    int64_t idle_timeout_ms;       /* between two pieces of the body; 0: 30000 */
    size_t max_head_bytes;         /* of an answer; 0: 64 KiB */
    unsigned max_idle;             /* connections kept without a request; 0: 32 */
    int64_t keep_idle_ms;          /* for at most this long; 0: 60000 */
    int64_t lifetime_ms;           /* of a connection; the next one resolves the name again; 0: 300000 */
    const char *ca_file;           /* NULL: the system's */
    bool insecure;                 /* do not verify certificates (tests) */
    /* Every request is a GET that asks for WebSocket (RFC 9110 7.8): HTTP/1.1, each on a connection of its
     * own, small buffers. When the answer is 101, data() is what the server sends from then on, and what
     * read_body() gives goes to it; 0 closes that half of the connection. Any other answer is as usual. */
    bool upgrades;
    const char *user_agent; /* NULL: none sent */
    /* Through which everything goes (common/proxy_url.h), checked; NULL or empty: none. Either way what the
     * environment says (http_proxy, ALL_PROXY, NO_PROXY) does not count. */
    const char *proxy;
};

enum http_fetch_error { /* words for logs and Cache-Status */
#define HTTP_FETCH_ERRORS(X)                                                                     \
    X(NONE, "none")                                                                              \
    X(RESOLVE, "dns_error")                                                                      \
    X(CONNECT, "connection_refused")                                                             \
    X(TIMEOUT, "connection_timeout")                                                             \
    X(READ_TIMEOUT, "http_response_timeout")                                                     \
    X(TLS, "tls_error")                                                                          \
    X(CLOSED, "http_response_incomplete")                                                        \
    X(PROTOCOL, "http_protocol_error")                                                           \
    X(TOO_LARGE, "http_response_header_section_size")                                            \
    X(UNROUTABLE, "destination_ip_unroutable") /* as this and the next the proxy says it */      \
    X(UNAVAILABLE, "destination_unavailable")                                                    \
    X(PROXY, "proxy_unreachable")                                                                \
    X(PROXY_REFUSED, "proxy_refused")                                                            \
    X(PROXY_BROKEN, "proxy_protocol_error")                                                      \
    X(DESCRIPTORS, "proxy_internal_error") /* no descriptor for another connection: our fault */ \
    X(ABORTED, "aborted")
#define X(name, word) HTTP_FETCH_##name,
                        HTTP_FETCH_ERRORS(X)
#undef X
};
/* The proxy error types of RFC 9209 where one fits. */
const char *http_fetch_error_word(enum http_fetch_error e);

struct http_fetch_head {
    unsigned status;
    struct cdn_str reason;
    unsigned version;                /* 10, 11, 20 */
    const struct http_field *fields; /* in the order received; valid during the callback */
    size_t field_count;
    int64_t content_length; /* -1: unknown */
};

struct http_fetch_handler {
    void (*interim)(void *arg, const struct http_fetch_head *head); /* 1xx; NULL: ignored */
    void (*head)(void *arg, const struct http_fetch_head *head);
    /* Returns false to pause: the same bytes are offered again after http_fetch_resume(). */
    bool (*data)(void *arg, const char *data, size_t n);
    /* error NONE: complete, as its framing said. `text` says more for the log. */
    void (*end)(void *arg, enum http_fetch_error error, const char *text);
};

struct http_fetch_times { /* microseconds of real time, of a finished or running fetch */
    int64_t connect_us, first_byte_us, total_us;
    bool reused; /* the connection was warm */
};

struct http_fetch_request {
    const char *method; /* "GET" ... */
    const char *url;    /* absolute; copied */
    const struct http_field
        *fields; /* sent as given, Host too; Content-Length, Transfer-Encoding, Expect are left out */
    size_t field_count;
    bool has_body;
    int64_t body_length; /* -1: chunked */
    /* Expect: 100-continue is sent, and read_body() is called when the server has said 100 or nothing for a
     * second (RFC 9110 10.1.1). After a final answer before that the body is not sent at all. */
    bool expect_continue;
    /* Gives up to `max` bytes: > 0, 0 at the end, HTTP_STREAM_WAIT to pause until http_fetch_resume(),
     * HTTP_STREAM_FAIL. */
    ssize_t (*read_body)(void *arg, char *into, size_t max);
    const struct http_fetch_handler *handler;
    void *arg;
    int64_t first_byte_timeout_ms; /* 0: the client's */
    int64_t total_timeout_ms;      /* 0: none */
    int64_t retry_ms; /* a refused connection is tried again for this long, and a safe request that got no
                         whole head of an answer once; 0: neither */
    const char *local_address; /* source address to bind, or NULL */
    const char *unix_socket;   /* path of the socket that is connected to, whatever the URL's host; or NULL */
};

enum cdn_status http_client_create(struct loop *loop, const struct http_client_config *config,
                                   struct http_client **ret, struct cdn_error *err) CDN_MUST_CHECK;
void http_client_destroy(struct http_client *client); /* cancels what is running, without callbacks */
unsigned http_client_running(const struct http_client *client);

/* Never calls back before it returns. Failures to start come as end(). The result is valid until end() or
 * cancel. */
struct http_fetch *http_fetch_start(struct http_client *client, const struct http_fetch_request *request);
void http_fetch_resume(struct http_fetch *fetch); /* after data() returned false or read_body() said WAIT */
void http_fetch_cancel(struct http_fetch *fetch); /* safe inside callbacks; no end() follows */
void http_fetch_times_get(struct http_fetch *fetch, struct http_fetch_times *ret); /* inside end() too */

/* For command-line use: one blocking request with a limit on the body. `ret_body` is appended to;
 * `ret_head_fields` may be NULL. */
struct http_simple_result {
    unsigned status;
    struct cdn_buf head; /* "Name: value\n" lines */
    struct cdn_buf body;
    struct http_fetch_times times;
};
enum cdn_status http_simple(const char *method, const char *url, const struct http_field *fields,
                            size_t field_count, struct cdn_str body, int64_t timeout_ms, size_t max_body,
                            struct http_simple_result *ret, struct cdn_error *err) CDN_MUST_CHECK;
/* From now on these authorities count, in place of the system's, for all of this process's: a command has
 * one list. Not thread-safe. */
void http_simple_trust(const char *ca_file);
void http_simple_free(struct http_simple_result *result);
bool http_simple_field(const struct http_simple_result *result, const char *name,
                       struct cdn_str *ret_value); /* first line */

#endif
