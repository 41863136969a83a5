/* site_hosts: the names of all sites of a cdn.yaml. */
#ifndef CDN_CLI_SITE_HOSTS_H
#define CDN_CLI_SITE_HOSTS_H
#include "common/status.h"

/* Tells each `hosts` of `sites`, "*.shop.example" as it is written; `path` NULL: there are none. */
enum cdn_status site_hosts_each(const char *path, void (*take)(void *arg, const char *host), void *arg,
                                struct cdn_error *err) CDN_MUST_CHECK;

#endif
