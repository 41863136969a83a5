/* http_client: the client's turn: what libcurl reports is handled in one place after its functions
 * have returned, because it forbids to remove a transfer from inside of its callbacks. Ended
 * fetches are settled by the loop, so no caller is called back from within its own call. */
#include "common/http/client/http_client.h"

#include "common/http/client/http_client_private.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/proxy_url.h"
#include "common/status.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define SPARE_FETCHES 32

const char *http_fetch_error_word(enum http_fetch_error e)
{
    static const char *const words[] = {
#define X(name, word) word,
        HTTP_FETCH_ERRORS(X)
#undef X
    };
    return words[e];
}

/* ---- libcurl's timer on the loop ---- */

void http_client_act(struct http_client *client, curl_socket_t socket, int events)
{
    int running;
    client->inside = true;
    curl_multi_socket_action(client->multi, socket, events, &running);
    client->inside = false;
    loop_defer(client->loop, &client->settle);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct http_client *client = arg;
    if (ms < 0) {
        loop_timer_stop(client->loop, &client->timer);
    } else {
        loop_timer_start(client->loop, &client->timer, ms * NS_PER_MS);
    }
    return 0;
}

static void timer_fired(struct loop_timer *timer)
{
    http_client_act(CDN_CONTAINER_OF(timer, struct http_client, timer), CURL_SOCKET_TIMEOUT, 0);
}

/* ---- lists ---- */

static void link_running(struct http_fetch *fetch)
{
    struct http_client *client = fetch->client;
    fetch->previous = NULL;
    fetch->next = client->running;
    if (fetch->next) {
        fetch->next->previous = fetch;
    }
    client->running = fetch;
    client->running_count++;
}

static void unlink_running(struct http_fetch *fetch)
{
    struct http_client *client = fetch->client;
    *(fetch->previous ? &fetch->previous->next : &client->running) = fetch->next;
    if (fetch->next) {
        fetch->next->previous = fetch->previous;
    }
    client->running_count--;
}

static void unlink_settling(struct http_fetch *fetch)
{
    struct http_fetch **at = &fetch->client->settling;
    while (fetch->settling && *at != fetch) {
        at = &(*at)->next_settling;
    }
    if (fetch->settling) {
        *at = fetch->next_settling;
        fetch->settling = false;
    }
}

void http_fetch_settle(struct http_fetch *fetch)
{
    struct http_client *client = fetch->client;
    if (!fetch->settling) {
        fetch->settling = true;
        fetch->next_settling = client->settling;
        client->settling = fetch;
    }
    loop_defer(client->loop, &client->settle);
}

/* Of an upgraded connection libcurl 7.88 does not tell the server's end while our half is paused: it only
 * stops reading. It stops for that or because we paused it. */
void http_fetch_unwatched(CURL *easy)
{
    char *private = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct http_fetch *fetch = (struct http_fetch *)(void *)private;
    if (fetch && fetch->switched && fetch->phase == HTTP_FETCH_BODY && !fetch->paused_receive) {
        fetch->peer_ended = true;
        http_fetch_settle(fetch);
    }
}

/* Out of libcurl; its struct stays. */
static void detach(struct http_fetch *fetch)
{
    struct http_client *client = fetch->client;
    loop_timer_stop(client->loop, &fetch->timer);
    unlink_settling(fetch);
    fetch->switched = false;
    if (fetch->added) {
        client->inside = true; /* may write to a peer or close, and calls on_socket */
        curl_multi_remove_handle(client->multi, fetch->easy);
        client->inside = false;
        fetch->added = false;
    }
    http_reuse_leave(fetch);
}

static void take_out(struct http_fetch *fetch)
{
    detach(fetch);
    fetch->phase = HTTP_FETCH_OVER;
    unlink_running(fetch);
}

static void recycle(struct http_fetch *fetch)
{
    struct http_client *client = fetch->client;
    if (client->spare_count >= SPARE_FETCHES) {
        http_fetch_free(fetch);
        return;
    }
    fetch->next = client->spare;
    client->spare = fetch;
    client->spare_count++;
}

/* ---- the end of a turn ---- */

