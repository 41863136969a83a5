/* howto: one line a program. None of them is told alike: curl and Python take socks5h:// (names are
 * resolved behind the proxy), browsers call the same socks5://, and all of them keep loopback addresses,
 * which redirects of this CDN lead to, away from a proxy unless told otherwise. docs/travel.md has the
 * same, run by a test. */
#include "cli/travel/howto.h"

#include "cli/base/print.h"
#include "cli/run/control.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct names { /* "cdn.test", "www.cdn.test" */
    char *zone, *site;
};

static enum cdn_status read_names(const json_t *cdn, struct names *ret, struct cdn_error *err)
{
    struct router_config config;
    const char *path = control_text(cdn, "config");
    enum cdn_status status = router_config_read(path[0] ? path : NULL, &config, err);
    if (status != CDN_OK) {
        return status;
    }
    struct cdn_str zone = cdn_str(config.settings.dns_zone), site = cdn_str(config.settings.dns_name);
    zone.n -= cdn_str_ends(zone, CDN_STR("."));
    site.n -= cdn_str_ends(site, CDN_STR("."));
    ret->zone = cdn_str_dup(zone);
    ret->site = cdn_str_find(site, '.') >= 0 ? cdn_str_dup(site)
                                             : cdn_asprintf(CDN_STR_FMT ".%s", CDN_STR_ARG(site), ret->zone);
    router_config_free(&config);
    return CDN_OK;
}

static void print_programs(const char *address, const char *url)
{
    const char *colon = strrchr(address, ':');
    cli_print("  curl        curl -x socks5h://%s %s\n", address, url);
    cli_print("  Chromium    chromium --proxy-server=socks5://%s --proxy-bypass-list='<-loopback>' %s\n",
              address, url);
    cli_print("  Firefox     about:config: network.proxy.type 1, network.proxy.socks %.*s,\n",
              (int)(colon - address), address);
    cli_print("              network.proxy.socks_port %s, network.proxy.socks_remote_dns true,\n", colon + 1);
    cli_print("              network.proxy.allow_hijacking_localhost true\n");
    cli_print("  requests    requests.get('%s', proxies={'http': 'socks5h://%s',\n", url, address);
    cli_print("              'https': 'socks5h://%s'})   # pip install requests[socks]\n", address);
    cli_print("  Playwright  chromium.launch(proxy={'server': 'socks5://%s', 'bypass': '<-loopback>'})\n",
              address);
    cli_print("  others      ALL_PROXY=socks5h://%s COMMAND, or pocketcdn travel PLACE -- COMMAND\n",
              address);
}

enum cdn_status howto_print(const json_t *cdn, const char *place, const char *profile, const char *proxy,
                            struct cdn_error *err)
{
    struct names names;
    const char *address = strstr(proxy, "://");
    if (!address || !strrchr(address + 3, ':')) {
        return cdn_error_set(err, CDN_INTERNAL, "'%s' is no proxy", proxy);
    }
    enum cdn_status status = read_names(cdn, &names, err);
    if (status != CDN_OK) {
        return status;
    }
    const bool tls = cdn_str_starts(cdn_str(control_text(cdn, "router")), CDN_STR("https:"));
    const char *scheme = tls ? "https" : "http";
    CDN_AUTOFREE char *url = cdn_asprintf("%s://%s/", scheme, names.site);
    cli_print("%s by %s: %s\n", place, profile, proxy);
    cli_print("\n");
    print_programs(address + 3, url);
    cli_print("\n");
    cli_print("%s is the edge that our DNS names there, %s://NAME.%s/ that edge,\n", url, scheme, names.zone);
    cli_print("http://origin.%s/ the origin, %s://router.%s/ the router. Addresses that are no node of this "
              "CDN are refused.\n",
              names.zone, scheme, names.zone);
    if (tls) {
        cli_print("The authority to trust is %s; COMMAND is told of it.\n", control_text(cdn, "authority"));
    }
    free(names.zone);
    free(names.site);
    return CDN_OK;
}
