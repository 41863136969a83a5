/* lock_order: the edge's locks, outermost first. A thread takes them in this order only (common/lock.h). */
#ifndef CDN_EDGE_LOCK_ORDER_H
#define CDN_EDGE_LOCK_ORDER_H

/* What each guards is in docs/architecture.md, in the same order (a lint test compares). */
#define EDGE_LOCKS(X) X(FETCHES) X(FIND) X(CACHE) X(BODY) X(STORE) X(QUEUE) X(READERS) X(COMPRESS) X(PAGES)

enum edge_lock {
#define X(name) EDGE_LOCK_##name,
    EDGE_LOCKS(X)
#undef X
        EDGE_LOCK_COUNT
};

#endif
