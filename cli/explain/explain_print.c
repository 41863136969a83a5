/* explain_print: the JSON as text, a line for each thing that is decided, and what others would do. */
#include "cli/base/print.h"
#include "cli/explain/explain_private.h"
#include "cli/explain/others.h"
#include "cli/run/control.h"
#include "common/clock.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/site/explain.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

/* ---- the others ---- */

static size_t read_fields(const json_t *list, struct http_field *ret)
{
    size_t i, n = 0;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        struct cdn_str value = cdn_str(json_string_value(item));
        if (n < EDGE_EXPLAIN_FIELDS_MAX) {
            ret[n].name = cdn_str_trim(cdn_str_cut(&value, ':'));
            ret[n++].value = value.p ? cdn_str_trim(value) : CDN_STR("");
        }
    }
    return n;
}

static bool has_authorization(const json_t *fields)
{
    struct http_field field[EDGE_EXPLAIN_FIELDS_MAX];
    const size_t n = read_fields(fields, field);
    for (size_t i = 0; i < n; i++) {
        if (cdn_str_eq_nocase(field[i].name, CDN_STR("Authorization"))) {
            return true;
        }
    }
    return false;
}

static struct cdn_str path_of(const char *url)
{
    struct edge_key_parts parts;
    struct cdn_str rest = cdn_str(url);
    rest = edge_key_split(rest, &parts) ? parts.path : cdn_str_cut(&rest, '?');
    return rest.n ? rest : CDN_STR("/");
}

json_t *explain_others_json(const json_t *question)
{
    struct http_field field[EDGE_EXPLAIN_FIELDS_MAX];
    json_t *list = json_array();
    const json_t *method = json_object_get(question, "method"), *status = json_object_get(question, "status");
    const struct explain_answer answer = {
        .method = cdn_str(method ? json_string_value(method) : "GET"),
        .path = path_of(json_string_value(json_object_get(question, "url"))),
        .authorized = has_authorization(json_object_get(question, "fields")),
        .status = status ? (unsigned)json_integer_value(status) : 200,
        .field = field,
        .count = read_fields(json_object_get(question, "answer"), field),
        .now_s = cdn_clock_now_ms() / 1000};
    for (int i = 0; i < EXPLAIN_OTHER_COUNT; i++) {
        const enum explain_other who = (enum explain_other)i;
        const struct explain_claim claim = explain_claim_of(who, &answer);
        json_t *one = json_pack("{s:s, s:s, s:b, s:s, s:s, s:s}", "cdn", explain_other_name(who), "setting",
                                explain_other_setting(who), "cached", claim.cached, "because", claim.because,
                                "key", explain_other_key(who), "page", explain_page_name(claim.page));
        if (claim.cached) {
            json_object_set_new(one, "ttl_s", json_integer(claim.ttl_s));
        }
        if (claim.note) {
            json_object_set_new(one, "note", json_string(claim.note));
        }
        json_array_append_new(list, one);
    }
    return list;
}

/* ---- lines ---- */

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_key(const json_t *key)
{
    size_t i;
    json_t *part;
    cli_print("key      %s\n", control_text(key, "text"));
    json_array_foreach(json_object_get(key, "parts"), i, part)
    {
        cli_print("           %s: %s (%s)\n", control_text(part, "part"), control_text(part, "value"),
                  control_text(part, "because"));
    }
}

static void print_origins(const json_t *origins, bool offline)
{
    size_t i;
    json_t *o;
    json_array_foreach(origins, i, o)
    {
        cli_print("origin   %zu. asks %s, Host: %s%s%s\n", i + 1, control_text(o, "asks"),
                  control_text(o, "host"), strncmp(control_text(o, "url"), "unix:", 5) == 0 ? ", by " : "",
                  strncmp(control_text(o, "url"), "unix:", 5) == 0 ? control_text(o, "url") : "");
        if (!offline && !json_is_true(json_object_get(o, "well"))) {
            cli_print("           it is not well (%lld failures in a row): the next one is asked\n",
                      number(o, "failures_in_a_row"));
        }
    }
}

static void print_lifetimes(const json_t *l)
{
    const char *name;
    json_t *ttl;
    cli_print("lifetime ");
    if (json_object_get(l, "override_s")) {
        cli_print("%lld s whatever an answer says", number(l, "override_s"));
    } else {
        cli_print("as an answer says");
        if (number(l, "min_s")) {
            cli_print(", at least %lld s", number(l, "min_s"));
        }
    }
    if (number(l, "max_s") < 2147483647) {
        cli_print(", at most %lld s", number(l, "max_s"));
    }
    json_object_foreach(json_object_get(l, "status"), name, ttl)
    {
        cli_print("; %s that names none: %lld s", name, (long long)json_integer_value(ttl));
    }
    cli_print("\n");
}

