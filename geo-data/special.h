/* special: addresses that are nobody's place on Earth, by the IANA special-purpose registries (RFC 6890) and
 * the multicast and future-use blocks. A router names them instead of answering "not found". */
#ifndef CDN_GEO_DATA_SPECIAL_H
#define CDN_GEO_DATA_SPECIAL_H
#include <netinet/in.h>
#include <sys/socket.h>

/* Narrow ranges stand before the wider ones around them: the first match counts.
 * The last column is the byte at which an IPv4 address is embedded, -1 for none; Teredo's is inverted. */
#define GEO_SPECIAL_TABLE(X) /* kind, network, text, source, embedded IPv4 at */        \
    X(UNSPECIFIED, "0.0.0.0/32", "unspecified", "RFC 1122", -1)                         \
    X(THIS_NETWORK, "0.0.0.0/8", "this network", "RFC 791", -1)                         \
    X(PRIVATE, "10.0.0.0/8", "private", "RFC 1918", -1)                                 \
    X(CGNAT, "100.64.0.0/10", "carrier-grade NAT", "RFC 6598", -1)                      \
    X(LOOPBACK, "127.0.0.0/8", "loopback", "RFC 1122", -1)                              \
    X(LINK_LOCAL, "169.254.0.0/16", "link-local", "RFC 3927", -1)                       \
    X(PRIVATE, "172.16.0.0/12", "private", "RFC 1918", -1)                              \
    X(PROTOCOL, "192.0.0.0/24", "IETF protocol assignments", "RFC 6890", -1)            \
    X(DOCUMENTATION, "192.0.2.0/24", "documentation (TEST-NET-1)", "RFC 5737", -1)      \
    X(PROTOCOL, "192.31.196.0/24", "AS112", "RFC 7535", -1)                             \
    X(PROTOCOL, "192.52.193.0/24", "automatic multicast tunnelling", "RFC 7450", -1)    \
    X(SIX_TO_FOUR_RELAY, "192.88.99.0/24", "6to4 relay (deprecated)", "RFC 7526", -1)   \
    X(PRIVATE, "192.168.0.0/16", "private", "RFC 1918", -1)                             \
    X(PROTOCOL, "192.175.48.0/24", "AS112 direct delegation", "RFC 7534", -1)           \
    X(BENCHMARKING, "198.18.0.0/15", "benchmarking", "RFC 2544", -1)                    \
    X(DOCUMENTATION, "198.51.100.0/24", "documentation (TEST-NET-2)", "RFC 5737", -1)   \
    X(DOCUMENTATION, "203.0.113.0/24", "documentation (TEST-NET-3)", "RFC 5737", -1)    \
    X(MULTICAST, "224.0.0.0/4", "multicast", "RFC 5771", -1)                            \
    X(BROADCAST, "255.255.255.255/32", "limited broadcast", "RFC 919", -1)              \
    X(RESERVED, "240.0.0.0/4", "reserved for future use", "RFC 1112", -1)               \
    X(UNSPECIFIED, "::/128", "unspecified", "RFC 4291", -1)                             \
    X(LOOPBACK, "::1/128", "loopback", "RFC 4291", -1)                                  \
    X(NAT64, "64:ff9b::/96", "IPv4/IPv6 translation (NAT64)", "RFC 6052", 12)           \
    X(NAT64_LOCAL, "64:ff9b:1::/48", "local-use IPv4/IPv6 translation", "RFC 8215", -1) \
    X(DISCARD, "100::/64", "discard-only", "RFC 6666", -1)                              \
    X(PROTOCOL, "100:0:0:1::/64", "dummy prefix", "RFC 9780", -1)                       \
    X(TEREDO, "2001::/32", "Teredo", "RFC 4380", 12)                                    \
    X(BENCHMARKING, "2001:2::/48", "benchmarking", "RFC 5180", -1)                      \
    X(PROTOCOL, "2001:3::/32", "automatic multicast tunnelling", "RFC 7450", -1)        \
    X(PROTOCOL, "2001:4:112::/48", "AS112", "RFC 7535", -1)                             \
    X(PROTOCOL, "2001:10::/28", "ORCHID (deprecated)", "RFC 4843", -1)                  \
    X(PROTOCOL, "2001:20::/28", "ORCHIDv2", "RFC 7343", -1)                             \
    X(PROTOCOL, "2001:30::/28", "drone remote identification", "RFC 9374", -1)          \
    X(PROTOCOL, "2001::/23", "IETF protocol assignments", "RFC 2928", -1)               \
    X(DOCUMENTATION, "2001:db8::/32", "documentation", "RFC 3849", -1)                  \
    X(SIX_TO_FOUR, "2002::/16", "6to4", "RFC 3056", 2)                                  \
    X(PROTOCOL, "2620:4f:8000::/48", "AS112 direct delegation", "RFC 7534", -1)         \
    X(DOCUMENTATION, "3fff::/20", "documentation", "RFC 9637", -1)                      \
    X(PROTOCOL, "5f00::/16", "segment routing (SRv6) identifiers", "RFC 9602", -1)      \
    X(UNIQUE_LOCAL, "fc00::/7", "unique local", "RFC 4193", -1)                         \
    X(LINK_LOCAL, "fe80::/10", "link-local", "RFC 4291", -1)                            \
    X(SITE_LOCAL, "fec0::/10", "site-local (deprecated)", "RFC 3879", -1)               \
    X(MULTICAST, "ff00::/8", "multicast", "RFC 4291", -1)

