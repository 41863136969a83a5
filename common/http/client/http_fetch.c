/* One fetch: its easy handle's options, what libcurl calls back, and the time-outs that libcurl does not
 * have. */
#include "common/http/client/http_client.h"
#include "common/http/client/http_client_private.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define FIRST_REST_NS (25 * NS_PER_MS) /* between two tries; doubled each time */
#define RECEIVE_BYTES \
    20479L /* libcurl adds one: 20 KiB for each handle, so 16 KiB with a head are one read */
#define SEND_BYTES 65536L
#define UPGRADED_BYTES 16384L /* of each, for upgraded connections: they are many and long */

void http_fetch_fail(struct http_fetch *fetch, enum http_fetch_error error, const char *text)
{
    if (!fetch->error) {
        fetch->error = error;
        cdn_str_copy(fetch->text, sizeof(fetch->text), cdn_str(text));
    }
}

enum http_fetch_error http_fetch_map_error(const struct http_fetch *fetch, CURLcode code)
{
    static const struct {
        CURLcode code;
        enum http_fetch_error error;
    } rows[] = {
        {CURLE_COULDNT_RESOLVE_HOST, HTTP_FETCH_RESOLVE},
        {CURLE_COULDNT_CONNECT, HTTP_FETCH_CONNECT},
        {CURLE_INTERFACE_FAILED, HTTP_FETCH_CONNECT},
        {CURLE_SSL_CONNECT_ERROR, HTTP_FETCH_TLS},
        {CURLE_PEER_FAILED_VERIFICATION, HTTP_FETCH_TLS},
        {CURLE_SSL_CACERT_BADFILE, HTTP_FETCH_TLS},
        {CURLE_SSL_CERTPROBLEM, HTTP_FETCH_TLS},
        {CURLE_SSL_CIPHER, HTTP_FETCH_TLS},
        {CURLE_SSL_ISSUER_ERROR, HTTP_FETCH_TLS},
        {CURLE_PARTIAL_FILE, HTTP_FETCH_CLOSED},
        {CURLE_GOT_NOTHING, HTTP_FETCH_CLOSED},
        {CURLE_RECV_ERROR, HTTP_FETCH_CLOSED},
        {CURLE_SEND_ERROR, HTTP_FETCH_CLOSED},
        {CURLE_SEND_FAIL_REWIND, HTTP_FETCH_CLOSED},
        {CURLE_ABORTED_BY_CALLBACK, HTTP_FETCH_ABORTED},
    };
    if (fetch->switched && code == CURLE_GOT_NOTHING) { /* libcurl counts no byte of a 1xx answer's head */
        return HTTP_FETCH_NONE;
    }
    if (code == CURLE_OK) {
        return fetch->phase == HTTP_FETCH_BODY ? HTTP_FETCH_NONE : HTTP_FETCH_CLOSED;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return fetch->phase == HTTP_FETCH_CONNECTING ? HTTP_FETCH_TIMEOUT : HTTP_FETCH_READ_TIMEOUT;
    }
    enum http_fetch_error of_proxy;
    if (http_proxied_error(fetch, code, &of_proxy)) {
        return of_proxy;
    }
    if (code == CURLE_COULDNT_CONNECT && fetch->client->no_descriptor) {
        return HTTP_FETCH_DESCRIPTORS;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        if (rows[i].code == code) {
            return rows[i].error;
        }
    }
    return HTTP_FETCH_PROTOCOL;
}

static void touch(struct http_fetch *fetch)
{
    fetch->active_ns = loop_mono_ns(fetch->client->loop);
}

/* ---- time-outs: the timer runs on; what moves only notes when ---- */

static int64_t phase_limit_ns(const struct http_fetch *fetch)
{
    const struct http_client_config *config = &fetch->client->config;
    switch (fetch->phase) {
    case HTTP_FETCH_RESTING:
        return fetch->rest_ns;
    case HTTP_FETCH_CONNECTING: /* libcurl limits connecting itself; this is for the wait for a free
                                   connection */
        return config->connect_timeout_ms * NS_PER_MS + fetch->first_byte_limit_ns;
    case HTTP_FETCH_ASKING:
        return fetch->first_byte_limit_ns;
    case HTTP_FETCH_BODY:
    case HTTP_FETCH_OVER:
        break;
    }
    return config->idle_timeout_ms * NS_PER_MS;
}

