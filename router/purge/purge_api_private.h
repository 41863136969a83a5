/* purge_api_private: what purge_api.c and purge_answer.c share. Main thread; no locks. */
#ifndef CDN_ROUTER_PURGE_API_PRIVATE_H
#define CDN_ROUTER_PURGE_API_PRIVATE_H
#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "router/purge/purge_api.h"
#include "router/purge/purge_log.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct router_waiter;

CDN_METRICS_STRUCT(purge_metrics, ROUTER_PURGE_METRICS);

struct router_purges {
    struct loop *loop;
    const struct daemon *daemon;      /* knows who has the admin token */
    const struct router_edges *edges; /* of the table in force */
    struct router_purge_log *log;
    struct router_purge_limits limits;
    char *unused_path; /* where the log, in memory and empty so far, will be; NULL: it is where it belongs */
    struct router_book *book;
    struct router_waiter *waiters;
    uint64_t waiting, receipts_waiting;
    bool draining;
    struct purge_metrics metrics;
};

/* purge_answer.c */
/* Consumes `list`; NULL: drop everything. */
void router_purges_answer_list(struct router_purges *p, struct http_request *req, json_t *list);
/* What came after purge `after`. */
void router_purges_answer_page(struct router_purges *p, struct http_request *req, uint64_t after);
void router_purges_answer_receipts(const struct router_purges *p, struct http_request *req, uint64_t id);
bool router_purges_has_all(const struct router_purges *p,
                           uint64_t id); /* acknowledged by every healthy edge */

#endif
