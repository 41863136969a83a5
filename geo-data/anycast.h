/* anycast: networks that are announced from many places at once, so that a database's one place for them says
 * where nobody in particular is: public resolvers, the root servers, large CDNs.
 *
 * Sources, as of June 2026: each resolver's own documentation of its addresses; the root hints
 * (https://www.internic.net/domain/named.root), of which each server's address is announced as a /24 or /48;
 * https://www.cloudflare.com/ips/ and https://api.fastly.com/public-ip-list. Far from all that there are.
 *
 * Added in November 2026 by hand, from general knowledge and copies in public repositories, not read from the
 * source: further resolvers and IPv6 addresses, B's old address, Google, AWS, Azure, GitHub, two of Fastly's.
 * To be checked against the scope "global" of https://www.gstatic.com/ipranges/cloud.json and the service
 * GLOBALACCELERATOR of https://ip-ranges.amazonaws.com/ip-ranges.json. Akamai and CloudFront choose a place
 * by DNS: their addresses are of one place each, and not here.
 */
#ifndef CDN_GEO_DATA_ANYCAST_H
#define CDN_GEO_DATA_ANYCAST_H
#include <sys/socket.h>

/* Narrow networks stand before the wider ones around them: the first match counts. No prefix is longer than
 * 64 bits. */