static void start_timer(struct http_fetch *fetch)
{
    loop_timer_start_at(fetch->client->loop, &fetch->timer, fetch->active_ns + phase_limit_ns(fetch));
}

/* The timer moves only when the limit is shorter than what it was started for. */
void http_fetch_enter(struct http_fetch *fetch, enum http_fetch_phase phase)
{
    fetch->phase = phase;
    touch(fetch);
    if (fetch->active_ns + phase_limit_ns(fetch) < fetch->timer.due_ns) {
        start_timer(fetch);
    }
}

static void timer_fired(struct loop_timer *timer)
{
    struct http_fetch *fetch = CDN_CONTAINER_OF(timer, struct http_fetch, timer);
    if (fetch->paused_receive || fetch->paused_send) { /* it is our side that is slow */
        touch(fetch);
    }
    if (fetch->active_ns + phase_limit_ns(fetch) > loop_mono_ns(fetch->client->loop)) {
        start_timer(fetch);
        return;
    }
    if (fetch->phase == HTTP_FETCH_RESTING) {
        http_fetch_enter(fetch, HTTP_FETCH_CONNECTING);
        start_timer(fetch);
        http_fetch_settle(fetch);
        return;
    }
    static const char *const texts[] = {[HTTP_FETCH_CONNECTING] = "no connection in time",
                                        [HTTP_FETCH_ASKING] = "no answer in time",
                                        [HTTP_FETCH_BODY] = "the answer's body stopped",
                                        [HTTP_FETCH_OVER] = ""};
    http_fetch_fail(fetch,
                    fetch->phase == HTTP_FETCH_CONNECTING ? HTTP_FETCH_TIMEOUT : HTTP_FETCH_READ_TIMEOUT,
                    texts[fetch->phase]);
    http_fetch_settle(fetch);
}

/* ---- what libcurl calls ---- */

/* libcurl is about to send the request, perhaps for a second time: it does so when a connection that was
 * used before closes without an answer. */
static bool may_ask(struct http_fetch *fetch, const struct http_ends *ends)
{
    if (fetch->cancelled) {
        return false;
    }
    if (fetch->asked && !fetch->repeatable) {
        http_fetch_fail(fetch, HTTP_FETCH_CLOSED, "the connection was closed before an answer");
        return false;
    }
    switch (http_reuse_take(fetch, ends)) {
    case HTTP_REUSE_GO:
        fetch->asked = true;
        return true;
    case HTTP_REUSE_STALE:
        fetch->again = true;
        break;
    case HTTP_REUSE_SPOKE_FIRST:
        http_fetch_fail(fetch, HTTP_FETCH_PROTOCOL, "the server answered before it was asked");
        break;
    }
    return false;
}

static int on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    (void)local_ip;
    const struct http_ends ends = {remote_ip, remote_port, local_port};
    struct http_fetch *fetch = arg;
    if (fetch->phase == HTTP_FETCH_CONNECTING) {
        http_fetch_enter(fetch, HTTP_FETCH_ASKING);
    }
    return may_ask(fetch, &ends) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static bool take_line(struct http_fetch *fetch, struct cdn_str line)
{
    struct http_fetch_head head;
    enum http_fetch_error error;
    const char *why = NULL;
    switch (http_answer_line(&fetch->answer, line, fetch->client->config.max_head_bytes,
                             fetch->client->config.upgrades, &head, &error, &why)) {
    case HTTP_ANSWER_MORE:
        return true;
    case HTTP_ANSWER_INTERIM:
        fetch->interim_given = true;
        if (fetch->handler->interim) {
            fetch->handler->interim(fetch->arg, &head);
        }
        return true;
    case HTTP_ANSWER_HEAD:
        /* RFC 9110 15.5.9: the server gave up waiting for a request before ours had come */
        if (head.status == 408 && fetch->repeatable && http_reuse_used(fetch)) {
            fetch->again = true;
            return false;
        }
        if (head.status == 417 && fetch->expecting && !fetch->body_begun) {
            http_fetch_drop_expect(fetch);
            fetch->again = true;
            return false;
        }
        fetch->switched = head.status == 101;
        if (!fetch->switched) {
            http_reuse_watch_excess(fetch, &head);
        }
        http_fetch_enter(fetch, HTTP_FETCH_BODY);
        if (fetch->handler->head) {
            fetch->handler->head(fetch->arg, &head);
        }
        return true;
    case HTTP_ANSWER_BAD:
        break;
    }
    http_fetch_fail(fetch, error, why);
    return false;
}

