/* rule: from settings to what requests need, once, when they are read; then matching. Each check here is
 * about one rule; what is between rules and sites is in site_read.c. */
#include "edge/site/rule.h"

#include "common/config/config.h"
#include "common/http/syntax/http_field.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/site/guard.h"
#include "edge/site/origin.h"
#include "edge/site/page.h"
#include "edge/site/query_names.h"
#include "edge/site/rule_private.h"
#include "edge/site/rule_settings.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static bool said(const struct making *m, enum edge_rule_row row)
{
    return m->from && m->from[row];
}

enum cdn_status edge_rule_wrong(const struct making *m, enum edge_rule_row row, const char *key,
                                const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return cdn_error_set(m->err, CDN_INVALID, "%s: %s.%s: %s", said(m, row) ? m->from[row] : m->rule->place,
                         m->name, key, text);
}

/* In this rule, and not in its site. */
static bool said_here(const struct making *m, enum edge_rule_row row)
{
    return said(m, row) && !(m->inherited && m->inherited[row]);
}

/* ---- the path ---- */

static bool is_extension_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* "css", "css,js", "{css,js}", "(css|js)" into rule->extension; false: it is none. */
static bool read_extensions(struct edge_rule *rule, struct cdn_str text)
{
    const bool braces = text.n > 2 && text.p[0] == '{' && text.p[text.n - 1] == '}';
    const bool round = text.n > 2 && text.p[0] == '(' && text.p[text.n - 1] == ')';
    if (braces || round) {
        text = (struct cdn_str){text.p + 1, text.n - 2};
    }
    rule->extension_text = cdn_str_dup(text);
    struct cdn_str rest = cdn_str(rule->extension_text);
    rule->extension = cdn_calloc(text.n / 2 + 1, sizeof(*rule->extension));
    while (rest.p) {
        struct cdn_str one = cdn_str_cut(&rest, round ? '|' : ',');
        for (size_t i = 0; i < one.n; i++) {
            if (!is_extension_char(one.p[i]) && one.p[i] != '.') {
                return false;
            }
        }
        if (!one.n) {
            return false;
        }
        rule->extension[rule->extension_count++] = one;
    }
    return true;
}

static enum cdn_status read_path(const struct making *m)
{
    struct edge_rule *rule = m->rule;
    struct cdn_str rest = cdn_str(rule->settings.path);
    struct cdn_str prefix = cdn_str_cut(&rest, '*');
    char into[EDGE_KEY_MAX];
    struct cdn_str key;
    const struct edge_query_policy none = {.mode = EDGE_QUERY_NONE};
    if (!prefix.n && rest.p) {
        prefix = CDN_STR("/"); /* "*.css" */
    }
    struct edge_key_parts parts = {.host = CDN_STR("x"), .path = prefix};
    if (!prefix.n || prefix.p[0] != '/' || cdn_str_find(prefix, '?') >= 0 || cdn_str_find(prefix, '#') >= 0) {
        return WRONG(m, path, "\"%s\" is not a path such as /static/ or /media/*.{jpg,png}",
                     rule->settings.path);
    }
    const enum edge_key_error e = edge_key_build(&parts, &none, into, sizeof(into), &key);
    if (e != EDGE_KEY_OK) {
        return WRONG(m, path, "\"%s\": %s", rule->settings.path, edge_key_error_text(e));
    }
    rule->prefix = cdn_str_dup(edge_key_target(key));
    if (rest.p && rest.n && (rest.p[0] != '.' || !read_extensions(rule, cdn_str_sub(rest, 1)))) {
        return WRONG(m, path, "\"%s\": after '*' come extensions, such as *.css or *.{jpg,png}",
                     rule->settings.path);
    }
    return CDN_OK;
}

static bool has_extension(struct cdn_str path, struct cdn_str extension)
{
    return path.n > extension.n && path.p[path.n - extension.n - 1] == '.' &&
           cdn_str_eq_nocase(cdn_str_sub(path, path.n - extension.n), extension);
}

