/* control: the admin listeners of a CDN, for the commands that change or ask something there.
 *
 * A CDN is found through the state folder of `up`, or, when its programs were started otherwise, through its
 * cdn.yaml or its router. All three give the same JSON object, that of up.json:
 *
 *     {"router": URL, "router_admin": URL, "origin": URL, "nodes": [{"kind", "name", "place", "url", "admin",
 *      "external", "token"?}]}
 *
 * With `up --tls` also "authority" and "bundle", files of certificates: what its listeners' clients have to
 * trust, and that beside what the system trusts.
 *
 * A bearer token comes from there too; POCKETCDN_ADMIN_TOKEN is stronger.
 */
#ifndef CDN_CLI_CONTROL_H
#define CDN_CLI_CONTROL_H
#include "common/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CONTROL_OPTIONS(X)                                                              \
    X(TEXT, state, 0, "DIR", "State folder of the CDN that `up` started")               \
    X(TEXT, config, 'c', "FILE", "cdn.yaml of programs that were started without `up`") \
    X(TEXT, router, 0, "URL",                                                           \
      "Admin address of their router, which knows the edges; without any: " CONTROL_ROUTER)
#define CONTROL_ROUTER "http://127.0.0.1:9080"

struct control_where { /* the values of CONTROL_OPTIONS: at most one; all NULL: `up`'s default, else
                          CONTROL_ROUTER */
    const char *state, *config, *router;
};
#define CONTROL_WHERE(options)                                 \
    (struct control_where)                                     \
    {                                                          \
        (options)->state, (options)->config, (options)->router \
    }

/* *ret is a new reference. CDN_NOT_FOUND: none runs there. */
enum cdn_status control_open(const struct control_where *where, json_t **ret,
                             struct cdn_error *err) CDN_MUST_CHECK;
/* The list of authorities by which its listeners (and all others of the web) are known; NULL: the
 * system's. */
const char *control_bundle(const json_t *cdn);
const char *control_text(const json_t *object, const char *key); /* "" when there is none */
/* The node of a name; CDN_NOT_FOUND lists those that there are (of `kind` alone unless NULL). */
enum cdn_status control_node(const json_t *cdn, const char *kind, const char *name, json_t **ret_borrowed,
                             struct cdn_error *err) CDN_MUST_CHECK;

/* One request to a node's admin listener; `body` (borrowed, NULL: none) is sent as JSON. An answer that is no
 * success becomes an error with the answer's own words. */
enum cdn_status control_ask(const json_t *node, const char *method, const char *path, const json_t *body,
                            json_t **ret, struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status control_ask_for(const json_t *node, const char *method, const char *path, const json_t *body,
                                int64_t timeout_ms, json_t **ret, struct cdn_error *err) CDN_MUST_CHECK;
void control_print(json_t *take); /* indented, on stdout */

/* The same request to every node of `kind` ("edge"; NULL: all but an external origin), or to the one called
 * `name` alone (NULL: all), printed by `show` or `show_all`. A failure does not stop the others; each kind of
 * failure is said once, with the names of the nodes, the last one in `err`. With `json`, one object {NODE:
 * answer} is printed instead. */
struct control_request {
    const char *kind, *name, *method, *path;
    const json_t *body;
    bool json;
    void (*show)(const char *name, const json_t *answer); /* each, as it comes; or */
    void (*show_all)(const json_t *answers);              /* {NODE: answer}, once */
};
enum cdn_status control_all(const json_t *cdn, const struct control_request *request,
                            struct cdn_error *err) CDN_MUST_CHECK;

#endif
