/* http_path: paths and queries in one spelling (RFC 3986 6.2.2). Pure. */
#ifndef CDN_COMMON_HTTP_PATH_H
#define CDN_COMMON_HTTP_PATH_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

enum http_encoding {
    HTTP_ENCODING_OK,
    HTTP_ENCODING_BYTE,    /* a byte that no URL has: a control, a space, '#' */
    HTTP_ENCODING_PERCENT, /* a '%' without two hex digits: servers read it in different ways */
};
/* Percent-encoding in upper case, undone for unreserved characters, added for bytes beyond ASCII. *ret_n: how
 * long it is; when that is more than `room`, what was written is incomplete. */
enum http_encoding http_encoding_write(struct cdn_str s, char *into, size_t room, size_t *ret_n);
/* Whether every '%' has its two digits. */
bool http_encoding_is_whole(struct cdn_str s);

/* "." and ".." as segments of a path that begins with '/', in place (5.2.4); the new length. */
size_t http_path_remove_dots(char *p, size_t end);

#endif
