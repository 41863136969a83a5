/* visible: foreign bytes as text that does nothing to a terminal and makes one line look like one.
 *
 * Controls of both sets (ESC, DEL, U+0080 to U+009F), separators of lines, bidirectional marks and overrides,
 * and bytes that are not UTF-8 are written as escapes; the rest stays as it is. What is already pure text is
 * not changed, so doing it twice does no harm.
 */
#ifndef CDN_COMMON_VISIBLE_H
#define CDN_COMMON_VISIBLE_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the UTF-8 character at text (n > 0 bytes left) and its code point; 0 when these are not one. */
size_t cdn_utf8_decode(const char *text, size_t n, uint32_t *ret);
bool cdn_is_hidden(uint32_t c); /* must not be shown as it is */

void cdn_buf_add_visible(struct cdn_buf *b, struct cdn_str s); /* \\x1b, \\u009b, \\u202e */
/* A line whose columns may be parted by tabs, which stay. */
void cdn_buf_add_visible_line(struct cdn_buf *b, struct cdn_str s);
/* A text in JSON, which says the same afterwards: \\u001b; bytes that are not UTF-8 become \\ufffd. */
void cdn_buf_add_visible_json(struct cdn_buf *b, struct cdn_str s);
void cdn_buf_make_visible(struct cdn_buf *b, size_t from); /* what was added from there on, in its place */
char *cdn_visible(const char *text);                       /* the same; owned by the caller */

#endif
