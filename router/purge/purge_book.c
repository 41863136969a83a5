/* purge_book: an array of edges that only grows, within a limit, and a ring of the latest purges
 * with the time each edge took: receipts of older ones say that, not when. */
#include "router/purge/purge_book.h"

#include "common/mem.h"

#include <stdlib.h>

#include "common/banned.h"

struct edge {
    char *name;
    uint64_t upto; /* what it said last */
    uint64_t most; /* what it said ever */
    int64_t seen_ns;
};

struct times { /* of one purge */
    uint64_t id;
    int64_t began_ns;
    int64_t *took_ns; /* by edge; negative: not yet */
    size_t n;
};

struct router_book {
    struct edge *edges;
    size_t count, max;
    struct times times[ROUTER_BOOK_PURGES]; /* by number modulo the size */
};

struct router_book *router_book_create(size_t edges_max)
{
    struct router_book *book = cdn_calloc(1, sizeof(*book));
    book->max = edges_max;
    return book;
}

void router_book_destroy(struct router_book *book)
{
    if (!book) {
        return;
    }
    for (size_t i = 0; i < book->count; i++) {
        free(book->edges[i].name);
    }
    for (size_t i = 0; i < ROUTER_BOOK_PURGES; i++) {
        free(book->times[i].took_ns);
    }
    free(book->edges);
    free(book);
}

size_t router_book_find(const struct router_book *book, struct cdn_str name)
{
    for (size_t i = 0; i < book->count; i++) {
        if (cdn_str_eq(cdn_str(book->edges[i].name), name)) {
            return i;
        }
    }
    return ROUTER_BOOK_NO_EDGE;
}

size_t router_book_edge(struct router_book *book, struct cdn_str name)
{
    size_t found = router_book_find(book, name);
    if (found != ROUTER_BOOK_NO_EDGE) {
        return found;
    }
    if (book->count >= book->max || name.n == 0 || name.n > ROUTER_BOOK_NAME_MAX) {
        return ROUTER_BOOK_NO_EDGE;
    }
    book->edges = cdn_realloc(book->edges, book->count + 1, sizeof(*book->edges));
    book->edges[book->count] = (struct edge){.name = cdn_str_dup(name)};
    return book->count++;
}

size_t router_book_count(const struct router_book *book)
{
    return book->count;
}

const char *router_book_name(const struct router_book *book, size_t edge)
{
    return book->edges[edge].name;
}

int64_t router_book_seen_ns(const struct router_book *book, size_t edge)
{
    return book->edges[edge].seen_ns;
}

uint64_t router_book_upto(const struct router_book *book, size_t edge)
{
    return book->edges[edge].upto;
}

void router_book_purge(struct router_book *book, uint64_t id, int64_t now_ns)
{
    struct times *t = &book->times[id % ROUTER_BOOK_PURGES];
    t->id = id;
    t->began_ns = now_ns;
    t->n = 0;
}

static void note(struct router_book *book, size_t edge, uint64_t id, int64_t now_ns)
{
    struct times *t = &book->times[id % ROUTER_BOOK_PURGES];
    if (t->id != id) {
        return;
    }
    if (t->n <= edge) {
        t->took_ns = cdn_realloc(t->took_ns, book->count, sizeof(*t->took_ns));
        while (t->n < book->count) {
            t->took_ns[t->n++] = -1;
        }
    }
    if (t->took_ns[edge] < 0) {
        t->took_ns[edge] = now_ns - t->began_ns;
    }
}

void router_book_acknowledge(struct router_book *book, size_t edge, uint64_t upto, int64_t now_ns)
{
    struct edge *e = &book->edges[edge];
    uint64_t from = upto > ROUTER_BOOK_PURGES ? upto - ROUTER_BOOK_PURGES + 1 : 1;
    from = e->most + 1 > from ? e->most + 1 : from;
    for (uint64_t id = from; id <= upto; id++) {
        note(book, edge, id, now_ns);
    }
    e->seen_ns = now_ns;
    e->upto = upto;
    e->most = upto > e->most ? upto : e->most;
}

bool router_book_has(const struct router_book *book, size_t edge, uint64_t id, double *ret_ms)
{
    const struct times *t = &book->times[id % ROUTER_BOOK_PURGES];
    bool seen = edge < book->count && t->id == id && edge < t->n && t->took_ns[edge] >= 0;
    *ret_ms = seen ? (double)t->took_ns[edge] / 1e6 : -1;
    return edge < book->count && book->edges[edge].most >= id;
}
