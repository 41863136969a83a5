/* manifest: Django's staticfiles.json (what each file is called now) against the files that are published
 * with it. Pure.
 *
 * An entry without its file is an error: pages would link to it and get 404. The reverse is told: hashed
 * files that no entry names are left over from before, and plain ones without an entry were added after
 * `collectstatic`, which `{% static %}` does not know. */
#ifndef CDN_ORIGIN_RELEASE_MANIFEST_H
#define CDN_ORIGIN_RELEASE_MANIFEST_H
#include "common/status.h"
#include "common/str.h"
#include "origin/release/file.h"

#include <stddef.h>

#define RELEASE_MANIFEST "staticfiles.json"

struct release_manifest_note {
    size_t left_over, unknown;                   /* hashed files, plain files that no entry names */
    const char *first_left_over, *first_unknown; /* borrowed from `files` */
};
/* CDN_INVALID: it is no such manifest, or names files that are not there. `prefix` stands before all names of
 * `files`. */
enum cdn_status release_manifest_check(struct cdn_str json, const struct release_files *files,
                                       const char *prefix, struct release_manifest_note *ret,
                                       struct cdn_error *err) CDN_MUST_CHECK;

#endif
