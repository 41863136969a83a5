/* howto: one line a program. None of them is told alike: curl and Python take socks5h:// (names are
 * resolved behind the proxy), browsers call the same socks5://, and all of them keep loopback addresses,
 * which redirects of this CDN lead to, away from a proxy unless told otherwise. docs/travel.md has the
 * same, run by a test. */
#include "cli/travel/howto.h"

#include "cli/base/print.h"
#include "cli/run/control.h"
#include "cli/run/zone.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

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
    struct zone names;
    const char *address = strstr(proxy, "://");
    if (!address || !strrchr(address + 3, ':')) {
        return cdn_error_set(err, CDN_INTERNAL, "'%s' is no proxy", proxy);
    }
    enum cdn_status status = zone_read(cdn, &names, err);
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
    cli_print("%s is the edge that our DNS names there, %s://NAME.%s/ that edge,\n", url, scheme, names.name);
    cli_print("http://origin.%s/ the origin, %s://router.%s/ the router. Addresses that are no node of this "
              "CDN are refused.\n",
              names.name, scheme, names.name);
    if (tls) {
        cli_print("The authority to trust is %s; COMMAND is told of it.\n", control_text(cdn, "authority"));
    }
    zone_free(&names);
    return CDN_OK;
}
