/* explain: part by part: site and rule, key, cookies, what happens before the cache, origins, bounds of
 * lifetimes, and the answer. Words for verdicts are those of logs and /why (cause.h). */
#include "edge/site/explain.h"

#include "common/config/config.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/geo/client_place.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/key.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/vary.h"
#include "edge/signed/signed.h"
#include "edge/site/breaker.h"
#include "edge/site/device.h"
#include "edge/site/guard.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"
#include "edge/site/shield.h"
#include "edge/site/site.h"
#include "edge/site/target.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

static json_t *text_of(struct cdn_str s)
{
    json_t *text = json_stringn(s.p ? s.p : "", s.n);
    return text ? text : json_string("(not UTF-8)");
}

static void set_text(json_t *into, const char *key, struct cdn_str value)
{
    json_object_set_new(into, key, text_of(value));
}

/* ---- the question ---- */

static enum cdn_status read_lines(const json_t *list, const char *what, struct http_field *ret,
                                  size_t *ret_count, struct cdn_error *err)
{
    size_t i;
    json_t *item;
    if (list && !json_is_array(list)) {
        return cdn_error_set(err, CDN_INVALID, "\"%s\" is not a list", what);
    }
    if (json_array_size(list) > EDGE_EXPLAIN_FIELDS_MAX) {
        return cdn_error_set(err, CDN_INVALID, "\"%s\": more than %d fields", what, EDGE_EXPLAIN_FIELDS_MAX);
    }
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        const char *text = json_is_string(item) ? json_string_value(item) : "";
        struct cdn_str line = cdn_str(text);
        ret[i].name = cdn_str_trim(cdn_str_cut(&line, ':'));
        ret[i].value = line.p ? cdn_str_trim(line) : CDN_STR("");
        if (!line.p || !http_is_token(ret[i].name) || strpbrk(text, "\r\n")) {
            return cdn_error_set(err, CDN_INVALID, "\"%s\" is not a field such as Accept: text/html", text);
        }
    }
    *ret_count = json_array_size(list);
    return CDN_OK;
}

enum cdn_status edge_explain_read(const json_t *from, struct edge_explain_question *ret,
                                  struct cdn_error *err)
{
    const json_t *method = json_object_get(from, "method");
    const json_int_t code = json_integer_value(json_object_get(from, "status"));
    const json_t *answer = json_object_get(from, "answer");
    const char *url = json_string_value(json_object_get(from, "url"));
    if (!url) {
        return cdn_error_set(err, CDN_USAGE, "give a \"url\"");
    }
    *ret = (struct edge_explain_question){.url = cdn_str(url), .method = CDN_STR("GET")};
    if (method) {
        ret->method = cdn_str(json_string_value(method));
    }
    if (!http_is_token(ret->method)) {
        return cdn_error_set(err, CDN_INVALID, "that is not a method such as GET");
    }
    if (code && (code < 200 || code > 599)) {
        return cdn_error_set(err, CDN_INVALID, "the status of an answer is from 200 to 599");
    }
    ret->status = code ? (unsigned)code : answer ? 200 : 0;
    const enum cdn_status read =
        read_lines(json_object_get(from, "fields"), "fields", ret->field, &ret->field_count, err);
    return read == CDN_OK ? read_lines(answer, "answer", ret->answer, &ret->answer_count, err) : read;
}

/* ---- the request's fields ---- */

static bool join(const struct http_field *field, size_t count, const char *name, const char *between,
                 struct cdn_buf *into)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (cdn_str_eq_nocase(field[i].name, cdn_str(name))) {
            cdn_buf_printf(into, "%s" CDN_STR_FMT, any ? between : "", CDN_STR_ARG(field[i].value));
            any = true;
        }
    }
    return any;
}

static bool has(const struct edge_explain_question *q, const char *name)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    return join(q->field, q->field_count, name, ", ", &text);
}

static const struct cdn_config_entry *entry_of(const struct cdn_config_list *list, struct cdn_str name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (cdn_str_eq_nocase(cdn_str(list->items[i].key), name)) {
            return &list->items[i];
        }
    }
    return NULL;
}

