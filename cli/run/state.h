/* state: the folder of one running CDN: who runs (up.json), that it runs (a lock), its logs and its caches.
 *
 * Default: $XDG_STATE_HOME/pocketcdn, else ~/.local/state/pocketcdn: caches stay over a reboot. `up`
 * holds an exclusive flock on DIR/lock as long as it lives; the file contains its pid. So a crash leaves
 * nothing that would look alive.
 */
#ifndef CDN_CLI_STATE_H
#define CDN_CLI_STATE_H
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* The folder as an absolute path, owned by the caller; `text` NULL: the default. Nothing is created. */
enum cdn_status state_path(const char *text, char **ret_path, struct cdn_error *err) CDN_MUST_CHECK;
/* Creates the folder (mode 0700) with its parents. One that is a link, another user's, or open to others for
 * writing is refused, here and when its files are read. */
enum cdn_status state_make(const char *path, struct cdn_error *err) CDN_MUST_CHECK;

/* Takes the lock and writes the own pid; keep the descriptor open. CDN_CONFLICT when another `up` has it. */
enum cdn_status state_lock(const char *path, int *ret_fd, struct cdn_error *err) CDN_MUST_CHECK;
/* After a fork: the pid that stands in the lock is this process' from now on. */
void state_lock_own(int fd);
/* The pid that holds the lock. CDN_NOT_FOUND: none runs there, or it has only just begun; CDN_REFUSED: what
 * stands there is no pid. */
enum cdn_status state_owner(const char *path, pid_t *ret, struct cdn_error *err) CDN_MUST_CHECK;

/* Whether the process has the lock open, so that it is the `up` of this folder and not another one whose
 * number the file happens to name. */
bool state_holds_lock(const char *path, pid_t pid);

/* DIR/NAME, replaced whole, whatever was there. */
enum cdn_status state_replace(const char *path, const char *name, struct cdn_str text,
                              struct cdn_error *err) CDN_MUST_CHECK;

/* DIR/up.json; its form is in state_form. */
enum cdn_status state_write(const char *path, const json_t *what, struct cdn_error *err) CDN_MUST_CHECK;
/* CDN_NOT_FOUND with a sentence when no CDN runs there. Only what this user's `up` can have written is
 * believed: anything else is CDN_CORRUPT or CDN_IO, with file, key and value. */
enum cdn_status state_read(const char *path, json_t **ret_what, struct cdn_error *err) CDN_MUST_CHECK;

#endif
