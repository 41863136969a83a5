/* fault_link: words become the JSON that pocketcdn-wan checks, and what is on afterwards is shown, as the
 * origin's faults are. */
#include "cli/travel/fault_link.h"

#include "cli/base/print.h"
#include "cli/base/table.h"
#include "cli/base/terminal.h"
#include "cli/run/control.h"
#include "cli/travel/network.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

/* A number or a truth value as such, everything else ("200ms", "1MiB") as text. */
static json_t *value_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_string(text);
}

static enum cdn_status make_body(const char *const *args, size_t n, json_t *body, struct cdn_error *err)
{
    if (n == 1 && strcmp(args[0], "off") == 0) { /* all of them */
        json_object_set_new(body, "off", json_true());
        return CDN_OK;
    }
    json_object_set_new(body, "link", json_string(args[0]));
    if (n == 1) {
        return cdn_error_set(err, CDN_USAGE, "%s: which fault? cut, delay=200ms, loss=0.1, rate=1MiB or off",
                             args[0]);
    }
    for (size_t i = 1; i < n; i++) {
        const char *equals = strchr(args[i], '=');
        const bool word = strcmp(args[i], "cut") == 0 || strcmp(args[i], "off") == 0;
        if (!word && (!equals || equals == args[i])) {
            return cdn_error_set(err, CDN_USAGE,
                                 "'%s' is none of cut, off, delay=TIME, loss=PART, rate=SIZE and "
                                 "direction=both|there|back",
                                 args[i]);
        }
        CDN_AUTOFREE char *key = cdn_strndup(args[i], word ? 3 : (size_t)(equals - args[i]));
        json_object_set_new(body, key, word ? json_true() : value_of(equals + 1));
    }
    return CDN_OK;
}

/* What a link without faults has, too. */
static bool is_usual(const json_t *value)
{
    const char *text = json_string_value(value);
    return json_is_null(value) || json_is_false(value) ||
           (json_is_number(value) && json_number_value(value) <= 0) ||
           (text && (strcmp(text, "0s") == 0 || strcmp(text, "both") == 0));
}

static void print_list(const json_t *faults)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    const char *key;
    json_t *fault, *value;
    size_t i;
    table_init(&table, "LINK|FAULTS");
    json_array_foreach(faults, i, fault)
    {
        CDN_AUTOBUF struct cdn_buf what = {0};
        json_object_foreach(fault, key, value)
        {
            if (strcmp(key, "link") == 0 || is_usual(value)) {
                continue;
            }
            cdn_buf_printf(&what, "%s%s", what.n ? " " : "", key);
            if (!json_is_true(value)) {
                cdn_buf_add_char(&what, '=');
                cdn_buf_printf(&what, "%s", json_is_string(value) ? json_string_value(value) : "");
                if (!json_is_string(value)) {
                    cli_add_json(&what, value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
                }
            }
        }
        table_add(&table, "%s", control_text(fault, "link"));
        table_add(&table, "%s", what.p ? what.p : "");
    }
    table_print_to(&table, terminal_of(STDOUT_FILENO), &text);
    fwrite(text.p ? text.p : "", 1, text.n, stdout);
    table_fini(&table);
}

static enum cdn_status show(const json_t *wan, bool json, struct cdn_error *err)
{
    json_t *answer;
    enum cdn_status status = control_ask(wan, "GET", "/faults", NULL, &answer, err);
    if (status != CDN_OK) {
        return status;
    }
    const json_t *faults = json_object_get(answer, "faults");
    if (json) {
        control_print(json_incref(answer));
    } else if (json_array_size(faults) == 0) {
        cli_print("no link has a fault\n");
    } else {
        print_list(faults);
    }
    json_decref(answer);
    return CDN_OK;
}

static enum cdn_status post(const json_t *wan, const json_t *body, struct cdn_error *err)
{
    json_t *answer;
    enum cdn_status status = control_ask(wan, "POST", "/faults", body, &answer, err);
    if (status == CDN_OK) {
        json_decref(answer);
    }
    return status;
}

enum cdn_status fault_link(const struct control_where *where, const char *const *args, size_t n, bool json,
                           struct cdn_error *err)
{
    json_t *body = json_object(), *cdn = NULL, *wan;
    enum cdn_status status = n == 0 ? CDN_OK : make_body(args, n, body, err);
    if (status == CDN_OK) {
        status = network_open(where, &cdn, &wan, err);
    }
    if (status == CDN_OK && n) {
        status = post(wan, body, err);
    }
    if (status == CDN_OK) {
        status = show(wan, json, err);
    }
    json_decref(cdn);
    json_decref(body);
    return status;
}
