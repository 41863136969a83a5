/* get: `pocketcdn get`: a request as a client at some place would make it, through the router to
 * the edge, with what each hop said. It follows one redirect of the router's itself, since curl -L
 * would lose who decided what. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/base/terminal.h"
#include "cli/run/control.h"
#include "cli/run/traveller.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define HOPS_MAX 6
#define DATA_MAX (64u << 20)

#define GET_OPTIONS(X)                                                                              \
    X(TEXT, from, 0, "PLACE|IP", "Be a client there: a city, LAT,LON, a site's name or an address") \
    X(LIST, header, 'H', "FIELD", "Send this field, such as 'Cookie: a=b'; may be repeated")        \
    X(TEXT, request, 'X', "METHOD", "Method other than GET (POST with --data)")                     \
    X(TEXT, data, 'd', "DATA", "Send a body: text, @FILE, or @- for standard input")                \
    X(TEXT, output, 'o', "FILE", "Write the body there ('-': standard output, after the report)")   \
    X(FLAG, json, 'j', NULL, "The report as one JSON object")                                       \
    CONTROL_OPTIONS(X)

CLI_OPTIONS_STRUCT(get_options, GET_OPTIONS);

struct hop {
    char *url;
    unsigned status;
    double ms;
};

struct visit {
    const struct get_options *options;
    json_t *up; /* up.json, or NULL when no CDN runs here */
    char *url;
    char *place;
    bool has_client;
    struct cdn_addr client;
    json_t *route; /* the router's explanation, or NULL */
    struct traveller_request request;
    struct http_field fields[CLI_LIST_MAX + 1]; /* of the request; slices of argv */
    struct cdn_buf data;                        /* its body, when it was read from a file */
    size_t hop_count;
    struct hop hops[HOPS_MAX];
    struct traveller_answer answer; /* of the last hop */
};

/* A path is asked of the router that runs here. */
static enum cdn_status make_url(struct visit *visit, const char *text, struct cdn_error *err)
{
    struct control_where where = CONTROL_WHERE(visit->options);
    bool is_path = text[0] == '/';
    if (!is_path && strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) {
        return cdn_error_set(err, CDN_USAGE, "'%s' is neither a path (/...) nor a URL (http://...)", text);
    }
    struct cdn_error none;
    enum cdn_status status = control_open(&where, &visit->up, is_path ? err : &none);
    if (is_path && status != CDN_OK) {
        return status;
    }
    if (status != CDN_OK && status != CDN_NOT_FOUND) { /* nothing of the router's can be said */
        cli_complain("pocketcdn get: %s\n", none.text);
    }
    visit->url = cdn_asprintf("%s%s", is_path ? control_text(visit->up, "router") : "", text);
    return CDN_OK;
}

/* Why that edge, from the router's admin listener; nothing when the URL is not our router's. Without --from a
 * router on loopback sees a client on loopback; what another one sees is not known here. */
static void explain(struct visit *visit)
{
    const char *router = control_text(visit->up, "router");
    bool loopback = strncmp(router, "http://127.", 11) == 0;
    struct cdn_error none;
    json_t *node;
    if (!router[0] || !(visit->has_client || loopback) || strncmp(visit->url, router, strlen(router)) != 0 ||
        control_node(visit->up, "router", "router", &node, &none)) {
        return;
    }
    char ip[CDN_ADDR_TEXT_SIZE] = "127.0.0.1";
    if (visit->has_client) {
        cdn_addr_format_ip(&visit->client, ip);
    }
    CDN_AUTOFREE char *path = cdn_asprintf("/route?ip=%s", ip);
    (void)!control_ask(node, "GET", path, NULL, &visit->route, &none);
}

/* After 303, and by custom after 301 and 302, what was a POST is asked for again by GET (RFC 9110 15.4). */
static bool becomes_get(const struct visit *visit, unsigned status)
{
    const char *method = visit->request.method;
    bool safe = !method || strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    return !safe && (status == 303 || ((status == 301 || status == 302) && strcmp(method, "POST") == 0));
}

/* ---- what is asked ---- */

static enum cdn_status read_field(const char *text, struct http_field *ret, struct cdn_error *err)
{
    struct cdn_str value = cdn_str(text), name = cdn_str_cut(&value, ':');
    *ret = (struct http_field){name, value.p ? cdn_str_trim(value) : value};
    if (value.p && http_check_token(name) && http_check_field_value(ret->value)) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_USAGE, "-H: '%s' is not a field such as 'Cookie: a=b'", text);
}

