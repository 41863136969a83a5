/* http_server: libmicrohttpd on our loop, behind a request view and three callbacks.
 *
 * One server per thread and listening address: several servers with the same address (address reuse) share
 * the load without sharing state. The first one of a process claims the port exclusively first, so that 'port
 * in use' by another program stays an error.
 *
 * Life of a request: head complete -> handler.head() -> body pieces -> handler.body()* -> handler.ready() ->
 * the handler answers with http_respond() exactly once, now or after http_request_suspend()/resume() ->
 * handler.done(). Request structs come from a free list of the server; a plain hit allocates nothing.
 * Requests that RFC 9112 forbids are answered 400 here before any handler sees them, and the connection is
 * closed: http_frame.c judges lines, framing and chunks before libmicrohttpd gets a byte, http_request.c what
 * stands in the lines of the head. Heads of requests and of answers may have 64 KiB.
 *
 * Answers are libmicrohttpd's own `struct MHD_Response` (they are reference-counted and cheap to share
 * between requests of one thread). Units: bytes; times as named.
 */
#ifndef CDN_COMMON_HTTP_SERVER_H
#define CDN_COMMON_HTTP_SERVER_H
#include "common/http/server/http_faults.h"
#include "common/http/server/tls_set.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Request fields that handlers ask for by number: found in the one walk over the request's head. */
#define HTTP_REQUEST_FIELDS(X)                    \
    X(HOST, "Host")                               \
    X(CONNECTION, "Connection")                   \
    X(RANGE, "Range")                             \
    X(IF_RANGE, "If-Range")                       \
    X(IF_MATCH, "If-Match")                       \
    X(IF_NONE_MATCH, "If-None-Match")             \
    X(IF_MODIFIED_SINCE, "If-Modified-Since")     \
    X(IF_UNMODIFIED_SINCE, "If-Unmodified-Since") \
    X(CACHE_CONTROL, "Cache-Control")             \
    X(PRAGMA, "Pragma")                           \
    X(AUTHORIZATION, "Authorization")             \
    X(ACCEPT_ENCODING, "Accept-Encoding")         \
    X(ACCEPT_LANGUAGE, "Accept-Language")         \
    X(COOKIE, "Cookie")                           \
    X(CONTENT_LENGTH, "Content-Length")           \
    X(TRANSFER_ENCODING, "Transfer-Encoding")     \
    X(TE, "TE")                                   \
    X(UPGRADE, "Upgrade")                         \
    X(EXPECT, "Expect")                           \
    X(MAX_FORWARDS, "Max-Forwards")               \
    X(CDN_LOOP, "CDN-Loop")                       \
    X(VIA, "Via")                                 \
    X(FORWARDED, "Forwarded")                     \
    X(X_FORWARDED_FOR, "X-Forwarded-For")         \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto")     \
    X(X_FORWARDED_HOST, "X-Forwarded-Host")

enum http_request_field {
#define X(name, text) HTTP_REQ_##name,
    HTTP_REQUEST_FIELDS(X)
#undef X
        HTTP_REQ_FIELD_COUNT
};

