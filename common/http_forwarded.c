#include "common/http_forwarded.h"

#include "common/http_field.h"

#include "common/banned.h"

#define ENTRIES_MAX 64

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

bool http_forwarded_node(struct cdn_str node, struct cdn_addr *ret)
{
    struct cdn_str name = node;
    ptrdiff_t colon = cdn_str_find(node, ':');
    if (node.n > 0 && node.p[0] == '[') {
        ptrdiff_t end = cdn_str_find(node, ']');
        if (end < 0 || ((size_t)end + 1 < node.n && node.p[end + 1] != ':')) {
            return false;
        }
        name = (struct cdn_str){node.p + 1, (size_t)end - 1};
    } else if (colon >= 0 && cdn_str_find(cdn_str_sub(node, (size_t)colon + 1), ':') < 0) {
        name.n = (size_t)colon; /* one colon: address and port; more: a bare IPv6 address */
    }
    return cdn_parse_ip(name, ret);
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

/* The address that one entry names; false when it names none. */
static bool entry_address(struct cdn_str entry, bool standard, struct cdn_addr *ret)
{
    struct http_forwarded_element e;
    if (!standard) {
        return http_forwarded_node(entry, ret);
    }
    return http_forwarded_parse_element(entry, &e) && e.for_.n > 0 && http_forwarded_node(e.for_, ret);
}

void http_forwarded_client(const struct cdn_addr *peer, const struct http_trust *trust,
                           struct cdn_str x_forwarded_for, struct cdn_str forwarded, struct cdn_addr *ret)
{
    struct cdn_str ring[ENTRIES_MAX]; /* the last entries; only they matter */
    size_t count = 0;
    struct cdn_addr client = *peer, a;
    bool standard = forwarded.p != NULL;
    struct cdn_str rest = standard ? forwarded : x_forwarded_for, entry;
    cdn_addr_unmap(&client);
    if (!http_is_trusted(trust, &client)) {
        *ret = client;
        return;
    }
    while (rest.p && http_list_next(&rest, &entry)) {
        ring[count++ % ENTRIES_MAX] = entry;
    }
    for (size_t left = count < ENTRIES_MAX ? count : ENTRIES_MAX; left > 0; left--) {
        if (!entry_address(ring[--count % ENTRIES_MAX], standard, &a)) {
            break;
        }
        client = a;
        if (!http_is_trusted(trust, &a)) {
            break;
        }
    }
    *ret = client;
}

/* Keeps what came in from a trusted peer and puts ", " behind it. */
static void keep(struct cdn_buf *b, const struct http_forwarded_in *in, struct cdn_str value)
{
    value = cdn_str_trim(value);
    if (in->peer_trusted && value.n > 0) {
        cdn_buf_add_str(b, value);
        cdn_buf_add(b, ", ", 2);
    }
}

void http_forwarded_add_for(struct cdn_buf *b, const struct http_forwarded_in *in)
{
    char ip[CDN_ADDR_TEXT_SIZE];
    keep(b, in, in->x_forwarded_for);
    cdn_addr_format_ip(in->peer, ip);
    cdn_buf_add_str(b, cdn_str(ip));
}

/* The first proxy knows the client's own values: a trusted one's are passed on alone. */
static bool pass_on(struct cdn_buf *b, const struct http_forwarded_in *in, struct cdn_str value)
{
    value = cdn_str_trim(value);
    if (in->peer_trusted && value.n > 0) {
        cdn_buf_add_str(b, value);
        return true;
    }
    return false;
}

void http_forwarded_add_proto(struct cdn_buf *b, const struct http_forwarded_in *in)
{
    if (!pass_on(b, in, in->x_forwarded_proto)) {
        cdn_buf_add_str(b, in->secure ? CDN_STR("https") : CDN_STR("http"));
    }
}

void http_forwarded_add_host(struct cdn_buf *b, const struct http_forwarded_in *in)
{
    if (!pass_on(b, in, in->x_forwarded_host)) {
        cdn_buf_add_str(b, in->host);
    }
}

void http_forwarded_add(struct cdn_buf *b, const struct http_forwarded_in *in)
{
    char ip[CDN_ADDR_TEXT_SIZE];
    keep(b, in, in->forwarded);
    cdn_addr_format_ip(in->peer, ip);
    bool v6 = cdn_str_find(cdn_str(ip), ':') >= 0;
    cdn_buf_add_str(b, v6 ? CDN_STR("for=\"[") : CDN_STR("for="));
    cdn_buf_add_str(b, cdn_str(ip));
    cdn_buf_add_str(b, v6 ? CDN_STR("]\"") : CDN_STR(""));
    if (in->host.n > 0) {
        cdn_buf_add(b, ";host=", 6);
        if (http_is_token(in->host)) {
            cdn_buf_add_str(b, in->host);
        } else {
            http_add_quoted(b, in->host);
        }
    }
    cdn_buf_add_str(b, in->secure ? CDN_STR(";proto=https") : CDN_STR(";proto=http"));
}
