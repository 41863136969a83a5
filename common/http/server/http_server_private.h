/* http_server_private: what http_server.c, http_exchange.c, http_request.c, http_respond.c and http_stream.c
 * share. For nobody else. */
#ifndef CDN_COMMON_HTTP_SERVER_PRIVATE_H
#define CDN_COMMON_HTTP_SERVER_PRIVATE_H
#include "common/http/server/http_listen.h"
#include "common/http/server/http_mhd.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_frame.h"
#include "common/http/syntax/http_server_check.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_FIELD_SLOTS 128

/* What a connection waits for within a time limit. */
enum http_wait { HTTP_WAIT_NOTHING, HTTP_WAIT_HANDSHAKE, HTTP_WAIT_HEAD, HTTP_WAIT_BODY };

struct http_peer { /* one connection */
    struct http_server *server;
    struct http_peer *next, *previous;
    struct MHD_Connection *connection;
    struct cdn_tls_set *tls; /* its own reference; NULL: plain HTTP */
    struct http_peer *idle_next, *idle_previous;
    struct http_peer *wait_next, *wait_previous;
    struct http_frame frame;     /* of the request that is arriving */
    struct cdn_buf held;         /* an incomplete head */
    http_mhd_receive receive;    /* libmicrohttpd's own function */
    struct http_mhd_spare spare; /* its pool, while a larger one is used */
    int64_t since_ns;            /* it has been waiting */
    enum http_wait waiting;
    enum http_refusal verdict;      /* to be given when libmicrohttpd reads next */
    struct http_request *request;   /* whose head was read and which is not over */
    struct loop_fd watch;           /* its socket's end */
    bool busy;                      /* a request line was read and its request is not over */
    bool ended;                     /* the client sends nothing more */
    bool refused;                   /* the verdict was written */
    bool idle;                      /* in the list of those without a request */
    bool extra;                     /* beyond the limit */
    bool client_secure;             /* its PROXY header says that the client came over TLS */
    bool displaced;                 /* closed for a new one */
    bool upgraded;                  /* out of libmicrohttpd's hands */
    bool upgrade_ended;             /* and back in them, to be closed */
    struct loop_deferred take_over; /* the 101 is to be sent */
    struct cdn_buf upgrade_head;    /* of the 101, until then */
};

/* Connections that are to begin with a PROXY header and have not yet (http_arrival.c). */
struct http_arrivals {
    bool ours;                         /* the listener, and not libmicrohttpd's */
    struct loop_fd listen;             /* the listener is ours, not libmicrohttpd's */
    struct http_arrival *first, *last; /* longest first */
    struct loop_timer limit;           /* of the first one */
    struct loop_timer pause;           /* nothing more can be accepted */
    bool secure;                       /* of the connection that is being handed over */
    _Atomic unsigned count;            /* written by the loop's thread only, read by any */
};

struct http_server {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    struct http_listener listener;
    struct http_server_config config;
    struct cdn_addr address;

    struct loop_fd events;     /* the daemon's epoll descriptor */
    struct loop_timer timer;   /* the daemon's time-outs, and work it left over */
    struct loop_deferred work; /* something was resumed */
    struct loop_timer limit;   /* of the oldest suspended request */
    bool running;              /* inside MHD_run() */
    bool draining;
    bool stopping;

    struct http_request *free_requests;
    unsigned free_count;
    struct http_request *first_suspended, *last_suspended;
    _Atomic unsigned open_requests; /* written by the loop's thread only, read by any */
    struct http_peer *peers;
    unsigned extra_peers;
    struct http_peer *idle_first, *idle_last; /* without a request, longest first */
    struct http_peer *waiting;                /* with a time limit */
    struct loop_timer deadlines;              /* looks at those */
    int64_t looked_ns;                        /* when it last did */
    size_t held_bytes;                        /* of incomplete heads */
    bool in_place;                            /* heads lie as http_mhd_text.h says */
    bool gated;                               /* that, and http_mhd.c can be used */
    int64_t log_second;                       /* of refusals */
    unsigned log_lines, log_left_out;
    _Atomic unsigned open_peers;   /* likewise */
    struct http_fault_set *faults; /* NULL: none are on */
    bool deaf;                     /* a fault: the listener is gone */
    struct http_arrivals arrivals; /* with proxy_protocol */
    struct http_linger *lingering;
    unsigned lingering_count;
    uint8_t field_slots[HTTP_FIELD_SLOTS]; /* hash of a field's name -> its number + 1 */
};

/* One thread writes, so no locked instruction is needed. */
static inline void http_count(_Atomic unsigned *counter, unsigned change)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + change,
                          memory_order_relaxed);
}

/* Why an answer takes another way than libmicrohttpd's queue. */
#define HTTP_SPECIAL_UPGRADE 1u
#define HTTP_SPECIAL_FAULT 2u

