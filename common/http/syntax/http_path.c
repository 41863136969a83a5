/* http_path: one spelling of a path and query, written in one pass into the caller's memory: it is
 * the first part of each cache key, so it allocates nothing, and two spellings of one resource
 * become one. */
#include "common/http/syntax/http_path.h"

#include "common/http/syntax/http_percent.h"

#include <string.h>

#include "common/banned.h"

bool http_encoding_is_whole(struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && http_percent_byte(s, i) < 0) {
            return false;
        }
    }
    return true;
}

struct writer {
    char *p;
    size_t n, room; /* n goes on when it is full */
};

static void put(struct writer *w, const char *p, size_t n)
{
    if (w->n <= w->room && n <= w->room - w->n) {
        memcpy(w->p + w->n, p, n);
    }
    w->n += n;
}

static void put_byte(struct writer *w, unsigned byte)
{
    static const char digits[] = "0123456789ABCDEF";
    if (http_percent_is_unreserved((unsigned char)byte)) {
        put(w, (char[]){(char)byte}, 1);
    } else {
        put(w, (char[]){'%', digits[byte >> 4], digits[byte & 15]}, 3);
    }
}

enum http_encoding http_encoding_write(struct cdn_str s, char *into, size_t room, size_t *ret_n)
{
    struct writer w = {.p = into, .room = room};
    size_t plain = 0; /* start of what can be copied as one piece */
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (c > 0x20 && c < 0x7f && c != '%' && c != '#') {
            continue;
        }
        if (c <= 0x20 || c == 0x7f || c == '#') {
            return HTTP_ENCODING_BYTE;
        }
        const int byte = c == '%' ? http_percent_byte(s, i) : c;
        if (byte < 0) {
            return HTTP_ENCODING_PERCENT;
        }
        put(&w, s.p + plain, i - plain);
        put_byte(&w, (unsigned)byte);
        i += c == '%' ? 2 : 0;
        plain = i + 1;
    }
    put(&w, s.p + plain, s.n - plain);
    *ret_n = w.n;
    return HTTP_ENCODING_OK;
}

size_t http_path_remove_dots(char *p, size_t end)
{
    size_t in = 0, out = 0;
    while (in < end) {
        size_t next = in + 1; /* after this segment: the next '/' or the end */
        while (next < end && p[next] != '/') {
            next++;
        }
        size_t n = next - in - 1;
        bool dot = n == 1 && p[in + 1] == '.', dots = n == 2 && p[in + 1] == '.' && p[in + 2] == '.';
        if (dots) {
            while (out > 0 && p[--out] != '/') {
            }
        }
        if (!dot && !dots) {
            memmove(p + out, p + in, next - in);
            out += next - in;
        } else if (next == end) {
            p[out++] = '/';
        }
        in = next;
    }
    return out;
}
