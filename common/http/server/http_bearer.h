/* http_bearer: a token that gives rights: a bearer token (RFC 6750) in a request's Authorization field,
 * or, as clients of Fastly send it, the field Fastly-Key. Neither is sent by a web page unasked. */
#ifndef CDN_COMMON_HTTP_BEARER_H
#define CDN_COMMON_HTTP_BEARER_H
#include "common/http/server/http_server.h"
#include "common/str.h"

#include <stdbool.h>

/* The token of a value "Bearer TOKEN"; the scheme may be written in either case (RFC 9110 11.1). False for
 * another scheme and for no field (p NULL). */
bool http_bearer_read(struct cdn_str authorization, struct cdn_str *ret_token);
/* The token of a request; Authorization comes first. */
bool http_bearer_of(struct http_request *req, struct cdn_str *ret_token);
/* Whether it is this token; false for an empty one, which nobody has. Takes the same time wherever the first
 * difference is. */
bool http_bearer_same(struct cdn_str given, struct cdn_str token);

#endif