bool edge_rule_matches(const struct edge_rule *rule, struct cdn_str path)
{
    if (!cdn_str_starts(path, cdn_str(rule->prefix))) {
        return false;
    }
    for (size_t i = 0; i < rule->extension_count; i++) {
        if (has_extension(path, rule->extension[i])) {
            return true;
        }
    }
    return rule->extension_count == 0;
}

/* "tar.gz" is one of "gz". */
static bool ends_with(struct cdn_str extension, struct cdn_str of)
{
    return cdn_str_eq_nocase(extension, of) || has_extension(extension, of);
}

bool edge_rule_is_hidden(const struct edge_rule *rule, const struct edge_rule *earlier)
{
    size_t hidden = 0;
    if (!cdn_str_starts(cdn_str(rule->prefix), cdn_str(earlier->prefix))) {
        return false;
    }
    for (size_t i = 0; i < rule->extension_count; i++) {
        bool found = false;
        for (size_t k = 0; k < earlier->extension_count; k++) {
            found = found || ends_with(rule->extension[i], earlier->extension[k]);
        }
        hidden += found;
    }
    return earlier->extension_count == 0 || (rule->extension_count > 0 && hidden == rule->extension_count);
}

/* ---- origins ---- */

static enum cdn_status add_origin(const struct making *m, struct cdn_str text, const char *place)
{
    struct edge_rule *rule = m->rule;
    struct cdn_error why;
    if (edge_origins_get(m->defaults->origins, text, &rule->origin[rule->origin_count], &why) != CDN_OK) {
        return m->from ? cdn_error_set(m->err, CDN_INVALID, "%s: %s.origins: %s", place, m->name, why.text)
                       : cdn_error_set(m->err, CDN_INVALID, "--origin: %s", why.text);
    }
    for (unsigned i = 0; i < rule->origin_count; i++) {
        if (rule->origin[i] == rule->origin[rule->origin_count]) {
            return cdn_error_set(m->err, CDN_INVALID, "%s: %s.origins: \"%s\" is there twice", place, m->name,
                                 rule->origin[i]->text);
        }
    }
    rule->origin_count++;
    return CDN_OK;
}

static enum cdn_status read_origins(const struct making *m)
{
    struct edge_rule *rule = m->rule;
    const struct cdn_config_list *list = &rule->settings.origins;
    rule->origin = cdn_calloc(list->n + 1, sizeof(struct edge_origin *));
    for (size_t i = 0; i < list->n; i++) {
        enum cdn_status status = add_origin(m, cdn_str(list->items[i].key), list->items[i].origin);
        if (status != CDN_OK) {
            return status;
        }
    }
    if (list->n) {
        return CDN_OK;
    }
    if (!m->defaults->origin.n) {
        return WRONG(m, origins, "missing; give a list of URLs");
    }
    return add_origin(m, m->defaults->origin, rule->place);
}

static bool is_host(struct cdn_str text)
{
    char into[EDGE_KEY_HOST_MAX];
    struct cdn_str written;
    return edge_key_host_write(text, false, into, &written);
}

static enum cdn_status read_host(const struct making *m)
{
    struct edge_rule *rule = m->rule;
    struct cdn_str host = said(m, EDGE_RULE_ROW_origin_host) ? cdn_str(rule->settings.origin_host)
                          : rule->origin[0]->socket          ? CDN_STR("client")
                                                             : m->defaults->origin_host;
    if (rule->settings.origin_host[0] && !is_host(cdn_str(rule->settings.origin_host))) {
        return WRONG(m, origin_host, "\"%s\" is not 'origin', 'client' or a host name",
                     rule->settings.origin_host);
    }
    if (cdn_str_eq(host, CDN_STR("client"))) {
        rule->host_sent = EDGE_HOST_CLIENT;
    } else if (host.n && !cdn_str_eq(host, CDN_STR("origin"))) {
        rule->host_sent = EDGE_HOST_NAME;
        rule->host = cdn_str_dup(host);
    }
    return CDN_OK;
}

static enum cdn_status read_health(const struct making *m)
{
    const struct edge_rule *rule = m->rule;
    const struct edge_rule_settings *s = &rule->settings;
    if (s->health_path[0] && s->health_path[0] != '/') {
        return WRONG(m, health_path, "\"%s\" does not begin with '/'", s->health_path);
    }
    return CDN_OK;
}

