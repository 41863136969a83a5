/* http_purge: fields add their items as they come; what has to be known whole (the conditions of a BAN, which
 * of the forms it is) is judged at the end. */
#include "common/http/syntax/http_purge.h"

#include "common/http/syntax/http_percent.h"
#include "common/http/syntax/http_purge_pattern.h"
#include "common/mem.h"

#include <stdlib.h>

#include "common/banned.h"

enum field_use {
    TAGS_SPACED,     /* a list of tags, separated by spaces or commas */
    TAGS_COMMAS,     /* by commas alone */
    TAGS_STALE,      /* as TAGS_SPACED; marks as stale */
    TAGS_OR_PATTERN, /* a pattern with BAN, TAGS_COMMAS otherwise */
    TAGS_PATTERN,
    BAN_HOST,
    BAN_URL,
    BAN_TYPE,
    SOFT,
    CLEAR,
    HOW
};

static const struct {
    const char *name;
    enum field_use use;
} fields[] = {
    {"Surrogate-Key", TAGS_SPACED},
    {"xkey", TAGS_SPACED},
    {"xkey-purge", TAGS_SPACED},
    {"xkey-softpurge", TAGS_STALE},
    {"Cache-Tag", TAGS_COMMAS},
    {"X-Cache-Tags", TAGS_OR_PATTERN},
    {"X-Magento-Tags-Pattern", TAGS_PATTERN},
    {"X-Host", BAN_HOST},
    {"X-Url", BAN_URL},
    {"X-Content-Type", BAN_TYPE},
    {"Fastly-Soft-Purge", SOFT},
    {"Clear-Cache", CLEAR},
    {"X-Purge-Method", HOW},
};

bool http_purge_is_method(struct cdn_str method)
{
    return cdn_str_eq(method, CDN_STR("PURGE")) || cdn_str_eq(method, CDN_STR("BAN")) ||
           cdn_str_eq(method, CDN_STR("PURGEKEYS")) || cdn_str_eq(method, CDN_STR("PURGETAGS"));
}

static bool is_ban(const struct http_purge *p)
{
    return cdn_str_eq(p->method, CDN_STR("BAN"));
}

static void fail(struct http_purge *p, enum cdn_status status, const char *text, struct cdn_str value)
{
    if (p->err.status == CDN_OK) {
        cdn_error_set(&p->err, status, "%s: \"%.*s\"", text, (int)(value.n < 200 ? value.n : 200), value.p);
    }
}

static void add(struct http_purge *p, enum http_purge_kind kind, char *take)
{
    if (p->count == HTTP_PURGE_ITEMS_MAX) {
        free(take);
        fail(p, CDN_TOO_LARGE, "more than 1000 items in one purge", p->path);
        return;
    }
    if (p->count == p->room) {
        p->room = p->room ? 2 * p->room : 8;
        p->item = cdn_realloc(p->item, p->room, sizeof(*p->item));
    }
    p->item[p->count++] = (struct http_purge_item){kind, take};
}

void http_purge_begin(struct http_purge *p, struct cdn_str method, struct cdn_str path)
{
    *p = (struct http_purge){.method = method, .path = path};
}

void http_purge_tag(struct http_purge *p, struct cdn_str tag)
{
    if (!tag.n) {
        return;
    }
    if (tag.n > HTTP_PURGE_TAG_MAX) {
        fail(p, CDN_TOO_LARGE, "a tag of more than 1024 bytes", tag);
        return;
    }
    for (size_t i = 0; i < tag.n; i++) {
        if ((unsigned char)tag.p[i] < ' ' || tag.p[i] == 0x7f || tag.p[i] == ',') {
            fail(p, CDN_INVALID, "a tag holds no comma or control character", tag);
            return;
        }
    }
    add(p, HTTP_PURGE_TAG, cdn_str_dup(tag));
}

static void add_list(struct http_purge *p, struct cdn_str value, bool spaces)
{
    while (value.n) {
        size_t i = 0;
        while (i < value.n && value.p[i] != ',' && !(spaces && (value.p[i] == ' ' || value.p[i] == '\t'))) {
            i++;
        }
        http_purge_tag(p, cdn_str_trim((struct cdn_str){value.p, i}));
        value = cdn_str_sub(value, i + 1);
    }
}

static void add_pattern(struct http_purge *p, struct cdn_str value)
{
    struct http_purge_texts texts = {0};
    struct cdn_error err;
    bool any = false;
    enum cdn_status status = http_purge_pattern_tags(value, &texts, &any, &err);
    p->patterns++;
    p->any_tag = p->any_tag || any;
    if (status != CDN_OK && p->err.status == CDN_OK) {
        p->err = err;
    }
    for (size_t i = 0; i < texts.count && status == CDN_OK; i++) {
        http_purge_tag(p, (struct cdn_str){texts.at[i].p, texts.at[i].n});
    }
    http_purge_texts_free(&texts);
}

