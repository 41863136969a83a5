/* geo_row: one answer of `pocketcdn geo` and the fields it can be printed by.
 *
 * One table: the names of `--format`, the columns of `--csv` and `--tsv`. The names equal the keys of
 * `--json` (router/decide/explain.h). A field is a row here and a PUT(name) in geo_row.c. Printing
 * allocates nothing beyond the output buffer.
 */
#ifndef CDN_CLI_GEO_ROW_H
#define CDN_CLI_GEO_ROW_H
#include "common/str.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEO_NEAR_KM 75 /* farther off, a place is not said to be "near" a city, nor its city */

struct geo_row {
    const struct router_table *table;
    struct router_question question;
    struct router_decision decision;
    uint64_t line; /* of the input, from 1 */
    bool stencil;  /* print a mark in place of what differs between addresses of one record: see geo_memo.h */
};
/* The marks: control characters, which no field holds. */
#define GEO_MARK_IP '\1'
#define GEO_MARK_NETWORK '\2'
#define GEO_MARK_LINE '\3'

#define GEO_FIELDS(X) /* name, text */                                                  \
    X(ip, "the address asked about")                                                    \
    X(network, "the network that the place depended on")                                \
    X(special, "word of the special range, such as private or documentation")           \
    X(continent, "two letters")                                                         \
    X(country, "two letters (ISO 3166)")                                                \
    X(country_name, "in English")                                                       \
    X(registered_country, "two letters, where the network is registered")               \
    X(subdivision, "state or province")                                                 \
    X(city, "name")                                                                     \
    X(near, "the nearest city of the built-in list")                                    \
    X(postcode, "as the database has it")                                               \
    X(time_zone, "as Europe/Berlin")                                                    \
    X(asn, "number of the autonomous system")                                           \
    X(organization, "that it belongs to")                                               \
    X(lat, "degrees north")                                                             \
    X(lon, "degrees east")                                                              \
    X(accuracy_km, "how far off the place may be")                                      \
    X(precision, "exact, city, cell, region, country, default or none")                 \
    X(source, "pinned, override, database or default")                                  \
    X(reason, "why this edge")                                                          \
    X(edge, "chosen edge")                                                              \
    X(url, "of the chosen edge")                                                        \
    X(km, "to the edge, great circle")                                                  \
    X(rtt_ms, "modelled round-trip time to the edge")                                   \
    X(runner_up, "the next edge elsewhere")                                             \
    X(margin_ms, "what the runner-up costs more")                                       \
    X(ambiguous, "yes when the place may be off by more than the runner-up is farther") \
    X(edges, "all edges, best first: NAME:MS joined by |")                              \
    X(line, "number of the input line")

enum geo_field {
#define X(name, text) GEO_FIELD_##name,
    GEO_FIELDS(X)
#undef X
        GEO_FIELD_COUNT
};
const char *geo_field_name(enum geo_field field);
const char *geo_field_text(enum geo_field field);
bool geo_field_find(struct cdn_str name, enum geo_field *ret);

/* Text of a database or a configuration made visible. */
void geo_field_put_visible(const struct geo_row *row, enum geo_field field, struct cdn_buf *out);
void geo_field_put(const struct geo_row *row, enum geo_field field, struct cdn_buf *out);
/* `value` with `decimals` (0 to 6) after the point; |value| < 1e9. */
void geo_put_fixed(struct cdn_buf *out, double value, unsigned decimals);

/* What the database or an override says of the address. */
enum geo_found { GEO_FOUND, GEO_SPECIAL, GEO_UNKNOWN };
enum geo_found geo_row_found(const struct geo_row *row);

/* All sites of the table, best first, for this row; the caller frees. */
struct router_candidate *geo_row_ranked(const struct geo_row *row, size_t *ret_n);

#endif
