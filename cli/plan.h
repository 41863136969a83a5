/* plan: which processes make up a CDN and with which command lines. Read from a cdn.yaml; starts nothing.
 *
 * Without a file of the user's, plan_write_default makes one (the built-in sites, this machine's loopback
 * addresses): then there is one way only from a file to processes, and everybody can read what runs.
 */
#ifndef CDN_CLI_PLAN_H
#define CDN_CLI_PLAN_H

#include "common/status.h"
#include "common/str.h"

#include <jansson.h>

#define PLAN_NODE_KINDS(X) X(ORIGIN, "origin") X(EDGE, "edge") X(ROUTER, "router")
enum plan_kind {
#define X(name, word) PLAN_##name,
    PLAN_NODE_KINDS(X)
#undef X
};
const char *plan_kind_word(enum plan_kind kind);

#define PLAN_ARGS_MAX 24

struct plan_node {
    enum plan_kind kind;
    char *name;  /* "origin", "fra", "router" */
    char *place; /* "" when none is known */
    char *url;   /* public, "http://127.0.1.1:8088" */
    char *admin; /* "http://127.0.1.1:9088" */
    char *argv[PLAN_ARGS_MAX];
};

struct plan {
    struct plan_node *nodes; /* in the order of starting: origin, edges, router */
    size_t n;
    char *config; /* path of the cdn.yaml */
    char *origin_url;
};

struct plan_wish { /* what the command line says on top; NULL: nothing */
    const char *config;
    const char *root;
    const char *origin; /* URL of an origin that runs already */
};

#define PLAN_EDGES_MAX 200

struct plan_ports {
    const char *router_host;
    unsigned router, origin, edges;
    unsigned first_edge; /* the first edge's address is 127.0.1.first_edge, and so on */
};
extern const struct plan_ports plan_default_ports;
unsigned plan_dns_port(const struct plan_ports *ports); /* the router's, for DNS */

/* A cdn.yaml of the built-in edges; `root` or `origin` as in struct plan_wish. */
void plan_default_yaml(const struct plan_wish *wish, const struct plan_ports *ports, struct cdn_buf *out);

/* Reads wish->config. `state` is the folder for caches. Errors name file, line and key, or the missing
 * program. */
enum cdn_status plan_read(const struct plan_wish *wish, const char *state, struct plan **ret,
                          struct cdn_error *err) CDN_MUST_CHECK;
void plan_destroy(struct plan *plan);

/* The plan as up.json has it, without pids. */
json_t *plan_json(const struct plan *plan);

#endif
