/* The gate: every byte of a request passes here on its way to libmicrohttpd, decrypted, and is judged by
 * http_frame.c.
 *
 * It stands in the place of the connection's receive function (http_mhd.c). A head that is not whole is held
 * back until it is, so that libmicrohttpd sees whole heads only, and one that does not fit its buffer comes
 * with memory of its own. It reads while it waits for (more of) a request, and only then: so a refusal is
 * written past it and the end of the connection reported to it. Where requests before the bad one were handed
 * over in the same piece, the refusal waits for the next call, which shutdown(SHUT_RD) brings about. */
#include "common/http/server/http_mhd.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/syntax/http_frame.h"
#include "common/http/syntax/http_server_check.h"
#include "common/str.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/banned.h"

#define READ_BYTES (16u * 1024)
#define HELD_MAX ((size_t)32 << 20) /* unless the configuration says less */
#define FEW_LINES 64u               /* a head of so many leaves room in the usual pool */
#define LINE_BYTES 96u              /* that libmicrohttpd keeps for each */
#define ANSWER_ROOM (80u * 1024)    /* the head of the largest answer */

static ssize_t refuse(struct http_peer *peer, enum http_refusal why)
{
    peer->verdict = why;
    http_refuse_connection(peer->server, peer->connection, why);
    return 0;
}

/* Keeps bytes[0..n), which may lie in peer->held itself, and nothing else. */
static void hold(struct http_peer *peer, const char *bytes, size_t n)
{
    peer->server->held_bytes += n;
    peer->server->held_bytes -= peer->held.n;
    if (!n) {
        cdn_buf_free(&peer->held);
    } else if (peer->held.n) {
        memmove(peer->held.p, bytes, n);
        peer->held.n = n;
    } else {
        cdn_buf_add(&peer->held, bytes, n);
    }
}

static ssize_t hand_over(struct http_peer *peer, const char *bytes, size_t n, char *into, size_t max)
{
    unsigned lines = peer->frame.most_lines;
    peer->frame.most_lines = 0;
    if (n > max || lines > FEW_LINES) {
        size_t room = lines * LINE_BYTES + ANSWER_ROOM;
        if (http_mhd_receive_large(peer->connection, &peer->spare, bytes, n, room)) {
            return (ssize_t)n;
        }
    }
    if (n > max) { /* with bytes of the request before it still to be taken */
        return refuse(peer, HTTP_REFUSE_HEAD_TOO_LARGE);
    }
    if (bytes != into) {
        memcpy(into, bytes, n);
    }
    return n ? (ssize_t)n : HTTP_MHD_AGAIN;
}

static void note_wait(struct http_peer *peer, size_t n, bool progress)
{
    if (peer->frame.waits) {
        http_peer_wait(peer, HTTP_WAIT_NOTHING, false);
    } else if (peer->held.n) {
        http_peer_wait(peer, HTTP_WAIT_HEAD, progress);
    } else if (http_frame_in_body(&peer->frame)) {
        http_peer_wait(peer, HTTP_WAIT_BODY, peer->frame.body <= n);
    } else {
        http_peer_wait(peer, HTTP_WAIT_NOTHING, false);
    }
}

static ssize_t judge(struct http_peer *peer, char *bytes, size_t n, char *into, size_t max)
{
    size_t ready = 0;
    enum http_refusal bad = http_frame_feed(&peer->frame, bytes, n, &ready);
    const size_t most = peer->server->config.max_heads ? peer->server->config.max_heads : HELD_MAX;
    if (!bad && peer->server->held_bytes > most && ready < n) {
        bad = HTTP_REFUSE_HEADS_TOO_MANY;
    }
    if (bad && !ready) {
        return refuse(peer, bad);
    }
    ssize_t given = hand_over(peer, bytes, ready, into, max);
    if (bad && given > 0) {
        peer->verdict = bad;
        http_peer_close(peer);
    }
    if (peer->held.n || ready < n) {
        hold(peer, bytes + ready, bad ? 0 : n - ready);
    }
    note_wait(peer, n, ready > 0);
    return given;
}

static ssize_t receive(struct MHD_Connection *connection, void *into, size_t max)
{
    struct http_peer *peer = http_mhd_context(connection);
    if (peer->verdict) {
        return peer->refused ? 0 : refuse(peer, peer->verdict);
    }
    if (peer->frame.waits || (peer->busy && !http_frame_in_body(&peer->frame))) {
        return HTTP_MHD_AGAIN;
    }
    if (!peer->held.n) {
        ssize_t n = peer->receive(connection, into, max);
        if (n > 0) {
            return judge(peer, into, (size_t)n, into, max);
        }
        if (peer->waiting == HTTP_WAIT_HANDSHAKE) { /* libmicrohttpd reads when it is over */
            http_peer_wait(peer, HTTP_WAIT_NOTHING, false);
        }
        return n;
    }
    cdn_buf_reserve(&peer->held, READ_BYTES);
    ssize_t n = peer->receive(connection, peer->held.p + peer->held.n, READ_BYTES);
    if (n <= 0) {
        return n;
    }
    peer->held.n += (size_t)n;
    peer->server->held_bytes += (size_t)n;
    return judge(peer, peer->held.p, peer->held.n, into, max);
}

/* The request that asked for an upgrade got another answer. Bytes after it were sent in vain: they are
 * no request of a client that waits, and the connection ends (RFC 6455 4.1 has it wait). */
void http_gate_go_on(struct http_peer *peer)
{
    if (!peer->frame.waits) {
        return;
    }
    http_frame_go_on(&peer->frame);
    if (peer->held.n) {
        hold(peer, NULL, 0);
        http_peer_close(peer);
        peer->verdict = HTTP_REFUSE_NONE;
        peer->refused = false;
    }
}

void http_gate_open(struct http_peer *peer)
{
    peer->frame.upgrades = peer->server->config.upgrades;
    if (peer->server->gated) {
        peer->receive = http_mhd_wrap(peer->connection, receive);
    }
}

void http_gate_close(struct http_peer *peer)
{
    peer->server->held_bytes -= peer->held.n;
    cdn_buf_free(&peer->held);
    free(peer->spare.memory);
}
