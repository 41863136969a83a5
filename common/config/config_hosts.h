/* config_hosts: the names of all sites of a cdn.yaml, for programs that do not serve them but have to know
 * what a site may be called: certificates, the network between the places, browsers. */
#ifndef CDN_COMMON_CONFIG_HOSTS_H
#define CDN_COMMON_CONFIG_HOSTS_H
#include "common/status.h"

/* Tells each of `hosts` of `sites`, "*.shop.example" as it is written but without a port; `path` NULL: there
 * are none. */
enum cdn_status cdn_config_hosts_each(const char *path, void (*take)(void *arg, const char *host), void *arg,
                                      struct cdn_error *err) CDN_MUST_CHECK;

#endif
