/* http_server_check: checks by a table of byte classes where libmicrohttpd and the RFC disagree.
 * Each refusal is a row, so that the status, the sentence and the tests come from one line. */
#include "common/http/syntax/http_server_check.h"

#include "common/parse.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

static const struct {
    unsigned status;
    const char *detail;
} refusals[] = {
#define X(name, status, detail) {status, detail},
    HTTP_REFUSALS(X)
#undef X
};

unsigned http_refusal_status(enum http_refusal r)
{
    return refusals[r].status;
}

const char *http_refusal_detail(enum http_refusal r)
{
    return refusals[r].detail;
}

enum { TOKEN = 1, HOST = 2, HEX = 4 }; /* character classes */

/* TOKEN: tchar (RFC 9110 5.6.2). HOST: unreserved and sub-delims (RFC 3986 3.2.2), without '%'. */
#define BOTH(c) [c] = TOKEN | HOST
#define ALL(c) [c] = TOKEN | HOST | HEX
static const unsigned char classes[256] = {['!'] = TOKEN | HOST,
                                           ['#'] = TOKEN,
                                           ['$'] = TOKEN | HOST,
                                           ['%'] = TOKEN,
                                           ['&'] = TOKEN | HOST,
                                           ['\''] = TOKEN | HOST,
                                           ['('] = HOST,
                                           [')'] = HOST,
                                           ['*'] = TOKEN | HOST,
                                           ['+'] = TOKEN | HOST,
                                           [','] = HOST,
                                           ['-'] = TOKEN | HOST,
                                           ['.'] = TOKEN | HOST,
                                           [';'] = HOST,
                                           ['='] = HOST,
                                           ['^'] = TOKEN,
                                           ['_'] = TOKEN | HOST,
                                           ['`'] = TOKEN,
                                           ['|'] = TOKEN,
                                           ['~'] = TOKEN | HOST,
                                           ALL('0'),
                                           ALL('1'),
                                           ALL('2'),
                                           ALL('3'),
                                           ALL('4'),
                                           ALL('5'),
                                           ALL('6'),
                                           ALL('7'),
                                           ALL('8'),
                                           ALL('9'),
                                           ALL('A'),
                                           ALL('B'),
                                           ALL('C'),
                                           ALL('D'),
                                           ALL('E'),
                                           ALL('F'),
                                           ALL('a'),
                                           ALL('b'),
                                           ALL('c'),
                                           ALL('d'),
                                           ALL('e'),
                                           ALL('f'),
                                           BOTH('G'),
                                           BOTH('H'),
                                           BOTH('I'),
                                           BOTH('J'),
                                           BOTH('K'),
                                           BOTH('L'),
                                           BOTH('M'),
                                           BOTH('N'),
                                           BOTH('O'),
                                           BOTH('P'),
                                           BOTH('Q'),
                                           BOTH('R'),
                                           BOTH('S'),
                                           BOTH('T'),
                                           BOTH('U'),
                                           BOTH('V'),
                                           BOTH('W'),
                                           BOTH('X'),
                                           BOTH('Y'),
                                           BOTH('Z'),
                                           BOTH('g'),
                                           BOTH('h'),
                                           BOTH('i'),
                                           BOTH('j'),
                                           BOTH('k'),
                                           BOTH('l'),
                                           BOTH('m'),
                                           BOTH('n'),
                                           BOTH('o'),
                                           BOTH('p'),
                                           BOTH('q'),
                                           BOTH('r'),
                                           BOTH('s'),
                                           BOTH('t'),
                                           BOTH('u'),
                                           BOTH('v'),
                                           BOTH('w'),
                                           BOTH('x'),
                                           BOTH('y'),
                                           BOTH('z')};
#undef BOTH
#undef ALL

static bool is(char c, unsigned char class)
{
    return classes[(unsigned char)c] & class;
}

static bool all_are(const char *p, size_t n, unsigned char class)
{
    unsigned char all = class;
    for (size_t i = 0; i < n; i++) {
        all &= classes[(unsigned char)p[i]];
    }
    return all != 0;
}

bool http_check_token(struct cdn_str s)
{
    return s.n && all_are(s.p, s.n, TOKEN);
}

