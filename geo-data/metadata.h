/* metadata: a look at a file's metadata before libmaxminddb sees it. The library (1.7.1) refuses damaged
 * metadata too, but leaks what it had read until then, and says less. */
#ifndef CDN_GEO_DATA_METADATA_H
#define CDN_GEO_DATA_METADATA_H
#include "common/status.h"
#include "common/str.h"

/* CDN_IO when the file cannot be read, CDN_CORRUPT when it has no sound metadata; the sentence starts with
 * `shown`. Languages and description are optional in the format and demanded by the library: where one is
 * missing, `ret_appendix` (or NULL) gets the whole metadata again with empty ones, to be put after the
 * file's end, where the library looks first; else it stays empty. */
enum cdn_status mmdb_metadata_check(int fd, const char *shown, struct cdn_buf *ret_appendix,
                                    struct cdn_error *err) CDN_MUST_CHECK;

#endif