static struct cdn_str device_of(const struct edge_explain_question *q)
{
    CDN_AUTOBUF struct cdn_buf agent = {0};
    CDN_AUTOBUF struct cdn_buf mobile = {0};
    (void)join(q->field, q->field_count, "User-Agent", ", ", &agent);
    (void)join(q->field, q->field_count, "Sec-CH-UA-Mobile", ", ", &mobile);
    return edge_device_class(cdn_buf_str(&agent), cdn_buf_str(&mobile));
}

static bool get_cookie(const struct edge_explain_source *s, struct cdn_str name, struct cdn_buf *into)
{
    CDN_AUTOBUF struct cdn_buf all = {0};
    CDN_AUTOBUF struct cdn_buf sent = {0};
    struct cdn_str value;
    (void)join(s->question->field, s->question->field_count, "Cookie", "; ", &all);
    edge_rule_cookies(s->rule, cdn_buf_str(&all), &sent);
    if (!name.p) {
        cdn_buf_add_str(into, cdn_buf_str(&sent));
        return sent.n > 0;
    }
    if (!edge_rule_cookie_find(cdn_buf_str(&sent), name, &value)) {
        return false;
    }
    cdn_buf_add_str(into, value);
    return true;
}

bool edge_explain_get(void *explain_source, struct cdn_str name, struct cdn_buf *into)
{
    const struct edge_explain_source *s = explain_source;
    const struct edge_rule_settings *rule = &s->rule->settings;
    const struct cdn_config_entry *set = entry_of(&rule->request_set, name);
    if (cdn_str_starts(name, CDN_STR("cookie;"))) {
        return get_cookie(s, cdn_str_sub(name, 7), into);
    }
    if (set) {
        cdn_buf_add_str(into, cdn_str(set->value));
        return true;
    }
    if (entry_of(&rule->request_remove, name) || edge_place_is_ours(name, NULL)) {
        return false; /* where a client is comes from its address, which no question has */
    }
    if (rule->key_device && cdn_str_eq_nocase(name, CDN_STR("CDN-Device"))) {
        cdn_buf_add_str(into, device_of(s->question));
        return true;
    }
    if (cdn_str_eq_nocase(name, CDN_STR("Cookie"))) {
        return get_cookie(s, (struct cdn_str){0}, into);
    }
    if (edge_place_is_ours(name, NULL)) { /* by the client's address, which nobody has named */
        return false;
    }
    CDN_AUTOFREE char *text = cdn_str_dup(name);
    return join(s->question->field, s->question->field_count, text, ", ", into);
}

/* ---- the key ---- */

static void add_part(json_t *parts, const char *part, struct cdn_str value, const char *because)
{
    json_array_append_new(
        parts, json_pack("{s:s, s:o, s:s}", "part", part, "value", text_of(value), "because", because));
}

static bool keeps(const struct edge_query_policy *policy, struct cdn_str parameter)
{
    const struct edge_key_parts parts = {.host = CDN_STR("x"), .path = CDN_STR("/"), .query = parameter};
    char into[EDGE_KEY_MAX];
    struct cdn_str key;
    return edge_key_build(&parts, policy, into, sizeof(into), &key) == EDGE_KEY_OK &&
           cdn_str_find(key, '?') >= 0;
}

/* Why a parameter is not in the key; NULL: it is. */
static const char *dropped_by(const struct edge_query_policy *policy, struct cdn_str parameter)
{
    struct edge_query_policy all = *policy;
    all.mode = EDGE_QUERY_ALL;
    if (keeps(policy, parameter)) {
        return NULL;
    }
    return policy->mode == EDGE_QUERY_NONE ? "key_query: none"
           : !keeps(&all, parameter)       ? "key_ignore names it"
                                           : "key_allow does not name it";
}

static void tell_query(const struct edge_rule *rule, struct cdn_str query, json_t *parts)
{
    CDN_AUTOBUF struct cdn_buf rest = {0};
    if (rule->guard.keys && query.p) {
        struct edge_signed_parts signs;
        const bool left = edge_signed_of_query(query, &signs, &rest);
        if (edge_signed_is_there(&signs)) {
            add_part(parts, "query, left out", CDN_STR("what signs the request"), "signed_keys");
        }
        query = left ? cdn_buf_str(&rest) : (struct cdn_str){0};
    }
    static const char *const kept[] = {"key_query: all", "", "key_allow names it", "key_query: sort"};
    while (query.p) {
        const struct cdn_str parameter = cdn_str_cut(&query, '&');
        const char *dropped = parameter.n ? dropped_by(&rule->query, parameter) : NULL;
        if (parameter.n) {
            add_part(parts, dropped ? "query, left out" : "query", parameter,
                     dropped ? dropped : kept[rule->query.mode]);
        }
    }
}

