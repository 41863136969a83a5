/* run: real requests of a comparison, all places at once, over the network between the places
 * (pocketcdn-wan), to processes that run already.
 *
 *     run.c      who visits what; the loop; progress
 *     visit.c    one visitor: connection after connection, two requests on each
 *     warmup.c   a catalogue whose objects are as popular as Zipf's law says, asked for while edges are cold
 *     outage.c   what users see when something goes down
 *     target.c   the CDN: one that runs, or one of our own
 *
 * One loop, one thread; each visitor has an http_client of its own for each visit, so that "a new connection"
 * and "the same connection" are what they say. What a visitor takes is what a client waits; nothing is added
 * or taken off.
 *
 * Life cycle: run_create, run_visits and others in any order, run_destroy.
 */
#ifndef CDN_CLI_COMPARE_RUN_H
#define CDN_CLI_COMPARE_RUN_H
#include "cli/compare/model/comparison.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

struct run_place {       /* where to ask; borrowed */
    const char *socks;   /* "127.0.0.1:1080", of the network */
    const char *scheme;  /* of site and router: "http" or "https"; the origin has http */
    const char *ca_file; /* with https: of site and router alone, since a long list takes its time; or NULL */
    const char *site;    /* "www.cdn.test": the name that GeoDNS answers for */
    const char *origin;  /* "origin.cdn.test" */
    const char *router;  /* "router.cdn.test" */
    const char *path;    /* of the file, "/compare/100kB.bin" */
    /* of files of comparison.sizes, where there are such; NULL: no sweep */
    const char *size_paths[COMPARISON_SIZES_MAX];
    bool foreign;           /* `site` is another server, HOST:PORT: it is asked for `path` as it is, warm */
    const char *small_path; /* of the objects of the catalogue; NULL: `path` */
};

struct run;

/* `tick` is told now and then how much is done, from 0 to 1. */
enum cdn_status run_create(struct comparison *c, const struct run_place *place,
                           const volatile int *interrupted,
                           void (*tick)(void *ctx, const char *what, double done), void *ctx,
                           struct run **ret, struct cdn_error *err) CDN_MUST_CHECK;
void run_destroy(struct run *run);

/* Asks the origin once for a file: how large it is. CDN_NETWORK says what was answered instead. */
enum cdn_status run_probe(struct run *run, const char *path, uint64_t *ret_bytes,
                          struct cdn_error *err) CDN_MUST_CHECK;
/* The files of the sweep, by the paths of c->sizes, instead of those of run_create. */
void run_take_paths(struct run *run);
/* c->runs visits of each kind at each place, and `warmup` requests of a catalogue at each place. Fails only
 * when nothing can be asked at all; failed requests are counted. */
enum cdn_status run_visits(struct run *run, unsigned warmup, struct cdn_error *err) CDN_MUST_CHECK;
/* One visit for each other size. */
enum cdn_status run_sweep(struct run *run, struct cdn_error *err) CDN_MUST_CHECK;

/* Requests of all places all the time; `down` is called after a second, `up` some seconds later. */
enum cdn_status run_outage(struct run *run, const char *what,
                           enum cdn_status (*down)(void *ctx, struct cdn_error *err),
                           enum cdn_status (*up)(void *ctx, struct cdn_error *err), void *ctx,
                           struct cdn_error *err) CDN_MUST_CHECK;

#endif
