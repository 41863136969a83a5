/* warm_list: three forms, one list. A URL is kept as what an edge is told: its host for the field Host, and
 * path and query as the target; bytes that may not stand in a target are percent-encoded, as browsers do,
 * because file names in a manifest and links in a sitemap have blanks and letters of all languages. */
#include "cli/warm/warm_list.h"

#include "cli/warm/warm_sitemap.h"
#include "common/http/syntax/http_percent.h"
#include "common/index.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/key.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define SHOWN_MAX 80 /* bytes of a wrong URL in an error */

/* ---- one URL ---- */

static bool is_absolute(struct cdn_str s)
{
    return cdn_str_starts(s, CDN_STR("http://")) || cdn_str_starts(s, CDN_STR("https://"));
}

/* What stays as it is in a URL: all printing ASCII that may stand there (RFC 3986 2), '%' among it. */
static bool stays_in_url(unsigned char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"<>\\^`{|}", c);
}

/* What stays as it is in a file's name, which is no URL yet: a '?', '#' or '%' belongs to the name. */
static bool stays_in_name(unsigned char c)
{
    return http_percent_is_unreserved(c) || strchr("/!$&'()*+,;=:@", c) != NULL;
}

static enum cdn_status refuse(struct cdn_str text, const char *why, struct cdn_error *err)
{
    bool cut = text.n > SHOWN_MAX;
    text.n = cut ? SHOWN_MAX : text.n;
    return cdn_error_set(err, CDN_INVALID, "'" CDN_STR_FMT "%s' %s", CDN_STR_ARG(text), cut ? "..." : "",
                         why);
}

/* The whole URL or path, base in front where it is a name. A fragment never reaches a server. */
static void join(struct cdn_str text, struct cdn_str base, struct cdn_buf *out)
{
    struct cdn_str rest = text, found = cdn_str_cut(&rest, '#');
    struct edge_key_parts parts;
    if (!is_absolute(found) && found.n && found.p[0] == '/') {
        if (edge_key_split(base, &parts)) {
            cdn_buf_add(out, base.p, (size_t)(parts.host.p + parts.host.n - base.p));
        }
    } else if (!is_absolute(found)) {
        cdn_buf_add_str(out, base);
        if (base.n && base.p[base.n - 1] != '/') {
            cdn_buf_add_char(out, '/');
        }
    }
    http_percent_encode(found, stays_in_url, out);
}

enum cdn_status warm_url_read(struct cdn_str text, struct cdn_str base, struct warm_url *ret,
                              struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf whole = {0};
    char host_room[EDGE_KEY_HOST_MAX];
    struct cdn_str host = CDN_STR(""), target;
    struct edge_key_parts parts = {0};
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f) {
            return refuse((struct cdn_str){text.p, i}, "is followed by a control character", err);
        }
    }
    join(text, base, &whole);
    target = cdn_buf_str(&whole);
    if (target.n > WARM_URL_MAX) {
        return refuse(text, "is too long for a URL", err);
    }
    if (is_absolute(target)) {
        if (!edge_key_split(target, &parts) ||
            !edge_key_host_write(parts.host, parts.secure, host_room, &host)) {
            return refuse(text, "is no URL", err);
        }
        target = cdn_str_sub(target, (size_t)(parts.host.p + parts.host.n - target.p));
    } else if (!target.n || target.p[0] != '/') {
        return refuse(text, "is neither a URL (http://...) nor a path", err);
    }
    bool slash = !target.n || target.p[0] != '/'; /* http://a.example?b */
    *ret = (struct warm_url){parts.secure, cdn_str_dup(host),
                             cdn_asprintf("%s" CDN_STR_FMT, slash ? "/" : "", CDN_STR_ARG(target))};
    return CDN_OK;
}

void warm_url_free(struct warm_url *url)
{
    free(url->host);
    free(url->target);
    *url = (struct warm_url){0};
}

/* ---- the list ---- */

static uint64_t hash_bytes(uint64_t h, const char *s)
{
    while (*s) {
        h = (h ^ (unsigned char)*s++) * UINT64_C(0x100000001b3); /* FNV-1a */
    }
    return h;
}

struct sought {
    const struct warm_list *list;
    const struct warm_url *url;
};

static bool is_same(const void *ctx, uint32_t number)
{
    const struct sought *sought = ctx;
    const struct warm_url *a = &sought->list->urls[number], *b = sought->url;
    return a->secure == b->secure && strcmp(a->target, b->target) == 0 && strcmp(a->host, b->host) == 0;
}

enum cdn_status warm_list_add_url(struct warm_list *list, struct cdn_str text, struct cdn_str base,
                                  struct cdn_error *err)
{
    struct warm_url url;
    enum cdn_status status = warm_url_read(text, base, &url, err);
    if (status != CDN_OK) {
        return status;
    }
    uint64_t hash = hash_bytes(hash_bytes(UINT64_C(0xcbf29ce484222325) + url.secure, url.host), url.target);
    const struct sought sought = {list, &url};
    bool known = cdn_index_find(&list->known, hash, is_same, &sought) != CDN_INDEX_NONE;
    const size_t most = list->most ? list->most : WARM_URLS_MAX;
    if (known || list->n == most) {
        warm_url_free(&url);
        return known ? CDN_OK : cdn_error_set(err, CDN_TOO_LARGE, "more than %zu URLs", most);
    }
    if (list->n == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->urls = cdn_realloc(list->urls, list->room, sizeof(*list->urls));
    }
    cdn_index_put(&list->known, hash, (uint32_t)list->n);
    list->urls[list->n++] = url;
    return CDN_OK;
}

