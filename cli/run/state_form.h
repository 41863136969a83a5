/* state_form: what up.json may say.
 *
 * The commands send tokens to the addresses in it and name its pids, so that a file that somebody edited,
 * or a program tore, is refused whole, with the first thing in it that cannot be right. Pure.
 *
 *     {"pid", "ready", "config"?, "authority"?, "bundle"?, "origin", "router", "router_admin",
 *      "nodes": [{"kind", "name", "place", "url", "admin", "external"?, "token"?, "pid"?, "restarts"?}]}
 *
 * Other keys are left alone: a later release may write them.
 */
#ifndef CDN_CLI_STATE_FORM_H
#define CDN_CLI_STATE_FORM_H
#include "common/status.h"

#include <jansson.h>

/* CDN_CORRUPT: "FILE: nodes[2]: pid: -5 is ...". `file` begins the sentence. */
enum cdn_status state_form_check(const json_t *what, const char *file, struct cdn_error *err) CDN_MUST_CHECK;

#endif
