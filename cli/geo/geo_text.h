/* geo_text: one argument or plain line: an address, a network or a range. Pure.
 *
 *     192.0.2.1   192.0.2.1:443   2001:db8::1   [2001:db8::1]   [2001:db8::1]:443   ::ffff:192.0.2.1
 *     192.0.2.0/24 (bits after the prefix may be set)   192.0.2.1-192.0.2.99   2001:db8::-2001:db8::ff
 *
 * Quotes around it and a comma or semicolon after it do not count. What others read in more than one way is
 * refused: 010.0.0.1, 0x7f000001, 127.1, zones.
 */
#ifndef CDN_CLI_GEO_TEXT_H
#define CDN_CLI_GEO_TEXT_H
#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>

struct geo_span {
    struct cdn_addr first, last; /* of one family; equal for an address */
    bool has_host_bits;          /* a network that was written with bits after its prefix */
};

/* False: *ret_why says why not, as "is ...". */
bool geo_text_read(struct cdn_str text, struct geo_span *ret, const char **ret_why);

/* Moves to the first address after the network of `prefix` bits
 * that `a` is in; false after the last one. */
bool geo_text_step_over(struct cdn_addr *a, unsigned prefix);
/* The order of two addresses of one family: below, at or above 0. */
int geo_text_compare(const struct cdn_addr *a, const struct cdn_addr *b);

/* Why a text that is no address may be a slip: it names a file. NULL: it does not. `reads_log`: the input is
 * said to be a log. */
const char *geo_text_file_hint(struct cdn_str text, bool reads_log);

#endif
