/* special: the registries' rows. Their texts become bytes once, at the first look-up; embedded IPv4
 * (mapped, 6to4, NAT64, Teredo) is taken out, so that an address is judged as the one that is
 * meant. */
#include "geo-data/special.h"

#include "common/mem.h"
#include "common/str.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static const char *const words[] = {
#define X(kind, word) [GEO_SPECIAL_##kind] = word,
    GEO_SPECIAL_KIND_TABLE(X)
#undef X
};

static struct geo_special rows[] = {
#define X(kind_, network_, text_, source_, embedded) \
    {.kind = GEO_SPECIAL_##kind_,                    \
     .network = network_,                            \
     .text = text_,                                  \
     .source = source_,                              \
     .embedded_at = embedded},
    GEO_SPECIAL_TABLE(X)
#undef X
};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct geo_special *row = &rows[i];
        struct cdn_str length = cdn_str(row->network);
        struct cdn_str address = cdn_str_cut(&length, '/');
        char text[INET6_ADDRSTRLEN];
        cdn_str_copy(text, sizeof(text), address);
        row->word = words[row->kind];
        row->family = cdn_str_find(address, ':') >= 0 ? AF_INET6 : AF_INET;
        row->prefix_len = (unsigned)strtoul(length.p, NULL, 10);
        int parsed = inet_pton(row->family, text, row->address);
        assert(parsed == 1);
        (void)parsed;
    }
}

static int has_prefix(const unsigned char *address, const struct geo_special *row)
{
    size_t bytes = row->prefix_len / 8;
    unsigned bits = row->prefix_len % 8;
    if (memcmp(address, row->address, bytes) != 0) {
        return 0;
    }
    return bits == 0 || (address[bytes] ^ row->address[bytes]) >> (8 - bits) == 0;
}

static const unsigned char *ipv6_bytes(const struct sockaddr *address)
{
    return ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
}

int geo_address_ipv4(const struct sockaddr *address, struct in_addr *ret_ipv4)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (address->sa_family == AF_INET) {
        *ret_ipv4 = ((const struct sockaddr_in *)(const void *)address)->sin_addr;
        return 1;
    }
    if (address->sa_family != AF_INET6 || memcmp(ipv6_bytes(address), mapped, sizeof(mapped)) != 0) {
        return 0;
    }
    memcpy(ret_ipv4, ipv6_bytes(address) + 12, 4);
    return 1;
}

const struct geo_special *geo_special(const struct sockaddr *address)
{
    pthread_once(&once, prepare);
    struct in_addr ipv4;
    const unsigned char *bytes = NULL;
    int family = AF_INET;
    if (geo_address_ipv4(address, &ipv4)) {
        bytes = (const unsigned char *)&ipv4;
    } else if (address->sa_family == AF_INET6) {
        bytes = ipv6_bytes(address);
        family = AF_INET6;
    }
    for (size_t i = 0; bytes && i < CDN_ARRAY_LEN(rows); i++) {
        if (rows[i].family == family && has_prefix(bytes, &rows[i])) {
            return &rows[i];
        }
    }
    return NULL;
}

size_t geo_special_count(void)
{
    return CDN_ARRAY_LEN(rows);
}

const struct geo_special *geo_special_at(size_t i)
{
    pthread_once(&once, prepare);
    assert(i < CDN_ARRAY_LEN(rows));
    return &rows[i];
}

int geo_special_embedded(const struct geo_special *special, const struct sockaddr *address,
                         struct sockaddr_in *ret_ipv4)
{
    if (special->embedded_at < 0 || address->sa_family != AF_INET6) {
        return 0;
    }
    *ret_ipv4 = (struct sockaddr_in){.sin_family = AF_INET};
    memcpy(&ret_ipv4->sin_addr, ipv6_bytes(address) + special->embedded_at, 4);
    if (special->kind == GEO_SPECIAL_TEREDO) {
        ret_ipv4->sin_addr.s_addr = ~ret_ipv4->sin_addr.s_addr;
    }
    return 1;
}
