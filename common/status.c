/* status: one table of kinds of failure gives the word, the exit code and the HTTP status, so that
 * a program, its admin listener and its command agree on what has happened. Texts hold foreign
 * bytes made harmless. */
#include "common/status.h"

#include "common/visible.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

static const struct {
    const char *name;
    int exit_code;
    int http;
    const char *text;
} statuses[] = {
#define X(name, exit_code, http, text) {#name, exit_code, http, text},
    CDN_STATUS_TABLE(X)
#undef X
};

_Static_assert(sizeof(statuses) / sizeof(*statuses) == CDN_STATUS_COUNT, "one row per status");

/* A text may quote foreign bytes, and ends on a terminal. */
static void hide(char *text)
{
    for (size_t n = strlen(text); n > 0;) {
        uint32_t c = 0;
        size_t len = cdn_utf8_decode(text, n, &c);
        if (len == 0 || cdn_is_hidden(c)) {
            memset(text, len == 1 ? ' ' : '?', len ? len : 1);
        }
        text += len ? len : 1;
        n -= len ? len : 1;
    }
}

CDN_PRINTF(2, 0) static void fill(struct cdn_error *err, const char *fmt, va_list args)
{
    int n = vsnprintf(err->text, sizeof(err->text), fmt, args);
    if (n < 0) {
        err->text[0] = '\0';
    } else if ((size_t)n >= sizeof(err->text)) {
        memcpy(err->text + sizeof(err->text) - 4, "...", 4);
    }
    hide(err->text);
}

enum cdn_status(cdn_error_set)(struct cdn_error *err, enum cdn_status status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        err->status = status;
        fill(err, fmt, args);
        va_end(args);
    }
    return status;
}

enum cdn_status cdn_error_prefix(struct cdn_error *err, const char *fmt, ...)
{
    if (!err) {
        return CDN_INTERNAL;
    }
    struct cdn_error prefix;
    va_list args;
    va_start(args, fmt);
    fill(&prefix, fmt, args);
    va_end(args);
    char old[sizeof(err->text)];
    memcpy(old, err->text, sizeof(old));
    return cdn_error_set(err, err->status, "%s: %s", prefix.text, old);
}

const char *cdn_status_name(enum cdn_status status)
{
    return statuses[status].name;
}

const char *cdn_status_text(enum cdn_status status)
{
    return statuses[status].text;
}

int cdn_status_exit_code(enum cdn_status status)
{
    return statuses[status].exit_code;
}

int cdn_status_http(enum cdn_status status)
{
    return statuses[status].http;
}
