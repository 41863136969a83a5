/* ports: whether the addresses that a CDN is going to listen on are free. A look, not a claim: the daemons
 * claim them themselves (common/http/server/http_listen); this is for saying early and whole what is in the
 * way. */
#ifndef CDN_CLI_PORTS_H
#define CDN_CLI_PORTS_H
#include "common/parse.h"

#include <stdbool.h>

/* False when somebody has the address; true as well when binding it fails for another reason, which the
 * daemon itself can say best. Port 0 is always free. */
bool ports_free(const struct cdn_addr *address);
bool ports_free_udp(const struct cdn_addr *address);

/* A claim on `port` and those that go with it, against other `up --port 0` of this network namespace: a
 * descriptor that holds it until it is closed (also by the end of the process), or -1 when somebody else has
 * it. */
int ports_claim(unsigned port);

#endif