typedef void (*http_upgrade_begin)(void *arg, int fd, struct cdn_str head, struct cdn_str early);

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    enum http_method method;
    bool secure;        /* came over TLS */
    bool client_secure; /* that, or a PROXY header says that the client came to the proxy so */
    bool has_body;      /* Content-Length > 0 or chunked */
    bool http10;
    bool answered; /* http_respond() was called */
    bool suspended;
    int64_t body_length; /* declared; -1 when chunked or none */
    uint64_t body_received;
    struct cdn_str method_name;
    struct cdn_str target; /* as sent: path?query, raw (absolute form included) */
    struct cdn_str path;   /* raw path of the target, without scheme and authority; "*" for OPTIONS * */
    struct cdn_str query;  /* raw, without '?'; p is NULL when there is no '?' */
    struct cdn_str host;   /* authority of an absolute target, else the Host field; may carry a port */
    /* What the client asked for: as it came, until the handler believes a proxy that says something else. */
    struct cdn_str asked_host;
    bool asked_secure;
    struct cdn_str field[HTTP_REQ_FIELD_COUNT]; /* first line of each; p NULL when absent */
    uint16_t field_lines[HTTP_REQ_FIELD_COUNT]; /* how many lines the field had */
    unsigned status;                            /* of the answer; 0: none yet */
    int64_t started_ns;                         /* monotonic, of the turn in which the head was complete */
    void *app;                                  /* the handler's own */
    struct cdn_buf text;                        /* likewise; its memory stays for the next request */
    /* private to http_server.c below this line */
    struct http_request *_next; /* in the free list, or among the suspended ones (oldest first) */
    struct http_request *_previous;
    struct http_stream *_stream; /* of the answer, when there is one */
    void *_peer;                 /* the connection's own struct */
    struct cdn_buf _target;
    http_upgrade_begin _begin_upgrade; /* valid with _special */
    struct http_delay *_delay;         /* a fault's; NULL: none */
    struct http_fault_verdict _fault;  /* valid with _special or in its own states */
    uint8_t _special;
    void *_upgrade_arg;
    struct MHD_Response *_late; /* answer given while the body was arriving; owned */
    unsigned _late_status;
    unsigned _state;
    bool _begun;  /* head() was called */
    bool _unread; /* answered before the body was read: the connection will close */
    bool _again;  /* resumed inside the callback that suspended it */
    int64_t _suspended_ns;
};

enum http_end {
    HTTP_END_OK,
    HTTP_END_ABORTED
}; /* answered in full; the client left or the answer broke off */

struct http_handler {
    /* The head is here. May set req->app, and may refuse a body by answering at once (the connection then
     * closes: answer other requests in ready()). */
    void (*head)(void *self, struct http_request *req);
    /* Bytes of the request's body; returns how many were taken. Fewer than n: the request is suspended until
     * http_request_resume(), then the rest is offered again. NULL: bodies are read and thrown away up to
     * max_body. */
    size_t (*body)(void *self, struct http_request *req, const char *data, size_t n);
    /* The request is complete: answer, or suspend (then ready() is called again after the resume). */
    void (*ready)(void *self, struct http_request *req);
    /* Over, answered or not; the request is invalid afterwards. NULL is fine. Also called for requests whose
     * head() was called and whose client went away. */
    void (*done)(void *self, struct http_request *req, enum http_end end);
    /* A request was answered with an error before any of the above was called for it, or was cut off in its
     * body; for counting. NULL is fine. */
    void (*refused)(void *self, unsigned status);
    /* A request that was suspended in head() is resumed: answer it, suspend it again, or just return to let
     * its body come (a client that expects 100 Continue is told so only then). NULL: its body comes. */
    void (*held)(void *self, struct http_request *req);
};

#define HTTP_CONNECTIONS_USUAL 15000u

/* In the order of the setting's choices (common/config/config.h). */
enum http_proxy_protocol { HTTP_PROXY_PROTOCOL_NO, HTTP_PROXY_PROTOCOL_YES, HTTP_PROXY_PROTOCOL_OPTIONAL };

