#include "edge/purge/purge.h"

#include "common/http/server/http_browser.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_server_check.h"
#include "common/log.h"
#include "common/mem.h"

#include <gnutls/gnutls.h>
#include <inttypes.h>

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

static enum cdn_status purge_url(struct edge *edge, const struct edge_purge *p, struct cdn_str url,
                                 int64_t now_ms, uint64_t *ret_count, struct cdn_error *err)
{
    char into[EDGE_KEY_MAX];
    *ret_count = 0;
    for (int secure = 0; secure <= 1; secure++) { /* http and https name the same resource here */
        struct edge_target t;
        enum edge_key_error e = p->prefix.p && has_dots(url)
                                    ? EDGE_KEY_DOTS
                                    : edge_target_of_url(&edge->naming, url, secure, into, &t);
        if (e != EDGE_KEY_OK) {
            return cdn_error_set(err, CDN_INVALID, "purge: \"" CDN_STR_FMT "\": %s", CDN_STR_ARG(url),
                                 edge_key_error_text(e));
        }
        *ret_count += p->prefix.p ? edge_cache_purge_prefix(edge->cache, t.key, p->soft, now_ms)
                                  : edge_cache_purge_key(edge->cache, t.key, p->soft, now_ms);
    }
    return CDN_OK;
}

enum cdn_status edge_purge_apply(struct edge *edge, const struct edge_purge *p, int64_t now_ms,
                                 uint64_t *ret_count, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    uint64_t count = 0;
    if (p->all) {
        count = edge_cache_purge_all(edge->cache, p->soft, now_ms);
    } else if (p->tag.p) {
        count = edge_cache_purge_tag(edge->cache, p->tag, p->soft, now_ms);
    } else {
        status = purge_url(edge, p, p->prefix.p ? p->prefix : p->url, now_ms, &count, err);
    }
    if (status == CDN_OK) {
        *ret_count = count;
        struct cdn_str what = p->all ? CDN_STR("*") : p->tag.p ? p->tag : p->prefix.p ? p->prefix : p->url;
        CDN_AUTOFREE char *text = cdn_str_dup(what);
        cdn_log(CDN_LOG_INFO, "purge", "kind=%s what=%s soft=%d objects=%" PRIu64,
                p->all        ? "all"
                : p->tag.p    ? "tag"
                : p->prefix.p ? "prefix"
                              : "url",
                text, p->soft, count);
    }
    return status;
}

static struct cdn_str text_of(const json_t *j)
{
    return (struct cdn_str){json_string_value(j), json_string_length(j)};
}

static enum cdn_status apply_one(struct edge *edge, const char *kind, const json_t *value, bool soft,
                                 int64_t now_ms, uint64_t *total, struct cdn_error *err)
{
    if (!json_is_string(value) || !json_string_length(value)) {
        return cdn_error_set(err, CDN_INVALID, "purge: \"%s\" wants text", kind);
    }
    struct edge_purge p = {.soft = soft};
    if (kind[0] == 'u') {
        p.url = text_of(value);
    } else if (kind[0] == 'p') {
        p.prefix = text_of(value);
    } else {
        p.tag = text_of(value);
    }
    uint64_t count = 0;
    enum cdn_status status = edge_purge_apply(edge, &p, now_ms, &count, err);
    *total += count;
    return status;
}

