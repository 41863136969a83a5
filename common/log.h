/* log: levelled lines on stderr, `key=value` or JSON, one write(2) a line.
 *
 *     cdn_log(CDN_LOG_WARN, "store_full", "path=%s bytes=%" PRIu64, path, n);
 *
 * The event is a fixed word (so that it can be searched for); what varies is in fields. Strings are
 * escaped, so a header from the network cannot forge a line. Level and format are process-wide, set once by
 * main and at reload.
 */
#ifndef CDN_COMMON_LOG_H
#define CDN_COMMON_LOG_H
#include <stdbool.h>

#define CDN_LOG_LEVELS(X) X(DEBUG, debug) X(INFO, info) X(WARN, warn) X(ERROR, error)
enum cdn_log_level {
#define X(name, word) CDN_LOG_##name,
    CDN_LOG_LEVELS(X)
#undef X
};

/* `program` (borrowed for good) and `node` (copied; may be NULL) are in every line. */
void cdn_log_init(const char *program, const char *node, enum cdn_log_level level, bool json);
void cdn_log_set_level(enum cdn_log_level level); /* any thread */
bool cdn_log_wants(enum cdn_log_level level);     /* to skip costly arguments */

/* fmt is a printf format that yields `key=value` pairs separated by one space:
 *     cdn_log(CDN_LOG_INFO, "listening", "address=%s bytes=%" PRIu64, text, n);
 * Keys are plain words. A %s may hold anything: it is quoted and escaped when it needs to be, and cut at 4096
 * bytes. Conversions understood: d i u x with h l ll z j t, f g (with precision), c, s (with precision, `*`
 * too); padding is ignored. In JSON a value that is one d, i, u, f or g is a number, everything else a
 * string. `errno` is kept. */
void cdn_log(enum cdn_log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
