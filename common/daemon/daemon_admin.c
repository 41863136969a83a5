/* daemon_admin: the admin listener's verbs, its own and those of the program's table, behind one
 * door: the body is collected within its limit, access is judged, JSON is parsed, then the route is
 * looked for. So a handler sees only requests that may be answered. */
#include "common/daemon/daemon_admin.h"

#include "common/clock.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_percent.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "common/visible.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

/* What the daemon keeps of a request, behind req->app. */
struct call {
    struct cdn_buf text; /* the body's bytes */
    json_t *body;
    bool parsed;
    void (*over)(void *arg);
    void *over_arg;
};

static struct call *call_of(struct http_request *req)
{
    if (!req->app) {
        req->app = cdn_calloc(1, sizeof(struct call));
    }
    return req->app;
}

void daemon_on_end(struct http_request *req, void (*over)(void *arg), void *arg)
{
    struct call *call = call_of(req);
    call->over = over;
    call->over_arg = arg;
}

/* Answers */

void daemon_answer_json(struct http_request *req, unsigned status, json_t *take)
{
    static const char *const fields[] = {"Cache-Control: no-store", NULL};
    CDN_AUTOFREE char *text = json_dumps(take, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    CDN_AUTOBUF struct cdn_buf body = {0};
    json_decref(take);
    if (!text) {
        http_respond_problem(req, 500, "the answer cannot be written as JSON");
        return;
    }
    cdn_buf_add_visible_json(&body, cdn_str(text));
    cdn_buf_add_char(&body, '\n');
    http_respond_text(req, status, "application/json", cdn_buf_str(&body), fields);
}

void daemon_answer_error(struct http_request *req, const struct cdn_error *err)
{
    http_respond_problem(req, (unsigned)cdn_status_http(err->status), err->text);
}

void daemon_answer_problem(struct http_request *req, unsigned status, const char *detail, const char *field)
{
    const char *const fields[] = {"Cache-Control: no-store", field, NULL};
    http_respond_problem_with(req, status, detail, fields);
}

/* NULL for a broken escape or a NUL. */
static char *decode(struct cdn_str s, bool plus)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    return http_percent_decode(s, plus, &out) ? cdn_buf_take(&out) : NULL;
}

char *daemon_query(const struct http_request *req, const char *name)
{
    struct cdn_str rest = req->query;
    while (rest.p) {
        struct cdn_str value = cdn_str_cut(&rest, '&');
        struct cdn_str key = cdn_str_cut(&value, '=');
        CDN_AUTOFREE char *decoded = decode(key, true);
        if (decoded && strcmp(decoded, name) == 0) {
            return decode(value.p ? value : CDN_STR(""), true);
        }
    }
    return NULL;
}

char *daemon_path_rest(const struct http_request *req, const char *prefix)
{
    return cdn_str_starts(req->path, cdn_str(prefix)) ? decode(cdn_str_sub(req->path, strlen(prefix)), false)
                                                      : NULL;
}

/* The verbs that are the same everywhere; `self` is the daemon. */

static bool is_healthy(const struct daemon *daemon, char why[static 128])
{
    const struct daemon_config *config = &daemon->config;
    why[0] = '\0';
    if (daemon->draining) {
        cdn_str_copy(why, 128, CDN_STR("draining"));
        return false;
    }
    if (daemon->faults.active && daemon->faults.down) {
        cdn_str_copy(why, 128, CDN_STR("down, as a fault that was asked for"));
        return false;
    }
    return !config->healthy || config->healthy(config->self, why);
}

static void answer_health(void *self, struct http_request *req, json_t *body)
{
    const struct daemon_config *config = &((const struct daemon *)self)->config;
    char why[128];
    (void)body;
    if (is_healthy(self, why)) {
        json_t *ok = json_pack("{s:s}", "status", "ok");
        if (config->load) {
            json_object_set_new(ok, "load", json_integer(config->load(config->self)));
        }
        daemon_answer_json(req, 200, ok);
    } else {
        daemon_answer_json(req, 503, json_pack("{s:s, s:s}", "status", "failing", "why", why));
    }
}

static void answer_metrics(void *self, struct http_request *req, json_t *body)
{
    static const char *const fields[] = {"Cache-Control: no-store", NULL};
    const struct daemon *daemon = self;
    const struct daemon_config *config = &daemon->config;
    CDN_AUTOBUF struct cdn_buf out = {0};
    (void)body;
    cdn_buf_printf(
        &out,
        "# HELP pocketcdn_build_info The program and its version\n# TYPE pocketcdn_build_info gauge\n"
        "pocketcdn_build_info{program=\"%s\",version=\"%s\"} 1\n",
        config->program, CDN_VERSION);
    if (config->metrics) {
        config->metrics(config->self, &out);
    }
    if (config->disturb) {
        const char *kind = strrchr(config->program, '-') + 1; /* "pocketcdn-edge" */
        cdn_buf_printf(&out,
                       "# HELP pocketcdn_%s_fault_total Requests that a fault changed (simulation)\n"
                       "# TYPE pocketcdn_%s_fault_total counter\npocketcdn_%s_fault_total %" PRIu64 "\n",
                       kind, kind, kind, http_faults_total());
    }
    http_respond_text(req, 200, "text/plain; version=0.0.4; charset=utf-8", cdn_buf_str(&out), fields);
}

