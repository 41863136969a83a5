/* router_private: what router.c and admin.c share. */
#ifndef CDN_ROUTER_ROUTER_PRIVATE_H
#define CDN_ROUTER_ROUTER_PRIVATE_H
#include "common/daemon/daemon.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"

#include <jansson.h>
#include <stdint.h>

struct cdn_tls_set;

struct router {
    int argc;
    char **argv;
    struct router_config config;
    char *admin_listen, *admin_token; /* the daemon borrows them for longer than a configuration lives */
    struct router_table *table;
    struct cdn_tls_set *tls; /* of the public listener; NULL: no TLS */
    struct daemon *daemon;
    struct router_server *server;
    struct dns_server *dns; /* NULL: switched off */
    struct router_health *health;
    struct router_compiler *compiler;
    struct router_watch *watch; /* of the database files */
    struct router_purges *purges;
    uint64_t reloads, reloads_failed;
    int64_t loaded_ms;             /* wall clock */
    struct cdn_error last_failure; /* of a reload; status CDN_OK: none since the last success */
};

extern const struct daemon_route router_admin_routes[]; /* admin.c */
void router_admin_status(void *self, json_t *into);
void router_admin_metrics(void *self, struct cdn_buf *out);

#endif
