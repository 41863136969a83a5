/* http_respond: answers on their way out. Each place at which libmicrohttpd takes no answer (while
 * a body arrives), sends a wrong one (chunked to a bodiless answer) or runs out of room is caught
 * here, so that handlers need not know them. */
#include "common/clock.h"
#include "common/http/server/http_mhd.h"
#include "common/http/server/http_problem.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/str.h"

#include <gnutls/gnutls.h>
#include <linux/sockios.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/banned.h"

#define OWN_LINES 512 /* bytes at most of the status line and the fields that libmicrohttpd adds */

/* The connection cannot be used any more: closed at the next call of libmicrohttpd's. */
void http_abort(struct http_request *req)
{
    bool receiving = req->_state == HTTP_STATE_BODY;
    req->_state = HTTP_STATE_ABORT;
    req->suspended = false;
    if (receiving) { /* with all of the body's bytes taken, the next call would wait for more of them */
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        shutdown(info->connect_fd, SHUT_RD);
    }
    http_server_unpark(req);
}

/* While the body is arriving libmicrohttpd takes no answer: then it waits for the body's end. */
static bool is_receiving(const struct http_request *req)
{
    return req->_state == HTTP_STATE_BODY;
}

static enum MHD_Result add_size(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    *(size_t *)cls += strlen(name) + strlen(value) + sizeof(": \r\n");
    return MHD_YES;
}

/* libmicrohttpd makes the head in the connection's pool, and breaks off when it does not fit. */
static bool has_room_for(const struct http_request *req, struct MHD_Response *response)
{
    struct http_peer *peer = req->_peer;
    if (!req->server->gated || !peer) {
        return true;
    }
    size_t n = OWN_LINES;
    MHD_get_response_headers(response, add_size, &n);
    return http_mhd_make_room(req->connection, &peer->spare, n);
}

static void queue(struct http_request *req, unsigned status, struct MHD_Response *response)
{
    if (!has_room_for(req, response) || MHD_queue_response(req->connection, status, response) != MHD_YES) {
        http_abort(req);
        return;
    }
    http_server_unpark(req);
}

static void respond_specially(struct http_request *req, unsigned status, struct MHD_Response *response)
{
    if (req->_special & HTTP_SPECIAL_UPGRADE && status == MHD_HTTP_SWITCHING_PROTOCOLS) {
        http_upgrade_respond(req, response);
        return;
    }
    struct MHD_Response *other = http_disturb_response(req, status, response);
    queue(req, status, other ? other : response);
    if (other) {
        MHD_destroy_response(other);
    }
}

void http_respond(struct http_request *req, unsigned status, struct MHD_Response *response)
{
    if (req->answered) {
        return;
    }
    req->answered = true;
    req->status = status;
    req->suspended = false;
    req->_unread = req->_state == HTTP_STATE_REFUSED ||
                   (req->has_body && req->_state != HTTP_STATE_READY && req->_state != HTTP_STATE_TOO_LARGE);
    if (req->_special) {
        respond_specially(req, status, response);
        return;
    }
    queue(req, status, response);
}

static ssize_t no_body(void *arg, uint64_t at, char *into, size_t max)
{
    (void)arg, (void)at, (void)into, (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Of unknown length, libmicrohttpd 0.9.75 would say chunked and send the last chunk although no body
 * follows the head of a HEAD or 304: the client would take it for the next answer. Not chunked, the
 * connection ends. */
struct MHD_Response *http_response_bodiless(int64_t length)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length, 1024, no_body, NULL, NULL);
    if (!response) {
        abort(); /* out of memory, as everywhere */
    }
    if (length < 0) {
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    }
    return response;
}

/* Takes `response`. */
static void respond_own(struct http_request *req, unsigned status, struct MHD_Response *response)
{
    if (is_receiving(req) && !req->answered) {
        req->answered = true;
        req->status = status;
        req->suspended = false;
        req->_late = response;
        req->_late_status = status;
        http_server_unpark(req);
        return;
    }
    http_respond(req, status, response);
    MHD_destroy_response(response);
}

static void add_field(struct MHD_Response *response, const char *line)
{
    struct cdn_str value = cdn_str(line);
    CDN_AUTOFREE char *name = cdn_str_dup(cdn_str_cut(&value, ':'));
    CDN_AUTOFREE char *text = value.p ? cdn_str_dup(cdn_str_trim(value)) : NULL;
    if (text) {
        MHD_add_response_header(response, name, text);
    }
}

