/* settings: every setting of an edge, one row each (see common/config/config.h). */
#ifndef CDN_EDGE_SETTINGS_H
#define CDN_EDGE_SETTINGS_H
#include "common/config/config.h"

#include <stddef.h>

#define EDGE_YEAR_MS 31536000000.0

#define EDGE_SETTINGS(X)                                                                                    \
    X(STRING, name, "edge", 0, 0, NULL, RESTART, "NAME", "Name of this edge in Cache-Status, Via, logs")    \
    X(STRING, origin, "", 0, 0, NULL, RESTART, "URL", "Origin to fetch from, http:// or https://")          \
    X(STRING, origin_host, "origin", 0, 0, NULL, RESTART, "NAME",                                           \
      "Host sent to the origin: 'origin' (the authority of --origin), 'client', or a name")                 \
    X(STRING, origin_proxy, "", 0, 1000, CDN_CONFIG_PROXY, RESTART, "URL",                                  \
      "Proxy to the origin: socks5h://[USER[:PASSWORD]@]HOST:PORT, socks5:// (names resolved here) or "     \
      "http:// (CONNECT); empty: none, whatever the environment says")                                      \
    X(ADDRESS, listen, "127.0.1.1:8088", 0, 0, NULL, RESTART, "HOST:PORT", "Public listener")               \
    X(ADDRESS, admin, "", 0, 0, NULL, RESTART, "HOST:PORT", "Admin listener; default: public port + 1000")  \
    X(STRING, place, "", 0, 0, NULL, RESTART, "NAME|LAT,LON", "Where this edge stands")                     \
    X(STRING, control, "", 0, 0, NULL, RESTART, "URL",                                                      \
      "Admin address of the router, which keeps the purge log")                                             \
    X(STRING, control_proxy, "", 0, 1000, CDN_CONFIG_PROXY, RESTART, "URL",                                 \
      "Proxy to the router, as origin_proxy")                                                               \
    X(DURATION, sync_grace, "5s", 100, 3600000, NULL, RESTART, "TIME",                                      \
      "When the router was silent for this long, every reuse is revalidated until the purge log is "        \
      "replayed")                                                                                           \
    X(UINT, threads, "0", 0, 64, NULL, RESTART, "N", "Worker threads; 0: one for each core")                \
    X(STRING, cache_dir, "", 0, 0, NULL, RESTART, "DIR",                                                    \
      "Disk cache; default: a folder in the user's cache for this name")                                    \
    X(SIZE, memory, "256MiB", 65536, 1e15, NULL, RESTART, "SIZE",                                           \
      "Memory for bodies in RAM and on their way, connections and the index; the process takes up to 32 "   \
      "MiB more (docs/edge.md)")                                                                            \
    X(DURATION, memory_wait, "10s", 1, 3600000, NULL, RESTART, "TIME",                                      \
      "How long a request that has to be fetched waits for its turn (memory, connections to the origin) "   \
      "before it is answered 503")                                                                          \
    X(SIZE, disk, "10GiB", 0, 1e15, NULL, RESTART, "SIZE", "Budget of the disk tier; 0: no disk tier")      \
    X(SIZE, memory_object, "1MiB", 4096, 1e9, NULL, RESTART, "SIZE", "Largest body that is kept in RAM")    \
    X(SIZE, slice, "1MiB", 0, 1e9, NULL, RESTART, "SIZE",                                                   \
      "Requests for a range of what is not stored are fetched and stored in slices of this size; 0: whole " \
      "objects only")                                                                                       \
    X(SIZE, abandon_size, "16MiB", 0, 1e15, NULL, RESTART, "SIZE",                                          \
      "A fetch that nobody waits for any more goes on if its body is no larger than this")                  \
    X(REAL, abandon_part, "0.8", 0, 1, NULL, RESTART, "N",                                                  \
      "... or when this part of it has arrived already")                                                    \
    X(SIZE, max_object, "5GiB", 4096, 1e15, NULL, RUNTIME, "SIZE", "Largest body that is stored at all")    \
    X(CHOICE, memory_policy, "s3fifo", 0, 0, "s3fifo|sieve|lru|fifo", RESTART, "NAME",                      \
      "Eviction policy of the RAM tier")                                                                    \
    X(CHOICE, disk_policy, "sieve", 0, 0, "s3fifo|sieve|lru|fifo", RESTART, "NAME",                         \
      "Eviction policy of the disk tier")                                                                   \
    X(UINT, variants, "32", 1, 1000, NULL, RUNTIME, "N", "Stored variants of one URL (Vary)")               \
    X(CHOICE, query, "all", 0, 0, "all|none|allow|sort", RESTART, "HOW",                                    \
      "Query in the cache key: all of it, none, only --query-allow, or sorted by name")                     \
    X(LIST, query_allow, "", 0, 0, NULL, RESTART, "NAME",                                                   \
      "Query parameters that belong to the key with --query allow")                                         \
    X(LIST, query_ignore, "", 0, 1000, NULL, RESTART, "NAME",                                               \
      "Query parameters that are neither keyed nor sent: names, 'utm_*' for all that begin like that, "     \
      "'tracking' "                                                                                         \
      "for those that advertisers add")                                                                     \
    X(SIZE, query_body, "64KiB", 0, 1048576, NULL, RUNTIME, "SIZE",                                         \
      "Answers to QUERY are stored by the request's body, too, if it has at most this; larger ones pass; "  \
      "0: all pass")                                                                                        \
    X(LIST, accept_encoding, "br,gzip", 0, 8, NULL, RESTART, "CODING",                                      \
      "Codings that the origin is asked for, if the request accepts them; 'client': as the request has it") \
    X(LIST, accept_language, "", 0, 64, NULL, RESTART, "LANGUAGE",                                          \
      "Languages that the origin has: it is asked for the one that a request wants most; empty: as the "    \
      "request has it")                                                                                     \
    X(LIST, forward_fields, "", 0, 64, NULL, RESTART, "NAME",                                               \
      "Request fields that go to the origin though they are in no key and change what some origins answer " \
      "(X-Original-URL, X-HTTP-Method-Override ...; docs/edge.md has the list)")                            \
    X(BOOL, honor_request_directives, "yes", 0, 0, NULL, RUNTIME, "yes|no",                                 \
      "Whether Cache-Control of requests (no-cache, max-age, only-if-cached ...) is obeyed")                \
    X(REAL, heuristic_fraction, "0.1", 0, 1, NULL, RUNTIME, "N",                                            \
      "Heuristic freshness: this part of the time since Last-Modified")                                     \
    X(DURATION, heuristic_max, "1d", 0, EDGE_YEAR_MS, NULL, RUNTIME, "TIME",                                \
      "Heuristic freshness: at most this")                                                                  \
    X(DURATION, stale_while_revalidate, "0s", 0, EDGE_YEAR_MS, NULL, RUNTIME, "TIME",                       \
      "Window for answers that name none: serve stale while a refresh runs in the background")              \
    X(DURATION, stale_if_error, "0s", 0, EDGE_YEAR_MS, NULL, RUNTIME, "TIME",                               \
      "Window for answers that name none: serve stale when the origin fails")                               \
    X(DURATION, stale_if_disconnected, "1d", 0, EDGE_YEAR_MS, NULL, RUNTIME, "TIME",                        \
      "How long past its lifetime an answer may be served when the origin cannot be reached")               \
    X(MAP, negative_ttl, "", 0, 0, NULL, RUNTIME, "STATUS=TIME",                                            \
      "Freshness of answers with this status that name none, such as 404=5s")                               \
    X(LIST, targeted_fields, "pocketcdn-Cache-Control,CDN-Cache-Control", 0, 0, NULL, RUNTIME, "NAME",      \
      "Targeted cache control fields, strongest first (RFC 9213)")                                          \
    X(CHOICE, cache_set_cookie, "yes", 0, 0, "no|yes|replay", RUNTIME, "HOW",                               \
      "Store answers with Set-Cookie that name a lifetime, without their cookies; no: only public, "        \
      "s-maxage "                                                                                           \
      "or targeted ones; replay: with their cookies, which then go to everybody")                           \
    X(STRING, error_page, "", 0, 1000, NULL, RUNTIME, "FILE",                                               \
      "HTML page for errors of the edge, for those who ask for HTML: {status}, {reason}, {detail} and "     \
      "{request_id} are filled in")                                                                         \
    X(BOOL, send_request_id, "no", 0, 0, NULL, RUNTIME, "yes|no",                                           \
      "Send X-Request-ID to clients, with answers that are no hits")                                        \
    X(BOOL, send_tags, "no", 0, 0, NULL, RESTART, "yes|no",                                                 \
      "Send the fields that answers can be purged by (Surrogate-Key, xkey and the like) to clients, too")   \
    X(DURATION, connect_timeout, "5s", 1, 3600000, NULL, RESTART, "TIME",                                   \
      "Time-out for connecting to the origin")                                                              \
    X(DURATION, first_byte_timeout, "30s", 1, 3600000, NULL, RESTART, "TIME",                               \
      "Time-out for the head of the origin's answer")                                                       \
    X(DURATION, idle_timeout, "30s", 1, 3600000, NULL, RESTART, "TIME",                                     \
      "Time-out between two pieces of the origin's body")                                                   \
    X(DURATION, keepalive, "60s", 1000, 86400000, NULL, RESTART, "TIME",                                    \
      "Idle time-out of client connections")                                                                \
    X(DURATION, stalled_reader, "5s", 100, 3600000, NULL, RESTART, "TIME",                                  \
      "A client that takes next to nothing for this long while others wait for it is let go")               \
    X(SIZE, max_body, "1GiB", 0, 1e15, NULL, RESTART, "SIZE",                                               \
      "Largest request body that is passed to the origin")                                                  \
    X(UINT, max_connections, "15000", 16, 1e6, NULL, RESTART, "N",                                          \
      "Client connections of each worker thread")                                                           \
    X(UINT, origin_connections, "256", 1, 10000, NULL, RESTART, "N",                                        \
      "Connections to the origin of each worker thread")                                                    \
    X(UINT, origin_idle_connections, "32", 1, 10000, NULL, RESTART, "N",                                    \
      "Idle connections to the origin that each worker thread keeps")                                       \
    X(DURATION, origin_keepalive, "60s", 1000, 86400000, NULL, RESTART, "TIME",                             \
      "Idle time-out of connections to the origin")                                                         \
    X(DURATION, origin_lifetime, "5m", 1000, 86400000, NULL, RESTART, "TIME",                               \
      "Longest life of a connection to the origin; the name is resolved again for the next one")            \
    X(DURATION, origin_retry, "1s", 0, 60000, NULL, RESTART, "TIME",                                        \
      "An origin that refuses connections is tried again for this long; 0: never")                          \
    X(CHOICE, upgrade, "tunnel", 0, 0, "tunnel|refuse", RESTART, "HOW",                                     \
      "Requests for WebSocket: a tunnel to the origin, or 501")                                             \
    X(UINT, upgrade_connections, "1000", 1, 1e6, NULL, RESTART, "N",                                        \
      "WebSocket tunnels open at once; more are answered 503")                                              \
    X(DURATION, upgrade_idle, "5m", 1000, 86400000, NULL, RESTART, "TIME",                                  \
      "A tunnel in which nothing moves for this long is closed")                                            \
    X(STRING, origin_ca, "", 0, 0, NULL, RESTART, "FILE",                                                   \
      "CA certificates for an https origin; default: the system's")                                         \
    X(BOOL, origin_insecure, "no", 0, 0, NULL, RESTART, "yes|no",                                           \
      "Do not verify the origin's certificate (tests only)")                                                \
    CDN_TLS_SETTINGS(X)                                                                                     \
    X(STRING, access_log, "", 0, 4096, NULL, RESTART, "FILE",                                               \
      "Access log, '-' for standard output; empty: none. SIGHUP opens the file again")                      \
    X(CHOICE, access_log_format, "json", 0, 0, "clf|combined|json", RESTART, "NAME",                        \
      "Lines of the access log: Common Log Format, that with referrer and agent, or JSON objects")          \
    X(LIST, compress, "br,zstd,gzip", 0, 4, NULL, RESTART, "CODING",                                        \
      "Codings that stored answers are compressed with for those who accept them: br, zstd, gzip; "         \
      "'none': none")                                                                                       \
    X(LIST, compress_types,                                                                                 \
      "text/*,application/javascript,application/json,application/manifest+json,application/xml,"           \
      "application/xhtml+xml,application/rss+xml,application/atom+xml,application/ld+json,"                 \
      "application/wasm,image/svg+xml,image/x-icon,font/ttf,font/otf",                                      \
      0, 64, NULL, RESTART, "TYPE", "Media types that are worth compressing; 'text/*' is all text types")   \
    X(SIZE, compress_min, "1KiB", 64, 1e9, NULL, RESTART, "SIZE", "Smaller bodies are not compressed")      \
    X(UINT, compress_gzip_level, "6", 1, 9, NULL, RESTART, "N", "Effort of gzip; 9 is the most")            \
    X(UINT, compress_br_level, "6", 0, 11, NULL, RESTART, "N", "Effort of Brotli; 11 is the most")          \
    X(UINT, compress_zstd_level, "6", 1, 19, NULL, RESTART, "N",                                            \
      "Effort of Zstandard; 19 is the most, and takes 80 MiB for a large body")                             \
    X(STRING, rate_limit, "off", 0, 32, NULL, RUNTIME, "N/s",                                               \
      "Requests of one network of clients: 100/s, 6000/m, 10/h or off; over it 429 with Retry-After")       \
    X(UINT, rate_burst, "0", 0, 1000000, NULL, RUNTIME, "N",                                                \
      "So many of them at once; 0: a second's worth, at least one")                                         \
    X(STRING, rate_networks, "24,48", 0, 16, NULL, RUNTIME, "N,N",                                          \
      "Addresses that count as one client: those with these first bits equal, of IPv4 and IPv6")            \
    X(CHOICE, over_limit, "refuse", 0, 0, "refuse|cached-only", RUNTIME, "HOW",                             \
      "Over rate_limit: 429 for all, or hits and stale answers still, and 429 for what must be fetched")    \
    X(STRING, miss_limit, "off", 0, 32, NULL, RUNTIME, "N/s",                                               \
      "Requests of one network that need the origin; over it stale answers where there are such, else 429") \
    X(UINT, miss_burst, "0", 0, 1000000, NULL, RUNTIME, "N", "So many of them at once; 0: as rate_burst")   \
    X(LIST, geo_db, "embedded", 0, 8, NULL, RUNTIME, "FILE",                                                \
      "Geo databases (.mmdb) for rules that ask where clients are: each field from the first that has it; " \
      "embedded: the built-in one")                                                                         \
    X(LIST, purge_allow, "127.0.0.0/8,::1", 0, 1000, CDN_CONFIG_CIDRS, RUNTIME, "CIDR",                     \
      "Networks that may send PURGE to the public listener")                                                \
    X(STRING, purge_token, "", 0, 1024, CDN_CONFIG_SECRET, RUNTIME, "TOKEN",                                \
      "Bearer token that allows PURGE from anywhere")                                                       \
    X(STRING, url, "", 0, 255, NULL, RESTART, "URL",                                                        \
      "Where the router sends clients; default: http://LISTEN, with TLS https://LISTEN")                    \
    X(UINT, weight, "1", 0, 10000, NULL, RESTART, "N", "For the router: share among edges of one place")    \
    X(UINT, capacity, "0", 0, 1000000000, NULL, RESTART, "N",                                               \
      "For the router: requests a second; 0: no limit")                                                     \
    CDN_SHARED_SETTINGS(X)

CDN_CONFIG_STRUCT(edge_settings, EDGE_SETTINGS);
extern const struct cdn_config_program edge_program;

#endif
