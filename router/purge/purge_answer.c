/* purge_answer: what is told of purges: pages of the log, receipts, status and metrics. Nothing here
 * changes anything, so an answer can be made as often as somebody has waited for it (purge_api.c).
 *
 * An entry that cannot be read makes the answer a reset: what it purged nobody knows any more, so the edge
 * has to drop all. Of edges that are not configured only those count that have asked of late: one that was
 * taken away for good must not hold up `--wait`.
 */
#include "common/daemon/daemon.h"
#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/purge/purge_api.h"
#include "router/purge/purge_api_private.h"
#include "router/purge/purge_book.h"
#include "router/purge/purge_log.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/banned.h"

#define PAGE_ROWS 1000u
#define PAGE_BYTES (1u << 20)
#define STRANGER_NS (INT64_C(60) * 1000000000)

/* ---- pages of the log ---- */

struct page {
    json_t *list;
    size_t bytes;
    bool broken; /* an entry that cannot be read: nobody knows what it purged */
};

static bool add_entry(void *arg, uint64_t id, int64_t time_ms, struct cdn_str what)
{
    struct page *page = arg;
    json_t *entry = json_loadb(what.p, what.n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(entry)) {
        cdn_log(CDN_LOG_ERROR, "purge_log", "id=%" PRIu64 " error=%s", id, "the entry is damaged");
        json_decref(entry);
        page->broken = true;
        return false;
    }
    json_object_set_new(entry, "id", json_integer((json_int_t)id));
    json_object_set_new(entry, "time_ms", json_integer(time_ms));
    json_array_append_new(page->list, entry);
    page->bytes += what.n;
    return json_array_size(page->list) < PAGE_ROWS && page->bytes < PAGE_BYTES;
}

/* Consumes `list`; NULL: drop everything. */
void router_purges_answer_list(struct router_purges *p, struct http_request *req, json_t *list)
{
    json_t *answer = json_pack("{s:s, s:I, s:I}", "log", router_purge_log_identity(p->log), "last",
                               (json_int_t)router_purge_log_last(p->log), "oldest",
                               (json_int_t)router_purge_log_oldest(p->log));
    if (list) {
        json_object_set_new(answer, "purges", list);
    } else {
        json_object_set_new(answer, "reset", json_true());
    }
    cdn_metric_add(&p->metrics.purge_reset_total, list == NULL);
    daemon_answer_json(req, 200, answer);
}

void router_purges_answer_page(struct router_purges *p, struct http_request *req, uint64_t after)
{
    struct page page = {.list = json_array()};
    struct cdn_error err;
    enum cdn_status status = router_purge_log_read(p->log, after, add_entry, &page, &err);
    if (status != CDN_OK || page.broken) {
        json_decref(CDN_TAKE(page.list));
    }
    if (status != CDN_OK) {
        daemon_answer_error(req, &err);
    } else {
        router_purges_answer_list(p, req, page.list);
    }
}

/* ---- receipts ---- */

static json_t *receipt_json(const struct router_purges *p, const char *name, bool healthy, uint64_t id)
{
    size_t edge = router_book_find(p->book, cdn_str(name));
    double ms;
    bool has = router_book_has(p->book, edge, id, &ms);
    bool follows = edge != ROUTER_BOOK_NO_EDGE; /* has ever asked for the log */
    return json_pack("{s:s, s:b, s:b, s:b, s:o}", "edge", name, "healthy", healthy, "follows", follows,
                     "acknowledged", has, "ms", has && ms >= 0 ? json_real(ms) : json_null());
}

static bool is_healthy(const struct router_edges *edges, size_t edge)
{
    return !(router_edge_flags(edges, (uint16_t)edge) & ROUTER_EDGE_SICK);
}

/* An edge that is not configured, but has asked of late. */
static bool is_stranger(const struct router_purges *p, size_t edge)
{
    return router_edges_find(p->edges, cdn_str(router_book_name(p->book, edge))) == ROUTER_NO_EDGE &&
           router_book_seen_ns(p->book, edge) > loop_mono_ns(p->loop) - STRANGER_NS;
}

static json_t *receipts_json(const struct router_purges *p, uint64_t id)
{
    const struct router_edges *edges = p->edges;
    json_t *list = json_array();
    for (size_t i = 0; i < edges->count; i++) {
        json_array_append_new(list, receipt_json(p, edges->at[i].name, is_healthy(edges, i), id));
    }
    for (size_t i = 0; i < router_book_count(p->book); i++) {
        if (is_stranger(p, i)) {
            json_array_append_new(list, receipt_json(p, router_book_name(p->book, i), true, id));
        }
    }
    return list;
}

bool router_purges_has_all(const struct router_purges *p, uint64_t id)
{
    const struct router_edges *edges = p->edges;
    bool all = true;
    double ms;
    for (size_t i = 0; i < edges->count && all; i++) {
        all = !is_healthy(edges, i) ||
              router_book_has(p->book, router_book_find(p->book, cdn_str(edges->at[i].name)), id, &ms);
    }
    for (size_t i = 0; i < router_book_count(p->book) && all; i++) {
        all = router_book_has(p->book, i, id, &ms) || !is_stranger(p, i);
    }
    return all;
}

void router_purges_answer_receipts(const struct router_purges *p, struct http_request *req, uint64_t id)
{
    json_t *edges = receipts_json(p, id);
    daemon_answer_json(req, 200,
                       json_pack("{s:I, s:s, s:b, s:o}", "id", (json_int_t)id, "log",
                                 router_purge_log_identity(p->log), "acknowledged",
                                 router_purges_has_all(p, id), "edges", edges));
}

/* ---- telling ---- */

void router_purges_status(const struct router_purges *p, json_t *into)
{
    json_t *edges = json_object();
    for (size_t i = 0; i < router_book_count(p->book); i++) {
        int64_t ago_ns = loop_mono_ns(p->loop) - router_book_seen_ns(p->book, i);
        json_object_set_new(edges, router_book_name(p->book, i),
                            json_pack("{s:I, s:f}", "acknowledged", (json_int_t)router_book_upto(p->book, i),
                                      "seen_s", (double)(ago_ns > 0 ? ago_ns : 0) / 1e9));
    }
    json_object_set_new(into, "purges",
                        json_pack("{s:s, s:I, s:I, s:o}", "log", router_purge_log_identity(p->log), "last",
                                  (json_int_t)router_purge_log_last(p->log), "oldest",
                                  (json_int_t)router_purge_log_oldest(p->log), "edges", edges));
}

void router_purges_metrics(struct router_purges *p, struct cdn_buf *out)
{
    static const struct cdn_metric_row rows[] = {ROUTER_PURGE_METRICS(CDN_METRIC_ROW)};
    uint64_t values[CDN_ARRAY_LEN(rows)] = {0};
    cdn_metric_set(&p->metrics.purge_last, router_purge_log_last(p->log));
    cdn_metric_set(&p->metrics.purge_waiting, p->waiting);
    cdn_metrics_sum(&p->metrics, values, CDN_ARRAY_LEN(rows));
    cdn_metrics_prometheus("pocketcdn_router_", rows, values, CDN_ARRAY_LEN(rows), out);
}
