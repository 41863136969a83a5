/* http_browser: reads what a browser tells about the page that sends a request (Origin,
 * Sec-Fetch-Site, Content-Type). A page cannot leave these out or forge them, and programs other
 * than browsers do not send them: so their presence is what is judged. */
#include "common/http/server/http_browser.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_field.h"
#include "common/mem.h"
#include "common/parse.h"

#include <stddef.h>

#include "common/banned.h"

/* An Origin is a scheme and an authority, or "null" (RFC 6454 7). */
static bool is_same_origin(struct cdn_str origin, struct cdn_str host)
{
    static const struct cdn_str schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(schemes); i++) {
        struct cdn_str s = schemes[i];
        if (origin.n > s.n && cdn_str_same_nocase(origin.p, s.p, s.n)) {
            return cdn_str_eq_nocase(cdn_str_sub(origin, s.n), host);
        }
    }
    return false;
}

static bool is_json(struct cdn_str value)
{
    struct cdn_str type = http_media_type(value);
    return cdn_str_eq_nocase(type, CDN_STR("application/json")) ||
           (type.n > 17 && cdn_str_same_nocase(type.p, "application/", 12) &&
            cdn_str_eq_nocase(cdn_str_sub(type, type.n - 5), CDN_STR("+json")));
}

void http_browser_field(struct http_browser *b, struct cdn_str host, struct cdn_str name,
                        struct cdn_str value)
{
    value = cdn_str_trim(value);
    if (cdn_str_eq_nocase(name, CDN_STR("Origin"))) {
        b->page = true;
        b->foreign |= !is_same_origin(value, host);
    } else if (cdn_str_eq_nocase(name, CDN_STR("Sec-Fetch-Site"))) {
        bool none = cdn_str_eq_nocase(value, CDN_STR("none"));
        b->page |= !none;
        b->foreign |= !none && !cdn_str_eq_nocase(value, CDN_STR("same-origin"));
    } else if (cdn_str_eq_nocase(name, CDN_STR("Content-Type"))) {
        b->json = is_json(value) && (!b->typed || b->json);
        b->typed = true;
    }
}

struct reading {
    struct http_browser *browser;
    struct cdn_str host;
};

static bool read_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    const struct reading *r = arg;
    http_browser_field(r->browser, r->host, name, value);
    return true;
}

void http_browser_read(struct http_request *req, struct http_browser *ret)
{
    *ret = (struct http_browser){0};
    struct reading reading = {ret, req->host};
    http_request_each_field(req, read_field, &reading);
}

/* The host of "host", "host:port", "[v6]:port". */
static struct cdn_str host_part(struct cdn_str authority)
{
    bool bracket = authority.n && authority.p[0] == '[';
    ptrdiff_t end = cdn_str_find(authority, bracket ? ']' : ':');
    if (end >= 0) {
        authority.n = (size_t)end;
    }
    return bracket ? cdn_str_sub(authority, 1) : authority;
}

bool http_browser_is_loopback(struct cdn_str authority)
{
    struct cdn_addr address;
    struct cdn_str host = host_part(authority);
    return authority.n == 0 || cdn_str_eq_nocase(host, CDN_STR("localhost")) ||
           (cdn_parse_ip(host, &address) && cdn_addr_is_loopback(&address));
}
