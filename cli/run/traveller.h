/* traveller: who stands in for a client elsewhere: the address near a place that the command line names.
 * Requests carry it in X-Forwarded-For, which a router believes from trusted_proxies only (`up` makes
 * loopback one of them), or go over the network between the places, which tells it by a PROXY header. */
#ifndef CDN_CLI_TRAVELLER_H
#define CDN_CLI_TRAVELLER_H
#include "common/parse.h"
#include "common/status.h"

/* PLACE or IP as the command line gives it: an address, and the name of the place ("" for an address).
 * Owned by the caller. */
enum cdn_status traveller_from_text(const char *text, struct cdn_addr *ret_address, char **ret_name,
                                    struct cdn_error *err) CDN_MUST_CHECK;

#endif
