/* dns_settings: the rows of settings.h that belong to DNS. */
#ifndef CDN_ROUTER_DNS_SETTINGS_H
#define CDN_ROUTER_DNS_SETTINGS_H

#define DNS_ANSWERS_MAX 8 /* ROUTER_ROW */

#define DNS_SETTINGS(X)                                                                                      \
    X(STRING, dns_listen, "127.0.0.1:8053", 0, 64, NULL, RESTART, "HOST:PORT|off",                           \
      "DNS listener, UDP and TCP; off: no DNS")                                                              \
    X(UINT, dns_threads, "0", 0, 64, NULL, RESTART, "N", "Threads for DNS over UDP; 0: one per processor")   \
    X(STRING, dns_zone, "cdn.test.", 1, 253, NULL, RUNTIME, "NAME",                                          \
      "Zone that the DNS listener answers for")                                                              \
    X(STRING, dns_name, "www", 1, 253, NULL, RUNTIME, "NAME",                                                \
      "Name in the zone that leads each client to its edge, like the zone's own name")                       \
    X(LIST, dns_ns, "", 0, 13, NULL, RUNTIME, "NAME[=ADDRESS]",                                              \
      "Name servers of the zone; one in the zone needs its address; none: ns1 at the listener's address")    \
    X(LIST, dns_caa, "", 0, 16, NULL, RUNTIME, "ISSUER",                                                     \
      "Certification authorities that may issue for the zone (CAA records); none: no record")                \
    X(DURATION, dns_ttl, "30s", 0, 604800000, NULL, RUNTIME, "TIME",                                         \
      "How long a resolver may keep an address, or the answer that there is none")                           \
    X(UINT, dns_answers, "1", 1, DNS_ANSWERS_MAX, NULL, RUNTIME, "N", "Nearest healthy edges in one answer") \
    X(UINT, dns_udp_size, "1232", 512, 1400, NULL, RUNTIME, "BYTES",                                         \
      "Largest answer over UDP, however much a client offers to take; none is ever fragmented")              \
    X(UINT, dns_rate, "1000", 0, 1000000, NULL, RUNTIME, "N",                                                \
      "UDP answers of one kind a second to one /24 or /56 without a DNS cookie; 0: no limit")                \
    X(UINT, dns_slip, "2", 0, 100, NULL, RUNTIME, "N",                                                       \
      "Every N-th answer above the rate is sent truncated, to be asked again over TCP; 0: none")             \
    X(LIST, dns_rate_exempt, "127.0.0.0/8,::1/128", 0, 1000, CDN_CONFIG_CIDRS, RUNTIME, "CIDR",              \
      "Networks that dns_rate does not count")                                                               \
    X(STRING, dns_cookie_secret, "", 0, 32, CDN_CONFIG_SECRET, RESTART, "HEX",                               \
      "Secret of DNS cookies, 32 hex digits, equal on all servers of one address; empty: a random one")      \
    X(STRING, dns_nsid, "", 0, 128, NULL, RUNTIME, "TEXT",                                                   \
      "How this server names itself when asked (NSID, RFC 5001); empty: not at all")                         \
    X(UINT, dns_tcp_clients, "256", 1, 60000, NULL, RESTART, "N",                                            \
      "DNS connections at a time; one more takes the place of the longest idle")                             \
    X(DURATION, dns_tcp_timeout, "10s", 10, 3600000, NULL, RESTART, "TIME",                                  \
      "A DNS connection without a whole query for this long is closed")

#endif
