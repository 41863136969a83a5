/* http_forwarded: the chain of addresses is walked from its end, where our own side wrote, and the
 * walk stops at the first address that no trusted proxy vouches for. Read from the front anybody
 * could name himself. */
#include "common/http/syntax/http_forwarded.h"

#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"

#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

bool http_is_trusted(const struct http_trust *trust, const struct cdn_addr *peer)
{
    struct cdn_addr a = *peer;
    cdn_addr_unmap(&a);
    for (size_t i = 0; trust && i < trust->count; i++) {
        if (cdn_cidr_has(&trust->proxies[i], &a)) {
            return true;
        }
    }
    return false;
}

/* ---- one entry ---- */

/* RFC 7239 6.3: 1 to 5 digits, or "_" and a token of its own. */
static bool is_node_port(struct cdn_str port)
{
    uint64_t value;
    if (port.n > 1 && port.p[0] == '_') {
        return http_is_token(port);
    }
    return port.n <= 5 && cdn_parse_u64(port, &value) && value <= UINT16_MAX;
}

bool http_forwarded_node(struct cdn_str node, bool bare, struct cdn_addr *ret)
{
    struct cdn_str name = node, port = {0};
    struct cdn_addr a;
    bool bracket = node.n > 0 && node.p[0] == '[';
    ptrdiff_t colon = cdn_str_find(node, ':');
    if (bracket) {
        ptrdiff_t end = cdn_str_find(node, ']');
        struct cdn_str behind = end < 0 ? CDN_STR("?") : cdn_str_sub(node, (size_t)end + 1);
        if (behind.n > 0 && behind.p[0] != ':') {
            return false;
        }
        name = (struct cdn_str){node.p + 1, (size_t)end - 1};
        port = behind.n ? cdn_str_sub(behind, 1) : port;
    } else if (colon >= 0 && cdn_str_find(cdn_str_sub(node, (size_t)colon + 1), ':') < 0) {
        name.n = (size_t)colon; /* one colon: address and port; more: a bare IPv6 address */
        port = cdn_str_sub(node, (size_t)colon + 1);
    }
    bool six = cdn_str_find(name, ':') >= 0;
    if ((port.p && !is_node_port(port)) || bracket != (six && (bracket || !bare)) ||
        !cdn_parse_ip(name, &a)) {
        return false;
    }
    *ret = a;
    return true;
}

bool http_forwarded_parse_element(struct cdn_str element, struct http_forwarded_element *ret)
{
    struct http_forwarded_element e = {0};
    struct cdn_str pair, name, value;
    while (http_split_next(&element, ';', &pair)) {
        http_parameter_split(pair, &name, &value);
        if (!value.p || !http_is_token(name) ||
            (!http_is_token(value) && !http_quoted_inner(value, &value))) {
            return false;
        }
        struct cdn_str *into = cdn_str_eq_nocase(name, CDN_STR("for"))     ? &e.for_
                               : cdn_str_eq_nocase(name, CDN_STR("by"))    ? &e.by
                               : cdn_str_eq_nocase(name, CDN_STR("host"))  ? &e.host
                               : cdn_str_eq_nocase(name, CDN_STR("proto")) ? &e.proto
                                                                           : NULL;
        if (into && into->p) {
            return false; /* RFC 7239 4: each parameter at most once */
        }
        if (into) {
            *into = value;
        }
    }
    *ret = e;
    return true;
}

/* ---- the last entries of a list ---- */

struct tail {
    struct cdn_str item[HTTP_FORWARDED_MAX];
    size_t count; /* of all */
};

/* The entry number `back` from the right end (0: the last); false when it is not there, or too far. */
static bool tail_get(const struct tail *t, size_t back, struct cdn_str *ret)
{
    if (back >= t->count || back >= HTTP_FORWARDED_MAX) {
        return false;
    }
    *ret = t->item[(t->count - 1 - back) % HTTP_FORWARDED_MAX];
    return true;
}

static void tail_read(struct tail *t, struct cdn_str list, bool quotes)
{
    struct cdn_str entry;
    t->count = 0;
    if (quotes) { /* a quoted string may hold commas */
        while (list.p && http_list_next(&list, &entry)) {
            t->item[t->count++ % HTTP_FORWARDED_MAX] = entry;
        }
        return;
    }
    while (list.p) { /* X-Forwarded-*: knows no quotes, so that one cannot swallow what comes after it */
        entry = cdn_str_trim(cdn_str_cut(&list, ','));
        if (entry.n > 0) {
            t->item[t->count++ % HTTP_FORWARDED_MAX] = entry;
        }
    }
}

/* ---- what is believed ---- */

static void believe_proto(struct http_forwarded *f, struct cdn_str text)
{
    if (cdn_str_eq_nocase(text, CDN_STR("https"))) {
        f->secure = true;
    } else if (cdn_str_eq_nocase(text, CDN_STR("http"))) {
        f->secure = false;
    }
}

static void believe_host(struct http_forwarded *f, struct cdn_str text)
{
    if (text.n > 0 && http_check_host(text)) {
        f->host = text;
    }
}

static bool entry_address(struct cdn_str entry, bool standard, struct cdn_addr *ret)
{
    struct http_forwarded_element e;
    if (!standard) {
        return http_forwarded_node(entry, true, ret);
    }
    return http_forwarded_parse_element(entry, &e) && e.for_.n > 0 && http_forwarded_node(e.for_, false, ret);
}

