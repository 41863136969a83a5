/* mem: allocation that never returns NULL, and scope-bound release.
 *
 * Small allocations abort when memory runs out (as in Redis, h2o, gdnsd): there is nothing sensible to do
 * then. Sizes that come from a peer or a file are limited before they get here.
 */
#ifndef CDN_COMMON_MEM_H
#define CDN_COMMON_MEM_H
#include <stddef.h>
#include <stdlib.h>

_Noreturn void cdn_out_of_memory(void); /* says so and aborts */
void *cdn_malloc(size_t size) __attribute__((malloc, returns_nonnull));
void *cdn_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* At a multiple of `alignment` (a power of two); the second one is zeroed. */
void *cdn_aligned_malloc(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));
void *cdn_aligned_calloc(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));
/* Checks count * size for overflow. */
void *cdn_realloc(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *cdn_strdup(const char *s) __attribute__((malloc, returns_nonnull));
/* Copies n bytes and ends them with a NUL. */
char *cdn_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *cdn_asprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* Gives back to the system what the calling thread's allocator keeps for later. Takes a while. */
void cdn_mem_trim(void);

/* `CDN_AUTOFREE char *s = ...;` is freed when it leaves its scope. */
static inline void cdn_autofree(void *p)
{
    free(*(void **)p);
}
#define CDN_AUTOFREE __attribute__((cleanup(cdn_autofree)))

/* Gives the pointer away: the value of the variable, which becomes NULL. */
#define CDN_TAKE(pointer)                       \
    __extension__({                             \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })

/* The structure of which `pointer` is the member. */
#define CDN_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define CDN_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
