/* log: one line is one write(2) to stderr: lines of threads do not mix, and a pipe whose reader has
 * gone cannot stop the program. The conversions of printf are read here, so that strings can be
 * escaped and numbers become numbers in JSON. */
#include "common/log.h"

#include "common/clock.h"
#include "common/str.h"
#include "common/visible.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define VALUE_LIMIT 4096 /* bytes of one value: a log line is no place for a body */

/* Process-wide by nature: there is one stderr. */
static _Atomic int minimum = CDN_LOG_INFO;
static _Atomic bool as_json;
static const char *program_name = "pocketcdn";
static char node_name[64];

void cdn_log_init(const char *program, const char *node, enum cdn_log_level level, bool json)
{
    program_name = program;
    cdn_str_copy(node_name, sizeof(node_name), cdn_str(node));
    cdn_log_set_level(level);
    atomic_store(&as_json, json);
}

void cdn_log_set_level(enum cdn_log_level level)
{
    atomic_store(&minimum, (int)level);
}

/* Quoted as in JSON; serves both formats. Bytes that are not UTF-8 become U+FFFD. */
static void add_quoted(struct cdn_buf *b, struct cdn_str s)
{
    cdn_buf_add_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t c;
        size_t len = cdn_utf8_decode(s.p + i, s.n - i, &c);
        if (len == 0) {
            cdn_buf_add_str(b, CDN_STR("\\ufffd"));
            len = 1;
        } else if (c == '"' || c == '\\') {
            cdn_buf_printf(b, "\\%c", (char)c);
        } else if (c == '\n') {
            cdn_buf_add_str(b, CDN_STR("\\n"));
        } else if (cdn_is_hidden(c)) {
            cdn_buf_printf(b, "\\u%04x", (unsigned)c);
        } else {
            cdn_buf_add(b, s.p + i, len);
        }
        i += len;
    }
    cdn_buf_add_char(b, '"');
}

static bool is_bare(struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' || s.p[i] == 0x7f) {
            return false; /* char is signed here: bytes from 0x80 on are below ' ' */
        }
    }
    return s.n > 0;
}

static void add_pair(struct cdn_buf *line, bool json, struct cdn_str key, struct cdn_str value, bool number)
{
    if (json) {
        cdn_buf_printf(line, "%s\"" CDN_STR_FMT "\":", line->n > 1 ? "," : "", CDN_STR_ARG(key));
    } else {
        cdn_buf_printf(line, "%s" CDN_STR_FMT "=", line->n ? " " : "", CDN_STR_ARG(key));
    }
    if (number || (!json && is_bare(value))) {
        cdn_buf_add_str(line, value);
    } else {
        add_quoted(line, value);
    }
}

/* One printf conversion after its '%': [flags][width][.precision][length]conversion. Flags and width only
 * pad, which means nothing in a log line; they are skipped. */
struct conversion {
    int precision; /* -1: none */
    int length; /* 0 int, 1 long and its equals (size_t, intmax_t), 2 long long; shorter ones arrive as int */
    char letter;
};

static const char *read_conversion(const char *p, va_list *args, struct conversion *ret)
{
    *ret = (struct conversion){.precision = -1};
    p += strspn(p, "-+ #0123456789");
    if (*p == '.') {
        p++;
        if (*p == '*') {
            ret->precision = va_arg(*args, int);
            p++;
        } else {
            for (ret->precision = 0; *p >= '0' && *p <= '9'; p++) {
                ret->precision = ret->precision * 10 + (*p - '0');
            }
        }
    }
    for (; *p && strchr("hlzjt", *p); p++) {
        ret->length += *p != 'h';
    }
    ret->letter = *p;
    return *p ? p + 1 : p;
}

_Static_assert(sizeof(long) == sizeof(size_t) && sizeof(long) == sizeof(intmax_t),
               "one length class for l, z, j, t");

static uint64_t unsigned_arg(const struct conversion *c, va_list *args)
{
    return c->length == 0   ? va_arg(*args, unsigned)
           : c->length == 1 ? va_arg(*args, unsigned long)
                            : va_arg(*args, unsigned long long);
}

static int64_t signed_arg(const struct conversion *c, va_list *args)
{
    return c->length == 0   ? va_arg(*args, int)
           : c->length == 1 ? va_arg(*args, long)
                            : va_arg(*args, long long);
}

