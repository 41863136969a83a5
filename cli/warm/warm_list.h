/* warm_list: the URLs that are to be asked for, read from any of three forms, told apart by their first
 * byte:
 *
 *     https://shop.example/a.css       a list: a URL, a path or a name on each line; '#' begins a remark
 *     {"paths": {"a.css": "a.1f.css"}} a manifest of Django's staticfiles (what each file is called now)
 *     <urlset> or <sitemapindex>       a sitemap (sitemaps.org), or a list of sitemaps
 *
 * Pure: bytes in, a list out. Names without a slash in front stand under the base; a path alone is one of the
 * base's host. What is no URL is an error that names the line or the entry.
 */
#ifndef CDN_CLI_WARM_LIST_H
#define CDN_CLI_WARM_LIST_H
#include "common/index.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define WARM_URLS_MAX 1000000u
#define WARM_SITEMAPS_MAX 1000u
#define WARM_URL_MAX 8000u /* bytes */

struct warm_url {
    bool secure;
    char *host;   /* "shop.example:8443"; "": the one site behind the edges */
    char *target; /* "/a.css?v=2" */
};

struct warm_list { /* zeroed: empty */
    struct warm_url *urls;
    size_t n, room;
    size_t most;            /* 0: WARM_URLS_MAX */
    struct cdn_index known; /* of them */
    char **sitemaps;        /* the URLs of further ones */
    size_t sitemap_count;
};

/* "https://shop.example/static/", "/static/", or "" for the form's own: "/static/" for a manifest, "/" for a
 * list. Ends in a slash, or gets one. */
struct warm_base {
    const char *text;
};
/* `name` is what errors call the source. */
enum cdn_status warm_list_add(struct warm_list *list, const char *name, struct cdn_str bytes,
                              const struct warm_base *base, struct cdn_error *err) CDN_MUST_CHECK;
void warm_list_free(struct warm_list *list);

/* One URL, path or name; each URL is kept once. */
enum cdn_status warm_list_add_url(struct warm_list *list, struct cdn_str text, struct cdn_str base,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* Reads a URL into its parts, which the caller owns. */
enum cdn_status warm_url_read(struct cdn_str text, struct cdn_str base, struct warm_url *ret,
                              struct cdn_error *err) CDN_MUST_CHECK;
void warm_url_free(struct warm_url *url);

#endif
