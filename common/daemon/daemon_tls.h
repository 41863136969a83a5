/* daemon_tls: the certificates of a daemon's public listener, at the start and at a reload.
 *
 * A reload reads all files again, judges them, and hands the new set to every worker, whose listener gives it
 * to new connections; old ones keep theirs. Whatever is wrong with the files is found before anything
 * changes. A listener cannot begin or cease to speak TLS while it is open.
 *
 * A new set goes to each worker as a message, since a listener is touched by its own thread only.
 */
#ifndef CDN_COMMON_DAEMON_TLS_H
#define CDN_COMMON_DAEMON_TLS_H
#include "common/http/server/http_server.h"
#include "common/http/server/tls_set.h"
#include "common/loop.h"
#include "common/status.h"

/* For a reload of a daemon that has `now` (NULL: no TLS): the set of the new settings, as
 * cdn_tls_set_read(); CDN_CONFLICT when that would turn TLS on or off. */
enum cdn_status daemon_tls_reread(const struct cdn_tls_set *now, const char *const *certificates,
                                  const char *const *keys, struct cdn_tls_set **ret,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* To one worker: `server` is where it keeps its server, NULL once that is gone. */
void daemon_tls_give(struct cdn_tls_set *set, struct loop *loop, struct http_server *const *server);

#endif
