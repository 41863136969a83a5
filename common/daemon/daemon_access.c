/* daemon_access: who may use the admin listener (daemon.h says the rules). Kept apart from the
 * verbs, so that no verb can forget to ask, and one place is to be read to know what a web page
 * could reach. */
#include "common/daemon/daemon.h"
#include "common/daemon/daemon_admin.h"
#include "common/http/server/http_bearer.h"
#include "common/http/server/http_browser.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/str.h"

#include <stdbool.h>

#include "common/banned.h"

bool daemon_is_reading(const struct http_request *req)
{
    return req->method == HTTP_GET || req->method == HTTP_HEAD || req->method == HTTP_OPTIONS;
}

bool daemon_has_token(const struct daemon *daemon, struct http_request *req)
{
    struct cdn_str given;
    return http_bearer_of(req, &given) && http_bearer_same(given, cdn_str(daemon->config.admin_token));
}

static bool refuse(struct http_request *req, unsigned status, const char *detail)
{
    http_respond_problem(req, status, detail);
    return false;
}

bool daemon_is_allowed(const struct daemon *daemon, struct http_request *req)
{
    bool token_needed = cdn_str(daemon->config.admin_token).n > 0;
    bool open_to_all = daemon_is_reading(req) && cdn_str_eq(req->path, CDN_STR("/health"));
    struct http_browser browser;
    struct cdn_str given;
    if (daemon_has_token(daemon, req)) {
        return true; /* no page knows it */
    }
    if (!token_needed && !http_browser_is_loopback(req->host)) {
        return refuse(req, 403, "the Host must be a loopback address or localhost");
    }
    http_browser_read(req, &browser);
    if (browser.foreign) {
        return refuse(req, 403, "a web page of another host asks (Origin or Sec-Fetch-Site)");
    }
    if (token_needed && !open_to_all) {
        daemon_answer_problem(req, 401, "a bearer token is needed",
                              "WWW-Authenticate: Bearer realm=\"pocketcdn admin\"");
        return false;
    }
    if (!daemon_is_reading(req) && !browser.json && (browser.typed || req->has_body) &&
        !http_bearer_of(req, &given)) { /* nor can a page add that unasked */
        return refuse(req, 415, "the body must be JSON and say so: Content-Type: application/json");
    }
    return true;
}
