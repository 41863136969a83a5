/* key: one pass from left to right into the caller's buffer, which has an end; what does not fit
 * is an error and not a cut key, under which two URLs could meet. Parameters that are picked from
 * or sorted are first a list of slices, of PARAMETERS_MAX at most. */
#include "edge/semantics/key.h"

#include "common/http/syntax/http_path.h"
#include "common/mem.h"
#include "common/parse.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define PARAMETERS_MAX 256 /* of a query that is picked from or sorted */

static const struct {
    unsigned status;
    const char *text;
} errors[] = {
#define X(name, status, text) {status, text},
    EDGE_KEY_ERRORS(X)
#undef X
};

unsigned edge_key_error_status(enum edge_key_error e)
{
    return errors[e].status;
}

const char *edge_key_error_text(enum edge_key_error e)
{
    return errors[e].text;
}

struct writer {
    char *p;
    size_t n, room;
    bool full;
};

static void put(struct writer *w, const char *p, size_t n)
{
    if (n > w->room - w->n) {
        w->full = true;
        return;
    }
    memcpy(w->p + w->n, p, n);
    w->n += n;
}

static void put_char(struct writer *w, char c)
{
    put(w, &c, 1);
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* An IPv6 address in its one spelling (RFC 5952), in brackets; one that stands for IPv4 as IPv4. */
static bool put_ipv6(struct writer *w, struct cdn_str text)
{
    struct cdn_addr address;
    char canonical[CDN_ADDR_TEXT_SIZE];
    if (!cdn_parse_ip(text, &address)) {
        return false;
    }
    cdn_addr_format_ip(&address, canonical);
    const bool v6 = strchr(canonical, ':') != NULL;
    put(w, "[", v6);
    put(w, canonical, strlen(canonical));
    put(w, "]", v6);
    return true;
}

/* "[::1]" or a name; lower case, without the root's dot. false: no host. */
static bool put_host_name(struct writer *w, struct cdn_str name)
{
    if (name.n > 2 && name.p[0] == '[') {
        return name.p[name.n - 1] == ']' && put_ipv6(w, (struct cdn_str){name.p + 1, name.n - 2});
    }
    if (name.n > 1 && name.p[name.n - 1] == '.') {
        name.n--;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool empty_label = c == '.' && (i == 0 || i + 1 == name.n || name.p[i - 1] == '.');
        if (empty_label || (!is_alnum(c) && c != '-' && c != '.' && c != '_')) {
            return false;
        }
        put_char(w, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
    return name.n > 0 && name.n <= 255;
}

static bool put_host(struct writer *w, struct cdn_str host, bool secure)
{
    struct cdn_str name = host, port = {"", 0};
    uint64_t number = secure ? 443 : 80;
    char text[8];
    size_t i = host.n;
    while (i > 0 && host.p[i - 1] >= '0' && host.p[i - 1] <= '9') {
        i--;
    }
    if (i > 0 && host.p[i - 1] == ':') {
        name.n = i - 1;
        port = cdn_str_sub(host, i);
    }
    if (!put_host_name(w, name) || (port.n > 0 && (!cdn_parse_u64(port, &number) || number > 65535))) {
        return false;
    }
    if (number != (secure ? 443u : 80u)) {
        put(w, text, (size_t)snprintf(text, sizeof(text), ":%u", (unsigned)number));
    }
    return true;
}

static enum edge_key_error put_encoded(struct writer *w, struct cdn_str s)
{
    size_t n = 0;
    switch (http_encoding_write(s, w->p + w->n, w->room - w->n, &n)) {
    case HTTP_ENCODING_BYTE:
        return EDGE_KEY_PATH;
    case HTTP_ENCODING_PERCENT:
        return EDGE_KEY_PERCENT;
    case HTTP_ENCODING_OK:
        break;
    }
    if (n > w->room - w->n) {
        w->full = true;
    } else {
        w->n += n;
    }
    return EDGE_KEY_OK;
}

static enum edge_key_error put_path(struct writer *w, struct cdn_str path)
{
    size_t from = w->n;
    if (path.n == 0) {
        put_char(w, '/');
        return EDGE_KEY_OK;
    }
    enum edge_key_error e = path.p[0] == '/' ? put_encoded(w, path) : EDGE_KEY_PATH;
    if (e == EDGE_KEY_OK && !w->full && memmem(w->p + from, w->n - from, "/.", 2)) {
        w->n = from + http_path_remove_dots(w->p + from, w->n - from);
    }
    return e;
}

static struct cdn_str parameter_name(struct cdn_str parameter)
{
    return cdn_str_cut(&parameter, '=');
}

static bool is_allowed(const struct edge_query_policy *policy, struct cdn_str parameter)
{
    struct cdn_str name = parameter_name(parameter);
    for (size_t i = 0; i < policy->allow_count; i++) {
        if (cdn_str_eq(name, policy->allow[i])) {
            return true;
        }
    }
    return false;
}

/* "utm_*" is every name that begins so. */
static bool is_ignored(const struct edge_query_policy *policy, struct cdn_str parameter)
{
    struct cdn_str name = parameter_name(parameter);
    for (size_t i = 0; i < policy->ignore_count; i++) {
        struct cdn_str pattern = policy->ignore[i];
        const bool open = pattern.n > 0 && pattern.p[pattern.n - 1] == '*';
        pattern.n -= open;
        if (open ? cdn_str_starts(name, pattern) : cdn_str_eq(name, pattern)) {
            return true;
        }
    }
    return false;
}

static bool name_before(struct cdn_str a, struct cdn_str b)
{
    a = parameter_name(a);
    b = parameter_name(b);
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c < 0 || (c == 0 && a.n < b.n);
}

/* The parameters of `query` that the policy keeps, in its order;
 * writes "?a&b", or nothing when none is left. */
static void put_parameters(struct writer *w, struct cdn_str query, const struct edge_query_policy *policy)
{
    struct cdn_str kept[PARAMETERS_MAX];
    bool sort = policy->sort || policy->mode == EDGE_QUERY_SORT;
    unsigned count = 0;
    while (query.p) {
        struct cdn_str parameter = cdn_str_cut(&query, '&');
        if (parameter.n == 0 || is_ignored(policy, parameter) ||
            (policy->mode == EDGE_QUERY_ALLOW && !is_allowed(policy, parameter))) {
            continue;
        }
        if (count == PARAMETERS_MAX) {
            w->full = true;
            return;
        }
        unsigned at = count++;
        while (sort && at > 0 && name_before(parameter, kept[at - 1])) {
            kept[at] = kept[at - 1];
            at--;
        }
        kept[at] = parameter;
    }
    for (unsigned i = 0; i < count; i++) {
        put_char(w, i ? '&' : '?');
        put(w, kept[i].p, kept[i].n);
    }
}

/* Everything but what is ignored, as it stands; without the '?' when nothing but that was there. */
static void put_rest(struct writer *w, struct cdn_str query, const struct edge_query_policy *policy)
{
    bool any = false;
    while (query.p) {
        struct cdn_str parameter = cdn_str_cut(&query, '&');
        if (!is_ignored(policy, parameter)) {
            put_char(w, any ? '&' : '?');
            put(w, parameter.p, parameter.n);
            any = true;
        }
    }
}

static enum edge_key_error put_query(struct writer *w, struct cdn_str query,
                                     const struct edge_query_policy *policy)
{
    char text[EDGE_KEY_MAX];
    struct writer all = {.p = text, .room = sizeof(text)};
    if (!query.p) {
        return EDGE_KEY_OK;
    }
    if (policy->mode == EDGE_QUERY_ALL && policy->ignore_count == 0) {
        put_char(w, '?');
        return put_encoded(w, query);
    }
    enum edge_key_error e = put_encoded(&all, query);
    if (e != EDGE_KEY_OK || policy->mode == EDGE_QUERY_NONE) {
        return e;
    }
    w->full = w->full || all.full;
    if (policy->mode == EDGE_QUERY_ALL) {
        put_rest(w, (struct cdn_str){text, all.n}, policy);
    } else {
        put_parameters(w, (struct cdn_str){text, all.n}, policy);
    }
    return EDGE_KEY_OK;
}

bool edge_key_host_write(struct cdn_str host, bool secure, char into[static EDGE_KEY_HOST_MAX],
                         struct cdn_str *ret)
{
    struct writer w = {.p = into, .room = EDGE_KEY_HOST_MAX};
    if (!put_host(&w, host, secure) || w.full) {
        return false;
    }
    *ret = (struct cdn_str){into, w.n};
    return true;
}

enum edge_key_error edge_key_build(const struct edge_key_parts *parts, const struct edge_query_policy *query,
                                   char *into, size_t size, struct cdn_str *ret_key)
{
    struct writer w = {.p = into, .room = size < EDGE_KEY_MAX ? size : EDGE_KEY_MAX};
    struct cdn_str scheme = parts->secure ? CDN_STR("https://") : CDN_STR("http://");
    put(&w, scheme.p, scheme.n);
    if (!put_host(&w, parts->host, parts->secure)) {
        return EDGE_KEY_HOST;
    }
    enum edge_key_error e = put_path(&w, parts->path);
    e = e == EDGE_KEY_OK ? put_query(&w, parts->query, query) : e;
    if (e != EDGE_KEY_OK) {
        return e;
    }
    if (w.full) {
        return EDGE_KEY_LENGTH;
    }
    *ret_key = (struct cdn_str){into, w.n};
    return EDGE_KEY_OK;
}

/* Takes "http://" or "https://" from the front. */
static bool take_scheme(struct cdn_str *url, bool *ret_secure)
{
    static const struct cdn_str schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(schemes); i++) {
        if (url->n >= schemes[i].n && cdn_str_eq_nocase((struct cdn_str){url->p, schemes[i].n}, schemes[i])) {
            *url = cdn_str_sub(*url, schemes[i].n);
            *ret_secure = i == 1;
            return true;
        }
    }
    return false;
}

bool edge_key_split(struct cdn_str url, struct edge_key_parts *ret)
{
    struct edge_key_parts parts = {0};
    size_t n = 0;
    url = cdn_str_cut(&url, '#');
    if (!take_scheme(&url, &parts.secure)) {
        return false;
    }
    while (n < url.n && url.p[n] != '/' && url.p[n] != '?') {
        n++;
    }
    parts.host = (struct cdn_str){url.p, n};
    parts.query = cdn_str_sub(url, n);
    parts.path = cdn_str_cut(&parts.query, '?');
    if (n == 0 || cdn_str_find(parts.host, '@') >= 0) {
        return false;
    }
    *ret = parts;
    return true;
}

/* Offset of the path within a key. */
static size_t path_offset(struct cdn_str key)
{
    const char *authority = memmem(key.p, key.n, "://", 3);
    size_t at = authority ? (size_t)(authority - key.p) + 3 : 0;
    while (at < key.n && key.p[at] != '/') {
        at++;
    }
    return at;
}

struct cdn_str edge_key_target(struct cdn_str key)
{
    return cdn_str_sub(key, path_offset(key));
}

struct cdn_str edge_key_path(struct cdn_str key)
{
    struct cdn_str target = edge_key_target(key);
    return cdn_str_cut(&target, '?');
}

struct cdn_str edge_key_host(struct cdn_str key)
{
    size_t end = path_offset(key);
    const char *authority = memmem(key.p, end, "://", 3);
    size_t from = authority ? (size_t)(authority - key.p) + 3 : 0;
    return (struct cdn_str){key.p + from, end - from};
}

static bool is_hash(const char *p)
{
    for (size_t i = 0; i < 12; i++) {
        if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'a' && p[i] <= 'f')) {
            return false;
        }
    }
    return true;
}

bool edge_key_hashed(struct cdn_str key_or_path, struct cdn_str *ret_digits)
{
    struct cdn_str path = cdn_str_cut(&key_or_path, '?');
    size_t name = path.n;
    if (cdn_str_find(path, '#') >= 0 || cdn_str_find(key_or_path, '#') >= 0) { /* of a QUERY: no file */
        return false;
    }
    while (name > 0 && path.p[name - 1] != '/') {
        name--;
    }
    path = cdn_str_sub(path, name);
    /* NAME . 12 digits . EXT: at least one byte on either side; the last place counts */
    for (size_t i = path.n; i >= 16; i--) {
        size_t dot = i - 15; /* of 14 bytes ".xxxxxxxxxxxx." that end before the byte i - 1 */
        if (path.p[dot] == '.' && path.p[dot + 13] == '.' && is_hash(path.p + dot + 1)) {
            *ret_digits = (struct cdn_str){path.p + dot + 1, 12};
            return true;
        }
    }
    return false;
}
