/* rule_settings: every key of a path rule in `sites:`, one row each (see common/config/config.h). Rows with a
 * common beginning may be written together: `key: {query: none}` is `key_query: none`. A site may have any of
 * them too: they hold for its rules that say nothing else.
 *
 * What a rule and its site leave open is as the edge's own settings say; a row's default here is only shown.
 */
#ifndef CDN_EDGE_RULE_SETTINGS_H
#define CDN_EDGE_RULE_SETTINGS_H
#include "common/config/config.h"

#include <stddef.h>

#define EDGE_RULE_YEAR_MS 31536000000.0

#define EDGE_RULE_SETTINGS(X)                                                                               \
    X(STRING, path, "/", 1, 1000, NULL, RUNTIME, "PREFIX",                                                  \
      "Paths that begin like this; '/media/*.{jpg,png}' or '*.css,js': of these only what ends in one of "  \
      "the extensions")                                                                                     \
    X(LIST, origins, "", 0, 8, NULL, RUNTIME, "URL",                                                        \
      "Origins in order of preference: http://HOST, https://HOST, each with a path in front of the "        \
      "request's, or unix:/SOCKET and unix:/SOCKET:/PATH")                                                  \
    X(STRING, origin_host, "", 0, 255, NULL, RUNTIME, "NAME",                                               \
      "Host sent to the origin: 'origin' (its authority), 'client', or a name; for a unix socket 'client'") \
    X(LIST, failover, "502,503,504", 0, 16, NULL, RUNTIME, "STATUS",                                        \
      "Answers to GET and HEAD after which the next origin is asked; refused connections and time-outs "    \
      "always are")                                                                                         \
    X(STRING, health_path, "", 0, 1000, NULL, RUNTIME, "PATH",                                              \
      "Asked of every origin of the rule at health_interval; 2xx and 3xx are well. Empty: only an origin "  \
      "that failed is tried, once a second")                                                                \
    X(DURATION, health_interval, "5s", 100, 3600000, NULL, RUNTIME, "TIME", "Time between two such checks") \
    X(DURATION, health_timeout, "2s", 10, 60000, NULL, RUNTIME, "TIME", "Time-out of a check")              \
    X(UINT, health_up, "2", 1, 100, NULL, RUNTIME, "N", "Good checks in a row after which it is well")      \
    X(UINT, health_down, "3", 1, 100, NULL, RUNTIME, "N", "Bad checks in a row after which it is sick")     \
    X(DURATION, lifetime_min, "0s", 0, EDGE_RULE_YEAR_MS, NULL, RUNTIME, "TIME",                            \
      "Freshness lifetime at least, also of answers that name none; not of errors, no-store or private")    \
    X(DURATION, lifetime_max, "365d", 0, EDGE_RULE_YEAR_MS, NULL, RUNTIME, "TIME",                          \
      "Freshness lifetime at most")                                                                         \
    X(DURATION, lifetime_override, "0s", 0, EDGE_RULE_YEAR_MS, NULL, RUNTIME, "TIME",                       \
      "Freshness lifetime whatever the answer says; not of errors, no-store or private")                    \
    X(MAP, lifetime_status, "", 0, 16, NULL, RUNTIME, "STATUS=TIME",                                        \
      "Freshness lifetime of answers with this status that name none, such as 200: 1h, 404: 5s")            \
    X(DURATION, stale_while_revalidate, "0s", 0, EDGE_RULE_YEAR_MS, NULL, RUNTIME, "TIME",                  \
      "Window for answers that name none: serve stale while a refresh runs in the background")              \
    X(DURATION, stale_if_error, "0s", 0, EDGE_RULE_YEAR_MS, NULL, RUNTIME, "TIME",                          \
      "Window for answers that name none: serve stale when the origin fails")                               \
    X(DURATION, stale_if_disconnected, "1d", 0, EDGE_RULE_YEAR_MS, NULL, RUNTIME, "TIME",                   \
      "How long past its lifetime an answer may be served when no origin can be reached")                   \
    X(CHOICE, key_query, "all", 0, 0, "all|none|allow|sort|ignore", RUNTIME, "HOW",                         \
      "Query in the cache key, and as the origin is asked: all of it, none, only key_allow, sorted by "     \
      "name, or all but key_ignore")                                                                        \
    X(LIST, key_allow, "", 0, 256, NULL, RUNTIME, "NAME", "Query parameters for key_query: allow")          \
    X(LIST, key_ignore, "", 0, 256, NULL, RUNTIME, "NAME",                                                  \
      "Query parameters that are neither keyed nor sent; 'utm_*', 'tracking' as query_ignore")              \
    X(LIST, key_fields, "", 0, 8, NULL, RUNTIME, "NAME",                                                    \
      "Request fields that tell answers apart though the origin does not name them in Vary")                \
    X(LIST, key_cookies, "", 0, 8, NULL, RUNTIME, "NAME",                                                   \
      "Cookies that tell answers apart, such as a language; they are sent to the origin")                   \
    X(BOOL, key_device, "no", 0, 0, NULL, RUNTIME, "yes|no",                                                \
      "Answers differ by class of device: the origin gets CDN-Device: mobile, tablet or desktop")           \
    X(LIST, cookies_keep, "", 0, 64, NULL, RUNTIME, "NAME",                                                 \
      "Of a request's cookies only these go to the origin, and a request that has one is not answered "     \
      "from the cache; 'wp_*' is all that begin so, [] keeps none. Not said: all cookies go on, and only "  \
      "Vary: Cookie tells them apart")                                                                      \
    X(MAP, fields_set, "", 0, 32, CDN_CONFIG_VALUES, RUNTIME, "NAME=VALUE",                                 \
      "Fields of the answer in place of those of that name")                                                \
    X(MAP, fields_add, "", 0, 32, CDN_CONFIG_VALUES, RUNTIME, "NAME=VALUE",                                 \
      "Fields of the answer beside those that are there")                                                   \
    X(LIST, fields_remove, "", 0, 32, NULL, RUNTIME, "NAME", "Fields that the answer does not get")         \
    X(MAP, request_set, "", 0, 32, CDN_CONFIG_VALUES, RUNTIME, "NAME=VALUE",                                \
      "Fields of the request to the origin in place of the client's")                                       \
    X(MAP, request_add, "", 0, 32, CDN_CONFIG_VALUES, RUNTIME, "NAME=VALUE",                                \
      "Fields of the request to the origin beside the client's")                                            \
    X(LIST, request_remove, "", 0, 32, NULL, RUNTIME, "NAME",                                               \
      "Fields of the request that the origin does not get")                                                 \
    X(LIST, cors, "", 0, 32, NULL, RUNTIME, "ORIGIN",                                                       \
      "Pages that may read the answers by script: '*' for all, or origins such as https://shop.example; "   \
      "'off': nothing is added. Not said: all, for fonts, scripts and styles with content-hashed names")    \
    X(CHOICE, redirect, "no", 0, 0, "no|https", RUNTIME, "HOW",                                             \
      "https: requests by http are sent to the same URL with https (308)")                                  \
    X(BOOL, pass, "no", 0, 0, NULL, RUNTIME, "yes|no", "Nothing is answered from the cache, or stored")     \
    X(STRING, error_page, "", 0, 1000, NULL, RUNTIME, "FILE",                                               \
      "HTML page for errors of the edge, with {status}, {reason}, {detail} and {request_id}; a relative "   \
      "path is from the folder of this file")                                                               \
    X(LIST, methods, "", 0, 16, NULL, RUNTIME, "METHOD",                                                    \
      "Methods that are allowed, HEAD with GET; others get 405. Not said: all but TRACE")                   \
    X(STRING, signed_keys, "", 0, 4096, NULL, RUNTIME, "FILE",                                              \
      "Only signed URLs and cookies, as CloudFront has them; the file has the public keys (docs/sites.md)") \
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
    X(LIST, geo_fields, "", 0, 6, NULL, RUNTIME, "WORD",                                                    \
      "Where the client is, for the origin: country, region, city, latitude, longitude, asn, as "           \
      "CDN-Client-Country and so on. In the key only if key_fields or Vary name it")                        \
    X(LIST, allow_countries, "", 0, 300, NULL, RUNTIME, "CC",                                               \
      "Only clients in these countries (ISO 3166-1, such as DE); '\?\?': those whose country is not known") \
    X(LIST, deny_countries, "", 0, 300, NULL, RUNTIME, "CC", "No clients in these countries")               \
    X(CHOICE, deny_status, "451", 0, 0, "451|403", RUNTIME, "STATUS", "What those get who are kept out")