static void keep(struct http_purge *p, struct cdn_str *into, struct cdn_str value)
{
    if (into->p || !value.n) {
        fail(p, CDN_INVALID, into->p ? "a field of BAN comes twice" : "a field of BAN is empty", value);
    }
    *into = value;
}

static void take(struct http_purge *p, enum field_use use, struct cdn_str value)
{
    const bool tags = use <= TAGS_OR_PATTERN;
    p->tag_fields += tags && value.n;
    if (use == TAGS_PATTERN || (use == TAGS_OR_PATTERN && is_ban(p))) {
        p->tag_fields += use == TAGS_PATTERN;
        if (value.n) {
            add_pattern(p, value);
        }
    } else if (tags) {
        p->soft = p->soft || (use == TAGS_STALE && value.n);
        add_list(p, value, use == TAGS_SPACED || use == TAGS_STALE);
    } else if (use == SOFT) {
        p->soft = cdn_str_eq(value, CDN_STR("1"));
    } else if (use == CLEAR) {
        p->clear = cdn_str_eq_nocase(value, CDN_STR("true"));
    } else if (use == HOW && cdn_str_eq_nocase(value, CDN_STR("regex"))) {
        fail(p, CDN_UNSUPPORTED, "X-Purge-Method is not supported; use BAN with X-Url", value);
    } else if (is_ban(p) && use != HOW) {
        keep(p, use == BAN_HOST ? &p->ban_host : use == BAN_URL ? &p->ban_url : &p->ban_type, value);
    }
}

void http_purge_field(struct http_purge *p, struct cdn_str name, struct cdn_str value)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(fields); i++) {
        if (cdn_str_eq_nocase(name, cdn_str(fields[i].name))) {
            take(p, fields[i].use, cdn_str_trim(value));
            return;
        }
    }
}

static void drop_items(struct http_purge *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->item[i].text);
    }
    p->count = 0;
}

/* ---- BAN ---- */

static bool is_any(struct cdn_str pattern)
{
    return !pattern.p || http_purge_pattern_is_any(pattern);
}

static enum cdn_status hosts_of(const struct http_purge *p, struct http_purge_texts *ret,
                                struct cdn_error *err)
{
    const struct cdn_str every = CDN_STR("^\\*$");
    enum cdn_status status = http_purge_pattern_texts(is_any(p->ban_host) ? every : p->ban_host,
                                                      HTTP_PURGE_DOTS_LITERAL, ret, err);
    for (size_t i = 0; i < ret->count && status == CDN_OK; i++) {
        if (ret->at[i].open || !ret->at[i].n) {
            status = cdn_error_set(err, CDN_UNSUPPORTED,
                                   "X-Host: \"%.*s\" is not supported: whole host names are, as "
                                   "\"^(a\\.example|b\\.example)$\"",
                                   (int)(p->ban_host.n < 100 ? p->ban_host.n : 100), p->ban_host.p);
        }
    }
    return status;
}

static enum cdn_status urls_of(const struct http_purge *p, struct http_purge_texts *ret,
                               struct cdn_error *err)
{
    enum cdn_status status = http_purge_pattern_texts(is_any(p->ban_url) ? CDN_STR("^/") : p->ban_url,
                                                      HTTP_PURGE_DOTS_ANY, ret, err);
    for (size_t i = 0; i < ret->count && status == CDN_OK; i++) {
        if (ret->at[i].p[0] != '/') {
            status = cdn_error_set(err, CDN_INVALID, "X-Url: \"%.*s\" fits what does not begin with '/'",
                                   (int)(p->ban_url.n < 100 ? p->ban_url.n : 100), p->ban_url.p);
        }
    }
    return status;
}

static enum cdn_status ban_urls(struct http_purge *p, struct cdn_error *err)
{
    struct http_purge_texts hosts = {0}, urls = {0};
    enum cdn_status status = hosts_of(p, &hosts, err);
    if (status == CDN_OK) {
        status = urls_of(p, &urls, err);
    }
    for (size_t h = 0; h < hosts.count && status == CDN_OK; h++) {
        for (size_t u = 0; u < urls.count && p->err.status == CDN_OK; u++) {
            add(p, urls.at[u].open ? HTTP_PURGE_PREFIX : HTTP_PURGE_URL,
                cdn_asprintf("http://%s%s", hosts.at[h].p, urls.at[u].p));
        }
    }
    http_purge_texts_free(&hosts);
    http_purge_texts_free(&urls);
    return status;
}

