/* str: slices (borrowed bytes with a length) and a growing buffer.
 *
 * `struct cdn_str` never owns; `struct cdn_buf` owns and always keeps a NUL after its bytes.
 */
#ifndef CDN_COMMON_STR_H
#define CDN_COMMON_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cdn_str {
    const char *p;
    size_t n;
};

#define CDN_STR(literal) ((struct cdn_str){"" literal, sizeof(literal) - 1})
#define CDN_STR_FMT "%.*s"
#define CDN_STR_ARG(s) (int)(s).n, (s).p

static inline struct cdn_str cdn_str(const char *s) /* NULL gives an empty slice */
{
    return (struct cdn_str){s ? s : "", s ? strlen(s) : 0};
}

static inline bool cdn_str_eq(struct cdn_str a, struct cdn_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool cdn_str_same_nocase(const char *a, const char *b, size_t n); /* ASCII only */

static inline bool cdn_str_eq_nocase(struct cdn_str a, struct cdn_str b)
{
    /* mostly the lengths differ, or the first letters */
    return a.n == b.n && (!a.n || ((a.p[0] ^ b.p[0]) & ~0x20) == 0) && cdn_str_same_nocase(a.p, b.p, a.n);
}

bool cdn_str_starts(struct cdn_str s, struct cdn_str prefix);
bool cdn_str_ends(struct cdn_str s, struct cdn_str suffix);
struct cdn_str cdn_str_trim(struct cdn_str s);             /* spaces and tabs at both ends (HTTP's OWS) */
struct cdn_str cdn_str_sub(struct cdn_str s, size_t from); /* from byte `from`; empty when beyond */
/* Cuts `rest` at the first `sep`: returns what is before it and leaves what is after it. Without one,
 * returns all and leaves rest->p NULL; so `while (rest.p)` visits every part, empty ones included. */
struct cdn_str cdn_str_cut(struct cdn_str *rest, char sep);
ptrdiff_t cdn_str_find(struct cdn_str s, char c); /* index or -1 */
char *cdn_str_dup(struct cdn_str s);              /* owned, NUL-ended */
/* Copies into dst (size bytes, always ended); false when it had to be cut. */
bool cdn_str_copy(char *dst, size_t size, struct cdn_str s);

struct cdn_buf {
    char *p; /* NULL until first use; otherwise NUL-ended */
    size_t n;
    size_t room;
};

void cdn_buf_reserve(struct cdn_buf *b, size_t more); /* room for `more` bytes and a NUL */
void cdn_buf_add(struct cdn_buf *b, const void *p, size_t n);
void cdn_buf_add_char(struct cdn_buf *b, char c);
void cdn_buf_add_uint(struct cdn_buf *b, uint64_t value); /* in decimal, as the next */
void cdn_buf_add_int(struct cdn_buf *b, int64_t value);
void cdn_buf_printf(struct cdn_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cdn_buf_clear(struct cdn_buf *b); /* empties, keeps the memory */
void cdn_buf_free(struct cdn_buf *b);  /* releases; fit for CDN_AUTOBUF */
char *cdn_buf_take(
    struct cdn_buf *b); /* the bytes, now the caller's (never NULL); the buffer is empty again */

static inline struct cdn_str cdn_buf_str(const struct cdn_buf *b)
{
    return (struct cdn_str){b->p ? b->p : "", b->n};
}

static inline void cdn_buf_add_str(struct cdn_buf *b, struct cdn_str s)
{
    if (s.n && b->n + s.n < b->room) { /* mostly it fits */
        memcpy(b->p + b->n, s.p, s.n);
        b->n += s.n;
        b->p[b->n] = '\0';
    } else {
        cdn_buf_add(b, s.p, s.n);
    }
}

#define CDN_AUTOBUF __attribute__((cleanup(cdn_buf_free)))

#endif
