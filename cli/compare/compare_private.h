/* compare: inside of `pocketcdn compare`, for its files only.
 *
 *     compare.c          options, stages, exit code
 *     compare_run.c      real requests: to a CDN of its own, or one that runs
 *     compare_who.c      who is compared for: places, the own address, the clients of a log
 *     compare_change.c   against a baseline or another CDN, and the conditions of --fail-if
 *
 * and the rooms below, each of which knows only those before it:
 *
 *     stats/    percentiles, rank test, conditions: pure
 *     model/    series, their times on given paths, who is where, how many edges are enough
 *     output/   text, JSON, CSV
 *     report/   the HTML file
 *     run/      visitors, catalogue, outages; the CDN to ask
 */
#ifndef CDN_CLI_COMPARE_PRIVATE_H
#define CDN_CLI_COMPARE_PRIVATE_H
#include "cli/base/options.h"
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/world.h"
#include "cli/compare/output/output.h"
#include "cli/compare/stats/gate.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define COMPARE_OPTIONS(X)                                                                                   \
    X(TEXT, config, 'c', "FILE",                                                                             \
      "The CDN of this cdn.yaml; default: the built-in edges, origin in Frankfurt")                          \
    X(LIST, from, 'f', "PLACE",                                                                              \
      "Clients there, instead of 24 cities; '-': a place a line on standard input")                          \
    X(TEXT, cities, 0, "N", "More cities: the N first of 24 usual and then the most populous ones")          \
    X(FLAG, from_me, 0, NULL, "A client where the address of --ip is")                                       \
    X(TEXT, ip, 0, "IP", "The address of --from-me")                                                         \
    X(TEXT, from_log, 0, "FILE",                                                                             \
      "The clients of an access log, each with its number of requests; '-': stdin")                          \
    X(TEXT, client, 0, "WHICH", "The client of a log line, as for `geo`: a column (4), a name, xff")         \
    X(LIST, url, 'u', "URL", "The file to ask for: a path (/app.css) of the CDN; up to 8 more beside it")    \
    X(TEXT, runs, 0, "N", "Visits of each kind at each place; default: 3")                                   \
    X(TEXT, profile, 0, "PROFILE", "Last mile of the clients; default: fibre")                               \
    X(TEXT, state, 0, "DIR", "State folder of a CDN that `up --wan` started")                                \
    X(FLAG, own, 0, NULL, "Start a CDN of its own even where one runs")                                      \
    X(LIST, kill, 0, "WHAT", "And see what users see then: edge:NAME, origin or link:A-B")                   \
    X(FLAG, model, 'm', NULL, "Compute only: nothing is started or sent")                                    \
    X(TEXT, size, 0, "SIZE", "Size of the file; default: 100kB")                                             \
    X(TEXT, seed, 0, "N", "Of all that is drawn; default: 1")                                                \
    X(TEXT, against, 0, "FILE|URL", "Compare this CDN (A) with that of another cdn.yaml, or a server (B)")   \
    X(TEXT, against_place, 0, "PLACE", "Where the server of --against URL stands; default: with the origin") \
    X(TEXT, baseline, 0, "FILE", "Compare with an earlier --json")                                           \
    X(TEXT, fail_if, 0, "EXPR", "Exit code 1 if so: 'p95>+5%', 'dns-warm-new.p50>80ms', 'verdict=slower'")   \
    X(FLAG, json, 'j', NULL, "All figures and samples as one JSON object")                                   \
    X(FLAG, csv, 0, NULL, "A line for each place and series")                                                \
    X(TEXT, report, 'o', "FILE", "An HTML file with map, charts and tables, which needs nothing else")       \
    X(FLAG, quiet, 'q', NULL, "No progress")
CLI_OPTIONS_STRUCT(compare_options, COMPARE_OPTIONS);

extern volatile int compare_interrupted; /* by SIGINT or SIGTERM */

struct compare {
    const struct compare_options *options;
    struct comparison a;
    struct gate gate;
    json_t *baseline;
    struct output_changes changes;
    bool has_changes;
};

/* A comparison of the CDN of `config` (NULL: of its own), modelled, and unless --model is given measured.
 * `like`: size, seed, runs, profile (borrowed). */
enum cdn_status compare_one(const struct compare_options *options, const char *config,
                            const struct comparison *like, struct comparison *ret,
                            struct cdn_error *err) CDN_MUST_CHECK;

/* B is one server, asked as the warm CDN is, from the places of A. */
enum cdn_status compare_url(const struct compare_options *options, const struct comparison *a,
                            struct comparison *ret, struct cdn_error *err) CDN_MUST_CHECK;

/* Opens the world of `config` with everybody who was asked for, decided. */
enum cdn_status compare_who(const struct compare_options *options, const char *config, struct world *ret,
                            struct cdn_error *err) CDN_MUST_CHECK;

/* Fills in changes: from an earlier --json of the same series, or from A to B. */
enum cdn_status compare_baseline_read(const char *path, json_t **ret, struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status compare_with_baseline(const struct comparison *c, const json_t *baseline, const char *what,
                                      struct output_changes *ret, struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status compare_with(const struct comparison *a, const struct comparison *b, const char *what,
                             struct output_changes *ret, struct cdn_error *err) CDN_MUST_CHECK;
/* The conditions that are met, one a line. Empty: none. */
void compare_judge(const struct compare *compare, struct cdn_buf *ret_met);

#endif