static enum cdn_status end_ban(struct http_purge *p, struct cdn_error *err)
{
    const bool everywhere = is_any(p->ban_host) && is_any(p->ban_url);
    if (!p->ban_host.p && !p->ban_url.p && !p->tag_fields) {
        return cdn_error_set(
            err, CDN_INVALID,
            "BAN says in X-Host, X-Url, X-Content-Type and X-Cache-Tags what it means; X-Host, "
            "X-Url or X-Cache-Tags is needed");
    }
    if (!is_any(p->ban_type)) {
        return cdn_error_set(
            err, CDN_UNSUPPORTED,
            "BAN by X-Content-Type is not supported; by X-Host, X-Url and X-Cache-Tags it is");
    }
    if (p->count && !p->any_tag) { /* tags */
        return everywhere ? CDN_OK
                          : cdn_error_set(err, CDN_UNSUPPORTED,
                                          "BAN by tags and X-Host or X-Url at once is not supported");
    }
    if (p->tag_fields > p->patterns) {
        return cdn_error_set(err, CDN_INVALID, "the field of tags names none");
    }
    drop_items(p); /* of a pattern that fits any tag, too */
    p->all = everywhere;
    return everywhere ? CDN_OK : ban_urls(p, err);
}

/* ---- Fastly's API ---- */

static enum cdn_status no_path(const struct http_purge *p, struct cdn_error *err)
{
    return cdn_error_set(err, CDN_NOT_FOUND,
                         "\"%.*s\": /service/ID/purge/KEY, /service/ID/purge, /service/ID/purge_all and "
                         "/purge/URL are known",
                         (int)(p->path.n < 200 ? p->path.n : 200), p->path.p);
}

static enum cdn_status end_service(struct http_purge *p, struct cdn_str rest, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf key = {0};
    const struct cdn_str id = cdn_str_cut(&rest, '/');
    const struct cdn_str verb = cdn_str_cut(&rest, '/');
    if (!id.n || (rest.p && !rest.n)) {
        return no_path(p, err);
    }
    if (cdn_str_eq(verb, CDN_STR("purge_all")) && !rest.p) {
        p->all = true;
        return CDN_OK;
    }
    if (!cdn_str_eq(verb, CDN_STR("purge"))) {
        return no_path(p, err);
    }
    if (rest.p && !http_percent_decode(rest, false, &key)) {
        return cdn_error_set(err, CDN_INVALID, "the key is badly encoded");
    }
    if (rest.p) {
        http_purge_tag(p, cdn_buf_str(&key));
    }
    p->batch = !rest.p;
    return p->count ? CDN_OK
                    : cdn_error_set(err, CDN_INVALID,
                                    "the keys are wanted in the field Surrogate-Key, or in the body as "
                                    "{\"surrogate_keys\": [...]}");
}

static enum cdn_status end_fastly(struct http_purge *p, struct cdn_error *err)
{
    const struct cdn_str service = CDN_STR("/service/"), url = CDN_STR("/purge/");
    if (cdn_str_starts(p->path, service)) {
        return end_service(p, cdn_str_sub(p->path, service.n), err);
    }
    if (!cdn_str_starts(p->path, url) || p->path.n == url.n) {
        return no_path(p, err);
    }
    add(p, HTTP_PURGE_URL, cdn_asprintf("http://" CDN_STR_FMT, CDN_STR_ARG(cdn_str_sub(p->path, url.n))));
    return CDN_OK;
}

/* ---- */

static enum cdn_status end_purge(struct http_purge *p, struct cdn_error *err)
{
    const bool tags_wanted = !cdn_str_eq(p->method, CDN_STR("PURGE"));
    if (p->clear || p->any_tag) {
        drop_items(p);
        p->all = true;
    } else if (p->tag_fields && !p->count) {
        return cdn_error_set(err, CDN_INVALID, "the field of tags names none");
    } else if (tags_wanted && !p->count) {
        return cdn_error_set(err, CDN_INVALID,
                             CDN_STR_FMT " wants tags in Surrogate-Key, xkey-purge, xkey-softpurge or "
                                         "X-Cache-Tags",
                             CDN_STR_ARG(p->method));
    } else {
        p->own = !p->count;
    }
    return CDN_OK;
}

enum cdn_status http_purge_end(struct http_purge *p, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    if (p->err.status == CDN_OK) {
        status = is_ban(p)                         ? end_ban(p, err)
                 : http_purge_is_method(p->method) ? end_purge(p, err)
                                                   : end_fastly(p, err);
    }
    if (status == CDN_OK && p->err.status != CDN_OK) { /* of a field, or of the items just made */
        *err = p->err;
        status = err->status;
    }
    return status;
}

void http_purge_free(struct http_purge *p)
{
    drop_items(p);
    free(p->item);
    *p = (struct http_purge){0};
}