void edge_rule_use_origins(const struct edge_rule *rule)
{
    const struct edge_rule_settings *s = &rule->settings;
    for (unsigned i = 0; i < rule->origin_count; i++) {
        struct edge_origin *o = rule->origin[i];
        o->used = true;
        o->has_fellows = o->has_fellows || rule->origin_count > 1;
        if (s->health_path[0]) {
            edge_origin_check_set(o, &(struct edge_health_check){.path = s->health_path,
                                                                 .host = rule->host,
                                                                 .interval_ms = s->health_interval,
                                                                 .timeout_ms = s->health_timeout,
                                                                 .up = (unsigned)s->health_up,
                                                                 .down = (unsigned)s->health_down});
        }
    }
}

static bool read_status(struct cdn_str text, uint16_t *ret)
{
    uint64_t n;
    if (!cdn_parse_u64(text, &n) || n < 200 || n > 599) {
        return false;
    }
    *ret = (uint16_t)n;
    return true;
}

static enum cdn_status read_failover(const struct making *m)
{
    struct edge_rule *rule = m->rule;
    const struct cdn_config_list *list = &rule->settings.failover;
    rule->failover = cdn_calloc(list->n, sizeof(*rule->failover));
    for (size_t i = 0; i < list->n; i++) {
        uint16_t *status = &rule->failover[rule->failover_count++];
        if (!read_status(cdn_str(list->items[i].key), status) || *status < 400) {
            return WRONG(m, failover, "\"%s\" is not a status from 400 to 599", list->items[i].key);
        }
    }
    return CDN_OK;
}

bool edge_rule_replaces(const struct edge_rule *rule, struct cdn_str name)
{
    const struct cdn_config_list *lists[] = {&rule->settings.fields_set, &rule->settings.fields_remove};
    for (size_t k = 0; k < CDN_ARRAY_LEN(lists); k++) {
        for (size_t i = 0; i < lists[k]->n; i++) {
            if (cdn_str_eq_nocase(cdn_str(lists[k]->items[i].key), name)) {
                return true;
            }
        }
    }
    return (rule->cors_any || rule->cors_listed) &&
           cdn_str_eq_nocase(name, CDN_STR("Access-Control-Allow-Origin"));
}

bool edge_rule_fails_over(const struct edge_rule *rule, unsigned status)
{
    for (unsigned i = 0; i < rule->failover_count; i++) {
        if (rule->failover[i] == status) {
            return true;
        }
    }
    return false;
}

enum edge_origin_state edge_rule_origin_state(const struct edge_rule *rule)
{
    for (unsigned i = 0; i < rule->origin_count; i++) {
        if (edge_origin_is_well(rule->origin[i])) {
            return EDGE_ORIGIN_UP;
        }
    }
    return EDGE_ORIGIN_DISCONNECTED;
}

/* ---- lifetimes and keys ---- */

