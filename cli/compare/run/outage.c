/* outage: what users see when something goes down and comes back: at each place a user asks again and again,
 * each time on a new connection (as a browser that has waited), for the same file. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/world.h"
#include "cli/compare/run/run.h"
#include "cli/compare/run/run_private.h"
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define DOWN_AFTER_NS INT64_C(2000000000)
#define UP_AFTER_NS INT64_C(6000000000)
#define END_AFTER_NS INT64_C(9000000000)
#define PAUSE_NS INT64_C(100000000)

struct user {
    struct run_request request;
    struct outage *outage;
    size_t city;
    struct http_client *client;
    struct loop_timer again;
    int64_t answered_ns; /* last */
};

struct outage {
    struct run *run;
    struct outage_row *row;
    struct user *users;
    size_t n;
    int64_t began_ns;
    struct loop_timer down, up;
    enum cdn_status (*go_down)(void *ctx, struct cdn_error *err);
    enum cdn_status (*come_up)(void *ctx, struct cdn_error *err);
    void *ctx;
    enum cdn_status status;
    struct cdn_error err;
};

static void leave(struct user *u)
{
    http_client_destroy(u->client);
    u->client = NULL;
    u->outage->run->running--;
}

static void add(struct outage *outage, struct user *u, int64_t now_ns)
{
    struct outage_row *row = outage->row;
    const struct run_request *request = &u->request;
    double without_s = (double)(now_ns - u->answered_ns) / 1e9;
    row->samples.at = cdn_realloc(row->samples.at, row->samples.n + 1, sizeof(*row->samples.at));
    row->samples.at[row->samples.n++] = request->sample;
    row->stale += strcmp(request->verdict, "STALE") == 0;
    row->wrong += !run_same_body(outage->run, 0, request);
    row->worst_ms = request->sample.total_ms > row->worst_ms ? request->sample.total_ms : row->worst_ms;
    row->without_answer_s = without_s > row->without_answer_s ? without_s : row->without_answer_s;
    u->answered_ns = now_ns;
}

static void on_done(struct run_request *request)
{
    struct user *u = CDN_CONTAINER_OF(request, struct user, request);
    struct outage *outage = u->outage;
    int64_t now_ns = loop_mono_ns(outage->run->loop);
    outage->row->requests++;
    if (request->error != HTTP_FETCH_NONE || request->status != 200) {
        outage->row->failed++;
    } else {
        add(outage, u, now_ns);
    }
    if (now_ns - outage->began_ns >= END_AFTER_NS) {
        leave(u);
        return;
    }
    http_client_destroy(u->client);
    u->client = NULL;
    loop_timer_start(outage->run->loop, &u->again, PAUSE_NS);
}

static void on_again(struct loop_timer *self)
{
    struct user *u = CDN_CONTAINER_OF(self, struct user, again);
    struct run *run = u->outage->run;
    struct cdn_error err;
    const char *path = run->place.path;
    if (run_client(run, u->city, &u->client, &err) != CDN_OK) {
        leave(u);
        return;
    }
    u->request.client = u->client;
    (void)snprintf(u->request.url, sizeof(u->request.url), "%s://%s%s%ccompare=%llx-outage-%zu",
                   run->place.scheme, run->place.site, path, strchr(path, '?') ? '&' : '?',
                   (unsigned long long)run->nonce, u->city);
    run_request_start(&u->request);
}

static void on_down(struct loop_timer *self)
{
    struct outage *outage = CDN_CONTAINER_OF(self, struct outage, down);
    outage->status = outage->go_down(outage->ctx, &outage->err);
}

static void on_up(struct loop_timer *self)
{
    struct outage *outage = CDN_CONTAINER_OF(self, struct outage, up);
    struct cdn_error *err = &outage->err;
    if (outage->come_up && outage->status == CDN_OK) {
        outage->status = outage->come_up(outage->ctx, err);
    }
}

static void start(struct outage *outage)
{
    struct run *run = outage->run;
    outage->n = run->c->world.n;
    outage->users = cdn_calloc(outage->n, sizeof(*outage->users));
    for (size_t i = 0; i < outage->n; i++) {
        struct user *u = &outage->users[i];
        *u = (struct user){.outage = outage, .city = i, .answered_ns = outage->began_ns};
        u->request = (struct run_request){.run = run, .done = on_done};
        u->again.fire = on_again;
        loop_timer_start(run->loop, &u->again, (int64_t)i * 4000000);
        run->running++;
    }
    outage->down.fire = on_down;
    outage->up.fire = on_up;
    loop_timer_start(run->loop, &outage->down, DOWN_AFTER_NS);
    loop_timer_start(run->loop, &outage->up, UP_AFTER_NS);
}

enum cdn_status run_outage(struct run *run, const char *what,
                           enum cdn_status (*down)(void *ctx, struct cdn_error *err),
                           enum cdn_status (*up)(void *ctx, struct cdn_error *err), void *ctx,
                           struct cdn_error *err)
{
    struct comparison *c = run->c;
    c->outages = cdn_realloc(c->outages, c->outage_count + 1, sizeof(*c->outages));
    struct outage_row *row = &c->outages[c->outage_count++];
    *row = (struct outage_row){.what = cdn_strdup(what)};
    loop_turn(run->loop, 0); /* the time of now */
    struct outage outage = {.run = run, .row = row, .go_down = down, .come_up = up, .ctx = ctx};
    outage.began_ns = loop_mono_ns(run->loop);
    start(&outage);
    enum cdn_status status = run_loop(run, what, 0, err);
    loop_timer_stop(run->loop, &outage.down);
    loop_timer_stop(run->loop, &outage.up);
    for (size_t i = 0; i < outage.n; i++) {
        loop_timer_stop(run->loop, &outage.users[i].again);
        run_request_cancel(&outage.users[i].request);
        http_client_destroy(outage.users[i].client);
    }
    free(outage.users);
    if (status == CDN_OK && outage.status != CDN_OK) {
        *err = outage.err;
        return outage.status;
    }
    return status;
}
