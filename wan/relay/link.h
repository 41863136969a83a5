/* link: fixed relays, for programs that know nothing of SOCKS: what `wan: links:` says. */
#ifndef CDN_WAN_RELAY_LINK_H
#define CDN_WAN_RELAY_LINK_H
#include "common/config/config.h"
#include "common/parse.h"
#include "common/status.h"
#include "wan/relay/client.h"
#include "wan/relay/end.h"

#include <stdbool.h>
#include <stdint.h>

struct wan_link {
    struct cdn_addr listen, target;
    const struct wan_node *node; /* when the target is one */
    struct wan_client *client;   /* who connects */
    struct wan_end end;          /* the target's */
    int64_t rtt_ns;              /* -1: as modelled between the two places */
    bool udp;
};

/* "listen=127.0.0.1:9000,from=Tokyo,to=fra,profile=4g". Errors name the file and line, or the flag. */
enum cdn_status wan_link_read(const struct wan_who *who, const struct cdn_config_entry *entry,
                              struct wan_link *ret, struct cdn_error *err) CDN_MUST_CHECK;
void wan_link_free(struct wan_link *link); /* may be zeroed */

#endif