static void finish(struct http_fetch *fetch, enum http_fetch_error error, const char *text)
{
    take_out(fetch);
    if (!fetch->cancelled) {
        fetch->handler->end(fetch->arg, error, text);
    }
    recycle(fetch);
}

static bool may_retry(const struct http_fetch *fetch, enum http_fetch_error error)
{
    const bool unsent = (error == HTTP_FETCH_CONNECT || error == HTTP_FETCH_PROXY) && !fetch->asked;
    const bool unanswered = error == HTTP_FETCH_CLOSED && fetch->repeatable && !fetch->resent &&
                            fetch->phase == HTTP_FETCH_ASKING && !fetch->interim_given;
    return !fetch->cancelled && (unsent || unanswered) &&
           loop_mono_ns(fetch->client->loop) + fetch->rest_ns < fetch->retry_until_ns;
}

static void add(struct http_fetch *fetch)
{
    if (curl_multi_add_handle(fetch->client->multi, fetch->easy) == CURLM_OK) {
        fetch->added = true;
    } else {
        http_fetch_fail(fetch, HTTP_FETCH_CONNECT, "libcurl took no further transfer");
        http_fetch_settle(fetch);
    }
}

/* Ends the fetch, or begins it anew where that is allowed. */
static void conclude(struct http_fetch *fetch, enum http_fetch_error error, const char *text)
{
    if (fetch->again && !fetch->cancelled) {
        detach(fetch);
        http_fetch_rewind(fetch, HTTP_FETCH_CONNECTING);
        add(fetch);
    } else if (may_retry(fetch, error)) {
        detach(fetch);
        http_fetch_rewind(fetch, HTTP_FETCH_RESTING);
    } else {
        finish(fetch, error, text);
    }
}

static void take_messages(struct http_client *client)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        char *private = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        struct http_fetch *fetch = (struct http_fetch *)(void *)private;
        if (fetch->error) {
            conclude(fetch, fetch->error, fetch->text);
            continue;
        }
        enum http_fetch_error error = http_fetch_map_error(fetch, code);
        const char *text = fetch->curl_text[0] ? fetch->curl_text : curl_easy_strerror(code);
        conclude(fetch, error, error ? http_proxied_text(fetch, text) : "");
    }
}

static void resume(struct http_fetch *fetch)
{
    fetch->resume = false;
    if (!fetch->paused_receive && !fetch->paused_send) {
        return;
    }
    fetch->paused_receive = fetch->paused_send = false;
    fetch->active_ns = loop_mono_ns(fetch->client->loop);
    fetch->client->inside = true; /* calls on_data() with what it held back */
    curl_easy_pause(fetch->easy, CURLPAUSE_CONT);
    fetch->client->inside = false;
}

static void settle_one(struct http_fetch *fetch)
{
    unlink_settling(fetch);
    if (fetch->cancelled) {
        finish(fetch, HTTP_FETCH_ABORTED, "");
    } else if (fetch->error) {
        finish(fetch, fetch->error, fetch->text);
    } else if (fetch->peer_ended) {
        finish(fetch, HTTP_FETCH_NONE, "");
    } else if (!fetch->added) {
        if (fetch->phase != HTTP_FETCH_RESTING) {
            add(fetch);
        }
    } else if (fetch->resume) {
        resume(fetch);
    }
}

static void settle(struct loop_deferred *self)
{
    struct http_client *client = CDN_CONTAINER_OF(self, struct http_client, settle);
    take_messages(client);
    while (client->settling) {
        settle_one(client->settling);
        take_messages(client);
    }
}

/* ---- what others call ---- */

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void apply_defaults(struct http_client_config *c)
{
    c->max_connections = c->max_connections ? c->max_connections : 256;
    c->max_per_host = c->max_per_host ? c->max_per_host : 128;
    c->connect_timeout_ms = c->connect_timeout_ms ? c->connect_timeout_ms : 5000;
    c->first_byte_timeout_ms = c->first_byte_timeout_ms ? c->first_byte_timeout_ms : 30000;
    c->idle_timeout_ms = c->idle_timeout_ms ? c->idle_timeout_ms : 30000;
    c->max_idle = c->max_idle ? c->max_idle : 32;
    c->keep_idle_ms = c->keep_idle_ms ? c->keep_idle_ms : 60000;
    c->lifetime_ms = c->lifetime_ms ? c->lifetime_ms : 300000;
    c->max_head_bytes = c->max_head_bytes ? c->max_head_bytes : 64 * 1024;
}

