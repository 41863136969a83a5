/* admin: the verbs of the admin listener beside those that every daemon has: listeners of places, faults of
 * links, and how far it is from one place to another. */
#include "common/daemon/daemon.h"
#include "common/http/server/http_server.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "wan/relay/relay.h"
#include "wan/wan_private.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/banned.h"

static void show_listeners(void *self, struct http_request *req, json_t *body)
{
    const struct wan *wan = self;
    (void)body;
    daemon_answer_json(req, 200, json_pack("{s:o}", "listeners", wan_relay_listeners_json(wan->relay)));
}

static void make_listener(void *self, struct http_request *req, json_t *body)
{
    struct wan *wan = self;
    const char *place = NULL, *profile = "";
    struct cdn_addr address;
    struct cdn_error err;
    json_error_t why;
    if (!body ||
        json_unpack_ex(body, &why, JSON_STRICT, "{s:s, s?s}", "place", &place, "profile", &profile)) {
        cdn_error_set(&err, CDN_INVALID,
                      "listeners: {\"place\":\"Tokyo\"} is expected, or with a \"profile\":\"4g\"");
        daemon_answer_error(req, &err);
        return;
    }
    if (wan_relay_listen(wan->relay, place, profile, &address, &err) != CDN_OK) {
        daemon_answer_error(req, &err);
        return;
    }
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format(&address, text);
    CDN_AUTOFREE char *proxy = cdn_asprintf("socks5h://%s", text);
    daemon_answer_json(req, 200, json_pack("{s:s}", "proxy", proxy));
}

static void show_faults(void *self, struct http_request *req, json_t *body)
{
    const struct wan *wan = self;
    (void)body;
    daemon_answer_json(req, 200, json_pack("{s:o}", "faults", wan_relay_faults_json(wan->relay)));
}

static void show_path(void *self, struct http_request *req, json_t *body)
{
    const struct wan *wan = self;
    CDN_AUTOFREE char *from = daemon_query(req, "from"), *to = daemon_query(req, "to"),
                      *profile = daemon_query(req, "profile");
    struct cdn_error err;
    json_t *path;
    (void)body;
    if (!from || !to) {
        cdn_error_set(&err, CDN_INVALID, "path: from=PLACE&to=PLACE is needed, each a place or a node");
        daemon_answer_error(req, &err);
    } else if (wan_relay_path_json(wan->relay, from, to, profile ? profile : "", &path, &err) != CDN_OK) {
        daemon_answer_error(req, &err);
    } else {
        daemon_answer_json(req, 200, path);
    }
}

const struct daemon_route wan_admin_routes[] = {{"GET", "/listeners", show_listeners},
                                                {"POST", "/listeners", make_listener},
                                                {"GET", "/faults", show_faults},
                                                {"GET", "/path", show_path},
                                                {NULL, NULL, NULL}};
