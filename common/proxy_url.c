/* proxy_url: strict, since what is misread here would send requests, or a password, to somebody
 * else. RFC 3986 has the user before the first ':' and both before the '@', of which there is one. */
#include "common/proxy_url.h"

#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define HOST_MAX_BYTES 253

static bool refuse(const char *why, const char **ret_why)
{
    *ret_why = why;
    return false;
}

static bool decode(struct cdn_str text, char into[static PROXY_URL_PART])
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int c = (unsigned char)text.p[i];
        if (c == '%') {
            const int high = i + 2 < text.n ? cdn_hex_digit(text.p[i + 1]) : -1;
            const int low = i + 2 < text.n ? cdn_hex_digit(text.p[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = high << 4 | low;
            i += 2;
        }
        if (c < ' ' || c == 0x7f || n + 1 >= PROXY_URL_PART) {
            return false;
        }
        into[n++] = (char)c;
    }
    into[n] = '\0';
    return true;
}

static bool read_user(struct cdn_str text, bool http, struct proxy_url *ret, const char **ret_why)
{
    struct cdn_str password = text;
    const struct cdn_str user = cdn_str_cut(&password, ':');
    if (!user.n) {
        return refuse("the user name is empty", ret_why);
    }
    if (!decode(user, ret->user) || (password.p && !decode(password, ret->password))) {
        return refuse(
            "user or password is longer than 255 bytes, has a control character, or a % without two "
            "hex digits",
            ret_why);
    }
    if (http && strchr(ret->user, ':')) {
        return refuse("the user name of an HTTP proxy cannot have a colon (RFC 7617)", ret_why);
    }
    ret->has_user = true;
    return true;
}

static bool is_host(struct cdn_str host)
{
    struct cdn_addr a;
    if (host.n && host.p[0] == '[') {
        const struct cdn_str inner = {host.p + 1, host.n - 2};
        return host.n > 2 && host.p[host.n - 1] == ']' && memchr(inner.p, ':', inner.n) &&
               cdn_parse_ip(inner, &a);
    }
    for (size_t i = 0; i < host.n; i++) {
        const char c = host.p[i];
        const bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
        if (!letter && !(c == '-' || c == '_' || c == '.')) {
            return false;
        }
    }
    return host.n && host.n <= HOST_MAX_BYTES && host.p[0] != '.' && host.p[0] != '-';
}

static bool read_server(const char *scheme, struct cdn_str text, struct proxy_url *ret, const char **ret_why)
{
    size_t colon = text.n;
    while (colon > 0 && text.p[colon - 1] != ':') {
        colon--;
    }
    uint64_t port;
    const struct cdn_str host = {text.p, colon ? colon - 1 : 0};
    if (!colon || !cdn_parse_u64(cdn_str_sub(text, colon), &port) || port < 1 || port > UINT16_MAX) {
        return refuse("it ends with no :PORT from 1 to 65535", ret_why);
    }
    if (!is_host(host)) {
        return refuse("HOST is neither a name nor an address (IPv6 in brackets)", ret_why);
    }
    snprintf(ret->server, sizeof(ret->server), "%s://" CDN_STR_FMT ":%u", scheme, CDN_STR_ARG(host),
             (unsigned)port);
    return true;
}

static struct cdn_str authority_of(struct cdn_str text, size_t from)
{
    struct cdn_str a = cdn_str_sub(text, from);
    a.n -= a.n && a.p[a.n - 1] == '/';
    return a;
}

/* The index of the last '@'; -1: none. */
static ptrdiff_t last_at(struct cdn_str text)
{
    ptrdiff_t i = (ptrdiff_t)text.n - 1;
    while (i >= 0 && text.p[i] != '@') {
        i--;
    }
    return i;
}

bool proxy_url_read(struct cdn_str text, struct proxy_url *ret, const char **ret_why)
{
    static const char *const schemes[] = {"socks5h", "socks5", "http"};
    struct proxy_url url = {0};
    const char *scheme = NULL;
    for (size_t i = 0; i < CDN_ARRAY_LEN(schemes) && !scheme; i++) {
        const size_t n = strlen(schemes[i]);
        if (cdn_str_eq_nocase((struct cdn_str){text.p, text.n < n ? text.n : n}, cdn_str(schemes[i])) &&
            cdn_str_starts(cdn_str_sub(text, n), CDN_STR("://"))) {
            scheme = schemes[i];
        }
    }
    if (!scheme) {
        return refuse("it begins with none of socks5h://, socks5:// and http://", ret_why);
    }
    struct cdn_str server = authority_of(text, strlen(scheme) + 3);
    const ptrdiff_t at = cdn_str_find(server, '@');
    if (at >= 0) {
        const struct cdn_str user = {server.p, (size_t)at};
        server = cdn_str_sub(server, (size_t)at + 1);
        if (cdn_str_find(server, '@') >= 0 || cdn_str_find(user, '/') >= 0) {
            return refuse("@ and / in user or password are written %40 and %2F", ret_why);
        }
        if (!read_user(user, strcmp(scheme, "http") == 0, &url, ret_why)) {
            return false;
        }
    }
    if (!read_server(scheme, server, &url, ret_why)) {
        return false;
    }
    *ret = url;
    return true;
}

void proxy_url_show(struct cdn_str text, struct cdn_buf *out)
{
    const ptrdiff_t at = last_at(text);
    if (at < 0) {
        cdn_buf_add_str(out, text);
        return;
    }
    const char *start = memmem(text.p, (size_t)at, "://", 3);
    cdn_buf_add_str(out, (struct cdn_str){text.p, start ? (size_t)(start - text.p) + 3 : 0});
    cdn_buf_add_str(out, CDN_STR("***"));
    cdn_buf_add_str(out, cdn_str_sub(text, (size_t)at));
}
