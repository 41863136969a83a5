/* pages: memory for bodies, in whole pages, kept apart from what malloc has.
 *
 * An allocator for everything keeps much of what a burst took, and knows neither how much that is nor which
 * pages of it the kernel has backed. Bodies come and go by the thousand and are nearly all of the memory, so
 * they have regions of their own, of EDGE_PAGES_REGION bytes, each with one bit a page for `used` and for
 * `ready` (backed by the kernel, so that writing to it costs no page fault). Pages given back are handed out
 * again first. What is ready and unused is bounded: a thread of low priority gives the rest back to the
 * kernel, and makes some ready before they are wanted. Larger bodies get a mapping of their own. Where the
 * system has huge pages a stretch of a region becomes ready as a whole (backing.h).
 *
 * Threads: any; one mutex, never held across a system call but for making a region. While the thread works
 * on pages they are marked used, so nobody else has them. Without the thread (unit tests) the caller does
 * all of it. Life cycle: for the process; edge_pages_start/_stop are about the thread only.
 */
#ifndef CDN_EDGE_PAGES_H
#define CDN_EDGE_PAGES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_PAGE ((size_t)4096)
#define EDGE_PAGES_REGION ((size_t)8 << 20)
#define EDGE_PAGES_MIN ((size_t)8 << 10)    /* smaller ones are malloc's */
#define EDGE_PAGES_SHARED ((size_t)2 << 20) /* larger ones are mapped alone */

/* How many bytes edge_pages_take(n) really takes. */
static inline size_t edge_pages_room(size_t n)
{
    return (n + EDGE_PAGE - 1) & ~(EDGE_PAGE - 1);
}

/* At least EDGE_PAGES_MIN bytes; never NULL. */
void *edge_pages_take(size_t n);
/* `n` as it was taken, or as it was shrunk to. */
void edge_pages_give(void *data, size_t n);
/* The pages beyond the first `n` bytes go back; true: then the block is to be given as `n`. False: it stays
 * as it is. */
bool edge_pages_shrink(void *data, size_t from, size_t n);

/* Starts the thread; `spare` bytes may stay ready and unused. False: there is no thread, which does no
 * harm. */
bool edge_pages_start(size_t spare);
void edge_pages_stop(void);

struct edge_pages_stats {
    uint64_t used, ready; /* bytes: in use; backed and unused */
    uint64_t regions;
};
void edge_pages_stats(struct edge_pages_stats *ret);

#endif
