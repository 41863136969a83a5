/* mem: every allocation of the project goes through these, which end the process when memory is
 * out. What may fail for its size is refused by limits before; what is left to fail here nobody
 * could answer sensibly. */
#include "common/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

void mi_collect(bool force) __attribute__((weak)); /* mimalloc's, where a program is linked with it */

void cdn_mem_trim(void)
{
    if (mi_collect) {
        mi_collect(true);
    }
}

void cdn_out_of_memory(void)
{
    static const char text[] = "pocketcdn: out of memory\n";
    fputs(text, stderr);
    abort();
}

static void *or_die(void *p)
{
    if (!p) {
        cdn_out_of_memory();
    }
    return p;
}

void *cdn_malloc(size_t size)
{
    return or_die(malloc(size ? size : 1));
}

void *cdn_calloc(size_t count, size_t size)
{
    return or_die(calloc(count ? count : 1, size ? size : 1));
}

void *cdn_aligned_malloc(size_t alignment, size_t size)
{
    return or_die(aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment));
}

void *cdn_aligned_calloc(size_t alignment, size_t size)
{
    return memset(cdn_aligned_malloc(alignment, size), 0, size);
}

void *cdn_realloc(void *p, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        return or_die(NULL);
    }
    return or_die(realloc(p, total ? total : 1));
}

char *cdn_strdup(const char *s)
{
    return or_die(strdup(s));
}

char *cdn_strndup(const char *s, size_t n)
{
    char *copy = cdn_malloc(n + 1);
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *cdn_asprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&s, fmt, args);
    va_end(args);
    return or_die(n < 0 ? NULL : s);
}
