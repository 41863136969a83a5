/* target: the edge's URL, then the client's own bytes. Encoded is only what must not stand in a
 * Location; anything more would change what the path means to the edge. */
#include "router/base/target.h"

#include "common/http/syntax/http_percent.h"

#include <stdbool.h>

#include "common/banned.h"

static bool is_plain(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != '#' && c != '<' && c != '>';
}

enum cdn_status router_target_build(const struct router_edge *edge, struct cdn_str path, struct cdn_str query,
                                    struct cdn_buf *out)
{
    if (path.n == 0) {
        path = CDN_STR("/");
    }
    if (path.p[0] != '/') {
        return CDN_INVALID;
    }
    if (path.n + query.n > ROUTER_TARGET_MAX) {
        return CDN_TOO_LARGE;
    }
    cdn_buf_clear(out);
    cdn_buf_add(out, edge->url, edge->url_n);
    http_percent_encode(path, is_plain, out);
    if (query.p) {
        cdn_buf_add_char(out, '?');
        http_percent_encode(query, is_plain, out);
    }
    return out->n > ROUTER_LOCATION_MAX ? CDN_TOO_LARGE : CDN_OK;
}