/* Words that rows begin with, and that mappings of them may have as their key. */
#define EDGE_RULE_WORDS                                                                                \
    "key", "lifetime", "stale", "origin", "health", "cookies", "fields", "request", "rules", "signed", \
        "rate", "miss", "geo", "error", "over", "allow", "deny",

/* Keys of a site beside those of its rules. */
#define EDGE_SITE_SETTINGS(X)                                                                               \
    X(LIST, hosts, "", 0, 1000, NULL, RUNTIME, "NAME",                                                      \
      "Host names of the site; '*.shop.example' is every name below it")                                    \
    X(LIST, shield, "", 0, 64, NULL, RUNTIME, "EDGE",                                                       \
      "Edges that ask the origins for all others, each for its share of the objects; 'here': those of the " \
      "asking edge's own place")                                                                            \
    X(CHOICE, mode, "default", 0, 0, "default|redirect|proxy", RUNTIME, "HOW",                              \
      "For the router: how requests for this site get to an edge; default: as router.mode says "            \
      "(docs/routing.md)")

CDN_CONFIG_STRUCT(edge_rule_settings, EDGE_RULE_SETTINGS);
CDN_CONFIG_STRUCT(edge_site_settings, EDGE_SITE_SETTINGS);
extern const struct cdn_config_program edge_rule_program;
extern const struct cdn_config_program edge_site_program;

/* Number of a row, for the array of where values came from. */
enum edge_rule_row {
#define X(type, field, ...) EDGE_RULE_ROW_##field,
    EDGE_RULE_SETTINGS(X)
#undef X
        EDGE_RULE_ROW_COUNT
};

#endif
