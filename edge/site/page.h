/* page: own pages for errors, read from files when a rule is read: HTML with places for what happened,
 *
 *     {status} {reason} {detail} {request_id}
 *
 * which are filled in, escaped, for each answer (common/http/server/http_problem.h). A file is read once,
 * however many rules name it, and again at a reload. All pages belong to the list that they are in.
 */
#ifndef CDN_EDGE_PAGE_H
#define CDN_EDGE_PAGE_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define EDGE_PAGE_MAX ((size_t)256 * 1024)

struct edge_page {
    struct edge_page *next;
    char *path;
    struct cdn_buf text;
    bool numbered; /* shows {request_id} */
};

/* The page of a file, from the list or read into it. CDN_INVALID: it cannot be read, or is no page. */
enum cdn_status edge_page_get(struct edge_page **list, const char *path, const struct edge_page **ret,
                              struct cdn_error *err) CDN_MUST_CHECK;
void edge_pages_free(struct edge_page *list); /* NULL is fine */

#endif