static size_t on_line(char *data, size_t size, size_t count, void *arg)
{
    struct http_fetch *fetch = arg;
    size_t n = size * count;
    if (fetch->cancelled) {
        return 0;
    }
    touch(fetch);
    if (fetch->phase == HTTP_FETCH_BODY) { /* a trailer field: dropped (RFC 9110 6.5.1 allows that) */
        return n;
    }
    bool good = take_line(fetch, (struct cdn_str){data, n});
    return good && !fetch->cancelled ? n : 0;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    struct http_fetch *fetch = arg;
    size_t n = size * count;
    if (fetch->cancelled) {
        return 0;
    }
    touch(fetch);
    if (!n || !fetch->handler->data || fetch->handler->data(fetch->arg, data, n)) {
        return fetch->cancelled ? 0 : n;
    }
    if (fetch->cancelled) {
        return 0;
    }
    fetch->paused_receive = true;
    return CURL_WRITEFUNC_PAUSE;
}

/* Half of an upgraded connection. What was sent before lies in the kernel: libcurl asks for more only then.
 * TLS has no such half here: libcurl's end of it is the connection's. */
static void end_sending(struct http_fetch *fetch)
{
    char *scheme = NULL;
    curl_easy_getinfo(fetch->easy, CURLINFO_SCHEME, &scheme);
    if (fetch->socket_id && scheme && strcasecmp(scheme, "http") == 0) {
        shutdown(fetch->curl_socket, SHUT_WR);
    }
}

static size_t on_send(char *into, size_t size, size_t count, void *arg)
{
    struct http_fetch *fetch = arg;
    if (fetch->cancelled) {
        return CURL_READFUNC_ABORT;
    }
    touch(fetch);
    if (fetch->phase == HTTP_FETCH_BODY && !fetch->switched &&
        !fetch->body_begun) { /* answered without it: nobody sends it now */
        fetch->now.plain_get = false;
        curl_easy_setopt(fetch->easy, CURLOPT_FORBID_REUSE, 1L);
        return 0;
    }
    fetch->body_begun = true;
    ssize_t n = fetch->read_body ? fetch->read_body(fetch->arg, into, size * count) : 0;
    if (fetch->cancelled) {
        return CURL_READFUNC_ABORT;
    }
    if (n == 0 && fetch->switched) {
        end_sending(fetch);
    }
    if (n >= 0) {
        return (size_t)n;
    }
    if (n == HTTP_STREAM_WAIT) {
        fetch->paused_send = true;
        return CURL_READFUNC_PAUSE;
    }
    http_fetch_fail(fetch, HTTP_FETCH_ABORTED, "the request's body broke off");
    return CURL_READFUNC_ABORT;
}

/* ---- options ---- */

static void set_callbacks(CURL *easy, struct http_fetch *fetch)
{
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->curl_text);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
    http_reuse_attach(easy, fetch);
}

