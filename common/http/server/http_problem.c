/* http_problem: see the header. Kept apart from sending, so that every spelling of Accept can be tested. */
#include "common/http/server/http_problem.h"

#include "common/mem.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define RANGES_MAX 64 /* of an Accept field that is looked at */

/* The weight of a media range in thousandths; malformed ones count as 1. */
static unsigned weight_of(struct cdn_str parameters)
{
    while (parameters.p) {
        struct cdn_str value = cdn_str_trim(cdn_str_cut(&parameters, ';'));
        struct cdn_str name = cdn_str_trim(cdn_str_cut(&value, '='));
        value = value.p ? cdn_str_trim(value) : value;
        if (!cdn_str_eq_nocase(name, CDN_STR("q")) || !value.p || !value.n ||
            (value.p[0] != '0' && value.p[0] != '1')) {
            continue;
        }
        unsigned weight = value.p[0] == '1' ? 1000 : 0, digit = 100;
        for (size_t i = 2; i < value.n && weight < 1000 && digit; i++, digit /= 10) {
            weight += value.p[i] >= '0' && value.p[i] <= '9' ? (unsigned)(value.p[i] - '0') * digit : 0;
        }
        return weight;
    }
    return 1000;
}

bool http_problem_wants_html(struct cdn_str accept)
{
    unsigned html = 0, json = 0;
    for (unsigned i = 0; accept.p && i < RANGES_MAX; i++) {
        struct cdn_str parameters = cdn_str_cut(&accept, ',');
        struct cdn_str range = cdn_str_trim(cdn_str_cut(&parameters, ';'));
        unsigned weight = weight_of(parameters);
        if (cdn_str_eq_nocase(range, CDN_STR("text/html"))) {
            html = weight > html ? weight : html;
        } else if (cdn_str_eq_nocase(range, CDN_STR("application/json")) ||
                   cdn_str_eq_nocase(range, CDN_STR("application/problem+json"))) {
            json = weight > json ? weight : json;
        }
    }
    return html > json;
}

static void add_escaped(struct cdn_buf *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            cdn_buf_add_str(out, CDN_STR("&lt;"));
            break;
        case '>':
            cdn_buf_add_str(out, CDN_STR("&gt;"));
            break;
        case '&':
            cdn_buf_add_str(out, CDN_STR("&amp;"));
            break;
        case '"':
            cdn_buf_add_str(out, CDN_STR("&quot;"));
            break;
        case '\'':
            cdn_buf_add_str(out, CDN_STR("&#39;"));
            break;
        default:
            cdn_buf_add_char(out, (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
        }
    }
}

/* What a name in braces at the beginning of `s` stands for; its length, 0: it is none. */
static size_t fill_one(const struct http_problem_page *page, struct cdn_str s, struct cdn_buf *out)
{
    char status[16];
    snprintf(status, sizeof(status), "%u", page->status);
    const struct {
        struct cdn_str name, value;
    } places[] = {
        {CDN_STR("{status}"), cdn_str(status)},
        {CDN_STR("{reason}"), cdn_str(MHD_get_reason_phrase_for(page->status))},
        {CDN_STR("{detail}"), cdn_str(page->detail)},
        {CDN_STR("{request_id}"), page->request_id},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(places); i++) {
        if (cdn_str_starts(s, places[i].name)) {
            CDN_AUTOFREE char *text = cdn_str_dup(places[i].value);
            add_escaped(out, text);
            return places[i].name.n;
        }
    }
    return 0;
}

void http_problem_fill(const struct http_problem_page *page, struct cdn_buf *out)
{
    for (struct cdn_str rest = page->text; rest.n;) {
        const char *brace = memchr(rest.p, '{', rest.n);
        const size_t before = brace ? (size_t)(brace - rest.p) : rest.n;
        cdn_buf_add(out, rest.p, before);
        rest = cdn_str_sub(rest, before);
        const size_t n = rest.n ? fill_one(page, rest, out) : 0;
        if (rest.n && !n) {
            cdn_buf_add_char(out, '{');
        }
        rest = cdn_str_sub(rest, n ? n : 1);
    }
}

static void write_html(unsigned status, const char *title, const char *detail, struct cdn_buf *out)
{
    cdn_buf_printf(out,
                   "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"color-scheme\" content=\"light dark\">\n<title>%u %s</title>\n"
                   "<h1>%u %s</h1>\n",
                   status, title, status, title);
    if (detail) {
        cdn_buf_add_str(out, CDN_STR("<p>"));
        add_escaped(out, detail);
        cdn_buf_add_str(out, CDN_STR("</p>\n"));
    }
    cdn_buf_add_str(out, CDN_STR("</html>\n"));
}

static void write_json(unsigned status, const char *title, const char *detail, struct cdn_buf *out)
{
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s*}", "type", "about:blank", "title", title, "status",
                                (int)status, "detail", detail);
    if (!problem) { /* a detail that is not UTF-8 */
        problem = json_pack("{s:s, s:s, s:i}", "type", "about:blank", "title", title, "status", (int)status);
    }
    CDN_AUTOFREE char *text = json_dumps(problem, JSON_COMPACT);
    json_decref(problem);
    cdn_buf_add_str(out, cdn_str(text));
}

const char *http_problem_write(bool html, unsigned status, const char *detail, struct cdn_buf *out)
{
    const char *title = MHD_get_reason_phrase_for(status);
    (html ? write_html : write_json)(status, title, detail, out);
    return html ? "text/html; charset=utf-8" : "application/problem+json";
}

void http_problem_answer(unsigned status, const char *detail, struct cdn_buf *out)
{
    CDN_AUTOBUF struct cdn_buf body = {0};
    const char *type = http_problem_write(false, status, detail, &body);
    cdn_buf_printf(out,
                   "HTTP/1.1 %u %s\r\nConnection: close\r\nCache-Control: no-store\r\n"
                   "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                   status, MHD_get_reason_phrase_for(status), type, body.n);
    cdn_buf_add_str(out, cdn_buf_str(&body));
}
