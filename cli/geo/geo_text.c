/* geo_text: an address, network or range as people write them, with a sentence for each way to
 * write them wrongly: inet_pton(3) says only that it is none. */
#include "cli/geo/geo_text.h"

#include "common/mem.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/banned.h"

/* ---- why not ---- */

static bool is_dotted(struct cdn_str text)
{
    bool dots = false;
    for (size_t i = 0; i < text.n; i++) {
        if (!isdigit((unsigned char)text.p[i]) && text.p[i] != '.') {
            return false;
        }
        dots = dots || text.p[i] == '.';
    }
    return dots;
}

static bool has_leading_zero(struct cdn_str text)
{
    while (text.p && text.n) {
        struct cdn_str number = cdn_str_cut(&text, '.');
        if (number.n > 1 && number.p[0] == '0') {
            return true;
        }
    }
    return false;
}

static const char *why_not(struct cdn_str text)
{
    uint64_t number;
    if (cdn_str_find(text, '%') >= 0) {
        return "has a zone, which means something on one machine only";
    }
    if (cdn_str_find(text, '/') > 0) {
        return "is not a network: the prefix is no number in range, or no address stands before it";
    }
    if (text.n > 1 && text.p[0] == '0' && (text.p[1] == 'x' || text.p[1] == 'X')) {
        return "is not an IP address: hexadecimal forms are not read; write four decimal numbers";
    }
    if (is_dotted(text) && has_leading_zero(text)) {
        return "is not an IP address: a number with a leading zero is decimal to some and octal to others";
    }
    if (is_dotted(text) || cdn_parse_u64(text, &number)) {
        return "is not an IP address: four numbers of 0 to 255 are needed";
    }
    for (size_t i = 0; i < text.n; i++) {
        if (isspace((unsigned char)text.p[i]) || text.p[i] == ',') {
            return "is not an IP address or network; --log finds the addresses in lines";
        }
    }
    return "is not an IP address or network";
}

/* ---- reading ---- */

static const char *const marks[] = {
    "\"",           "'",        "`",        "\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e", "\xe2\x80\x98",
    "\xe2\x80\x99", "\xc2\xab", "\xc2\xbb", "\xef\xbb\xbf", "\xc2\xa0"};

/* Without quotes around it, and a comma or semicolon after it. */
static struct cdn_str bare(struct cdn_str text)
{
    for (bool more = true; more;) {
        more = false;
        text = cdn_str_trim(text);
        while (text.n > 0 && (text.p[text.n - 1] == ',' || text.p[text.n - 1] == ';')) {
            text.n--;
        }
        for (size_t i = 0; i < CDN_ARRAY_LEN(marks); i++) {
            struct cdn_str mark = cdn_str(marks[i]);
            if (text.n >= mark.n && memcmp(text.p, mark.p, mark.n) == 0) {
                text = cdn_str_sub(text, mark.n);
                more = true;
            }
            if (text.n >= mark.n && memcmp(text.p + text.n - mark.n, mark.p, mark.n) == 0) {
                text.n -= mark.n;
                more = true;
            }
        }
    }
    return text;
}

static bool read_address(struct cdn_str text, struct cdn_addr *ret)
{
    if (cdn_parse_ip(text, ret)) {
        return true;
    }
    uint64_t port;
    struct cdn_str rest = text, host;
    bool is_bracketed = text.n > 2 && text.p[0] == '[';
    if (is_bracketed) {
        rest = cdn_str_sub(text, 1);
        host = cdn_str_cut(&rest, ']');
        if (!rest.p || (rest.n > 0 && rest.p[0] != ':')) {
            return false;
        }
        rest = rest.n > 0 ? cdn_str_sub(rest, 1) : (struct cdn_str){0};
    } else {
        host = cdn_str_cut(&rest, ':');
        if (!rest.p) {
            return false;
        }
    }
    if (rest.p && (rest.n > 5 || !cdn_parse_u64(rest, &port) || port > 65535)) {
        return false;
    }
    return cdn_parse_ip(host, ret);
}

