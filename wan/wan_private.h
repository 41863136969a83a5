/* wan_private: what the daemon and its admin verbs share. */
#ifndef CDN_WAN_WAN_PRIVATE_H
#define CDN_WAN_WAN_PRIVATE_H
#include "common/daemon/daemon.h"
#include "wan/relay/settings.h"

struct wan {
    struct wan_settings settings;
    int argc; /* as given to main, for reloads */
    char **argv;
    struct wan_relay *relay;
    struct daemon *daemon;
};

extern const struct daemon_route wan_admin_routes[];

#endif
