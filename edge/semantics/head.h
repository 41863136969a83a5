/* head: a stored response head, immutable, in one block.
 *
 * The block is what is kept in memory, what is written to the database and what is read back: a fixed part
 * (sizes, status) and records of one header line each, without gaps: four bytes, the name, the value. Both
 * are ended with a NUL, so that they are C strings as well; a well-known field in its usual spelling is a
 * number. Numbers are in the machine's order; the magic word says so. edge_head_parse() believes nothing:
 * every offset, length and index is checked before use.
 *
 * Life cycle: build (from the origin's fields) -> any number of readers -> destroy. An update makes a new
 * head.
 */
#ifndef CDN_EDGE_HEAD_H
#define CDN_EDGE_HEAD_H
#include "common/http/syntax/http_message.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_HEAD_FIELDS(X) /* well-known fields: compared by number */ \
    X(ETAG, "ETag")                                                     \
    X(LAST_MODIFIED, "Last-Modified")                                   \
    X(DATE, "Date")                                                     \
    X(EXPIRES, "Expires")                                               \
    X(AGE, "Age")                                                       \
    X(CACHE_CONTROL, "Cache-Control")                                   \
    X(CDN_CACHE_CONTROL, "CDN-Cache-Control")                           \
    X(VARY, "Vary")                                                     \
    X(CONTENT_TYPE, "Content-Type")                                     \
    X(CONTENT_ENCODING, "Content-Encoding")                             \
    X(CONTENT_LENGTH, "Content-Length")                                 \
    X(CONTENT_RANGE, "Content-Range")                                   \
    X(SURROGATE_KEY, "Surrogate-Key")                                   \
    X(CACHE_TAG, "Cache-Tag")                                           \
    X(XKEY, "xkey")                                                     \
    X(LOCATION, "Location")                                             \
    X(CONTENT_LOCATION, "Content-Location")                             \
    X(SET_COOKIE, "Set-Cookie")                                         \
    X(WARNING, "Warning")                                               \
    X(PRAGMA, "Pragma")                                                 \
    X(VIA, "Via")                                                       \
    X(CACHE_STATUS, "Cache-Status")                                     \
    X(ACCEPT_RANGES, "Accept-Ranges")                                   \
    X(X_CACHE_TAGS, "X-Cache-Tags")                                     \
    X(X_MAGENTO_TAGS, "X-Magento-Tags")                                 \
    X(CACHE_GROUPS, "Cache-Groups")                                     \
    X(NO_VARY_SEARCH, "No-Vary-Search")

enum edge_head_field {
#define X(name, text) EDGE_HEAD_##name,
    EDGE_HEAD_FIELDS(X)
#undef X
        EDGE_HEAD_FIELD_COUNT,
    EDGE_HEAD_OTHER = EDGE_HEAD_FIELD_COUNT
};
const char *edge_head_field_name(enum edge_head_field f);
enum edge_head_field edge_head_field_find(struct cdn_str name); /* letter case does not matter */

#define EDGE_HEAD_MAX_BYTES (256u * 1024) /* of a whole block */
#define EDGE_HEAD_MAX_LINES 1024u

struct edge_head { /* the fixed part; for head.c only, and object.h, which embeds it */
    uint32_t magic;
    uint32_t size; /* of the whole block */
    uint16_t status;
    uint16_t lines;
};

/* Copies the lines, leaving out those of the hop and those that Connection names (RFC 9111 3.1); `drop` lists
 * further names to leave out (NULL: none). Line ends, NULs and tabs in values become spaces (RFC 9110 5.5).
 * CDN_TOO_LARGE, CDN_INVALID (a name that is not a token, a status out of 100-999). The caller owns *ret. */
enum cdn_status edge_head_build(unsigned status, const struct http_field *fields, size_t count,
                                const struct cdn_str *drop, size_t drop_count, struct edge_head **ret,
                                struct cdn_error *err) CDN_MUST_CHECK;
/* From bytes that nobody vouches for (copied). CDN_CORRUPT when they are not a head. */
enum cdn_status edge_head_parse(const void *bytes, size_t n, struct edge_head **ret,
                                struct cdn_error *err) CDN_MUST_CHECK;
void edge_head_destroy(struct edge_head *head);

const void *edge_head_bytes(const struct edge_head *head,
                            size_t *ret_n);          /* the block itself: write it as it is */
size_t edge_head_size(const struct edge_head *head); /* what it takes in memory */
unsigned edge_head_status(const struct edge_head *head);
unsigned edge_head_lines(const struct edge_head *head);

/* Walking: `at` starts as 0; false at the end. name.p and value.p are NUL-ended. */
struct edge_head_line {
    enum edge_head_field field;
    struct cdn_str name, value;
};
bool edge_head_next(const struct edge_head *head, size_t *at, struct edge_head_line *ret);
/* First line of a well-known field; p NULL when absent. */
struct cdn_str edge_head_get(const struct edge_head *head, enum edge_head_field f);
unsigned edge_head_count(const struct edge_head *head, enum edge_head_field f); /* lines of it */
/* Lines of one field in order: `at` starts as 0. */
bool edge_head_next_of(const struct edge_head *head, enum edge_head_field f, size_t *at,
                       struct cdn_str *ret_value);
bool edge_head_get_named(const struct edge_head *head, struct cdn_str name, struct cdn_str *ret_first);
/* All lines joined by ", ", appended; false when absent. */
bool edge_head_join(const struct edge_head *head, enum edge_head_field f, struct cdn_buf *into);
bool edge_head_join_named(const struct edge_head *head, struct cdn_str name, struct cdn_buf *into);

/* A new head: `head` with the fields of a newer answer put in place of the old lines of the same names (RFC
 * 9111 3.2): after a 304, a HEAD with 200, or a 206 that is combined (3.4). Left as stored: the status,
 * fields of the hop, and what is bound to the stored bytes: Content-Length, Content-Encoding, Content-Range,
 * and, where the old head has them, ETag, Content-MD5, Content-Digest, Repr-Digest and Digest. Age and
 * Warning do not outlive an update. */
enum cdn_status edge_head_update(const struct edge_head *head, const struct http_field *fields, size_t count,
                                 struct edge_head **ret, struct cdn_error *err) CDN_MUST_CHECK;
/* A new head with `status` and some fields put in place of, or (value.p NULL) taken out: e.g. a 206 turned
 * into the head of the whole object, or a compressed variant. */
enum cdn_status edge_head_with(const struct edge_head *head, unsigned status,
                               const struct http_field *changes, size_t count, struct edge_head **ret,
                               struct cdn_error *err) CDN_MUST_CHECK;

#endif
