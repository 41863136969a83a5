/* settings: every setting of the network between the places, one row each (see common/config/config.h), and
 * the few that it reads of the other programs' sections, since the nodes are its ends. */
#ifndef CDN_WAN_RELAY_SETTINGS_H
#define CDN_WAN_RELAY_SETTINGS_H
#include "common/config/config.h"

#include <stddef.h>

#define WAN_SETTINGS(X)                                                                                     \
    X(ADDRESS, listen, "127.0.0.1:1080", 0, 0, NULL, RESTART, "HOST:PORT",                                  \
      "SOCKS5 listener: the user name is who one is (a place or a node), the password a profile")           \
    X(ADDRESS, admin, "", 0, 0, NULL, RESTART, "HOST:PORT", "Admin listener; default: public port + 1000")  \
    X(STRING, state, "", 0, 4096, NULL, RESTART, "DIR",                                                     \
      "Folder that keeps the ports of the places' listeners over a restart; default: none kept")            \
    X(UINT, seed, "1", 0, 1e15, NULL, RESTART, "N", "Where loss and jitter are drawn from")                 \
    X(STRING, profile, "fibre", 1, 32, NULL, RESTART, "PROFILE", "Last mile of clients that name none")     \
    X(LIST, allow, "", 0, 1000, NULL, RESTART, "HOST:PORT[=PLACE]",                                         \
      "Further targets beside the nodes of the CDN, at a place or where the origin is")                     \
    X(LIST, links, "", 0, 1000, CDN_CONFIG_MAPPINGS, RESTART, "KEY=VALUE,...",                              \
      "Relays for programs without SOCKS: listen=, to= (HOST:PORT or a node), from=, place=, profile=, "    \
      "rtt=, udp=")                                                                                         \
    X(DURATION, jitter, "0s", 0, 10000, NULL, RESTART, "TIME",                                              \
      "Mean of the delay that is drawn for each flight, beside what the profile has")                       \
    X(REAL, loss, "0", 0, 0.5, NULL, RESTART, "N",                                                          \
      "Share of segments that are lost, beside what the profile loses")                                     \
    X(SIZE, window, "3927400", 14600, 1e9, NULL, RESTART, "SIZE", "Largest window of a connection")         \
    X(SIZE, memory, "256MiB", 1048576, 1e13, NULL, RESTART, "SIZE",                                         \
      "Bytes under way of all connections together; windows shrink as it fills")                            \
    X(UINT, connections, "12000", 1, 1000000, NULL, RESTART, "N", "Connections at once; one more is reset") \
    X(DURATION, connect_timeout, "60s", 10, 3600000, NULL, RESTART, "TIME",                                 \
      "A target that does not accept for this long, or behind a cut link, is unreachable")                  \
    X(DURATION, idle_timeout, "1h", 1000, 604800000, NULL, RESTART, "TIME",                                 \
      "A connection in which nothing moves for this long is reset")                                         \
    X(DURATION, listener_idle, "1h", 0, 604800000, NULL, RESTART, "TIME",                                   \
      "A place's listener that nobody used for this long may be given back when there are 1,024")           \
    X(STRING, origin, "", 0, 2048, NULL, RESTART, "URL", "The origin, where cdn.yaml does not say")         \
    X(STRING, origin_place, "", 0, 200, NULL, RESTART, "PLACE",                                             \
      "Where the origin stands, if its own section does not say; default: where the first edge is")         \
    X(STRING, router_place, "", 0, 200, NULL, RESTART, "PLACE",                                             \
      "Where the router stands; default: beside the origin")                                                \
    X(BOOL, proxy_headers, "no", 0, 0, NULL, RESTART, "yes|no",                                             \
      "Begin connections to every node of ours by a PROXY header, whatever cdn.yaml says of its "           \
      "proxy_protocol: `pocketcdn up --wan` tells both")                                                    \
    CDN_SHARED_SETTINGS(X)

CDN_CONFIG_STRUCT(wan_settings, WAN_SETTINGS);
extern const struct cdn_config_program wan_program;

/* ---- what is read of the other programs' sections ---- */

#define WAN_PROXY_PROTOCOL(X)                                                                 \
    X(CHOICE, proxy_protocol, "no", 0, 0, "no|yes|optional", RESTART, "HOW", "Reads headers") \
    X(LIST, trusted_proxies, "", 0, 10000, CDN_CONFIG_CIDRS, RESTART, "CIDR", "Believed peers")

#define WAN_ORIGIN_PART(X)                                                                    \
    X(ADDRESS, listen, "127.0.0.1:8090", 0, 0, NULL, RESTART, "HOST:PORT", "Public listener") \
    X(ADDRESS, admin, "", 0, 0, NULL, RESTART, "HOST:PORT", "Admin listener")                 \
    X(STRING, place, "", 0, 200, NULL, RESTART, "PLACE", "Where it stands")                   \
    WAN_PROXY_PROTOCOL(X)

#define WAN_EDGE_PART(X)                                                           \
    X(STRING, name, "", 0, 63, NULL, RESTART, "NAME", "Name of the edge")          \
    X(STRING, place, "", 0, 200, NULL, RESTART, "PLACE", "Where it stands")        \
    X(STRING, listen, "", 0, 200, NULL, RESTART, "HOST:PORT", "Public listener")   \
    X(STRING, admin, "", 0, 255, NULL, RESTART, "HOST:PORT|URL", "Admin listener") \
    X(STRING, url, "", 0, 255, NULL, RESTART, "URL", "What clients are sent to")   \
    WAN_PROXY_PROTOCOL(X)

#define WAN_ROUTER_PART(X)                                                                    \
    X(ADDRESS, listen, "127.0.0.1:8080", 0, 0, NULL, RESTART, "HOST:PORT", "Public listener") \
    X(ADDRESS, admin, "", 0, 0, NULL, RESTART, "HOST:PORT", "Admin listener")                 \
    X(STRING, dns_listen, "127.0.0.1:8053", 0, 64, NULL, RESTART, "HOST:PORT|off", "DNS")     \
    X(STRING, dns_zone, "cdn.test.", 1, 253, NULL, RESTART, "NAME", "Zone")                   \
    X(STRING, dns_name, "www", 1, 253, NULL, RESTART, "NAME", "Name of the site")             \
    WAN_PROXY_PROTOCOL(X)

/* Origins that run already: `cdn: origin:` or `edge: origin:`. */
#define WAN_URL_PART(X) X(STRING, origin, "", 0, 0, NULL, RESTART, "URL", "Origin that runs already")
#define WAN_ROOT_PART(X) X(STRING, root, "", 0, 0, NULL, RESTART, "DIR", "Folder that the origin serves")

CDN_CONFIG_STRUCT(wan_origin_part, WAN_ORIGIN_PART);
CDN_CONFIG_STRUCT(wan_edge_part, WAN_EDGE_PART);
CDN_CONFIG_STRUCT(wan_router_part, WAN_ROUTER_PART);
CDN_CONFIG_STRUCT(wan_url_part, WAN_URL_PART);
CDN_CONFIG_STRUCT(wan_root_part, WAN_ROOT_PART);
extern const struct cdn_config_program wan_origin_program, wan_edge_program, wan_router_program,
    wan_url_program, wan_root_program;

#endif
