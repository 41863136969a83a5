/* http_structured: Structured Field Values (RFC 8941): a strict reader of dictionaries and lists, and the
 * writing of items.
 *
 * A reader walks the dictionary in place: no tree, no allocation. Strictness is the point: RFC 9213 wants
 * the whole field ignored when any of it is invalid, so check the whole with
 * http_structured_valid_dictionary() first. */
#ifndef CDN_COMMON_HTTP_STRUCTURED_H
#define CDN_COMMON_HTTP_STRUCTURED_H
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

enum http_structured_type {
    HTTP_SF_INTEGER,
    HTTP_SF_DECIMAL, /* thousandths in `integer` */
    HTTP_SF_STRING,  /* `text`: inside of the quotes, escapes still in */
    HTTP_SF_TOKEN,
    HTTP_SF_BYTES,     /* `text`: the base64 */
    HTTP_SF_BOOLEAN,   /* 0 or 1 in `integer` */
    HTTP_SF_INNER_LIST /* `text`: between the parentheses */
};
struct http_structured_value {
    enum http_structured_type type;
    int64_t integer;
    struct cdn_str text;
    struct cdn_str parameters; /* ";a=1;b" as sent */
};

/* Steps through a dictionary: 1 a member, 0 the end, -1 invalid. Start with *rest = the joined value. A key
 * may come twice: the last counts (RFC 8941 4.2.2). */
int http_structured_dictionary_next(struct cdn_str *rest, struct cdn_str *ret_key,
                                    struct http_structured_value *ret);
/* The same for what is between the parentheses of an inner list. */
int http_structured_inner_next(struct cdn_str *rest, struct http_structured_value *ret);
bool http_structured_valid_dictionary(struct cdn_str value);
/* The same for a list (RFC 8941 3.1). */
int http_structured_list_next(struct cdn_str *rest, struct http_structured_value *ret);
/* The member `key` of a dictionary that is valid as a whole; false
 * when it is absent or anything is invalid. */
bool http_structured_find(struct cdn_str value, struct cdn_str key, struct http_structured_value *ret);
/* One bare item with its parameters; false when there is more or less. */
bool http_structured_item(struct cdn_str value, struct http_structured_value *ret);
/* Steps through parameters: 1, 0 the end, -1 invalid. A parameter without a value is the boolean true. */
int http_structured_parameter_next(struct cdn_str *rest, struct cdn_str *ret_key,
                                   struct http_structured_value *ret);

bool http_structured_is_token(struct cdn_str s);
bool http_structured_is_key(struct cdn_str s);
/* Appends as a token where the text is one, else as a string (bytes that a string cannot hold become '?'). */
void http_structured_add_text(struct cdn_buf *b, struct cdn_str text);
void http_structured_add_string(struct cdn_buf *b, struct cdn_str text);

#endif
