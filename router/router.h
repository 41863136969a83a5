/* router: the daemon put together: settings, table, listener, probes, admin verbs, reload.
 *
 * The control thread (the caller's) runs the admin listener, the probes and reloads; the public listener has
 * threads of its own (server.h). A reload builds a new table from flags, environment and file, and swaps it
 * in when all of it is sound; what was set at run time (drained, pinned) and what the probes know stays with
 * the edges of the same name; weights are the new file's.
 *
 * Life cycle: router_create -> router_run (returns after SIGTERM) -> router_destroy.
 */
#ifndef CDN_ROUTER_ROUTER_H
#define CDN_ROUTER_ROUTER_H
#include "common/status.h"
#include "router/base/settings.h"

struct router;

/* Takes over `config`'s contents. argc and argv are kept for reloads. */
enum cdn_status router_create(struct router_config *config, int argc, char **argv, struct router **ret,
                              struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status router_run(struct router *router, struct cdn_error *err) CDN_MUST_CHECK;
void router_destroy(struct router *router); /* NULL is fine */

#endif