/* Appends the converted argument; returns whether it is a number that JSON can hold bare. */
static bool add_converted(struct cdn_buf *value, const struct conversion *c, va_list *args)
{
    switch (c->letter) {
    case 'd':
    case 'i':
        cdn_buf_printf(value, "%" PRIi64, signed_arg(c, args));
        return true;
    case 'u':
        cdn_buf_printf(value, "%" PRIu64, unsigned_arg(c, args));
        return true;
    case 'x':
        cdn_buf_printf(value, "%" PRIx64, unsigned_arg(c, args));
        return false;
    case 'f':
    case 'g': {
        size_t before = value->n;
        cdn_buf_printf(value, "%.*f", c->precision < 0 ? 6 : c->precision, va_arg(*args, double));
        return strpbrk(value->p + before, "in") == NULL; /* inf, nan */
    }
    case 'c':
        cdn_buf_add_char(value, (char)va_arg(*args, int));
        return false;
    case 's': {
        const char *s = va_arg(*args, const char *);
        s = s ? s : "(null)";
        size_t room = c->precision < 0 || c->precision > VALUE_LIMIT ? VALUE_LIMIT : (size_t)c->precision;
        cdn_buf_add(value, s, strnlen(s, room));
        return false;
    }
    default:
        cdn_buf_add_char(value, c->letter ? c->letter : '%');
        return false;
    }
}

/* The pairs of `fmt`. A value ends at the first space of the
 * format; what is in the arguments cannot end it. */
static void add_pairs(struct cdn_buf *line, bool json, const char *fmt, va_list *args)
{
    CDN_AUTOBUF struct cdn_buf value = {0};
    const char *p = fmt;
    while (*p) {
        struct cdn_str key = {p, strcspn(p, "= ")};
        p += key.n;
        bool number = false;
        size_t pieces = 0;
        cdn_buf_clear(&value);
        for (p += *p == '='; *p && *p != ' '; pieces++) {
            if (*p != '%') {
                cdn_buf_add_char(&value, *p++);
                number = false;
                continue;
            }
            struct conversion c;
            p = read_conversion(p + 1, args, &c);
            number = add_converted(&value, &c, args);
        }
        p += *p == ' ';
        add_pair(line, json, key, cdn_buf_str(&value), number && pieces == 1);
    }
}

static void add_standard(struct cdn_buf *line, bool json, enum cdn_log_level level, const char *event)
{
    static const char *const words[] = {
#define X(name, word) #word,
        CDN_LOG_LEVELS(X)
#undef X
    };
    int64_t ms = cdn_clock_real_ms();
    time_t s = (time_t)(ms / 1000);
    struct tm t;
    char ts[40];
    gmtime_r(&s, &t);
    size_t n = strftime(ts, sizeof(ts), "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(ts + n, sizeof(ts) - n, ".%03dZ", (int)(ms % 1000));
    add_pair(line, json, CDN_STR("ts"), cdn_str(ts), false);
    add_pair(line, json, CDN_STR("level"), cdn_str(words[level]), false);
    add_pair(line, json, CDN_STR("program"), cdn_str(program_name), false);
    if (node_name[0]) {
        add_pair(line, json, CDN_STR("node"), cdn_str(node_name), false);
    }
    add_pair(line, json, CDN_STR("event"), cdn_str(event), false);
}

bool cdn_log_wants(enum cdn_log_level level)
{
    return (int)level >= atomic_load_explicit(&minimum, memory_order_relaxed);
}

void cdn_log(enum cdn_log_level level, const char *event, const char *fmt, ...)
{
    if (!cdn_log_wants(level)) {
        return;
    }
    CDN_AUTOBUF struct cdn_buf line = {0};
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    int saved = errno; /* a log line between a failed call and its handling must not change the error */
    va_list args;
    if (json) {
        cdn_buf_add_char(&line, '{');
    }
    add_standard(&line, json, level, event);
    va_start(args, fmt);
    add_pairs(&line, json, fmt, &args);
    va_end(args);
    cdn_buf_add_str(&line, json ? CDN_STR("}\n") : CDN_STR("\n"));
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line.p, line.n);
    } while (written < 0 && errno == EINTR);
    errno = saved;
}
