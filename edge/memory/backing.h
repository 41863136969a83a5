/* backing: what the kernel is asked about memory for bodies: address space, pages behind it, huge ones.
 *
 * A huge page is had for a fifth of what its 512 small ones cost. But under a hypervisor that backs memory
 * lazily, one that was never touched before costs many times that, while small pages are mostly ones that
 * somebody had before. So after a dear one the next mappings do without.
 *
 * Threads: any; no lock.
 */
#ifndef CDN_EDGE_BACKING_H
#define CDN_EDGE_BACKING_H
#include <stdbool.h>
#include <stddef.h>

#define EDGE_BACKING_HUGE ((size_t)2 << 20)

struct edge_backing {
    bool huge;    /* an EDGE_BACKING_HUGE is backed as a whole when a byte of it is written to */
    size_t ready; /* how many bytes at the start are backed already */
};
/* `n` bytes at a multiple of `n`, which is one of EDGE_BACKING_HUGE. NULL: there is no address space
 * left. `lean`: the first EDGE_BACKING_HUGE has small pages in any case, so that little use takes
 * little. */
void *edge_backing_map(size_t n, bool lean, struct edge_backing *ret);
/* By one call instead of a page fault each; false: the kernel knows no such call, or has no memory. */
bool edge_backing_fill(void *data, size_t n);
/* No more huge pages in this mapping. The kernel would also make whole ones again, behind our back, of those
 * that are given back in part. */
void edge_backing_make_plain(void *data, size_t n);
void edge_backing_drop(void *data, size_t n);

#endif
