/* prune: a whole city database made small, for the embedded world.mmdb.
 *
 * 1. Every record's place falls in a *cell*: a square of `cell_degrees` within one country, whose place is
 * the address-weighted mean of its members.
 * 2. Bottom up, every node of the source tree gets the histogram of its addresses over cells (the 16 largest
 * are kept), its best single cell c = argmin sum of w(x) * min(km(x, c), cap), and that cost. A cell that is
 * there is a better label than a mean: half New York and half Los Angeles must not become Kansas.
 * 3. Top down, for the price lambda of a leaf, the cheaper of "one label here" and "the children" is kept,
 * which is exact for each lambda. A half without an answer costs nothing, so it takes the label of its
 * sibling.
 *
 * IPv4 weighs a leaf by its addresses. IPv6 address counts say nothing about users (a /20 would outweigh all
 * else), so there a leaf of /d weighs 2^((48 - d) / 2).
 */
#ifndef CDN_GEO_DATA_PRUNE_H
#define CDN_GEO_DATA_PRUNE_H
#include "common/status.h"
#include "geo-data/geo.h"
#include "geo-data/tools/mmdb_writer.h"

struct prune_settings {
    double cell_degrees;
    double cap_km;
    double lambda_ipv4; /* km x addresses that a leaf must save */
    double lambda_ipv6; /* km x weight */
};

/* Inserts the pruned networks of both families into the writer (ip_version 6). */
enum cdn_status prune(const struct geo_db *db, const struct prune_settings *settings,
                      struct mmdb_writer *writer, struct cdn_error *err) CDN_MUST_CHECK;

#endif
