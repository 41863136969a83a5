/* keep: the listeners of places in a file, so that they have the same ports after a restart. */
#ifndef CDN_WAN_RELAY_KEEP_H
#define CDN_WAN_RELAY_KEEP_H
#include "common/status.h"

struct wan_listener;

/* Nothing is kept when `folder` is "". A file that is none of ours is an error that names it. */
enum cdn_status wan_keep_load(const char *folder,
                              void (*take)(void *arg, const char *place, const char *profile, unsigned port),
                              void *arg, struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status wan_keep_save(const char *folder, const struct wan_listener *listeners,
                              struct cdn_error *err) CDN_MUST_CHECK;

#endif
