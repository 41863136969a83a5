/* warm_private: what the files of `pocketcdn warm` share: its options, the edges, what became of each
 * request. For nobody else. */
#ifndef CDN_CLI_WARM_PRIVATE_H
#define CDN_CLI_WARM_PRIVATE_H
#include "cli/base/options.h"
#include "cli/run/control.h"
#include "cli/warm/warm_list.h"
#include "common/http/syntax/http_message.h"
#include "common/status.h"
#include "common/str.h"

#include <stddef.h>
#include <stdint.h>

#define WARM_OPTIONS(X)                                                                                  \
    X(LIST, edge, 'e', "NAME", "Warm this edge; may be repeated; without any: all edges")                \
    X(FLAG, all, 0, NULL, "Warm all edges (as without --edge)")                                          \
    X(TEXT, base, 0, "URL|/PATH",                                                                        \
      "Under what names in a list and files of a manifest stand; default: "                              \
      "/static/ for a manifest, / for a list")                                                           \
    X(TEXT, concurrency, 'n', "N", "Requests at a time, over all edges; default: 16, at most 256")       \
    X(TEXT, rate, 0, "N", "Requests a second at most, over all edges; default: as fast as answers come") \
    X(LIST, header, 'H', "FIELD",                                                                        \
      "Send this field, such as 'Accept-Encoding: br' (default: gzip, br, "                              \
      "as browsers ask); may be repeated")                                                               \
    X(FLAG, insecure, 'k', NULL, "Do not verify the edges' certificates")                                \
    X(TEXT, cacert, 0, "FILE", "CA certificates in place of the system's")                               \
    X(FLAG, json, 'j', NULL, "The summary as one JSON object, every failure in it")                      \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(warm_options, WARM_OPTIONS);

#define WARM_EDGES_MAX CLI_LIST_MAX
#define WARM_FIELDS_MAX (CLI_LIST_MAX + 1)

#define WARM_OUTCOMES(X) /* name, key of --json, meaning */                         \
    X(WARMED, "warmed", "fetched from the origin, and kept")                        \
    X(HIT, "hits", "was there already")                                             \
    X(NOT_KEPT, "not_kept", "answered, but the answer may not be kept, or was not") \
    X(FAILED, "failed", "no whole answer of status 200")
enum warm_outcome {
#define X(name, key, meaning) WARM_##name,
    WARM_OUTCOMES(X)
#undef X
        WARM_OUTCOME_COUNT
};

struct warm_edge {
    const char *name, *url; /* "http://127.0.1.1:8088"; borrowed from what runs */
    size_t counts[WARM_OUTCOME_COUNT];
    uint64_t bytes;
    unsigned refusals; /* connections refused one after the other */
};

struct warm_note { /* what is said of one request */
    enum warm_outcome outcome;
    size_t edge, url;
    char *why;
};

struct warm {
    const struct warm_options *options;
    const char *ca_file;      /* NULL: the system's; borrowed */
    size_t concurrency, rate; /* rate 0: no limit */
    struct http_field fields[WARM_FIELDS_MAX];
    size_t field_count;
    struct warm_edge edges[WARM_EDGES_MAX];
    size_t edge_count;
    struct warm_list list;
    /* of the run */
    struct warm_note *notes; /* failures and what was not kept, in the order of their ends */
    size_t note_count, notes_left_out;
    size_t differing; /* URLs of which edges have different versions */
    int64_t took_ns;
};

/* The list of the source (a file, "-", or a URL that is asked of the first edge) and of all sitemaps that it
 * leads to. */
enum cdn_status warm_source_read(struct warm *warm, const char *source, struct cdn_error *err) CDN_MUST_CHECK;

/* Asks every edge for every URL; fails only when it cannot begin. */
enum cdn_status warm_run(struct warm *warm, struct cdn_error *err) CDN_MUST_CHECK;

/* "http://127.0.1.1:8088/a.css", and the fields of a request for it in the name of its site; returns how
 * many. */
size_t warm_request(const struct warm *warm, const struct warm_edge *edge, const struct warm_url *url,
                    struct cdn_buf *ret_url, struct http_field ret_fields[static WARM_FIELDS_MAX + 2]);

#endif
