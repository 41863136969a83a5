/* dns_server: DNS put together: settings, zone, sockets, threads. `router.c` knows this file only.
 *
 * The functions take NULL for a server that is switched off (dns_listen: off). Called on the control thread.
 * Life cycle: create -> start -> (prepare -> publish)* -> destroy.
 */
#ifndef CDN_ROUTER_DNS_SERVER_H
#define CDN_ROUTER_DNS_SERVER_H
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"
#include "router/dns/dns_zone.h"
#include "router/table/table.h"

#include <jansson.h>

struct dns_server;

/* Opens the sockets and builds the zone. `*ret` is NULL when DNS is
 * off. CDN_CONFLICT: the address is in use. */
enum cdn_status dns_server_create(const struct router_config *config, struct router_table *table,
                                  struct dns_server **ret, struct cdn_error *err) CDN_MUST_CHECK;
/* Starts the threads, and logs address, zone and what had to be left out of it. */
enum cdn_status dns_server_start(struct dns_server *server, struct cdn_error *err) CDN_MUST_CHECK;
/* The zone of another configuration, for dns_server_publish; `*ret` is NULL when DNS is off. */
enum cdn_status dns_server_prepare(const struct dns_server *server, const struct router_config *config,
                                   struct router_table *table, struct dns_zone **ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
/* Answers come from this zone from the next query on. The reference is consumed. */
void dns_server_publish(struct dns_server *server, struct dns_zone *take_zone);
void dns_server_metrics(const struct dns_server *server, struct cdn_buf *out);
json_t *dns_server_json(const struct dns_server *server); /* listen, zone, warnings; null when off */
void dns_server_destroy(struct dns_server *server);       /* joins the threads */

#endif