/* The proxy speaks for somebody in the other field only, which is not believed. */
static void is_nobody(struct http_forwarded *f)
{
    f->client = f->hops[f->count++] = (struct cdn_addr){.sa.sa_family = AF_UNSPEC};
}

/* From the right end to the client, whose hop is the last one. */
static void walk(struct http_forwarded *f, const struct http_trust *trust, const struct tail *t,
                 bool standard)
{
    struct cdn_str entry;
    for (size_t back = 0; back < t->count || back == 0; back++) {
        struct cdn_addr a = {.sa.sa_family = AF_UNSPEC};
        bool known = tail_get(t, back, &entry) && entry_address(entry, standard, &a);
        f->client = a;
        if (f->count < CDN_ARRAY_LEN(f->hops)) {
            f->hops[f->count++] = a;
        }
        if (!known || !http_is_trusted(trust, &a)) {
            return;
        }
    }
}

/* `hop`: of the client, from the right end. A proxy either adds to these lists, as to X-Forwarded-For, or
 * writes one value. */
static struct cdn_str aligned(struct cdn_str list, size_t hop)
{
    struct tail t;
    struct cdn_str entry = {0};
    tail_read(&t, list, false);
    (void)tail_get(&t, hop < t.count ? hop : t.count - 1, &entry);
    return entry;
}

static void read_habit(struct http_forwarded *f, const struct http_forwarded_in *in)
{
    if (in->x_forwarded_for.p) {
        struct tail t;
        tail_read(&t, in->x_forwarded_for, false);
        walk(f, in->trust, &t, false);
    } else if (in->forwarded.p) {
        is_nobody(f);
    }
    size_t hop = f->count > 1 ? f->count - 2 : 0;
    believe_proto(f, aligned(in->x_forwarded_proto, hop));
    believe_host(f, aligned(in->x_forwarded_host, hop));
}

static void read_standard(struct http_forwarded *f, const struct http_forwarded_in *in)
{
    struct tail t;
    struct cdn_str entry;
    struct http_forwarded_element e;
    if (!in->forwarded.p) {
        if (in->x_forwarded_for.p) {
            is_nobody(f);
        }
        return;
    }
    tail_read(&t, in->forwarded, true);
    walk(f, in->trust, &t, true);
    /* From the peer's own entry to the client's, which counts most. */
    for (size_t back = 0; back + 1 < f->count && tail_get(&t, back, &entry); back++) {
        if (http_forwarded_parse_element(entry, &e)) {
            believe_proto(f, e.proto);
            believe_host(f, e.host);
        }
    }
}

void http_forwarded_read(const struct http_forwarded_in *in, struct http_forwarded *ret)
{
    const struct http_trust *trust = in->trust;
    ret->client = *in->peer;
    cdn_addr_unmap(&ret->client);
    ret->secure = ret->peer_secure = in->secure;
    ret->host = ret->peer_host = in->host;
    ret->hops[0] = ret->client;
    ret->count = 1;
    if (!trust || trust->field == HTTP_CLIENT_NONE || !http_is_trusted(trust, &ret->client)) {
        return;
    }
    if (trust->field == HTTP_CLIENT_FORWARDED) {
        read_standard(ret, in);
    } else {
        read_habit(ret, in);
    }
}

/* ---- what the next server is told ---- */

static void add_address(struct cdn_buf *b, const struct cdn_addr *a, const char *open, const char *close)
{
    char ip[CDN_ADDR_TEXT_SIZE];
    if (!http_forwarded_is_known(a)) {
        cdn_buf_add_str(b, CDN_STR("unknown"));
        return;
    }
    cdn_addr_format_ip(a, ip);
    bool six = cdn_str_find(cdn_str(ip), ':') >= 0;
    cdn_buf_add_str(b, cdn_str(six ? open : ""));
    cdn_buf_add_str(b, cdn_str(ip));
    cdn_buf_add_str(b, cdn_str(six ? close : ""));
}

void http_forwarded_add_for(struct cdn_buf *b, const struct http_forwarded *f)
{
    for (size_t i = f->count; i > 0; i--) {
        add_address(b, &f->hops[i - 1], "", "");
        cdn_buf_add_str(b, i > 1 ? CDN_STR(", ") : CDN_STR(""));
    }
}

void http_forwarded_add_proto(struct cdn_buf *b, const struct http_forwarded *f)
{
    cdn_buf_add_str(b, f->secure ? CDN_STR("https") : CDN_STR("http"));
}

void http_forwarded_add_host(struct cdn_buf *b, const struct http_forwarded *f)
{
    cdn_buf_add_str(b, f->host);
}

static void add_way(struct cdn_buf *b, struct cdn_str host, bool secure)
{
    if (host.n > 0) {
        cdn_buf_add(b, ";host=", 6);
        if (http_is_token(host)) {
            cdn_buf_add_str(b, host);
        } else {
            http_add_quoted(b, host);
        }
    }
    cdn_buf_add_str(b, secure ? CDN_STR(";proto=https") : CDN_STR(";proto=http"));
}

void http_forwarded_add(struct cdn_buf *b, const struct http_forwarded *f)
{
    for (size_t i = f->count; i > 0; i--) {
        cdn_buf_add_str(b, CDN_STR("for="));
        add_address(b, &f->hops[i - 1], "\"[", "]\"");
        if (i == f->count) { /* the client's entry: how it asked the first proxy, or us */
            add_way(b, f->host, f->secure);
        } else if (i == 1) {
            add_way(b, f->peer_host, f->peer_secure);
        }
        cdn_buf_add_str(b, i > 1 ? CDN_STR(", ") : CDN_STR(""));
    }
}
