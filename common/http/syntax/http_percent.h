/* http_percent: percent-encoding (RFC 3986, 2.1), read and written. Pure. Whoever needs a path or query in
 * its one spelling takes http_path.h, which stands on this. */
#ifndef CDN_COMMON_HTTP_PERCENT_H
#define CDN_COMMON_HTTP_PERCENT_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

/* The byte that the triplet at s.p[i], a '%', stands for; negative: it is none. */
int http_percent_byte(struct cdn_str s, size_t i);
/* Appends `s` decoded; `plus`: '+' is a blank, as in forms. False for a broken triplet or a NUL, as which
 * nothing in a URL is meant; then `out` has got a part of it. */
bool http_percent_decode(struct cdn_str s, bool plus, struct cdn_buf *out);

bool http_percent_is_unreserved(unsigned char c); /* RFC 3986, 2.3 */
/* Appends `s` with all bytes encoded, in upper case, but those that `keeps` says yes to. Inline, so that
 * `keeps` becomes part of the loop. */
static inline void http_percent_encode(struct cdn_str s, bool (*keeps)(unsigned char c), struct cdn_buf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t start = 0; /* of what can be copied as one piece */
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (keeps(c)) {
            continue;
        }
        cdn_buf_add(out, s.p + start, i - start);
        cdn_buf_add(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
        start = i + 1;
    }
    cdn_buf_add(out, s.p + start, s.n - start);
}

#endif
