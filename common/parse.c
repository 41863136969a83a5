/* parse: text to values by hand instead of strtol(3) and its kin, which take blanks, signs and
 * rubbish at the end, stop at a NUL and heed the locale (decimal fractions go to strtod_l with that
 * of C, once their form is judged). Values with a unit are multiplied with a check for overflow. */
#include "common/parse.h"

#include "common/mem.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
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

int cdn_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}