struct http_server_config {
    struct cdn_addr listen;
    bool share_port;      /* further servers of this process will listen on the same address */
    bool port_is_claimed; /* this is such a further server */
    /* 0: HTTP_CONNECTIONS_USUAL. At the limit the connection that has been without a request for longest
     * (idle, or with an incomplete head) makes room for a new one; when all have requests under way
     * http_server_spare() more get in, for GET /health, and 503 for all else. */
    unsigned max_connections;
    /* Asked with handler_self when a connection was opened: whether it is one too many, as at the limit.
     * NULL: only that counts. */
    bool (*is_full)(void *self);
    unsigned idle_timeout_s;      /* 0: 60 */
    unsigned head_timeout_ms;     /* 0: 10 s, for a whole head or TLS handshake, from its first byte */
    unsigned body_timeout_ms;     /* 0: 30 s for a body, and the time that what came took at body_rate */
    uint64_t body_rate;           /* bytes a second; 0: 1000 */
    unsigned suspend_limit_s;     /* 0: 600; a request or stream suspended for longer is broken off */
    size_t memory_per_connection; /* 0: 16 KiB; for larger heads more is taken while they are there */
    size_t max_heads;             /* 0: 32 MiB; bytes of incomplete heads of all connections, then 503 */
    uint64_t max_body; /* larger request bodies are answered 413; 0: none allowed, UINT64_MAX: no limit */
    struct cdn_tls_set *tls; /* certificates; NULL: plain HTTP. The server takes a reference of its own */
    const struct http_handler *handler;
    void *handler_self;
    bool upgrades; /* http_response_upgrade() will be used */
    /* Whether connections of trusted proxies must (yes) or may (optional) begin with a header of the PROXY
     * protocol (common/proxy_protocol.h), before TLS too: its address is the client's from then on. It has
     * to be there within head_timeout_ms of the connection. From others it is never read. */
    enum http_proxy_protocol proxy_protocol;
    bool (*is_proxy)(void *self, const struct cdn_addr *peer); /* asked with handler_self */
    void (*announced)(void *self, bool accepted); /* a header was accepted or refused; NULL is fine */
};

enum cdn_status http_server_start(struct loop *loop, const struct http_server_config *config,
                                  struct http_server **ret,
                                  struct cdn_error *err) CDN_MUST_CHECK; /* CDN_CONFLICT: address in use */
void http_server_address(const struct http_server *server,
                         struct cdn_addr *ret); /* with the port the kernel chose */
unsigned http_server_open_requests(const struct http_server *server);
unsigned http_server_open_connections(const struct http_server *server);
/* Connections beyond max_connections that one with requests for GET /health may be; and the largest
 * max_connections that needs no more than this many descriptors, those included; at least 1. */
unsigned http_server_spare(unsigned max_connections);
unsigned http_server_limit_within(uint64_t descriptors);
/* Stops accepting, closes idle connections after their answer; requests under way go on. */
void http_server_drain(struct http_server *server);
/* Closes everything. Suspended requests must have been resumed; they get no further callbacks but done(). */
void http_server_stop(struct http_server *server); /* NULL is fine */
/* Faults from the next request on (simulation); NULL: none. On the loop's thread. */
void http_server_disturb(struct http_server *server, struct http_fault_set *set);
uint64_t http_faults_total(void); /* requests of this process that any changed */
/* Other certificates for new connections; old ones keep theirs. Only for a server that speaks TLS. */
void http_server_set_tls(struct http_server *server, struct cdn_tls_set *tls);

/* Of the socket, or of its PROXY header. */
void http_request_client(const struct http_request *req, struct cdn_addr *ret);
/* Every header line in the order sent; stops when fn returns false. */
void http_request_each_field(struct http_request *req,
                             bool (*fn)(void *arg, struct cdn_str name, struct cdn_str value), void *arg);
/* All lines of a field joined by ", " into `into` (RFC 9110 5.3); false when absent. */
bool http_request_joined(struct http_request *req, enum http_request_field field, struct cdn_buf *into);

/* Answers. Takes no ownership: the caller drops its own reference with MHD_destroy_response when it is done
 * with it. Works on a suspended request too (which it resumes). Between the first body() and ready()
 * libmicrohttpd takes no answer: http_respond() breaks the connection off there, while _text and _problem
 * wait for the body's end, unread. */
void http_respond(struct http_request *req, unsigned status, struct MHD_Response *response);
/* For HEAD and 304: stands for a body of `length` bytes (negative: unknown) that is not sent. */
struct MHD_Response *http_response_bodiless(int64_t length);
/* A small text answer with `Content-Type` (copied) and the fields given as "Name: value" strings, NULL-ended;
 * may be NULL. */
void http_respond_text(struct http_request *req, unsigned status, const char *type, struct cdn_str body,
                       const char *const *fields);