static enum cdn_status read_data(struct visit *visit, const char *text, struct cdn_error *err)
{
    const char *path = text + 1;
    if (text[0] != '@') {
        visit->request.body = cdn_str(text);
        return CDN_OK;
    }
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file) {
        return cdn_error_set(err, CDN_IO, "--data: cannot open %s: %s", path, strerror(errno));
    }
    char piece[65536];
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0 && visit->data.n <= DATA_MAX;) {
        cdn_buf_add(&visit->data, piece, n);
    }
    bool failed = ferror(file);
    if (file != stdin) {
        fclose(file);
    }
    if (failed) {
        return cdn_error_set(err, CDN_IO, "--data: cannot read %s", path);
    }
    if (visit->data.n > DATA_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "--data: %s has more than %u bytes", path, DATA_MAX);
    }
    visit->request.body = cdn_buf_str(&visit->data);
    return CDN_OK;
}

static bool has_type(const struct visit *visit)
{
    for (size_t i = 0; i < visit->request.field_count; i++) {
        if (cdn_str_eq_nocase(visit->fields[i].name, CDN_STR("Content-Type"))) {
            return true;
        }
    }
    return false;
}

static enum cdn_status read_request(struct visit *visit, struct cdn_error *err)
{
    const struct get_options *options = visit->options;
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < options->header.n && status == CDN_OK; i++) {
        status = read_field(options->header.items[i], &visit->fields[i], err);
    }
    visit->request = (struct traveller_request){
        .method = options->request ? options->request
                  : options->data  ? "POST"
                                   : "GET",
        .fields = visit->fields,
        .field_count = options->header.n,
    };
    if (status == CDN_OK && !http_check_token(cdn_str(visit->request.method))) {
        status = cdn_error_set(err, CDN_USAGE, "-X: '%s' is not a method", visit->request.method);
    }
    if (status == CDN_OK && options->data) {
        status = read_data(visit, options->data, err);
        if (!has_type(visit)) {
            visit->fields[visit->request.field_count++] =
                (struct http_field){CDN_STR("Content-Type"), CDN_STR("application/x-www-form-urlencoded")};
        }
    }
    return status;
}

static enum cdn_status follow(struct visit *visit, struct cdn_error *err)
{
    CDN_AUTOFREE char *url = cdn_strdup(visit->url);
    for (;;) {
        struct hop *hop = &visit->hops[visit->hop_count];
        traveller_answer_free(&visit->answer);
        enum cdn_status status = traveller_ask(url, visit->has_client ? &visit->client : NULL,
                                               &visit->request, &visit->answer, err);
        if (status != CDN_OK) {
            return status;
        }
        *hop = (struct hop){cdn_strdup(url), visit->answer.status, visit->answer.ms};
        visit->hop_count++;
        bool redirect = visit->answer.status / 100 == 3 && visit->answer.location[0];
        if (!redirect) {
            return CDN_OK;
        }
        if (becomes_get(visit, visit->answer.status)) {
            visit->request =
                (struct traveller_request){.fields = visit->fields, .field_count = visit->options->header.n};
        }
        if (visit->hop_count == HOPS_MAX) {
            return cdn_error_set(err, CDN_NETWORK, "more than %d redirects, the last to %s", HOPS_MAX - 1,
                                 visit->answer.location);
        }
        free(url);
        url = visit->answer.location[0] == '/'
                  ? cdn_asprintf("%s%s", control_text(visit->up, "router"), visit->answer.location)
                  : cdn_strdup(visit->answer.location);
    }
}

static double total_ms(const struct visit *visit)
{
    double sum = 0;
    for (size_t i = 0; i < visit->hop_count; i++) {
        sum += visit->hops[i].ms;
    }
    return sum;
}

static enum terminal_style verdict_style(const char *x_cache)
{
    return strcmp(x_cache, "HIT") == 0 ? TERMINAL_GOOD : x_cache[0] ? TERMINAL_WARNING : TERMINAL_PLAIN;
}