static void set_constants(CURL *easy, const struct http_client *client)
{
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     client->config.upgrades ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    http_proxied_attach(easy, client);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, client->config.upgrades ? UPGRADED_BYTES : RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, client->config.upgrades ? UPGRADED_BYTES : SEND_BYTES);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)(client->config.keep_idle_ms / 1000 + 1));
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)((client->config.lifetime_ms + 999) / 1000));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)client->config.connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    if (client->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    }
    if (client->config.insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

struct http_fetch *http_fetch_new(struct http_client *client)
{
    CURL *easy = curl_easy_init();
    if (!easy) {
        abort(); /* out of memory, as everywhere */
    }
    struct http_fetch *fetch = cdn_calloc(1, sizeof(*fetch));
    fetch->client = client;
    fetch->easy = easy;
    fetch->timer.fire = timer_fired;
    set_callbacks(easy, fetch);
    set_constants(easy, client);
    http_sockets_attach_easy(client, easy);
    return fetch;
}

void http_fetch_free(struct http_fetch *fetch)
{
    curl_easy_cleanup(fetch->easy);
    http_answer_free(&fetch->answer);
    free(fetch->header_nodes);
    cdn_buf_free(&fetch->header_text);
    cdn_buf_free(&fetch->target);
    cdn_buf_free(&fetch->now.origin);
    curl_url_cleanup(fetch->now.url);
    free(fetch->now.local_address);
    free(fetch->now.unix_socket);
    free(fetch);
}

/* Parsed once: libcurl would do it for each request, and a client asks the same origin again and again. */
static bool set_origin(struct http_fetch *fetch, struct cdn_str origin)
{
    if (fetch->now.url && cdn_str_eq(cdn_buf_str(&fetch->now.origin), origin)) {
        return true;
    }
    CURLU *url = curl_url();
    cdn_buf_clear(&fetch->now.origin);
    cdn_buf_add_str(&fetch->now.origin, origin);
    const char *text = fetch->now.origin.p;
    bool good = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                curl_easy_setopt(fetch->easy, CURLOPT_URL, NULL) == CURLE_OK &&
                curl_easy_setopt(fetch->easy, CURLOPT_CURLU, url) == CURLE_OK;
    if (good) {
        curl_url_cleanup(fetch->now.url);
        fetch->now.url = url;
        return true;
    }
    curl_url_cleanup(url);
    cdn_buf_clear(&fetch->now.origin);
    return false;
}

/* The target is set apart from the URL: libcurl would drop an
 * empty query and refuse or rewrite some bytes. */
static bool set_url(struct http_fetch *fetch, const char *url)
{
    const char *authority = strstr(url, "://");
    if (!authority) {
        return false;
    }
    authority += 3;
    size_t n = strcspn(authority, "/?#");
    struct cdn_str target = {authority + n, strcspn(authority + n, "#")};
    for (size_t i = 0; i < target.n; i++) {
        if ((unsigned char)target.p[i] <= ' ' || (unsigned char)target.p[i] >= 0x7f) {
            return false;
        }
    }
    if (!n || !set_origin(fetch, (struct cdn_str){url, (size_t)(authority - url) + n})) {
        return false;
    }
    const char *slash = !target.n || target.p[0] != '/' ? "/" : "";
    cdn_buf_clear(&fetch->target);
    cdn_buf_add_str(&fetch->target, cdn_str(slash));
    cdn_buf_add_str(&fetch->target, target);
    return curl_easy_setopt(fetch->easy, CURLOPT_REQUEST_TARGET, fetch->target.p) == CURLE_OK;
}

/* An idle connection may be closed by the server just when we send; libcurl then sends again on another one.
 * What must not be sent twice (RFC 9110 9.2.2), or cannot be since its body is gone, gets a connection of its
 * own. */
static bool is_idempotent(const char *method)
{
    static const char *const known[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(known); i++) {
        if (strcmp(method, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void set_method(struct http_fetch *fetch, const struct http_fetch_request *request)
{
    CURL *easy = fetch->easy;
    const char *method = request->method;
    bool get = strcmp(method, "GET") == 0;
    bool plain_get = get && !request->has_body;
    if (plain_get && fetch->now.plain_get) {
        return;
    }
    fetch->now.plain_get = plain_get;
    bool head = strcmp(method, "HEAD") == 0;
    /* RFC 9110 8.6: a method that means a body says so even when it is empty */
    bool empty = !request->has_body &&
                 (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* undoes NOBODY and UPLOAD of the handle's last fetch */
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)-1);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, fetch->repeatable ? 0L : 1L);
    /* one that adds to the idle ones is closed, so that many such requests leave no heap of them */
    curl_easy_setopt(
        easy, CURLOPT_FORBID_REUSE,
        fetch->client->config.upgrades || (!fetch->repeatable && fetch->client->idle_count) ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 0L);
    fetch->read_body = NULL;
    if (head) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request->has_body || empty) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(empty ? 0 : request->body_length));
        fetch->read_body = empty ? NULL : request->read_body;
    }
    if (!get || request->has_body) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    }
}

