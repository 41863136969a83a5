/* http_date: calendar by arithmetic on days (no mktime, no locale, no time zone): dates are read
 * for nearly every stored answer, on any thread, and must come out the same on each. */
#include "common/http/syntax/http_date.h"

#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define DAY_S 86400
#define YEAR_MIN 1970
#define YEAR_MAX 9999
#define LATEST_S INT64_C(253402300799) /* 9999-12-31 23:59:59 */

static const char weekday_names[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
    int64_t year;
    unsigned month; /* 1-12 */
    unsigned day;
    unsigned hour, minute, second;
};

static bool is_leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Howard Hinnant's "days from civil": exact for the proleptic Gregorian calendar. */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = y / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void civil_from_days(int64_t z, struct date *ret)
{
    z += 719468;
    int64_t era = z / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    ret->day = doy - (153 * mp + 2) / 5 + 1;
    ret->month = mp < 10 ? mp + 3 : mp - 9;
    ret->year = (int64_t)yoe + era * 400 + (ret->month <= 2);
}

/* The readers below take from the front of *s and say whether they could. */

static bool take(struct cdn_str *s, const char *text)
{
    size_t n = strlen(text);
    if (s->n < n || !cdn_str_eq_nocase((struct cdn_str){s->p, n}, cdn_str(text))) {
        return false;
    }
    *s = cdn_str_sub(*s, n);
    return true;
}

static bool take_digits(struct cdn_str *s, size_t digits, unsigned *ret)
{
    unsigned v = 0;
    if (s->n < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return false;
        }
        v = v * 10 + (unsigned)(s->p[i] - '0');
    }
    *s = cdn_str_sub(*s, digits);
    *ret = v;
    return true;
}

/* "Sunday" where `whole`, else "Sun"; letter case does not matter. */
static bool take_weekday(struct cdn_str *s, bool whole)
{
    for (size_t i = 0; i < 7; i++) {
        char name[10];
        (void)cdn_str_copy(name, whole ? sizeof(name) : 4, cdn_str(weekday_names[i]));
        if (take(s, name)) {
            return true;
        }
    }
    return false;
}

static bool take_month(struct cdn_str *s, unsigned *ret)
{
    for (unsigned i = 0; i < 12; i++) {
        if (take(s, month_names[i])) {
            *ret = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_time(struct cdn_str *s, struct date *d)
{
    return take_digits(s, 2, &d->hour) && take(s, ":") && take_digits(s, 2, &d->minute) && take(s, ":") &&
           take_digits(s, 2, &d->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf(struct cdn_str s, struct date *d)
{
    unsigned year;
    bool ok = take_weekday(&s, false) && take(&s, ", ") && take_digits(&s, 2, &d->day) && take(&s, " ") &&
              take_month(&s, &d->month) && take(&s, " ") && take_digits(&s, 4, &year) && take(&s, " ") &&
              take_time(&s, d) && take(&s, " GMT") && s.n == 0;
    if (ok) {
        d->year = year;
    }
    return ok;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT": the year is at most 50 years after `this_year` (RFC 9110 5.6.7). */
static bool read_rfc850(struct cdn_str s, int64_t this_year, struct date *d)
{
    unsigned year;
    bool ok = take_weekday(&s, true) && take(&s, ", ") && take_digits(&s, 2, &d->day) && take(&s, "-") &&
              take_month(&s, &d->month) && take(&s, "-") && take_digits(&s, 2, &year) && take(&s, " ") &&
              take_time(&s, d) && take(&s, " GMT") && s.n == 0;
    if (ok) {
        d->year = this_year - this_year % 100 + (int64_t)year;
        if (d->year > this_year + 50) {
            d->year -= 100;
        } else if (d->year <= this_year - 50) {
            d->year += 100;
        }
    }
    return ok;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(struct cdn_str s, struct date *d)
{
    unsigned year;
    bool ok = take_weekday(&s, false) && take(&s, " ") && take_month(&s, &d->month) && take(&s, " ") &&
              (take(&s, " ") ? take_digits(&s, 1, &d->day) : take_digits(&s, 2, &d->day)) && take(&s, " ") &&
              take_time(&s, d) && take(&s, " ") && take_digits(&s, 4, &year) && s.n == 0;
    if (ok) {
        d->year = year;
    }
    return ok;
}

static bool in_calendar(const struct date *d)
{
    static const unsigned char lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (d->year < YEAR_MIN || d->year > YEAR_MAX || d->day < 1) {
        return false;
    }
    unsigned length = lengths[d->month - 1] + (d->month == 2 && is_leap(d->year) ? 1u : 0u);
    /* 60 is a leap second (RFC 9110 5.6.7) */
    return d->day <= length && d->hour < 24 && d->minute < 60 && d->second <= 60;
}

bool http_date_parse_at(struct cdn_str s, int64_t now_s, int64_t *ret_s)
{
    struct date now, d = {0};
    s = cdn_str_trim(s);
    civil_from_days((now_s < 0 ? 0 : now_s) / DAY_S, &now);
    if (!read_imf(s, &d) && !read_rfc850(s, now.year, &d) && !read_asctime(s, &d)) {
        return false;
    }
    if (!in_calendar(&d)) {
        return false;
    }
    *ret_s = days_from_civil(d.year, d.month, d.day) * DAY_S + d.hour * 3600 + d.minute * 60 + d.second;
    return true;
}

bool http_date_parse(struct cdn_str s, int64_t *ret_s)
{
    return http_date_parse_at(s, INT64_C(1546300800), ret_s); /* 2019: 70 is 1970, 69 is 2069 */
}

void http_date_format(int64_t s, char out[static HTTP_DATE_SIZE])
{
    struct date d;
    s = s < 0 ? 0 : s > LATEST_S ? LATEST_S : s;
    int64_t days = s / DAY_S;
    unsigned left = (unsigned)(s % DAY_S);
    civil_from_days(days, &d);
    (void)snprintf(out, HTTP_DATE_SIZE, "%.3s, %02u %s %04u %02u:%02u:%02u GMT",
                   weekday_names[(days + 4) % 7], d.day % 100, month_names[d.month - 1],
                   (unsigned)d.year % 10000, left / 3600 % 24, left / 60 % 60, left % 60);
}
