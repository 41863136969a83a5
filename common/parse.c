/* parse: text to values by hand instead of strtol(3) and its kin, which take blanks, signs and
 * rubbish at the end, stop at a NUL and heed the locale (decimal fractions go to strtod_l with that
 * of C, once their form is judged). Values with a unit are multiplied with a check for overflow. */
#include "common/parse.h"

#include "common/mem.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits at the front of *s, cut off; false when there is none or the number does not fit. */
static bool take_u64(struct cdn_str *s, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < s->n && is_digit(s->p[i]); i++) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s->p[i] - '0'), &v)) {
            return false;
        }
    }
    if (i == 0) {
        return false;
    }
    *s = cdn_str_sub(*s, i);
    *ret = v;
    return true;
}

bool cdn_parse_u64(struct cdn_str s, uint64_t *ret)
{
    uint64_t v;
    if (!take_u64(&s, &v) || s.n) {
        return false;
    }
    *ret = v;
    return true;
}

bool cdn_parse_i64(struct cdn_str s, int64_t *ret)
{
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        s = cdn_str_sub(s, 1);
    }
    uint64_t v;
    if (!cdn_parse_u64(s, &v) || v > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static size_t count_digits(struct cdn_str s, size_t from)
{
    size_t i = from;
    while (i < s.n && is_digit(s.p[i])) {
        i++;
    }
    return i - from;
}

/* [+-] digits [. digits] [e [+-] digits], at least one digit before or after the point: no hex, no nan. */
static bool looks_real(struct cdn_str s)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    size_t whole = count_digits(s, i);
    size_t fraction = 0;
    i += whole;
    if (i < s.n && s.p[i] == '.') {
        fraction = count_digits(s, i + 1);
        i += 1 + fraction;
    }
    if (whole + fraction == 0) {
        return false;
    }
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
        size_t exponent = count_digits(s, i);
        if (exponent == 0) {
            return false;
        }
        i += exponent;
    }
    return i == s.n;
}

static locale_t c_locale; /* made once: the user's locale may want a decimal comma */
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool cdn_parse_real(struct cdn_str s, double *ret)
{
    char text[64];
    if (!looks_real(s) || !cdn_str_copy(text, sizeof(text), s)) {
        return false;
    }
    pthread_once(&c_locale_once, make_c_locale);
    double v = strtod_l(text, NULL, c_locale);
    if (!isfinite(v)) {
        return false;
    }
    *ret = v;
    return true;
}

bool cdn_parse_bool(struct cdn_str s, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true}, {"no", false},  {"true", true}, {"false", false},
                 {"on", true},  {"off", false}, {"1", true},    {"0", false}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(words); i++) {
        if (cdn_str_eq_nocase(s, cdn_str(words[i].word))) {
            *ret = words[i].value;
            return true;
        }
    }
    return false;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A number at the front of *s, cut off, as whole + fraction / scale. */
struct decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t scale;
};

static bool take_decimal(struct cdn_str *s, struct decimal *ret)
{
    struct decimal d = {0, 0, 1};
    if (!take_u64(s, &d.whole)) {
        return false;
    }
    if (s->n && s->p[0] == '.') {
        size_t digits = count_digits(*s, 1);
        if (digits == 0 || digits > 9) {
            return false;
        }
        *s = cdn_str_sub(*s, 1);
        for (size_t i = 0; i < digits; i++) {
            d.scale *= 10;
        }
        if (!take_u64(s, &d.fraction)) {
            return false;
        }
    }
    *ret = d;
    return true;
}

/* d * factor, rounded down; false when it does not fit, or has a
 * fraction that the smallest unit cannot hold. */
static bool scale(const struct decimal *d, uint64_t factor, uint64_t *ret)
{
    uint64_t v;
    if ((factor == 1 && d->scale > 1) || __builtin_mul_overflow(d->whole, factor, &v)) {
        return false;
    }
    /* fraction * factor / scale without overflow: fraction < scale <= 10^9 */
    uint64_t part = factor / d->scale * d->fraction + factor % d->scale * d->fraction / d->scale;
    return !__builtin_add_overflow(v, part, ret);
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct cdn_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (cdn_str_eq_nocase(name, cdn_str(units[i].name))) {
            return &units[i];
        }
    }
    return NULL;
}