static void tell_names(const struct edge_explain_question *q, const struct edge_rule *rule, json_t *parts)
{
    struct edge_explain_source source = {q, rule};
    struct cdn_str rest = cdn_str(rule->key_names);
    while (rest.n) {
        CDN_AUTOBUF struct cdn_buf value = {0};
        const struct cdn_str name = cdn_str_cut(&rest, ',');
        const bool cookie = cdn_str_starts(name, CDN_STR("cookie;"));
        const bool device = cdn_str_eq(name, CDN_STR("cdn-device"));
        CDN_AUTOFREE char *part = cdn_asprintf("%s " CDN_STR_FMT, cookie ? "cookie" : "field",
                                               CDN_STR_ARG(cdn_str_sub(name, cookie ? 7 : 0)));
        const bool any = edge_explain_get(&source, name, &value);
        add_part(parts, part,
                 any                              ? cdn_buf_str(&value)
                 : edge_place_is_ours(name, NULL) ? CDN_STR("(by the client's address)")
                                                  : CDN_STR("(none)"),
                 cookie   ? "key_cookies"
                 : device ? "key_device"
                          : "key_fields");
    }
}

static json_t *tell_key(const struct edge_explain_question *q, const struct edge_target *t,
                        const struct edge_key_parts *asked)
{
    json_t *parts = json_array();
    char host[EDGE_KEY_HOST_MAX];
    struct cdn_str written = {"", 0};
    const struct cdn_str keyed = edge_key_host(t->key), path = edge_key_path(t->key);
    (void)(asked->host.n && edge_key_host_write(asked->host, t->secure, host, &written));
    add_part(parts, "scheme", t->secure ? CDN_STR("https") : CDN_STR("http"), "as asked");
    add_part(parts, "host", keyed,
             !cdn_str_eq(written, keyed)      ? "what names this machine means the site"
             : cdn_str_eq(asked->host, keyed) ? "as asked"
                                              : "as asked, in its one spelling");
    add_part(parts, "path", path,
             cdn_str_eq(asked->path, path) ? "as asked" : "as asked, in its one spelling");
    tell_query(t->rule, asked->query, parts);
    tell_names(q, t->rule, parts);
    return json_pack("{s:o, s:o}", "text", text_of(t->key), "parts", parts);
}

/* ---- what happens before the cache ---- */

static bool is_cached_method(struct cdn_str name)
{
    return cdn_str_eq(name, CDN_STR("GET")) || cdn_str_eq(name, CDN_STR("HEAD")) ||
           cdn_str_eq(name, CDN_STR("QUERY"));
}

static const char *verdict_of(const struct edge_explain_question *q, const struct edge_target *t,
                              const char **ret_because)
{
    const struct edge_rule *rule = t->rule;
    CDN_AUTOBUF struct cdn_buf cookies = {0};
    enum edge_cause cause = EDGE_CAUSE_NONE;
    (void)join(q->field, q->field_count, "Cookie", "; ", &cookies);
    if (!edge_rule_allows_method(rule, q->method) || cdn_str_eq(q->method, CDN_STR("TRACE"))) {
        *ret_because = "the rule's `methods` does not have this one";
        return "refused (405)";
    }
    if (rule->settings.redirect && !t->secure) {
        *ret_because = "redirect: https";
        return "redirected (308)";
    }
    if (rule->settings.pass) {
        cause = EDGE_CAUSE_BYPASS_RULE;
    } else if (!is_cached_method(q->method)) {
        cause = EDGE_CAUSE_BYPASS_METHOD;
    } else if (edge_rule_has_own_cookie(rule, cdn_buf_str(&cookies))) {
        cause = EDGE_CAUSE_BYPASS_COOKIE;
    }
    *ret_because = cause != EDGE_CAUSE_NONE ? edge_cause_meaning(cause)
                   : cdn_str_eq(q->method, CDN_STR("QUERY"))
                       ? "the body is a part of the key, too (query_body)"
                       : "the cache is asked first";
    return cause == EDGE_CAUSE_NONE ? "cache" : edge_cause_word(cause);
}

