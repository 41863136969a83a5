/* pin: the place that a client of a simulation says it is at: `pocketcdn-from` in the query or in a cookie,
 * an address, a city, LAT,LON or edge:NAME, percent-encoded. Pure.
 */
#ifndef CDN_ROUTER_PIN_H
#define CDN_ROUTER_PIN_H
#include "common/str.h"

#include <stdbool.h>

#define ROUTER_PIN_NAME "pocketcdn-from"

/* Appends the decoded value to `out` (emptied before). The query wins over the cookie. False: there is none,
 * or it is badly encoded or over 200 bytes. */
bool router_pin_find(struct cdn_str query, struct cdn_str cookie, struct cdn_buf *out);

#endif
