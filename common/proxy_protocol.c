/* proxy_protocol: read anew from the first byte whenever more has come, so that there is no state
 * that a split could disturb; a header is short, and all but its length is looked at once, when it
 * is whole. */
#include "common/proxy_protocol.h"

#include "common/parse.h"
#include "common/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define LINE_MAX_BYTES 107u /* 2.1, with CRLF */
#define FIXED_BYTES 16u     /* of version 2, before the addresses */
#define INET_BYTES 12u
#define INET6_BYTES 36u
#define UNIX_BYTES 216u
#define TLV_BYTES 3u /* type and length */
#define TLV_CRC32C 0x03
#define TLV_SSL 0x20
#define SSL_BYTES 5u /* what comes of it, the check of the certificate; then fields of its own */
#define SSL_USED 0x01
#define CRC_BYTES 4u

static const char line_start[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const char signature[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

const char *proxy_refusal_word(enum proxy_refusal why)
{
    static const char *const words[] = {"fine",
#define X(name, word, text) word,
                                        PROXY_REFUSALS(X)
#undef X
    };
    return words[why];
}

const char *proxy_refusal_text(enum proxy_refusal why)
{
    static const char *const texts[] = {"it is fine",
#define X(name, word, text) text,
                                        PROXY_REFUSALS(X)
#undef X
    };
    return texts[why];
}

static enum proxy_verdict bad(enum proxy_refusal why, enum proxy_refusal *ret_why)
{
    *ret_why = why;
    return PROXY_BAD;
}

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443" CRLF ---- */

static bool read_address(struct cdn_str text, bool six, struct cdn_addr *ret)
{
    return (cdn_str_find(text, ':') >= 0) == six && cdn_parse_ip(text, ret);
}

static bool read_port(struct cdn_str text, struct cdn_addr *ret)
{
    uint64_t port;
    if ((text.n > 1 && text.p[0] == '0') || !cdn_parse_u64(text, &port) || port > UINT16_MAX) {
        return false;
    }
    cdn_addr_set_port(ret, (unsigned)port);
    return true;
}

static enum proxy_verdict read_ends(struct cdn_str rest, bool six, struct proxy_header *ret,
                                    enum proxy_refusal *ret_why)
{
    const struct cdn_str source = cdn_str_cut(&rest, ' ');
    const struct cdn_str destination = cdn_str_cut(&rest, ' ');
    if (!read_address(source, six, &ret->source) || !read_address(destination, six, &ret->destination)) {
        return bad(PROXY_REFUSE_ADDRESS, ret_why);
    }
    const struct cdn_str source_port = cdn_str_cut(&rest, ' ');
    if (!rest.p || !read_port(source_port, &ret->source) || !read_port(rest, &ret->destination)) {
        return bad(PROXY_REFUSE_PORT, ret_why);
    }
    return PROXY_HEADER;
}

/* 2.1: what follows UNKNOWN is to be ignored up to the line's end. */
static enum proxy_verdict read_line(struct cdn_str line, struct proxy_header *ret,
                                    enum proxy_refusal *ret_why)
{
    struct cdn_str rest = line;
    const struct cdn_str protocol = cdn_str_cut(&rest, ' ');
    if (cdn_str_eq(protocol, CDN_STR("UNKNOWN"))) {
        ret->local = true;
        return PROXY_HEADER;
    }
    const bool six = cdn_str_eq(protocol, CDN_STR("TCP6"));
    if (!rest.p || (!six && !cdn_str_eq(protocol, CDN_STR("TCP4")))) {
        return bad(PROXY_REFUSE_LINE, ret_why);
    }
    return read_ends(rest, six, ret, ret_why);
}

static enum proxy_verdict read_v1(const char *bytes, size_t n, struct proxy_header *ret,
                                  enum proxy_refusal *ret_why)
{
    const size_t most = n < LINE_MAX_BYTES ? n : LINE_MAX_BYTES;
    const char *end = memchr(bytes, '\n', most);
    if (!end) {
        return n < LINE_MAX_BYTES ? PROXY_MORE : bad(PROXY_REFUSE_LINE, ret_why);
    }
    if (end[-1] != '\r') {
        return bad(PROXY_REFUSE_LINE, ret_why);
    }
    struct proxy_header h = {.version = 1, .length = (size_t)(end - bytes) + 1};
    const struct cdn_str line = {bytes + sizeof(line_start), h.length - 2 - sizeof(line_start)};
    const enum proxy_verdict verdict = read_line(line, &h, ret_why);
    if (verdict == PROXY_HEADER) {
        *ret = h;
    }
    return verdict;
}

/* ---- version 2: signature, version and command, family and transport, length; addresses, fields ---- */

static size_t number16(const unsigned char *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* RFC 4960 appendix B, reflected, bit by bit: a header is short. */
static uint32_t crc32c(uint32_t crc, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
        }
    }
    return crc;
}

/* 2.2.3: over the whole header, the checksum's own four bytes taken for zero. */
static bool is_checksum_right(const unsigned char *header, size_t n, size_t at)
{
    static const unsigned char zeros[CRC_BYTES];
    uint32_t crc = crc32c(UINT32_MAX, header, at);
    crc = crc32c(crc, zeros, CRC_BYTES);
    crc = ~crc32c(crc, header + at + CRC_BYTES, n - at - CRC_BYTES);
    const uint32_t said = (uint32_t)number16(header + at) << 16 | (uint32_t)number16(header + at + 2);
    return crc == said;
}

static enum proxy_refusal read_fields(const unsigned char *header, size_t n, size_t at, bool *ret_secure)
{
    size_t checksum = 0;
    while (at < n) {
        if (n - at < TLV_BYTES || number16(header + at + 1) > n - at - TLV_BYTES) {
            return PROXY_REFUSE_TLV;
        }
        const size_t length = number16(header + at + 1);
        if (header[at] == TLV_CRC32C) {
            if (checksum || length != CRC_BYTES) {
                return PROXY_REFUSE_TLV;
            }
            checksum = at + TLV_BYTES;
        } else if (header[at] == TLV_SSL) {
            if (length < SSL_BYTES) {
                return PROXY_REFUSE_TLV;
            }
            *ret_secure = header[at + TLV_BYTES] & SSL_USED;
        }
        at += TLV_BYTES + length;
    }
    return !checksum || is_checksum_right(header, n, checksum) ? PROXY_FINE : PROXY_REFUSE_CHECKSUM;
}

static void take_ends(const unsigned char *p, bool six, struct proxy_header *ret)
{
    struct cdn_addr *end[] = {&ret->source, &ret->destination};
    const size_t size = six ? sizeof(struct in6_addr) : sizeof(struct in_addr);
    for (size_t i = 0; i < 2; i++) {
        if (six) {
            end[i]->v6.sin6_family = AF_INET6;
            memcpy(&end[i]->v6.sin6_addr, p + i * size, size);
            cdn_addr_unmap(end[i]);
        } else {
            end[i]->v4.sin_family = AF_INET;
            memcpy(&end[i]->v4.sin_addr, p + i * size, size);
        }
        cdn_addr_set_port(end[i], (unsigned)number16(p + 2 * size + 2 * i));
    }
}

/* 2.2: family in the high half, transport in the low one. Addresses of a datagram or of a unix socket are
 * skipped, as those of a family that is not told, whose block need not be fields at all. */
static enum proxy_refusal read_family(const unsigned char *header, struct proxy_header *ret)
{
    static const size_t address_bytes[] = {0, INET_BYTES, INET6_BYTES, UNIX_BYTES};
    const unsigned family = header[13] >> 4;
    const unsigned transport = header[13] & 0x0f;
    if (family > 3 || transport > 2) {
        return PROXY_REFUSE_FAMILY;
    }
    if (ret->length - FIXED_BYTES < address_bytes[family]) {
        return PROXY_REFUSE_LENGTH;
    }
    ret->local = family == 0 || family == 3 || transport != 1;
    if (!ret->local) {
        take_ends(header + FIXED_BYTES, family == 2, ret);
    }
    bool secure = false;
    const enum proxy_refusal why =
        read_fields(header, ret->length, FIXED_BYTES + address_bytes[family], &secure);
    ret->secure = secure && !ret->local;
    return family == 0 && why == PROXY_REFUSE_TLV ? PROXY_FINE : why;
}

static enum proxy_verdict read_v2(const unsigned char *header, size_t n, struct proxy_header *ret,
                                  enum proxy_refusal *ret_why)
{
    if (n > 12 && header[12] >> 4 != 2) {
        return bad(PROXY_REFUSE_VERSION, ret_why);
    }
    if (n > 12 && (header[12] & 0x0f) > 1) {
        return bad(PROXY_REFUSE_COMMAND, ret_why);
    }
    if (n < FIXED_BYTES) {
        return PROXY_MORE;
    }
    struct proxy_header h = {.version = 2, .length = FIXED_BYTES + number16(header + 14)};
    if (h.length > PROXY_HEADER_MAX) {
        return bad(PROXY_REFUSE_LENGTH, ret_why);
    }
    if (n < h.length) {
        return PROXY_MORE;
    }
    h.local = (header[12] & 0x0f) == 0; /* then all that follows is to be ignored */
    const enum proxy_refusal why = h.local ? PROXY_FINE : read_family(header, &h);
    if (why) {
        return bad(why, ret_why);
    }
    *ret = h;
    return PROXY_HEADER;
}

static bool begins(const char *bytes, size_t n, const char *start, size_t start_n)
{
    return memcmp(bytes, start, n < start_n ? n : start_n) == 0;
}

enum proxy_verdict proxy_header_read(const char *bytes, size_t n, struct proxy_header *ret,
                                     enum proxy_refusal *ret_why)
{
    if (n && begins(bytes, n, line_start, sizeof(line_start))) {
        return n < sizeof(line_start) ? PROXY_MORE : read_v1(bytes, n, ret, ret_why);
    }
    if (n && begins(bytes, n, signature, sizeof(signature))) {
        return n < sizeof(signature) ? PROXY_MORE : read_v2((const unsigned char *)bytes, n, ret, ret_why);
    }
    if (!n) {
        return PROXY_MORE;
    }
    *ret_why = PROXY_REFUSE_NO_HEADER;
    return PROXY_NONE;
}

/* ---- writing ---- */

static size_t put_address(const struct cdn_addr *a, bool six, unsigned char *into)
{
    size_t n;
    const unsigned char *bytes = cdn_addr_bytes(a, &n);
    if (!six || n == sizeof(struct in6_addr)) {
        memcpy(into, bytes, n);
        return n;
    }
    memset(into, 0, 10);
    memset(into + 10, 0xff, 2);
    memcpy(into + 12, bytes, n);
    return sizeof(struct in6_addr);
}

size_t proxy_header_write(const struct cdn_addr *source, const struct cdn_addr *destination,
                          char into[static PROXY_WRITE_MAX])
{
    unsigned char *header = (unsigned char *)into;
    memcpy(header, signature, sizeof(signature));
    memset(header + sizeof(signature), 0, FIXED_BYTES - sizeof(signature));
    header[12] = 0x20;
    if (!source) {
        return FIXED_BYTES;
    }
    const bool six = source->sa.sa_family == AF_INET6 || destination->sa.sa_family == AF_INET6;
    header[12] |= 1;
    header[13] = six ? 0x21 : 0x11;
    header[15] = six ? INET6_BYTES : INET_BYTES;
    size_t at = FIXED_BYTES;
    at += put_address(source, six, header + at);
    at += put_address(destination, six, header + at);
    for (int i = 0; i < 2; i++) {
        const unsigned port = cdn_addr_port(i ? destination : source);
        header[at++] = (unsigned char)(port >> 8);
        header[at++] = (unsigned char)port;
    }
    return at;
}