void http_respond_text(struct http_request *req, unsigned status, const char *type, struct cdn_str body,
                       const char *const *fields)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
    if (!response) {
        http_abort(req);
        return;
    }
    if (type) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    }
    for (; fields && *fields; fields++) {
        add_field(response, *fields);
    }
    if (cdn_clock_offset_ms() != 0) { /* in simulation; else libmicrohttpd adds the true time */
        char date[HTTP_DATE_SIZE];
        http_date_format(cdn_clock_now_s(), date);
        MHD_add_response_header(response, MHD_HTTP_HEADER_DATE, date);
    }
    respond_own(req, status, response);
}

bool http_request_wants_html(const struct http_request *req)
{
    const char *accept =
        MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    return http_problem_wants_html(accept ? cdn_str(accept) : (struct cdn_str){0});
}

size_t http_respond_problem_with(struct http_request *req, unsigned status, const char *detail,
                                 const char *const *fields)
{
    CDN_AUTOBUF struct cdn_buf body = {0};
    const char *type = http_problem_write(http_request_wants_html(req), status, detail, &body);
    http_respond_text(req, status, type, cdn_buf_str(&body), fields);
    return body.n;
}

void http_respond_problem(struct http_request *req, unsigned status, const char *detail)
{
    static const char *const fields[] = {"Cache-Control: no-store", NULL};
    http_respond_problem_with(req, status, detail, fields);
}

/* ---- interim answers ---- */

/* Between requests and before an answer nothing of libmicrohttpd's is in flight on the connection, so bytes
 * written here stand where they should. Half an interim answer would ruin the final one, so it is written
 * only when the socket's send buffer has ample room for it. */
static bool has_room(int fd, size_t n)
{
    int queued = 0;
    int size = 0;
    socklen_t length = sizeof(size);
    return ioctl(fd, SIOCOUTQ, &queued) == 0 && getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0 &&
           (size_t)queued + n < (size_t)size / 4;
}

ssize_t http_write_connection(struct MHD_Connection *connection, bool secure, struct cdn_str bytes)
{
    if (!secure) {
        const union MHD_ConnectionInfo *socket =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        return send(socket->connect_fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return gnutls_record_send(info->tls_session, bytes.p, bytes.n);
}

bool http_write_raw(struct http_request *req, struct cdn_str bytes)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info || !has_room(info->connect_fd, bytes.n)) {
        return false;
    }
    ssize_t sent = http_write_connection(req->connection, req->secure, bytes);
    if (sent != (ssize_t)bytes.n && (sent > 0 || req->secure)) {
        http_abort(req); /* a part is out, or held inside GnuTLS */
    }
    return sent == (ssize_t)bytes.n;
}

static bool takes_interim(const struct http_request *req, unsigned status)
{
    return !req->answered && !req->http10 && !is_receiving(req) && status >= 102 && status <= 199;
}

void http_respond_interim(struct http_request *req, unsigned status, const struct http_field *fields,
                          size_t n)
{
    if (!takes_interim(req, status)) {
        return;
    }
    CDN_AUTOBUF struct cdn_buf connection = {0};
    CDN_AUTOBUF struct cdn_buf text = {0};
    (void)http_fields_join(fields, n, CDN_STR("Connection"), &connection);
    cdn_buf_printf(&text, "HTTP/1.1 %u %s\r\n", status, MHD_get_reason_phrase_for(status));
    for (size_t i = 0; i < n; i++) {
        if (!http_is_hop_by_hop(fields[i].name, cdn_buf_str(&connection)) &&
            http_check_token(fields[i].name) && http_check_field_value(fields[i].value)) {
            cdn_buf_printf(&text, CDN_STR_FMT ": " CDN_STR_FMT "\r\n", CDN_STR_ARG(fields[i].name),
                           CDN_STR_ARG(fields[i].value));
        }
    }
    cdn_buf_add_str(&text, CDN_STR("\r\n"));
    http_write_raw(req, cdn_buf_str(&text));
}

/* A field that libmicrohttpd refuses (line ends in it) is left out. */
void http_response_add(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

const char *http_reason(unsigned status)
{
    return MHD_get_reason_phrase_for(status);
}
