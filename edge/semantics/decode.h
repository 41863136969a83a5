/* decode: the plain form of a coded body (RFC 9110 8.4), for looking at it. What is stored and sent
 * stays coded.
 *
 * In one go, so that a thread has no more than one decoder's window (16 MiB at most, of Brotli) at a time,
 * and only so many bytes: a few kilobytes may claim to be gigabytes. Pure.
 */
#ifndef CDN_EDGE_DECODE_H
#define CDN_EDGE_DECODE_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define EDGE_DECODE_MAX ((size_t)4 << 20) /* plain bytes */

/* Hands the plain bytes over in pieces. False: `coding` (the value of Content-Encoding) is not gzip, br
 * or zstd, the body is damaged, cut off or followed by something else, or it is larger than EDGE_DECODE_MAX.
 * Pieces may have been handed over then. */
bool edge_decode(struct cdn_str coding, struct cdn_str body, void (*take)(void *arg, struct cdn_str piece),
                 void *arg);

#endif
