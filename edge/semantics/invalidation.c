/* invalidation: the URLs named by Location and Content-Location are made absolute and compared with the
 * request's, so that nobody can invalidate what belongs to another host. */
#include "edge/semantics/invalidation.h"

#include "edge/semantics/key.h"

#include <stddef.h>

#include "common/banned.h"

bool edge_invalidation_due(enum http_method method, unsigned status)
{
    bool safe = method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS || method == HTTP_TRACE ||
                method == HTTP_QUERY ||
                method == HTTP_PURGE; /* PURGE is for us and never goes to the origin */
    return !safe && status >= 200 && status < 400;
}

static bool has_scheme(struct cdn_str reference)
{
    for (size_t i = 0; i < reference.n; i++) {
        char c = reference.p[i];
        if (c == ':') {
            return i > 0;
        }
        if (c == '/' || c == '?') {
            return false;
        }
    }
    return false;
}

/* The reference made absolute (RFC 3986 5.2.2); dot segments stay for the key to remove. */
static void resolve(struct cdn_str base, const struct edge_key_parts *parts, struct cdn_str reference,
                    struct cdn_buf *url)
{
    struct cdn_str scheme = parts->secure ? CDN_STR("https:") : CDN_STR("http:");
    struct cdn_str directory = parts->path;
    if (has_scheme(reference)) {
        cdn_buf_add_str(url, reference);
        return;
    }
    cdn_buf_add_str(url, scheme);
    if (cdn_str_starts(reference, CDN_STR("//"))) {
        cdn_buf_add_str(url, reference);
        return;
    }
    cdn_buf_add(url, "//", 2);
    cdn_buf_add_str(url, parts->host);
    if (reference.n == 0) {
        cdn_buf_add_str(url, cdn_str_sub(base, (size_t)(parts->host.p + parts->host.n - base.p)));
        return;
    }
    if (reference.p[0] == '?') {
        cdn_buf_add_str(url, parts->path);
    } else if (reference.p[0] != '/') {
        while (directory.n > 0 && directory.p[directory.n - 1] != '/') {
            directory.n--;
        }
        cdn_buf_add_str(url, directory.n ? directory : CDN_STR("/"));
    }
    cdn_buf_add_str(url, reference);
}

/* Host of a key made of these parts: comparable, with the default port gone. */
static bool same_host(const struct edge_key_parts *a, const struct edge_key_parts *b)
{
    char ka[EDGE_KEY_MAX], kb[EDGE_KEY_MAX];
    struct cdn_str sa, sb;
    struct edge_key_parts ra = {.secure = a->secure, .host = a->host, .path = {"/", 1}};
    struct edge_key_parts rb = {.secure = b->secure, .host = b->host, .path = {"/", 1}};
    const struct edge_query_policy none = {.mode = EDGE_QUERY_NONE};
    return edge_key_build(&ra, &none, ka, sizeof(ka), &sa) == EDGE_KEY_OK &&
           edge_key_build(&rb, &none, kb, sizeof(kb), &sb) == EDGE_KEY_OK && cdn_str_eq(sa, sb);
}

bool edge_invalidation_target(struct cdn_str base, struct cdn_str reference, struct cdn_buf *ret_url)
{
    CDN_AUTOBUF struct cdn_buf url = {0};
    struct edge_key_parts from, to;
    reference = cdn_str_trim(reference);
    reference = cdn_str_cut(&reference, '#');
    if (!edge_key_split(base, &from)) {
        return false;
    }
    resolve(base, &from, reference, &url);
    if (!edge_key_split(cdn_buf_str(&url), &to) || !same_host(&from, &to)) {
        return false;
    }
    cdn_buf_add_str(ret_url, cdn_buf_str(&url));
    return true;
}
