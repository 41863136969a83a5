/* budget: one account of the memory that `memory` allows, for the process.
 *
 * The setting is for all that grows with the load: bodies in the RAM tier, bodies on their way (being
 * fetched, waiting for the disk's writer, or held by a client that does not read them), what connections and
 * requests to the origin hold, and the index. The process stays within the setting and 32 MiB, which are for
 * the programs, libraries and what an allocator cannot give back. So each has an end:
 *   - the tier gets what the others leave, at least an eighth;
 *   - bodies on their way may take half of what is left; who wants more is told (edge_budget_has) and goes
 *     through a file or a small window;
 *   - requests to the origin have their share, and wait for one another (edge_budget_fetches);
 *   - the index has its share: the disk tier evicts (edge_budget_index_most);
 *   - when all of these but the tier have three quarters, no connection is added: an idle one goes for a new
 *     one, or that gets 503 (edge_budget_is_full).
 *
 * Threads: any, no lock; figures may be a moment old.
 */
#ifndef CDN_EDGE_BUDGET_H
#define CDN_EDGE_BUDGET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_BUDGET_SMALL ((size_t)4096) /* bodies up to here are always in memory */
/* What one takes beside its buffers. */
#define EDGE_BUDGET_CONNECTION UINT64_C(1200) /* of a client, beside libmicrohttpd's pool */
#define EDGE_BUDGET_REQUEST UINT64_C(5000)    /* of a client, from its head to its end */
#define EDGE_BUDGET_FETCH UINT64_C(32768)     /* under way to the origin: libcurl's */
#define EDGE_BUDGET_UPLOAD UINT64_C(65536)    /* with a body: libcurl's buffer for that */
#define EDGE_BUDGET_READY UINT64_C(1400)      /* a ready answer in a hot table */
#define EDGE_BUDGET_INDEX UINT64_C(280)       /* an object that is on disk only */

void edge_budget_set(uint64_t memory);
void edge_budget_add(size_t n); /* bytes of a body, or of a buffer for one */
void edge_budget_sub(size_t n);
/* What of them is in the RAM tier, and all that counts against the tier. */
void edge_budget_tier(int64_t bodies, uint64_t used);
/* Requests to the origin, as they begin and end. */
void edge_budget_others(int64_t change);
/* Connections, their requests and ready answers; each worker adds the change of its share. */
void edge_budget_connections(int64_t change);
void edge_budget_index(uint64_t bytes);

bool edge_budget_has(size_t n); /* whether a body on its way may take this many more bytes */
/* The block of a stream of `length` bytes (negative: unknown), taken: give it back with edge_budget_sub. */
size_t edge_budget_block(int64_t length);
/* How many more requests to the origin may begin now. */
unsigned edge_budget_fetches(void);
bool edge_budget_is_full(void); /* no connection may be added */
uint64_t edge_budget_index_most(void);
size_t edge_budget_pool(uint64_t memory); /* libmicrohttpd's, of one connection */

uint64_t edge_budget_charge(void); /* what the tier has to do without */
bool edge_budget_is_over(void);    /* the tier has to give something up */

/* To be called four times a second or more, by each thread with one of its own: gives back what the thread's
 * allocator keeps, when the process has much more than the account says. */
struct edge_trim {
    int64_t next_ns;
    unsigned rest, pause; /* calls until it looks again; how many after the next time */
    uint64_t before;      /* what the process had when it last gave something back */
};
void edge_budget_trim(struct edge_trim *trim, int64_t now_ns);

struct edge_budget_stats {
    uint64_t memory, tier, on_the_way, connections, fetches, index;
};
void edge_budget_stats(struct edge_budget_stats *ret);

#endif