enum http_method http_method_parse(struct cdn_str name)
{
    static const char names[HTTP_OTHER][8] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",     [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
        [HTTP_TRACE] = "TRACE", [HTTP_PURGE] = "PURGE",   [HTTP_QUERY] = "QUERY"};
    for (unsigned m = 0; name.n < sizeof(names[0]) && m < HTTP_OTHER; m++) {
        if (memcmp(names[m], name.p, name.n) == 0 && names[m][name.n] == '\0') {
            return (enum http_method)m;
        }
    }
    return HTTP_OTHER;
}

#define EVERY_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Is one of the eight bytes below 0x20 or DEL? (Never a false 'no'; bytes above 0x7f are no match.) */
static bool word_has_control(uint64_t w)
{
    uint64_t low = (w - EVERY_BYTE(0x20)) & ~w;
    uint64_t del = w ^ EVERY_BYTE(0x7f);
    return ((low | ((del - EVERY_BYTE(0x01)) & ~del)) & EVERY_BYTE(0x80)) != 0;
}

static bool has_control(struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* Eight bytes at a time; a tab, which is allowed, makes it look again byte by byte. */
bool http_check_field_value(struct cdn_str s)
{
    uint64_t w;
    if (s.n < sizeof(w)) {
        return !has_control(s);
    }
    for (size_t i = 0; i < s.n; i += sizeof(w)) {
        memcpy(&w, s.p + (i + sizeof(w) <= s.n ? i : s.n - sizeof(w)), sizeof(w));
        if (word_has_control(w)) {
            return !has_control(s);
        }
    }
    return true;
}

static bool check_port(struct cdn_str s) /* ":" *DIGIT */
{
    if (s.n == 0) {
        return true;
    }
    if (s.p[0] != ':' || s.n > 6) {
        return false;
    }
    unsigned port = 0;
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        port = port * 10 + (unsigned)(s.p[i] - '0');
    }
    return port <= UINT16_MAX;
}

static bool check_ip_literal(struct cdn_str s) /* "[" IPv6address "]" */
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    return s.n > 2 && cdn_str_copy(text, sizeof(text), (struct cdn_str){s.p + 1, s.n - 2}) &&
           inet_pton(AF_INET6, text, &ignored) == 1;
}

static bool check_escaped_name(struct cdn_str s) /* with %41 */
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            if (s.n - i < 3 || !is(s.p[i + 1], HEX) || !is(s.p[i + 2], HEX)) {
                return false;
            }
            i += 2;
        } else if (!is(s.p[i], HOST)) {
            return false;
        }
    }
    return true;
}

bool http_check_host(struct cdn_str s)
{
    if (s.n && s.p[0] == '[') {
        ptrdiff_t end = cdn_str_find(s, ']');
        return end > 0 && check_ip_literal((struct cdn_str){s.p, (size_t)end + 1}) &&
               check_port(cdn_str_sub(s, (size_t)end + 1));
    }
    ptrdiff_t colon = cdn_str_find(s, ':');
    struct cdn_str name = {s.p, colon < 0 ? s.n : (size_t)colon};
    return name.n && (all_are(name.p, name.n, HOST) || check_escaped_name(name)) &&
           check_port(cdn_str_sub(s, name.n));
}

/* Visible ASCII only, no fragment. */
static enum http_refusal check_target_bytes(struct cdn_str target)
{
    bool visible = true;
    for (size_t i = 0; i < target.n; i++) {
        visible &= (unsigned char)(target.p[i] - '!') <= '~' - '!';
    }
    if (!visible) {
        return HTTP_REFUSE_TARGET;
    }
    return cdn_str_find(target, '#') >= 0 ? HTTP_REFUSE_FRAGMENT : HTTP_REFUSE_NONE;
}

static void split_query(struct cdn_str rest, struct http_target *ret)
{
    ret->path = cdn_str_cut(&rest, '?');
    ret->query = rest;
}

