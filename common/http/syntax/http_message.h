/* http_message: the words that server, client and syntax share: a method, a field line, and what the producer
 * of a body may say instead of bytes. So that neither side has to know the other to name them.
 */
#ifndef CDN_COMMON_HTTP_MESSAGE_H
#define CDN_COMMON_HTTP_MESSAGE_H
#include "common/str.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_TRACE,
    HTTP_PURGE,
    HTTP_QUERY, /* RFC 10008: safe, with a body */
    HTTP_OTHER
};

struct http_field { /* one header line; borrowed from the message that it stands in */
    struct cdn_str name;
    struct cdn_str value;
};

/* A body that is produced while it is sent: what its producer returns when it has no bytes. */
#define HTTP_STREAM_END ((ssize_t)-1)  /* complete (only where the length is unknown) */
#define HTTP_STREAM_FAIL ((ssize_t)-2) /* break off: never a short body that looks complete */
#define HTTP_STREAM_WAIT ((ssize_t)-3) /* nothing yet: paused until its resume function is called */

#endif
