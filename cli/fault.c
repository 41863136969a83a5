/* fault: `pocketcdn fault`: makes a node late, wrong or silent, by POST /faults of its admin
 * listener. Words become the JSON that the node checks; nothing is judged twice. */
#include "cli/base/note.h"
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/control.h"
#include "cli/travel/fault_link.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define FAULT_OPTIONS(X)                                             \
    X(TEXT, node, 0, "NAME", "Node to disturb; default: the origin") \
    X(FLAG, json, 'j', NULL, "What is on, as JSON")                  \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(fault_options, FAULT_OPTIONS);

/* ---- words to rules ---- */

/* A number or a truth value as such, everything else as text. */
static json_t *value_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_string(text);
}

/* What a word alone switches on, and the key that it is another name for. */
static const struct {
    const char *word, *key;
    bool is_flag; /* else a rate, and 1 is always */
} kinds[] = {
    {"down", "down", true},
    {"refuse", "refuse", true},
    {"off", "off", true},
    {"error", "error_rate", false},
    {"drop", "drop_rate", false},
    {"truncate", "truncate_rate", false},
    {"corrupt", "corrupt_rate", false},
};

static bool add_word(const char *word, json_t *body)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(kinds); i++) {
        if (strcmp(word, kinds[i].word) == 0) {
            json_object_set_new(body, kinds[i].key, kinds[i].is_flag ? json_true() : json_integer(1));
            return true;
        }
    }
    return false;
}

/* "error=0.1" is "error_rate=0.1", and "error=404" each time, with this status. */
static void add_pair(const char *key, const char *text, json_t *body)
{
    json_t *value = value_of(text);
    if (strcmp(key, "error") == 0 && json_is_integer(value) && json_integer_value(value) > 1) {
        json_object_set_new(body, "error_rate", json_integer(1));
        json_object_set_new(body, "status", value);
        return;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(kinds); i++) {
        key = strcmp(key, kinds[i].word) == 0 ? kinds[i].key : key;
    }
    json_object_set_new(body, key, value);
}

static enum cdn_status make_body(const char *const *words, size_t n, json_t *body, struct cdn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(words[i], '=');
        if (!equals && add_word(words[i], body)) {
            continue;
        }
        if (!equals || equals == words[i]) {
            return cdn_error_set(err, CDN_USAGE,
                                 "'%s' is neither KEY=VALUE nor off, down, refuse, error, drop, truncate or "
                                 "corrupt",
                                 words[i]);
        }
        CDN_AUTOFREE char *key = cdn_strndup(words[i], (size_t)(equals - words[i]));
        add_pair(key, equals + 1, body);
    }
    return CDN_OK;
}

/* ---- whom ---- */

struct target { /* kind NULL: any; name NULL: the one of its kind */
    const char *kind, *name;
};

/* "edge NAME", "origin", "router", or nothing. *ret_n: how many words that took. */
static enum cdn_status read_target(const struct cli_args *args, const char *option, struct target *ret,
                                   size_t *ret_n, struct cdn_error *err)
{
    static const char *const alone[] = {"origin", "router"};
    const char *first = args->n ? args->items[0] : "";
    *ret = (struct target){option ? NULL : "origin", option};
    *ret_n = 0;
    if (strcmp(first, "edge") == 0) {
        if (args->n < 2 || strchr(args->items[1], '=')) {
            return cdn_error_set(err, CDN_USAGE,
                                 "which edge? fault edge NAME FAULT... (pocketcdn help fault)");
        }
        *ret = (struct target){"edge", args->items[1]};
        *ret_n = 2;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(alone); i++) {
        if (strcmp(first, alone[i]) == 0) {
            *ret = (struct target){alone[i], NULL};
            *ret_n = 1;
        }
    }
    if (*ret_n && option) {
        return cdn_error_set(err, CDN_USAGE, "--node and '%s' both name a node", first);
    }
    return args->n ? CDN_OK
                   : cdn_error_set(err, CDN_USAGE, "which fault? KEY=VALUE... or off (pocketcdn help fault)");
}

static bool is_meant(const json_t *node, const struct target *target)
{
    return (!target->kind || strcmp(control_text(node, "kind"), target->kind) == 0) &&
           (!target->name || strcmp(control_text(node, "name"), target->name) == 0);
}

