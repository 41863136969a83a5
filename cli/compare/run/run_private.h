/* run_private: one request, and what visitors, catalogue and outage share. */
#ifndef CDN_CLI_COMPARE_RUN_PRIVATE_H
#define CDN_CLI_COMPARE_RUN_PRIVATE_H
#include "cli/compare/model/comparison.h"
#include "cli/compare/run/run.h"
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run {
    struct comparison *c;
    struct run_place place;
    struct loop *loop;
    const volatile int *interrupted;
    void (*tick)(void *ctx, const char *what, double done);
    void *ctx;
    const char *phase;
    uint64_t nonce; /* of this run: its keys are nobody else's */
    int64_t began_ns;
    size_t running;           /* visitors that have not ended */
    size_t steps, steps_done; /* requests, for the progress */
    struct loop_timer ticker;
    struct { /* of the body of a size, from its first answer */
        uint64_t bytes, hash;
    } bodies[64];
    size_t body_count;
};

#define RUN_TIMEOUT_MS 60000
#define RUN_URL_MAX 2200

/* One request over a client of the network, perhaps by way of the router. */
struct run_request {
    struct run *run;
    struct http_client *client; /* borrowed */
    struct http_fetch *fetch;
    bool by_router, routing, revalidate, uncacheable;
    char url[RUN_URL_MAX], location[RUN_URL_MAX];
    /* the answer */
    struct sample sample;
    unsigned status;
    char verdict[24]; /* X-Cache */
    uint64_t bytes, hash;
    enum http_fetch_error error;
    char why[160];
    struct loop_deferred next;
    void (*done)(struct run_request *request); /* in a turn of its own: a client may be destroyed there */
};

/* url: of the final target or, with by_router, of the router. */
void run_request_start(struct run_request *request);
void run_request_cancel(struct run_request *request);

enum cdn_status run_client(struct run *run, size_t city, struct http_client **ret,
                           struct cdn_error *err) CDN_MUST_CHECK;
/* Turns until no visitor runs, or somebody interrupts. */
enum cdn_status run_loop(struct run *run, const char *phase, size_t steps,
                         struct cdn_error *err) CDN_MUST_CHECK;
void run_step(struct run *run); /* a request is done */

/* A failure, for the counts and the first sentence. */
void run_note_error(struct run *run, size_t city, const struct run_request *request);
void run_note_unexpected(struct run *run, size_t city, const char *wanted, const struct run_request *request);
/* Counts what an edge answered. */
void run_count(struct traffic *traffic, const struct run_request *request);
/* False when the body is not the one that the first answer had. `slot`: which file. */
bool run_same_body(struct run *run, size_t slot, const struct run_request *request);

/* warmup.c: a visitor at each place with `requests` requests; run by the same run_loop. */
struct run_catalogue;
struct run_catalogue *run_catalogue_start(struct run *run, unsigned requests);
void run_catalogue_end(struct run_catalogue *catalogue);

#endif
