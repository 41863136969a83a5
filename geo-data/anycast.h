/* anycast: networks that are announced from many places at once, so that a database's one place for them says
 * where nobody in particular is: public resolvers, the root servers, large CDNs.
 *
 * Sources, as of June 2026: each resolver's own documentation of its addresses; the root hints
 * (https://www.internic.net/domain/named.root), of which each server's address is announced as a /24 or /48;
 * https://www.cloudflare.com/ips/ and https://api.fastly.com/public-ip-list. Far from all that there are.
 */
#ifndef CDN_GEO_DATA_ANYCAST_H
#define CDN_GEO_DATA_ANYCAST_H

#include <stddef.h>
#include <sys/socket.h>

/* Narrow networks stand before the wider ones around them: the first match counts. No prefix is longer than
 * 64 bits. */
#define GEO_ANYCAST_TABLE(X) /* network, whose */ \
    X("1.1.1.0/24", "Cloudflare DNS")             \
    X("1.0.0.0/24", "Cloudflare DNS")             \
    X("2606:4700:4700::/48", "Cloudflare DNS")    \
    X("8.8.8.0/24", "Google Public DNS")          \
    X("8.8.4.0/24", "Google Public DNS")          \
    X("2001:4860:4860::/48", "Google Public DNS") \
    X("9.9.9.0/24", "Quad9")                      \
    X("149.112.112.0/24", "Quad9")                \
    X("2620:fe::/48", "Quad9")                    \
    X("208.67.222.0/24", "OpenDNS")               \
    X("208.67.220.0/24", "OpenDNS")               \
    X("2620:119:35::/48", "OpenDNS")              \
    X("2620:119:53::/48", "OpenDNS")              \
    X("94.140.14.0/24", "AdGuard DNS")            \
    X("94.140.15.0/24", "AdGuard DNS")            \
    X("185.228.168.0/24", "CleanBrowsing")        \
    X("185.228.169.0/24", "CleanBrowsing")        \
    X("156.154.70.0/24", "UltraDNS Public")       \
    X("156.154.71.0/24", "UltraDNS Public")       \
    X("45.90.28.0/24", "NextDNS")                 \
    X("45.90.30.0/24", "NextDNS")                 \
    X("74.82.42.0/24", "Hurricane Electric DNS")  \
    X("198.41.0.0/24", "root server A")           \
    X("2001:503:ba3e::/48", "root server A")      \
    X("170.247.170.0/24", "root server B")        \
    X("2801:1b8:10::/48", "root server B")        \
    X("192.33.4.0/24", "root server C")           \
    X("2001:500:2::/48", "root server C")         \
    X("199.7.91.0/24", "root server D")           \
    X("2001:500:2d::/48", "root server D")        \
    X("192.203.230.0/24", "root server E")        \
    X("2001:500:a8::/48", "root server E")        \
    X("192.5.5.0/24", "root server F")            \
    X("2001:500:2f::/48", "root server F")        \
    X("192.112.36.0/24", "root server G")         \
    X("2001:500:12::/48", "root server G")        \
    X("198.97.190.0/24", "root server H")         \
    X("2001:500:1::/48", "root server H")         \
    X("192.36.148.0/24", "root server I")         \
    X("2001:7fe::/48", "root server I")           \
    X("192.58.128.0/24", "root server J")         \
    X("2001:503:c27::/48", "root server J")       \
    X("193.0.14.0/24", "root server K")           \
    X("2001:7fd::/48", "root server K")           \
    X("199.7.83.0/24", "root server L")           \
    X("2001:500:9f::/48", "root server L")        \
    X("202.12.27.0/24", "root server M")          \
    X("2001:dc3::/48", "root server M")           \
    X("103.21.244.0/22", "Cloudflare")            \
    X("103.22.200.0/22", "Cloudflare")            \
    X("103.31.4.0/22", "Cloudflare")              \
    X("104.16.0.0/13", "Cloudflare")              \
    X("104.24.0.0/14", "Cloudflare")              \
    X("108.162.192.0/18", "Cloudflare")           \
    X("131.0.72.0/22", "Cloudflare")              \
    X("141.101.64.0/18", "Cloudflare")            \
    X("162.158.0.0/15", "Cloudflare")             \
    X("172.64.0.0/13", "Cloudflare")              \
    X("173.245.48.0/20", "Cloudflare")            \
    X("188.114.96.0/20", "Cloudflare")            \
    X("190.93.240.0/20", "Cloudflare")            \
    X("197.234.240.0/22", "Cloudflare")           \
    X("198.41.128.0/17", "Cloudflare")            \
    X("2400:cb00::/32", "Cloudflare")             \
    X("2405:8100::/32", "Cloudflare")             \
    X("2405:b500::/32", "Cloudflare")             \
    X("2606:4700::/32", "Cloudflare")             \
    X("2803:f800::/32", "Cloudflare")             \
    X("2a06:98c0::/29", "Cloudflare")             \
    X("2c0f:f248::/32", "Cloudflare")             \
    X("151.101.0.0/16", "Fastly")                 \
    X("199.232.0.0/16", "Fastly")                 \
    X("2a04:4e40::/32", "Fastly")                 \
    X("2a04:4e42::/32", "Fastly")

struct geo_anycast {
    const char *network; /* "8.8.8.0/24" */
    const char *text;    /* "Google Public DNS" */
    unsigned prefix_len;
    int family;
    unsigned char address[16]; /* of the network, network order */
};

/* The network that an address is in, or NULL. IPv4-mapped IPv6 counts as IPv4. Thread-safe; static rows. */
const struct geo_anycast *geo_anycast(const struct sockaddr *address);
size_t geo_anycast_count(void);
const struct geo_anycast *geo_anycast_at(size_t i); /* i < geo_anycast_count() */

#endif