/* One letter counts in 1024s as in nginx, Varnish and Docker; KB and the like are the SI's thousands. */
static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"KiB", 1ull << 10},
    {"MiB", 1ull << 20},
    {"GiB", 1ull << 30},
    {"TiB", 1ull << 40},
    {"PiB", 1ull << 50},
    {"K", 1ull << 10},
    {"M", 1ull << 20},
    {"G", 1ull << 30},
    {"T", 1ull << 40},
    {"P", 1ull << 50},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"PB", 1000000000000000},
};

bool cdn_parse_size(struct cdn_str s, uint64_t *ret)
{
    struct decimal d;
    uint64_t v;
    if (!take_decimal(&s, &d)) {
        return false;
    }
    const struct unit *unit = find_unit(size_units, CDN_ARRAY_LEN(size_units), cdn_str_trim(s));
    if (!unit || (s.n && unit->name[0] == '\0') || !scale(&d, unit->factor, &v)) {
        return false;
    }
    *ret = v;
    return true;
}

static const struct unit duration_units[] = {
    {"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static struct cdn_str take_letters(struct cdn_str *s)
{
    size_t n = 0;
    while (n < s->n && s->p[n] >= 'a' && s->p[n] <= 'z') {
        n++;
    }
    struct cdn_str word = {s->p, n};
    *s = cdn_str_sub(*s, n);
    return word;
}

bool cdn_parse_duration_ms(struct cdn_str s, int64_t *ret)
{
    const struct unit *last = NULL;
    uint64_t total = 0;
    if (s.n == 0) {
        return false;
    }
    while (s.n) {
        struct decimal d;
        uint64_t v;
        if (!take_decimal(&s, &d)) {
            return false;
        }
        struct cdn_str name = take_letters(&s);
        if (name.n == 0 && (last || s.n)) {
            return false; /* a bare number of seconds stands alone */
        }
        const struct unit *unit =
            find_unit(duration_units, CDN_ARRAY_LEN(duration_units), name.n ? name : CDN_STR("s"));
        if (!unit || (last && unit <= last) || !scale(&d, unit->factor, &v) ||
            __builtin_add_overflow(total, v, &total)) {
            return false;
        }
        last = unit;
    }
    if (total > INT64_MAX) {
        return false;
    }
    *ret = (int64_t)total;
    return true;
}

/* `bytes` in the largest of `names` (each `step` times the one before) that holds it without a rest. */
static int format_exact(uint64_t bytes, unsigned step, const char *const names[static 6], char out[static 24])
{
    size_t i = 0;
    while (bytes && bytes % step == 0 && i < 5) {
        bytes /= step;
        i++;
    }
    return snprintf(out, 24, "%" PRIu64 "%s", bytes, names[i]);
}

void cdn_format_size(uint64_t bytes, char out[static 24])
{
    static const char *const binary[] = {"", "KiB", "MiB", "GiB", "TiB", "PiB"};
    static const char *const decimal[] = {"", "KB", "MB", "GB", "TB", "PB"};
    char other[24];
    int n = format_exact(bytes, 1024, binary, out);
    if (format_exact(bytes, 1000, decimal, other) + 2 < n) { /* "1PB" rather than "976562500000KiB" */
        memcpy(out, other, sizeof(other));
    }
}

void cdn_format_duration_ms(int64_t ms, char out[static 24])
{
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    const char *sign = ms < 0 ? "-" : "";
    if (left % 1000) { /* all in ms: the longest mixed form would not fit */
        snprintf(out, 24, "%s%" PRIu64 "ms", sign, left);
        return;
    }
    int n = snprintf(out, 24, "%s%s", sign, left ? "" : "0s");
    for (size_t i = 1; i + 1 < CDN_ARRAY_LEN(duration_units); i++) {
        uint64_t count = left / duration_units[i].factor;
        left %= duration_units[i].factor;
        if (count) {
            n += snprintf(out + n, 24 - (size_t)n, "%" PRIu64 "%s", count, duration_units[i].name);
        }
    }
}

/* As inet_pton does, in a fifth of its time: four numbers without leading zeros. */
static bool parse_ipv4(struct cdn_str s, struct in_addr *ret)
{
    uint32_t value = 0;
    size_t at = 0;
    for (unsigned part = 0; part < 4; part++) {
        if (part > 0 && (at >= s.n || s.p[at++] != '.')) {
            return false;
        }
        unsigned number = 0;
        size_t start = at;
        for (; at < s.n && at < start + 3 && s.p[at] >= '0' && s.p[at] <= '9'; at++) {
            number = number * 10 + (unsigned)(s.p[at] - '0');
        }
        if (at == start || number > 255 || (s.p[start] == '0' && at > start + 1)) {
            return false;
        }
        value = value << 8 | number;
    }
    ret->s_addr = htonl(value);
    return at == s.n;
}

bool cdn_parse_ip(struct cdn_str s, struct cdn_addr *ret)
{
    char text[INET6_ADDRSTRLEN];
    struct cdn_addr a;
    memset(&a, 0, sizeof(a));
    if (parse_ipv4(s, &a.v4.sin_addr)) {
        a.v4.sin_family = AF_INET;
        *ret = a;
        return true;
    }
    if (s.n == 0 || memchr(s.p, '\0', s.n) || !cdn_str_copy(text, sizeof(text), s)) {
        return false;
    }
    memset(&a, 0, sizeof(a));
    if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) != 1) {
        return false;
    }
    a.v6.sin6_family = AF_INET6;
    cdn_addr_unmap(&a);
    *ret = a;
    return true;
}

