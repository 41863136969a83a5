/* blob: immutable bytes shared by reference, the body of an object that lives in RAM.
 *
 * A blob is filled by its one owner and shared only afterwards; from then on nobody writes it, so reading
 * needs no lock. References are atomic: threads, ready responses and the disk writer each hold their own. The
 * bytes have a block of their own: bodies are often a power of two long, and in one block with these few
 * bytes they would take the next larger size of the allocator (20 KiB instead of 16, and one page fault
 * more).
 */
#ifndef CDN_EDGE_BLOB_H
#define CDN_EDGE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>

struct edge_blob {
    _Atomic unsigned refs;
    size_t n;
    char *data; /* a block of its own: bodies are often a power of two, which an allocator has a class for */
};

struct edge_blob *edge_blob_create(size_t n); /* one reference; bytes undefined */
/* Changes the size while there is only one reference; consumes and returns the blob. */
struct edge_blob *edge_blob_resize(struct edge_blob *blob, size_t n);
struct edge_blob *edge_blob_ref(struct edge_blob *blob);
void edge_blob_unref(void *blob); /* NULL is fine; void * so that it serves as a free callback */

#endif
