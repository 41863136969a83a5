/* purge: URLs and prefixes become keys in one place (purge_url), whoever asks: for http and
 * https, by the function that made the keys of what is stored. A prefix with dot segments is
 * refused: normalised it would purge more than was written. */
#include "edge/purge/purge.h"

#include "common/config/config.h"
#include "common/http/syntax/http_purge.h"
#include "common/http/syntax/http_server_check.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/cache/cache.h"
#include "edge/semantics/key.h"
#include "edge/site/rule_settings.h"
#include "edge/site/site.h"
#include "edge/site/target.h"

#include <inttypes.h>
#include <stddef.h>

#include "common/banned.h"

/* A prefix with dots would purge more than it says: "/a/.." all below "/". */
static bool has_dots(struct cdn_str url)
{
    struct edge_key_parts parts;
    if (edge_key_split(url, &parts)) {
        url = parts.path;
    }
    return http_path_has_dots(cdn_str_cut(&url, '?'));
}

static enum cdn_status target_of(struct edge *edge, const struct edge_purge *p, struct cdn_str url,
                                 bool secure, char *into, struct edge_target *ret, struct cdn_error *err)
{
    enum edge_key_error e = p->kind == EDGE_PURGE_PREFIX && has_dots(url)
                                ? EDGE_KEY_DOTS
                                : edge_target_of_url(&edge_tuning_now(edge)->sites, url, secure, into, ret);
    return e == EDGE_KEY_OK ? CDN_OK
                            : cdn_error_set(err, CDN_INVALID, "purge: \"" CDN_STR_FMT "\": %s",
                                            CDN_STR_ARG(p->text), edge_key_error_text(e));
}

/* The key itself, and what is stored behind its '#' (key.h). */
static uint64_t purge_all_of(struct edge *edge, struct cdn_str key, bool soft, int64_t now_ms)
{
    CDN_AUTOBUF struct cdn_buf further = {0};
    cdn_buf_add_str(&further, key);
    cdn_buf_add_char(&further, '#');
    const uint64_t others = edge_cache_purge_search(edge->cache, key, soft, now_ms); /* its last: it knows */
    return others + edge_cache_purge_key(edge->cache, key, soft, now_ms) +
           edge_cache_purge_prefix(edge->cache, cdn_buf_str(&further), soft, now_ms);
}

static enum cdn_status purge_of(struct edge *edge, const struct edge_purge *p, struct cdn_str url,
                                bool secure, int64_t now_ms, uint64_t *count, struct cdn_error *err)
{
    char into[EDGE_KEY_MAX];
    struct edge_target t;
    enum cdn_status status = target_of(edge, p, url, secure, into, &t, err);
    if (status == CDN_OK) {
        *count += p->kind == EDGE_PURGE_PREFIX ? edge_cache_purge_prefix(edge->cache, t.key, p->soft, now_ms)
                                               : purge_all_of(edge, t.key, p->soft, now_ms);
    }
    return status;
}

/* What follows the host in a URL for every host, "http://" and "*". */
static bool is_for_every_host(struct cdn_str url, struct cdn_str *ret_path)
{
    struct edge_key_parts parts;
    if (!edge_key_split(url, &parts) || !cdn_str_eq(parts.host, CDN_STR("*"))) {
        return false;
    }
    *ret_path = cdn_str_sub(url, (size_t)(parts.host.p + 1 - url.p));
    return true;
}

/* A host's key is made by its own rules, so it is made for each. */
static enum cdn_status purge_everywhere(struct edge *edge, const struct edge_purge *p, struct cdn_str path,
                                        int64_t now_ms, uint64_t *count, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf site = {0};
    CDN_AUTOBUF struct cdn_buf url = {0};
    enum cdn_status status = CDN_OK;
    while (status == CDN_OK && edge_cache_next_site(edge->cache, &site)) {
        cdn_buf_clear(&url);
        cdn_buf_add_str(&url, cdn_buf_str(&site));
        cdn_buf_add_str(&url, path);
        status = purge_of(edge, p, cdn_buf_str(&url), cdn_str_starts(cdn_buf_str(&site), CDN_STR("https:")),
                          now_ms, count, err);
    }
    return status;
}

static enum cdn_status purge_url(struct edge *edge, const struct edge_purge *p, int64_t now_ms,
                                 uint64_t *ret_count, struct cdn_error *err)
{
    struct cdn_str path;
    *ret_count = 0;
    if (is_for_every_host(p->text, &path)) {
        enum cdn_status status = edge_purge_check(edge, p, err);
        return status == CDN_OK ? purge_everywhere(edge, p, path, now_ms, ret_count, err) : status;
    }
    enum cdn_status status = CDN_OK;
    for (int secure = 0; secure <= 1 && status == CDN_OK; secure++) { /* both name the same resource here */
        status = purge_of(edge, p, p->text, secure, now_ms, ret_count, err);
    }
    return status;
}

enum cdn_status edge_purge_check(struct edge *edge, const struct edge_purge *p, struct cdn_error *err)
{
    char into[EDGE_KEY_MAX];
    struct edge_target t;
    struct cdn_str path;
    if (p->kind != EDGE_PURGE_URL && p->kind != EDGE_PURGE_PREFIX) {
        return CDN_OK;
    }
    if (!is_for_every_host(p->text, &path)) {
        return target_of(edge, p, p->text, false, into, &t, err);
    }
    const struct edge_sites *sites = &edge_tuning_now(edge)->sites;
    const char *host = sites->any ? "host.invalid" : sites->site->settings.hosts.items[0].value;
    CDN_AUTOFREE char *some = cdn_asprintf("http://%s" CDN_STR_FMT, host, CDN_STR_ARG(path));
    return target_of(edge, p, cdn_str(some), false, into, &t, err);
}

