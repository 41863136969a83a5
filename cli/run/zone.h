/* zone: the names of a CDN: its DNS zone, the site's name in it, the listener that answers for them, and what
 * that answers to somebody.
 */
#ifndef CDN_CLI_ZONE_H
#define CDN_CLI_ZONE_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>

struct zone {
    char *name;          /* "cdn.test" */
    char *site;          /* "www.cdn.test" */
    bool answers;        /* false: the DNS is switched off */
    struct cdn_addr dns; /* its listener; one on all addresses by that of loopback */
};

/* Of a CDN of control_open, by its cdn.yaml. */
enum cdn_status zone_read(const json_t *cdn, struct zone *ret, struct cdn_error *err) CDN_MUST_CHECK;
/* `config`: a cdn.yaml, or NULL. */
enum cdn_status zone_read_config(const char *config, struct zone *ret, struct cdn_error *err) CDN_MUST_CHECK;
void zone_free(struct zone *zone); /* may be zeroed */

/* Hosts of a site that name no more than a machine: addresses, and localhost. */
bool zone_means_machine(struct cdn_str host);

/* The IPv4 address of a name, as told to `client`: once, by UDP, with a short limit. */
bool zone_ask(const struct zone *zone, const char *name, const struct cdn_addr *client, struct cdn_addr *ret);

#endif
