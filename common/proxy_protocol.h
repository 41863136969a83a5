/* proxy_protocol: what a proxy says first on a connection that it relays: who the client is. Versions 1 (a
 * line of text) and 2 (binary) of HAProxy's PROXY protocol, https://www.haproxy.org/download/2.8/doc/
 * proxy-protocol.txt, whose sections are cited.
 *
 * Pure: bytes in, a verdict out, that depends on the bytes alone and not on how they were split. Whether the
 * sender may be believed is the caller's business.
 */
#ifndef CDN_COMMON_PROXY_PROTOCOL_H
#define CDN_COMMON_PROXY_PROTOCOL_H
#include "common/parse.h"

#include <stdbool.h>
#include <stddef.h>

#define PROXY_HEADER_MAX 4096u /* bytes of a header with all that it carries; v1 has at most 107 */
#define PROXY_WRITE_MAX 52u    /* what proxy_header_write() needs */

/* Why a connection's header was refused: words for logs, and for people. The last ones are for the caller,
 * who has the clock and the socket. */
#define PROXY_REFUSALS(X)                                                 \
    X(NO_HEADER, "no_header", "it does not begin with a header")          \
    X(LINE, "line", "the line of version 1 is malformed or too long")     \
    X(ADDRESS, "address", "an address is not one of the family named")    \
    X(PORT, "port", "a port is not a number from 0 to 65535")             \
    X(VERSION, "version", "the version is not 2")                         \
    X(COMMAND, "command", "the command is neither LOCAL nor PROXY")       \
    X(FAMILY, "family", "the address family or transport is not defined") \
    X(LENGTH, "length", "the length is too short or too large")           \
    X(TLV, "tlv", "a field (TLV) is malformed")                           \
    X(CHECKSUM, "checksum", "the checksum (CRC32C) is wrong")             \
    X(TIMEOUT, "timeout", "the header did not arrive in time")            \
    X(CLOSED, "closed", "the connection ended before the header did")

enum proxy_refusal {
    PROXY_FINE,
#define X(name, word, text) PROXY_REFUSE_##name,
    PROXY_REFUSALS(X)
#undef X
        PROXY_REFUSAL_COUNT
};
const char *proxy_refusal_word(enum proxy_refusal why);
const char *proxy_refusal_text(enum proxy_refusal why);

enum proxy_verdict {
    PROXY_MORE,   /* a header may have begun: look again when more has come */
    PROXY_HEADER, /* a whole one */
    PROXY_NONE,   /* the bytes are no header's beginning */
    PROXY_BAD     /* they are, and it is wrong */
};

struct proxy_header {
    unsigned version; /* 1, 2 */
    size_t length;    /* its bytes; those of the connection itself follow */
    /* The proxy speaks for itself (LOCAL), or does not know, or the client came by something else than TCP
     * over IP: then the connection's own addresses count, and these are unset. */
    bool local;
    bool secure;                         /* version 2 says that the client came over TLS (PP2_TYPE_SSL) */
    struct cdn_addr source, destination; /* ::ffff:a.b.c.d is a.b.c.d */
};

/* bytes[0..n): the connection's first, at most PROXY_HEADER_MAX of them are looked at. *ret is set by
 * PROXY_HEADER, *ret_why by PROXY_NONE and PROXY_BAD. */
enum proxy_verdict proxy_header_read(const char *bytes, size_t n, struct proxy_header *ret,
                                     enum proxy_refusal *ret_why);

/* A header of version 2; returns its length. Addresses of two families are written as IPv6. `source` NULL:
 * LOCAL. */
size_t proxy_header_write(const struct cdn_addr *source, const struct cdn_addr *destination,
                          char into[static PROXY_WRITE_MAX]);

#endif