static void print_text(const struct visit *visit)
{
    const struct traveller_answer *a = &visit->answer;
    if (visit->has_client) {
        char ip[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(&visit->client, ip);
        cli_print("client   %s%s%s%s\n", ip, visit->place[0] ? " (" : "", visit->place,
                  visit->place[0] ? ")" : "");
    }
    for (size_t i = 0; i < visit->hop_count; i++) {
        cli_print("%s %u %s  %.2f ms measured\n", i ? "then    " : "asked   ", visit->hops[i].status,
                  visit->hops[i].url, visit->hops[i].ms);
    }
    if (visit->route) {
        cli_print("edge     %s, %.0f km, %.1f ms modelled, because: %s\n", control_text(visit->route, "edge"),
                  json_number_value(json_object_get(visit->route, "km")),
                  json_number_value(json_object_get(visit->route, "rtt_ms")),
                  control_text(visit->route, "reason"));
    }
    cli_print("cache    ");
    cli_print_styled(verdict_style(a->x_cache), a->x_cache[0] ? a->x_cache : "(says nothing)");
    cli_print("%s%s%s%s\n", a->age[0] ? ", age " : "", a->age, a->cache_status[0] ? "; " : "",
              a->cache_status);
    cli_print("body     %zu bytes, %s\n", a->body.n, a->type[0] ? a->type : "no type");
}

/* The cache that answered, as it calls itself in Cache-Status (RFC 9211: the last member is the nearest). */
static json_t *edge_json(const char *cache_status)
{
    const char *last = cache_status;
    bool quoted = false;
    for (const char *p = cache_status; *p; p++) {
        quoted = quoted != (*p == '"');
        if (*p == ',' && !quoted) {
            last = p + 1;
        }
    }
    struct cdn_str rest = cdn_str(last), name = cdn_str_trim(cdn_str_cut(&rest, ';'));
    return name.n ? json_stringn(name.p, name.n) : json_null();
}

static void print_json(const struct visit *visit)
{
    const struct traveller_answer *a = &visit->answer;
    json_t *hops = json_array(), *all = json_object();
    for (size_t i = 0; i < visit->hop_count; i++) {
        json_array_append_new(hops, json_pack("{s:s, s:i, s:f}", "url", visit->hops[i].url, "status",
                                              (int)visit->hops[i].status, "measured_ms", visit->hops[i].ms));
    }
    if (visit->has_client) {
        char ip[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(&visit->client, ip);
        json_object_set_new(all, "client", json_string(ip));
    }
    json_object_set_new(all, "place", visit->place[0] ? json_string(visit->place) : json_null());
    json_object_set_new(all, "status", json_integer(a->status));
    json_object_set_new(all, "edge", edge_json(a->cache_status));
    json_object_set_new(all, "x_cache", json_string(a->x_cache));
    json_object_set_new(all, "cache_status", json_string(a->cache_status));
    json_object_set_new(all, "age", a->age[0] ? json_string(a->age) : json_null());
    json_object_set_new(all, "content_type", json_string(a->type));
    json_object_set_new(all, "bytes", json_integer((json_int_t)a->body.n));
    json_object_set_new(all, "measured_ms", json_real(total_ms(visit)));
    json_object_set_new(all, "hops", hops);
    json_object_set(all, "route", visit->route ? visit->route : json_null());
    cli_print_json(all, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
}

static enum cdn_status write_body(const struct visit *visit, struct cdn_error *err)
{
    const char *path = visit->options->output;
    const struct cdn_buf *body = &visit->answer.body;
    FILE *file = !path ? NULL : strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!path) {
        return CDN_OK;
    }
    bool written = file && fwrite(body->p ? body->p : "", 1, body->n, file) == body->n && fflush(file) == 0;
    if (file && file != stdout && fclose(file)) {
        written = false;
    }
    return written ? CDN_OK : cdn_error_set(err, CDN_IO, "cannot write %s", path);
}

static enum cdn_status visit_url(struct visit *visit, const char *text, struct cdn_error *err)
{
    enum cdn_status status = read_request(visit, err);
    if (status == CDN_OK) {
        status = make_url(visit, text, err);
    }
    if (status == CDN_OK && visit->options->from) {
        free(CDN_TAKE(visit->place));
        status = traveller_from_text(visit->options->from, &visit->client, &visit->place, err);
        visit->has_client = status == CDN_OK;
    }
    if (status == CDN_OK) {
        explain(visit);
        status = follow(visit, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    if (visit->options->json) {
        print_json(visit);
    } else {
        print_text(visit);
    }
    status = write_body(visit, err);
    if (status != CDN_OK) {
        return status;
    }
    err->text[0] = '\0';
    return visit->answer.status < 400 ? CDN_OK : CDN_NOT_FOUND;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    if (args->n != 1) {
        return cdn_error_set(err, CDN_USAGE, "one URL or path, please (pocketcdn help get)");
    }
    struct visit visit = {.options = opaque, .place = cdn_strdup("")};
    enum cdn_status status = visit_url(&visit, args->items[0], err);
    for (size_t i = 0; i < visit.hop_count; i++) {
        free(visit.hops[i].url);
    }
    traveller_answer_free(&visit.answer);
    cdn_buf_free(&visit.data);
    json_decref(visit.up);
    json_decref(visit.route);
    free(visit.url);
    free(visit.place);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct get_options, __VA_ARGS__)
static const struct cli_option rows[] = {GET_OPTIONS(ROW)};

const struct cli_command cli_command_get = {
    .name = "get",
    .summary = "Fetch a URL through the router as a client anywhere on Earth",
    .usage = "URL | /PATH [--from PLACE|IP] [-H FIELD] [-X METHOD] [-d DATA]",
    .more = "Milliseconds are called measured (on this machine) or modelled (of the distance); they are "
            "never added up.\n"
            "Exit code 1 for an answer of 400 and above.\n"
            "\n"
            "  pocketcdn get /static/app.css --from Tokyo\n"
            "  pocketcdn get /static/app.js -H 'Accept-Encoding: br'\n"
            "  pocketcdn get /search/ -X POST -d q=tent\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct get_options),
    .run = run,
};