/* `from` with all bits after the prefix set to `bit`. */
static struct cdn_addr fill(struct cdn_addr from, unsigned prefix, bool bit)
{
    bool is_v4 = from.sa.sa_family == AF_INET;
    unsigned char *bytes = is_v4 ? (unsigned char *)&from.v4.sin_addr : from.v6.sin6_addr.s6_addr;
    for (unsigned i = 0; i < (is_v4 ? 4 : 16); i++) {
        unsigned keep = prefix > 8 * i ? prefix - 8 * i : 0;
        unsigned mask = keep < 8 ? 0xffu >> keep : 0;
        bytes[i] = (unsigned char)(bit ? bytes[i] | mask : bytes[i] & ~mask);
    }
    return from;
}

int geo_text_compare(const struct cdn_addr *a, const struct cdn_addr *b)
{
    size_t n;
    const unsigned char *left = cdn_addr_bytes(a, &n);
    return memcmp(left, cdn_addr_bytes(b, &n), n);
}

static bool read_network(struct cdn_str text, struct geo_span *ret)
{
    uint64_t prefix;
    struct cdn_addr address;
    struct cdn_str rest = text, host = cdn_str_cut(&rest, '/');
    if (!rest.p || !cdn_parse_ip(host, &address) || !cdn_parse_u64(rest, &prefix)) {
        return false;
    }
    if (address.sa.sa_family == AF_INET && cdn_str_find(host, ':') >= 0) {
        if (prefix < 96) { /* ::ffff:a.b.c.d counts from the front of 128 bits */
            return false;
        }
        prefix -= 96;
    }
    if (prefix > (address.sa.sa_family == AF_INET ? 32 : 128)) {
        return false;
    }
    *ret = (struct geo_span){.first = fill(address, (unsigned)prefix, false),
                             .last = fill(address, (unsigned)prefix, true)};
    ret->has_host_bits = geo_text_compare(&ret->first, &address) != 0;
    return true;
}

static bool read_range(struct cdn_str text, struct geo_span *ret, const char **ret_why)
{
    struct cdn_str rest = text, first = cdn_str_trim(cdn_str_cut(&rest, '-'));
    if (!rest.p) {
        return false;
    }
    ret->has_host_bits = false;
    if (!read_address(first, &ret->first) || !read_address(cdn_str_trim(rest), &ret->last)) {
        return false;
    }
    if (ret->first.sa.sa_family != ret->last.sa.sa_family) {
        *ret_why = "is a range from one address family to the other";
    } else if (geo_text_compare(&ret->first, &ret->last) > 0) {
        *ret_why = "is a range that ends before it begins";
    }
    return !*ret_why;
}

bool geo_text_read(struct cdn_str text, struct geo_span *ret, const char **ret_why)
{
    *ret_why = NULL;
    text = bare(text);
    if (read_address(text, &ret->first)) {
        ret->last = ret->first;
        ret->has_host_bits = false;
        return true;
    }
    if (read_network(text, ret) || read_range(text, ret, ret_why)) {
        return true;
    }
    if (!*ret_why) {
        *ret_why = why_not(text);
    }
    return false;
}

bool geo_text_step_over(struct cdn_addr *a, unsigned prefix)
{
    size_t n = a->sa.sa_family == AF_INET ? 4 : 16;
    unsigned char *bytes =
        a->sa.sa_family == AF_INET ? (unsigned char *)&a->v4.sin_addr : a->v6.sin6_addr.s6_addr;
    if (prefix == 0) {
        return false;
    }
    size_t at = (prefix - 1) / 8;
    for (size_t i = at + 1; i < n; i++) {
        bytes[i] = 0;
    }
    unsigned add = 1u << (7 - (prefix - 1) % 8), carry = (bytes[at] & ~(add - 1) & 0xffu) + add;
    bytes[at] = (unsigned char)carry;
    while (carry > 0xff && at > 0) {
        carry = bytes[--at] + 1u;
        bytes[at] = (unsigned char)carry;
    }
    return carry <= 0xff;
}

const char *geo_text_file_hint(struct cdn_str text, bool reads_log)
{
    char path[4096];
    struct stat st;
    if (!cdn_str_copy(path, sizeof(path), text) || stat(path, &st) != 0) {
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        return "is a folder, not an address";
    }
    if (cdn_str_ends(text, CDN_STR(".mmdb"))) {
        return "is a database, not an address: --db FILE";
    }
    return reads_log
               ? "is a file, not an address: the log is read from standard input, so '< FILE'"
               : "is a file, not an address: '--log < FILE' for a log, '- < FILE' for an address a line";
}
