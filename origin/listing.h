/* listing: an HTML page of what is in a folder. */
#ifndef CDN_ORIGIN_LISTING_H
#define CDN_ORIGIN_LISTING_H
#include "common/str.h"
#include "origin/base/path.h"
#include "origin/base/root.h"

#include <stdbool.h>

#define ORIGIN_LISTING_MAX 20000 /* names on a page; more are counted, not shown */

/* Appends the page for a folder: its visible files and folders by name, escaped. False when it cannot be
 * read. */
bool origin_listing(const struct origin_root *root, const struct origin_path *folder, struct cdn_buf *out);

#endif