#define GEO_ANYCAST_TABLE(X) /* network, whose */   \
    X("1.1.1.0/24", "Cloudflare DNS")               \
    X("1.0.0.0/24", "Cloudflare DNS")               \
    X("2606:4700:4700::/48", "Cloudflare DNS")      \
    X("8.8.8.0/24", "Google Public DNS")            \
    X("8.8.4.0/24", "Google Public DNS")            \
    X("2001:4860:4860::/48", "Google Public DNS")   \
    X("9.9.9.0/24", "Quad9")                        \
    X("149.112.112.0/24", "Quad9")                  \
    X("2620:fe::/48", "Quad9")                      \
    X("208.67.222.0/24", "OpenDNS")                 \
    X("208.67.220.0/24", "OpenDNS")                 \
    X("2620:119:35::/48", "OpenDNS")                \
    X("2620:119:53::/48", "OpenDNS")                \
    X("94.140.14.0/24", "AdGuard DNS")              \
    X("94.140.15.0/24", "AdGuard DNS")              \
    X("185.228.168.0/24", "CleanBrowsing")          \
    X("185.228.169.0/24", "CleanBrowsing")          \
    X("156.154.70.0/24", "UltraDNS Public")         \
    X("156.154.71.0/24", "UltraDNS Public")         \
    X("45.90.28.0/24", "NextDNS")                   \
    X("45.90.30.0/24", "NextDNS")                   \
    X("74.82.42.0/24", "Hurricane Electric DNS")    \
    X("2a10:50c0::/48", "AdGuard DNS")              \
    X("2a0d:2a00:1::/48", "CleanBrowsing")          \
    X("2a0d:2a00:2::/48", "CleanBrowsing")          \
    X("64.6.64.0/24", "UltraDNS Public")            \
    X("64.6.65.0/24", "UltraDNS Public")            \
    X("2610:a1:1018::/48", "UltraDNS Public")       \
    X("2610:a1:1019::/48", "UltraDNS Public")       \
    X("2620:74:1b::/48", "UltraDNS Public")         \
    X("2620:74:1c::/48", "UltraDNS Public")         \
    X("2a07:a8c0::/48", "NextDNS")                  \
    X("2a07:a8c1::/48", "NextDNS")                  \
    X("2001:470:20::/48", "Hurricane Electric DNS") \
    X("2620:0:ccc::/48", "OpenDNS")                 \
    X("2620:0:ccd::/48", "OpenDNS")                 \
    X("76.76.2.0/24", "Control D")                  \
    X("76.76.10.0/24", "Control D")                 \
    X("2606:1a40::/48", "Control D")                \
    X("2606:1a40:1::/48", "Control D")              \
    X("194.242.2.0/24", "Mullvad DNS")              \
    X("2a07:e340::/48", "Mullvad DNS")              \
    X("77.88.8.0/24", "Yandex DNS")                 \
    X("2a02:6b8::/64", "Yandex DNS")                \
    X("2a02:6b8:0:1::/64", "Yandex DNS")            \
    X("4.2.2.0/24", "Level 3 DNS")                  \
    X("223.5.5.0/24", "AliDNS")                     \
    X("223.6.6.0/24", "AliDNS")                     \
    X("2400:3200::/48", "AliDNS")                   \
    X("2400:3200:baba::/48", "AliDNS")              \
    X("119.29.29.0/24", "DNSPod")                   \
    X("114.114.114.0/24", "114DNS")                 \
    X("114.114.115.0/24", "114DNS")                 \
    X("198.41.0.0/24", "root server A")             \
    X("2001:503:ba3e::/48", "root server A")        \
    X("170.247.170.0/24", "root server B")          \
    X("2801:1b8:10::/48", "root server B")          \
    X("199.9.14.0/24", "root server B")             \
    X("192.33.4.0/24", "root server C")             \
    X("2001:500:2::/48", "root server C")           \
    X("199.7.91.0/24", "root server D")             \
    X("2001:500:2d::/48", "root server D")          \
    X("192.203.230.0/24", "root server E")          \
    X("2001:500:a8::/48", "root server E")          \
    X("192.5.5.0/24", "root server F")              \
    X("2001:500:2f::/48", "root server F")          \
    X("192.112.36.0/24", "root server G")           \
    X("2001:500:12::/48", "root server G")          \
    X("198.97.190.0/24", "root server H")           \
    X("2001:500:1::/48", "root server H")           \
    X("192.36.148.0/24", "root server I")           \
    X("2001:7fe::/48", "root server I")             \
    X("192.58.128.0/24", "root server J")           \
    X("2001:503:c27::/48", "root server J")         \
    X("193.0.14.0/24", "root server K")             \
    X("2001:7fd::/48", "root server K")             \
    X("199.7.83.0/24", "root server L")             \
    X("2001:500:9f::/48", "root server L")          \
    X("202.12.27.0/24", "root server M")            \
    X("2001:dc3::/48", "root server M")             \
    X("103.21.244.0/22", "Cloudflare")              \
    X("103.22.200.0/22", "Cloudflare")              \
    X("103.31.4.0/22", "Cloudflare")                \
    X("104.16.0.0/13", "Cloudflare")                \
    X("104.24.0.0/14", "Cloudflare")                \
    X("108.162.192.0/18", "Cloudflare")             \
    X("131.0.72.0/22", "Cloudflare")                \
    X("141.101.64.0/18", "Cloudflare")              \
    X("162.158.0.0/15", "Cloudflare")               \
    X("172.64.0.0/13", "Cloudflare")                \
    X("173.245.48.0/20", "Cloudflare")              \
    X("188.114.96.0/20", "Cloudflare")              \
    X("190.93.240.0/20", "Cloudflare")              \
    X("197.234.240.0/22", "Cloudflare")             \
    X("198.41.128.0/17", "Cloudflare")              \
    X("2400:cb00::/32", "Cloudflare")               \
    X("2405:8100::/32", "Cloudflare")               \
    X("2405:b500::/32", "Cloudflare")               \
    X("2606:4700::/32", "Cloudflare")               \
    X("2803:f800::/32", "Cloudflare")               \
    X("2a06:98c0::/29", "Cloudflare")               \
    X("2c0f:f248::/32", "Cloudflare")               \
    X("151.101.0.0/16", "Fastly")                   \
    X("199.232.0.0/16", "Fastly")                   \
    X("2a04:4e40::/32", "Fastly")                   \
    X("2a04:4e42::/32", "Fastly")                   \
    X("34.8.0.0/16", "Google Cloud")                \
    X("34.36.0.0/16", "Google Cloud")               \
    X("34.49.0.0/16", "Google Cloud")               \
    X("34.54.0.0/16", "Google Cloud")               \
    X("34.95.64.0/18", "Google Cloud")              \
    X("34.96.64.0/18", "Google Cloud")              \
    X("34.98.64.0/18", "Google Cloud")              \
    X("34.102.128.0/17", "Google Cloud")            \
    X("34.104.27.0/24", "Google Cloud")             \
    X("34.107.128.0/17", "Google Cloud")            \
    X("34.110.128.0/17", "Google Cloud")            \
    X("34.111.0.0/16", "Google Cloud")              \
    X("34.116.0.0/21", "Google Cloud")              \
    X("34.117.0.0/16", "Google Cloud")              \
    X("34.120.0.0/16", "Google Cloud")              \
    X("34.144.192.0/18", "Google Cloud")            \
    X("34.149.0.0/16", "Google Cloud")              \
    X("34.160.0.0/16", "Google Cloud")              \
    X("35.186.192.0/18", "Google Cloud")            \
    X("35.190.0.0/18", "Google Cloud")              \
    X("35.190.64.0/19", "Google Cloud")             \
    X("35.190.112.0/20", "Google Cloud")            \
    X("35.201.64.0/18", "Google Cloud")             \
    X("35.227.192.0/18", "Google Cloud")            \
    X("35.241.0.0/18", "Google Cloud")              \
    X("35.244.128.0/17", "Google Cloud")            \
    X("107.178.240.0/20", "Google Cloud")           \
    X("130.211.4.0/22", "Google Cloud")             \
    X("2600:1901::/48", "Google Cloud")             \
    X("216.239.32.0/24", "Google DNS")              \
    X("216.239.34.0/24", "Google DNS")              \
    X("216.239.36.0/24", "Google DNS")              \
    X("216.239.38.0/24", "Google DNS")              \
    X("3.33.128.0/17", "AWS Global Accelerator")    \
    X("13.248.128.0/17", "AWS Global Accelerator")  \
    X("15.197.0.0/16", "AWS Global Accelerator")    \
    X("52.223.0.0/17", "AWS Global Accelerator")    \
    X("75.2.0.0/17", "AWS Global Accelerator")      \
    X("76.223.0.0/17", "AWS Global Accelerator")    \
    X("99.83.128.0/17", "AWS Global Accelerator")   \
    X("13.107.213.0/24", "Azure Front Door")        \
    X("13.107.246.0/24", "Azure Front Door")        \
    X("185.199.108.0/22", "GitHub Pages")           \
    X("2606:50c0:8000::/46", "GitHub Pages")        \
    X("146.75.0.0/17", "Fastly")                    \
    X("23.235.32.0/20", "Fastly")

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