bool cdn_parse_host_port(struct cdn_str s, struct cdn_addr *ret)
{
    bool bracket = s.n && s.p[0] == '[';
    ptrdiff_t end = cdn_str_find(s, bracket ? ']' : ':');
    size_t port_at = (size_t)(end + (bracket ? 1 : 0));
    if (end < 0 || port_at >= s.n || s.p[port_at] != ':') {
        return false;
    }
    struct cdn_str host = {s.p + bracket, (size_t)end - bracket};
    struct cdn_addr a;
    uint64_t port;
    if (cdn_str_eq_nocase(host, CDN_STR("localhost")) && !bracket) {
        host = CDN_STR("127.0.0.1");
    }
    if ((bracket && cdn_str_find(host, ':') < 0) || !cdn_parse_ip(host, &a) ||
        !cdn_parse_u64(cdn_str_sub(s, port_at + 1), &port) || port > 65535) {
        return false;
    }
    cdn_addr_set_port(&a, (unsigned)port);
    *ret = a;
    return true;
}

/* Whether all bits after the first `prefix` are zero. */
static bool host_bits_zero(const struct cdn_addr *a, unsigned prefix)
{
    size_t n;
    const unsigned char *bytes = cdn_addr_bytes(a, &n);
    for (unsigned bit = prefix; bit < n * 8; bit++) {
        if (bytes[bit / 8] & (0x80u >> (bit % 8))) {
            return false;
        }
    }
    return true;
}

bool cdn_parse_cidr(struct cdn_str s, struct cdn_cidr *ret)
{
    struct cdn_str rest = s;
    struct cdn_str ip = cdn_str_cut(&rest, '/');
    struct cdn_cidr c;
    if (!cdn_parse_ip(ip, &c.addr)) {
        return false;
    }
    bool v4 = c.addr.sa.sa_family == AF_INET;
    uint64_t skip = v4 && cdn_str_find(ip, ':') >= 0 ? 96 : 0; /* ::ffff:10.0.0.0/104 is 10.0.0.0/8 */
    uint64_t bits = v4 ? 32 : 128;
    uint64_t prefix = bits + skip;
    if (rest.p && (rest.n > 3 || !cdn_parse_u64(rest, &prefix))) {
        return false;
    }
    if (prefix < skip || prefix - skip > bits || !host_bits_zero(&c.addr, (unsigned)(prefix - skip))) {
        return false;
    }
    c.prefix = (unsigned)(prefix - skip);
    *ret = c;
    return true;
}

