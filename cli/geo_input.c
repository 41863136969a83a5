#include "cli/geo_input.h"

#include <ctype.h>
#include <errno.h>
#include <unistd.h>

#include "common/banned.h"

#define ROOM (4u * GEO_INPUT_LINE_MAX)

static bool in_address(char c)
{
    return isxdigit((unsigned char)c) || c == '.' || c == ':';
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == ':' || c == '_' || (unsigned char)c >= 0x80;
}

/* A word that starts here can be an address: not Chrome/120.0.0.0, but http://192.0.2.1/. */
static bool may_start(struct cdn_str line, size_t at)
{
    if (at == 0)
        return true;
    char before = line.p[at - 1];
    if (before == '/')
        return at >= 2 && line.p[at - 2] == '/';
    return !in_word(before) && before != '-';
}

static bool parse_word(struct cdn_str word, struct cdn_addr *ret)
{
    size_t dots = 0, colons = 0, last_colon = 0;
    while (word.n > 2 &&
           (word.p[word.n - 1] == '.' || (word.p[word.n - 1] == ':' && word.p[word.n - 2] != ':')))
        word.n--; /* the end of a sentence, "192.0.2.1: refused" */
    for (size_t i = 0; i < word.n; i++) {
        dots += word.p[i] == '.';
        if (word.p[i] == ':') {
            colons++;
            last_colon = i;
        }
    }
    if (colons == 1 && dots == 3)
        word.n = last_colon; /* with a port */
    if (word.n < 3 || (dots != 3 && colons < 2))
        return false;
    return cdn_parse_ip(word, ret);
}

bool geo_input_next_address(struct cdn_str line, size_t *at, struct cdn_addr *ret)
{
    for (size_t i = *at; i < line.n; i++) {
        if (!in_address(line.p[i]) || !may_start(line, i))
            continue;
        size_t end = i;
        while (end < line.n && in_address(line.p[end]))
            end++;
        bool whole = end == line.n || !in_word(line.p[end]);
        if (whole && parse_word((struct cdn_str){line.p + i, end - i}, ret)) {
            *at = end;
            return true;
        }
        while (end < line.n && in_word(line.p[end]))
            end++;
        i = end;
    }
    *at = line.n;
    return false;
}

void geo_reader_init(struct geo_reader *reader, int fd, void (*before_read)(void *self), void *self)
{
    *reader =
        (struct geo_reader){.fd = fd, .bytes = cdn_malloc(ROOM), .before_read = before_read, .self = self};
}

void geo_reader_fini(struct geo_reader *reader)
{
    free(reader->bytes);
    reader->bytes = NULL;
}

/* Reads more behind what is there; `at_end` when there is no more. */
static enum cdn_status fill(struct geo_reader *r, struct cdn_error *err)
{
    memmove(r->bytes, r->bytes + r->from, r->n - r->from);
    r->n -= r->from;
    r->from = 0;
    r->before_read(r->self);
    ssize_t got;
    do
        got = read(r->fd, r->bytes + r->n, ROOM - r->n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return cdn_error_set(err, CDN_IO, "standard input: %s", strerror(errno));
    r->at_end = got == 0;
    r->n += (size_t)got;
    return CDN_OK;
}

enum cdn_status geo_reader_line(struct geo_reader *r, struct cdn_str *ret, struct cdn_error *err)
{
    bool too_long = false;
    for (;;) {
        const char *start = r->bytes + r->from, *end = memchr(start, '\n', r->n - r->from);
        size_t n = end ? (size_t)(end - start) : r->n - r->from;
        if (end || (r->at_end && n > 0)) {
            r->from += n + (end ? 1 : 0);
            r->line++;
            if (too_long || n > GEO_INPUT_LINE_MAX)
                return cdn_error_set(err, CDN_TOO_LARGE, "longer than %u bytes", GEO_INPUT_LINE_MAX);
            *ret = (struct cdn_str){start, n > 0 && start[n - 1] == '\r' ? n - 1 : n};
            return CDN_OK;
        }
        if (r->at_end)
            return too_long ? (r->line++,
                               cdn_error_set(err, CDN_TOO_LARGE, "longer than %u bytes", GEO_INPUT_LINE_MAX))
                            : CDN_NOT_FOUND;
        if (n > GEO_INPUT_LINE_MAX) {
            too_long = true;
            r->from = r->n;
        }
        enum cdn_status status = fill(r, err);
        if (status)
            return status;
    }
}
