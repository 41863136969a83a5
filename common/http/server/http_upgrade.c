/* Upgraded connections (RFC 9110 7.8): out of libmicrohttpd's hands and into those of whoever answered 101.
 *
 * libmicrohttpd keeps the connection suspended, and its request open, until it is told that the connection is
 * to be closed. Bytes behind the head are in the gate's `held` (http_frame.h), or, without the gate, in its
 * buffer. TLS listeners make no upgrades: there it copies between GnuTLS and a socket pair in its own runs,
 * which stalled when they were driven by our loop. */
#include "common/http/syntax/http_field.h"
#include "common/http/server/http_server_private.h"

#include <fcntl.h>

#include "common/banned.h"

/* In its run, after the last byte of the 101. */
static void take_over(void *cls, struct MHD_Connection *connection, void *con_cls, const char *extra,
                      size_t extra_n, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    (void)connection, (void)con_cls;
    struct http_request *req = cls;
    struct http_peer *peer = req->_peer;
    CDN_AUTOBUF struct cdn_buf early = {0};
    cdn_buf_add(&early, extra, extra_n);
    cdn_buf_add_str(&early, cdn_buf_str(&peer->held));
    peer->server->held_bytes -= peer->held.n;
    cdn_buf_free(&peer->held);
    loop_fd_remove(peer->server->loop, &peer->watch);
    peer->upgraded = true;
    peer->upgrade = handle;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK); /* a socket has no other flags of this kind */
    req->_begin_upgrade(req->_upgrade_arg, fd, cdn_buf_str(&early));
}

struct MHD_Response *http_response_upgrade(struct http_request *req,
                                           void (*begin)(void *arg, int fd, struct cdn_str early), void *arg)
{
    req->_begin_upgrade = begin;
    req->_upgrade_arg = arg;
    struct MHD_Response *response = MHD_create_response_for_upgrade(take_over, req);
    if (!response) {
        abort(); /* out of memory, as everywhere */
    }
    http_response_add(response, "Upgrade", "websocket");
    return response;
}

static void end(struct http_peer *peer)
{
    if (peer->upgrade) {
        MHD_upgrade_action(CDN_TAKE(peer->upgrade), MHD_UPGRADE_ACTION_CLOSE);
    }
}

void http_upgrade_end(struct http_request *req)
{
    end(req->_peer);
    loop_defer(req->server->loop, &req->server->work);
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
