/* purge_item: every spelling of a purge is checked as strictly as an edge would and written in one
 * form, since what stands in the log will be applied by edges that cannot ask back. */
#include "router/purge/purge_item.h"

#include "common/http/server/http_browser.h"
#include "common/http/syntax/http_path.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

static bool is_absolute(struct cdn_str url)
{
    struct cdn_str plain = {url.p, url.n < 7 ? url.n : 7}, secure = {url.p, url.n < 8 ? url.n : 8};
    return cdn_str_eq_nocase(plain, CDN_STR("http://")) || cdn_str_eq_nocase(secure, CDN_STR("https://"));
}

static enum cdn_status url_check(const char *key, struct cdn_str text, struct cdn_error *err)
{
    if (text.n > ROUTER_PURGE_URL_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: an item of %zu bytes: at most %u", key, text.n,
                             ROUTER_PURGE_URL_MAX);
    }
    if (text.n == 0 || (text.p[0] != '/' && !is_absolute(text))) {
        return cdn_error_set(err, CDN_INVALID, "%s: '%.200s' is neither a path nor a URL (http, https)", key,
                             text.p);
    }
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f) {
            return cdn_error_set(err, CDN_INVALID, "%s: '%.200s' holds a space or a control character", key,
                                 text.p);
        }
    }
    if (!http_encoding_is_whole(text)) { /* no key can be so */
        return cdn_error_set(err, CDN_INVALID, "%s: '%.200s' has a '%%' without two hex digits behind it",
                             key, text.p);
    }
    return CDN_OK;
}

/* "/a/.." would purge all that lies below "/". */
static enum cdn_status prefix_check(const char *key, struct cdn_str text, struct cdn_error *err)
{
    struct cdn_str rest = text;
    enum cdn_status status = url_check(key, text, err);
    if (status == CDN_OK && http_path_has_dots(cdn_str_cut(&rest, '?'))) {
        return cdn_error_set(err, CDN_INVALID, "%s: '%.200s' has '.' or '..' as a segment", key, text.p);
    }
    return status;
}

static enum cdn_status tag_check(const char *key, struct cdn_str text, struct cdn_error *err)
{
    if (text.n > ROUTER_PURGE_TAG_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: an item of %zu bytes: at most %u", key, text.n,
                             ROUTER_PURGE_TAG_MAX);
    }
    if (text.n == 0 || cdn_str_trim(text).n != text.n || cdn_str_find(text, ',') >= 0) {
        return cdn_error_set(err, CDN_INVALID,
                             "%s: '%.200s' is no tag: it may not be empty, hold a comma or begin or end with "
                             "a space",
                             key, text.p);
    }
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f) {
            return cdn_error_set(err, CDN_INVALID, "%s: '%.200s' holds a control character", key, text.p);
        }
    }
    return CDN_OK;
}

/* Keys with items: the one that takes one, the one that takes several, which is the log's. */
static const struct item_kind {
    const char *one, *several;
    enum cdn_status (*check)(const char *key, struct cdn_str text, struct cdn_error *err);
} kinds[] = {
    {"url", "urls", url_check},
    {"prefix", "prefixes", prefix_check},
    {"tag", "tags", tag_check},
};

struct gathering {
    json_t *into;
    json_t *seen; /* an object used as a set: "urls /a" */
    size_t count;
};

static enum cdn_status gather_one(struct gathering *g, const struct item_kind *kind, const char *key,
                                  const json_t *value, struct cdn_error *err)
{
    struct cdn_str text = {json_string_value(value), json_string_length(value)};
    if (!text.p) {
        return cdn_error_set(err, CDN_INVALID, "%s: wants text", key);
    }
    enum cdn_status status = kind->check(key, text, err);
    if (status != CDN_OK) {
        return status;
    }
    CDN_AUTOFREE char *name = cdn_asprintf("%s %s", kind->several, text.p);
    if (json_object_get(g->seen, name)) {
        return CDN_OK;
    }
    if (++g->count > ROUTER_PURGE_ITEMS_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: more than %u items in one purge", key,
                             ROUTER_PURGE_ITEMS_MAX);
    }
    json_object_set_new(g->seen, name, json_true());
    json_t *list = json_object_get(g->into, kind->several);
    if (!list) {
        list = json_array();
        json_object_set_new(g->into, kind->several, list);
    }
    json_array_append_new(list, json_stringn(text.p, text.n));
    return CDN_OK;
}