static enum cdn_status read_lifetimes(const struct making *m)
{
    const struct edge_rule_settings *s = &m->rule->settings;
    struct edge_rules *rules = &m->rule->rules;
    *rules = m->defaults->rules;
    rules->min_lifetime_s = s->lifetime_min / 1000;
    if (said(m, EDGE_RULE_ROW_lifetime_max)) {
        rules->max_lifetime_s = s->lifetime_max / 1000;
    }
    if (rules->min_lifetime_s > rules->max_lifetime_s) {
        return WRONG(m, lifetime_min, "it is longer than lifetime_max");
    }
    rules->fixed_lifetime = said(m, EDGE_RULE_ROW_lifetime_override);
    rules->fixed_lifetime_s = s->lifetime_override / 1000;
    rules->default_swr_s = said(m, EDGE_RULE_ROW_stale_while_revalidate) ? s->stale_while_revalidate / 1000
                                                                         : rules->default_swr_s;
    rules->default_sie_s =
        said(m, EDGE_RULE_ROW_stale_if_error) ? s->stale_if_error / 1000 : rules->default_sie_s;
    rules->disconnected_s = said(m, EDGE_RULE_ROW_stale_if_disconnected) ? s->stale_if_disconnected / 1000
                                                                         : rules->disconnected_s;
    if (said(m, EDGE_RULE_ROW_lifetime_status)) {
        rules->negative_count = 0;
    }
    for (size_t i = 0; i < s->lifetime_status.n; i++) {
        const struct cdn_config_entry *e = &s->lifetime_status.items[i];
        int64_t ms;
        if (!read_status(cdn_str(e->key), &rules->negative[i].status) ||
            !cdn_parse_duration_ms(cdn_str(e->value), &ms) || rules->negative[i].status == 304) {
            return WRONG(m, lifetime_status, "\"%s: %s\" is not STATUS: TIME such as 404: 5s", e->key,
                         e->value);
        }
        if ((double)ms > EDGE_RULE_YEAR_MS) {
            return WRONG(m, lifetime_status, "\"%s: %s\" is longer than 365d", e->key, e->value);
        }
        rules->negative[i].ttl_s = (int32_t)(ms / 1000);
        rules->negative_count = (unsigned)i + 1;
    }
    return CDN_OK;
}

