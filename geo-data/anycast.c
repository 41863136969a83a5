/* anycast: rows of networks that are announced from many places. Their texts become bytes once, at
 * the first look-up; a first byte that no row has ends nearly every search at once. */
#include "geo-data/anycast.h"

#include "common/mem.h"
#include "common/str.h"
#include "geo-data/special.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static struct geo_anycast rows[] = {
#define X(network_, text_) {.network = network_, .text = text_},
    GEO_ANYCAST_TABLE(X)
#undef X
};
/* The rows that begin with a byte, in their order: the number of the first one, and of the next of each; 0 is
 * none. IPv4, IPv6. */
static uint16_t firsts[2][256], nexts[CDN_ARRAY_LEN(rows) + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    for (size_t i = CDN_ARRAY_LEN(rows); i-- > 0;) {
        struct geo_anycast *row = &rows[i];
        struct cdn_str length = cdn_str(row->network);
        struct cdn_str address = cdn_str_cut(&length, '/');
        char text[INET6_ADDRSTRLEN];
        cdn_str_copy(text, sizeof(text), address);
        row->family = cdn_str_find(address, ':') >= 0 ? AF_INET6 : AF_INET;
        row->prefix_len = (unsigned)strtoul(length.p, NULL, 10);
        int parsed = inet_pton(row->family, text, row->address);
        assert(parsed == 1 && row->prefix_len >= 8 && row->prefix_len <= 64);
        (void)parsed;
        uint16_t *first = &firsts[row->family == AF_INET6][row->address[0]];
        nexts[i + 1] = *first;
        *first = (uint16_t)(i + 1);
    }
}

static bool has_prefix(const unsigned char *address, const struct geo_anycast *row)
{
    size_t bytes = row->prefix_len / 8;
    unsigned bits = row->prefix_len % 8;
    if (bytes > 1 && address[1] != row->address[1]) { /* nearly all end here: the first byte is the chain's */
        return false;
    }
    return memcmp(address, row->address, bytes) == 0 &&
           (bits == 0 || (address[bytes] ^ row->address[bytes]) >> (8 - bits) == 0);
}

const struct geo_anycast *geo_anycast(const struct sockaddr *address)
{
    pthread_once(&once, prepare);
    struct in_addr ipv4;
    const unsigned char *bytes = (const unsigned char *)&ipv4;
    bool is_ipv6 = false;
    if (!geo_address_ipv4(address, &ipv4)) {
        if (address->sa_family != AF_INET6) {
            return NULL;
        }
        bytes = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
        is_ipv6 = true;
    }
    for (size_t i = firsts[is_ipv6][bytes[0]]; i; i = nexts[i]) {
        if (has_prefix(bytes, &rows[i - 1])) {
            return &rows[i - 1];
        }
    }
    return NULL;
}

size_t geo_anycast_count(void)
{
    return CDN_ARRAY_LEN(rows);
}

const struct geo_anycast *geo_anycast_at(size_t i)
{
    pthread_once(&once, prepare);
    assert(i < CDN_ARRAY_LEN(rows));
    return &rows[i];
}