void warm_list_free(struct warm_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        warm_url_free(&list->urls[i]);
    }
    for (size_t i = 0; i < list->sitemap_count; i++) {
        free(list->sitemaps[i]);
    }
    cdn_index_free(&list->known);
    free(list->urls);
    free(list->sitemaps);
    *list = (struct warm_list){0};
}

/* ---- its forms ---- */

static enum cdn_status add_lines(struct warm_list *list, struct cdn_str bytes, struct cdn_str base,
                                 struct cdn_error *err)
{
    size_t number = 0;
    for (struct cdn_str rest = bytes; rest.p && rest.n;) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        number++;
        line.n -= line.n && line.p[line.n - 1] == '\r';
        line = cdn_str_trim(line);
        if (!line.n || line.p[0] == '#') {
            continue;
        }
        enum cdn_status status = warm_list_add_url(list, line, base, err);
        if (status != CDN_OK) {
            return cdn_error_prefix(err, "line %zu", number);
        }
    }
    return CDN_OK;
}

static enum cdn_status add_manifest(struct warm_list *list, struct cdn_str bytes, struct cdn_str base,
                                    struct cdn_error *err)
{
    json_error_t wrong;
    const char *name;
    const json_t *value;
    enum cdn_status status = CDN_OK;
    json_t *manifest = json_loadb(bytes.p, bytes.n, 0, &wrong);
    json_t *paths = json_object_get(manifest, "paths");
    if (!manifest) {
        return cdn_error_set(err, CDN_INVALID, "line %d: %s", wrong.line, wrong.text);
    }
    if (!json_is_object(paths)) {
        status = cdn_error_set(err, CDN_INVALID, "no object 'paths', so this is no manifest of staticfiles");
    }
    json_object_foreach(paths, name, value)
    {
        if (status != CDN_OK) {
            break;
        }
        CDN_AUTOBUF struct cdn_buf file = {0};
        if (!json_is_string(value)) {
            status = cdn_error_set(err, CDN_INVALID, "paths: '%s' is not the name of a file", name);
            break;
        }
        http_percent_encode(cdn_str(json_string_value(value)), stays_in_name, &file);
        status = warm_list_add_url(list, cdn_buf_str(&file), base, err);
    }
    json_decref(manifest);
    return status;
}

static enum cdn_status on_location(void *arg, bool is_sitemap, struct cdn_str url, struct cdn_error *err)
{
    struct warm_list *list = arg;
    if (!is_absolute(url)) { /* sitemaps.org, "loc": with the protocol */
        return refuse(url, "is no URL (http://...)", err);
    }
    if (!is_sitemap) {
        return warm_list_add_url(list, url, CDN_STR(""), err);
    }
    for (size_t i = 0; i < list->sitemap_count; i++) {
        if (cdn_str_eq(cdn_str(list->sitemaps[i]), url)) {
            return CDN_OK;
        }
    }
    if (list->sitemap_count == WARM_SITEMAPS_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "more than %u sitemaps", WARM_SITEMAPS_MAX);
    }
    list->sitemaps = cdn_realloc(list->sitemaps, list->sitemap_count + 1, sizeof(*list->sitemaps));
    list->sitemaps[list->sitemap_count++] = cdn_str_dup(url);
    return CDN_OK;
}

/* A mark at the beginning, which editors of one system write, and blanks. */
static char first_letter(struct cdn_str bytes)
{
    if (cdn_str_starts(bytes, CDN_STR("\xef\xbb\xbf"))) {
        bytes = cdn_str_sub(bytes, 3);
    }
    while (bytes.n && strchr(" \t\r\n", bytes.p[0])) {
        bytes = cdn_str_sub(bytes, 1);
    }
    bool utf16 = cdn_str_starts(bytes, CDN_STR("\xff\xfe")) || cdn_str_starts(bytes, CDN_STR("\xfe\xff"));
    return utf16 ? '<' : bytes.n ? bytes.p[0] : '\0';
}

enum cdn_status warm_list_add(struct warm_list *list, const char *name, struct cdn_str bytes,
                              const struct warm_base *base, struct cdn_error *err)
{
    const struct warm_sitemap_handler handler = {on_location, list};
    const char *given = base->text ? base->text : "";
    enum cdn_status status;
    switch (first_letter(bytes)) {
    case '<':
        status = warm_sitemap_read(bytes, &handler, err);
        break;
    case '{':
        status = add_manifest(list, bytes, given[0] ? cdn_str(given) : CDN_STR("/static/"), err);
        break;
    default:
        bytes = cdn_str_starts(bytes, CDN_STR("\xef\xbb\xbf")) ? cdn_str_sub(bytes, 3) : bytes;
        status = add_lines(list, bytes, given[0] ? cdn_str(given) : CDN_STR("/"), err);
    }
    return status == CDN_OK ? CDN_OK : cdn_error_prefix(err, "%s", name);
}