#define GEO_SPECIAL_KIND_TABLE(X) /* kind, word */ \
    X(UNSPECIFIED, "unspecified")                  \
    X(THIS_NETWORK, "this-network")                \
    X(PRIVATE, "private")                          \
    X(CGNAT, "cgnat")                              \
    X(LOOPBACK, "loopback")                        \
    X(LINK_LOCAL, "link-local")                    \
    X(SITE_LOCAL, "site-local")                    \
    X(UNIQUE_LOCAL, "unique-local")                \
    X(DOCUMENTATION, "documentation")              \
    X(BENCHMARKING, "benchmarking")                \
    X(PROTOCOL, "protocol")                        \
    X(SIX_TO_FOUR_RELAY, "6to4-relay")             \
    X(SIX_TO_FOUR, "6to4")                         \
    X(TEREDO, "teredo")                            \
    X(NAT64, "nat64")                              \
    X(NAT64_LOCAL, "nat64-local")                  \
    X(DISCARD, "discard")                          \
    X(MULTICAST, "multicast")                      \
    X(BROADCAST, "broadcast")                      \
    X(RESERVED, "reserved")

enum geo_special_kind {
#define X(kind, word) GEO_SPECIAL_##kind,
    GEO_SPECIAL_KIND_TABLE(X)
#undef X
        GEO_SPECIAL_KIND_COUNT
};

struct geo_special {
    enum geo_special_kind kind;
    const char *word;    /* "cgnat" */
    const char *network; /* "100.64.0.0/10" */
    const char *text;    /* "carrier-grade NAT" */
    const char *source;  /* "RFC 6598" */
    int embedded_at;     /* byte of an embedded IPv4 address, or -1 */
    unsigned prefix_len;
    int family;
    unsigned char address[16]; /* of the network, network order */
};

/* The special range an address is in, or NULL. IPv4-mapped IPv6 counts as IPv4. Thread-safe; the row is
 * static. */
const struct geo_special *geo_special(const struct sockaddr *address);
size_t geo_special_count(void);
const struct geo_special *geo_special_at(size_t i); /* i < geo_special_count() */

/* The IPv4 address inside an address of `special`'s range (6to4, Teredo's client, NAT64): 1 and the address,
 * which may be special itself; 0 when the range embeds none. */
int geo_special_embedded(const struct geo_special *special, const struct sockaddr *address,
                         struct sockaddr_in *ret_ipv4);

/* Any address as IPv4 when it is IPv4 or IPv4-mapped (::ffff:0:0/96): 1 and the address, else 0. */
int geo_address_ipv4(const struct sockaddr *address, struct in_addr *ret_ipv4);

#endif
