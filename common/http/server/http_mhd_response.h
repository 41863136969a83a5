/* http_mhd_response: the inside of libmicrohttpd's `struct MHD_Response` (release 0.9.75), for faults alone:
 * the body of an answer cannot be read back by documented calls, and its fields may be sealed as one
 * (http_mhd_text.h). http_mhd_response_is_known() tries it on answers of its own, once a process; where
 * anything is not as expected bodies are left alone and POST /faults says so.
 */
#ifndef CDN_COMMON_HTTP_MHD_RESPONSE_H
#define CDN_COMMON_HTTP_MHD_RESPONSE_H
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

bool http_mhd_response_is_known(void);

uint64_t http_mhd_response_size(const struct MHD_Response *response); /* MHD_SIZE_UNKNOWN: chunked */
/* As a reader of libmicrohttpd's: > 0, 0 (the connection was suspended), MHD_CONTENT_READER_... */
ssize_t http_mhd_response_read(struct MHD_Response *response, uint64_t at, char *into, size_t max);
/* `to`, which has no fields, shows those of `from`, until they are taken back: before it goes, and while
 * `from` lives. */
void http_mhd_response_lend(const struct MHD_Response *from, struct MHD_Response *to);
void http_mhd_response_share(
    struct MHD_Response *response); /* one more owner, until MHD_destroy_response() */
void http_mhd_response_take_back(struct MHD_Response *to);

#endif
