/* source: where the bytes of a name come from: the current release, kept ones, the folder `root`, in this
 * order; of releases the look-up is one in memory (origin/release/table.h) and the file opened is the
 * blob, so that all that follows (bodies in memory, sendfile, ranges) is the same for both. */
#ifndef CDN_ORIGIN_SOURCE_H
#define CDN_ORIGIN_SOURCE_H
#include "origin/hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct origin_sources {        /* borrowed */
    struct origin_root *root;  /* NULL: none */
    struct origin_root *blobs; /* of the releases; NULL: none, and `table` too */
    struct release_table *table;
};

struct origin_source { /* of one file */
    struct stat st;
    bool released;
    struct origin_hash hash; /* when released: of its SHA-256 */
    int64_t until_ms;        /* when released: not there from then on (cache clock) */
    int64_t modified_s;      /* of the file as its owner had it; siblings are compared by it */
    int64_t changed_s;       /* for Last-Modified */
};

/* Opens `name` ("" is the root itself). A descriptor, the caller's, or -1 and errno; EISDIR: a folder of the
 * release. */
int origin_source_open(const struct origin_sources *sources, const char *name, struct origin_source *ret);

#endif
