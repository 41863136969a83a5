/* parse: text to values, exactly: no trailing rubbish, no silent overflow, no locale.
 *
 * All take a slice, leave `*ret` untouched on failure and return false; the caller says what was being read.
 */
#ifndef CDN_COMMON_PARSE_H
#define CDN_COMMON_PARSE_H
#include "common/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

bool cdn_parse_u64(struct cdn_str s, uint64_t *ret);  /* decimal digits only */
bool cdn_parse_i64(struct cdn_str s, int64_t *ret);   /* with an optional sign */
bool cdn_parse_real(struct cdn_str s, double *ret);   /* finite, '.' as the decimal point */
bool cdn_parse_bool(struct cdn_str s, bool *ret);     /* yes/no, true/false, on/off, 1/0 */
bool cdn_parse_size(struct cdn_str s, uint64_t *ret); /* 512, 64KiB, 10 GiB, 5MB (=5e6), 1.5GiB */
bool cdn_parse_duration_ms(struct cdn_str s,
                           int64_t *ret); /* 500ms, 30s, 5m, 1h, 7d, 1h30m; bare number = s */
void cdn_format_size(uint64_t bytes, char out[static 24]); /* exact when it reads back equal: "64KiB" */
void cdn_format_duration_ms(int64_t ms, char out[static 24]);

/* Internet addresses. A cdn_addr is a sockaddr big enough for both families. */
struct cdn_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        uint64_t _whole[4]; /* whole registers: no part of it is copied in two pieces */
    };
};
#define CDN_ADDR_TEXT_SIZE 64 /* "[2001:db8::1]:65535" and a NUL */

bool cdn_parse_ip(struct cdn_str s,
                  struct cdn_addr *ret); /* without port; ::ffff:a.b.c.d becomes v4; zone refused */
/* HOST:PORT, [V6]:PORT; HOST an address or `localhost`; port 0 to 65535 (0 lets the kernel choose). */
bool cdn_parse_host_port(struct cdn_str s, struct cdn_addr *ret);
struct cdn_cidr {
    struct cdn_addr addr; /* host bits zero */
    unsigned prefix;      /* 0-32 or 0-128 */
};
/* A bare address is a full-length prefix. Set host bits (10.0.0.1/8) are refused. */
bool cdn_parse_cidr(struct cdn_str s, struct cdn_cidr *ret);
bool cdn_cidr_has(const struct cdn_cidr *c, const struct cdn_addr *a);
int cdn_hex_digit(char c); /* 0 to 15, in either case; -1: none */
/* Raw address bytes (4 or 16). */
const unsigned char *cdn_addr_bytes(const struct cdn_addr *a, size_t *ret_n);
bool cdn_addr_is_loopback(const struct cdn_addr *a);
void cdn_addr_unmap(struct cdn_addr *a); /* ::ffff:a.b.c.d in place to a.b.c.d */
void cdn_addr_format_ip(const struct cdn_addr *a, char out[static CDN_ADDR_TEXT_SIZE]);
void cdn_addr_format(const struct cdn_addr *a, char out[static CDN_ADDR_TEXT_SIZE]); /* with port */
unsigned cdn_addr_port(const struct cdn_addr *a);
void cdn_addr_set_port(struct cdn_addr *a, unsigned port);
socklen_t cdn_addr_len(const struct cdn_addr *a);

#endif
