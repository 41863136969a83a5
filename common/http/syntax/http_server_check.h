/* http_server_check: what RFC 9110 and 9112 forbid in a request's head although libmicrohttpd lets it
 * through.
 *
 * Pure: takes slices, returns a refusal from the table. The caller (http_request.c) walks the head and hands
 * over what it found. A cache must be strict here: a request that two parsers read in two ways is how
 * requests are smuggled.
 */
#ifndef CDN_COMMON_HTTP_SERVER_CHECK_H
#define CDN_COMMON_HTTP_SERVER_CHECK_H
#include "common/http/syntax/http_message.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_REFUSALS(X) /* name, status, detail */                                        \
    X(NONE, 0, "")                                                                         \
    X(REQUEST_LINE, 400, "the request line is not METHOD TARGET HTTP/1.1")                 \
    X(VERSION, 505, "the request's HTTP version is neither 1.0 nor 1.1")                   \
    X(METHOD, 400, "the method is not a token")                                            \
    X(CONNECT, 501, "this server opens no tunnels")                                        \
    X(TARGET, 400, "the request target has bytes or a form that RFC 9112 does not allow")  \
    X(TARGET_TOO_LONG, 414, "the request target is longer than 64 KiB")                    \
    X(FRAGMENT, 400, "the request target has a fragment")                                  \
    X(SCHEME, 400, "the request target's scheme is neither http nor https")                \
    X(LINES, 400, "the request's head has a folded line, a bare line feed or a NUL")       \
    X(FIELD_NAME, 400, "a header name is not a token")                                     \
    X(FIELD_VALUE, 400, "a header value has a control character")                          \
    X(FIELD_COUNT, 431, "the request has more than 256 header lines")                      \
    X(HEAD_TOO_LARGE, 431, "the request's head is larger than 64 KiB")                     \
    X(HEADS_TOO_MANY, 503, "too many large heads are arriving")                            \
    X(HOST_MISSING, 400, "the request has no Host")                                        \
    X(HOST_TWICE, 400, "the request has more than one Host")                               \
    X(HOST_INVALID, 400, "the Host is not a valid name or address")                        \
    X(LENGTH_TWICE, 400, "the request has more than one Content-Length")                   \
    X(LENGTH_INVALID, 400, "the Content-Length is not a number")                           \
    X(LENGTH_AND_CODING, 400, "the request has both Content-Length and Transfer-Encoding") \
    X(CODING_OLD, 400, "Transfer-Encoding in an HTTP/1.0 request")                         \
    X(CODING_INVALID, 400, "chunked is not the last and only transfer coding")             \
    X(CODING_UNKNOWN, 501, "unknown transfer coding")                                      \
    X(CHUNK, 400, "a chunk's size, extension or end is not what RFC 9112 7.1 allows")      \
    X(TRAILERS, 400, "the trailers have a line that is no field line")                     \
    X(TRAILERS_TOO_LARGE, 431, "the trailers are larger than 4 KiB or 64 lines")           \
    X(TIMEOUT, 408, "the request did not arrive in time")                                  \
    X(NO_CONNECTION, 503, "too many connections have requests under way")                  \
    X(BODY_TOO_LARGE, 413, "the request's body is larger than allowed here")

enum http_refusal {
#define X(name, status, detail) HTTP_REFUSE_##name,
    HTTP_REFUSALS(X)
#undef X
        HTTP_REFUSAL_COUNT
};
unsigned http_refusal_status(enum http_refusal r);
const char *http_refusal_detail(enum http_refusal r);

enum http_method http_method_parse(struct cdn_str name); /* case-sensitive; HTTP_OTHER */
bool http_check_token(struct cdn_str s);                 /* RFC 9110 5.6.2; not empty */
bool http_check_field_value(struct cdn_str s);           /* no control characters but tab */
bool http_check_host(struct cdn_str s);                  /* uri-host [":" port], not empty */

/* Whether a raw path has "." or ".." as a segment, percent-encoded or not. */
bool http_path_has_dots(struct cdn_str path);

struct http_target {
    struct cdn_str authority; /* of an absolute form; p NULL otherwise */
    struct cdn_str path;
    struct cdn_str query; /* p NULL without '?' */
};
/* Origin form, absolute form, or "*" for OPTIONS (RFC 9112 3.2). */
enum http_refusal http_check_target(enum http_method method, struct cdn_str target, struct http_target *ret);

struct http_framing { /* what the head says of the body's length */
    unsigned length_lines, coding_lines;
    struct cdn_str length, coding; /* first line of each */
    bool http10;
};
/* *ret_length: -1 when chunked or no body is declared (RFC 9112 6.3). */
enum http_refusal http_check_framing(const struct http_framing *framing, int64_t *ret_length,
                                     bool *ret_chunked);

#endif
