/* access_format: a line is put together by hand, since it is written for every request and printf
 * would be most of its cost. The three formats share how they escape and differ in a prefix, so
 * none of them can be forgotten when that changes. */
#include "edge/log/access_format.h"

#include "common/http/syntax/http_forwarded.h"
#include "common/mem.h"
#include "edge/semantics/cause.h"

#include <time.h>

#include "common/banned.h"

static const uint16_t text_max[] = {
#define X(name, max) max,
    EDGE_ACCESS_TEXTS(X)
#undef X
};

size_t edge_access_text_max(enum edge_access_text text)
{
    return text_max[text];
}

static struct cdn_str text_of(const struct edge_access_record *r, enum edge_access_text which)
{
    size_t at = 0;
    for (unsigned i = 0; i < (unsigned)which; i++) {
        at += r->text_n[i];
    }
    return (struct cdn_str){r->text + at, r->text_n[which]};
}

/* ---- pieces; printf would be most of the cost of a line ---- */

static void add_padded(struct cdn_buf *b, int n, int width)
{
    for (int power = width == 4 ? 1000 : width == 3 ? 100 : 10; power; power /= 10) {
        cdn_buf_add_char(b, (char)('0' + n / power % 10));
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void add_escaped(struct cdn_buf *b, struct cdn_str s, struct cdn_str prefix)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < s.n;) {
        size_t run = i;
        while (run < s.n && is_plain((unsigned char)s.p[run])) {
            run++;
        }
        cdn_buf_add(b, s.p + i, run - i);
        if (run < s.n) {
            const unsigned char c = (unsigned char)s.p[run];
            if (c == '"' || c == '\\') {
                const char pair[] = {'\\', (char)c};
                cdn_buf_add(b, pair, 2);
            } else {
                const char digits[] = {hex[c >> 4], hex[c & 15]};
                cdn_buf_add_str(b, prefix);
                cdn_buf_add(b, digits, 2);
            }
            run++;
        }
        i = run;
    }
}

static void add_client(struct cdn_buf *b, const struct edge_access_record *r)
{
    char text[CDN_ADDR_TEXT_SIZE] = "-"; /* nobody: a trusted proxy named none */
    if (http_forwarded_is_known(&r->client)) {
        cdn_addr_format_ip(&r->client, text);
    }
    cdn_buf_add_str(b, cdn_str(text));
}

static const char *verdict_of(const struct edge_access_record *r)
{
    return r->verdict < EDGE_VERDICT_COUNT ? edge_verdict_text((enum edge_verdict)r->verdict) : "REFUSED";
}

/* ---- JSON ---- */

static void add_json_key(struct cdn_buf *b, struct cdn_str key)
{
    if (b->p[b->n - 1] != '{') { /* values end otherwise */
        cdn_buf_add_char(b, ',');
    }
    cdn_buf_add_char(b, '"');
    cdn_buf_add_str(b, key);
    cdn_buf_add_str(b, CDN_STR("\":"));
}

static void add_json_text(struct cdn_buf *b, struct cdn_str key, struct cdn_str value)
{
    add_json_key(b, key);
    cdn_buf_add_char(b, '"');
    add_escaped(b, value, CDN_STR("\\u00"));
    cdn_buf_add_char(b, '"');
}

static void add_json_number(struct cdn_buf *b, struct cdn_str key, uint64_t n)
{
    add_json_key(b, key);
    cdn_buf_add_uint(b, n);
}

static void add_json_true(struct cdn_buf *b, struct cdn_str key, bool is)
{
    if (is) {
        add_json_key(b, key);
        cdn_buf_add_str(b, CDN_STR("true"));
    }
}

static void add_json_time(struct cdn_buf *b, int64_t ms)
{
    struct tm t;
    const time_t s = (time_t)(ms / 1000);
    gmtime_r(&s, &t);
    const int parts[] = {t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,       t.tm_hour,
                         t.tm_min,         t.tm_sec,     (int)(ms % 1000)};
    add_json_key(b, CDN_STR("time"));
    for (size_t i = 0; i < CDN_ARRAY_LEN(parts); i++) {
        cdn_buf_add_char(b, "\"--T::."[i]);
        add_padded(b, parts[i], i == 0 ? 4 : i == 6 ? 3 : 2);
    }
    cdn_buf_add_str(b, CDN_STR("Z\""));
}

static void add_json_optional(struct cdn_buf *b, const struct edge_access_record *r, struct cdn_str key,
                              enum edge_access_text which)
{
    struct cdn_str value = text_of(r, which);
    if (value.n) {
        add_json_text(b, key, value);
    }
}

