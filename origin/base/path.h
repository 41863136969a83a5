/* path: the path of a request as a file name below the root. Pure.
 *
 * The kernel (openat2, RESOLVE_BENEATH) is what keeps requests inside the root; this is the first fence,
 * and it decides what is asked for at all: one spelling a file. Percent-escapes are undone once. What no
 * client that follows RFC 3986 sends (dot segments, control bytes, broken escapes) is malformed; what no
 * file can be called (an escaped slash, a backslash, an empty segment, an over-long segment) is not there;
 * names that start with a dot are private, except /.well-known/ (RFC 8615).
 */
#ifndef CDN_ORIGIN_BASE_PATH_H
#define CDN_ORIGIN_BASE_PATH_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORIGIN_PATH_MAX 2048   /* decoded, with its NUL */
#define ORIGIN_SEGMENT_MAX 255 /* NAME_MAX of the usual file systems */

#define ORIGIN_PATH_RESULTS(X) /* name, HTTP status, detail */                                         \
    X(OK, 200, "")                                                                                     \
    X(MALFORMED, 400, "The path holds a dot segment, a control character or a broken percent-escape.") \
    X(HIDDEN, 403, "Names that start with a dot are not served.")                                      \
    X(ABSENT, 404, "There is no such file.")                                                           \
    X(LONG, 414, "The path is too long.")

enum origin_path_result {
#define X(name, status, detail) ORIGIN_PATH_##name,
    ORIGIN_PATH_RESULTS(X)
#undef X
};

struct origin_path {
    char name[ORIGIN_PATH_MAX]; /* relative to the root, without slashes at its ends; "" is the root itself */
    size_t n;
    bool is_folder; /* ended with a slash */
};

/* `raw` as sent, without the query. *ret is complete only with ORIGIN_PATH_OK. */
enum origin_path_result origin_path_decode(struct cdn_str raw, struct origin_path *ret);
unsigned origin_path_status(enum origin_path_result r);
const char *origin_path_detail(enum origin_path_result r);

#define ORIGIN_HASH_DIGITS_MIN 8
#define ORIGIN_HASH_DIGITS_MAX 64
/* The name has the form of a content-hashed file, as Django (NAME.HASH.EXT) or a bundler (NAME-HASH.EXT)
 * writes it: the hash in lower-case hex, of n digits where bit n-1 of `lengths` is set. Decimal digits alone
 * are a date or a number (but for Django's 12 between dots), and the end of a UUID is not a hash. */
bool origin_path_is_hashed(struct cdn_str name, uint64_t lengths);

#endif
