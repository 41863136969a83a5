/* own_cdn: a CDN for one command alone: in a temporary folder, on free ports, ended with the command whatever
 * happens. `demo` and `compare` use it, so that they need nothing and leave nothing behind.
 */
#ifndef CDN_CLI_OWN_CDN_H
#define CDN_CLI_OWN_CDN_H
#include "common/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct own_cdn {
    char *folder; /* temporary; "root" is for the caller's files, "state" is that of `up` */
    char *root, *state, *log;
    pid_t up;
    json_t *is; /* what runs, as control_open gives it; NULL before it is ready */
};

struct own_cdn_wish {   /* what `up` is told, NULL: nothing */
    const char *config; /* then its ports are taken, not free ones */
    const char *root, *origin;
    bool wan;
    const char *allow;   /* what the network lets through beside the CDN, "HOST:PORT=PLACE" */
    const char *max_age; /* of the origin's files */
};

/* Makes the folder. own_cdn_end() is due from here on. */
enum cdn_status own_cdn_begin(const char *command, struct own_cdn *ret, struct cdn_error *err) CDN_MUST_CHECK;
/* Starts all and waits until it is ready; gives up once *interrupted is not 0. */
enum cdn_status own_cdn_start(struct own_cdn *cdn, const struct own_cdn_wish *wish,
                              const volatile int *interrupted, struct cdn_error *err) CDN_MUST_CHECK;
/* False: it did not end well, which matters to who shows that it works. */
bool own_cdn_stop(struct own_cdn *cdn);
/* Stops it, if it still runs, and removes the folder; false when that cannot be removed. */
bool own_cdn_end(struct own_cdn *cdn);

#endif
