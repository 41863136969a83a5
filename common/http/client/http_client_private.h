/* http_client_private: what http_client.c, http_socket.c, http_reuse.c, http_fetch.c and http_answer.c share.
 * For nobody else. */
#ifndef CDN_COMMON_HTTP_CLIENT_PRIVATE_H
#define CDN_COMMON_HTTP_CLIENT_PRIVATE_H
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/str.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_PORT_SLOTS 256

/* A descriptor of libcurl's, watched by the loop. */
struct http_socket {
    struct loop_fd watch;
    struct http_client *client;
    struct http_socket *next, *previous;                 /* in the list of idle ones, longest idle first */
    struct http_socket *next_by_port, *previous_by_port; /* kept ones only */
    int local_port, remote_port;                         /* 0: not asked for yet */
    char remote_ip[INET6_ADDRSTRLEN];
    uint64_t id; /* tells it from another one of the same number */
    int64_t born_ns, idle_since_ns;
    unsigned users; /* fetches under way on it */
    unsigned uses;  /* requests that were sent on it */
    bool kept;      /* of a connection: we are told when it is closed */
    bool watched;
    bool idle;        /* libcurl waits for nothing on it */
    bool listed;      /* among the idle ones */
    bool multiplexed; /* HTTP/2: what comes names its request */
    bool retired;     /* shut down: libcurl will find it dead */
};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct http_client_config config;
    char *ca_file;
    char *user_agent;
    struct proxy_url *proxy; /* NULL: none */
    struct loop_timer timer; /* libcurl's */
    struct loop_deferred
        settle;  /* finished, cancelled and resumed fetches are looked after, outside libcurl */
    bool inside; /* libcurl is on the stack: no handle may be added, removed or paused */
    struct http_socket **sockets; /* by descriptor (http_socket.c) */
    size_t socket_room;
    uint64_t socket_ids;
    struct http_socket
        *by_port[HTTP_PORT_SLOTS]; /* of connections, by local port; those not connected yet in [0] */
    struct http_socket *first_idle, *last_idle;
    unsigned idle_count;
    struct loop_timer idle_timer; /* for the first one */
    bool no_descriptor;           /* the last attempt to make a socket failed for want of one */
    struct http_fetch *running;
    unsigned running_count;
    struct http_fetch *settling; /* by next_settling */
    struct http_fetch *spare;
    unsigned spare_count;
};

enum http_fetch_phase {
    HTTP_FETCH_RESTING,    /* until it is tried again */
    HTTP_FETCH_CONNECTING, /* also waiting for a free connection */
    HTTP_FETCH_ASKING,     /* connected; no whole head of the final answer yet */
    HTTP_FETCH_BODY,       /* head() was called */
    HTTP_FETCH_OVER        /* end() is being called or will be */
};

/* The answer's head while it comes in: lines in one buffer, fields as offsets into it (the buffer moves). */
struct http_answer {
    struct cdn_buf text;
    struct {
        size_t name, name_n, value, value_n;
    } * lines;
    size_t line_count, line_room;
    struct http_field *fields; /* made at the end of the head */
    size_t field_room;
    size_t bytes; /* of all heads of this answer, interim ones too */
    unsigned status, version;
    size_t reason, reason_n;
};

struct http_fetch {
    struct http_client *client;
    struct http_fetch *next, *previous; /* running; spare ones by next */
    struct http_fetch *next_settling;
    CURL *easy;
    const struct http_fetch_handler *handler;
    void *arg;
    enum http_fetch_phase phase;
    bool added;     /* to the multi handle */
    bool cancelled; /* no callbacks any more */
    bool settling;  /* something for client->settle */
    bool resume;
    bool paused_send, paused_receive;
    bool repeatable;    /* idempotent and without a body: may be sent twice (RFC 9110 9.2.2) */
    bool body_begun;    /* read_body() was called */
    bool expecting;     /* Expect: 100-continue was sent */
    bool asked;         /* the request may have left */
    bool switched;      /* 101 was answered */
    bool peer_ended;    /* after that: the server has closed its half */
    bool again;         /* the connection was no good: on a fresh one, at once */
    bool interim_given; /* an interim answer was passed on */
    bool resent;
    int curl_socket; /* the connection it is on; socket_id 0: none */
    uint64_t socket_id;
    int64_t retry_until_ns, rest_ns;
    int64_t first_byte_limit_ns;
    enum http_fetch_error error;
    char text[256];
    char curl_text[CURL_ERROR_SIZE];
    struct loop_timer timer; /* of the phase */
    int64_t active_ns;       /* when something last moved */
    ssize_t (*read_body)(void *arg, char *into, size_t max);
    struct curl_slist *header_nodes; /* an array that libcurl reads as a list */
    size_t header_room;
    struct cdn_buf header_text;
    struct cdn_buf target;
    struct {                   /* what the handle is set to: only what differs is set again */
        struct cdn_buf origin; /* scheme and authority */
        CURLU *url;
        bool plain_get;
        char *local_address, *unix_socket;
        int64_t total_timeout_ms;
    } now;
    struct http_answer answer;
};

