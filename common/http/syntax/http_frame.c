/* http_frame: a state machine over bytes that may arrive in any pieces: its verdict after n bytes
 * depends on those bytes only, never on how they were cut. So every split is tested against the
 * whole. */
#include "common/http/syntax/http_frame.h"

#include "common/http/syntax/http_field.h"
#include "common/parse.h"
#include "common/str.h"

#include <string.h>

#include "common/banned.h"

#define BLANK_LINES 4    /* before a request line; RFC 9112 2.2 wants one to be ignored */
#define SIZE_DIGITS 16   /* what 64 bits hold */
#define TRAILER_LINES 64 /* nobody reads them */
#define VERSION_N 8      /* HTTP/1.1 */
#define SHORTEST_LINE (VERSION_N + 4)

enum state {
    HEAD,
    LENGTH,
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    NAME,
    VALUE,
    TRAILER_LF,
    LAST_LF
};

bool http_frame_in_body(const struct http_frame *f)
{
    return f->state != HEAD;
}

static void next_request(struct http_frame *f)
{
    uint16_t most = f->most_lines;
    *f = (struct http_frame){.most_lines = most, .upgrades = f->upgrades};
}

void http_frame_go_on(struct http_frame *f)
{
    f->waits = false;
}

/* ---- the head ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* METHOD SP anything SP HTTP/1.x, which is as much as libmicrohttpd would refuse itself. */
static enum http_refusal check_request_line(struct http_frame *f, const char *line, size_t n)
{
    const char *space = memchr(line, ' ', n);
    if (!space || space == line || n < SHORTEST_LINE) {
        return HTTP_REFUSE_REQUEST_LINE;
    }
    const char *version = line + n - VERSION_N;
    if (version[-1] != ' ' || space + 2 >= version || memcmp(version, "HTTP/", 5) != 0 ||
        !is_digit(version[5]) || version[6] != '.' || !is_digit(version[7])) {
        return HTTP_REFUSE_REQUEST_LINE;
    }
    f->http10 = version[7] == '0';
    return version[5] == '1' ? HTTP_REFUSE_NONE : HTTP_REFUSE_VERSION;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Notes the value's place, its trailing white space now before it. */
static void note_value(const char *head, char *from, char *end, uint32_t *ret_at, uint32_t *ret_n)
{
    char *last = end;
    while (last > from && is_space(last[-1])) {
        last--;
    }
    while (from < last && is_space(*from)) {
        from++;
    }
    size_t n = (size_t)(last - from);
    if (last != end) {
        memmove(end - n, from, n);
        memset(from, ' ', (size_t)(end - last));
    }
    *ret_at = (uint32_t)(end - n - head);
    *ret_n = (uint32_t)n;
}

static bool is_name(const char *name, size_t n, const char *wanted, size_t wanted_n)
{
    return n == wanted_n && cdn_str_eq_nocase((struct cdn_str){name, n}, (struct cdn_str){wanted, wanted_n});
}
#define IS_NAME(p, n, text) is_name(p, n, text, sizeof(text) - 1)

static enum http_refusal check_known(struct http_frame *f, const char *head, char *line, char *colon,
                                     char *end)
{
    size_t n = (size_t)(colon - line);
    if (IS_NAME(line, n, "Cookie")) {
        colon[-1] = HTTP_COOKIE_HIDDEN;
    } else if (n == sizeof("Cookie") - 1 && colon[-1] == HTTP_COOKIE_HIDDEN) {
        return HTTP_REFUSE_FIELD_NAME;
    } else if (IS_NAME(line, n, "Content-Length")) {
        if (f->length_lines++ == 0) {
            note_value(head, colon + 1, end, &f->length, &f->length_n);
        }
    } else if (IS_NAME(line, n, "Transfer-Encoding")) {
        if (f->coding_lines++ == 0) {
            note_value(head, colon + 1, end, &f->coding, &f->coding_n);
        }
    } else if (f->upgrades && IS_NAME(line, n, "Upgrade")) {
        const struct cdn_str value = {colon + 1, (size_t)(end - colon - 1)};
        f->asks_upgrade |= http_list_has_token(value, CDN_STR("websocket"));
    }
    return HTTP_REFUSE_NONE;
}

static enum http_refusal check_field_line(struct http_frame *f, const char *head, char *line, char *end)
{
    char *colon = memchr(line, ':', (size_t)(end - line));
    if (is_space(*line)) {
        return HTTP_REFUSE_LINES;
    }
    if (!colon || colon == line) {
        return HTTP_REFUSE_FIELD_NAME;
    }
    if (f->lines > HTTP_HEAD_LINES) {
        return HTTP_REFUSE_FIELD_COUNT;
    }
    char first = (char)(*line | 0x20);
    return first == 'c' || first == 't' || first == 'u' ? check_known(f, head, line, colon, end)
                                                        : HTTP_REFUSE_NONE;
}

/* The head is whole, n bytes. */
static enum http_refusal end_head(struct http_frame *f, const char *head, size_t n)
{
    if (memchr(head, '\0', n)) {
        return HTTP_REFUSE_LINES;
    }
    if (n > HTTP_HEAD_MAX) {
        return HTTP_REFUSE_HEAD_TOO_LARGE;
    }
    f->most_lines = f->lines > f->most_lines ? f->lines : f->most_lines;
    if (!f->length_lines && !f->coding_lines) {
        const bool waits = f->asks_upgrade && !f->http10;
        next_request(f);
        f->waits = waits;
        return HTTP_REFUSE_NONE;
    }
    struct http_framing framing = {.length_lines = f->length_lines,
                                   .coding_lines = f->coding_lines,
                                   .length = {head + f->length, f->length_n},
                                   .coding = {head + f->coding, f->coding_n},
                                   .http10 = f->http10};
    int64_t length;
    bool chunked;
    enum http_refusal bad = http_check_framing(&framing, &length, &chunked);
    next_request(f);
    f->state = chunked ? SIZE : length > 0 ? LENGTH : HEAD;
    f->left = chunked ? 0 : (uint64_t)length;
    return bad;
}

/* An empty line: the head's end, or one before the request line, of which a few are let through. */
static enum http_refusal take_empty(struct http_frame *f, const char *head, size_t n)
{
    if (f->lines) {
        return end_head(f, head, n);
    }
    f->scanned = 0;
    return ++f->blank > BLANK_LINES ? HTTP_REFUSE_REQUEST_LINE : HTTP_REFUSE_NONE;
}

static enum http_refusal check_incomplete(const struct http_frame *f, size_t n)
{
    if (n <= HTTP_HEAD_MAX) {
        return HTTP_REFUSE_NONE;
    }
    return f->lines ? HTTP_REFUSE_HEAD_TOO_LARGE : HTTP_REFUSE_TARGET_TOO_LONG;
}

/* *ret_n: how much of it may be handed on; 0 while it is incomplete. */
static enum http_refusal take_head(struct http_frame *f, char *head, size_t n, size_t *ret_n)
{
    *ret_n = 0;
    while (f->scanned < n) {
        char *line = head + f->scanned;
        char *lf = memchr(line, '\n', n - f->scanned);
        if (!lf) {
            break;
        }
        if (lf == line || lf[-1] != '\r') {
            return HTTP_REFUSE_LINES;
        }
        if (lf == line + 1) {
            *ret_n = (size_t)(lf + 1 - head);
            return take_empty(f, head, *ret_n);
        }
        enum http_refusal bad = f->lines ? check_field_line(f, head, line, lf - 1)
                                         : check_request_line(f, line, (size_t)(lf - 1 - line));
        if (bad) {
            return bad;
        }
        f->lines++;
        f->scanned = (uint32_t)(lf + 1 - head);
    }
    return check_incomplete(f, n);
}

/* ---- the body ---- */

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static enum http_refusal take_size(struct http_frame *f, char c)
{
    int digit = cdn_hex_digit(c);
    if (digit >= 0) {
        f->left = f->left << 4 | (unsigned)digit;
        return ++f->digits > SIZE_DIGITS ? HTTP_REFUSE_CHUNK : HTTP_REFUSE_NONE;
    }
    if (!f->digits || (c != ';' && c != '\r')) {
        return HTTP_REFUSE_CHUNK;
    }
    f->state = c == ';' ? EXTENSION : SIZE_LF;
    return HTTP_REFUSE_NONE;
}

static enum http_refusal take_extension(struct http_frame *f, char c)
{
    if (c == '\r') {
        f->state = SIZE_LF;
        return HTTP_REFUSE_NONE;
    }
    if (is_control(c) || ++f->line > HTTP_CHUNK_LINE_MAX || ++f->extensions > HTTP_EXTENSIONS_MAX) {
        return HTTP_REFUSE_CHUNK;
    }
    return HTTP_REFUSE_NONE;
}

/* The LF of a chunk line. */
static enum http_refusal take_size_end(struct http_frame *f, char c)
{
    if (c != '\n' || f->left > INT64_MAX) {
        return HTTP_REFUSE_CHUNK;
    }
    f->line = 0;
    f->lines = 0;
    f->state = f->left ? DATA : TRAILER;
    return HTTP_REFUSE_NONE;
}

static enum http_refusal take_data_end(struct http_frame *f, char c)
{
    if (c != (f->state == DATA_CR ? '\r' : '\n')) {
        return HTTP_REFUSE_CHUNK;
    }
    f->state = f->state == DATA_CR ? DATA_LF : SIZE;
    f->digits = 0;
    return HTTP_REFUSE_NONE;
}

static enum http_refusal take_trailer(struct http_frame *f, char c)
{
    bool token = http_check_token((struct cdn_str){&c, 1});
    if (++f->line > HTTP_TRAILERS_MAX || f->lines > TRAILER_LINES) {
        return HTTP_REFUSE_TRAILERS_TOO_LARGE;
    }
    switch (f->state) {
    case TRAILER: /* RFC 9112 7.1.2: field lines, no folding */
        f->state = c == '\r' ? LAST_LF : NAME;
        return c == '\r' || token ? HTTP_REFUSE_NONE : HTTP_REFUSE_TRAILERS;
    case NAME:
        f->state = c == ':' ? VALUE : NAME;
        return c == ':' || token ? HTTP_REFUSE_NONE : HTTP_REFUSE_TRAILERS;
    case VALUE:
        f->state = c == '\r' ? TRAILER_LF : VALUE;
        return c == '\r' || !is_control(c) ? HTTP_REFUSE_NONE : HTTP_REFUSE_TRAILERS;
    case TRAILER_LF:
        f->lines++;
        f->state = TRAILER;
        return c == '\n' ? HTTP_REFUSE_NONE : HTTP_REFUSE_TRAILERS;
    default:
        next_request(f);
        return c == '\n' ? HTTP_REFUSE_NONE : HTTP_REFUSE_TRAILERS;
    }
}

static enum http_refusal take_framing(struct http_frame *f, char c)
{
    switch (f->state) {
    case SIZE:
        return take_size(f, c);
    case EXTENSION:
        return take_extension(f, c);
    case SIZE_LF:
        return take_size_end(f, c);
    case DATA_CR:
    case DATA_LF:
        return take_data_end(f, c);
    default:
        return take_trailer(f, c);
    }
}

/* *ret_n: bytes taken, as far as the body's end at most. */
static enum http_refusal take_body(struct http_frame *f, const char *p, size_t n, size_t *ret_n)
{
    enum http_refusal bad = HTTP_REFUSE_NONE;
    size_t at = 0;
    while (at < n && f->state != HEAD && !bad) {
        if (f->state != LENGTH && f->state != DATA) {
            f->body++;
            bad = take_framing(f, p[at++]);
            continue;
        }
        size_t some = f->left < n - at ? (size_t)f->left : n - at;
        at += some;
        f->left -= some;
        f->body += some;
        if (!f->left && f->state == DATA) {
            f->state = DATA_CR;
        } else if (!f->left) {
            next_request(f);
        }
    }
    *ret_n = at;
    return bad;
}

enum http_refusal http_frame_feed(struct http_frame *f, char *p, size_t n, size_t *ret_ready)
{
    size_t start = 0; /* of the request at hand, as far as it is here */
    size_t at = 0;
    while (at < n) {
        if (f->waits) {
            *ret_ready = start;
            return HTTP_REFUSE_NONE;
        }
        bool head = f->state == HEAD;
        size_t some = 0;
        enum http_refusal bad =
            head ? take_head(f, p + at, n - at, &some) : take_body(f, p + at, n - at, &some);
        if (bad || (head && !some)) {
            *ret_ready = start;
            return bad;
        }
        at += some;
        if (f->state == HEAD) {
            start = at;
        }
    }
    *ret_ready = n;
    return HTTP_REFUSE_NONE;
}
