/* stale: what caches have to forget when one release follows another. Pure.
 *
 * Of each name that changed, came or went, and promises nothing of its bytes: its path; for an index file its
 * folder; for a compressed sibling the file whose answers it gives. Caches keep a path under every query that
 * it was asked with, though the origin knows none: so a prefix goes with each path.
 */
#ifndef CDN_ORIGIN_RELEASE_STALE_H
#define CDN_ORIGIN_RELEASE_STALE_H
#include "origin/release/file.h"

#include <stdint.h>

struct release_stale { /* paths ("/css/app.css"), each once, in order; zeroed: empty */
    struct release_files paths;
};

/* Adds what differs. `index`: name of index files, "" none; `lengths`: of content hashes in names. */
void release_stale_add(struct release_stale *stale, const struct release_files *from,
                       const struct release_files *to, const char *index, uint64_t lengths);
void release_stale_finish(struct release_stale *stale); /* sorts, and drops what is there twice */
void release_stale_free(struct release_stale *stale);

#endif
