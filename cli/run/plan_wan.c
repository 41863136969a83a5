/* plan_wan: the network between the places as a node of a plan. It is the first one, so that nobody asks in
 * vain for what it carries, and all others are told on their command lines to speak over it: each edge as
 * itself (the user name of its proxy), so that what it fetches pays the way from its own place. */
#include "cli/run/plan.h"
#include "cli/run/plan_private.h"
#include "common/config/config.h"
#include "common/http/syntax/http_percent.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"
#include "wan/path/profile.h"
#include "wan/relay/settings.h"
#include "wan/relay/world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

/* What the network itself would end with: places that are none, targets without an address. */
static enum cdn_status check_world(const char *path, const struct wan_settings *settings,
                                   struct cdn_error *err)
{
    struct wan_world world = {0};
    if (!wan_profile_find(cdn_str(settings->profile))) {
        return cdn_error_set(err, CDN_INVALID, "%s:%zu: wan: profile: no profile '%s' is known", path,
                             cdn_config_line(path, "wan", SIZE_MAX, "profile"), settings->profile);
    }
    enum cdn_status status = wan_world_read(path, settings, &world, err);
    wan_world_free(&world);
    return status;
}

enum cdn_status plan_wan_add(struct plan *plan, const struct plan_wish *wish, const char *state,
                             struct cdn_error *err)
{
    struct wan_settings part = {0};
    const bool in_file = cdn_config_line(plan->config, "wan", SIZE_MAX, "listen") > 0;
    if (!wish->wan && !(wish->only_look && in_file)) {
        return CDN_OK;
    }
    enum cdn_status status = cdn_config_load_item(&wan_program, plan->config, 0, &part, err);
    if (status != CDN_OK) {
        return status;
    }
    struct plan_where where = {.name = plan_kind_word(PLAN_WAN),
                               .scheme = "socks5h",
                               .listen = part.listen,
                               .admin = part.admin,
                               .token = part.admin_token};
    status = plan_add_node(plan, PLAN_WAN, &where, wish, err);
    if (status == CDN_OK && !wish->only_look) { /* listeners of places outlive a restart */
        plan_add_args(&plan->nodes[plan->n - 1], "--state", state, NULL);
        status = check_world(plan->config, &part, err);
    }
    cdn_config_free(&wan_program, &part);
    return status;
}

/* "socks5h://fra@127.0.0.1:1080": the network as the node of this name uses it. */
static char *proxy_of(const struct plan_node *wan, const struct plan_node *node)
{
    CDN_AUTOBUF struct cdn_buf name = {0};
    http_percent_encode(cdn_str(node->name), http_percent_is_unreserved, &name);
    return cdn_asprintf("socks5h://%s@%s", name.p ? name.p : "", strstr(wan->url, "://") + 3);
}

/* Who a client is comes in a PROXY header, which a node believes from a trusted peer alone; a header
 * that it does not expect would be a broken request. */
static enum cdn_status check_trust(const struct plan *plan, const struct cdn_config_list *trusted,
                                   bool *ret_missing, struct cdn_error *err)
{
    struct cdn_addr loopback;
    *ret_missing = trusted->n == 0;
    for (size_t i = 0; i < trusted->n; i++) {
        struct cdn_cidr cidr;
        if (cdn_parse_cidr(cdn_str(trusted->items[i].key), &cidr) &&
            cdn_parse_ip(CDN_STR("127.0.0.1"), &loopback) && cdn_cidr_has(&cidr, &loopback)) {
            return CDN_OK;
        }
    }
    if (trusted->n == 0) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID,
                         "%s:%zu: trusted_proxies: --wan needs 127.0.0.0/8 among them, where the network "
                         "between the places is",
                         plan->config, cdn_config_line(plan->config, "cdn", SIZE_MAX, "trusted_proxies"));
}

enum cdn_status plan_wan_connect(struct plan *plan, const struct router_settings *router,
                                 struct cdn_error *err)
{
    struct plan_node *wan = &plan->nodes[0];
    bool untrusted;
    enum cdn_status status = check_trust(plan, &router->trusted_proxies, &untrusted, err);
    plan_add_args(wan, "--proxy-headers", NULL);
    for (size_t i = 1; i < plan->n && status == CDN_OK; i++) {
        struct plan_node *node = &plan->nodes[i];
        CDN_AUTOFREE char *proxy = proxy_of(wan, node);
        if (node->external) {
            plan_add_args(wan, "--origin", node->url, NULL);
            continue;
        }
        plan_add_args(node, "--proxy-protocol", "optional", NULL);
        if (untrusted) {
            plan_add_args(node, "--trusted-proxies", "127.0.0.0/8", NULL);
        }
        if (node->kind == PLAN_EDGE) {
            plan_add_args(node, "--origin-proxy", proxy, "--control-proxy", proxy, NULL);
        } else if (node->kind == PLAN_ROUTER) {
            plan_add_args(node, "--probe-proxy", proxy, NULL);
        }
    }
    return status;
}
