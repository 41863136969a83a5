/* Upgraded connections (RFC 9110 7.8): out of libmicrohttpd's hands and into those of whoever answered 101.
 *
 * Its own upgrade is not used. Over TLS, 0.9.75 copies between GnuTLS and a socket pair in runs of its own:
 * driven by our loop that stalled, each tunnel costs two descriptors more, and the pair hides what the tunnel
 * must see: a reset, a full socket, the end of one half. So for libmicrohttpd the connection stays suspended
 * in the middle of its request: it neither reads, writes nor counts time until it is resumed to be closed.
 * The head of the 101 is made here; socket and GnuTLS session are read and written here, plain and TLS alike.
 *
 * Needs the gate (http_gate.c): it hands over no byte beyond the head, and holds what came after it.
 *
 * Life: respond -> (end of this turn) take_over, begin() -> read, write -> end -> completed. */
#include "common/clock.h"
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

static int fd_of(const struct http_peer *peer)
{
    return MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static gnutls_session_t session_of(const struct http_peer *peer)
{
    return MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;
}

/* ---- the beginning ---- */

static enum MHD_Result add_line(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    cdn_buf_printf(cls, "%s: %s\r\n", name, value);
    return MHD_YES;
}

static void take_over(struct loop_deferred *deferred)
{
    struct http_peer *peer = CDN_CONTAINER_OF(deferred, struct http_peer, take_over);
    struct http_request *req = peer->request;
    assert(req && req->_suspended_ns);
    http_server_forget_suspended(req); /* no limit to its time */
    loop_fd_remove(peer->server->loop, &peer->watch);
    peer->upgraded = true;
    req->_begin_upgrade(req->_upgrade_arg, fd_of(peer), cdn_buf_str(&peer->upgrade_head),
                        cdn_buf_str(&peer->held));
    peer->server->held_bytes -= peer->held.n;
    cdn_buf_free(&peer->held);
    cdn_buf_free(&peer->upgrade_head);
}

struct MHD_Response *http_response_upgrade(struct http_request *req, http_upgrade_begin begin, void *arg)
{
    req->_begin_upgrade = begin;
    req->_special |= HTTP_SPECIAL_UPGRADE;
    req->_upgrade_arg = arg;
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) {
        abort(); /* out of memory, as everywhere */
    }
    return response;
}

/* Instead of queueing it. Inside a callback of libmicrohttpd's the request is suspended on return. */
void http_upgrade_respond(struct http_request *req, struct MHD_Response *response)
{
    struct http_peer *peer = req->_peer;
    struct cdn_buf *head = &peer->upgrade_head;
    req->suspended = true;
    cdn_buf_add_str(head, CDN_STR("HTTP/1.1 101 Switching Protocols\r\n"
                                  "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    if (!http_head_find(response, CDN_STR("Date")).p) {
        char date[HTTP_DATE_SIZE];
        http_date_format(cdn_clock_now_s(), date);
        cdn_buf_printf(head, "Date: %s\r\n", date);
    }
    MHD_get_response_headers(response, add_line, head); /* sealed fields are one, with line ends inside */
    cdn_buf_add_str(head, CDN_STR("\r\n"));
    peer->take_over.call = take_over;
    loop_defer(req->server->loop, &peer->take_over);
}

/* ---- bytes ---- */

/* What GnuTLS says, as an upgrade's result. A client that wants to negotiate anew gets no further. */
static ssize_t of_tls(ssize_t n)
{
    return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? HTTP_UPGRADE_AGAIN
           : n < 0                                          ? HTTP_UPGRADE_FAILED
                                                            : n;
}

static ssize_t of_socket(ssize_t n)
{
    return n >= 0                                                      ? n
           : errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? HTTP_UPGRADE_AGAIN
                                                                       : HTTP_UPGRADE_FAILED;
}

/* An end without close_notify is an end too, as WebSocket has ends of its own (RFC 6455 7.1). */
ssize_t http_upgrade_read(struct http_request *req, char *into, size_t max)
{
    if (!req->secure) {
        return of_socket(recv(fd_of(req->_peer), into, max, MSG_DONTWAIT));
    }
    const ssize_t n = gnutls_record_recv(session_of(req->_peer), into, max);
    return n == GNUTLS_E_PREMATURE_TERMINATION ? 0 : of_tls(n);
}

ssize_t http_upgrade_write(struct http_request *req, struct cdn_str bytes)
{
    const ssize_t n = http_write_connection(req->connection, req->secure, bytes);
    return req->secure ? of_tls(n) : of_socket(n);
}

bool http_upgrade_has_read(const struct http_request *req)
{
    return req->secure && gnutls_record_check_pending(session_of(req->_peer)) > 0;
}

/* ---- the end ---- */

static void end(struct http_peer *peer)
{
    if (peer->upgraded && !peer->upgrade_ended) {
        peer->upgrade_ended = true;
        peer->request->_state = HTTP_STATE_ABORT;
        MHD_resume_connection(peer->connection);
        loop_defer(peer->server->loop, &peer->server->work);
    }
}

void http_upgrade_end(struct http_request *req, bool cut)
{
    struct http_peer *peer = req->_peer;
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (cut) { /* a reset at once: after close_notify or FIN, half a stream would look like a whole one */
        (void)connect(fd_of(peer), &nobody, sizeof(nobody));
    }
    req->_unread = !cut; /* the client may still be sending: what was written to it is not to be lost */
    end(peer);
}

void http_upgrades_end(struct http_server *server)
{
    for (struct http_peer *peer = server->peers; peer; peer = peer->next) {
        end(peer);
    }
}

bool http_request_asks_upgrade(struct http_request *req)
{
    CDN_AUTOBUF struct cdn_buf connection = {0};
    return req->server->config.upgrades && req->field_lines[HTTP_REQ_UPGRADE] == 1 &&
           req->method == HTTP_GET && !req->has_body && !req->http10 && req->_peer &&
           !req->field_lines[HTTP_REQ_CONTENT_LENGTH] && !req->field_lines[HTTP_REQ_TRANSFER_ENCODING] &&
           http_list_has_token(req->field[HTTP_REQ_UPGRADE], CDN_STR("websocket")) &&
           http_request_joined(req, HTTP_REQ_CONNECTION, &connection) &&
           http_list_has_token(cdn_buf_str(&connection), CDN_STR("Upgrade"));
}
