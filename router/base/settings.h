/* settings: what the router reads from cdn.yaml, the environment and flags, in two tables: its own
 * settings and the few that it needs of each edge.
 *
 * Edges come from `--edge` flags, else from the sequence `edges` of cdn.yaml (the edges' own keys there
 * are passed over) with what the section `edge` says of all, else they are the first ten sites of the geo
 * library on 127.0.1.1:8088, 127.0.1.2:8088, ... */
#ifndef CDN_ROUTER_SETTINGS_H
#define CDN_ROUTER_SETTINGS_H
#include "common/config/config.h"
#include "common/status.h"
#include "router/base/dns_settings.h"
#include "router/base/proxy_settings.h"
#include "router/base/sites.h"

#include <stddef.h>

#define ROUTER_SETTINGS(X)                                                                                   \
    X(ADDRESS, listen, "127.0.0.1:8080", 0, 0, NULL, RESTART, "HOST:PORT", "Public listener: redirects")     \
    X(ADDRESS, admin, "", 0, 0, NULL, RESTART, "HOST:PORT",                                                  \
      "Admin listener; default: public port + 1000, or the kernel's choice when there is no such port")      \
    X(STRING, state, "", 0, 4096, NULL, RESTART, "DIR",                                                      \
      "Folder of the purge log; default: one of the user's state for this admin port, made when first "      \
      "used; none: in memory")                                                                               \
    X(UINT, purge_keep, "100000", 1, 1e9, NULL, RESTART, "N", "Purges that the log keeps, at most")          \
    X(SIZE, purge_keep_size, "64MiB", 4096, 1e12, NULL, RESTART, "SIZE",                                     \
      "Bytes of purges that the log keeps; an edge that knows less than the rest drops everything")          \
    X(DURATION, purge_keep_age, "30d", 1000, 31536000000, NULL, RESTART, "TIME",                             \
      "How long the log keeps a purge; an edge that was away for longer drops everything")                   \
    X(UINT, threads, "0", 0, 64, NULL, RESTART, "N",                                                         \
      "Threads of the public listener; 0: one for each processor")                                           \
    X(LIST, database, "", 0, 8, NULL, RUNTIME, "FILE",                                                       \
      "Geo databases (.mmdb): each field from the first that has it; embedded: the built-in one; none: "     \
      "that alone")                                                                                          \
    X(LIST, asn_database, "", 0, 2, NULL, RUNTIME, "FILE",                                                   \
      "Older way to name databases that stand after those of `database`")                                    \
    X(STRING, default_place, "", 0, 200, NULL, RUNTIME, "PLACE",                                             \
      "City or LAT,LON for addresses of which nothing is known; empty: the first edge's")                    \
    X(MAP, overrides, "", 0, 100000, CDN_CONFIG_VALUES, RUNTIME, "KEY=ACTIONS",                              \
      "For a network, asn:N, country:CC or continent:CC: a place, edge:NAME, only:, exclude: or prefer: "    \
      "edges")                                                                                               \
    X(CHOICE, policy, "rtt", 0, 0, "rtt|distance|pinned", RUNTIME, "POLICY",                                 \
      "Which edge comes first: lowest modelled RTT, shortest distance, or the first in the configuration")   \
    X(CHOICE, redirect_status, "307", 0, 0, "307|302", RUNTIME, "STATUS",                                    \
      "Status of a redirect of GET and HEAD")                                                                \
    X(DURATION, redirect_max_age, "10s", 0, 86400000, NULL, RUNTIME, "TIME",                                 \
      "How long a client may reuse a redirect (Cache-Control: private, max-age)")                            \
    PROXY_SETTINGS(X)                                                                                        \
    X(DURATION, probe_interval, "500ms", 10, 3600000, NULL, RUNTIME, "TIME",                                 \
      "Time between two probes of an edge")                                                                  \
    X(DURATION, probe_timeout, "1s", 10, 60000, NULL, RUNTIME, "TIME",                                       \
      "A probe that takes longer has failed")                                                                \
    X(DURATION, probe_slow, "500ms", 0, 60000, NULL, RUNTIME, "TIME",                                        \
      "A probe slower than the modelled time from default_place and this has failed too; 0: any time")       \
    X(UINT, probe_up, "2", 1, 100, NULL, RUNTIME, "N",                                                       \
      "Successful probes in a row that make a sick edge healthy")                                            \
    X(UINT, probe_down, "2", 1, 100, NULL, RUNTIME, "N", "Failed probes in a row that make an edge sick")    \
    X(STRING, probe_proxy, "", 0, 1000, CDN_CONFIG_PROXY, RESTART, "URL",                                    \
      "Proxy to the edges, for probes: socks5h://[USER[:PASSWORD]@]HOST:PORT, socks5:// or http:// "         \
      "(CONNECT); empty: none")                                                                              \
    CDN_TLS_SETTINGS(X)                                                                                      \
    X(CHOICE, edge_scheme, "auto", 0, 0, "auto|http|https", RUNTIME, "SCHEME",                               \
      "Of edges that give no url; auto: https where their tls_certificate is set in this file")              \
    X(LIST, edge, "", 0, 4096, NULL, RUNTIME, "KEY=VALUE,...",                                               \
      "An edge in place of those of cdn.yaml: name=, place=, url= (or listen=), admin=, weight=, capacity=") \
    DNS_SETTINGS(X)                                                                                          \
    CDN_SHARED_SETTINGS(X)