/* Who may have it, and how often (guard.h). */
static json_t *tell_guards(const struct edge_rule *rule)
{
    const struct edge_rule_settings *s = &rule->settings;
    json_t *list = json_array();
    if (rule->guard.keys) {
        json_array_append_new(list,
                              json_sprintf("only with a good signature (signed_keys: %s)", s->signed_keys));
    }
    if (rule->guard.by_country) {
        json_array_append_new(list, json_sprintf("by the client's country (%s; others get %u)",
                                                 s->allow_countries.n ? "allow_countries" : "deny_countries",
                                                 rule->guard.deny_status));
    }
    if (rule->guard.has_rates) {
        json_array_append_new(
            list, json_string("within the rates for the client's network (rate_limit, miss_limit)"));
    }
    return list;
}

/* ---- origins ---- */

static json_t *tell_origins(const struct edge_target *t)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < t->rule->origin_count; i++) {
        const struct edge_origin *o = t->rule->origin[i];
        CDN_AUTOFREE char *target = cdn_asprintf("%s" CDN_STR_FMT, o->base, CDN_STR_ARG(t->path));
        const struct cdn_str host = t->rule->host_sent == EDGE_HOST_CLIENT ? t->host
                                    : t->rule->host_sent == EDGE_HOST_NAME ? cdn_str(t->rule->host)
                                                                           : cdn_str(o->authority);
        json_t *one = json_pack("{s:s, s:b, s:i}", "url", o->text, "well", edge_origin_is_well(o),
                                "failures_in_a_row", atomic_load(&o->breaker.failures));
        set_text(one, "asks", cdn_str(target));
        set_text(one, "host", host);
        json_array_append_new(list, one);
    }
    return list;
}

/* ---- lifetimes ---- */

static json_t *tell_bounds(const struct edge_rules *rules)
{
    json_t *status = json_object();
    for (unsigned i = 0; i < rules->negative_count; i++) {
        CDN_AUTOFREE char *name = cdn_asprintf("%u", rules->negative[i].status);
        json_object_set_new(status, name, json_integer(rules->negative[i].ttl_s));
    }
    json_t *bounds =
        json_pack("{s:I, s:I, s:o, s:I, s:I, s:I}", "min_s", (json_int_t)rules->min_lifetime_s, "max_s",
                  (json_int_t)rules->max_lifetime_s, "status", status, "stale_while_revalidate_s",
                  (json_int_t)rules->default_swr_s, "stale_if_error_s", (json_int_t)rules->default_sie_s,
                  "stale_if_disconnected_s", (json_int_t)rules->disconnected_s);
    if (rules->fixed_lifetime) {
        json_object_set_new(bounds, "override_s", json_integer(rules->fixed_lifetime_s));
    }
    return bounds;
}

static enum http_method method_of(struct cdn_str name)
{
    return cdn_str_eq(name, CDN_STR("GET"))     ? HTTP_GET
           : cdn_str_eq(name, CDN_STR("HEAD"))  ? HTTP_HEAD
           : cdn_str_eq(name, CDN_STR("POST"))  ? HTTP_POST
           : cdn_str_eq(name, CDN_STR("QUERY")) ? HTTP_QUERY
                                                : HTTP_OTHER;
}

