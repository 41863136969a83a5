/* dns_server: sockets first, threads after, zones by message: a zone that cannot be built leaves
 * the running one in place, and whoever is switched off costs nothing. */
#include "router/dns/dns_server.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/parse.h"
#include "router/dns/dns_answer.h"
#include "router/dns/dns_cookie.h"
#include "router/dns/dns_feed.h"
#include "router/dns/dns_metrics.h"
#include "router/dns/dns_rate.h"
#include "router/dns/dns_sockets.h"
#include "router/dns/dns_tcp.h"
#include "router/dns/dns_udp.h"

#include <libknot/libknot.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/banned.h"

struct dns_server {
    struct dns_zone *zone; /* published last; a reference */
    struct dns_sockets sockets;
    struct dns_rate *rate;
    struct dns_udp *udp[DNS_UDP_MAX];
    struct dns_tcp *tcp;
};

static unsigned thread_count(const struct router_settings *s)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned each = processors < 1 ? 1 : processors > (long)DNS_UDP_MAX ? DNS_UDP_MAX : (unsigned)processors;
    return s->dns_threads ? (unsigned)s->dns_threads : each;
}

static enum cdn_status zone_of(const struct router_config *config, struct router_table *table,
                               const struct cdn_addr *listen, struct dns_zone **ret, struct cdn_error *err)
{
    return dns_zone_create(config, table, listen, (uint32_t)(cdn_clock_real_ms() / 1000), ret, err);
}

static enum cdn_status responder_make(struct dns_server *d, const struct router_settings *s,
                                      struct dns_responder *ret, struct cdn_error *err)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        return cdn_error_set(err, CDN_UNAVAILABLE, "no random bytes are to be had");
    }
    d->rate = dns_rate_create(seed);
    ret->rate = d->rate;
    return dns_cookie_secret_read(cdn_str(s->dns_cookie_secret), &ret->secret, err);
}

static enum cdn_status threads_create(struct dns_server *d, const struct router_settings *s,
                                      struct cdn_error *err)
{
    CDN_AUTOFREE struct dns_responder *responder = cdn_calloc(1, sizeof(*responder));
    enum cdn_status status = responder_make(d, s, responder, err);
    if (status != CDN_OK) {
        return status;
    }
    for (unsigned i = 0; i < d->sockets.udp_count; i++) {
        d->udp[i] = dns_udp_create(d->sockets.udp[i], d->sockets.any_address, responder);
    }
    const struct dns_tcp_config tcp = {d->sockets.tcp, (unsigned)s->dns_tcp_clients, s->dns_tcp_timeout};
    return dns_tcp_create(&tcp, responder, &d->tcp, err);
}

enum cdn_status dns_server_create(const struct router_config *config, struct router_table *table,
                                  struct dns_server **ret, struct cdn_error *err)
{
    const struct router_settings *s = &config->settings;
    struct cdn_addr listen;
    struct dns_zone *zone = NULL;
    if (s->dns_listen[0] == '\0' || strcmp(s->dns_listen, "off") == 0) {
        *ret = NULL;
        return CDN_OK;
    }
    if (!cdn_parse_host_port(cdn_str(s->dns_listen), &listen)) {
        return cdn_error_set(err, CDN_INVALID, "dns_listen: '%s' is neither HOST:PORT nor off",
                             s->dns_listen);
    }
    enum cdn_status status = zone_of(config, table, &listen, &zone, err);
    if (status != CDN_OK) {
        return status;
    }
    struct dns_server *d = cdn_calloc(1, sizeof(*d));
    d->sockets = (struct dns_sockets){.claim_fd = -1, .tcp = -1};
    status = dns_sockets_open(&listen, thread_count(s), &d->sockets, err);
    if (status == CDN_OK) {
        status = threads_create(d, s, err);
    }
    if (status != CDN_OK) {
        dns_zone_unref(zone);
        dns_server_destroy(d);
        return status;
    }
    dns_server_publish(d, zone);
    *ret = d;
    return CDN_OK;
}

static void log_ready(const struct dns_server *d)
{
    char address[CDN_ADDR_TEXT_SIZE];
    knot_dname_txt_storage_t zone;
    cdn_addr_format(&d->sockets.address, address);
    knot_dname_to_str(zone, d->zone->apex, sizeof(zone));
    cdn_log(CDN_LOG_INFO, "dns", "address=%s zone=%s threads=%u", address, zone, d->sockets.udp_count);
}

/* Signals are the control thread's. */
enum cdn_status dns_server_start(struct dns_server *server, struct cdn_error *err)
{
    if (!server) {
        return CDN_OK;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    enum cdn_status status = dns_tcp_start(server->tcp, err);
    for (unsigned i = 0; i < server->sockets.udp_count && status == CDN_OK; i++) {
        status = dns_udp_start(server->udp[i], err);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status == CDN_OK) {
        log_ready(server);
    }
    return status;
}

enum cdn_status dns_server_prepare(const struct dns_server *server, const struct router_config *config,
                                   struct router_table *table, struct dns_zone **ret, struct cdn_error *err)
{
    if (server) {
        return zone_of(config, table, &server->sockets.address, ret, err);
    }
    *ret = NULL;
    return CDN_OK;
}

void dns_server_publish(struct dns_server *server, struct dns_zone *take_zone)
{
    if (!server) {
        return;
    }
    for (size_t i = 0; i < take_zone->warning_count; i++) {
        cdn_log(CDN_LOG_WARN, "dns_incomplete", "text=%s", take_zone->warnings[i]);
    }
    for (unsigned i = 0; i < server->sockets.udp_count; i++) {
        dns_feed_publish(dns_udp_feed(server->udp[i]), take_zone);
    }
    dns_feed_publish(dns_tcp_feed(server->tcp), take_zone);
    dns_zone_unref(server->zone);
    server->zone = take_zone;
}

void dns_server_metrics(const struct dns_server *server, struct cdn_buf *out)
{
    uint64_t values[DNS_METRIC_COUNT] = {0};
    if (!server) {
        return;
    }
    cdn_metrics_sum(dns_tcp_metrics(server->tcp), values, DNS_METRIC_COUNT);
    for (unsigned i = 0; i < server->sockets.udp_count; i++) {
        cdn_metrics_sum(dns_udp_metrics(server->udp[i]), values, DNS_METRIC_COUNT);
    }
    dns_metrics_print(values, out);
}

json_t *dns_server_json(const struct dns_server *server)
{
    if (!server) {
        return json_null();
    }
    char address[CDN_ADDR_TEXT_SIZE];
    knot_dname_txt_storage_t zone;
    cdn_addr_format(&server->sockets.address, address);
    knot_dname_to_str(zone, server->zone->apex, sizeof(zone));
    json_t *warnings = json_array();
    for (size_t i = 0; i < server->zone->warning_count; i++) {
        json_array_append_new(warnings, json_string(server->zone->warnings[i]));
    }
    return json_pack("{s:s, s:s, s:o}", "listen", address, "zone", zone, "warnings", warnings);
}

void dns_server_destroy(struct dns_server *server)
{
    if (!server) {
        return;
    }
    for (unsigned i = 0; i < server->sockets.udp_count; i++) {
        dns_udp_destroy(server->udp[i]);
    }
    dns_tcp_destroy(server->tcp);
    dns_sockets_close(&server->sockets);
    dns_rate_destroy(server->rate);
    dns_zone_unref(server->zone);
    free(server);
}