enum router_edge_scheme { ROUTER_SCHEME_AUTO, ROUTER_SCHEME_HTTP, ROUTER_SCHEME_HTTPS };

#define ROUTER_EDGE_SETTINGS(X)                                                         \
    X(STRING, name, "", 0, 63, NULL, RUNTIME, "NAME", "Name of the edge")               \
    X(STRING, place, "", 0, 200, NULL, RUNTIME, "PLACE",                                \
      "City or LAT,LON; empty: the site that the name means")                           \
    X(STRING, listen, "", 0, 200, NULL, RUNTIME, "HOST:PORT", "Where the edge listens") \
    X(STRING, url, "", 0, 255, NULL, RUNTIME, "URL",                                    \
      "What clients are sent to; empty: http://LISTEN, https:// with TLS")              \
    X(LIST, tls_certificate, "", 0, 1000, CDN_CONFIG_ONE, RUNTIME, "FILE|DIR",          \
      "Whether the edge speaks TLS")                                                    \
    X(STRING, admin, "", 0, 255, NULL, RUNTIME, "HOST:PORT|URL",                        \
      "Admin listener, for probes; empty: the port of LISTEN + 1000")                   \
    X(UINT, weight, "1", 0, 10000, NULL, RUNTIME, "N",                                  \
      "Share among the edges of one place; 0: no new clients")                          \
    X(UINT, capacity, "0", 0, 1000000000, NULL, RUNTIME, "N",                           \
      "Load in its health report at which an edge counts as full; 0: no limit")

CDN_CONFIG_STRUCT(router_settings, ROUTER_SETTINGS);
CDN_CONFIG_STRUCT(router_edge_settings, ROUTER_EDGE_SETTINGS);

struct router_edge_entry {
    struct router_edge_settings settings; /* completed: place, url and admin are never empty */
    char *origin;                         /* "cdn.yaml: edges[fra]" */
};

struct router_config {
    struct router_settings settings;
    struct router_edge_entry *edges;
    size_t edge_count;
    struct router_sites sites;
};

extern const struct cdn_config_program router_program;

/* For the daemon: flags, environment, file. On CDN_CONFIG_DONE nothing has to be freed. */
enum cdn_status router_config_load(int argc, char **argv, struct router_config *ret,
                                   enum cdn_config_outcome *ret_outcome,
                                   struct cdn_error *err) CDN_MUST_CHECK;
/* For others who route by the same configuration: a cdn.yaml, or NULL for the built-in defaults. */
enum cdn_status router_config_read(const char *path, struct router_config *ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
void router_config_free(struct router_config *config); /* may be zeroed */

#endif