/* Always there: time to edge; the others only when they say something. */
static void add_json(const struct edge_access_record *r, struct cdn_str edge, struct cdn_buf *b)
{
    cdn_buf_add_char(b, '{');
    add_json_time(b, r->time_ms);
    add_json_key(b, CDN_STR("client"));
    cdn_buf_add_char(b, '"');
    add_client(b, r);
    cdn_buf_add_char(b, '"');
    add_json_text(b, CDN_STR("method"), text_of(r, EDGE_ACCESS_TEXT_method));
    add_json_text(b, CDN_STR("scheme"), r->secure ? CDN_STR("https") : CDN_STR("http"));
    add_json_text(b, CDN_STR("host"), text_of(r, EDGE_ACCESS_TEXT_host));
    add_json_text(b, CDN_STR("target"), text_of(r, EDGE_ACCESS_TEXT_target));
    add_json_number(b, CDN_STR("status"), r->status);
    add_json_number(b, CDN_STR("bytes"), r->bytes);
    add_json_number(b, CDN_STR("duration_us"), r->duration_us);
    add_json_text(b, CDN_STR("verdict"), cdn_str(verdict_of(r)));
    add_json_text(b, CDN_STR("cause"), cdn_str(edge_cause_word((enum edge_cause)r->cause)));
    add_json_text(b, CDN_STR("edge"), edge);
    if (r->origin_us >= 0) {
        add_json_number(b, CDN_STR("origin_us"), (uint64_t)r->origin_us);
    }
    if (r->fwd_status) {
        add_json_number(b, CDN_STR("fwd_status"), r->fwd_status);
    }
    add_json_true(b, CDN_STR("stored"), r->stored);
    add_json_true(b, CDN_STR("collapsed"), r->collapsed);
    add_json_true(b, CDN_STR("aborted"), r->aborted);
    add_json_optional(b, r, CDN_STR("range"), EDGE_ACCESS_TEXT_range);
    add_json_optional(b, r, CDN_STR("trace"), EDGE_ACCESS_TEXT_trace);
    add_json_optional(b, r, CDN_STR("request_id"), EDGE_ACCESS_TEXT_request_id);
    add_json_optional(b, r, CDN_STR("referer"), EDGE_ACCESS_TEXT_referer);
    add_json_optional(b, r, CDN_STR("user_agent"), EDGE_ACCESS_TEXT_agent);
    cdn_buf_add_str(b, CDN_STR("}\n"));
}

/* ---- Common Log Format, and Combined ---- */

static void add_clf_time(struct cdn_buf *b, int64_t ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    const time_t s = (time_t)(ms / 1000);
    gmtime_r(&s, &t);
    cdn_buf_add_str(b, CDN_STR(" - - ["));
    add_padded(b, t.tm_mday, 2);
    cdn_buf_add_char(b, '/');
    cdn_buf_add(b, months + (size_t)t.tm_mon * 3, 3);
    cdn_buf_add_char(b, '/');
    add_padded(b, t.tm_year + 1900, 4);
    const int parts[] = {t.tm_hour, t.tm_min, t.tm_sec};
    for (size_t i = 0; i < CDN_ARRAY_LEN(parts); i++) {
        cdn_buf_add_char(b, ':');
        add_padded(b, parts[i], 2);
    }
    cdn_buf_add_str(b, CDN_STR(" +0000] \""));
}

static void add_clf_text(const struct edge_access_record *r, enum edge_access_text which, struct cdn_buf *b)
{
    struct cdn_str value = text_of(r, which);
    cdn_buf_add_str(b, CDN_STR(" \""));
    add_escaped(b, value.n ? value : CDN_STR("-"), CDN_STR("\\x"));
    cdn_buf_add_char(b, '"');
}

static void add_clf(const struct edge_access_record *r, bool combined, struct cdn_buf *b)
{
    add_client(b, r);
    add_clf_time(b, r->time_ms);
    add_escaped(b, text_of(r, EDGE_ACCESS_TEXT_method), CDN_STR("\\x"));
    cdn_buf_add_char(b, ' ');
    add_escaped(b, text_of(r, EDGE_ACCESS_TEXT_target), CDN_STR("\\x"));
    cdn_buf_add_str(b, r->http10 ? CDN_STR(" HTTP/1.0\" ") : CDN_STR(" HTTP/1.1\" "));
    add_padded(b, r->status, 3);
    cdn_buf_add_char(b, ' ');
    if (r->bytes) {
        cdn_buf_add_uint(b, r->bytes);
    } else {
        cdn_buf_add_char(b, '-');
    }
    if (combined) {
        add_clf_text(r, EDGE_ACCESS_TEXT_referer, b);
        add_clf_text(r, EDGE_ACCESS_TEXT_agent, b);
    }
    cdn_buf_add_char(b, '\n');
}

void edge_access_line(const struct edge_access_record *r, enum edge_access_format format, struct cdn_str edge,
                      struct cdn_buf *into)
{
    if (format == EDGE_ACCESS_JSON) {
        add_json(r, edge, into);
    } else {
        add_clf(r, format == EDGE_ACCESS_COMBINED, into);
    }
}
