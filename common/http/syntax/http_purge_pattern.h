/* http_purge_pattern: regular expressions that are nothing but a list of texts in other words. Pure.
 *
 * Understood are literal characters, escapes of signs, groups of alternatives ("^/(a|b)/"), an optional
 * character or group ("/?"), ".*" at the end of an alternative, and for tags their usual frames ("(^|,)"
 * ... "(,|$)"). All else is CDN_UNSUPPORTED, never guessed at.
 */
#ifndef CDN_COMMON_HTTP_PURGE_PATTERN_H
#define CDN_COMMON_HTTP_PURGE_PATTERN_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_PURGE_TEXTS_MAX 1000u
#define HTTP_PURGE_TEXT_BYTES ((size_t)1 << 20) /* of all texts of a pattern */

struct http_purge_text {
    char *p; /* NUL-ended, for the list to free */
    size_t n;
    bool open; /* what begins so; else it is the whole */
};
struct http_purge_texts {
    struct http_purge_text *at;
    size_t count, room, bytes;
};
void http_purge_texts_free(struct http_purge_texts *texts);

/* Whether it fits anything: "", ".*", "^.*$" and the like. */
bool http_purge_pattern_is_any(struct cdn_str pattern);

enum http_purge_dots {
    HTTP_PURGE_DOTS_ANY,    /* a dot is any character, as it should be: unsupported */
    HTTP_PURGE_DOTS_LITERAL /* a dot is a dot: host names, which clients do not escape */
};
/* The texts of a pattern that is to fit a text from its beginning; appended. */
enum cdn_status http_purge_pattern_texts(struct cdn_str pattern, enum http_purge_dots dots,
                                         struct http_purge_texts *into, struct cdn_error *err) CDN_MUST_CHECK;
/* The tags of a pattern that is to fit a list of tags; *ret_any: it fits any. */
enum cdn_status http_purge_pattern_tags(struct cdn_str pattern, struct http_purge_texts *into, bool *ret_any,
                                        struct cdn_error *err) CDN_MUST_CHECK;

#endif
