/* store_index: the table of stored objects in SQLite; one struct is one connection, used by one thread at a
 * time.
 *
 * Rows carry two checksums, over what identifies the object and over its meta, because a flipped bit inside a
 * row is nothing that SQLite notices. Where the object lies is not covered: the record at that place says
 * whose it is. Statuses: CDN_CORRUPT (the database is damaged), CDN_UNAVAILABLE (disk full), CDN_IO (all
 * other failures).
 */
#ifndef CDN_EDGE_STORE_INDEX_H
#define CDN_EDGE_STORE_INDEX_H
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct edge_index;

/* Who receives rows. Slices are valid during the call. */
struct edge_index_sink {
    void *arg;
    void (*row)(void *arg, const struct edge_store_row *row);
    void (*damaged)(void *arg, uint64_t id); /* the checksum of this row is wrong */
};

/* The writer's connection makes the table; `*ret_new` (may be NULL) says whether it had to. */
enum cdn_status edge_index_open(const char *path, bool writer, struct edge_index **ret, bool *ret_new,
                                struct cdn_error *err) CDN_MUST_CHECK;
void edge_index_close(struct edge_index *ix);
const char *edge_index_failure(const struct edge_index *ix); /* words for the last failure */

enum cdn_status edge_index_begin(struct edge_index *ix);
/* On failure the transaction may still be open: edge_index_in_transaction. */
enum cdn_status edge_index_commit(struct edge_index *ix);
bool edge_index_in_transaction(const struct edge_index *ix);

enum cdn_status edge_index_insert(struct edge_index *ix, const struct edge_store_row *row); /* or replace */
enum cdn_status edge_index_delete(struct edge_index *ix, uint64_t id);
enum cdn_status edge_index_update(struct edge_index *ix, uint64_t id, struct cdn_str meta);
enum cdn_status edge_index_move(struct edge_index *ix, uint64_t id, uint32_t segment, uint32_t place);
/* Where `id` lies now; CDN_NOT_FOUND. */
enum cdn_status edge_index_place(struct edge_index *ix, uint64_t id, uint32_t *ret_segment,
                                 uint32_t *ret_place);
/* The row of `id`, if there is one. */
enum cdn_status edge_index_get(struct edge_index *ix, uint64_t id, const struct edge_index_sink *sink);
enum cdn_status edge_index_max_id(struct edge_index *ix, uint64_t *ret);

enum cdn_status edge_index_set_mark(struct edge_index *ix, struct cdn_str text);
char *edge_index_mark(struct edge_index *ix); /* owned by the caller; "" when there is none */

/* All rows with after < id < before, by id. */
enum cdn_status edge_index_scan(struct edge_index *ix, uint64_t after, uint64_t before,
                                const struct edge_index_sink *sink);
enum cdn_status edge_index_find(struct edge_index *ix, uint64_t key_a, uint64_t key_b,
                                const struct edge_index_sink *sink);

#endif
