/* http_frame: where a request begins and ends, on the raw bytes, before libmicrohttpd sees them.
 *
 * libmicrohttpd 0.9.75 takes a bare LF for a line's end wherever one may stand, also in chunk lines, where
 * RFC 9112 7.1 knows CRLF only; what another parser takes for data is then a request of its own. And what it
 * refuses itself it answers with HTML, sometimes with two heads. So each byte passes here first: heads are
 * handed on whole, chunk lines and trailers are judged byte by byte, and what does not fit the grammar is
 * refused. What can only be wrong inside a line (the target, a field's name or value) is left to
 * http_request.c, which reads the head once more.
 *
 * Pure: bytes in, a verdict out; any split of the same bytes gives the same verdict. Two things are changed
 * in the bytes: white space after the value of a framing field goes before it (libmicrohttpd does not trim
 * there), and Cookie is hidden under another name until http_request.c has its fields (libmicrohttpd would
 * take it to pieces, with a node for each, which nobody asks for).
 */
#ifndef CDN_COMMON_HTTP_FRAME_H
#define CDN_COMMON_HTTP_FRAME_H
#include "common/http/syntax/http_server_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX (64u * 1024) /* bytes of a request's head */
#define HTTP_HEAD_LINES 256u       /* of fields */
#define HTTP_CHUNK_LINE_MAX 1024u  /* bytes: size and extensions */
#define HTTP_EXTENSIONS_MAX 16384u /* bytes of all extensions of a body */
#define HTTP_TRAILERS_MAX 4096u    /* bytes */
#define HTTP_COOKIE_HIDDEN '\x7f'  /* instead of the name's last byte: no token has it */

/* Behind a head without a body that asks for WebSocket nothing is judged until http_frame_go_on(): those
 * bytes may be the tunnel's. */
struct http_frame { /* zeroed: a request is to come */
    uint8_t state;
    uint8_t digits; /* of the chunk's size so far */
    uint8_t blank;  /* empty lines before the request line */
    bool http10;
    bool upgrades;       /* the owner's: requests for WebSocket may be granted */
    bool asks_upgrade;   /* this head asks for it */
    bool waits;          /* such a head was handed on: what follows is not HTTP, or comes after its answer */
    uint16_t lines;      /* of the head, with the request line; of the trailers */
    uint16_t most_lines; /* of a head since the caller last set it to 0 */
    uint16_t length_lines, coding_lines;
    uint32_t scanned;          /* bytes of the head: whole lines */
    uint32_t length, length_n; /* value of the first Content-Length, from the head's start */
    uint32_t coding, coding_n;
    uint32_t line;       /* bytes of this chunk line, or of the trailers */
    uint32_t extensions; /* bytes of all of the body's */
    uint64_t left;       /* of the body or the chunk */
    uint64_t body;       /* bytes seen after the head, framing included */
};

/* p[0..n): what has come since the last request's end, or of its body. *ret_ready says how many bytes may be
 * handed on; the rest is an incomplete head, to be offered again with more after it. With a refusal it is
 * the end of the last complete request before the bad one. */
enum http_refusal http_frame_feed(struct http_frame *f, char *p, size_t n, size_t *ret_ready);

/* The answer was no upgrade: the next request may come. */
void http_frame_go_on(struct http_frame *f);

/* In the body of a request whose head was handed on. */
bool http_frame_in_body(const struct http_frame *f);

#endif