bool cdn_cidr_has(const struct cdn_cidr *c, const struct cdn_addr *a)
{
    struct cdn_addr plain = *a;
    cdn_addr_unmap(&plain);
    if (c->addr.sa.sa_family != plain.sa.sa_family) {
        return false;
    }
    size_t n;
    const unsigned char *x = cdn_addr_bytes(&c->addr, &n);
    const unsigned char *y = cdn_addr_bytes(&plain, &n);
    unsigned whole = c->prefix / 8;
    unsigned bits = c->prefix % 8;
    return memcmp(x, y, whole) == 0 && (bits == 0 || ((x[whole] ^ y[whole]) >> (8 - bits)) == 0);
}

const unsigned char *cdn_addr_bytes(const struct cdn_addr *a, size_t *ret_n)
{
    if (a->sa.sa_family == AF_INET6) {
        *ret_n = 16;
        return a->v6.sin6_addr.s6_addr;
    }
    *ret_n = 4;
    return (const unsigned char *)&a->v4.sin_addr;
}

bool cdn_addr_is_loopback(const struct cdn_addr *a)
{
    struct cdn_addr plain = *a;
    cdn_addr_unmap(&plain);
    if (plain.sa.sa_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&plain.v6.sin6_addr);
    }
    return plain.sa.sa_family == AF_INET && ntohl(plain.v4.sin_addr.s_addr) >> 24 == 127;
}

void cdn_addr_unmap(struct cdn_addr *a)
{
    if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
        return;
    }
    struct cdn_addr v4;
    memset(&v4, 0, sizeof(v4));
    v4.v4.sin_family = AF_INET;
    v4.v4.sin_port = a->v6.sin6_port;
    memcpy(&v4.v4.sin_addr, a->v6.sin6_addr.s6_addr + 12, 4);
    *a = v4;
}

static char *format_octet(unsigned value, char *out)
{
    if (value >= 100) {
        *out++ = (char)('0' + value / 100);
    }
    if (value >= 10) {
        *out++ = (char)('0' + value / 10 % 10);
    }
    *out++ = (char)('0' + value % 10);
    return out;
}

/* inet_ntop() prints: 1,700 instructions, and each request to the origin names its client twice. */
static void format_ipv4(const unsigned char *bytes, char *out)
{
    for (unsigned i = 0; i < 4; i++) {
        out = format_octet(bytes[i], out);
        *out++ = i < 3 ? '.' : '\0';
    }
}

void cdn_addr_format_ip(const struct cdn_addr *a, char out[static CDN_ADDR_TEXT_SIZE])
{
    size_t n;
    const unsigned char *bytes = cdn_addr_bytes(a, &n);
    if (n != 16) {
        format_ipv4(bytes, out);
    } else if (!inet_ntop(AF_INET6, bytes, out, CDN_ADDR_TEXT_SIZE)) {
        out[0] = '\0';
    }
}

void cdn_addr_format(const struct cdn_addr *a, char out[static CDN_ADDR_TEXT_SIZE])
{
    char ip[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(a, ip);
    const char *fmt_open = a->sa.sa_family == AF_INET6 ? "[" : "";
    const char *fmt_close = a->sa.sa_family == AF_INET6 ? "]" : "";
    snprintf(out, CDN_ADDR_TEXT_SIZE, "%s%.46s%s:%u", fmt_open, ip, fmt_close, cdn_addr_port(a));
}

unsigned cdn_addr_port(const struct cdn_addr *a)
{
    return ntohs(a->sa.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

void cdn_addr_set_port(struct cdn_addr *a, unsigned port)
{
    if (a->sa.sa_family == AF_INET6) {
        a->v6.sin6_port = htons((uint16_t)port);
    } else {
        a->v4.sin_port = htons((uint16_t)port);
    }
}

socklen_t cdn_addr_len(const struct cdn_addr *a)
{
    return a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

int cdn_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}
