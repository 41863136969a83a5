/* A body that is produced while it is sent.
 *
 * Two owners look at a stream: the response (its free callback is the end of the stream's life) and the
 * request while it is being answered (to suspend and resume its connection). libmicrohttpd reports the
 * request's end first. */
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"

#include <linux/tcp.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

struct http_stream {
    struct http_request *req; /* NULL: its request is over */
    struct http_stream_source source;
    bool sized;   /* Content-Length, not chunked */
    bool waiting; /* the connection is suspended in our reader */
    bool broken;
};

/* libmicrohttpd would call again at once, for ever, if 0 were returned without suspending. */
static ssize_t wait_for_more(struct http_stream *stream)
{
    stream->waiting = true;
    stream->req->suspended = true;
    http_server_park(stream->req);
    return 0;
}

int http_socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

void http_reset_socket(int fd)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    (void)connect(fd, &nobody, sizeof(nobody));
}

/* A body that ends with the connection (HTTP/1.0) would look complete after an orderly close: reset it. */
static ssize_t break_off(struct http_stream *stream)
{
    if (stream->req && stream->req->http10 && !stream->sized) {
        http_reset_socket(http_socket_of(stream->req->connection));
    }
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t read_stream(void *cls, uint64_t at, char *into, size_t max)
{
    struct http_stream *stream = cls;
    struct http_request *req = stream->req;
    if (stream->broken || !req || req->server->stopping || req->_state == HTTP_STATE_ABORT) {
        return break_off(stream);
    }
    ssize_t n = stream->source.read(stream->source.arg, at, into, max);
    if (n > 0) {
        return n;
    }
    if (n == HTTP_STREAM_WAIT) {
        return wait_for_more(stream);
    }
    /* with a known length the last byte was the end, and libmicrohttpd asks no more */
    return n == HTTP_STREAM_END && !stream->sized ? MHD_CONTENT_READER_END_OF_STREAM : break_off(stream);
}

static void free_stream(void *cls)
{
    struct http_stream *stream = cls;
    if (stream->req && stream->req->_stream == stream) {
        stream->req->_stream = NULL;
    }
    if (stream->source.release) {
        stream->source.release(stream->source.arg);
    }
    free(stream);
}

struct http_stream *http_stream_create(struct http_request *req, int64_t length,
                                       const struct http_stream_source *source,
                                       struct MHD_Response **ret_response)
{
    struct http_stream *stream = cdn_calloc(1, sizeof(*stream));
    stream->req = req;
    stream->source = *source;
    stream->sized = length >= 0;
    size_t block = source->block ? source->block : HTTP_STREAM_BLOCK;
    block = length >= 0 && (uint64_t)length < block ? (size_t)length + 1 : block;
    uint64_t size = length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length;
    struct MHD_Response *response =
        MHD_create_response_from_callback(size, block, read_stream, stream, free_stream);
    if (!response) {
        abort(); /* out of memory, as everywhere */
    }
    req->_stream = stream;
    *ret_response = response;
    return stream;
}

void http_stream_resume(struct http_stream *stream)
{
    if (stream->waiting) {
        stream->waiting = false;
        stream->req->suspended = false;
        http_server_unpark(stream->req);
    }
}

void http_stream_break(struct http_stream *stream)
{
    stream->broken = true;
    http_stream_resume(stream);
    if (stream->req) { /* suspended for another reason (http_disturb.c): that one is told by the next read */
        stream->req->suspended = false;
        http_server_unpark(stream->req);
    }
}

void http_stream_reset(struct http_stream *stream)
{
    if (stream->req) {                                              /* else it is over, and nobody waits */
        http_reset_socket(http_socket_of(stream->req->connection)); /* libmicrohttpd hears of it from epoll */
        http_stream_break(stream);
    }
}

uint64_t http_stream_taken(const struct http_stream *stream)
{
    struct tcp_info info = {0};
    socklen_t n = sizeof(info);
    if (!stream->req ||
        getsockopt(http_socket_of(stream->req->connection), IPPROTO_TCP, TCP_INFO, &info, &n) < 0) {
        return 0;
    }
    return info.tcpi_bytes_acked;
}

void http_stream_detach(struct http_stream *stream)
{
    stream->req->_stream = NULL;
    stream->req = NULL;
    stream->waiting = false;
}