static json_t *clock_json(void)
{
    char text[40];
    struct tm t;
    int64_t now_ms = cdn_clock_now_ms();
    time_t now = (time_t)(now_ms / 1000);
    gmtime_r(&now, &t);
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(now_ms % 1000));
    return json_pack("{s:s, s:I}", "now", text, "offset_ms", (json_int_t)cdn_clock_offset_ms());
}

static void answer_status(void *self, struct http_request *req, json_t *body)
{
    const struct daemon *daemon = self;
    const struct daemon_config *config = &daemon->config;
    char why[128];
    bool healthy = is_healthy(daemon, why);
    (void)body;
    json_t *status =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:b, s:s, s:b, s:b, s:o}", "name",
                  config->node ? config->node : config->program, "program", config->program, "version",
                  CDN_VERSION, "pid", (int)getpid(), "uptime_s",
                  (json_int_t)((cdn_clock_mono_ms() - daemon->started_ms) / 1000), "healthy", healthy, "why",
                  why, "draining", daemon->draining, "simulate", config->simulate, "clock", clock_json());
    if (config->disturb && status) {
        json_object_set_new(status, "faults", http_faults_json(&daemon->faults));
    }
    if (config->status && status) {
        config->status(config->self, status);
    }
    daemon_answer_json(req, 200, status);
}

static void answer_clock(void *self, struct http_request *req, json_t *body)
{
    (void)self;
    (void)body;
    daemon_answer_json(req, 200, clock_json());
}

/* {"advance": "30d"}, "-1h", or a number of seconds. */
static bool read_advance(const json_t *value, int64_t *ret_ms)
{
    if (json_is_integer(value)) {
        return !__builtin_mul_overflow((int64_t)json_integer_value(value), INT64_C(1000), ret_ms);
    }
    struct cdn_str text = cdn_str(json_string_value(value));
    bool back = text.n && text.p[0] == '-';
    int64_t ms;
    if (!cdn_parse_duration_ms(cdn_str_sub(text, back || (text.n && text.p[0] == '+')), &ms)) {
        return false;
    }
    *ret_ms = back ? -ms : ms;
    return true;
}

/* RFC 3339 in UTC with whole seconds: "2027-01-01T00:00:00Z". */
static bool read_instant(const char *text, int64_t *ret_ms)
{
    struct tm t = {0};
    char back[32];
    const char *end = text && strlen(text) == 20 ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &t) : NULL;
    if (!end || *end) {
        return false;
    }
    time_t s = timegm(&t); /* turns 31 February into March: caught by writing it back */
    strftime(back, sizeof(back), "%Y-%m-%dT%H:%M:%SZ", &t);
    *ret_ms = (int64_t)s * 1000;
    return strcmp(back, text) == 0;
}

/* By how much the clock is to move. */
static enum cdn_status read_move(json_t *body, int64_t *ret_ms, struct cdn_error *err)
{
    const json_t *advance = json_object_get(body, "advance");
    const json_t *set = json_object_get(body, "set");
    const json_t *reset = json_object_get(body, "reset");
    int64_t instant;
    if (json_object_size(body) != 1 || (!advance && !set && !json_is_true(reset))) {
        return cdn_error_set(
            err, CDN_INVALID,
            "clock: one of {\"advance\":\"30d\"}, {\"set\":\"2027-01-01T00:00:00Z\"}, {\"reset\":true} "
            "is expected");
    }
    if (advance && !read_advance(advance, ret_ms)) {
        return cdn_error_set(err, CDN_INVALID,
                             "clock: advance is a time such as \"30d\", \"1h30m\" or \"-1h\"");
    }
    if (set && !read_instant(json_string_value(set), &instant)) {
        return cdn_error_set(err, CDN_INVALID, "clock: set is an instant such as \"2027-01-01T00:00:00Z\"");
    }
    if (!advance) {
        *ret_ms = set ? instant - cdn_clock_now_ms() : -cdn_clock_offset_ms();
    }
    return CDN_OK;
}

static void move_clock(void *self, struct http_request *req, json_t *body)
{
    const struct daemon *daemon = self;
    struct cdn_error err;
    int64_t ms = 0;
    enum cdn_status status = read_move(body, &ms, &err);
    if (status == CDN_OK) {
        status = cdn_clock_advance_ms(ms, &err);
    }
    if (status != CDN_OK) {
        daemon_answer_error(req, &err);
        return;
    }
    cdn_log(CDN_LOG_INFO, "clock_moved", "by_ms=%" PRId64 " offset_ms=%" PRId64, ms, cdn_clock_offset_ms());
    if (daemon->config.clock_moved) {
        daemon->config.clock_moved(daemon->config.self);
    }
    daemon_answer_json(req, 200, clock_json());
}

