/* access_log: one line for each request on the public listener, written by a thread of its own.
 *
 * Each worker puts a bounded record into a ring of its own (access_ring.h); one writer thread takes them out,
 * formats and writes them in batches, at least every tenth of a second. A request never waits: when its ring
 * is full (the disk or the pipe is slower than the traffic) its record is dropped and counted. Lines of one
 * worker are in order; those of several may be out of it by a batch. A reload (SIGHUP) opens the file anew,
 * for rotation; when that fails the old one stays. Requests that were refused before they had a complete head
 * are not logged.
 *
 * Life cycle: create (starts the writer) -> the workers run -> destroy, after they have ended, writes what is
 * left.
 */
#ifndef CDN_EDGE_ACCESS_LOG_H
#define CDN_EDGE_ACCESS_LOG_H
#include "common/http/server/http_server.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/log/access_format.h"

struct edge_access_log;

/* By the edge's settings, with a ring for every worker (worker->access); *ret is NULL when they name no log.
 * CDN_IO: the file cannot be opened. */
enum cdn_status edge_access_log_create(struct edge *edge, struct edge_access_log **ret,
                                       struct cdn_error *err) CDN_MUST_CHECK;
void edge_access_log_destroy(struct edge_access_log *log); /* NULL is fine */
/* Opens the file anew. Main thread. NULL is fine. */
enum cdn_status edge_access_log_reopen(struct edge_access_log *log, struct cdn_error *err) CDN_MUST_CHECK;

/* Worker's thread, worker->access not NULL: a plain hit as it is answered; any other request at its end.
 * `given` says what the edge did (status, bytes, verdict, cause, flags, origin's time); all else is read from
 * the request. `request_id`: the one that it got here; empty: a trusted proxy's counts. */
void edge_access_log_add(struct edge_worker *worker, struct http_request *req,
                         const struct edge_access_record *given, struct cdn_str request_id);

#endif
