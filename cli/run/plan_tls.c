/* plan_tls: HTTPS on all public listeners of a plan. A listener whose file gives it certificates keeps those.
 * What the certificate has to be for is all that a client may write in front of a path: the addresses of
 * listeners (redirects lead there), the names in the zone, and the hosts of URLs that the file gives. */
#include "cli/run/authority_files.h"
#include "cli/run/plan.h"
#include "cli/run/plan_private.h"
#include "common/config/config.h"
#include "common/config/config_hosts.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

static void add_name(struct plan *plan, struct cdn_str name)
{
    name.n -= name.n > 1 && name.p[name.n - 1] == '.';
    for (size_t i = 0; i < plan->name_count; i++) {
        if (cdn_str_eq_nocase(cdn_str(plan->names[i]), name)) {
            return;
        }
    }
    if (name.n > 0) {
        plan->names = cdn_realloc(plan->names, plan->name_count + 1, sizeof(*plan->names));
        plan->names[plan->name_count++] = cdn_str_dup(name);
    }
}

static bool is_any(const struct cdn_addr *a)
{
    size_t n;
    const unsigned char *bytes = cdn_addr_bytes(a, &n);
    static const unsigned char zeros[16];
    return memcmp(bytes, zeros, n) == 0;
}

static void add_address(struct plan *plan, const struct cdn_addr *address)
{
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(address, text);
    add_name(plan, cdn_str(text));
}

/* A listener on all addresses is called by any of them, or by the machine's name. */
static void add_interfaces(struct plan *plan)
{
    struct ifaddrs *all = NULL;
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) == 0) {
        add_name(plan, cdn_str(host));
    }
    if (getifaddrs(&all)) {
        return;
    }
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct cdn_addr address = {0};
        const int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        if (family == AF_INET) {
            memcpy(&address.v4, i->ifa_addr, sizeof(address.v4));
            add_address(plan, &address);
        } else if (family == AF_INET6) {
            memcpy(&address.v6, i->ifa_addr, sizeof(address.v6));
            add_address(plan, &address);
        }
    }
    freeifaddrs(all);
}

/* "fra.example" or "127.0.1.1" of "https://127.0.1.1:8088". */
static void add_host(struct plan *plan, const char *url)
{
    const char *slashes = strstr(url, "://");
    struct cdn_str authority = cdn_str(slashes ? slashes + 3 : url);
    struct cdn_addr address;
    authority.n = strcspn(authority.p, "/");
    CDN_AUTOFREE char *text = cdn_str_dup(authority);
    if (!cdn_parse_host_port(cdn_str(text), &address)) {
        add_name(plan, cdn_str_cut(&authority, ':'));
    } else if (is_any(&address)) {
        add_interfaces(plan);
    } else {
        add_address(plan, &address);
    }
}

static void add_zone_names(struct plan *plan, const struct router_settings *router)
{
    struct cdn_str zone = cdn_str(router->dns_zone), site = cdn_str(router->dns_name);
    zone.n -= zone.n > 0 && zone.p[zone.n - 1] == '.';
    const bool inside = cdn_str_find(site, '.') < 0;
    CDN_AUTOFREE char *whole =
        inside ? cdn_asprintf(CDN_STR_FMT "." CDN_STR_FMT, CDN_STR_ARG(site), CDN_STR_ARG(zone))
               : cdn_str_dup(site);
    add_name(plan, cdn_str(whole));
    add_name(plan, zone);
    for (size_t i = 0; i < plan->n; i++) {
        CDN_AUTOFREE char *name = cdn_asprintf("%s." CDN_STR_FMT, plan->nodes[i].name, CDN_STR_ARG(zone));
        if (plan->nodes[i].kind == PLAN_EDGE || plan->nodes[i].kind == PLAN_ROUTER) {
            add_name(plan, cdn_str(name));
        }
    }
}

enum cdn_status plan_tls_check_url(const struct plan *plan, size_t item, const char *url,
                                   struct cdn_error *err)
{
    if (!cdn_str_starts(cdn_str(url), CDN_STR("http:"))) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID,
                         "%s:%zu: edges[%zu]: url: with --tls it has to begin with https://", plan->config,
                         cdn_config_line(plan->config, "edges", item, "url"), item);
}

static void take_host(void *arg, const char *host)
{
    add_name(arg, cdn_str(host));
}

enum cdn_status plan_tls_connect(struct plan *plan, const struct authority_files *files,
                                 const struct router_config *router, struct cdn_error *err)
{
    enum cdn_status status = cdn_config_hosts_each(plan->config, take_host, plan, err);
    if (status != CDN_OK) {
        return status;
    }
    add_name(plan, CDN_STR("localhost"));
    add_name(plan, CDN_STR("127.0.0.1"));
    add_name(plan, CDN_STR("::1"));
    add_zone_names(plan, &router->settings);
    bool others = false; /* edges with certificates of the file's; a long list takes its time to read */
    for (size_t i = 0, edge = 0; i < plan->n; i++) {
        struct plan_node *node = &plan->nodes[i];
        if (node->kind != PLAN_EDGE && node->kind != PLAN_ROUTER) {
            continue;
        }
        add_host(plan, node->url);
        if (node->kind == PLAN_EDGE) {
            add_host(plan, router->edges[edge++].settings.url);
            others |= node->has_certificate;
        }
        if (!node->has_certificate) {
            plan_add_args(node, "--tls-certificate", files->certificate, "--tls-key", files->key, NULL);
        }
        if (node->kind == PLAN_ROUTER) {
            plan_add_args(node, "--edge-scheme", "https", "--proxy-ca",
                          others ? files->bundle : files->authority, NULL);
        }
    }
    plan->authority = cdn_strdup(files->authority);
    plan->bundle = cdn_strdup(files->bundle);
    return CDN_OK;
}
