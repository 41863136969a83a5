/* visible: see visible.h */
#include "common/visible.h"

#include "common/banned.h"

size_t cdn_utf8_decode(const char *text, size_t n, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text;
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 && p[0] < 0xf8 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
    if (len == 0 || len > n || p[0] >= 0xf8) {
        return 0;
    }
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }
    *ret = c;
    return len;
}

bool cdn_is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void cdn_buf_add_visible(struct cdn_buf *b, struct cdn_str s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t c = 0;
        size_t len = cdn_utf8_decode(s.p + i, s.n - i, &c);
        if (len == 0 || (len == 1 && cdn_is_hidden(c))) {
            cdn_buf_printf(b, "\\x%02x", (unsigned char)s.p[i]);
            len = 1;
        } else if (cdn_is_hidden(c)) {
            cdn_buf_printf(b, "\\u%04x", (unsigned)c);
        } else {
            cdn_buf_add(b, s.p + i, len);
        }
        i += len;
    }
}

char *cdn_visible(const char *text)
{
    struct cdn_buf b = {0};
    cdn_buf_add_visible(&b, cdn_str(text));
    return cdn_buf_take(&b);
}
