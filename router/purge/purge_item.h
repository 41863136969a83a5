/* purge_item: what a purge asks for, checked and brought into the one form that the log keeps and edges
 * apply.
 *
 * Pure. Understood is what an edge's own POST /purge understands:
 *     {"url": U | "urls": [U...], "prefix": P | "prefixes": [...], "tag": T | "tags": [...], "all": true,
 *      "soft": bool}
 * The form of the log: {"urls": [...], "prefixes": [...], "tags": [...]} (those that are not empty, no item
 * twice) or {"all": true}, with "soft": true where it is so. A URL is absolute (http, https; the host "*" is
 * every host) or a path of the one site. Whether an absolute URL names a site of an edge is for the edge to
 * know: there, it matches nothing. */
#ifndef CDN_ROUTER_PURGE_ITEM_H
#define CDN_ROUTER_PURGE_ITEM_H
#include "common/http/syntax/http_purge.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>

#define ROUTER_PURGE_ITEMS_MAX 1000u /* of one purge */
#define ROUTER_PURGE_URL_MAX 8192u   /* bytes; a longer one is not a key of any edge */
#define ROUTER_PURGE_TAG_MAX 1024u

/* `*ret` is a new reference; keys named in `besides` (NULL-ended) are the caller's and passed over.
 * CDN_INVALID and CDN_TOO_LARGE name the key and the item. */
enum cdn_status router_purge_item(const json_t *body, const char *const *besides, json_t **ret,
                                  struct cdn_error *err) CDN_MUST_CHECK;

/* What a request in another form asks for, as router_purge_item() takes it; `host` and `target` are those
 * of the request, which may mean its own URL. A new reference. */
json_t *router_purge_of_form(const struct http_purge *form, struct cdn_str host, struct cdn_str target);

#endif
