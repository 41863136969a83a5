/* search: each parameter that matters is decoded and written again in one spelling; they are put in order as
 * slices of that text. */
#include "edge/semantics/search.h"

#include "common/http/syntax/http_percent.h"
#include "common/http/syntax/http_structured.h"

#include <stddef.h>
#include <string.h>

#include "common/banned.h"

#define PARAMETERS_MAX 256u

static bool is_list_of_strings(struct cdn_str list)
{
    struct http_structured_value member;
    int more;
    while ((more = http_structured_inner_next(&list, &member)) > 0) {
        if (member.type != HTTP_SF_STRING) {
            return false;
        }
    }
    return more == 0;
}

bool edge_search_rule_read(struct cdn_str value, struct edge_search_rule *ret)
{
    struct http_structured_value order, params, except;
    struct edge_search_rule rule = {0};
    const bool has_params = http_structured_find(value, CDN_STR("params"), &params);
    const bool has_except = http_structured_find(value, CDN_STR("except"), &except);
    const bool has_order = http_structured_find(value, CDN_STR("key-order"), &order);
    if ((has_order && order.type != HTTP_SF_BOOLEAN) ||
        (has_params && params.type != HTTP_SF_BOOLEAN && params.type != HTTP_SF_INNER_LIST) ||
        (has_except && except.type != HTTP_SF_INNER_LIST)) {
        return false;
    }
    rule.any_order = has_order && order.integer;
    rule.all = has_params && params.type == HTTP_SF_BOOLEAN && params.integer;
    if (has_except && !rule.all) {
        return false;
    }
    rule.listed = has_except                                        ? except.text
                  : has_params && params.type == HTTP_SF_INNER_LIST ? params.text
                                                                    : CDN_STR("");
    if (!is_list_of_strings(rule.listed)) {
        return false;
    }
    *ret = rule;
    return rule.any_order || rule.all || rule.listed.n > 0;
}

/* As a form is read; what cannot be decoded stands for itself. */
static void decode(struct cdn_str s, struct cdn_buf *into)
{
    const size_t from = into->n;
    if (!http_percent_decode(s, true, into)) {
        into->n = from;
        cdn_buf_add_str(into, s);
    }
}

static bool is_listed(struct cdn_str list, struct cdn_str name)
{
    struct http_structured_value member;
    CDN_AUTOBUF struct cdn_buf plain = {0};
    CDN_AUTOBUF struct cdn_buf decoded = {0};
    while (http_structured_inner_next(&list, &member) > 0) {
        cdn_buf_clear(&plain);
        cdn_buf_clear(&decoded);
        for (size_t i = 0; i < member.text.n; i++) {
            i += member.text.p[i] == '\\';
            cdn_buf_add_char(&plain, member.text.p[i]);
        }
        decode(cdn_buf_str(&plain), &decoded);
        if (cdn_str_eq(cdn_buf_str(&decoded), name)) {
            return true;
        }
    }
    return false;
}

struct parameter { /* of the text that is written: "name=value&" */
    size_t at, name_n, n;
};

struct writing {
    struct cdn_buf text;
    struct parameter item[PARAMETERS_MAX];
    unsigned count;
};

static void take(const struct edge_search_rule *rule, struct cdn_str value, struct writing *w)
{
    CDN_AUTOBUF struct cdn_buf name = {0};
    CDN_AUTOBUF struct cdn_buf rest = {0};
    decode(cdn_str_cut(&value, '='), &name);
    if (is_listed(rule->listed, cdn_buf_str(&name)) != rule->all) {
        return;
    }
    struct parameter *p = &w->item[w->count++];
    p->at = w->text.n;
    http_percent_encode(cdn_buf_str(&name), http_percent_is_unreserved, &w->text);
    p->name_n = w->text.n - p->at;
    cdn_buf_add_char(&w->text, '=');
    decode(value.p ? value : CDN_STR(""), &rest);
    http_percent_encode(cdn_buf_str(&rest), http_percent_is_unreserved, &w->text);
    cdn_buf_add_char(&w->text, '&');
    p->n = w->text.n - p->at;
}

static bool is_before(const struct writing *w, const struct parameter *a, const struct parameter *b)
{
    const size_t n = a->name_n < b->name_n ? a->name_n : b->name_n;
    const int d = n ? memcmp(w->text.p + a->at, w->text.p + b->at, n) : 0;
    return d < 0 || (d == 0 && a->name_n < b->name_n);
}

static void sort(struct writing *w) /* those of one name stay in their order */
{
    for (unsigned i = 1; i < w->count; i++) {
        const struct parameter p = w->item[i];
        unsigned at = i;
        for (; at > 0 && is_before(w, &p, &w->item[at - 1]); at--) {
            w->item[at] = w->item[at - 1];
        }
        w->item[at] = p;
    }
}

bool edge_search_normalize(const struct edge_search_rule *rule, struct cdn_str key, struct cdn_buf *into)
{
    struct writing w = {.count = 0};
    unsigned seen = 0;
    if (cdn_str_find(key, '#') >= 0) {
        return false;
    }
    const struct cdn_str path = cdn_str_cut(&key, '?');
    while (key.p && seen <= PARAMETERS_MAX) {
        const struct cdn_str one = cdn_str_cut(&key, '&');
        if (one.n && ++seen <= PARAMETERS_MAX) {
            take(rule, one, &w);
        }
    }
    if (rule->any_order) {
        sort(&w);
    }
    cdn_buf_add_str(into, path);
    cdn_buf_add_char(into, '?');
    for (unsigned i = 0; i < w.count; i++) {
        cdn_buf_add(into, w.text.p + w.item[i].at, w.item[i].n);
    }
    cdn_buf_free(&w.text);
    return seen <= PARAMETERS_MAX;
}
