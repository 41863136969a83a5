/* answer: the libmicrohttpd responses for a representation, with its fields. One thread each; no state of its
 * own. */
#ifndef CDN_ORIGIN_ANSWER_H
#define CDN_ORIGIN_ANSWER_H
#include "common/http/server/http_server.h"
#include "origin/files.h"
#include "origin/select.h"

#include <microhttpd.h>
#include <stdint.h>

struct origin_resource { /* what is being answered with; borrowed */
    struct origin_entry *entry;
    enum origin_variant_kind kind;
    const struct origin_policy *policy;
    int64_t date_s; /* Date to send, 0: the server's own */
};

/* 200 of a small file, and 304: kept in the variant and shared by all requests; the entry owns them. */
struct MHD_Response *origin_answer_ok(const struct origin_resource *r);
struct MHD_Response *origin_answer_same(const struct origin_resource *r);

/* The following are the caller's, to be given up with MHD_destroy_response. */

/* 200 of a large file (`part` NULL) or 206 of one part. `fd` is taken over; -1 for small files. */
struct MHD_Response *origin_answer_part(const struct origin_resource *r, int fd,
                                        const struct origin_part *part);
/* 206 multipart/byteranges (RFC 9110 14.6). `fd` as above; the answer breaks off when the file changes under
 * way. *ret_length: of the body. */
struct MHD_Response *origin_answer_parts(struct http_request *req, const struct origin_resource *r, int fd,
                                         const struct origin_selection *selection, uint64_t *ret_length);
void origin_answer_add_date(struct MHD_Response *response, int64_t date_s); /* 0: left to the server */

/* A short text that says what is wrong. */
struct MHD_Response *origin_answer_error(unsigned status, const char *detail, int64_t date_s,
                                         uint64_t *ret_length);

#endif
