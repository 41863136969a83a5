/* visit: a visitor opens a connection, asks twice, and begins anew, as often as it is told. What it asks
 * for has a key of its own (a query that nobody else uses), so that no visitor finds what another one has
 * brought, and none waits for another's fetch. Before all this it asks once, uncounted: for what the edge is
 * to have, and for the edge's connection to the origin, which edges keep. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/world.h"
#include "cli/compare/run/run.h"
#include "cli/compare/run/run_private.h"
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define STAGGER_NS \
    INT64_C(1500000000) /* visitors begin spread over this; those of the sweep over twice as much */

struct visitor {
    struct run_request request;
    struct run *run;
    size_t city;
    enum visit_kind kind;
    int row; /* of the sweep; -1: the series */
    unsigned left, number;
    bool primed, kept;
    struct http_client *client;
    struct loop_timer start;
};

static const char *path_of(const struct visitor *v)
{
    return v->row >= 0 ? v->run->place.size_paths[v->row] : v->run->place.path;
}

static bool has_stored(const struct visitor *v)
{
    return series_visit_state(v->kind) == SERIES_WARM || series_visit_state(v->kind) == SERIES_REVALIDATED;
}

/* A key that stays the visitor's where the edge is to have it, and a new one for each request otherwise. */
static void set_url(struct visitor *v)
{
    const struct run_place *place = &v->run->place;
    const char *host = series_visit_way(v->kind) == SERIES_DIRECT     ? place->origin
                       : series_visit_way(v->kind) == SERIES_REDIRECT ? place->router
                                                                      : place->site;
    const char *path = path_of(v);
    const unsigned number = has_stored(v) ? 0 : ++v->number;
    if (place->foreign) {
        (void)snprintf(v->request.url, sizeof(v->request.url), "http://%s%s", host, path);
        return;
    }
    (void)snprintf(v->request.url, sizeof(v->request.url), "%s://%s%s%ccompare=%llx-%zu-%u-%d-%u",
                   host == place->origin ? "http" : place->scheme, host, path, strchr(path, '?') ? '&' : '?',
                   (unsigned long long)v->run->nonce, v->city, (unsigned)v->kind, v->row, number);
}

static void end_visit(struct visitor *v)
{
    http_client_destroy(v->client);
    v->client = NULL;
}

static void leave(struct visitor *v)
{
    v->run->running--;
}

static void ask(struct visitor *v)
{
    set_url(v);
    v->request.by_router = series_visit_way(v->kind) == SERIES_REDIRECT;
    v->request.revalidate = series_visit_state(v->kind) == SERIES_REVALIDATED && v->primed;
    v->request.uncacheable = series_visit_state(v->kind) == SERIES_UNCACHEABLE;
    run_request_start(&v->request);
}

static void begin_visit(struct visitor *v)
{
    struct cdn_error err;
    v->kept = false;
    if (run_client(v->run, v->city, &v->client, &err) != CDN_OK) {
        v->run->c->errors++;
        if (!v->run->c->first_error) {
            v->run->c->first_error = cdn_strdup(err.text);
        }
        leave(v);
        return;
    }
    v->request.client = v->client;
    ask(v);
}

static void on_start(struct loop_timer *self)
{
    begin_visit(CDN_CONTAINER_OF(self, struct visitor, start));
}

static void add_to_sweep(struct visitor *v)
{
    struct sweep_row *row = &v->run->c->sizes[v->row];
    for (unsigned visit = 0; visit < SWEEP_VISIT_COUNT; visit++) {
        if (sweep_visit_kind((enum sweep_visit)visit) == v->kind) {
            row->measured[visit] =
                cdn_realloc(row->measured[visit], row->measured_n[visit] + 1, sizeof(double));
            row->measured[visit][row->measured_n[visit]++] = v->request.sample.total_ms;
        }
    }
}

/* A sample of its series, if it was answered as that wants. */
static void take(struct visitor *v)
{
    struct run *run = v->run;
    const char *wanted = series_state_verdict(series_visit_state(v->kind));
    if (series_visit_way(v->kind) != SERIES_DIRECT) {
        run_count(&run->c->traffic, &v->request);
    }
    if (run->place.foreign) {
        wanted = v->request.verdict; /* whatever it calls it */
    }
    if (!run_same_body(run, v->row < 0 ? 0 : (size_t)v->row + 1, &v->request)) {
        run_note_unexpected(run, v->city, "the same body", &v->request);
    } else if (v->primed && strcmp(v->request.verdict, wanted) != 0) {
        run_note_unexpected(run, v->city, wanted, &v->request);
    } else if (v->primed && v->row < 0) {
        comparison_add(run->c, v->city, series_of(v->kind, v->kept), &v->request.sample);
    } else if (v->primed && !v->kept) {
        add_to_sweep(v);
    }
}

