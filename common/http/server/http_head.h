/* http_head: the fields of an answer, handed to libmicrohttpd as one.
 *
 * libmicrohttpd keeps each field as a list node with two strings: twelve fields are 36 allocations when an
 * answer is made, and as many cold cache lines when it is sent. A sealed head is one node: its name is that
 * of the first field, its value that field's value, CRLF, "Name: value", CRLF and so on, which libmicrohttpd
 * copies to the connection as it is. It refuses line ends in a value, so it is given a value of the same
 * length without any, and its own copy, to which MHD_get_response_header() points, is written over. That it
 * is a copy and is sent byte by byte is what this relies on (true for all releases of 0.9 and 1.0), and what
 * http_mhd_text.h tries first; elsewhere the fields are added one by one instead.
 *
 * Date comes first, because libmicrohttpd adds one where it finds none. Connection, Content-Length and
 * Transfer-Encoding are the server's own and left out. Only this file writes line ends into a head: a name
 * that is not a token, and a value with control characters, are left out, too (response splitting).
 *
 * Life cycle: zeroed -> (add ... -> seal) any number of times -> free. A sealed response must get no further
 * fields by other means, and is read and renewed on the thread that answers with it only.
 */
#ifndef CDN_COMMON_HTTP_HEAD_H
#define CDN_COMMON_HTTP_HEAD_H
#include "common/str.h"

#include <microhttpd.h>
#include <stdbool.h>

struct http_head {
    struct cdn_buf date;  /* value; empty: none */
    struct cdn_buf lines; /* of the others, each with CRLF */
    struct cdn_buf blank; /* grows to the longest head so far */
};

/* Several lines of a name stay several, but for Date, of which the last counts. */
void http_head_add(struct http_head *head, struct cdn_str name, struct cdn_str value);
/* Moves the fields into `response`; the head is empty again and keeps its memory. */
void http_head_seal(struct http_head *head, struct MHD_Response *response);
void http_head_free(struct http_head *head);

/* Every field of a response in order, sealed or not; stops when fn returns false. The slices are good until
 * the response is changed. */
void http_head_each(struct MHD_Response *response,
                    bool (*fn)(void *arg, struct cdn_str name, struct cdn_str value), void *arg);
/* First line of that name; p NULL when absent. */
struct cdn_str http_head_find(struct MHD_Response *response, struct cdn_str name);
/* A new value for the first line of that name, if there is one. With the old one's length it is written in
 * place; otherwise the fields are sealed anew, and true is returned: slices of them are void. */
bool http_head_renew(struct MHD_Response *response, struct cdn_str name, struct cdn_str value);

#endif
