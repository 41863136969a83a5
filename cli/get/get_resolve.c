/* get_resolve: what our GeoDNS answers to somebody at the client's place, and how long it takes by
 * itself: the network charges nothing for names (a resolver next door with a warm cache), so this is
 * shown apart. Asked as the network asks (wan/relay/dns_message), once, by UDP, with a short limit: it
 * is for the report alone. */
#include "cli/get/get.h"
#include "cli/run/control.h"
#include "common/clock.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"
#include "wan/relay/dns_message.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define LIMIT_MS 500
#define QUERY_ID 0x7063u /* the socket is connected: nobody else answers */

static bool dns_listener(const struct get_visit *visit, struct cdn_addr *ret)
{
    struct router_config config;
    struct cdn_error none;
    const char *path = control_text(visit->up, "config");
    if (!path[0] || router_config_read(path, &config, &none)) {
        return false;
    }
    const bool has = cdn_parse_host_port(cdn_str(config.settings.dns_listen), ret);
    router_config_free(&config);
    return has;
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

bool get_resolve(const struct get_visit *visit, const char *name, struct get_dns *ret)
{
    struct cdn_addr server, address;
    if (!visit->has_client || !dns_listener(visit, &server)) {
        return false;
    }
    const int fd = socket(server.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int64_t began_ns = cdn_clock_mono_ns();
    const bool done = fd >= 0 && connect(fd, &server.sa, cdn_addr_len(&server)) == 0 &&
                      ask(fd, name, &visit->client, &address);
    if (fd >= 0) {
        close(fd);
    }
    if (done) {
        ret->us = (cdn_clock_mono_ns() - began_ns) / 1000;
        cdn_addr_format_ip(&address, ret->address);
    }
    return done;
}