static bool is_scheme(struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool letter = (s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z';
        bool other = (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '+' || s.p[i] == '-' || s.p[i] == '.';
        if (!letter && (i == 0 || !other)) {
            return false;
        }
    }
    return s.n > 0;
}

static enum http_refusal check_absolute(enum http_method method, struct cdn_str target,
                                        struct http_target *ret)
{
    ptrdiff_t colon = cdn_str_find(target, ':');
    if (colon <= 0 || !is_scheme((struct cdn_str){target.p, (size_t)colon})) {
        return HTTP_REFUSE_TARGET;
    }
    struct cdn_str scheme = {target.p, (size_t)colon};
    if (!cdn_str_eq_nocase(scheme, CDN_STR("http")) && !cdn_str_eq_nocase(scheme, CDN_STR("https"))) {
        return HTTP_REFUSE_SCHEME;
    }
    struct cdn_str rest = cdn_str_sub(target, (size_t)colon);
    if (!cdn_str_starts(rest, CDN_STR("://"))) {
        return HTTP_REFUSE_TARGET;
    }
    rest = cdn_str_sub(rest, 3);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?') {
        n++;
    }
    ret->authority = (struct cdn_str){rest.p, n};
    if (!http_check_host(ret->authority)) {
        return HTTP_REFUSE_HOST_INVALID;
    }
    split_query(cdn_str_sub(rest, n), ret);
    if (ret->path.n == 0) { /* RFC 9112 3.2.4 for OPTIONS, RFC 9110 4.2.3 for the others */
        ret->path = method == HTTP_OPTIONS && !ret->query.p ? CDN_STR("*") : CDN_STR("/");
    }
    return HTTP_REFUSE_NONE;
}

bool http_path_has_dots(struct cdn_str path)
{
    while (path.p) {
        struct cdn_str segment = cdn_str_cut(&path, '/');
        unsigned dots = 0;
        while (segment.n) {
            const bool plain = segment.p[0] == '.';
            if (!plain && !(segment.n >= 3 && segment.p[0] == '%' && segment.p[1] == '2' &&
                            (segment.p[2] | 0x20) == 'e')) {
                break;
            }
            segment = cdn_str_sub(segment, plain ? 1 : 3);
            dots++;
        }
        if (!segment.n && (dots == 1 || dots == 2)) {
            return true;
        }
    }
    return false;
}

enum http_refusal http_check_target(enum http_method method, struct cdn_str target, struct http_target *ret)
{
    *ret = (struct http_target){0};
    enum http_refusal bad = check_target_bytes(target);
    if (bad) {
        return bad;
    }
    if (target.n && target.p[0] == '/') {
        split_query(target, ret);
        return HTTP_REFUSE_NONE;
    }
    if (cdn_str_eq(target, CDN_STR("*"))) {
        ret->path = target;
        return method == HTTP_OPTIONS ? HTTP_REFUSE_NONE : HTTP_REFUSE_TARGET;
    }
    return check_absolute(method, target, ret);
}

static enum http_refusal check_coding(struct cdn_str coding)
{
    if (cdn_str_eq_nocase(coding, CDN_STR("chunked"))) {
        return HTTP_REFUSE_NONE;
    }
    struct cdn_str last = {NULL, 0};
    bool unknown = false;
    for (struct cdn_str rest = coding; rest.p;) {
        last = cdn_str_trim(cdn_str_cut(&rest, ','));
        unknown |= !cdn_str_eq_nocase(last, CDN_STR("chunked"));
    }
    return unknown && cdn_str_eq_nocase(last, CDN_STR("chunked")) ? HTTP_REFUSE_CODING_UNKNOWN
                                                                  : HTTP_REFUSE_CODING_INVALID;
}

enum http_refusal http_check_framing(const struct http_framing *framing, int64_t *ret_length,
                                     bool *ret_chunked)
{
    *ret_length = -1;
    *ret_chunked = false;
    if (framing->coding_lines) {
        if (framing->length_lines) {
            return HTTP_REFUSE_LENGTH_AND_CODING;
        }
        if (framing->http10) {
            return HTTP_REFUSE_CODING_OLD;
        }
        *ret_chunked = true;
        return framing->coding_lines > 1 ? HTTP_REFUSE_CODING_INVALID : check_coding(framing->coding);
    }
    if (framing->length_lines > 1) {
        return HTTP_REFUSE_LENGTH_TWICE;
    }
    if (framing->length_lines) {
        uint64_t n;
        if (!cdn_parse_u64(framing->length, &n) || n > INT64_MAX) {
            return HTTP_REFUSE_LENGTH_INVALID;
        }
        *ret_length = (int64_t)n;
    }
    return HTTP_REFUSE_NONE;
}
