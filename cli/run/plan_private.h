/* plan_private: what plan.c and plan_wan.c share: nodes and their command lines while a plan is made. */
#ifndef CDN_CLI_PLAN_PRIVATE_H
#define CDN_CLI_PLAN_PRIVATE_H
#include "cli/run/plan.h"
#include "common/status.h"

#include <stddef.h>

struct plan_where { /* what all nodes are described by; text borrowed, NULL counts as "" */
    const char *name, *place, *scheme, *listen, *admin, *token;
};

/* One node more, with the arguments that every program takes. CDN_IO: the program is not there. */
enum cdn_status plan_add_node(struct plan *plan, enum plan_kind kind, const struct plan_where *where,
                              const struct plan_wish *wish, struct cdn_error *err) CDN_MUST_CHECK;
/* Copies texts up to a NULL behind the arguments that the node has. */
void plan_add_args(struct plan_node *node, ...);

/* The network between the places, first of all nodes, when it is wished for; of a file that is only looked
 * at, when it has the section. */
enum cdn_status plan_wan_add(struct plan *plan, const struct plan_wish *wish, const char *state,
                             struct cdn_error *err) CDN_MUST_CHECK;
/* Tells all nodes of a whole plan to speak over it. */
struct router_settings;
enum cdn_status plan_wan_connect(struct plan *plan, const struct router_settings *router,
                                 struct cdn_error *err) CDN_MUST_CHECK;

/* When the router is a proxy, by the wish or the file, for all or for one site: all edges of a whole plan
 * trust it. After plan_tls_connect. CDN_USAGE: the wish is no mode. */
struct router_config;
enum cdn_status plan_proxy_connect(struct plan *plan, const struct plan_wish *wish,
                                   const struct router_config *config, struct cdn_error *err) CDN_MUST_CHECK;

/* Gives certificates to all listeners of a whole plan that have none of the file's, and collects the names
 * that they have to be for. */
struct router_config;
enum cdn_status plan_tls_connect(struct plan *plan, const struct authority_files *files,
                                 const struct router_config *router, struct cdn_error *err) CDN_MUST_CHECK;
/* CDN_INVALID: the URL of that edge in the file says http, which an edge with HTTPS is not reached by. */
enum cdn_status plan_tls_check_url(const struct plan *plan, size_t item, const char *url,
                                   struct cdn_error *err) CDN_MUST_CHECK;

#endif
