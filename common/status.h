/* status: the one error type of the project.
 *
 * A function that can fail returns `enum cdn_status`, gives its results in `ret_...` arguments that stay
 * untouched on failure, and takes a `struct cdn_error *` last (NULL is fine) that receives one sentence with
 * the object and the value. Libraries return errors; only `main` and the edges of a request log them.
 */
#ifndef CDN_COMMON_STATUS_H
#define CDN_COMMON_STATUS_H

#define CDN_MUST_CHECK __attribute__((warn_unused_result))
#define CDN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* exit codes fixed by the interface: 0 done, 1 the answer is 'no', 2 usage or invalid input, 3 cannot run */
#define CDN_STATUS_TABLE(X) /* name, exit code, HTTP status, text */ \
    X(OK, 0, 200, "ok")                                              \
    X(NOT_FOUND, 1, 404, "not found")                                \
    X(REFUSED, 1, 403, "refused")                                    \
    X(USAGE, 2, 400, "usage")                                        \
    X(INVALID, 2, 400, "invalid input")                              \
    X(TOO_LARGE, 2, 413, "too large")                                \
    X(UNSUPPORTED, 2, 501, "not supported")                          \
    X(CONFLICT, 3, 409, "conflict")                                  \
    X(CORRUPT, 3, 500, "corrupt")                                    \
    X(IO, 3, 500, "input/output error")                              \
    X(NETWORK, 3, 502, "network error")                              \
    X(TIMEOUT, 3, 504, "time-out")                                   \
    X(UNAVAILABLE, 3, 503, "unavailable")                            \
    X(INTERNAL, 3, 500, "internal error")

enum cdn_status {
#define X(name, exit_code, http, text) CDN_##name,
    CDN_STATUS_TABLE(X)
#undef X
        CDN_STATUS_COUNT
};

struct cdn_error {
    enum cdn_status status;
    char text[512]; /* one line without control bytes; cut with "..." when longer */
};

/* Stores `status` and the sentence in `err` (when not NULL) and returns `status`, so that a failing function
 * can end with `return cdn_error_set(err, CDN_INVALID, "...", ...)`. Line ends in the text become spaces. */
enum cdn_status cdn_error_set(struct cdn_error *err, enum cdn_status status, const char *fmt, ...)
    CDN_PRINTF(3, 4);

/* Puts "prefix: " in front of the sentence already in `err`; returns err->status (CDN_INTERNAL when NULL). */
enum cdn_status cdn_error_prefix(struct cdn_error *err, const char *fmt, ...) CDN_PRINTF(2, 3);

const char *cdn_status_name(enum cdn_status status); /* "INVALID" */
const char *cdn_status_text(enum cdn_status status); /* "invalid input" */
int cdn_status_exit_code(enum cdn_status status);
int cdn_status_http(enum cdn_status status);

#endif
