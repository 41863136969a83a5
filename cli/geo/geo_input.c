/* geo_input: finding addresses in text by looking at what may begin one and only then parsing:
 * nearly all bytes of a log are none. What an address must not be (a version, a time, a hash) is
 * ruled out by its neighbours. */
#include "cli/geo/geo_input.h"

#include "common/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define ROOM (4u * GEO_INPUT_LINE_MAX)
#define READ_MAX (256u << 10)

/* ---- words ---- */

/* Bytes of the mark beyond ASCII at `s` that parts words (quotes, dashes, blanks, a BOM; also the single
 * bytes of Windows-1252); 0 for letters. */
static size_t mark_length(struct cdn_str s)
{
    unsigned char c = (unsigned char)s.p[0], second = s.n > 1 ? (unsigned char)s.p[1] : 0,
                  third = s.n > 2 ? (unsigned char)s.p[2] : 0;
    if (c < 0xc2) {
        return 1; /* no beginning of a letter in UTF-8 */
    }
    if (second >> 6 != 2) {
        return 1; /* not UTF-8 */
    }
    if (c == 0xc2) {
        return 2; /* U+0080 to U+00BF */
    }
    if ((c == 0xe2 && (second == 0x80 || second == 0x81)) || (c == 0xe3 && second == 0x80) ||
        (c == 0xef && ((second == 0xbb && third == 0xbf) ||
                       (second == 0xbc && (third < 0x90 || (third > 0x99 && third < 0xa1)))))) {
        return s.n < 3 ? s.n : 3; /* general and CJK punctuation, BOM, full-width marks */
    }
    return 0;
}

static bool is_ascii_word(char c)
{
    static const bool is[128] = {
        ['.'] = 1, [':'] = 1, ['_'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1,
        ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1,
        ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
        ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1,
        ['x'] = 1, ['y'] = 1, ['z'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1,
        ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1,
        ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
        ['Y'] = 1, ['Z'] = 1};
    return (unsigned char)c < 128 && is[(unsigned char)c];
}

/* Bytes of the letter at `s` that belongs to a word; 0 where a word ends. */
static size_t word_length(struct cdn_str s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x80) {
        return is_ascii_word(s.p[0]);
    }
    if (mark_length(s)) {
        return 0;
    }
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n < s.n ? n : s.n;
}

static size_t word_end(struct cdn_str line, size_t at)
{
    while (at < line.n && is_ascii_word(line.p[at])) {
        at++;
    }
    if (at == line.n || (unsigned char)line.p[at] < 0x80) {
        return at;
    }
    for (size_t n; at < line.n && (n = word_length(cdn_str_sub(line, at))) > 0;) {
        at += n;
    }
    return at;
}

/* Bytes to pass over where no word is; an escape (%2C, \n) is passed over whole. */
static size_t gap_length(struct cdn_str s)
{
    if ((unsigned char)s.p[0] >= 0x80) {
        return mark_length(s);
    }
    if (s.p[0] == '%' && s.n > 2 && isxdigit((unsigned char)s.p[1]) && isxdigit((unsigned char)s.p[2])) {
        return 3;
    }
    if (s.p[0] == '\\' && s.n > 1 && (s.p[1] == 'n' || s.p[1] == 'r' || s.p[1] == 't')) {
        return 2;
    }
    return 1;
}

/* ---- addresses ---- */

static bool is_port(struct cdn_str text)
{
    uint64_t port;
    return text.n <= 5 && cdn_parse_u64(text, &port) && port <= 65535;
}

/* Eight groups of two digits: the identifier of a network card. */
static bool is_eui64(struct cdn_str text)
{
    if (text.n != 23) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        if ((text.p[i] == ':') != (i % 3 == 2)) {
            return false;
        }
    }
    return true;
}

/* With or without a port: 192.0.2.1:443, 2001:db8:0:0:0:0:0:1:443. Where both can be meant (2001:db8::1:443)
 * it is an address without one. */
static bool plain_address(struct cdn_str word, struct cdn_addr *ret)
{
    size_t dots = 0, colons = 0, last_colon = 0;
    for (size_t i = 0; i < word.n; i++) {
        dots += word.p[i] == '.';
        if (word.p[i] == ':') {
            colons++;
            last_colon = i;
        }
    }
    if (dots != 3 && (dots > 0 || colons < 2)) {
        return false;
    }
    if (word.n < 3 || is_eui64(word)) {
        return false;
    }
    struct cdn_str host = {word.p, last_colon};
    if (colons == 1) {
        return cdn_parse_ip(host, ret);
    }
    return cdn_parse_ip(word, ret) ||
           (colons > 1 && is_port(cdn_str_sub(word, last_colon + 1)) && cdn_parse_ip(host, ret));
}

