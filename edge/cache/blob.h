/* blob: immutable bytes shared by reference, the body of an object that lives in RAM.
 *
 * A blob is filled by its one owner and shared only afterwards; from then on nobody writes its bytes, so
 * reading needs no lock. Compressed forms of them may come later, and go with it. References are atomic:
 * threads, ready responses and the disk writer each hold their own. The bytes have a block of their own, from
 * 8 KiB on in whole pages (pages.h); what all of them take is in the account (budget.h).
 */
#ifndef CDN_EDGE_BLOB_H
#define CDN_EDGE_BLOB_H
#include <stddef.h>
#include <stdint.h>

/* Compressed forms of a body (compress.h). A state goes NONE -> WAITING (-> NONE, when nobody can make it
 * now) -> DONE; the form is written before DONE, under the cache's lock, and never changes: NULL, when it was
 * no smaller. */
enum edge_coded_form {
    EDGE_CODED_BR,
    EDGE_CODED_ZSTD,
    EDGE_CODED_GZIP,
    EDGE_CODED_COUNT /* none: as stored */
};
enum edge_coded_state { EDGE_CODED_NONE, EDGE_CODED_WAITING, EDGE_CODED_DONE };
struct edge_coded {
    struct edge_blob *blob[EDGE_CODED_COUNT]; /* counted */
    _Atomic unsigned state[EDGE_CODED_COUNT];
};

struct edge_blob {
    _Atomic unsigned refs;
    size_t n;
    char *data;                       /* a block of its own */
    struct edge_coded *_Atomic coded; /* owned; NULL: nobody has asked for any */
};

struct edge_blob *edge_blob_create(size_t n); /* one reference; bytes undefined */
/* Changes the size while there is only one reference; consumes and returns the blob. */
struct edge_blob *edge_blob_resize(struct edge_blob *blob, size_t n);
struct edge_blob *edge_blob_ref(struct edge_blob *blob);
void edge_blob_unref(void *p); /* NULL is fine; void * so that it serves as a free callback */
struct edge_coded *edge_blob_coded(struct edge_blob *blob); /* made if missing; any thread */
size_t edge_blob_room(size_t n);                            /* what n bytes of body take */
uint64_t edge_blob_bytes(const struct edge_blob *blob);     /* so taken, in all its forms; cache's lock */

#endif