static void answer_reload(void *self, struct http_request *req, json_t *body)
{
    struct cdn_error err;
    (void)body;
    if (daemon_reload(self, &err) != CDN_OK) {
        daemon_answer_error(req, &err);
        return;
    }
    daemon_answer_json(req, 200, json_pack("{s:s}", "status", "reloaded"));
}

static const struct daemon_route common_routes[] = {
    {"GET", "/health", answer_health},      {"GET", "/metrics", answer_metrics},
    {"GET", "/status", answer_status},      {"GET", "/clock", answer_clock},
    {"POST", "/clock", move_clock},         {"POST", "/reload", answer_reload},
    {"POST", "/faults", daemon_set_faults}, {NULL, NULL, NULL},
};

/* Routing */

static bool path_fits(const char *pattern, struct cdn_str path)
{
    struct cdn_str p = cdn_str(pattern);
    bool subtree = cdn_str_ends(p, CDN_STR("/"));
    if (cdn_str_eq(p, CDN_STR("*"))) {
        return true;
    }
    return subtree ? cdn_str_starts(path, p) && path.n > p.n : cdn_str_eq(path, p);
}

static const struct daemon_route *find_route(const struct daemon_route *routes, struct cdn_str method,
                                             struct cdn_str path, struct cdn_buf *allow)
{
    for (; routes && routes->method; routes++) {
        if (!path_fits(routes->path, path)) {
            continue;
        }
        if (cdn_str_eq(cdn_str(routes->method), method)) {
            return routes;
        }
        if (strcmp(routes->path, "*") == 0) { /* says nothing of the path */
            continue;
        }
        cdn_buf_printf(allow, "%s%s%s", allow->n ? ", " : "", routes->method,
                       strcmp(routes->method, "GET") == 0 ? ", HEAD" : "");
    }
    return NULL;
}

/* Parses the body once; false: it is no JSON, and the request has been answered. */
static bool parse_body(struct http_request *req, struct call *call)
{
    json_error_t error;
    if (call->parsed || call->text.n == 0 || daemon_is_reading(req)) {
        return true;
    }
    call->parsed = true;
    call->body = json_loadb(call->text.p, call->text.n, JSON_REJECT_DUPLICATES, &error);
    if (!call->body) {
        CDN_AUTOFREE char *detail = cdn_asprintf("the body is not JSON: line %d, column %d: %s", error.line,
                                                 error.column, error.text);
        http_respond_problem(req, 400, detail);
        return false;
    }
    return true;
}

static void log_change(const struct http_request *req)
{
    struct cdn_addr client;
    char from[CDN_ADDR_TEXT_SIZE];
    http_request_client(req, &client);
    cdn_addr_format_ip(&client, from);
    cdn_log(CDN_LOG_INFO, "admin", "method=%.*s path=%.*s from=%s", CDN_STR_ARG(req->method_name),
            CDN_STR_ARG(req->path), from);
}

static void dispatch(struct daemon *daemon, struct http_request *req)
{
    CDN_AUTOBUF struct cdn_buf allow = {0};
    struct call *call = call_of(req);
    struct cdn_str method = req->method == HTTP_HEAD ? CDN_STR("GET") : req->method_name;
    void *self = daemon;
    const struct daemon_route *route = find_route(common_routes, method, req->path, &allow);
    if (!route) {
        self = daemon->config.self;
        route = find_route(daemon->config.routes, method, req->path, &allow);
    }
    if (!route && allow.n) {
        CDN_AUTOFREE char *field = cdn_asprintf("Allow: %s", allow.p);
        daemon_answer_problem(req, 405, "the path does not know this method", field);
    } else if (!route) {
        http_respond_problem(req, 404, "no such path on this listener");
    } else if (parse_body(req, call)) {
        route->handle(self, req, call->body);
    }
}

static void on_head(void *self, struct http_request *req)
{
    if (daemon_is_allowed(self, req) && !daemon_is_reading(req)) {
        log_change(req);
    }
}

static size_t on_body(void *self, struct http_request *req, const char *data, size_t n)
{
    (void)self;
    cdn_buf_add(&call_of(req)->text, data, n); /* the server answers 413 above its max_body */
    return n;
}

static void on_ready(void *self, struct http_request *req)
{
    if (!req->answered) { /* again after a suspend, or refused in on_head */
        dispatch(self, req);
    }
}

static void on_done(void *self, struct http_request *req, enum http_end end)
{
    struct call *call = req->app;
    (void)self;
    (void)end;
    if (!call) {
        return;
    }
    if (call->over) {
        call->over(call->over_arg);
    }
    json_decref(call->body);
    cdn_buf_free(&call->text);
    free(call);
    req->app = NULL;
}

const struct http_handler daemon_admin_handler = {
    .head = on_head, .body = on_body, .ready = on_ready, .done = on_done};
