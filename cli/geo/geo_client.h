/* geo_client: which address of a log line is the client.
 *
 *     --client 4           the fourth field, parted by blanks, as awk's $4
 *     --client c-ip        a field by its name in the `#Fields:` line before (W3C, IIS, CloudFront)
 *     --client a.b         in lines with a JSON object, the value at a, b ("a.b" may be one key)
 *     --client xff         of X-Forwarded-For (or Forwarded), the last address that is not a trusted proxy's;
 *                          the line's first address where there is none
 *
 * Without it: c-ip where a `#Fields:` line has one; in JSON the first of the usual keys (client_ip,
 * remote_ip, ...); else the line's first address.
 */
#ifndef CDN_CLI_GEO_CLIENT_H
#define CDN_CLI_GEO_CLIENT_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/table/table.h"

#include <stdbool.h>

struct geo_client {
    enum { GEO_CLIENT_USUAL, GEO_CLIENT_COLUMN, GEO_CLIENT_NAME, GEO_CLIENT_XFF } kind;
    const char *name;                 /* borrowed; of NAME */
    unsigned column;                  /* from 1: given, or found in the last #Fields line; 0: none */
    const struct router_table *table; /* whose trusted proxies count */
};

/* `text` NULL: the usual one. CDN_USAGE when it is not one of the choices. */
enum cdn_status geo_client_init(struct geo_client *client, const char *text, const struct router_table *table,
                                struct cdn_error *err) CDN_MUST_CHECK;
/* Whether the line is a comment, of which a `#Fields:` line is remembered. */
bool geo_client_comment(struct geo_client *client, struct cdn_str line);
/* False when the line has no such address. */
bool geo_client_find(const struct geo_client *client, struct cdn_str line, struct cdn_addr *ret);

#endif
