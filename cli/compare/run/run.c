/* run: the loop, the clients of the places, and the counts that all requests share. One loop turns until
 * nobody runs any more, so a kind of visitor only has to count itself in and out. */
#include "cli/compare/run/run.h"

#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/world.h"
#include "cli/compare/run/run_private.h"
#include "common/clock.h"
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/status.h"
#include "geo-data/latency.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define TICK_NS INT64_C(100000000)
#define TURN_MS 100

static void on_tick(struct loop_timer *self)
{
    struct run *run = CDN_CONTAINER_OF(self, struct run, ticker);
    if (run->tick) {
        run->tick(run->ctx, run->phase, run->steps ? (double)run->steps_done / (double)run->steps : 0);
    }
    loop_timer_start(run->loop, &run->ticker, TICK_NS);
}

enum cdn_status run_create(struct comparison *c, const struct run_place *place,
                           const volatile int *interrupted,
                           void (*tick)(void *ctx, const char *what, double done), void *ctx,
                           struct run **ret, struct cdn_error *err)
{
    struct run *run = cdn_calloc(1, sizeof(*run));
    *run = (struct run){.c = c, .place = *place, .interrupted = interrupted, .tick = tick, .ctx = ctx};
    /* Not of the seed: what one run has left in a cache must not be a hit of the next. */
    run->nonce = cdn_mix64((uint64_t)cdn_clock_real_ms() ^ (uint64_t)getpid() << 44);
    enum cdn_status status = loop_create(&run->loop, err);
    if (status != CDN_OK) {
        free(run);
        return status;
    }
    run->ticker.fire = on_tick;
    run->began_ns = loop_mono_ns(run->loop);
    if (!c->samples) {
        c->samples = cdn_calloc(c->world.n * SERIES_COUNT, sizeof(*c->samples));
    }
    *ret = run;
    return CDN_OK;
}

void run_destroy(struct run *run)
{
    if (run) {
        loop_timer_stop(run->loop, &run->ticker);
        loop_destroy(run->loop);
        free(run);
    }
}

/* "35.69,139.69" with the comma encoded: the place as the network reads it. */
enum cdn_status run_client(struct run *run, size_t city, struct http_client **ret, struct cdn_error *err)
{
    const struct world_city *at = &run->c->world.cities[city];
    CDN_AUTOFREE char *proxy = cdn_asprintf("socks5h://%.9g%%2C%.9g:%s@%s", at->at.point.lat,
                                            at->at.point.lon, run->c->profile, run->place.socks);
    const struct http_client_config config = {.proxy = proxy,
                                              .ca_file = run->place.ca_file,
                                              .connect_timeout_ms = RUN_TIMEOUT_MS,
                                              .user_agent = "pocketcdn compare"};
    return http_client_create(run->loop, &config, ret, err);
}

enum cdn_status run_loop(struct run *run, const char *phase, size_t steps, struct cdn_error *err)
{
    run->phase = phase;
    run->steps = steps;
    run->steps_done = 0;
    on_tick(&run->ticker);
    while (run->running && !*run->interrupted) {
        loop_turn(run->loop, TURN_MS);
    }
    loop_timer_stop(run->loop, &run->ticker);
    if (run->tick) {
        run->tick(run->ctx, phase, 1);
    }
    return *run->interrupted ? cdn_error_set(err, CDN_UNAVAILABLE, "interrupted") : CDN_OK;
}

void run_step(struct run *run)
{
    run->steps_done++;
}

/* ---- counts ---- */

static void note(struct run *run, size_t city, const char *what, const struct run_request *request)
{
    if (!run->c->first_error) {
        run->c->first_error =
            cdn_asprintf("%s, %s: %s", run->c->world.cities[city].at.name, request->url, what);
    }
}

void run_note_error(struct run *run, size_t city, const struct run_request *request)
{
    CDN_AUTOFREE char *what =
        request->error != HTTP_FETCH_NONE
            ? cdn_asprintf("%s (%s)", http_fetch_error_word(request->error), request->why)
            : cdn_asprintf("answer %u", request->status);
    run->c->errors++;
    note(run, city, what, request);
}

void run_note_unexpected(struct run *run, size_t city, const char *wanted, const struct run_request *request)
{
    CDN_AUTOFREE char *what =
        cdn_asprintf("%s instead of %s", request->verdict[0] ? request->verdict : "no X-Cache",
                     wanted[0] ? wanted : "none");
    run->c->unexpected++;
    note(run, city, what, request);
}

void run_count(struct traffic *traffic, const struct run_request *request)
{
    bool hit = strcmp(request->verdict, "HIT") == 0, miss = strcmp(request->verdict, "MISS") == 0;
    traffic->requests++;
    traffic->bytes += request->bytes;
    traffic->hits += hit;
    traffic->misses += miss;
    traffic->others += !hit && !miss;
    traffic->hit_bytes += hit ? request->bytes : 0;
    traffic->miss_bytes += miss ? request->bytes : 0;
}

bool run_same_body(struct run *run, size_t slot, const struct run_request *request)
{
    if (slot >= CDN_ARRAY_LEN(run->bodies)) {
        return true;
    }
    if (run->bodies[slot].bytes == 0) {
        run->bodies[slot].bytes = request->bytes;
        run->bodies[slot].hash = request->hash;
    }
    return run->bodies[slot].bytes == request->bytes && run->bodies[slot].hash == request->hash;
}
