/* log: levelled lines on stderr, `key=value` or JSON, one write(2) a line.
 *
 *     cdn_log(CDN_LOG_WARN, "store_full", "path", path, "bytes", LOG_U64(n))  -- see the macros below
 *
 * The event is a fixed word (so that it can be searched for); what varies stands in fields. Strings are escaped, so a
 * header from the network cannot forge a line. Level and format are process-wide, set once by main and at reload.
 */
#ifndef CDN_COMMON_LOG_H
#define CDN_COMMON_LOG_H

#include <inttypes.h>
#include <stdbool.h>

#define CDN_LOG_LEVELS(X) X(DEBUG, debug) X(INFO, info) X(WARN, warn) X(ERROR, error)
enum cdn_log_level {
#define X(name, word) CDN_LOG_##name,
    CDN_LOG_LEVELS(X)
#undef X
};

/* `program` (borrowed for ever) and `node` (copied; may be NULL) stand in every line. */
void cdn_log_init(const char *program, const char *node, enum cdn_log_level level, bool json);
void cdn_log_set_level(enum cdn_log_level level);

/* fmt is a printf format that yields `key=value` pairs separated by one space; a value that is a %s is quoted and
 * escaped when it needs to be: cdn_log(CDN_LOG_INFO, "listening", "address=%s bytes=%" PRIu64, text, n). Keys are plain words. A %s value
 * may hold anything; conversions understood: %s %d %u %ld %lu %lld %llu %zu %f (with precision) and the PRI macros. */
void cdn_log(enum cdn_log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
