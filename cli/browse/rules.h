/* rules: where the names of a CDN lead for a client somewhere, as Chromium's --host-resolver-rules. */
#ifndef CDN_CLI_RULES_H
#define CDN_CLI_RULES_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>

struct zone;

/* The edge for that client, as our GeoDNS says ("fra"; owned), and the rules: the zone, its site and all
 * hosts of sites lead there, the name of a node to that node. CDN_NOT_FOUND: the DNS is off, or knows no
 * edge. */
enum cdn_status rules_make(const json_t *cdn, const struct zone *zone, const struct cdn_addr *client,
                           struct cdn_buf *out, char **ret_edge, struct cdn_error *err) CDN_MUST_CHECK;

#endif
