/* geo_summary: how many addresses have which value of a field. */
#ifndef CDN_CLI_GEO_SUMMARY_H
#define CDN_CLI_GEO_SUMMARY_H
#include "cli/geo/geo_row.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>

struct geo_summary;

/* `fields`: names joined by commas; NULL: country, asn and edge. CDN_USAGE names the one that is not a
 * field. */
enum cdn_status geo_summary_create(const char *fields, struct geo_summary **ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
void geo_summary_destroy(struct geo_summary *summary); /* NULL is fine */
void geo_summary_count(struct geo_summary *summary, const struct geo_row *row);
/* A table, most frequent values first, or one JSON object: {"country": {"US": 3, "unknown": 1}, ...}. */
void geo_summary_print(const struct geo_summary *summary, bool json, struct cdn_buf *out);

#endif
