/* proxy_settings: the rows of settings.h that say what the public listener does: it sends clients to
 * edges, or hands their requests over itself (router/proxy). */
#ifndef CDN_ROUTER_PROXY_SETTINGS_H
#define CDN_ROUTER_PROXY_SETTINGS_H

enum router_mode { ROUTER_MODE_REDIRECT, ROUTER_MODE_PROXY };         /* as in the choices of `mode` */
enum router_upgrade { ROUTER_UPGRADE_TUNNEL, ROUTER_UPGRADE_REFUSE }; /* of `upgrade` */

#define ROUTER_TRIES_MAX 8

#define PROXY_SETTINGS(X)                                                                                  \
    X(CHOICE, mode, "redirect", 0, 0, "redirect|proxy", RUNTIME, "MODE",                                   \
      "What the public listener does: redirect: it sends clients to their edges; proxy: it hands their "   \
      "requests to the edges, so that all is under one name")                                              \
    X(STRING, proxy_name, "router", 1, 63, NULL, RESTART, "NAME",                                          \
      "Name of this router in Via, CDN-Loop and Proxy-Status, as a proxy")                                 \
    X(UINT, proxy_tries, "3", 1, ROUTER_TRIES_MAX, NULL, RUNTIME, "N",                                     \
      "Edges that a request is handed to, one after the other, until one answers")                         \
    X(DURATION, proxy_avoid, "2s", 0, 3600000, NULL, RUNTIME, "TIME",                                      \
      "An edge that could not be reached, or broke off, gets no requests for this long while another can " \
      "serve")                                                                                             \
    X(DURATION, proxy_connect_timeout, "2s", 1, 3600000, NULL, RESTART, "TIME",                            \
      "Time-out for connecting to an edge")                                                                \
    X(DURATION, proxy_first_byte_timeout, "60s", 1, 3600000, NULL, RESTART, "TIME",                        \
      "Time-out for the head of an edge's answer")                                                         \
    X(DURATION, proxy_idle_timeout, "60s", 1, 3600000, NULL, RESTART, "TIME",                              \
      "Time-out between two pieces of an edge's answer")                                                   \
    X(UINT, proxy_connections, "1024", 1, 1e6, NULL, RESTART, "N", "Connections to edges of each thread")  \
    X(UINT, proxy_idle_connections, "128", 1, 1e6, NULL, RESTART, "N",                                     \
      "Idle connections to edges that each thread keeps")                                                  \
    X(STRING, proxy_ca, "", 0, 4096, NULL, RESTART, "FILE",                                                \
      "CA certificates for edges with https URLs; default: the system's")                                  \
    X(SIZE, max_body, "1GiB", 0, 1e15, NULL, RUNTIME, "SIZE", "Largest request body that is handed on")    \
    X(CHOICE, upgrade, "tunnel", 0, 0, "tunnel|refuse", RUNTIME, "HOW",                                    \
      "Requests for WebSocket, as a proxy: a tunnel through the edge, or 501")                             \
    X(UINT, upgrade_connections, "1000", 1, 1e6, NULL, RESTART, "N",                                       \
      "WebSocket tunnels open at once in each thread; more are answered 503")                              \
    X(DURATION, upgrade_idle, "5m", 1000, 86400000, NULL, RESTART, "TIME",                                 \
      "A tunnel in which nothing moves for this long is closed")

#endif
