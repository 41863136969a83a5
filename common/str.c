/* str: slices and the growing buffer. Growth doubles, so that appending costs the same however long
 * the buffer is; case is folded for ASCII only, as all protocols here want it. */
#include "common/str.h"

#include "common/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "common/banned.h"

bool cdn_str_same_nocase(const char *a, const char *b, size_t n)
{
    return strncasecmp(a, b, n) == 0;
}

bool cdn_str_starts(struct cdn_str s, struct cdn_str prefix)
{
    return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0;
}

bool cdn_str_ends(struct cdn_str s, struct cdn_str suffix)
{
    return s.n >= suffix.n && memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

struct cdn_str cdn_str_trim(struct cdn_str s)
{
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

struct cdn_str cdn_str_sub(struct cdn_str s, size_t from)
{
    size_t skip = from < s.n ? from : s.n;
    return (struct cdn_str){s.p + skip, s.n - skip};
}

ptrdiff_t cdn_str_find(struct cdn_str s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? hit - s.p : -1;
}

struct cdn_str cdn_str_cut(struct cdn_str *rest, char sep)
{
    struct cdn_str part = *rest;
    ptrdiff_t at = cdn_str_find(part, sep);
    if (at < 0) {
        *rest = (struct cdn_str){NULL, 0};
        return part;
    }
    *rest = cdn_str_sub(part, (size_t)at + 1);
    part.n = (size_t)at;
    return part;
}

char *cdn_str_dup(struct cdn_str s)
{
    return cdn_strndup(s.p, s.n);
}

bool cdn_str_copy(char *dst, size_t size, struct cdn_str s)
{
    size_t n = s.n < size ? s.n : size - 1;
    memcpy(dst, s.p, n);
    dst[n] = '\0';
    return n == s.n;
}

void cdn_buf_reserve(struct cdn_buf *b, size_t more)
{
    size_t need = b->n + more + 1;
    if (need <= b->room) {
        return;
    }
    size_t room = b->room ? b->room : 64;
    while (room < need) {
        room *= 2;
    }
    b->p = cdn_realloc(b->p, room, 1);
    b->room = room;
}

void cdn_buf_add(struct cdn_buf *b, const void *p, size_t n)
{
    cdn_buf_reserve(b, n);
    if (n) {
        memcpy(b->p + b->n, p, n);
    }
    b->n += n;
    b->p[b->n] = '\0';
}

void cdn_buf_add_char(struct cdn_buf *b, char c)
{
    cdn_buf_add(b, &c, 1);
}

void cdn_buf_add_uint(struct cdn_buf *b, uint64_t value)
{
    char text[24];
    char *at = text + sizeof(text);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    cdn_buf_add(b, at, (size_t)(text + sizeof(text) - at));
}

void cdn_buf_add_int(struct cdn_buf *b, int64_t value)
{
    if (value < 0) {
        cdn_buf_add_char(b, '-');
    }
    cdn_buf_add_uint(b, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void cdn_buf_printf(struct cdn_buf *b, const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n > 0) {
        cdn_buf_reserve(b, (size_t)n);
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void cdn_buf_clear(struct cdn_buf *b)
{
    b->n = 0;
    if (b->p) {
        b->p[0] = '\0';
    }
}

void cdn_buf_free(struct cdn_buf *b)
{
    free(b->p);
    *b = (struct cdn_buf){0};
}

char *cdn_buf_take(struct cdn_buf *b)
{
    char *p = b->p ? b->p : cdn_strdup("");
    *b = (struct cdn_buf){0};
    return p;
}