static void on_done(struct run_request *request)
{
    struct visitor *v = CDN_CONTAINER_OF(request, struct visitor, request);
    bool failed = request->error != HTTP_FETCH_NONE || request->status != 200;
    run_step(v->run);
    if (failed) {
        run_note_error(v->run, v->city, request);
    } else {
        take(v);
    }
    if (!failed && v->primed && !v->kept && v->row < 0) {
        v->kept = true;
        ask(v);
        return;
    }
    end_visit(v);
    v->left -= v->primed;
    v->primed = true; /* also when that failed: then it shows */
    if (v->left) {
        begin_visit(v);
    } else {
        leave(v);
    }
}

static void visitor_init(struct visitor *v, struct run *run, size_t city, enum visit_kind kind, int row,
                         unsigned visits, uint64_t *draw)
{
    *v = (struct visitor){.run = run, .city = city, .kind = kind, .row = row, .left = visits};
    v->request = (struct run_request){.run = run, .done = on_done};
    v->primed =
        series_visit_way(kind) == SERIES_DIRECT; /* the others: so that the edge has a way to the origin */
    v->start.fire = on_start;
    int64_t after = (int64_t)(cdn_mix_unit(cdn_mix_next(draw)) * (double)STAGGER_NS * (row < 0 ? 1 : 2));
    loop_timer_start(run->loop, &v->start, after);
    run->running++;
}

static void visitors_free(struct visitor *visitors, size_t n)
{
    for (size_t i = 0; i < n; i++) { /* after an interruption they are in the middle of something */
        loop_timer_stop(visitors[i].run->loop, &visitors[i].start);
        run_request_cancel(&visitors[i].request);
        http_client_destroy(visitors[i].client);
    }
    free(visitors);
}

static void on_probed(struct run_request *request)
{
    request->run->running--;
}

void run_take_paths(struct run *run)
{
    for (size_t i = 0; i < COMPARISON_SIZES_MAX; i++) {
        run->place.size_paths[i] = i < run->c->size_count ? run->c->sizes[i].path : NULL;
    }
}

enum cdn_status run_probe(struct run *run, const char *path, uint64_t *ret_bytes, struct cdn_error *err)
{
    struct run_request request = {.run = run, .done = on_probed};
    struct http_client *client;
    enum cdn_status status = run_client(run, 0, &client, err);
    if (status != CDN_OK) {
        return status;
    }
    request.client = client;
    (void)snprintf(request.url, sizeof(request.url), "http://%s%s", run->place.origin, path);
    run->running++;
    run_request_start(&request);
    status = run_loop(run, "size", 1, err);
    run_request_cancel(&request);
    http_client_destroy(client);
    if (status == CDN_OK && (request.error != HTTP_FETCH_NONE || request.status != 200)) {
        status =
            request.error != HTTP_FETCH_NONE
                ? cdn_error_set(err, CDN_NETWORK, "%s: %s (%s)", request.url,
                                http_fetch_error_word(request.error), request.why)
                : cdn_error_set(err, CDN_NOT_FOUND, "%s: the origin answers %u", request.url, request.status);
    }
    if (status == CDN_OK) {
        *ret_bytes = request.bytes;
    }
    return status;
}

enum cdn_status run_visits(struct run *run, unsigned warmup, struct cdn_error *err)
{
    const size_t cities = run->c->world.n;
    struct visitor *visitors = cdn_calloc(cities * VISIT_COUNT, sizeof(*visitors));
    uint64_t draw = run->c->seed;
    size_t n = 0;
    for (size_t city = 0; city < cities; city++) {
        for (unsigned kind = 0; kind < VISIT_COUNT; kind++) {
            if (run->place.foreign && kind != VISIT_DNS_WARM) {
                continue;
            }
            visitor_init(&visitors[n++], run, city, (enum visit_kind)kind, -1, run->c->runs, &draw);
        }
    }
    struct run_catalogue *catalogue = run_catalogue_start(run, warmup);
    enum cdn_status status = run_loop(run, "visits", n * run->c->runs * 2 + cities * warmup, err);
    run_catalogue_end(catalogue);
    visitors_free(visitors, n);
    return status;
}

enum cdn_status run_sweep(struct run *run, struct cdn_error *err)
{
    const size_t cities = run->c->world.n, rows = run->c->size_count;
    struct visitor *visitors = cdn_calloc(cities * rows * SWEEP_VISIT_COUNT + 1, sizeof(*visitors));
    uint64_t draw = run->c->seed + 1;
    size_t n = 0;
    for (size_t i = 0; i < cities * rows * SWEEP_VISIT_COUNT; i++) {
        size_t row = i / SWEEP_VISIT_COUNT % rows;
        if (run->place.size_paths[row]) {
            visitor_init(&visitors[n++], run, i / SWEEP_VISIT_COUNT / rows,
                         sweep_visit_kind((enum sweep_visit)(i % SWEEP_VISIT_COUNT)), (int)row, 1, &draw);
        }
    }
    enum cdn_status status = n ? run_loop(run, "sizes", n + n * 2 / 3, err) : CDN_OK;
    visitors_free(visitors, n);
    return status;
}
