/* http_date: HTTP's three date forms (RFC 9110 5.6.7), read leniently where that is safe and written one way.
 *
 * Read: IMF-fixdate, RFC 850 (its two-digit year belongs to the century that puts it at most 50 years
 * ahead) and asctime, in any letter case. The weekday must be one, but is not checked against the date. Not
 * read: zones other than GMT ("UTC" too), a missing comma, an IMF-fixdate with two digits of the year or
 * with dashes, times without seconds, days that the month lacks, years out of 1970-9999.
 */
#ifndef CDN_COMMON_HTTP_DATE_H
#define CDN_COMMON_HTTP_DATE_H
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL */

/* Seconds since 1970; false leaves *ret_s untouched. `now_s` decides only the century of an RFC 850 date. */
bool http_date_parse_at(struct cdn_str s, int64_t now_s, int64_t *ret_s);
/* The same where no time is at hand: two-digit years are 1970 to 2069. */
bool http_date_parse(struct cdn_str s, int64_t *ret_s);
/* IMF-fixdate; seconds out of the years 1970-9999 are brought to the nearest end. */
void http_date_format(int64_t s, char out[static HTTP_DATE_SIZE]);

#endif
