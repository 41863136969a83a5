/* http_field_range: Range and Content-Range (RFC 9110 14), bytes only. */
#ifndef CDN_COMMON_HTTP_FIELD_RANGE_H
#define CDN_COMMON_HTTP_FIELD_RANGE_H
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_RANGE_MAX 64 /* ranges of one request that are read; more: the field is ignored */
#define HTTP_RANGE_OPEN UINT64_MAX

struct http_range_spec {
    uint64_t first; /* HTTP_RANGE_OPEN: a suffix of `last` bytes */
    uint64_t last;  /* HTTP_RANGE_OPEN: to the end */
};
struct http_range_set {
    unsigned count;
    struct http_range_spec spec[HTTP_RANGE_MAX];
};
/* false: no bytes range, or malformed, or too many: the field is to be ignored (RFC 9110 14.2). */
bool http_range_parse(struct cdn_str value, struct http_range_set *ret);

struct http_content_range {
    bool unsatisfied; /* "bytes" then a star for the range (416): only complete_length is set */
    uint64_t first;
    uint64_t last;
    int64_t complete_length; /* -1: "*" */
};
bool http_content_range_parse(struct cdn_str value, struct http_content_range *ret); /* RFC 9110 14.4 */
#define HTTP_CONTENT_RANGE_SIZE 80
/* "bytes 0-1/10" or "bytes" star-slash-10 when unsatisfied. */
void http_content_range_format(const struct http_content_range *r, char out[static HTTP_CONTENT_RANGE_SIZE]);

#endif
