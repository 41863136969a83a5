/* http_problem: what a daemon says of an error: a problem document (RFC 9457), or a small page for a person
 * whose browser asks for HTML.
 *
 *     {"type":"about:blank","title":"Not Found","status":404,"detail":"..."}
 */
#ifndef CDN_COMMON_HTTP_PROBLEM_H
#define CDN_COMMON_HTTP_PROBLEM_H
#include "common/str.h"

#include <stdbool.h>

/* Whether an Accept field (p NULL: absent) names text/html, and no JSON of at least its weight (RFC 9110
 * 12.5.1). "*" does not ask for HTML: programs send it. */
bool http_problem_wants_html(struct cdn_str accept);

/* Appends the body; returns its Content-Type. `detail` may be NULL, and may hold anything: it is escaped. */
const char *http_problem_write(bool html, unsigned status, const char *detail, struct cdn_buf *out);

/* Appends an own page with its {status}, {reason}, {detail} and {request_id} filled in, escaped. What else is
 * in braces stays. */
struct http_problem_page {
    struct cdn_str text;
    unsigned status;
    const char *detail;
    struct cdn_str request_id;
};
void http_problem_fill(const struct http_problem_page *page, struct cdn_buf *out);

/* Appends a whole answer that closes its connection, for where libmicrohttpd has no say. */
void http_problem_answer(unsigned status, const char *detail, struct cdn_buf *out);

#endif
