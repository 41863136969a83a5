/* mime: media type by file name, from the system's table (/etc/mime.types) with a built-in one behind it.
 *
 * Immutable once loaded: all threads read it without a lock. Textual types carry `charset=utf-8`.
 */
#ifndef CDN_ORIGIN_MIME_H
#define CDN_ORIGIN_MIME_H
#include "common/status.h"
#include "common/str.h"

struct origin_mime;

/* Reads `path`; "" or a file that is not there: the built-in table only. CDN_IO when it cannot be read,
 * CDN_TOO_LARGE. Lines that are no "type extension..." are skipped, as every reader of that file does. */
enum cdn_status origin_mime_load(const char *path, struct origin_mime **ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void origin_mime_destroy(struct origin_mime *mime); /* NULL is fine */

/* Value for Content-Type by the last extension of the name, in any case of letters; application/octet-stream
 * when unknown. Lives as long as the table. */
const char *origin_mime_find(const struct origin_mime *mime, struct cdn_str name);

#endif
