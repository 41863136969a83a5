/* get_resolve: what our GeoDNS answers to somebody at the client's place, and how long it takes by
 * itself: the network charges nothing for names (a resolver next door with a warm cache), so this is
 * shown apart. It is for the report alone. */
#include "cli/get/get.h"
#include "cli/run/zone.h"
#include "common/clock.h"
#include "common/parse.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

bool get_resolve(const struct get_visit *visit, const char *name, struct get_dns *ret)
{
    struct cdn_addr address;
    struct zone zone = {0};
    struct cdn_error none;
    if (!visit->has_client || zone_read(visit->up, &zone, &none) != CDN_OK) {
        return false;
    }
    const int64_t began_ns = cdn_clock_mono_ns();
    const bool done = zone_ask(&zone, name, &visit->client, &address);
    if (done) {
        ret->us = (cdn_clock_mono_ns() - began_ns) / 1000;
        cdn_addr_format_ip(&address, ret->address);
    }
    zone_free(&zone);
    return done;
}
