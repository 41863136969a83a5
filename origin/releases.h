/* releases: the store that an origin serves, watched: two times a second it is asked whether anybody
 * published (one look at the database's head), and at once by POST /reload. A new state is read on the
 * main thread and goes to the workers as one immutable table; requests in between are answered by the one
 * before.
 *
 * Main thread. What cannot be read is logged once, and what was served goes on. */
#ifndef CDN_ORIGIN_RELEASES_H
#define CDN_ORIGIN_RELEASES_H
#include "common/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct origin_releases;

struct origin_releases_limits {
    uint64_t lengths; /* of content hashes in names */
    uint64_t keep;
    int64_t keep_ms;
};

#define ORIGIN_RELEASES_LOOK_NS INT64_C(500000000)

/* Makes the store where there is none yet. */
enum cdn_status origin_releases_open(const char *folder, const struct origin_releases_limits *limits,
                                     struct origin_releases **ret, struct cdn_error *err) CDN_MUST_CHECK;
void origin_releases_close(struct origin_releases *releases);                        /* NULL is fine */
struct origin_root *origin_releases_blobs(const struct origin_releases *releases);   /* borrowed */
struct release_table *origin_releases_table(const struct origin_releases *releases); /* borrowed */

/* True: there is a new table. `limits` NULL: as before. */
bool origin_releases_look(struct origin_releases *releases, const struct origin_releases_limits *limits);
json_t *origin_releases_json(const struct origin_releases *releases); /* for the status; a new reference */

#endif
