/* Requests that go through a proxy: SOCKS5, or an HTTP proxy's CONNECT, also for http:// so that a request
 * is the same bytes on either way. libcurl does it; here are its options, and what its failures mean. A
 * failure of the proxy's own is none of the origin's, and says so. */
#include "common/http/client/http_client.h"
#include "common/http/client/http_client_private.h"
#include "common/mem.h"
#include "common/proxy_url.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/banned.h"

void http_proxied_attach(CURL *easy, const struct http_client *client)
{
    const struct proxy_url *proxy = client->proxy;
    if (!proxy) {
        curl_easy_setopt(easy, CURLOPT_PROXY, "");    /* nor from the environment, */
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* which is not even searched then */
        return;
    }
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy->server);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* for every host, whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
    if (proxy->has_user) {
        curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, proxy->user);
        curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, proxy->password);
    }
}

/* RFC 1928 6, and the handshake before it. */
static enum http_fetch_error of_socks(CURL *easy)
{
    static const struct {
        CURLproxycode code;
        enum http_fetch_error error;
    } rows[] = {
        {CURLPX_REPLY_GENERAL_SERVER_FAILURE, HTTP_FETCH_UNAVAILABLE},
        {CURLPX_REPLY_NOT_ALLOWED, HTTP_FETCH_PROXY_REFUSED},
        {CURLPX_REPLY_NETWORK_UNREACHABLE, HTTP_FETCH_UNROUTABLE},
        {CURLPX_REPLY_HOST_UNREACHABLE, HTTP_FETCH_UNROUTABLE},
        {CURLPX_REPLY_CONNECTION_REFUSED, HTTP_FETCH_CONNECT},
        {CURLPX_REPLY_TTL_EXPIRED, HTTP_FETCH_TIMEOUT},
        {CURLPX_RESOLVE_HOST, HTTP_FETCH_RESOLVE},
        {CURLPX_USER_REJECTED, HTTP_FETCH_PROXY_REFUSED},
        {CURLPX_NO_AUTH, HTTP_FETCH_PROXY_REFUSED},
    };
    long code = CURLPX_OK;
    curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &code);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        if ((long)rows[i].code == code) {
            return rows[i].error;
        }
    }
    return HTTP_FETCH_PROXY_BROKEN;
}

/* libcurl 7.88 reports any answer to CONNECT but 2xx, and none, as an error of receiving. */
static enum http_fetch_error of_connect(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status < 300 || status > 599 ? HTTP_FETCH_PROXY_BROKEN
           : status >= 500              ? HTTP_FETCH_UNAVAILABLE
                                        : HTTP_FETCH_PROXY_REFUSED;
}

bool http_proxied_error(const struct http_fetch *fetch, CURLcode code, enum http_fetch_error *ret)
{
    if (!fetch->client->proxy || fetch->phase != HTTP_FETCH_CONNECTING) {
        return false;
    }
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_PROXY) {
        *ret = fetch->client->no_descriptor ? HTTP_FETCH_DESCRIPTORS : HTTP_FETCH_PROXY;
    } else if (code == CURLE_PROXY) {
        *ret = of_socks(fetch->easy);
    } else if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING) {
        *ret = of_connect(fetch->easy);
    } else {
        return false;
    }
    return true;
}

const char *http_proxied_text(struct http_fetch *fetch, const char *text)
{
    if (!fetch->client->proxy || fetch->phase != HTTP_FETCH_CONNECTING) {
        return text;
    }
    snprintf(fetch->text, sizeof(fetch->text), "through the proxy %.96s: %.130s",
             fetch->client->proxy->server, text);
    return fetch->text;
}