static enum cdn_status tell_answer(const struct edge_explain_question *q, const struct edge_target *t,
                                   bool passes, json_t **ret, struct cdn_error *err)
{
    const struct edge_rules *rules = &t->rule->rules;
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    CDN_AUTOBUF struct cdn_buf spec = {0};
    struct edge_head *head;
    struct edge_control control;
    struct edge_freshness fresh;
    struct cdn_str digits;
    const struct edge_store_request about = {
        .method = method_of(q->method),
        .authorized =
            has(q, "Authorization") && !entry_of(&t->rule->settings.request_remove, CDN_STR("Authorization")),
        .hashed_name = edge_key_hashed(t->key, &digits)};
    enum cdn_status status = edge_head_build(q->status, q->answer, q->answer_count, NULL, 0, &head, err);
    if (status != CDN_OK) {
        return status;
    }
    edge_control_read(rules, head, &scratch, &control);
    edge_freshness_compute(rules, head, &control, q->now_ms, q->now_ms, 0, &fresh);
    const enum edge_store_reason reason = edge_storable(rules, &about, head, &control, &fresh);
    const bool stored = edge_store_reason_ok(reason) && !passes;
    *ret = json_pack("{s:i, s:b, s:s, s:s}", "status", (int)q->status, "stored", stored, "reason",
                     passes ? "pass" : edge_store_reason_word(reason), "section",
                     passes ? "" : edge_store_reason_section(reason));
    if (stored) {
        json_object_set_new(*ret, "lifetime_s", json_integer(fresh.lifetime_s));
        json_object_set_new(*ret, "source",
                            json_string(edge_lifetime_source_word((enum edge_lifetime_source)fresh.source)));
        json_object_set_new(*ret, "stale_while_revalidate_s", json_integer(fresh.swr_s));
        json_object_set_new(*ret, "stale_if_error_s", json_integer(fresh.sie_s));
        json_object_set_new(*ret, "validated_each_time", json_boolean(fresh.no_cache));
        if (edge_vary_spec(head, cdn_str(t->rule->key_names), &spec)) {
            set_text(*ret, "varies_by", cdn_buf_str(&spec));
        }
    }
    edge_head_destroy(head);
    return CDN_OK;
}

/* ---- all of it ---- */

static enum cdn_status find(const struct edge_explain_question *q, char *into, struct edge_target *ret,
                            struct edge_key_parts *ret_asked, struct cdn_error *err)
{
    struct cdn_str rest = q->url;
    enum edge_key_error e = EDGE_KEY_HOST;
    *ret_asked = (struct edge_key_parts){0};
    if (q->url.n && q->url.p[0] == '/') {
        rest = cdn_str_cut(&rest, '#');
        ret_asked->path = cdn_str_cut(&rest, '?');
        ret_asked->query = rest;
        e = edge_target_build(q->sites, ret_asked, into, ret);
    } else if (edge_key_split(q->url, ret_asked)) {
        e = edge_target_build(q->sites, ret_asked, into, ret);
    }
    if (e == EDGE_KEY_OK) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID, "\"%.*s\": %s (%u)", (int)(q->url.n < 200 ? q->url.n : 200),
                         q->url.p, edge_key_error_text(e), edge_key_error_status(e));
}

enum cdn_status edge_explain(const struct edge_explain_question *q, char *into, struct edge_target *t,
                             json_t **ret, struct cdn_error *err)
{
    struct edge_key_parts asked;
    json_t *answer = NULL;
    const char *because;
    CDN_AUTOBUF struct cdn_buf cookies = {0};
    enum cdn_status status = find(q, into, t, &asked, err);
    if (status != CDN_OK) {
        return status;
    }
    const struct edge_rule *rule = t->rule;
    struct edge_explain_source source = {q, rule};
    const char *verdict = verdict_of(q, t, &because);
    const bool passes = strcmp(verdict, "cache") != 0;
    if (q->status) {
        status = tell_answer(q, t, passes, &answer, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    json_t *j =
        json_pack("{s:o, s:o, s:{s:s, s:s}, s:{s:i, s:s, s:s}}", "url", text_of(q->url), "method",
                  text_of(q->method), "site", "name", rule->site->name, "place", rule->site->place, "rule",
                  "number", (int)rule->number, "path", rule->settings.path, "place", rule->place);
    json_object_set_new(j, "key", tell_key(q, t, &asked));
    if (get_cookie(&source, (struct cdn_str){0}, &cookies)) {
        set_text(j, "cookies_sent", cdn_buf_str(&cookies));
    }
    json_object_set_new(j, "request", json_pack("{s:s, s:s}", "goes_to", verdict, "because", because));
    json_object_set_new(j, "given", tell_guards(rule));
    json_object_set_new(j, "origins", tell_origins(t));
    const struct edge_origin *shield =
        passes || !edge_site_shields(rule) ? NULL : edge_shield_of(rule->site, t->key);
    if (shield) {
        json_object_set_new(j, "shield", json_string(shield->text));
    }
    json_object_set_new(j, "lifetimes", tell_bounds(&rule->rules));
    if (answer) {
        json_object_set_new(j, "answer", answer);
    }
    *ret = j;
    return CDN_OK;
}
