/* origin: the daemon: workers, admin listener, reload, drain.
 *
 * Threads: the main thread runs the admin listener's loop; each worker its own; one hashes large files. They
 * share what never changes (root, media types, hasher) and talk by messages. Life cycle: create (everything
 * is open and listening) -> run (until SIGTERM) -> destroy.
 */
#ifndef CDN_ORIGIN_ORIGIN_H
#define CDN_ORIGIN_ORIGIN_H
#include "common/status.h"
#include "origin/settings.h"

struct origin;

/* Takes the settings over. argc and argv are read again at each reload. */
enum cdn_status origin_create(struct origin_settings *take, int argc, char **argv, struct origin **ret,
                              struct cdn_error *err) CDN_MUST_CHECK;
/* Until told to end. CDN_UNAVAILABLE: a thread cannot be started. */
enum cdn_status origin_run(struct origin *origin, struct cdn_error *err) CDN_MUST_CHECK;
void origin_destroy(struct origin *origin); /* NULL is fine */

#endif
