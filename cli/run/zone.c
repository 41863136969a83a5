/* zone: read from the router's settings by the router's own reader. The question is asked as the network
 * between the places asks it (wan/relay/dns_message), for reports and for browsers that cannot be told whom
 * to ask. */
#include "cli/run/zone.h"

#include "cli/run/control.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"
#include "wan/relay/dns_message.h"

#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define LIMIT_MS 500
#define QUERY_ID 0x7063u /* the socket is connected: nobody else answers */

/* Nobody is reached at 0.0.0.0. */
static void reachable(struct cdn_addr *address)
{
    if (address->sa.sa_family == AF_INET && address->v4.sin_addr.s_addr == INADDR_ANY) {
        address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (address->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)) {
        address->v6.sin6_addr = in6addr_loopback;
    }
}

enum cdn_status zone_read_config(const char *config, struct zone *ret, struct cdn_error *err)
{
    struct router_config router;
    enum cdn_status status = router_config_read(config, &router, err);
    if (status != CDN_OK) {
        return status;
    }
    struct cdn_str name = cdn_str(router.settings.dns_zone), site = cdn_str(router.settings.dns_name);
    name.n -= cdn_str_ends(name, CDN_STR("."));
    site.n -= cdn_str_ends(site, CDN_STR("."));
    *ret = (struct zone){.name = cdn_str_dup(name)};
    ret->site = cdn_str_find(site, '.') >= 0 ? cdn_str_dup(site)
                                             : cdn_asprintf(CDN_STR_FMT ".%s", CDN_STR_ARG(site), ret->name);
    ret->answers = cdn_parse_host_port(cdn_str(router.settings.dns_listen), &ret->dns);
    if (ret->answers) {
        reachable(&ret->dns);
    }
    router_config_free(&router);
    return CDN_OK;
}

enum cdn_status zone_read(const json_t *cdn, struct zone *ret, struct cdn_error *err)
{
    const char *path = control_text(cdn, "config");
    return zone_read_config(path[0] ? path : NULL, ret, err);
}

void zone_free(struct zone *zone)
{
    free(zone->name);
    free(zone->site);
    *zone = (struct zone){0};
}

bool zone_means_machine(struct cdn_str host)
{
    struct cdn_addr address;
    return cdn_parse_ip(host, &address) || cdn_str_starts(host, CDN_STR("[")) ||
           cdn_str_eq_nocase(host, CDN_STR("localhost"));
}

static bool ask(int fd, const char *name, const struct cdn_addr *client, struct cdn_addr *ret)
{
    uint8_t query[WAN_DNS_QUERY_MAX], answer[WAN_DNS_ANSWER_MAX];
    const size_t n = wan_dns_query(QUERY_ID, name, WAN_DNS_A, client, query);
    if (n == 0 || send(fd, query, n, MSG_NOSIGNAL) != (ssize_t)n) {
        return false;
    }
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    const ssize_t got = poll(&wait, 1, LIMIT_MS) > 0 ? recv(fd, answer, sizeof(answer), 0) : -1;
    return got > 0 && wan_dns_answer(answer, (size_t)got, QUERY_ID, name, WAN_DNS_A, ret) == WAN_DNS_ADDRESS;
}

bool zone_ask(const struct zone *zone, const char *name, const struct cdn_addr *client, struct cdn_addr *ret)
{
    const int fd = zone->answers ? socket(zone->dns.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    const bool done =
        fd >= 0 && connect(fd, &zone->dns.sa, cdn_addr_len(&zone->dns)) == 0 && ask(fd, name, client, ret);
    if (fd >= 0) {
        close(fd);
    }
    return done;
}
