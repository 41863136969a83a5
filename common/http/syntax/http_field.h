/* http_field: the small grammars that HTTP's fields are made of (RFC 9110 5.6) and the fields of a proxy's
 * own work.
 *
 * Everything takes slices and borrows; nothing allocates but what takes a cdn_buf. A field sent on several
 * lines is either walked line by line or joined by ", " first (RFC 9110 5.3): the results are the same.
 */
#ifndef CDN_COMMON_HTTP_FIELD_H
#define CDN_COMMON_HTTP_FIELD_H
#include "common/http/syntax/http_message.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool http_is_token(struct cdn_str s);       /* RFC 9110 5.6.2; not empty */
bool http_is_field_value(struct cdn_str s); /* no control bytes but tab (RFC 9110 5.5) */

/* Next element of a comma-separated list, trimmed; commas within quoted strings do not count; empty elements
 * are skipped (RFC 9110 5.6.1.2). false at the end. Start with *rest = the value. */
bool http_list_next(struct cdn_str *rest, struct cdn_str *ret_element);
/* As above, split at `sep` (';' for parameters); empty elements are skipped. */
bool http_split_next(struct cdn_str *rest, char sep, struct cdn_str *ret_element);
bool http_list_has_token(struct cdn_str list, struct cdn_str token); /* letter case does not matter */

/* Cuts "name=value" at the first '=' outside quotes. *ret_value.p
 * is NULL when there is no '='. Not trimmed. */
void http_parameter_split(struct cdn_str element, struct cdn_str *ret_name, struct cdn_str *ret_value);
/* Content of a quoted-string, with its escapes still in; false when `s` is not exactly one quoted-string. */
bool http_quoted_inner(struct cdn_str s, struct cdn_str *ret_inner);
/* Token or quoted-string with escapes undone, into `out`; false when neither or too long. */
bool http_unquote(struct cdn_str s, char *out, size_t size, size_t *ret_n);
void http_add_quoted(struct cdn_buf *b, struct cdn_str s); /* as a quoted-string */

/* delta-seconds (RFC 9111 1.2.2): digits only; more than 2^31 - 1 becomes that. */
#define HTTP_SECONDS_MAX INT64_C(2147483647)
bool http_parse_seconds(struct cdn_str s, int64_t *ret_s);

/* Fields of one hop (RFC 9110 7.6.1): never stored, never forwarded. `connection` is the joined Connection
 * field (empty when absent); the fields it names belong to the hop too. */
bool http_is_hop_by_hop(struct cdn_str name, struct cdn_str connection);
/* Header field names that a message may not list in Connection to have them dropped: those that hold the
 * cache up (Cache-Control, Date, Age, Expires, ETag, Vary, Host, Content-*): a peer could otherwise strip
 * them. */
bool http_is_protected_field(struct cdn_str name);

/* All lines of `name` among `fields`: the first value, and how many lines there are. */
size_t http_fields_find(const struct http_field *fields, size_t count, struct cdn_str name,
                        struct cdn_str *ret_first);
/* Joined by ", " (appended); false when absent. */
bool http_fields_join(const struct http_field *fields, size_t count, struct cdn_str name,
                      struct cdn_buf *into);

/* ETags (RFC 9110 8.8.3). `value` is the opaque tag with its quotes. */
struct http_etag {
    struct cdn_str value;
    bool weak;
};
bool http_etag_parse(struct cdn_str s, struct http_etag *ret);
bool http_etag_match_strong(const struct http_etag *a, const struct http_etag *b);
bool http_etag_match_weak(const struct http_etag *a, const struct http_etag *b);
/* Next ETag of an If-Match/If-None-Match value; elements that are no ETag are skipped. Commas inside tags are
 * part of them. */
bool http_etag_next(struct cdn_str *rest, struct http_etag *ret);
/* Does the list (or "*") hold a match? `tag` NULL: only "*" matches. */
bool http_etag_list_match(struct cdn_str list, const struct http_etag *tag, bool strong);

/* "type/subtype" of a Content-Type, parameters left out; empty when malformed. */
struct cdn_str http_media_type(struct cdn_str content_type);
/* Pattern "text/css", "text/" followed by a star, or a lone star. Letter case does not matter. */
bool http_media_type_match(struct cdn_str content_type, struct cdn_str pattern);

bool http_max_forwards_parse(struct cdn_str s, uint32_t *ret); /* RFC 9110 7.6.2; digits only, saturating */

/* CDN-Loop (RFC 8586): is `id` among the cdn-ids of the joined value? Parameters are ignored. */
bool http_cdn_loop_has(struct cdn_str value, struct cdn_str id);
/* The value to send on: `value` (may be empty) and our id. */
void http_cdn_loop_append(struct cdn_buf *b, struct cdn_str value, struct cdn_str id);
/* Via (RFC 9110 7.6.3): `value` (may be empty) and "1.1 name". version as 10, 11, 20. */
void http_via_append(struct cdn_buf *b, struct cdn_str value, unsigned version, struct cdn_str name);

#endif
