/* http_bearer: a bearer token (RFC 6750) in a request's Authorization field. */
#ifndef CDN_COMMON_HTTP_BEARER_H
#define CDN_COMMON_HTTP_BEARER_H
#include "common/str.h"

#include <stdbool.h>

/* The token of a value "Bearer TOKEN"; the scheme may be written in either case (RFC 9110 11.1). False for
 * another scheme and for no field (p NULL). */
bool http_bearer_read(struct cdn_str authorization, struct cdn_str *ret_token);
/* Whether the value has this token; false for an empty one, which nobody has. Takes the same time wherever
 * the first difference is. */
bool http_bearer_is(struct cdn_str authorization, struct cdn_str token);

#endif
