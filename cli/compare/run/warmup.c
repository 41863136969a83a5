/* warmup: how a cold CDN becomes a warm one. All places ask for objects of one catalogue, popular as Zipf's
 * law says (the k-th in proportion to 1 / k^s, as web objects are: Breslau et al., INFOCOM 1999, s about
 * 0.8), each place one request after another on a kept connection. Drawn from the seed. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/world.h"
#include "cli/compare/run/run.h"
#include "cli/compare/run/run_private.h"
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/status.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define OBJECTS 200u
#define EXPONENT 0.8

struct reader { /* at one place */
    struct run_request request;
    struct run_catalogue *catalogue;
    size_t city;
    unsigned left;
    uint64_t draw;
    struct http_client *client;
    struct loop_timer start;
};

struct run_catalogue {
    struct run *run;
    double upto[OBJECTS]; /* shares added up: the last one is 1 */
    struct reader *readers;
    size_t n;
};

static unsigned draw_object(const struct run_catalogue *catalogue, uint64_t *state)
{
    double at = cdn_mix_unit(cdn_mix_next(state));
    unsigned object = 0;
    while (object + 1 < OBJECTS && catalogue->upto[object] <= at) {
        object++;
    }
    return object;
}

static void ask(struct reader *r)
{
    const struct run *run = r->catalogue->run;
    unsigned object = draw_object(r->catalogue, &r->draw);
    const char *path = run->place.small_path && object % 3 ? run->place.small_path : run->place.path;
    r->left--;
    (void)snprintf(r->request.url, sizeof(r->request.url), "%s://%s%s%ccompare=%llx-object-%u",
                   run->place.scheme, run->place.site, path, strchr(path, '?') ? '&' : '?',
                   (unsigned long long)run->nonce, object);
    run_request_start(&r->request);
}

static void add(struct warmup *w, const struct run_request *request)
{
    w->hit = cdn_realloc(w->hit, w->n + 1, sizeof(*w->hit));
    w->total_ms = cdn_realloc(w->total_ms, w->n + 1, sizeof(*w->total_ms));
    w->bytes = cdn_realloc(w->bytes, w->n + 1, sizeof(*w->bytes));
    w->hit[w->n] = strcmp(request->verdict, "HIT") == 0;
    w->total_ms[w->n] = request->sample.total_ms;
    w->bytes[w->n++] = request->bytes;
    run_count(&w->traffic, request);
    /* A miss is a request to the origin, unless somebody else's was under way. */
    bool asked = strcmp(request->verdict, "MISS") == 0;
    w->traffic.origin_requests += asked;
    w->traffic.origin_bytes += asked ? request->bytes : 0;
}

static void leave(struct reader *r)
{
    http_client_destroy(r->client);
    r->client = NULL;
    r->catalogue->run->running--;
}

static void on_done(struct run_request *request)
{
    struct reader *r = CDN_CONTAINER_OF(request, struct reader, request);
    struct run *run = r->catalogue->run;
    run_step(run);
    if (request->error != HTTP_FETCH_NONE || request->status != 200) {
        run_note_error(run, r->city, request);
    } else {
        run_count(&run->c->traffic, request);
        add(&run->c->warmup, request);
    }
    if (r->left) {
        ask(r);
    } else {
        leave(r);
    }
}

static void on_start(struct loop_timer *self)
{
    struct reader *r = CDN_CONTAINER_OF(self, struct reader, start);
    struct cdn_error err;
    if (run_client(r->catalogue->run, r->city, &r->client, &err) != CDN_OK) {
        r->catalogue->run->c->errors++;
        r->catalogue->run->running--;
        return;
    }
    r->request.client = r->client;
    ask(r);
}

static void shares_init(struct run_catalogue *catalogue)
{
    double sum = 0;
    for (unsigned k = 0; k < OBJECTS; k++) {
        sum += pow(k + 1, -EXPONENT);
        catalogue->upto[k] = sum;
    }
    for (unsigned k = 0; k < OBJECTS; k++) {
        catalogue->upto[k] /= sum;
    }
}

struct run_catalogue *run_catalogue_start(struct run *run, unsigned requests)
{
    struct run_catalogue *catalogue = cdn_calloc(1, sizeof(*catalogue));
    catalogue->run = run;
    catalogue->n = requests ? run->c->world.n : 0;
    catalogue->readers = cdn_calloc(catalogue->n + 1, sizeof(*catalogue->readers));
    run->c->warmup.objects = OBJECTS;
    run->c->warmup.exponent = EXPONENT;
    shares_init(catalogue);
    for (size_t i = 0; i < catalogue->n; i++) {
        struct reader *r = &catalogue->readers[i];
        *r = (struct reader){.catalogue = catalogue,
                             .city = i,
                             .left = requests,
                             .draw = cdn_mix64(run->c->seed + 1000 * (i + 1))};
        r->request = (struct run_request){.run = run, .done = on_done};
        r->start.fire = on_start;
        loop_timer_start(run->loop, &r->start, (int64_t)i * 1000000);
        run->running++;
    }
    return catalogue;
}

void run_catalogue_end(struct run_catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->n; i++) {
        struct reader *r = &catalogue->readers[i];
        loop_timer_stop(catalogue->run->loop, &r->start);
        run_request_cancel(&r->request);
        http_client_destroy(r->client);
    }
    free(catalogue->readers);
    free(catalogue);
}
