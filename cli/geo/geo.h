/* geo: inside of `pocketcdn geo`, for its files only.
 *
 *     geo.c         options, what to do, input to rows
 *     geo_input.c   lines, and addresses inside them
 *     geo_text.c    an argument or plain line
 *     geo_client.c  the client of a log line
 *     geo_summary.c --summary
 *     geo_row.c     fields of a row
 *     geo_print.c   rows to lines in each form
 *     geo_memo.c    lines of records seen before
 *     geo_raw.c     values straight from the database
 *     geo_log.c     --explain-log
 *     geo_info.c    info, verify, --bench
 *
 * An address is decided by router/decide, with the table that a router with the same cdn.yaml would build:
 * that is what makes both agree.
 */
#ifndef CDN_CLI_GEO_H
#define CDN_CLI_GEO_H
#include "cli/base/options.h"
#include "cli/geo/geo_row.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stddef.h>

#define GEO_OPTIONS(X)                                                                                      \
    X(FLAG, json, 'j', NULL, "One JSON object a line, as GET /route?ip= of the router gives it")            \
    X(FLAG, csv, 0, NULL, "Comma-separated values (RFC 4180) with a header line")                           \
    X(FLAG, tsv, 0, NULL, "Tab-separated values with a header line")                                        \
    X(TEXT, fields, 0, "NAMES",                                                                             \
      "For --csv, --tsv, --summary: ip,country,city,edge (also right after these)")                         \
    X(TEXT, format, 'f', "TEXT", "A line of your own: %{ip} %{country} %{edge} ...; \\t, \\n, %%")          \
    X(TEXT, raw, 0, "PATH", "The value at PATH of the database's record, as country_code; . is all of it")  \
    X(FLAG, log, 'l', NULL, "Input lines are log lines: every address in them is looked up")                \
    X(TEXT, client, 0, "WHICH",                                                                             \
      "The client of a log line: a column (4), a name (c-ip, request.client_ip), xff")                      \
    X(FLAG, annotate, 0, NULL, "Write log lines back, followed by country, edge and AS (or --format)")      \
    X(FLAG, summary, 0, NULL, "Count by country, asn and edge, or by the fields named after it")            \
    X(TEXT, explain_log, 0, "FILE", "Which edges the clients of a log are sent to, how far, how certainly") \
    X(FLAG, why, 'w', NULL, "Show how the decision came about")                                             \
    X(FLAG, all_edges, 'a', NULL, "Show all edges, best first")                                             \
    X(LIST, db, 0, "FILE", "Database (.mmdb); several: each field from the first that has it")              \
    X(TEXT, config, 'c', "FILE", "Decide as the router of this cdn.yaml; default: the built-in edges")      \
    X(FLAG, as_router, 0, NULL, "Decide as the router does; always so, and accepted to say it")             \
    X(FLAG, strict, 0, NULL, "Stop at the first bad line")                                                  \
    X(FLAG, bench, 0, NULL, "Measure look-ups and decisions a second")                                      \
    X(FLAG, quiet, 'q', NULL, "No summary on stderr")

CLI_OPTIONS_STRUCT(geo_options, GEO_OPTIONS);

/* The table that a router with this cdn.yaml (NULL: the built-in edges) and these databases (none: as the
 * configuration says) would have. */
enum cdn_status geo_table_make(const char *path, const struct cli_list *databases, struct router_table **ret,
                               struct cdn_error *err) CDN_MUST_CHECK;

/* How rows are printed; made once from the options. */
struct geo_printer;
enum cdn_status geo_printer_create(const struct geo_options *options, struct geo_printer **ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
void geo_printer_destroy(struct geo_printer *printer);
/* Whether lines of one record differ in address, network and line number only. */
bool geo_printer_repeats(const struct geo_printer *printer);
void geo_printer_header(const struct geo_printer *printer, struct cdn_buf *out);
void geo_printer_row(const struct geo_printer *printer, const struct geo_row *row,
                     const struct router_trace *trace, struct cdn_buf *out);

/* The row of --annotate for a line without a client. */
void geo_printer_blank(const struct geo_printer *printer, struct cdn_buf *out);
/* `line`, a JSON object, with geo_country, geo_edge and geo_asn inside, null where nothing is known (`row`
 * NULL: of all). */
void geo_print_members(struct cdn_str line, const struct geo_row *row, struct cdn_buf *out);

/* Reader of raw values of an open database, which outlives it. */
struct geo_raw;
enum cdn_status geo_raw_open(const struct geo_db *db, const char *path, struct geo_raw **ret,
                             struct cdn_error *err) CDN_MUST_CHECK;
void geo_raw_close(struct geo_raw *raw);
/* CDN_NOT_FOUND when the record or the path is not there. Text as
 * it is, everything else as JSON; one line. */
enum cdn_status geo_raw_print(struct geo_raw *raw, const struct cdn_addr *address, struct cdn_buf *out);

/* Reads the log at `path` ("-": standard input) and prints each edge's clients; `which` as --client, NULL
 * for the usual one. CDN_IO names the path. */
enum cdn_status geo_explain_log(const struct router_table *table, const char *path, const char *which,
                                bool json, struct cdn_error *err);
enum cdn_status geo_info(const struct geo_db *db, bool json, struct cdn_error *err);
enum cdn_status geo_verify(const struct geo_db *db, bool json, struct cdn_error *err);
enum cdn_status geo_bench(const struct router_table *table, struct cdn_error *err);

#endif