enum http_request_state {
    HTTP_STATE_LINE,       /* the request line was read */
    HTTP_STATE_HEAD,       /* head() was called, body or ready() to come */
    HTTP_STATE_HEAD_AGAIN, /* suspended in head(): libmicrohttpd repeats its first call after the resume */
    HTTP_STATE_BODY,       /* a piece of the body was seen */
    HTTP_STATE_READY,      /* ready() was called */
    HTTP_STATE_TOO_LARGE,  /* the body is being thrown away, then 413 */
    HTTP_STATE_DELAYED,    /* by a fault, before head(); libmicrohttpd repeats its first call */
    HTTP_STATE_FAILING,    /* a fault's error is to be answered, without the handler */
    HTTP_STATE_REFUSED,    /* answered here, without the handler */
    HTTP_STATE_ABORT       /* close the connection at the next chance */
};

/* http_request.c: fills the view from the connection; all but the target, which the caller has stored. */
enum http_refusal http_request_read(struct http_request *req, const char *method, const char *url,
                                    const char *version);
void http_field_slots_fill(uint8_t slots[static HTTP_FIELD_SLOTS]);

/* http_exchange.c: what libmicrohttpd calls back. */
void *http_server_note_line(void *cls, const char *uri, struct MHD_Connection *connection);
size_t http_server_leave_escaped(void *cls, struct MHD_Connection *connection, char *s);
enum MHD_Result http_server_take_call(void *cls, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version, const char *data, size_t *n,
                                      void **con_cls);
void http_server_request_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                                   enum MHD_RequestTerminationCode how);
void http_server_free_request(struct http_request *req);

/* Really suspends (inside a callback of libmicrohttpd) and resumes, and keeps the list of those suspended. */
void http_server_park(struct http_request *req);
void http_server_unpark(struct http_request *req);
void http_server_break_suspended(struct http_request *req);
void http_server_forget_suspended(struct http_request *req); /* it stays suspended, without a limit */
void http_server_check_limit(struct loop_timer *timer);

/* http_server.c */
bool http_server_is_full(const struct http_server *server); /* more connections than it should have */

/* http_peer.c: connections. */
void http_peer_changed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_ConnectionNotificationCode what);
void http_peer_close(struct http_peer *peer); /* after what has arrived is answered */
void http_peer_begin(struct http_peer *peer); /* a request */
void http_peer_end(struct http_peer *peer);
void http_peer_wait(struct http_peer *peer, enum http_wait what, bool restart);
void http_peer_look(struct loop_timer *timer);

bool http_peer_make_room(struct http_server *server); /* false: all within the limit have requests */

void http_peer_cut(struct http_peer *peer); /* at once, by a reset */

/* http_disturb.c: faults. Called when server->faults are on. */
bool http_disturb_request(struct http_request *req); /* true: it is dealt with for now; its state says how */
bool http_disturb_delayed(struct http_request *req); /* likewise, when its delay is over */
void http_disturb_fail(struct http_request *req);    /* answers the error */
void http_disturb_forget(struct http_request *req);  /* it is over before head() was called */
/* What to send in place of the handler's response, to be destroyed by the caller; NULL: nothing. */
struct MHD_Response *http_disturb_response(struct http_request *req, unsigned status,
                                           struct MHD_Response *given);

/* http_arrival.c */
enum cdn_status http_arrivals_start(struct http_server *server, struct cdn_error *err) CDN_MUST_CHECK;
void http_arrivals_drain(struct http_server *server); /* takes in who has come, then stops listening */
void http_arrivals_end(struct http_server *server);   /* also when it was not started */

/* http_upgrade.c */
void http_upgrade_respond(struct http_request *req, struct MHD_Response *response);
void http_upgrades_end(struct http_server *server);

/* http_gate.c */
void http_gate_open(struct http_peer *peer);
void http_gate_close(struct http_peer *peer);
void http_gate_go_on(struct http_peer *peer); /* its request is over, and it is not a tunnel */

/* http_refuse.c */
bool http_may_log(struct http_server *server, unsigned *ret_left_out); /* few lines a second */
void http_note_refusal(struct http_server *server, struct MHD_Connection *connection, enum http_refusal why);
/* At a moment when libmicrohttpd sends nothing. */
void http_refuse_connection(struct http_server *server, struct MHD_Connection *connection,
                            enum http_refusal why);

/* http_request.c */
void http_connection_client(struct MHD_Connection *connection, struct cdn_addr *ret);

/* http_stream.c */
int http_socket_of(struct MHD_Connection *connection);
void http_reset_socket(int fd);
/* The request is over or the server stops. */
void http_stream_detach(struct http_stream *stream);
void http_stream_break(struct http_stream *stream);

/* http_linger.c: keeps the socket open for a while after libmicrohttpd has closed it. */
void http_linger_start(struct http_server *server, struct MHD_Connection *connection);
void http_linger_keep(struct http_server *server, int fd); /* whose sending half was shut; takes it over */
void http_linger_end_all(struct http_server *server);

/* http_respond.c: bytes past libmicrohttpd; false when they cannot be written whole. */
bool http_write_raw(struct http_request *req, struct cdn_str bytes);
/* As much as the socket takes at once. */
ssize_t http_write_connection(struct MHD_Connection *connection, bool secure, struct cdn_str bytes);

#endif
