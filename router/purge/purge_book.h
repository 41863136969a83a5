/* purge_book: which edge has acknowledged what, and how fast.
 *
 * Pure bookkeeping over values: edges by name (an index that never changes), how far each is, and for the
 * latest ROUTER_BOOK_PURGES purges the time each edge took.
 */
#ifndef CDN_ROUTER_PURGE_BOOK_H
#define CDN_ROUTER_PURGE_BOOK_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_BOOK_PURGES 1024u
#define ROUTER_BOOK_NO_EDGE SIZE_MAX
#define ROUTER_BOOK_NAME_MAX 255u

struct router_book;

struct router_book *router_book_create(size_t edges_max);
void router_book_destroy(struct router_book *book);

/* The edge's index, made if new; ROUTER_BOOK_NO_EDGE when there are too many or the name is empty or too
 * long. */
size_t router_book_edge(struct router_book *book, struct cdn_str name);
size_t router_book_find(const struct router_book *book, struct cdn_str name); /* not made */
size_t router_book_count(const struct router_book *book);
const char *router_book_name(const struct router_book *book, size_t edge);
int64_t router_book_seen_ns(const struct router_book *book, size_t edge); /* its last poll */

void router_book_purge(struct router_book *book, uint64_t id, int64_t now_ns); /* a new purge */
/* The edge says that it has applied all up to `upto`. It may say less than before, when it began anew: it
 * will not serve before it is as far again, so what it has once acknowledged stays so. */
void router_book_acknowledge(struct router_book *book, size_t edge, uint64_t upto, int64_t now_ns);
uint64_t router_book_upto(const struct router_book *book, size_t edge); /* what it said last */
/* Whether the edge has; *ret_ms: how long it took, negative when that was not seen. */
bool router_book_has(const struct router_book *book, size_t edge, uint64_t id, double *ret_ms);

#endif
