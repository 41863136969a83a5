/* http_browser: what a web page can make its visitor's browser send here, and how it is told apart.
 *
 * A browser on this machine reaches loopback for any page that it shows: <img>, forms and fetch(no-cors) send
 * GET, and POST with three media types, without asking first (Fetch, CORS-safelisted requests). Scripts
 * cannot set Origin, Sec-Fetch-* and Host, nor add a field of their own without a preflight, which nothing
 * here ever grants. A name that points at loopback (DNS rebinding) makes the page's host equal to ours, so
 * Host is looked at too. Pure but for http_browser_read.
 */
#ifndef CDN_COMMON_HTTP_BROWSER_H
#define CDN_COMMON_HTTP_BROWSER_H
#include "common/str.h"

#include <stdbool.h>

struct http_browser {
    bool page;    /* a page sent it: not a program, and not the user by typing the address */
    bool foreign; /* a page of another site or host */
    bool typed;   /* there is a Content-Type */
    bool json;    /* and it is JSON's, which no page sends without asking first */
};

/* Adds what one field says; begin with a zeroed struct. `host`: the request's own. */
void http_browser_field(struct http_browser *b, struct cdn_str host, struct cdn_str name,
                        struct cdn_str value);
struct http_request;
void http_browser_read(struct http_request *req, struct http_browser *ret);

/* Whether "host[:port]" names this machine's loopback: an address of it, or `localhost`. No Host at all is
 * fine: browsers send one. */
bool http_browser_is_loopback(struct cdn_str authority);

#endif
