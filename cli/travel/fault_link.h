/* fault_link: `pocketcdn fault link`: cuts, delays, loses and slows between two places, at pocketcdn-
 * wan. */
#ifndef CDN_CLI_FAULT_LINK_H
#define CDN_CLI_FAULT_LINK_H
#include "cli/run/control.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>

/* `args` begin behind the word "link": nothing lists what is on, "off" alone ends all, otherwise
 * FROM-TO cut | off | KEY=VALUE... */
enum cdn_status fault_link(const struct control_where *where, const char *const *args, size_t n, bool json,
                           struct cdn_error *err) CDN_MUST_CHECK;

#endif