uint64_t edge_purge_key(struct edge *edge, struct cdn_str key, bool soft, int64_t now_ms)
{
    const struct edge_purge p = {.kind = EDGE_PURGE_URL, .text = key, .soft = soft};
    uint64_t count = 0;
    (void)!purge_url(edge, &p, now_ms, &count, NULL); /* a key is a good URL */
    return count;
}

static void log_purge(const struct edge_purge *p, uint64_t count)
{
    static const char *const words[] = {
#define X(name, one, several) [EDGE_PURGE_##name] = (one),
        EDGE_PURGE_KINDS(X)
#undef X
            [EDGE_PURGE_ALL] = "all"};
    CDN_AUTOFREE char *text = cdn_str_dup(p->kind == EDGE_PURGE_ALL ? CDN_STR("*") : p->text);
    cdn_log(CDN_LOG_INFO, "purge", "kind=%s what=%s soft=%d objects=%" PRIu64, words[p->kind], text, p->soft,
            count);
}

enum cdn_status edge_purge_apply(struct edge *edge, const struct edge_purge *p, int64_t now_ms,
                                 uint64_t *ret_count, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    uint64_t count = 0;
    switch (p->kind) {
    case EDGE_PURGE_URL:
    case EDGE_PURGE_PREFIX:
        status = purge_url(edge, p, now_ms, &count, err);
        break;
    case EDGE_PURGE_TAG:
        count = edge_cache_purge_tag(edge->cache, p->text, p->soft, now_ms);
        break;
    case EDGE_PURGE_ALL:
        count = edge_cache_purge_all(edge->cache, p->soft, now_ms);
        break;
    }
    if (status == CDN_OK) {
        *ret_count = count;
        log_purge(p, count);
    }
    return status;
}

static enum cdn_status apply_one(struct edge *edge, const char *name, enum edge_purge_kind kind,
                                 const json_t *value, bool soft, int64_t now_ms, uint64_t *total,
                                 struct cdn_error *err)
{
    if (!json_is_string(value) || !json_string_length(value)) {
        return cdn_error_set(err, CDN_INVALID, "purge: \"%s\" wants text", name);
    }
    const struct edge_purge p = {
        .kind = kind, .text = {json_string_value(value), json_string_length(value)}, .soft = soft};
    uint64_t count = 0;
    enum cdn_status status = edge_purge_apply(edge, &p, now_ms, &count, err);
    *total += count;
    return status;
}

enum cdn_status edge_purge_json(struct edge *edge, json_t *body, int64_t now_ms, uint64_t *ret_count,
                                struct cdn_error *err)
{
    static const struct {
        const char *name;
        enum edge_purge_kind kind;
    } names[] = {
#define X(name, one, several) {(one), EDGE_PURGE_##name}, {(several), EDGE_PURGE_##name},
        EDGE_PURGE_KINDS(X)
#undef X
    };
    const bool soft = json_is_true(json_object_get(body, "soft"));
    uint64_t total = 0;
    bool any = false;
    if (json_is_true(json_object_get(body, "all"))) {
        const struct edge_purge p = {.kind = EDGE_PURGE_ALL, .soft = soft};
        return edge_purge_apply(edge, &p, now_ms, ret_count, err);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(names); i++) {
        json_t *value = json_object_get(body, names[i].name);
        size_t n = json_is_array(value) ? json_array_size(value) : value != NULL;
        for (size_t k = 0; k < n; k++) {
            json_t *item = json_is_array(value) ? json_array_get(value, k) : value;
            enum cdn_status status =
                apply_one(edge, names[i].name, names[i].kind, item, soft, now_ms, &total, err);
            if (status != CDN_OK) {
                return status;
            }
            any = true;
        }
    }
    if (!any) {
        return cdn_error_set(err, CDN_INVALID,
                             "purge: want one of url, urls, prefix, prefixes, tag, tags, all");
    }
    *ret_count = total;
    return CDN_OK;
}

static struct edge_purge of_form(const struct http_purge *form, size_t i)
{
    static const enum edge_purge_kind kinds[] = {[HTTP_PURGE_URL] = EDGE_PURGE_URL,
                                                 [HTTP_PURGE_PREFIX] = EDGE_PURGE_PREFIX,
                                                 [HTTP_PURGE_TAG] = EDGE_PURGE_TAG};
    return (struct edge_purge){
        .kind = kinds[form->item[i].kind], .text = cdn_str(form->item[i].text), .soft = form->soft};
}

enum cdn_status edge_purge_form_check(struct edge *edge, const struct http_purge *form, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < form->count && status == CDN_OK; i++) {
        const struct edge_purge p = of_form(form, i);
        status = edge_purge_check(edge, &p, err);
    }
    return status;
}

uint64_t edge_purge_form(struct edge *edge, const struct http_purge *form, struct cdn_str own, int64_t now_ms)
{
    const struct edge_purge all = {.kind = EDGE_PURGE_ALL, .soft = form->soft};
    uint64_t total = 0, count = 0;
    if (form->all && edge_purge_apply(edge, &all, now_ms, &count, NULL) == CDN_OK) {
        total += count;
    } else if (form->own) {
        total += edge_purge_key(edge, own, form->soft, now_ms);
    }
    for (size_t i = 0; i < form->count; i++) {
        const struct edge_purge p = of_form(form, i);
        if (edge_purge_apply(edge, &p, now_ms, &count, NULL) == CDN_OK) { /* it was checked */
            total += count;
        }
    }
    return total;
}
