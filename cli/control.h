/* control: the admin listeners of a CDN that `up` started, for the commands that change or ask something
 * there. */
#ifndef CDN_CLI_CONTROL_H
#define CDN_CLI_CONTROL_H

#include "common/status.h"

#include <jansson.h>
#include <stdbool.h>

/* up.json of the CDN on `state` (NULL: the default folder). */
enum cdn_status control_open(const char *state, json_t **ret_up, struct cdn_error *err) CDN_MUST_CHECK;
const char *control_text(const json_t *object, const char *key); /* "" when there is none */

/* One request to a node's admin listener; `body` (borrowed, NULL: none) is sent as JSON. An answer that is no
 * success becomes an error with the answer's own words. */
enum cdn_status control_ask(const json_t *node, const char *method, const char *path, const json_t *body,
                            json_t **ret, struct cdn_error *err) CDN_MUST_CHECK;

/* The same request to every node of `kind` ("edge"; NULL: all), printed by `show`. What fails is said on
 * stderr and makes the result the last failure's status, but does not stop the others. With `json`, one
 * object {NODE: answer} is printed instead. */
struct control_request {
    const char *kind, *method, *path;
    const json_t *body;
    bool json;
    void (*show)(const char *name, const json_t *answer);
};
enum cdn_status control_all(const char *state, const struct control_request *request,
                            struct cdn_error *err) CDN_MUST_CHECK;

#endif
