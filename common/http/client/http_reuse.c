/* Which connections may be used again, and for how long idle ones are kept.
 *
 * What comes on a connection without a request under way is no answer to the next one (RFC 9112 9.2): an
 * answer too many, a 408 before closing, the rest of a body longer than announced. libcurl 7.88 takes it for
 * the next answer. So
 *  - an idle connection on which anything happens is shut down, and libcurl finds it dead;
 *  - just before a request is sent the socket is looked at once more, and on one that is not silent the
 *    request is not sent but begun again on a fresh connection. For a plain connection libcurl 7.88.1 does
 *    that, by the poll() with which it takes an idle one (http_client_reuse has rows for it);
 *  - bytes after an answer that came in the same read are seen by libcurl alone, which throws them away and
 *    keeps the connection when the answer had no body or a chunked one. It says so in its trace only, which
 *    is therefore listened to for such answers. A unit test (http_client_reuse) breaks if it falls silent.
 *
 * TLS: records are not taken apart. Any that wait at an idle HTTP/1.1 connection end it. A server sends its
 * session tickets with the handshake, before the first answer, so they are read with that and spend no
 * connection. What GnuTLS has read but libcurl has not is asked for too. On a new connection tickets may
 * wait, so only plain ones are judged then. HTTP/2 names the request of each frame and needs none of this.
 *
 * libcurl cannot be told to close a connection. Shutting the socket down ends it for the server; libcurl
 * closes the descriptor when it next looks for a connection. */
#include "common/http/client/http_client.h"
#include "common/http/client/http_client_private.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)

/* ---- the list of idle connections ---- */

void http_reuse_unlist(struct http_socket *s)
{
    if (!s->listed) {
        return;
    }
    struct http_client *client = s->client;
    *(s->previous ? &s->previous->next : &client->first_idle) = s->next;
    *(s->next ? &s->next->previous : &client->last_idle) = s->previous;
    client->idle_count--;
    s->listed = false;
}

void http_reuse_retire(struct http_socket *s)
{
    http_reuse_unlist(s);
    http_socket_unwatch(s);
    s->retired = true;
    shutdown(s->watch.fd, SHUT_RDWR);
}

static void start_idle_timer(struct http_client *client)
{
    if (client->first_idle && !client->idle_timer.heap_index) {
        loop_timer_start_at(client->loop, &client->idle_timer,
                            client->first_idle->idle_since_ns + client->config.keep_idle_ms * NS_PER_MS);
    }
}

void http_reuse_idle_fired(struct loop_timer *timer)
{
    struct http_client *client = CDN_CONTAINER_OF(timer, struct http_client, idle_timer);
    const int64_t before = loop_mono_ns(client->loop) - client->config.keep_idle_ms * NS_PER_MS;
    while (client->first_idle && client->first_idle->idle_since_ns <= before) {
        http_reuse_retire(client->first_idle);
    }
    start_idle_timer(client);
}

static void list(struct http_socket *s)
{
    struct http_client *client = s->client;
    const int64_t now = loop_mono_ns(client->loop);
    if (now - s->born_ns >= client->config.lifetime_ms * NS_PER_MS) {
        http_reuse_retire(s);
        return;
    }
    s->idle_since_ns = now;
    s->next = NULL;
    s->previous = client->last_idle;
    *(client->last_idle ? &client->last_idle->next : &client->first_idle) = s;
    client->last_idle = s;
    client->idle_count++;
    s->listed = true;
    if (!s->watched) { /* a pause had ended that */
        s->watch.events = EPOLLIN;
        s->watched = loop_fd_add(client->loop, &s->watch, NULL) == CDN_OK;
    }
    if (client->idle_count > client->config.max_idle) {
        http_reuse_retire(client->first_idle);
    }
    start_idle_timer(client);
}

/* ---- the descriptor of a connection: libcurl tells its ports only ---- */

void http_reuse_link(struct http_socket *s)
{
    struct http_socket **slot = &s->client->by_port[s->local_port % HTTP_PORT_SLOTS];
    s->previous_by_port = NULL;
    s->next_by_port = *slot;
    if (*slot) {
        (*slot)->previous_by_port = s;
    }
    *slot = s;
}

void http_reuse_unlink(struct http_socket *s)
{
    if (!s->kept) {
        return;
    }
    struct http_socket **slot = &s->client->by_port[s->local_port % HTTP_PORT_SLOTS];
    *(s->previous_by_port ? &s->previous_by_port->next_by_port : slot) = s->next_by_port;
    if (s->next_by_port) {
        s->next_by_port->previous_by_port = s->previous_by_port;
    }
}

/* Once connected, the ports are known for good. */
static void learn_ends(struct http_socket *s)
{
    struct cdn_addr here = {0};
    struct cdn_addr there = {0};
    socklen_t here_n = sizeof(here);
    socklen_t there_n = sizeof(there);
    if (getsockname(s->watch.fd, &here.sa, &here_n) != 0 ||
        getpeername(s->watch.fd, &there.sa, &there_n) != 0) {
        return;
    }
    const bool six = there.sa.sa_family == AF_INET6;
    inet_ntop(there.sa.sa_family, six ? (void *)&there.v6.sin6_addr : (void *)&there.v4.sin_addr,
              s->remote_ip, sizeof(s->remote_ip));
    http_reuse_unlink(s);
    s->remote_port = (int)cdn_addr_port(&there);
    s->local_port = (int)cdn_addr_port(&here);
    http_reuse_link(s);
}