/* http_answer.c: the head, line by line as libcurl hands it over. */
enum http_answer_step { HTTP_ANSWER_MORE, HTTP_ANSWER_INTERIM, HTTP_ANSWER_HEAD, HTTP_ANSWER_BAD };
void http_answer_clear(struct http_answer *a);
void http_answer_free(struct http_answer *a);
/* HTTP_ANSWER_INTERIM and _HEAD: *ret is filled, valid until the next call. HTTP_ANSWER_BAD: *ret_error and
 * *ret_why. */
enum http_answer_step http_answer_line(struct http_answer *a, struct cdn_str line, size_t max_bytes,
                                       bool upgrades, struct http_fetch_head *ret,
                                       enum http_fetch_error *ret_error, const char **ret_why);

/* http_fetch.c: the handle's options and callbacks. */
void http_fetch_enter(struct http_fetch *fetch, enum http_fetch_phase phase);
/* For another try on a connection of its own. */
void http_fetch_rewind(struct http_fetch *fetch, enum http_fetch_phase phase);
struct http_fetch *http_fetch_new(struct http_client *client);
bool http_fetch_prepare(struct http_fetch *fetch, const struct http_fetch_request *request);
void http_fetch_free(struct http_fetch *fetch);
/* Notes an error of our own (the first one stays) for http_client.c to end the fetch with. */
void http_fetch_fail(struct http_fetch *fetch, enum http_fetch_error error, const char *text);
enum http_fetch_error http_fetch_map_error(const struct http_fetch *fetch, CURLcode code);

/* http_proxied.c: through a proxy. */
void http_proxied_attach(CURL *easy, const struct http_client *client);
bool http_proxied_error(const struct http_fetch *fetch, CURLcode code, enum http_fetch_error *ret);
const char *http_proxied_text(struct http_fetch *fetch, const char *text); /* of an error */

/* http_fetch_fields.c: the request's fields, valid until the next call. */
struct curl_slist *http_fetch_fields(struct http_fetch *fetch, const struct http_fetch_request *request);
/* http_client.c: libcurl does not want its socket watched any more. */
void http_fetch_unwatched(CURL *easy);
void http_fetch_drop_expect(struct http_fetch *fetch);

/* http_socket.c: libcurl's sockets on the loop. */
void http_sockets_attach(struct http_client *client, CURLM *multi);
void http_sockets_attach_easy(struct http_client *client, CURL *easy);
void http_sockets_free(struct http_client *client); /* after libcurl has closed them */

struct http_socket *http_socket_find(const struct http_client *client, curl_socket_t fd);
bool http_socket_watch(struct http_socket *socket, uint32_t events);
void http_socket_unwatch(struct http_socket *socket);

/* http_reuse.c: which connections may be used again. */
enum http_reuse {
    HTTP_REUSE_GO,
    HTTP_REUSE_STALE,       /* the server closed it, or sent what nobody asked for: take another one */
    HTTP_REUSE_SPOKE_FIRST, /* a new one on which an answer lies before there was a request */
};
struct http_ends { /* how libcurl names a connection */
    const char *remote_ip;
    int remote_port, local_port;
};
/* libcurl chose a connection for it. */
enum http_reuse http_reuse_take(struct http_fetch *fetch, const struct http_ends *ends);
void http_reuse_link(struct http_socket *socket); /* a new connection's */
void http_reuse_unlink(struct http_socket *socket);
void http_reuse_leave(struct http_fetch *fetch);      /* libcurl has done with the fetch */
bool http_reuse_used(const struct http_fetch *fetch); /* its connection served another request before */
void http_reuse_watch_excess(struct http_fetch *fetch, const struct http_fetch_head *head);
void http_reuse_attach(CURL *easy, struct http_fetch *fetch);
void http_reuse_retire(struct http_socket *socket);
void http_reuse_unlist(struct http_socket *socket);
void http_reuse_idle_fired(struct loop_timer *timer);

/* http_client.c: libcurl acts on what happened at a socket. */
void http_client_act(struct http_client *client, curl_socket_t socket, int events);
/* http_client.c: look after this fetch at the end of the turn. */
void http_fetch_settle(struct http_fetch *fetch);

#endif
