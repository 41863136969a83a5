/* visible: plain bytes are looked for eight at a time and copied in runs, since nearly all output
 * is plain; only what is not is decoded. */
#include "common/visible.h"

#include <string.h>

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

/* Bytes at the front that are printable ASCII, eight at a time: most text is nothing else. */
static size_t plain_length(struct cdn_str s)
{
    const uint64_t each = 0x0101010101010101u, high = 0x80 * each;
    size_t i = 0;
    for (uint64_t w; i + sizeof(w) <= s.n; i += sizeof(w)) {
        memcpy(&w, s.p + i, sizeof(w));
        uint64_t del = w ^ 0x7f * each;
        if ((w | (w - 0x20 * each) | (del - each)) & high) { /* beyond ASCII, below a blank, or DEL */
            break;
        }
    }
    while (i < s.n && s.p[i] >= ' ' && s.p[i] < 0x7f) {
        i++;
    }
    return i;
}

static void add_escape(struct cdn_buf *b, bool json, size_t len, unsigned char byte, uint32_t c)
{
    if (json && len == 0) {
        cdn_buf_add_str(b, CDN_STR("\\ufffd"));
    } else if (json && c == '\r') {
        cdn_buf_add_char(b, ' ');
    } else if (json || len > 1) {
        cdn_buf_printf(b, "\\u%04x", (unsigned)c);
    } else {
        cdn_buf_printf(b, "\\x%02x", byte);
    }
}

/* `keep`: the controls that may stay. */
static void add(struct cdn_buf *b, struct cdn_str s, const char *keep, bool json)
{
    size_t from = 0;
    for (size_t i = plain_length(s); i < s.n; i += plain_length(cdn_str_sub(s, i))) {
        uint32_t c = 0;
        size_t len = cdn_utf8_decode(s.p + i, s.n - i, &c), step = len ? len : 1;
        bool kept = len == 1 && c && strchr(keep, (int)c);
        if (!kept && (len == 0 || cdn_is_hidden(c))) {
            cdn_buf_add(b, s.p + from, i - from);
            add_escape(b, json, len, (unsigned char)s.p[i], c);
            from = i + step;
        }
        i += step;
    }
    if (from < s.n) {
        cdn_buf_add(b, s.p + from, s.n - from);
    }
}

void cdn_buf_add_visible(struct cdn_buf *b, struct cdn_str s)
{
    add(b, s, "", false);
}

void cdn_buf_add_visible_line(struct cdn_buf *b, struct cdn_str s)
{
    add(b, s, "\t", false);
}

void cdn_buf_add_visible_json(struct cdn_buf *b, struct cdn_str s)
{
    add(b, s, "\t\n", true);
}

void cdn_buf_make_visible(struct cdn_buf *b, size_t from)
{
    if (b->n == from || plain_length((struct cdn_str){b->p + from, b->n - from}) == b->n - from) {
        return;
    }
    CDN_AUTOBUF struct cdn_buf copy = {0};
    cdn_buf_add(&copy, b->p + from, b->n - from);
    b->n = from;
    cdn_buf_add_visible(b, cdn_buf_str(&copy));
}

char *cdn_visible(const char *text)
{
    struct cdn_buf b = {0};
    cdn_buf_add_visible(&b, cdn_str(text));
    return cdn_buf_take(&b);
}