/* RFC 9457 problem document, or HTML when the client asks for that (common/http/server/http_problem). */
void http_respond_problem(struct http_request *req, unsigned status, const char *detail);
/* Whether the client asks for HTML when it is told of an error (http_problem.h). */
bool http_request_wants_html(const struct http_request *req);
/* The same with fields of the caller's in place of "Cache-Control: no-store". Returns the body's length. */
size_t http_respond_problem_with(struct http_request *req, unsigned status, const char *detail,
                                 const char *const *fields);
/* Upgrades (RFC 9110 7.8), on plain and TLS listeners. The answer 101 to a request for WebSocket, to which
 * fields are added; http_respond() as usual. At the end of that turn begin() gets the connection: `fd` to be
 * watched, no more; `head`, to be written before all else; `early`, which the client sent already (copy
 * both). The request lives until http_upgrade_end(); done() follows, without begin() when the client has left
 * before. */
struct MHD_Response *http_response_upgrade(struct http_request *req, http_upgrade_begin begin, void *arg);
#define HTTP_UPGRADE_AGAIN ((ssize_t)-1) /* when the socket is ready again */
#define HTTP_UPGRADE_FAILED ((ssize_t)-2)
/* 0: the client sends nothing more. */
ssize_t http_upgrade_read(struct http_request *req, char *into, size_t max);
/* How many were taken. After AGAIN the same bytes must be offered. */
ssize_t http_upgrade_write(struct http_request *req, struct cdn_str bytes);
bool http_upgrade_has_read(const struct http_request *req); /* more to read, which the socket does not tell */
/* `cut`: by a reset; else after what was written. */
void http_upgrade_end(struct http_request *req, bool cut);
/* Whether the request may be answered so: GET without a body, HTTP/1.1, Connection: upgrade, and one Upgrade
 * field that lists websocket. */
bool http_request_asks_upgrade(struct http_request *req);

/* Closes the connection without an answer (fault injection). */
void http_abort(struct http_request *req);

/* Inside head(), body() or ready(): hold the request; ready() is called again after the resume, on the loop's
 * thread. The client's leaving is not noticed meanwhile, so whoever suspends bounds the wait (suspend_limit_s
 * is the last resort). resume may be called for a request that is not suspended: nothing happens. */
void http_request_suspend(struct http_request *req);
void http_request_resume(struct http_request *req);

/* Interim answer (103 Early Hints, 102 Processing) written before the final one, without fields of
 * its hop. Nothing is sent to HTTP/1.0 clients. Must be called before http_respond(). */
void http_respond_interim(struct http_request *req, unsigned status, const struct http_field *fields,
                          size_t n);

/* A body that is produced while it is sent. */
struct http_stream;
struct http_stream_source {
    /* Up to `max` bytes of position `at`; > 0, or HTTP_STREAM_WAIT, _END or _FAIL. */
    ssize_t (*read)(void *arg, uint64_t at, char *into, size_t max);
    void (*release)(void *arg); /* once, when the stream is over; no more read() follows */
    void *arg;
    size_t block; /* bytes held between read() and the socket; 0: HTTP_STREAM_BLOCK */
};
#define HTTP_STREAM_BLOCK ((size_t)64 * 1024)
/* length < 0: unknown (chunked). The stream belongs to the answer: it lives until release() has returned. The
 * response is returned in *ret_response for adding fields; http_respond() and MHD_destroy_response() follow
 * as usual. */
struct http_stream *http_stream_create(struct http_request *req, int64_t length,
                                       const struct http_stream_source *source,
                                       struct MHD_Response **ret_response);
void http_stream_resume(
    struct http_stream *stream); /* on the loop's thread; harmless when it is not waiting */
/* Resets the connection: the client sees that its answer is incomplete, and what it has not taken is gone.
 * Not inside read(); release() follows later. */
void http_stream_reset(struct http_stream *stream);
/* Bytes that the client has taken since the connection was opened (acknowledged by its TCP; those of a TLS
 * connection are coded). */
uint64_t http_stream_taken(const struct http_stream *stream);

void http_response_add(struct MHD_Response *response, const char *name, const char *value);
const char *http_reason(unsigned status);

#endif
