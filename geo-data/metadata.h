/* metadata: a look at a file's metadata before libmaxminddb sees it. The library (1.7.1) refuses damaged
 * metadata too, but leaks what it had read until then, and says less. */
#ifndef CDN_GEO_DATA_METADATA_H
#define CDN_GEO_DATA_METADATA_H

#include "common/status.h"

/* CDN_IO when the file cannot be read, CDN_CORRUPT when it has no sound metadata; the sentence starts with
 * `shown`. */
enum cdn_status mmdb_metadata_check(const char *path, const char *shown,
                                    struct cdn_error *err) CDN_MUST_CHECK;

#endif
