/* name: what the names in a release may be, and what they say. Pure.
 *
 * A name is published only if the origin can be asked for it: UTF-8 without control characters and
 * backslashes, segments of at most 255 bytes. Names that begin with a dot are left out, as the origin does
 * not serve them.
 */
#ifndef CDN_ORIGIN_RELEASE_NAME_H
#define CDN_ORIGIN_RELEASE_NAME_H
#include "common/str.h"

#include <stdbool.h>

#define RELEASE_DIGITS 12
/* A compressed sibling that is older than its file by more than this was left behind by an edit. Copying a
 * tree may well write the sibling a moment before the file. */
#define RELEASE_SIBLING_SLACK_S 5

/* Why nobody could ask for a file of this name; NULL: he can. */
const char *release_name_fault(struct cdn_str name);
/* A segment that the origin does not serve; `first`: of its path. */
bool release_name_is_hidden(struct cdn_str segment, bool first);
/* NAME.<12 hex digits>.EXT, where the digits promise the MD5 of the bytes, by the rule of the edges (the last
 * such place counts). */
bool release_name_promises(struct cdn_str name, struct cdn_str *ret_digits);
/* The file whose compressed sibling this would be: "app.css" of "app.css.br"; empty: of none. */
struct cdn_str release_name_of_sibling(struct cdn_str name);
/* "/css/caf%C3%A9.css": appends the path that clients ask for. */
void release_name_add_path(struct cdn_str name, struct cdn_buf *out);
/* The folder that an index file answers for: "docs/" of "docs/index.html", "" of "index.html". False: it is
 * none. */
bool release_name_folder(struct cdn_str name, struct cdn_str index, struct cdn_str *ret);

#endif
