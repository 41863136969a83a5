/* lock: one process at a time changes a store: DIR/lock, held by flock(2), so that the end of a process, of
 * whatever kind, gives it back. The file says who has it.
 */
#ifndef CDN_ORIGIN_RELEASE_LOCK_H
#define CDN_ORIGIN_RELEASE_LOCK_H
#include "common/status.h"

#include <stdint.h>

/* "who" as `what` by `name`, such as "publish" by "ada". Waits for at most `wait_ms`; `waits` (NULL is
 * fine) is told once by whom it is held. CDN_CONFLICT names the holder. The descriptor is the lock:
 * close() ends it. */
enum cdn_status release_lock_take(const char *folder, const char *what, const char *name, int64_t wait_ms,
                                  void (*waits)(const char *holder), int *ret_fd,
                                  struct cdn_error *err) CDN_MUST_CHECK;

#endif
