#include "cli/command.h"
#include "cli/control.h"
#include "cli/traveller.h"

#include <stdio.h>

#include "common/banned.h"

#define HOPS_MAX 6

#define GET_OPTIONS(X)                                                                              \
    X(TEXT, from, 0, "PLACE|IP", "Be a client there: a city, LAT,LON, a site's name or an address") \
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
    size_t hop_count;
    struct hop hops[HOPS_MAX];
    struct traveller_answer answer; /* of the last hop */
};

/* A path is asked of the router that runs here. */
static enum cdn_status make_url(struct visit *visit, const char *text, struct cdn_error *err)
{
    struct control_where where = CONTROL_WHERE(visit->options);
    bool is_path = text[0] == '/';
    if (!is_path && strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
        return cdn_error_set(err, CDN_USAGE, "'%s' is neither a path (/...) nor a URL (http://...)", text);
    struct cdn_error none;
    enum cdn_status status = control_open(&where, &visit->up, is_path ? err : &none);
    if (is_path && status)
        return status;
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
        control_node(visit->up, "router", "router", &node, &none))
        return;
    char ip[CDN_ADDR_TEXT_SIZE] = "127.0.0.1";
    if (visit->has_client)
        cdn_addr_format_ip(&visit->client, ip);
    CDN_AUTOFREE char *path = cdn_asprintf("/route?ip=%s", ip);
    (void)!control_ask(node, "GET", path, NULL, &visit->route, &none);
}

static enum cdn_status follow(struct visit *visit, struct cdn_error *err)
{
    CDN_AUTOFREE char *url = cdn_strdup(visit->url);
    for (;;) {
        struct hop *hop = &visit->hops[visit->hop_count];
        traveller_answer_free(&visit->answer);
        enum cdn_status status =
            traveller_get(url, visit->has_client ? &visit->client : NULL, &visit->answer, err);
        if (status)
            return status;
        *hop = (struct hop){cdn_strdup(url), visit->answer.status, visit->answer.ms};
        visit->hop_count++;
        bool redirect = visit->answer.status / 100 == 3 && visit->answer.location[0];
        if (!redirect)
            return CDN_OK;
        if (visit->hop_count == HOPS_MAX)
            return cdn_error_set(err, CDN_NETWORK, "more than %d redirects, the last to %s", HOPS_MAX - 1,
                                 visit->answer.location);
        free(url);
        url = visit->answer.location[0] == '/'
                  ? cdn_asprintf("%s%s", control_text(visit->up, "router"), visit->answer.location)
                  : cdn_strdup(visit->answer.location);
    }
}

static double total_ms(const struct visit *visit)
{
    double sum = 0;
    for (size_t i = 0; i < visit->hop_count; i++)
        sum += visit->hops[i].ms;
    return sum;
}

static void print_text(const struct visit *visit)
{
    const struct traveller_answer *a = &visit->answer;
    if (visit->has_client) {
        char ip[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(&visit->client, ip);
        printf("client   %s%s%s%s\n", ip, visit->place[0] ? " (" : "", visit->place,
               visit->place[0] ? ")" : "");
    }
    for (size_t i = 0; i < visit->hop_count; i++)
        printf("%s %u %s  %.2f ms measured\n", i ? "then    " : "asked   ", visit->hops[i].status,
               visit->hops[i].url, visit->hops[i].ms);
    if (visit->route)
        printf("edge     %s, %.0f km, %.1f ms modelled, because: %s\n", control_text(visit->route, "edge"),
               json_number_value(json_object_get(visit->route, "km")),
               json_number_value(json_object_get(visit->route, "rtt_ms")),
               control_text(visit->route, "reason"));
    printf("cache    %s%s%s%s%s\n", a->x_cache[0] ? a->x_cache : "(says nothing)", a->age[0] ? ", age " : "",
           a->age, a->cache_status[0] ? "; " : "", a->cache_status);
    printf("body     %zu bytes, %s\n", a->body.n, a->type[0] ? a->type : "no type");
}

/* The cache that answered, as it calls itself in Cache-Status (RFC 9211: the last member is the nearest). */
static json_t *edge_json(const char *cache_status)
{
    const char *last = cache_status;
    bool quoted = false;
    for (const char *p = cache_status; *p; p++) {
        quoted = quoted != (*p == '"');
        if (*p == ',' && !quoted)
            last = p + 1;
    }
    struct cdn_str rest = cdn_str(last), name = cdn_str_trim(cdn_str_cut(&rest, ';'));
    return name.n ? json_stringn(name.p, name.n) : json_null();
}

static void print_json(const struct visit *visit)
{
    const struct traveller_answer *a = &visit->answer;
    json_t *hops = json_array(), *all = json_object();
    for (size_t i = 0; i < visit->hop_count; i++)
        json_array_append_new(hops, json_pack("{s:s, s:i, s:f}", "url", visit->hops[i].url, "status",
                                              (int)visit->hops[i].status, "measured_ms", visit->hops[i].ms));
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
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(all);
}

static enum cdn_status write_body(const struct visit *visit, struct cdn_error *err)
{
    const char *path = visit->options->output;
    const struct cdn_buf *body = &visit->answer.body;
    FILE *file = !path ? NULL : strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!path)
        return CDN_OK;
    bool written = file && fwrite(body->p ? body->p : "", 1, body->n, file) == body->n && fflush(file) == 0;
    if (file && file != stdout && fclose(file))
        written = false;
    return written ? CDN_OK : cdn_error_set(err, CDN_IO, "cannot write %s", path);
}

static enum cdn_status visit_url(struct visit *visit, const char *text, struct cdn_error *err)
{
    enum cdn_status status = make_url(visit, text, err);
    if (!status && visit->options->from) {
        free(CDN_TAKE(visit->place));
        status = traveller_from_text(visit->options->from, &visit->client, &visit->place, err);
        visit->has_client = !status;
    }
    if (!status) {
        explain(visit);
        status = follow(visit, err);
    }
    if (status)
        return status;
    if (visit->options->json)
        print_json(visit);
    else
        print_text(visit);
    status = write_body(visit, err);
    if (status)
        return status;
    err->text[0] = '\0';
    return visit->answer.status < 400 ? CDN_OK : CDN_NOT_FOUND;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    if (args->n != 1)
        return cdn_error_set(err, CDN_USAGE, "one URL or path, please (pocketcdn help get)");
    struct visit visit = {.options = opaque, .place = cdn_strdup("")};
    enum cdn_status status = visit_url(&visit, args->items[0], err);
    for (size_t i = 0; i < visit.hop_count; i++)
        free(visit.hops[i].url);
    traveller_answer_free(&visit.answer);
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
    .usage = "URL | /PATH [--from PLACE|IP]",
    .more = "Milliseconds are called measured (on this machine) or modelled (of the distance); they are "
            "never added up.\n"
            "Exit code 1 for an answer of 400 and above.\n"
            "\n"
            "  pocketcdn get /static/app.css --from Tokyo\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct get_options),
    .run = run,
};