static enum cdn_status find_node(const json_t *cdn, const struct target *target, json_t **ret,
                                 struct cdn_error *err)
{
    json_t *node;
    size_t i;
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (!is_meant(node, target)) {
            continue;
        }
        if (json_is_true(json_object_get(node, "external"))) {
            return cdn_error_set(err, CDN_NOT_FOUND,
                                 "the origin %s is not one of ours: it has no faults to switch on",
                                 control_text(node, "url"));
        }
        *ret = node;
        return CDN_OK;
    }
    return control_node(cdn, target->kind, target->name ? target->name : target->kind, ret, err);
}

static enum cdn_status show(const json_t *node, bool json, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    json_t *report;
    enum cdn_status status = control_ask(node, "GET", "/status", NULL, &report, err);
    if (status != CDN_OK) {
        return status;
    }
    json_t *faults = json_object_get(report, "faults");
    if (json) {
        control_print(json_incref(faults));
    } else {
        note_faults(faults, &text);
        cli_print("%s: %s\n", control_text(node, "name"), text.n ? text.p : "no faults");
    }
    json_decref(report);
    return CDN_OK;
}

/* With no fault named, what is on is shown. */
static enum cdn_status trouble(const json_t *cdn, const struct target *target, const json_t *body, bool json,
                               struct cdn_error *err)
{
    json_t *node, *answer;
    enum cdn_status status = find_node(cdn, target, &node, err);
    if (status == CDN_OK && json_object_size(body)) {
        status = control_ask(node, "POST", "/faults", body, &answer, err);
        if (status == CDN_OK) {
            json_decref(answer);
        }
    }
    return status == CDN_OK ? show(node, json, err) : status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct fault_options *options = opaque;
    struct control_where where = CONTROL_WHERE(options);
    if (args->n && strcmp(args->items[0], "link") == 0) {
        return fault_link(&where, args->items + 1, args->n - 1, options->json, err);
    }
    json_t *body = json_object(), *cdn = NULL;
    struct target target;
    size_t words;
    enum cdn_status status = read_target(args, options->node, &target, &words, err);
    if (status == CDN_OK) {
        status = make_body(args->items + words, args->n - words, body, err);
    }
    if (status == CDN_OK) {
        status = control_open(&where, &cdn, err);
    }
    if (status == CDN_OK) {
        status = trouble(cdn, &target, body, options->json, err);
    }
    json_decref(cdn);
    json_decref(body);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct fault_options, __VA_ARGS__)
static const struct cli_option rows[] = {FAULT_OPTIONS(ROW)};

const struct cli_command cli_command_fault = {
    .name = "fault",
    .summary = "Make a node slow, faulty or unreachable, or cut a link (simulation)",
    .usage = "[edge NAME | origin | router | link [FROM-TO]] FAULT... | off",
    .more =
        "Without a node the origin is meant. Faults, of which several may be given; those not given are "
        "off:\n"
        "  delay=200ms          answers come later\n"
        "  error[=0.1 | =404]   they are errors: all, this part of them, or with this status (503)\n"
        "  drop[=0.1]           the connection ends without one\n"
        "  truncate[=0.1]       they break off in the middle\n"
        "  corrupt[=0.1]        one byte of the body is wrong\n"
        "  slow=64KiB           bytes a second\n"
        "  refuse               new connections are refused\n"
        "  down                 that, all others are cut, and the node's health says so\n"
        "  paths=PATTERN        only for these paths (shell pattern)\n"
        "  seed=N               which ones are hit, the same again\n"
        "`status` shows what is on, and so does naming a node alone.\n"
        "\n"
        "Links (`up --wan`): FROM-TO is two of node, place and *; cut, delay=200ms, loss=0.1, rate=1MiB,\n"
        "direction=both|there|back, seed=N. `link` alone lists what is on, `link off` ends all of it.\n"
        "\n"
        "  pocketcdn fault delay=200ms error=0.1\n"
        "  pocketcdn fault link TOKYO-nrt cut\n"
        "  pocketcdn fault edge fra down\n"
        "  pocketcdn fault edge fra off\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct fault_options),
    .run = run,
};