static void print_now(const char *word, const json_t *now)
{
    const char *cause = control_text(now, "cause");
    cli_print("%-8s %s", word, control_text(now, "next"));
    if (json_is_true(json_object_get(now, "found"))) {
        cli_print(" (age %lld s, %lld s left)", number(now, "age_s"), number(now, "ttl_s"));
    }
    if (cause[0]) {
        cli_print(" (%s: %s)", cause, control_text(now, "because"));
    }
    cli_print("\n");
}

static void print_answer(const json_t *a)
{
    cli_print("answer   %lld: ", number(a, "status"));
    if (!json_is_true(json_object_get(a, "stored"))) {
        cli_print("not stored (%s%s%s)\n", control_text(a, "reason"),
                  control_text(a, "section")[0] ? ", RFC " : "", control_text(a, "section"));
        return;
    }
    cli_print("stored for %lld s (%s)", number(a, "lifetime_s"), control_text(a, "source"));
    if (json_is_true(json_object_get(a, "validated_each_time"))) {
        cli_print(", validated before each use");
    }
    if (number(a, "stale_while_revalidate_s")) {
        cli_print(", then stale for %lld s during a refresh", number(a, "stale_while_revalidate_s"));
    }
    if (number(a, "stale_if_error_s")) {
        cli_print(", then stale for %lld s when the origin fails", number(a, "stale_if_error_s"));
    }
    cli_print("%s%s\n", control_text(a, "varies_by")[0] ? ", varies by " : "", control_text(a, "varies_by"));
}

static void print_others(const json_t *others)
{
    size_t i;
    json_t *o;
    cli_print("\n");
    cli_print("By their documentation (docs/explain.md), and with no further settings:\n");
    json_array_foreach(others, i, o)
    {
        cli_print("%s, %s: ", control_text(o, "cdn"), control_text(o, "setting"));
        if (json_is_true(json_object_get(o, "cached"))) {
            cli_print("kept for %lld s: %s", number(o, "ttl_s"), control_text(o, "because"));
        } else {
            cli_print("not kept: %s", control_text(o, "because"));
        }
        cli_print("%s%s\n", control_text(o, "note")[0] ? "; " : "", control_text(o, "note"));
        cli_print("           key: %s\n", control_text(o, "key"));
        cli_print("           page: %s\n", control_text(o, "page"));
    }
}

void explain_print(const struct explain_case *c)
{
    const json_t *t = c->told;
    const json_t *site = json_object_get(t, "site"), *rule = json_object_get(t, "rule");
    const json_t *request = json_object_get(t, "request");
    const bool offline = json_is_true(json_object_get(t, "offline"));
    const char *name = control_text(site, "name");
    size_t i;
    json_t *guard;
    if (offline) {
        cli_print("%s alone is read: no edge answers\n", c->options->config);
    }
    cli_print("site     %s (%s)\n", name[0] ? name : "that of the edge's own settings",
              control_text(site, "place"));
    cli_print("rule     %lld: %s (%s)\n", number(rule, "number"), control_text(rule, "path"),
              control_text(rule, "place"));
    print_key(json_object_get(t, "key"));
    cli_print("request  %s: %s\n", control_text(request, "goes_to"), control_text(request, "because"));
    json_array_foreach(json_object_get(t, "given"), i, guard)
    {
        cli_print("given    %s\n", json_string_value(guard));
    }
    if (json_object_get(t, "cookies_sent")) {
        cli_print("cookies  %s\n", control_text(t, "cookies_sent"));
    }
    if (json_object_get(t, "shield")) {
        cli_print("shield   %s is asked before the origins\n", control_text(t, "shield"));
    }
    print_origins(json_object_get(t, "origins"), offline);
    print_lifetimes(json_object_get(t, "lifetimes"));
    if (strcmp(control_text(request, "goes_to"), "cache") == 0 && json_object_get(t, "now")) {
        CDN_AUTOFREE char *edge = cdn_strdup(control_text(t, "edge"));
        if (json_object_get(t, "before")) {
            print_now("before", json_object_get(t, "before"));
        }
        print_now(edge, json_object_get(t, "now"));
    }
    if (json_object_get(t, "answer")) {
        print_answer(json_object_get(t, "answer"));
        json_t *others = explain_others_json(c->question);
        print_others(others);
        json_decref(others);
    }
}
