/* target: the CDN that is compared: one that runs with the network between the places, or one that is
 * started for the occasion and leaves nothing behind.
 *
 * Life cycle: target_open, target_place, ..., target_close; also after a failure.
 */
#ifndef CDN_CLI_COMPARE_TARGET_H
#define CDN_CLI_COMPARE_TARGET_H
#include "cli/compare/model/comparison.h"
#include "cli/compare/run/run.h"
#include "cli/run/own_cdn.h"
#include "common/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct target_wish {
    const char *state;  /* folder of the CDN that `up` started; NULL: the default, if one runs there */
    const char *config; /* start the CDN of this file instead; NULL: not */
    const char *path;   /* of the file to ask for; NULL: one of ours, or of the origin's folder */
    uint64_t seed;      /* of the files' contents */
    uint64_t bytes;     /* of the file */
    bool own;           /* start one in any case */
    const char *allow;  /* with `own`: another server, "HOST:PORT=PLACE"; NULL: none */
};

struct target {
    struct own_cdn own;                   /* of our own; else zeroed */
    json_t *cdn;                          /* as control_open gives it */
    char *config;                         /* its cdn.yaml */
    char *socks, *site, *origin, *router; /* as in struct run_place */
    char *path, *small_path, *size_paths[COMPARISON_SIZES_MAX];
};

enum cdn_status target_open(const struct target_wish *wish, const volatile int *interrupted,
                            struct target *ret, struct cdn_error *err) CDN_MUST_CHECK;
void target_close(struct target *target); /* may be zeroed */
void target_place(const struct target *target, struct run_place *ret);

/* What the origin has served so far, by its own metrics; false when it does not say. */
bool target_origin_served(const struct target *target, uint64_t *ret_requests, uint64_t *ret_bytes);

/* "edge:fra", "origin" or "link:fra-origin": checked, then done and undone as run_outage wants it. */
struct target_outage {
    const struct target *target;
    char what[80];  /* "edge fra is killed" */
    char link[128]; /* of a link: "fra-origin"; "": a node is killed */
    json_t *node;   /* borrowed */
};
enum cdn_status target_outage_read(const struct target *target, const char *text, struct target_outage *ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status target_down(void *ctx, struct cdn_error *err);
enum cdn_status target_up(void *ctx, struct cdn_error *err);

#endif
