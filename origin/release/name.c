/* name: rules over the bytes of a name; which of them the edges and the origin have too is said at each. A
 * name that would be published and never answered is refused here, where somebody reads the message. */
#include "origin/release/name.h"

#include "common/http/syntax/http_percent.h"
#include "common/mem.h"
#include "common/visible.h"
#include "origin/base/path.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

static const char *segment_fault(struct cdn_str segment)
{
    if (segment.n == 0 || cdn_str_eq(segment, CDN_STR(".")) || cdn_str_eq(segment, CDN_STR(".."))) {
        return "an empty segment, '.' or '..' is no name";
    }
    return segment.n > ORIGIN_SEGMENT_MAX ? "a segment is longer than 255 bytes" : NULL;
}

const char *release_name_fault(struct cdn_str name)
{
    if (name.n == 0 || name.n >= ORIGIN_PATH_MAX) {
        return "it is empty or longer than 2047 bytes";
    }
    for (size_t i = 0, length; i < name.n; i += length) {
        uint32_t c;
        length = cdn_utf8_decode(name.p + i, name.n - i, &c);
        if (length == 0) {
            return "it is not UTF-8";
        }
        if (c < 0x20 || c == 0x7f || c == '\\') {
            return "it holds a control character or a backslash, which no URL can ask for";
        }
    }
    for (struct cdn_str rest = name; rest.p;) {
        const char *fault = segment_fault(cdn_str_cut(&rest, '/'));
        if (fault) {
            return fault;
        }
    }
    return NULL;
}

bool release_name_is_hidden(struct cdn_str segment, bool first)
{
    return segment.n && segment.p[0] == '.' && !(first && cdn_str_eq(segment, CDN_STR(".well-known")));
}

static bool is_digits(const char *p)
{
    for (size_t i = 0; i < RELEASE_DIGITS; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

bool release_name_promises(struct cdn_str name, struct cdn_str *ret_digits)
{
    size_t start = name.n;
    while (start > 0 && name.p[start - 1] != '/') {
        start--;
    }
    name = cdn_str_sub(name, start);
    /* at least one byte on either side of ".xxxxxxxxxxxx." */
    for (size_t i = name.n; i >= RELEASE_DIGITS + 4; i--) {
        const size_t dot = i - RELEASE_DIGITS - 3;
        if (name.p[dot] == '.' && name.p[dot + RELEASE_DIGITS + 1] == '.' && is_digits(name.p + dot + 1)) {
            *ret_digits = (struct cdn_str){name.p + dot + 1, RELEASE_DIGITS};
            return true;
        }
    }
    return false;
}

struct cdn_str release_name_of_sibling(struct cdn_str name)
{
    const struct cdn_str endings[] = {CDN_STR(".br"), CDN_STR(".zst"), CDN_STR(".gz")};
    for (size_t i = 0; i < CDN_ARRAY_LEN(endings); i++) {
        if (name.n > endings[i].n && cdn_str_ends(name, endings[i])) {
            return (struct cdn_str){name.p, name.n - endings[i].n};
        }
    }
    return CDN_STR("");
}

static bool keeps(unsigned char c)
{
    return http_percent_is_unreserved(c) || (c && strchr("/!$&'()*+,;=:@", c)); /* pchar, RFC 3986 3.3 */
}

void release_name_add_path(struct cdn_str name, struct cdn_buf *out)
{
    cdn_buf_add_char(out, '/');
    http_percent_encode(name, keeps, out);
}

bool release_name_folder(struct cdn_str name, struct cdn_str index, struct cdn_str *ret)
{
    const size_t at = name.n - index.n;
    if (index.n == 0 || !cdn_str_ends(name, index) || (at > 0 && name.p[at - 1] != '/')) {
        return false;
    }
    *ret = (struct cdn_str){name.p, at};
    return true;
}
