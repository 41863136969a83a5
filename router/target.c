/* target: see target.h */
#include "router/target.h"

#include "common/banned.h"

static bool is_plain(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != '#' && c != '<' && c != '>';
}

static void add_encoded(struct cdn_buf *out, struct cdn_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t start = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_plain(c))
            continue;
        cdn_buf_add(out, s.p + start, i - start);
        cdn_buf_add(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
        start = i + 1;
    }
    cdn_buf_add(out, s.p + start, s.n - start);
}

enum cdn_status router_target_build(const struct router_pop *pop, struct cdn_str path, struct cdn_str query,
                                    struct cdn_buf *out)
{
    if (path.n == 0)
        path = CDN_STR("/");
    if (path.p[0] != '/')
        return CDN_INVALID;
    if (path.n + query.n > ROUTER_TARGET_MAX)
        return CDN_TOO_LARGE;
    cdn_buf_clear(out);
    cdn_buf_add(out, pop->url, pop->url_n);
    add_encoded(out, path);
    if (query.p) {
        cdn_buf_add_char(out, '?');
        add_encoded(out, query);
    }
    return out->n > ROUTER_LOCATION_MAX ? CDN_TOO_LARGE : CDN_OK;
}