static bool is_hex(struct cdn_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (!isxdigit((unsigned char)text.p[i])) {
            return false;
        }
    }
    return true;
}

/* rv:1.9.2.13, "version": "1.2.3.4", app_version=1.2.3.4 */
static bool is_version_key(struct cdn_str key)
{
    static const char *const whole[] = {"rv", "v", "ver", "build", "release", "revision"};
    struct cdn_str end = CDN_STR("version");
    if (key.n >= end.n && cdn_str_same_nocase(key.p + key.n - end.n, end.p, end.n)) {
        return true;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(whole); i++) {
        if (cdn_str_eq_nocase(key, cdn_str(whole[i]))) {
            return true;
        }
    }
    return false;
}

/* The word before a ':' or '=', with quotes and blanks between. */
static struct cdn_str key_before(struct cdn_str line, size_t at)
{
    bool is_key = false;
    for (; at > 0 && strchr("\"' :=", line.p[at - 1]) && line.p[at - 1]; at--) {
        is_key = is_key || line.p[at - 1] == ':' || line.p[at - 1] == '=';
    }
    size_t end = at;
    while (is_key && at > 0 && (isalnum((unsigned char)line.p[at - 1]) || line.p[at - 1] == '_')) {
        at--;
    }
    return (struct cdn_str){line.p + at, end - at};
}

/* The address of a word, which a key may stand before: "client:192.0.2.1". */
static bool word_address(struct cdn_str word, struct cdn_addr *ret)
{
    while (word.n > 0 && (word.p[word.n - 1] == '.' ||
                          (word.p[word.n - 1] == ':' && (word.n < 2 || word.p[word.n - 2] != ':')))) {
        word.n--; /* the end of a sentence, "192.0.2.1: refused" */
    }
    for (bool ipv4_only = false;;) {
        while (word.n > 0 && (word.p[0] == '.' || (word.p[0] == ':' && (word.n < 2 || word.p[1] != ':')))) {
            word = cdn_str_sub(word, 1);
        }
        if (plain_address(word, ret) && (!ipv4_only || ret->sa.sa_family == AF_INET)) {
            return true;
        }
        struct cdn_str rest = word, key = cdn_str_cut(&rest, ':');
        if (!rest.p || is_version_key(key)) {
            return false;
        }
        ipv4_only = ipv4_only || is_hex(key);
        word = rest;
    }
}

/* A word that starts here can be an address: not Chrome/120.0.0.0, but http://192.0.2.1/, [/192.0.2.1:80] and
 * host/192.0.2.1:80 (Java). `from`: after the address before, so that a range has two. */
static bool may_start(struct cdn_str line, size_t at, size_t end, size_t from)
{
    if (at == 0) {
        return true;
    }
    char before = line.p[at - 1];
    if (before == '-') {
        return at - 1 == from && from > 0;
    }
    if (before != '/') {
        return true;
    }
    char first = at >= 2 ? line.p[at - 2] : ' ';
    if (!isalnum((unsigned char)first) && !strchr(".-_)", first)) {
        return true;
    }
    const char *colon = memchr(line.p + at, ':', end - at);
    return colon && is_port((struct cdn_str){colon + 1, (size_t)(line.p + end - colon - 1)});
}

bool geo_input_next_address(struct cdn_str line, size_t *at, struct cdn_addr *ret)
{
    size_t from = *at;
    for (size_t i = from; i < line.n;) {
        size_t end = word_end(line, i);
        if (end == i) {
            i += gap_length(cdn_str_sub(line, i));
            continue;
        }
        struct cdn_str word = {line.p + i, end - i};
        bool may =
            (memchr(word.p, '.', word.n) || memchr(word.p, ':', word.n)) && may_start(line, i, end, from);
        if (may && word_address(word, ret) && !is_version_key(key_before(line, i))) {
            *at = end;
            return true;
        }
        i = end;
    }
    *at = line.n;
    return false;
}

/* ---- lines ---- */

