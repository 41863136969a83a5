/* http_mhd_text: the texts that libmicrohttpd keeps of a request's head and of a response's fields, in one
 * place: what is read from how they lie in its memory, and what is written over.
 *
 * - A request's head stays in the read buffer and is cut up there: a NUL over the blanks of the request line,
 *   over each ':', CR and LF. So the lines of a well-formed head follow one another with exactly two NULs
 *   between; a bare line feed, a folded line or a NUL inside, none of which 0.9.75 reports, shows as a gap.
 * - A response's value is a copy of its own, to which MHD_get_response_header() points, and is sent byte by
 *   byte.
 *
 * Nothing documents either. So both are tried, once a process, by documented calls alone; where one is not so
 * (another release, another allocator) a line of the log says it and the documented way is taken: a request's
 * gaps are not looked for and a long query costs memory of the connection; a response's fields are given one
 * by one. Nothing is refused for it. http_mhd.h is about the library's structs and needs its very release.
 */
#ifndef CDN_COMMON_HTTP_MHD_TEXT_H
#define CDN_COMMON_HTTP_MHD_TEXT_H
#include "common/http/syntax/http_frame.h"
#include "common/str.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HTTP_MHD_LINE_END 2 /* CR LF, both NUL by now */

bool http_mhd_text_requests(void);  /* a request's head lies in its buffer */
bool http_mhd_text_responses(void); /* a response's value may be written over */

/* ---- a request's head, with http_mhd_text_requests() ---- */

/* An empty query keeps libmicrohttpd from splitting it into arguments that nobody asks for: some 60 bytes of
 * the connection's pool each, so that a long query would be refused. `target`: of
 * MHD_OPTION_URI_LOG_CALLBACK. */
static inline void http_mhd_text_end_query(const char *target)
{
    char *query = strchr((char *)(uintptr_t)target, '?');
    if (query) {
        query[1] = '\0';
    }
}

/* One blank on either side of a target of n bytes, and no NUL inside. */
static inline bool http_mhd_text_is_request_line(const char *method, const char *url, size_t n,
                                                 const char *version)
{
    return url == method + strlen(method) + 1 && version == url + n + 1;
}

/* Where the first line must begin. */
static inline const char *http_mhd_text_first_line(const char *version)
{
    return version + strlen(version) + HTTP_MHD_LINE_END;
}

/* Whether the line lies at `at`; moves it past. */
static inline bool http_mhd_text_is_line(const char **at, struct cdn_str name, struct cdn_str value)
{
    bool is = name.p == *at && value.p > name.p + name.n;
    *at = value.p + value.n + HTTP_MHD_LINE_END;
    return is;
}

/* Whether a head that began at `method` ends where the lines have led to. */
bool http_mhd_text_is_end(struct MHD_Connection *connection, const char *method, const char *at);

/* http_frame.c hid the field from libmicrohttpd, which would cut its value up. */
static inline void http_mhd_text_show_cookie(const char *name, size_t n)
{
    if (n == sizeof("Cookie") - 1 && name[n - 1] == HTTP_COOKIE_HIDDEN) {
        ((char *)(uintptr_t)name)[n - 1] = 'e';
    }
}

/* ---- a response's value, with http_mhd_text_responses() ---- */

/* Adds a field with the value `blank` of n bytes and returns the library's copy of that; NULL: it was not
 * added, or there is no copy and the field was taken out again. */
char *http_mhd_text_copy(struct MHD_Response *response, const char *name, const char *blank, size_t n);
/* `old` is (a part of) such a copy and as long as `value`. */
static inline void http_mhd_text_write(struct cdn_str old, struct cdn_str value)
{
    memcpy((char *)(uintptr_t)old.p, value.p, value.n);
}

#endif
