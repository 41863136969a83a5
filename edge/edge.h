/* edge: the daemon as `main` sees it. Life cycle: create -> run (until SIGTERM) -> destroy. */
#ifndef CDN_EDGE_EDGE_H
#define CDN_EDGE_EDGE_H
#include "common/status.h"
#include "edge/base/settings.h"

struct edge;

/* Opens the cache directory and the listeners. Takes the settings over on success. `argc`, `argv` (borrowed
 * for the life of the edge) are read again at a reload. CDN_CONFLICT: the port or the cache directory is in
 * use. */
/* Whether the settings, and the files that they name, would do; says so on the standard output. */
enum cdn_status edge_check(const struct edge_settings *settings, int argc, char **argv,
                           struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status edge_create(struct edge_settings *settings, int argc, char **argv, struct edge **ret,
                            struct cdn_error *err) CDN_MUST_CHECK;
/* Until told to end. CDN_UNAVAILABLE: there is no thread for a worker, whose listener nobody would serve. */
enum cdn_status edge_run(struct edge *edge, struct cdn_error *err) CDN_MUST_CHECK;
void edge_destroy(struct edge *edge); /* NULL is fine */

#endif
