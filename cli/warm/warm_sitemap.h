/* warm_sitemap: reads sitemaps (sitemaps.org, version 0.9) by libexpat.
 *
 * <urlset><url><loc> are pages, <sitemapindex><sitemap><loc> further sitemaps. Elements of other namespaces
 * (images, videos, other languages) are passed over. A document type is refused, and with it every entity but
 * XML's own: nobody's sitemap needs them, and they are how a small file becomes a large one.
 */
#ifndef CDN_CLI_WARM_SITEMAP_H
#define CDN_CLI_WARM_SITEMAP_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>

struct warm_sitemap_handler {
    /* Each location, without blanks around it; what is not CDN_OK ends the reading. */
    enum cdn_status (*found)(void *arg, bool is_sitemap, struct cdn_str url, struct cdn_error *err);
    void *arg;
};

/* CDN_INVALID names the line. */
enum cdn_status warm_sitemap_read(struct cdn_str xml, const struct warm_sitemap_handler *handler,
                                  struct cdn_error *err) CDN_MUST_CHECK;

#endif