enum cdn_status edge_purge_json(struct edge *edge, json_t *body, int64_t now_ms, uint64_t *ret_count,
                                struct cdn_error *err)
{
    static const char *const kinds[] = {"url", "urls", "prefix", "prefixes", "tag", "tags"};
    const bool soft = json_is_true(json_object_get(body, "soft"));
    uint64_t total = 0;
    bool any = false;
    if (json_is_true(json_object_get(body, "all"))) {
        struct edge_purge p = {.all = true, .soft = soft};
        return edge_purge_apply(edge, &p, now_ms, ret_count, err);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(kinds); i++) {
        json_t *value = json_object_get(body, kinds[i]);
        json_t *item = value;
        size_t n = json_is_array(value) ? json_array_size(value) : value != NULL;
        for (size_t k = 0; k < n; k++) {
            item = json_is_array(value) ? json_array_get(value, k) : value;
            enum cdn_status status = apply_one(edge, kinds[i], item, soft, now_ms, &total, err);
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

/* ---- PURGE ---- */

static bool same_secret(struct cdn_str a, struct cdn_str b)
{
    return a.n == b.n && gnutls_memcmp(a.p, b.p, a.n) == 0;
}

static bool may_purge(struct edge_txn *t)
{
    struct edge *edge = t->worker->edge;
    const struct edge_tuning *tuning = edge_tuning_now(edge);
    struct cdn_str given = t->http->field[HTTP_REQ_AUTHORIZATION];
    struct cdn_str scheme = CDN_STR("Bearer ");
    if (tuning->purge_token[0] && given.p && cdn_str_starts(given, scheme)) {
        return same_secret(cdn_str_sub(given, scheme.n), cdn_str(tuning->purge_token));
    }
    struct cdn_addr client; /* nobody is in no network */
    struct http_browser browser;
    http_browser_read(t->http, &browser);
    if (browser.page) { /* the user's browser is in an allowed network, the page's author is not */
        return false;
    }
    http_forwarded_client(t->http, &tuning->trust, &client);
    for (size_t i = 0; i < tuning->purge_allow.count; i++) {
        if (cdn_cidr_has(&tuning->purge_allow.item[i], &client)) {
            return true;
        }
    }
    return false;
}

struct purge_fields {
    struct edge_txn *txn;
    bool soft;
    unsigned tag_lines;
    uint64_t total;
};

static bool has_tags(struct cdn_str name, struct cdn_str value)
{
    return cdn_str_trim(value).n &&
           (cdn_str_eq_nocase(name, CDN_STR("Surrogate-Key")) ||
            cdn_str_eq_nocase(name, CDN_STR("Cache-Tag")) || cdn_str_eq_nocase(name, CDN_STR("xkey")));
}

static bool find_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct purge_fields *f = arg;
    if (cdn_str_eq_nocase(name, CDN_STR("Fastly-Soft-Purge"))) {
        f->soft = cdn_str_eq(cdn_str_trim(value), CDN_STR("1"));
    }
    f->tag_lines += has_tags(name, value);
    return true;
}

static bool is_soft(struct edge_txn *t)
{
    struct purge_fields f = {.txn = t};
    http_request_each_field(t->http, find_field, &f);
    return f.soft;
}

static bool purge_tags(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct purge_fields *f = arg;
    const char separator = cdn_str_find(value, ',') >= 0 ? ',' : ' ';
    for (struct cdn_str rest = value; has_tags(name, value) && rest.p;) {
        struct edge_purge p = {.tag = cdn_str_trim(cdn_str_cut(&rest, separator)), .soft = f->soft};
        uint64_t count = 0;
        if (p.tag.n && edge_purge_apply(f->txn->worker->edge, &p, f->txn->now_ms, &count, NULL) == CDN_OK) {
            f->total += count;
        }
    }
    return true;
}

static void answer(struct edge_txn *t)
{
    CDN_AUTOFREE char *body = cdn_asprintf("{\"status\":\"ok\",\"purged\":%" PRIu64 ",\"soft\":%s}\n",
                                           t->purged, is_soft(t) ? "true" : "false");
    t->status = 200;
    t->sent = strlen(body);
    t->verdict = EDGE_VERDICT_BYPASS;
    t->cause = EDGE_CAUSE_BYPASS_METHOD;
    http_respond_text(t->http, 200, "application/json", cdn_str(body), NULL);
}

static void purge(struct edge_txn *t)
{
    struct edge *edge = t->worker->edge;
    struct purge_fields f = {.txn = t};
    http_request_each_field(t->http, find_field, &f);
    if (f.tag_lines) {
        http_request_each_field(t->http, purge_tags, &f);
    } else { /* a key is a good URL */
        const struct edge_purge p = {.soft = f.soft};
        (void)!purge_url(edge, &p, cdn_buf_str(&t->key), t->now_ms, &f.total, NULL);
    }
    cdn_metric_add(&t->worker->metrics.purged_total, f.total);
    t->purged = f.total;
    if (edge->store) {
        edge_txn_wait_disk(t, answer);
        edge_store_settle(edge->store, edge_txn_disk_done, t);
    } else {
        answer(t);
    }
}

/* PURGE /path purges the URL; with a tag field it purges what carries the tags instead. It is answered when
 * what it hit cannot come back, neither from rows that were not loaded nor after a crash. */
void edge_purge_request(struct edge_txn *t)
{
    if (!may_purge(t)) {
        edge_deliver_error(t, 403, "PURGE is allowed with the purge_token, or to programs in purge_allow");
        return;
    }
    t->loaded = (struct edge_load_waiter){.done = edge_txn_disk_done, .arg = t};
    t->disk_pending = true;
    if (edge_cache_await_load(t->worker->edge->cache, &t->loaded)) {
        edge_txn_wait(t, purge);
    } else {
        t->disk_pending = false;
        purge(t);
    }
}

/* ---- unsafe requests ---- */

static void invalidate(struct edge_txn *t, struct cdn_str key)
{
    const struct edge_purge p = {0};
    uint64_t count = 0;
    (void)!purge_url(t->worker->edge, &p, key, t->now_ms, &count, NULL);
    cdn_metric_add(&t->worker->metrics.invalidated_total, count);
}

static void invalidate_reference(struct edge_txn *t, const struct edge_head *head, enum edge_head_field field)
{
    CDN_AUTOBUF struct cdn_buf url = {0};
    struct cdn_str reference = edge_head_get(head, field);
    if (!reference.p) {
        return;
    }
    /* Against the URL as the client and as the origin see it: either may stand in the answer. */
    if (edge_invalidate_target(cdn_buf_str(&t->key), reference, &url)) {
        struct edge_purge p = {.url = cdn_buf_str(&url)};
        uint64_t count = 0;
        if (edge_purge_apply(t->worker->edge, &p, t->now_ms, &count, NULL) == CDN_OK) {
            cdn_metric_add(&t->worker->metrics.invalidated_total, count);
        }
    }
}

void edge_purge_after_unsafe(struct edge_txn *t)
{
    const struct edge_head *head = t->fetch->rep->head;
    if (!edge_invalidates(t->http->method, edge_head_status(head))) {
        return;
    }
    invalidate_reference(t, head, EDGE_HEAD_LOCATION);
    if (!edge_store_reason_ok(
            t->fetch->reason)) { /* else the answer itself takes the place of what was stored */
        invalidate(t, cdn_buf_str(&t->key));
        invalidate_reference(t, head, EDGE_HEAD_CONTENT_LOCATION);
    }
}
