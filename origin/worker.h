/* worker: one thread that answers requests: its loop, its server, its files kept ready.
 *
 * A request: path -> entry -> coding -> conditions and ranges -> answer. It is suspended while a large file
 * is hashed for the first time.
 *
 * Life cycle: create (listens) -> start -> post_... from the main thread -> drain -> stop (joins) -> destroy.
 * The policy is replaced by messages, so the request path takes no lock.
 */
#ifndef CDN_ORIGIN_WORKER_H
#define CDN_ORIGIN_WORKER_H
#include "common/parse.h"
#include "common/status.h"
#include "origin/files.h"
#include "origin/release/table.h"
#include "origin/source.h"

#include <stdbool.h>
#include <stdint.h>

struct http_fault_set;
struct origin_worker;
struct release_table;

struct origin_shared { /* what all workers use; outlives them */
    const struct origin_settings *settings;
    struct origin_sources sources; /* its table counts at the start: later ones are posted */
    const struct origin_mime *mime;
    struct origin_hasher *hasher;
    unsigned connections; /* of clients, of each worker */
};

/* `claimed`: the port belongs to an earlier worker of this process. */
enum cdn_status origin_worker_create(struct origin_shared *shared, struct origin_policy *policy,
                                     const struct cdn_addr *listen, bool claimed, struct origin_worker **ret,
                                     struct cdn_error *err) CDN_MUST_CHECK;
void origin_worker_address(const struct origin_worker *worker, struct cdn_addr *ret);
const struct origin_metrics *origin_worker_metrics(const struct origin_worker *worker);
enum cdn_status origin_worker_start(struct origin_worker *worker, struct cdn_error *err) CDN_MUST_CHECK;
void origin_worker_post_policy(struct origin_worker *worker,
                               struct origin_policy *policy); /* takes a reference over */
void origin_worker_post_table(struct origin_worker *worker,
                              struct release_table *table); /* takes a reference over */
/* What it serves by now, and may serve of (table.h); any thread. */
void origin_worker_release(const struct origin_worker *worker, uint64_t *ret_current, uint64_t *ret_newest);
void origin_worker_disturb(struct origin_worker *worker, struct http_fault_set *set);
void origin_worker_drain(struct origin_worker *worker);
bool origin_worker_is_drained(const struct origin_worker *worker); /* any thread */
void origin_worker_stop(struct origin_worker *worker);             /* joins the thread */
void origin_worker_destroy(struct origin_worker *worker);          /* NULL is fine */

void origin_policy_unref(struct origin_policy *policy); /* NULL is fine */

#endif
