/* explain_ask: an edge that runs is asked, since it knows what it has stored and how its origins do. With a
 * cdn.yaml and no edge that answers, the file alone is read by the same functions. */
#include "cli/base/options.h"
#include "cli/explain/explain_private.h"
#include "cli/get/exchange.h"
#include "cli/run/control.h"
#include "common/clock.h"
#include "common/config/config.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/tuning.h"
#include "edge/base/worker.h"
#include "edge/semantics/key.h"
#include "edge/site/explain.h"
#include "edge/site/origin.h"
#include "edge/site/target.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define FIELDS_MAX 64u

/* ---- from the file alone ---- */

/* The name by which the file has an edge; owned. */
static char *name_of(const struct explain_options *options)
{
    struct edge_settings first = {0};
    struct cdn_error none;
    if (options->edge) {
        return cdn_strdup(options->edge);
    }
    if (cdn_config_load_item(&edge_program, options->config, 0, &first, &none) != CDN_OK) {
        return cdn_strdup("edge");
    }
    char *name = cdn_strdup(first.name);
    cdn_config_free(&edge_program, &first);
    return name;
}

static enum cdn_status load(const struct explain_options *options, struct edge_settings *ret,
                            struct cdn_error *err)
{
    CDN_AUTOFREE char *name = name_of(options);
    CDN_AUTOFREE char *config = cdn_strdup(options->config);
    char program[] = "pocketcdn-edge", c[] = "--config", n[] = "--name";
    char *argv[] = {program, c, config, n, name, NULL};
    enum cdn_config_outcome outcome;
    return cdn_config_load(&edge_program, 5, argv, ret, &outcome, NULL, NULL, err);
}

static enum cdn_status ask_file(struct explain_case *c, struct cdn_error *err)
{
    struct edge_settings settings = {0};
    struct edge_origins origins = {NULL};
    struct edge_tuning *tuning = NULL;
    struct edge_explain_question *q = cdn_calloc(1, sizeof(*q));
    struct edge_target target;
    char into[EDGE_KEY_MAX];
    enum cdn_status status = load(c->options, &settings, err);
    if (status == CDN_OK) {
        status = edge_tuning_create(&settings, c->options->config, &origins, NULL, &tuning, err);
    }
    if (status == CDN_OK) {
        status = edge_explain_read(c->question, q, err);
    }
    if (status == CDN_OK) {
        q->sites = &tuning->sites;
        q->now_ms = cdn_clock_now_ms();
        status = edge_explain(q, into, &target, &c->told, err);
    }
    if (status == CDN_OK) {
        json_object_set_new(c->told, "offline", json_true());
    }
    free(q);
    edge_tuning_destroy(tuning);
    edge_origins_free(&origins);
    cdn_config_free(&edge_program, &settings);
    return status;
}

/* ---- from an edge ---- */

static enum cdn_status find_edge(const json_t *cdn, const char *name, json_t **ret, struct cdn_error *err)
{
    size_t i;
    json_t *node;
    if (name) {
        return control_node(cdn, "edge", name, ret, err);
    }
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (strcmp(control_text(node, "kind"), "edge") == 0) {
            *ret = node;
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_NOT_FOUND, "that CDN has no edge");
}

static void note_answer(struct explain_case *c, const struct exchange *x)
{
    json_t *fields = json_array();
    struct cdn_str rest = cdn_buf_str(&x->head);
    while (rest.p && rest.n && json_array_size(fields) < EDGE_EXPLAIN_FIELDS_MAX) {
        const struct cdn_str line = cdn_str_trim(cdn_str_cut(&rest, '\n'));
        if (line.n) {
            json_array_append_new(fields, json_stringn(line.p, line.n));
        }
    }
    json_object_set_new(c->question, "status", json_integer(x->status));
    json_object_set_new(c->question, "answer", fields);
}

/* The request itself, at the edge's own listener. */
static enum cdn_status fetch(struct explain_case *c, const json_t *cdn, const json_t *edge,
                             struct cdn_error *err)
{
    struct http_field field[FIELDS_MAX];
    struct edge_key_parts parts;
    size_t n = 0;
    const bool whole = edge_key_split(cdn_str(c->url), &parts);
    const char *path = whole ? c->url + (parts.host.p + parts.host.n - c->url) : c->url;
    CDN_AUTOFREE char *url =
        cdn_asprintf("%s%s%s", control_text(edge, "url"), path[0] == '/' ? "" : "/", path);
    CDN_AUTOFREE char *host = whole ? cdn_str_dup(parts.host) : NULL;
    if (host) {
        field[n++] = (struct http_field){CDN_STR("Host"), cdn_str(host)};
    }
    for (size_t i = 0; i < c->options->header.n && n < FIELDS_MAX; i++) {
        struct cdn_str value = cdn_str(c->options->header.items[i]);
        field[n].name = cdn_str_trim(cdn_str_cut(&value, ':'));
        field[n++].value = cdn_str_trim(value);
    }
    const struct exchange_client_config config = {.ca_file = control_bundle(cdn)};
    const struct exchange_request request = {.method = c->options->request ? c->options->request : "GET",
                                             .url = url,
                                             .fields = field,
                                             .field_count = n};
    struct exchange_client *client;
    struct exchange answer = {0};
    enum cdn_status status = exchange_client_create(&config, &client, err);
    if (status != CDN_OK) {
        return status;
    }
    status = exchange_run(client, &request, &answer, err);
    if (status == CDN_OK) {
        note_answer(c, &answer);
    }
    exchange_free(&answer);
    exchange_client_destroy(client);
    return status;
}

static enum cdn_status ask_edge(struct explain_case *c, const json_t *cdn, struct cdn_error *err)
{
    json_t *edge;
    enum cdn_status status = find_edge(cdn, c->options->edge, &edge, err);
    if (status == CDN_OK && c->options->fetch) { /* what was stored before is told after: ask first */
        status = control_ask(edge, "POST", "/explain", c->question, &c->told, err);
        json_t *before = status == CDN_OK ? json_incref(json_object_get(c->told, "now")) : NULL;
        json_decref(c->told);
        c->told = NULL;
        status = status == CDN_OK ? fetch(c, cdn, edge, err) : status;
        status =
            status == CDN_OK ? control_ask(edge, "POST", "/explain", c->question, &c->told, err) : status;
        if (status == CDN_OK) {
            json_object_set_new(c->told, "before", before);
        } else {
            json_decref(before);
        }
        return status;
    }
    return status == CDN_OK ? control_ask(edge, "POST", "/explain", c->question, &c->told, err) : status;
}

/* Whether an edge has said so; else nobody did. */
static bool is_an_answer(enum cdn_status status)
{
    return status == CDN_OK || status == CDN_INVALID || status == CDN_USAGE;
}

enum cdn_status explain_ask(struct explain_case *c, struct cdn_error *err)
{
    const struct explain_options *options = c->options;
    const struct control_where where = CONTROL_WHERE(options);
    json_t *cdn;
    enum cdn_status status = control_open(&where, &cdn, err);
    if (status != CDN_OK) {
        return options->config && !options->fetch && status != CDN_USAGE ? ask_file(c, err) : status;
    }
    status = ask_edge(c, cdn, err);
    json_decref(cdn);
    return options->config && !options->fetch && !is_an_answer(status) ? ask_file(c, err) : status;
}