static struct http_socket *find_by_ends(const struct http_client *client, const struct http_ends *ends)
{
    for (struct http_socket *s = client->by_port[0], *next; s; s = next) {
        next = s->next_by_port;
        if (!s->local_port) {
            learn_ends(s);
        }
    }
    struct http_socket *s = client->by_port[ends->local_port % HTTP_PORT_SLOTS];
    /* through a proxy libcurl mixes the ends that it tells; all sockets lead to the proxy there */
    const bool by_port = client->proxy != NULL;
    while (s && (s->local_port != ends->local_port ||
                 (!by_port &&
                  (s->remote_port != ends->remote_port || strcmp(s->remote_ip, ends->remote_ip) != 0)))) {
        s = s->next_by_port;
    }
    return s;
}

/* ---- a fetch and its connection ---- */

static struct http_socket *socket_of(const struct http_fetch *fetch)
{
    struct http_socket *s = fetch->socket_id ? http_socket_find(fetch->client, fetch->curl_socket) : NULL;
    return s && s->id == fetch->socket_id ? s : NULL;
}

void http_reuse_leave(struct http_fetch *fetch)
{
    struct http_socket *s = socket_of(fetch);
    fetch->socket_id = 0;
    if (s && --s->users == 0 && s->idle && !s->retired) {
        list(s);
    }
}

bool http_reuse_used(const struct http_fetch *fetch)
{
    const struct http_socket *s = socket_of(fetch);
    return s && s->uses > 1;
}

static bool is_tls(const struct http_fetch *fetch)
{
    return fetch->now.origin.n > 5 && (fetch->now.origin.p[4] | 0x20) == 's'; /* http, https */
}

static gnutls_session_t tls_session(CURL *easy)
{
    struct curl_tlssessioninfo *info = NULL;
    curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &info);
    return info && info->backend == CURLSSLBACKEND_GNUTLS ? info->internals : NULL;
}

static bool speaks_h2(gnutls_session_t session)
{
    gnutls_datum_t name;
    return session && gnutls_alpn_get_selected_protocol(session, &name) == 0 && name.size == 2 &&
           memcmp(name.data, "h2", 2) == 0;
}

/* > 0: a byte waits; 0: the peer has closed; < 0: silence. */
static int look(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 ? (errno == EAGAIN || errno == EWOULDBLOCK ? -1 : 0) : (int)n;
}

enum http_reuse http_reuse_take(struct http_fetch *fetch, const struct http_ends *ends)
{
    struct http_socket *s = find_by_ends(fetch->client, ends);
    http_reuse_leave(fetch);
    if (!s) {
        return HTTP_REUSE_GO;
    }
    fetch->curl_socket = s->watch.fd;
    fetch->socket_id = s->id;
    http_reuse_unlist(s);
    s->users++;
    s->uses++;
    const bool tls = is_tls(fetch);
    gnutls_session_t session = tls ? tls_session(fetch->easy) : NULL;
    s->multiplexed |= s->uses == 1 && speaks_h2(session);
    if (s->multiplexed || (s->uses == 1 && tls)) {
        return HTTP_REUSE_GO;
    }
    if (s->uses == 1) {
        return !s->retired && look(s->watch.fd) > 0 ? HTTP_REUSE_SPOKE_FIRST : HTTP_REUSE_GO;
    }
    const bool silent = !tls || (look(s->watch.fd) < 0 && !(session && gnutls_record_check_pending(session)));
    if (silent && !s->retired) {
        return HTTP_REUSE_GO;
    }
    http_reuse_retire(s);
    return HTTP_REUSE_STALE;
}

/* ---- bytes after an answer ---- */

static int on_trace(CURL *easy, curl_infotype type, char *text, size_t n, void *arg)
{
    (void)arg;
    const struct cdn_str line = {text, n};
    if (type == CURLINFO_TEXT && (cdn_str_starts(line, CDN_STR("Excess found")) ||
                                  cdn_str_starts(line, CDN_STR("Leftovers after chunking")))) {
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    return 0;
}

void http_reuse_attach(CURL *easy, struct http_fetch *fetch)
{
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_trace);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, fetch);
}

/* libcurl drops a connection by itself whose body goes beyond a Content-Length. */
void http_reuse_watch_excess(struct http_fetch *fetch, const struct http_fetch_head *head)
{
    if (head->version < 20 && (head->content_length <= 0 || head->status == 304 || !fetch->now.plain_get)) {
        fetch->now.plain_get = false; /* the next fetch sets its options anew */
        curl_easy_setopt(fetch->easy, CURLOPT_VERBOSE, 1L);
    }
}
