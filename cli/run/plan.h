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
#include <stdbool.h>
#include <stddef.h>

#define PLAN_NODE_KINDS(X) X(WAN, "wan") X(ORIGIN, "origin") X(EDGE, "edge") X(ROUTER, "router")
enum plan_kind {
#define X(name, word) PLAN_##name,
    PLAN_NODE_KINDS(X)
#undef X
};
const char *plan_kind_word(enum plan_kind kind);

#define PLAN_ARGS_MAX 32

struct plan_node {
    enum plan_kind kind;
    char *name;           /* "origin", "fra", "router", "wan" */
    char *place;          /* "" when none is known */
    char *url;            /* public, "http://127.0.1.1:8088"; of the network "socks5h://127.0.0.1:1080" */
    char *admin;          /* "http://127.0.1.1:9088"; of an external origin its URL */
    char *token;          /* of the admin listener; "": none */
    bool external;        /* an origin that runs already: watched, neither started nor stopped */
    bool has_certificate; /* of the file's: its public listener speaks TLS */
    char *argv[PLAN_ARGS_MAX];
};

struct plan {
    struct plan_node
        *nodes; /* in the order of starting: the network if there is one, origin, edges, router */
    size_t n;
    char *config; /* path of the cdn.yaml */
    char *origin_url;
    char *releases;     /* the folder of releases that the origin serves, absolute; NULL: none */
    char *dns;          /* the router's listener for DNS, "off" for none */
    bool default_edges; /* the file names none: these are the built-in ones */
    char *authority;    /* with wish->tls: what clients are told to trust; */
    char *bundle;       /* that, and what the system trusts; */
    char **names;       /* and all that a listener may be called: DNS names and addresses */
    size_t name_count;
};

struct authority_files;
struct plan_wish { /* what the command line says on top; NULL: nothing */
    const char *config;
    const char *root;
    const char *releases; /* folder of published releases, with a root or without */
    const char *origin;   /* URL of an origin that runs already */
    const char *mode;     /* of the router: "redirect", "proxy" */
    bool wan;             /* start the network between the places, and have all nodes speak over it */
    const struct authority_files *tls; /* serve HTTPS with these on all public listeners */
    bool only_look; /* for addressing what runs already: no programs, no checks, no need of an origin */
};

#define PLAN_EDGES_MAX 200

struct plan_ports {
    const char *router_host;
    unsigned router, origin, edges;
    unsigned first_edge; /* the first edge's address is 127.0.1.first_edge, and so on */
    unsigned wan;        /* of the network, beside the router; moved ports: PLAN_WAN_ABOVE the router's */
    bool one_host;       /* all edges on router_host, each on a port of its own, from `edges` on */
};
#define PLAN_WAN_ABOVE 9u
#define PLAN_HOST_SIZE 64u
extern const struct plan_ports plan_default_ports;
unsigned plan_dns_port(const struct plan_ports *ports); /* the router's, for DNS */

/* A cdn.yaml of the built-in edges; `root` or `origin` as in struct plan_wish. */
void plan_default_yaml(const struct plan_wish *wish, const struct plan_ports *ports, struct cdn_buf *out);

/* The usual ports, all moved by as much as the router's is to become `router`. CDN_USAGE: out of range. */
enum cdn_status plan_ports_move(unsigned router, struct plan_ports *ret,
                                struct cdn_error *err) CDN_MUST_CHECK;

/* All edges on the router's address: cookies belong to a host, whatever its port. The origin goes behind
 * them. CDN_USAGE: there are no such ports. */
enum cdn_status plan_ports_one_host(struct plan_ports *ports, struct cdn_error *err) CDN_MUST_CHECK;
/* Where the built-in edge number `i` listens. */
void plan_edge_at(const struct plan_ports *ports, unsigned i, char ret_host[static PLAN_HOST_SIZE],
                  unsigned *ret_port);

/* Reads wish->config and checks all that can be known before anything starts (plan_check). `state` is the
 * folder for caches. Errors name file, line and key, or the missing program. */
enum cdn_status plan_read(const struct plan_wish *wish, const char *state, struct plan **ret,
                          struct cdn_error *err) CDN_MUST_CHECK;
void plan_destroy(struct plan *plan);

/* Places, overrides and databases; the folder to serve; the origin's URL; no two listeners on one address.
 * Called by plan_read. */
struct origin_settings;
struct router_config;
enum cdn_status plan_check(const struct plan *plan, const char *root, const struct origin_settings *origin,
                           const struct router_config *router, struct cdn_error *err) CDN_MUST_CHECK;
/* CDN_CONFLICT names the first listener whose address somebody has. */
enum cdn_status plan_check_free(const struct plan *plan, struct cdn_error *err) CDN_MUST_CHECK;

/* A look whether all addresses of the built-in edges are free with these ports. */
bool plan_ports_free(const struct plan_ports *ports);

/* The plan as up.json has it, without pids; tokens are in it. */
json_t *plan_json(const struct plan *plan);

#endif