static void set_local_address(struct http_fetch *fetch, const char *address)
{
    const char *now = fetch->now.local_address;
    if (now != address && !(now && address && strcmp(now, address) == 0)) {
        free(fetch->now.local_address);
        fetch->now.local_address = address ? cdn_strdup(address) : NULL;
        curl_easy_setopt(fetch->easy, CURLOPT_INTERFACE, address);
    }
}

/* No proxy leads to a socket of this machine. */
static void set_unix_socket(struct http_fetch *fetch, const char *path)
{
    const char *now = fetch->now.unix_socket;
    if (now != path && !(now && path && strcmp(now, path) == 0)) {
        free(fetch->now.unix_socket);
        fetch->now.unix_socket = path ? cdn_strdup(path) : NULL;
        curl_easy_setopt(fetch->easy, CURLOPT_UNIX_SOCKET_PATH, path);
        if (path) {
            curl_easy_setopt(fetch->easy, CURLOPT_PROXY, "");
            curl_easy_setopt(fetch->easy, CURLOPT_NOPROXY, "*");
        } else {
            http_proxied_attach(fetch->easy, fetch->client);
        }
    }
}

static void begin_try(struct http_fetch *fetch, enum http_fetch_phase phase)
{
    fetch->phase = phase;
    fetch->asked = fetch->again = fetch->body_begun = fetch->switched = fetch->peer_ended = false;
    fetch->paused_send = fetch->paused_receive = false;
    fetch->error = HTTP_FETCH_NONE;
    fetch->text[0] = fetch->curl_text[0] = '\0';
    http_answer_clear(&fetch->answer);
    fetch->answer.bytes = 0;
    touch(fetch);
    start_timer(fetch);
}

void http_fetch_rewind(struct http_fetch *fetch, enum http_fetch_phase phase)
{
    fetch->resent |= fetch->asked && !fetch->again;
    fetch->now.plain_get = false; /* set anew for the next fetch */
    curl_easy_setopt(fetch->easy, CURLOPT_FRESH_CONNECT, 1L);
    begin_try(fetch, phase);
    fetch->rest_ns *= phase == HTTP_FETCH_RESTING ? 2 : 1;
}

bool http_fetch_prepare(struct http_fetch *fetch, const struct http_fetch_request *request)
{
    int64_t first_byte_ms = request->first_byte_timeout_ms ? request->first_byte_timeout_ms
                                                           : fetch->client->config.first_byte_timeout_ms;
    fetch->handler = request->handler;
    fetch->arg = request->arg;
    fetch->cancelled = fetch->resume = fetch->added = fetch->resent = fetch->interim_given = false;
    fetch->expecting = request->expect_continue;
    fetch->repeatable = !request->has_body && is_idempotent(request->method);
    fetch->first_byte_limit_ns = first_byte_ms * NS_PER_MS;
    fetch->rest_ns = FIRST_REST_NS;
    fetch->retry_until_ns = loop_mono_ns(fetch->client->loop) + request->retry_ms * NS_PER_MS;
    begin_try(fetch, HTTP_FETCH_CONNECTING);
    if (!set_url(fetch, request->url)) {
        http_fetch_fail(fetch, HTTP_FETCH_PROTOCOL, "the URL cannot be used");
        return false;
    }
    set_method(fetch, request);
    curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, http_fetch_fields(fetch, request));
    set_local_address(fetch, request->local_address);
    set_unix_socket(fetch, request->unix_socket);
    if (fetch->now.total_timeout_ms != request->total_timeout_ms) {
        fetch->now.total_timeout_ms = request->total_timeout_ms;
        curl_easy_setopt(fetch->easy, CURLOPT_TIMEOUT_MS, (long)request->total_timeout_ms);
    }
    return true;
}
