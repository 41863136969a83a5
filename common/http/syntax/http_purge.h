/* http_purge: what a request that purges asks for, in the forms that caches have taught their clients.
 *
 *     PURGE /path                           that URL, of the request's host
 *     PURGE with a field of tags            what carries one of the tags: Surrogate-Key, xkey, xkey-purge,
 *                                           xkey-softpurge (marks as stale), Cache-Tag, X-Cache-Tags
 *     PURGE with X-Magento-Tags-Pattern     the tags of the pattern; ".*": everything
 *     PURGE with Clear-Cache: true          everything (Symfony)
 *     PURGEKEYS, PURGETAGS                  tags alone
 *     BAN                                   X-Host, X-Url, X-Content-Type, X-Cache-Tags: patterns that must
 *                                           all fit (FOSHttpCache for Varnish)
 *     POST /service/ID/purge[/KEY], .../purge_all, /purge/HOST/PATH        Fastly's API
 *
 * Fastly-Soft-Purge: 1 marks as stale instead of removing, with any form.
 *
 * A pattern is a regular expression. Those that say the same as a list of URLs, prefixes or tags become one
 * (http_purge_pattern.h); any other is CDN_UNSUPPORTED: to purge less than was asked would be silent damage.
 * A URL for every host is written with the host "*".
 *
 * Pure. Life cycle: begin -> field* -> (tag)* -> end -> free. What is given is borrowed until the end.
 */
#ifndef CDN_COMMON_HTTP_PURGE_H
#define CDN_COMMON_HTTP_PURGE_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_PURGE_ITEMS_MAX 1000u /* of one request */
#define HTTP_PURGE_TAG_MAX 1024u   /* bytes */

enum http_purge_kind { HTTP_PURGE_URL, HTTP_PURGE_PREFIX, HTTP_PURGE_TAG };

struct http_purge_item {
    enum http_purge_kind kind;
    char *text;
};

struct http_purge {
    bool all;   /* everything; there are no items */
    bool soft;  /* mark as stale */
    bool own;   /* the URL that the request names; there are no items */
    bool batch; /* Fastly's keys in a field or body, which are answered one by one */
    struct http_purge_item *item;
    size_t count, room;

    /* while it is read */
    struct cdn_str method, path;
    struct cdn_str ban_host, ban_url, ban_type;
    unsigned tag_fields, patterns;
    bool clear, any_tag;
    struct cdn_error err; /* the first one */
};

/* Whether a request with this method purges: PURGE, BAN, PURGEKEYS, PURGETAGS. */
bool http_purge_is_method(struct cdn_str method);

void http_purge_begin(struct http_purge *purge, struct cdn_str method, struct cdn_str path);
void http_purge_field(struct http_purge *purge, struct cdn_str name, struct cdn_str value);
void http_purge_tag(struct http_purge *purge, struct cdn_str tag); /* of Fastly's body */
/* CDN_INVALID, CDN_TOO_LARGE, CDN_UNSUPPORTED. */
enum cdn_status http_purge_end(struct http_purge *purge, struct cdn_error *err) CDN_MUST_CHECK;
void http_purge_free(struct http_purge *purge);

#endif