static enum cdn_status read_query(const struct making *m)
{
    enum { IGNORE = EDGE_QUERY_SORT + 1 }; /* the setting's last word */
    struct edge_rule *rule = m->rule;
    const struct edge_rule_settings *s = &rule->settings;
    const bool own = said(m, EDGE_RULE_ROW_key_query);
    const bool own_allow = said(m, EDGE_RULE_ROW_key_allow), own_ignore = said(m, EDGE_RULE_ROW_key_ignore);
    if (own && s->key_query == EDGE_QUERY_ALLOW && !own_allow) {
        return WRONG(m, key_query, "'allow' needs key_allow");
    }
    if (own && s->key_query == IGNORE && !own_ignore) {
        return WRONG(m, key_query, "'ignore' needs key_ignore");
    }
    const bool here = said_here(m, EDGE_RULE_ROW_key_allow) || !said_here(m, EDGE_RULE_ROW_key_query);
    if (own_allow && here && !(own && s->key_query == EDGE_QUERY_ALLOW)) {
        return WRONG(m, key_allow, "it needs key_query: allow");
    }
    rule->query.mode = !own                     ? m->defaults->query
                       : s->key_query == IGNORE ? EDGE_QUERY_ALL
                                                : (enum edge_query_mode)s->key_query;
    rule->query_allow =
        edge_query_names(own_allow ? &s->key_allow : m->defaults->query_allow, &rule->query.allow_count);
    rule->query_ignore =
        edge_query_names(own_ignore ? &s->key_ignore : m->defaults->query_ignore, &rule->query.ignore_count);
    rule->query.allow = rule->query_allow;
    rule->query.ignore = rule->query_ignore;
    return CDN_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A spec as vary.h has it: lower-case, sorted, each once. */
static enum cdn_status read_key_names(const struct making *m)
{
    const struct edge_rule_settings *s = &m->rule->settings;
    const size_t most = s->key_fields.n + s->key_cookies.n + 1;
    char *name[17];
    size_t n = 0;
    CDN_AUTOBUF struct cdn_buf spec = {0};
    for (size_t i = 0; i + 1 < most; i++) {
        const bool cookie = i >= s->key_fields.n;
        const char *text =
            cookie ? s->key_cookies.items[i - s->key_fields.n].key : s->key_fields.items[i].key;
        if (!http_is_token(cdn_str(text)) || strchr(text, '*')) {
            while (n) {
                free(name[--n]);
            }
            return cookie ? WRONG(m, key_cookies, "\"%s\" is not a name of a cookie", text)
                          : WRONG(m, key_fields, "\"%s\" is not a name of a field", text);
        }
        name[n] = cookie ? cdn_asprintf("cookie;%s", text) : cdn_strdup(text);
        for (char *c = name[n]; !cookie && *c; c++) {
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        }
        n++;
    }
    if (s->key_device) {
        name[n++] = cdn_strdup("cdn-device");
    }
    qsort(name, n, sizeof(*name), compare_texts);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(name[i], name[i - 1]) != 0) {
            cdn_buf_printf(&spec, "%s%s", spec.n ? "," : "", name[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        free(name[i]);
    }
    m->rule->key_names = cdn_str_dup(cdn_buf_str(&spec));
    return CDN_OK;
}

/* ---- pages ---- */

static enum cdn_status read_page(const struct making *m)
{
    const char *name = m->rule->settings.error_page;
    struct cdn_error why;
    m->rule->page = m->defaults->page;
    if (!said(m, EDGE_RULE_ROW_error_page) || !name[0]) {
        return CDN_OK;
    }
    const char *place = m->from[EDGE_RULE_ROW_error_page]; /* "conf/cdn.yaml:12" */
    const char *folder_end = strrchr(place, '/');
    const bool relative = name[0] != '/' && folder_end;
    CDN_AUTOFREE char *path =
        relative ? cdn_asprintf("%.*s/%s", (int)(folder_end - place), place, name) : cdn_strdup(name);
    return edge_page_get(m->defaults->pages, path, &m->rule->page, &why) == CDN_OK
               ? CDN_OK
               : WRONG(m, error_page, "%s", why.text);
}

/* ---- all of it ---- */

static void note_ways(const struct making *m)
{
    struct edge_rule *rule = m->rule;
    const struct edge_rule_settings *s = &rule->settings;
    rule->filters_cookies = said(m, EDGE_RULE_ROW_cookies_keep);
    rule->changes_request = s->request_set.n || s->request_add.n || s->request_remove.n;
    rule->changes_answer =
        s->fields_set.n || s->fields_add.n || s->fields_remove.n || rule->cors_any || rule->cors_listed;
    rule->checks = s->methods.n || s->redirect || s->pass;
    rule->never_hot = rule->key_names[0] || rule->guard.keys || rule->guard.by_country || rule->cors_listed ||
                      s->pass || !edge_rule_allows_method(rule, CDN_STR("GET")) ||
                      !edge_rule_allows_method(rule, CDN_STR("HEAD"));
    rule->hot_without_cookie = rule->filters_cookies;
    rule->rewrites_cookies = rule->filters_cookies || rule->guard.keys;
}

enum cdn_status edge_rule_create(struct edge_rule *ret, struct edge_rule_settings *settings,
                                 char *const *from, const bool *inherited, const char *place,
                                 const char *name, const struct edge_rule_defaults *defaults,
                                 struct cdn_error *err)
{
    static enum cdn_status (*const read[])(const struct making *) = {read_path,
                                                                     read_origins,
                                                                     read_host,
                                                                     read_health,
                                                                     read_failover,
                                                                     read_lifetimes,
                                                                     read_query,
                                                                     edge_rule_read_cors,
                                                                     read_key_names,
                                                                     edge_rule_read_methods,
                                                                     edge_rule_read_fields,
                                                                     edge_rule_read_cookies,
                                                                     read_page};
    *ret = (struct edge_rule){.settings = *settings, .place = cdn_strdup(place)};
    *settings = (struct edge_rule_settings){0};
    const struct making m = {ret, from, inherited, name, defaults, err};
    for (size_t i = 0; i < CDN_ARRAY_LEN(read); i++) {
        const enum cdn_status status = read[i](&m);
        if (status != CDN_OK) {
            edge_rule_free(ret);
            return status;
        }
    }
    if (edge_guard_create(&ret->settings, from, place, name, &defaults->rates, &ret->guard, err) != CDN_OK) {
        edge_rule_free(ret);
        return CDN_INVALID;
    }
    note_ways(&m);
    return CDN_OK;
}

void edge_rule_free(struct edge_rule *rule)
{
    cdn_config_free(&edge_rule_program, &rule->settings);
    free(rule->place);
    free(rule->prefix);
    free(rule->extension);
    free(rule->extension_text);
    free(rule->query_allow);
    free(rule->query_ignore);
    free(rule->origin);
    free(rule->host);
    free(rule->failover);
    free(rule->key_names);
    edge_guard_free(&rule->guard);
    *rule = (struct edge_rule){0};
}