const char *geo_input_hint(const char *bytes, size_t n)
{
    static const struct {
        const char *magic;
        size_t n;
        const char *text;
    } kinds[] = {
#define KIND(magic, text) {magic, sizeof(magic) - 1, text}
        KIND("\x1f\x8b", "is compressed with gzip: pipe it through 'gzip -dc'"),
        KIND("\x28\xb5\x2f\xfd", "is compressed with zstd: pipe it through 'zstd -dc'"),
        KIND("BZh", "is compressed with bzip2: pipe it through 'bzip2 -dc'"),
        KIND("\xfd"
             "7zXZ\0",
             "is compressed with xz: pipe it through 'xz -dc'"),
        KIND("\x04\x22\x4d\x18", "is compressed with lz4: pipe it through 'lz4 -dc'"),
        KIND("PK\3\4", "is a zip archive: pipe it through 'unzip -p FILE.zip |'"),
        KIND("\xff\xfe", "is UTF-16: pipe it through 'iconv -f UTF-16 -t UTF-8'"),
        KIND("\xfe\xff", "is UTF-16: pipe it through 'iconv -f UTF-16 -t UTF-8'"),
#undef KIND
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(kinds); i++) {
        if (n >= kinds[i].n && memcmp(bytes, kinds[i].magic, kinds[i].n) == 0) {
            return kinds[i].text;
        }
    }
    size_t even = 0, odd = 0, looked = n < 64 ? n : 64;
    for (size_t i = 0; i < looked; i++) {
        *(i % 2 ? &odd : &even) += bytes[i] == '\0';
    }
    bool is_le = odd == looked / 2 && even == 0, is_be = even == (looked + 1) / 2 && odd == 0;
    if (looked < 8 || (!is_le && !is_be)) {
        return NULL;
    }
    return is_le ? "is UTF-16: pipe it through 'iconv -f UTF-16LE -t UTF-8'"
                 : "is UTF-16: pipe it through 'iconv -f UTF-16BE -t UTF-8'";
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

/* Says what the input is when it is no text, and passes over a BOM. */
static enum cdn_status look_at_start(struct geo_reader *r, struct cdn_error *err)
{
    if (r->n < 64 && !r->at_end) {
        return CDN_OK; /* more may come */
    }
    r->is_looked_at = true;
    const char *hint = geo_input_hint(r->bytes, r->n);
    if (hint) {
        return cdn_error_set(err, CDN_INVALID, "the input %s", hint);
    }
    if (r->n >= 3 && memcmp(r->bytes, "\xef\xbb\xbf", 3) == 0) {
        r->from = 3;
    }
    return CDN_OK;
}

/* Reads more after what is there; `at_end` when there is no more. */
static enum cdn_status fill(struct geo_reader *r, struct cdn_error *err)
{
    memmove(r->bytes, r->bytes + r->from, r->n - r->from);
    r->n -= r->from;
    r->from = 0;
    if (r->before_read) {
        r->before_read(r->self);
    }
    ssize_t got;
    do {
        got = read(r->fd, r->bytes + r->n, ROOM - r->n < READ_MAX ? ROOM - r->n : READ_MAX);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return cdn_error_set(err, CDN_IO, "%s", strerror(errno));
    }
    r->at_end = got == 0;
    r->n += (size_t)got;
    return r->is_looked_at ? CDN_OK : look_at_start(r, err);
}

enum cdn_status geo_reader_line(struct geo_reader *r, struct cdn_str *ret, struct cdn_error *err)
{
    bool too_long = false;
    while (!r->is_looked_at) {
        enum cdn_status status = fill(r, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    for (;;) {
        const char *start = r->bytes + r->from, *end = memchr(start, '\n', r->n - r->from);
        size_t n = end ? (size_t)(end - start) : r->n - r->from;
        if (end || (r->at_end && n > 0)) {
            r->from += n + (end ? 1 : 0);
            r->line++;
            if (too_long || n > GEO_INPUT_LINE_MAX) {
                return cdn_error_set(err, CDN_TOO_LARGE, "longer than %u bytes", GEO_INPUT_LINE_MAX);
            }
            *ret = (struct cdn_str){start, n > 0 && start[n - 1] == '\r' ? n - 1 : n};
            return CDN_OK;
        }
        if (r->at_end) {
            return too_long ? (r->line++,
                               cdn_error_set(err, CDN_TOO_LARGE, "longer than %u bytes", GEO_INPUT_LINE_MAX))
                            : CDN_NOT_FOUND;
        }
        if (n > GEO_INPUT_LINE_MAX) {
            too_long = true;
            r->from = r->n;
        }
        enum cdn_status status = fill(r, err);
        if (status != CDN_OK) {
            return status;
        }
    }
}
