/* plan_proxy: a CDN whose router is a proxy (`mode: proxy`). The edges have to believe what the router
 * says of its clients, from the address that it comes from, and to tell the origin the name that clients
 * use: the router's. A file that names trusted proxies has to name the router among them: nobody is added
 * to it. */
#include "cli/run/plan.h"
#include "cli/run/plan_private.h"
#include "common/config/config.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/proxy_settings.h"
#include "router/base/settings.h"
#include "router/base/sites.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

static bool any_site_is_proxied(const struct router_sites *sites)
{
    for (size_t i = 0; i < sites->count; i++) {
        if (sites->host[i].mode == ROUTER_MODE_PROXY) {
            return true;
        }
    }
    return false;
}

static enum cdn_status mode_of(const struct plan_wish *wish, const struct router_settings *settings,
                               enum router_mode *ret, struct cdn_error *err)
{
    const struct cdn_str mode = cdn_str(wish->mode);
    *ret = (enum router_mode)settings->mode;
    if (!wish->mode) {
        return CDN_OK;
    }
    *ret = cdn_str_eq(mode, CDN_STR("proxy")) ? ROUTER_MODE_PROXY : ROUTER_MODE_REDIRECT;
    return *ret == ROUTER_MODE_PROXY || cdn_str_eq(mode, CDN_STR("redirect"))
               ? CDN_OK
               : cdn_error_set(err, CDN_USAGE, "--mode: '%s' is neither redirect nor proxy", wish->mode);
}

static bool address_of(const char *url, struct cdn_addr *ret)
{
    const char *slashes = strstr(url, "://");
    return cdn_parse_host_port(cdn_str(slashes ? slashes + 3 : url), ret);
}

static bool is_any(const struct cdn_addr *a)
{
    return a->sa.sa_family == AF_INET ? a->v4.sin_addr.s_addr == INADDR_ANY
                                      : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

/* The address that an edge sees the router come from; false: the kernel's choice is not known here. */
static bool source_for(const struct plan_node *router, const struct plan_node *edge, struct cdn_addr *ret)
{
    struct cdn_addr listen;
    if (address_of(edge->url, &listen) && cdn_addr_is_loopback(&listen)) {
        return cdn_parse_ip(listen.sa.sa_family == AF_INET ? CDN_STR("127.0.0.1") : CDN_STR("::1"), ret);
    }
    return address_of(router->url, ret) && !is_any(ret) && !cdn_addr_is_loopback(ret);
}

static bool is_listed(const struct cdn_config_list *trusted, const struct cdn_addr *source)
{
    for (size_t i = 0; i < trusted->n; i++) {
        struct cdn_cidr cidr;
        if (cdn_parse_cidr(cdn_str(trusted->items[i].key), &cidr) && cdn_cidr_has(&cidr, source)) {
            return true;
        }
    }
    return false;
}

static enum cdn_status trust(const struct plan *plan, struct plan_node *edge,
                             const struct router_settings *settings, struct cdn_error *err)
{
    const struct cdn_config_list *trusted = &settings->trusted_proxies;
    struct cdn_addr source;
    char text[CDN_ADDR_TEXT_SIZE];
    if (!source_for(&plan->nodes[plan->n - 1], edge, &source)) {
        return trusted->n > 0
                   ? CDN_OK
                   : cdn_error_set(err, CDN_INVALID,
                                   "%s: trusted_proxies: with mode proxy the edge %s has to trust the "
                                   "router: name the address that it comes from",
                                   plan->config, edge->name);
    }
    cdn_addr_format_ip(&source, text);
    if (trusted->n == 0) {
        plan_add_args(edge, "--trusted-proxies", text, NULL);
        return CDN_OK;
    }
    return is_listed(trusted, &source)
               ? CDN_OK
               : cdn_error_set(
                     err, CDN_INVALID,
                     "%s:%zu: trusted_proxies: with mode proxy they need %s, where the router comes from",
                     plan->config, cdn_config_line(plan->config, "cdn", SIZE_MAX, "trusted_proxies"), text);
}

static enum cdn_status tell_edges(struct plan *plan, const struct router_settings *settings,
                                  enum router_mode mode, struct cdn_error *err)
{
    const struct plan_node *router = &plan->nodes[plan->n - 1];
    struct cdn_addr listen;
    const bool named = address_of(router->url, &listen) && !is_any(&listen);
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < plan->n && status == CDN_OK; i++) {
        struct plan_node *node = &plan->nodes[i];
        if (node->kind != PLAN_EDGE) {
            continue;
        }
        status = trust(plan, node, settings, err);
        if (named && mode == ROUTER_MODE_PROXY) {
            plan_add_args(node, "--url", router->url, NULL);
        }
    }
    return status;
}

enum cdn_status plan_proxy_connect(struct plan *plan, const struct plan_wish *wish,
                                   const struct router_config *config, struct cdn_error *err)
{
    const struct router_settings *settings = &config->settings;
    struct plan_node *router = &plan->nodes[plan->n - 1];
    enum router_mode mode;
    enum cdn_status status = mode_of(wish, settings, &mode, err);
    if (status == CDN_OK && wish->mode) {
        plan_add_args(router, "--mode", wish->mode, NULL);
    }
    if (status != CDN_OK || wish->only_look ||
        (mode != ROUTER_MODE_PROXY && !any_site_is_proxied(&config->sites))) {
        return status;
    }
    if (plan->authority && !settings->proxy_ca[0]) {
        plan_add_args(router, "--proxy-ca", plan->authority, NULL);
    }
    return tell_edges(plan, settings, mode, err);
}
