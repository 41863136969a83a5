/* demo: inside of `pocketcdn demo`, for its files only.
 *
 *     demo.c         the stages: site, CDN, visits, report, end
 *     demo_site.c    the folder of static files: Django's admin files, or the user's own
 *     demo_visit.c   real page loads of clients in 20 cities, over the network between the places
 *     demo_report.c  the table, the totals, what was not as it should be
 */
#ifndef CDN_CLI_DEMO_H
#define CDN_CLI_DEMO_H
#include "cli/base/options.h"
#include "cli/run/own_cdn.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/near.h"

#include <stddef.h>
#include <stdint.h>

#define DEMO_OPTIONS(X)                                                                   \
    X(TEXT, root, 0, "DIR", "Serve this folder instead of Django's admin files")          \
    X(TEXT, report, 'o', "FILE", "And compare: an HTML file with map, charts and tables") \
    X(FLAG, json, 'j', NULL, "The result as one JSON object")
CLI_OPTIONS_STRUCT(demo_options, DEMO_OPTIONS);

#define DEMO_FILES_MAX 40u
#define DEMO_ROUNDS 2
#define DEMO_ORIGIN_PLACE "Frankfurt"

struct demo_file {
    char *path;           /* of the URL, "/admin/css/base.1f418065fc2c.css" */
    struct cdn_buf bytes; /* as on disk */
};

enum demo_load { DEMO_STRAIGHT, DEMO_FIRST, DEMO_SECOND, DEMO_LOAD_COUNT };

struct demo_visit {   /* of one city */
    const char *city; /* as asked for */
    struct geo_near near;
    char *edge;                        /* that the router names */
    double km, edge_ms, origin_ms;     /* modelled round trips */
    double page_ms[DEMO_LOAD_COUNT];   /* of all files; paths modelled, processors real */
    unsigned verdicts[DEMO_ROUNDS][3]; /* hits, misses, others */
    uint64_t bytes;                    /* of both rounds */
};

struct demo {
    const struct demo_options *options;
    struct own_cdn cdn;
    char *folder; /* of the CDN; borrowed */
    char *root;   /* what the origin serves */
    struct demo_file *files;
    size_t file_count;
    struct demo_visit *visits;
    size_t visit_count;
    double visits_ms;                       /* measured, all requests to edges */
    uint64_t origin_requests, origin_bytes; /* by edges */
    struct cdn_buf wrong;                   /* lines: what was not as it should be */
};

extern volatile int demo_interrupted; /* by SIGINT or SIGTERM */

/* Fills demo->root and demo->files. */
enum cdn_status demo_site(struct demo *demo, struct cdn_error *err) CDN_MUST_CHECK;
void demo_site_free(struct demo *demo);

/* Finds the clients, and asks the router about each. */
enum cdn_status demo_visitors(struct demo *demo, struct cdn_error *err) CDN_MUST_CHECK;
/* All files by all clients. */
enum cdn_status demo_load(struct demo *demo, enum demo_load load, struct cdn_error *err) CDN_MUST_CHECK;
void demo_visits_free(struct demo *demo);

/* Checks the numbers against each other (more lines in demo->wrong) and prints. */
void demo_report(struct demo *demo);

#endif