enum cdn_status http_client_create(struct loop *loop, const struct http_client_config *config,
                                   struct http_client **ret, struct cdn_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    struct proxy_url proxy;
    const bool proxied = config->proxy && config->proxy[0];
    const char *why;
    if (proxied && !proxy_url_read(cdn_str(config->proxy), &proxy, &why)) {
        return cdn_error_set(err, CDN_INVALID, "the proxy cannot be used: %s", why);
    }
    CURLM *multi = curl_multi_init();
    if (!multi) {
        return cdn_error_set(err, CDN_INTERNAL, "cannot start the HTTP client");
    }
    struct http_client *client = cdn_calloc(1, sizeof(*client));
    client->loop = loop;
    client->multi = multi;
    client->config = *config;
    client->ca_file = config->ca_file ? cdn_strdup(config->ca_file) : NULL;
    client->user_agent = config->user_agent ? cdn_strdup(config->user_agent) : NULL;
    if (proxied) {
        client->proxy = cdn_malloc(sizeof(proxy));
        *client->proxy = proxy;
    }
    client->timer.fire = timer_fired;
    client->idle_timer.fire = http_reuse_idle_fired;
    client->settle.call = settle;
    apply_defaults(&client->config);
    http_sockets_attach(client, multi);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)client->config.max_connections);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)client->config.max_per_host);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)client->config.max_connections);
    *ret = client;
    return CDN_OK;
}

void http_client_destroy(struct http_client *client)
{
    if (!client) {
        return;
    }
    assert(!client->inside);
    while (client->running) {
        struct http_fetch *fetch = client->running;
        fetch->cancelled = true;
        finish(fetch, HTTP_FETCH_ABORTED, "");
    }
    while (client->spare) {
        struct http_fetch *fetch = client->spare;
        client->spare = fetch->next;
        http_fetch_free(fetch);
    }
    curl_multi_cleanup(client->multi);
    http_sockets_free(client);
    loop_timer_stop(client->loop, &client->timer);
    loop_timer_stop(client->loop, &client->idle_timer);
    loop_defer_cancel(client->loop, &client->settle);
    free(client->ca_file);
    free(client->user_agent);
    free(client->proxy);
    free(client);
}

unsigned http_client_running(const struct http_client *client)
{
    return client->running_count;
}

struct http_fetch *http_fetch_start(struct http_client *client, const struct http_fetch_request *request)
{
    struct http_fetch *fetch = client->spare;
    if (fetch) {
        client->spare = fetch->next;
        client->spare_count--;
    } else {
        fetch = http_fetch_new(client);
    }
    link_running(fetch);
    if (http_fetch_prepare(fetch, request) && !client->inside) {
        add(fetch);
    } else {
        http_fetch_settle(fetch);
    }
    return fetch;
}

void http_fetch_resume(struct http_fetch *fetch)
{
    if (fetch->phase != HTTP_FETCH_OVER) {
        fetch->resume = true;
        http_fetch_settle(fetch);
    }
}

void http_fetch_cancel(struct http_fetch *fetch)
{
    if (fetch->phase != HTTP_FETCH_OVER && !fetch->cancelled) {
        fetch->cancelled = true;
        http_fetch_settle(fetch);
    }
}

static int64_t get_us(CURL *easy, CURLINFO what)
{
    curl_off_t us = 0;
    curl_easy_getinfo(easy, what, &us);
    return us;
}

void http_fetch_times_get(struct http_fetch *fetch, struct http_fetch_times *ret)
{
    long connects = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_NUM_CONNECTS, &connects);
    int64_t tls_us = get_us(fetch->easy, CURLINFO_APPCONNECT_TIME_T);
    ret->connect_us = tls_us ? tls_us : get_us(fetch->easy, CURLINFO_CONNECT_TIME_T);
    ret->first_byte_us = get_us(fetch->easy, CURLINFO_STARTTRANSFER_TIME_T);
    ret->total_us = get_us(fetch->easy, CURLINFO_TOTAL_TIME_T);
    ret->reused = connects == 0 && ret->first_byte_us > 0;
}