static enum cdn_status gather(struct gathering *g, const struct item_kind *kind, const char *key,
                              const json_t *value, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    if (!json_is_array(value)) {
        return gather_one(g, kind, key, value, err);
    }
    for (size_t i = 0; i < json_array_size(value) && status == CDN_OK; i++) {
        status = gather_one(g, kind, key, json_array_get(value, i), err);
    }
    return status;
}

static bool is_among(const char *key, const char *const *names)
{
    for (; names && *names; names++) {
        if (strcmp(*names, key) == 0) {
            return true;
        }
    }
    return false;
}

static enum cdn_status take_key(struct gathering *g, const char *key, const json_t *value,
                                const char *const *besides, struct cdn_error *err)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(kinds); i++) {
        if (strcmp(key, kinds[i].one) == 0 || strcmp(key, kinds[i].several) == 0) {
            return gather(g, &kinds[i], key, value, err);
        }
    }
    if (is_among(key, besides)) {
        return CDN_OK;
    }
    if (strcmp(key, "all") != 0 && strcmp(key, "soft") != 0) {
        return cdn_error_set(err, CDN_INVALID,
                             "unknown key '%s': url, urls, prefix, prefixes, tag, tags, all or soft", key);
    }
    if (!json_is_boolean(value)) {
        return cdn_error_set(err, CDN_INVALID, "%s: must be true or false", key);
    }
    if (json_is_true(value)) {
        json_object_set_new(g->into, key, json_true());
    }
    return CDN_OK;
}

enum cdn_status router_purge_item(const json_t *body, const char *const *besides, json_t **ret,
                                  struct cdn_error *err)
{
    struct gathering g = {.into = json_object(), .seen = json_object()};
    enum cdn_status status = CDN_OK;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        status = take_key(&g, key, value, besides, err);
        if (status != CDN_OK) {
            break;
        }
    }
    bool all = json_object_get(g.into, "all") != NULL;
    if (status == CDN_OK && !all && g.count == 0) {
        status =
            cdn_error_set(err, CDN_INVALID,
                          "purge what? give url, urls, prefix, prefixes, tag, tags or all as a JSON object");
    }
    for (size_t i = 0; all && i < CDN_ARRAY_LEN(kinds); i++) {
        json_object_del(g.into, kinds[i].several);
    }
    json_decref(g.seen);
    if (status == CDN_OK) {
        *ret = g.into;
    } else {
        json_decref(g.into);
    }
    return status;
}

static json_t *own_url(struct cdn_str host, struct cdn_str target)
{
    if (is_absolute(target)) {
        return json_stringn(target.p, target.n);
    }
    if (!host.n || http_browser_is_loopback(host)) {
        return json_stringn(target.p, target.n);
    }
    CDN_AUTOFREE char *url =
        cdn_asprintf("http://" CDN_STR_FMT CDN_STR_FMT, CDN_STR_ARG(host), CDN_STR_ARG(target));
    return json_string(url);
}

json_t *router_purge_of_form(const struct http_purge *form, struct cdn_str host, struct cdn_str target)
{
    static const char *const names[] = {
        [HTTP_PURGE_URL] = "urls", [HTTP_PURGE_PREFIX] = "prefixes", [HTTP_PURGE_TAG] = "tags"};
    json_t *what = json_object();
    json_object_set_new(what, "soft", json_boolean(form->soft));
    json_object_set_new(what, "all", json_boolean(form->all));
    if (form->own) {
        json_object_set_new(what, "url", own_url(host, target));
    }
    for (size_t i = 0; i < form->count; i++) {
        const char *name = names[form->item[i].kind];
        if (!json_object_get(what, name)) {
            json_object_set_new(what, name, json_array());
        }
        json_array_append_new(json_object_get(what, name), json_string(form->item[i].text));
    }
    return what;
}
