/* daemon: the admin listener over a real socket, in one process: the loop turns while the client waits. */
#include "common/daemon/daemon.h"
#include "common/http/server/http_server.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/process.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct app {
    struct daemon *daemon;
    struct http_request *waiting;
    bool healthy;
    int reloads;
    int moves;
    int drains;
    int overs;
    bool drained;
};

static void add_status(void *self, json_t *into)
{
    (void)self;
    json_object_set_new(into, "objects", json_integer(3));
}

static void add_metrics(void *self, struct cdn_buf *out)
{
    (void)self;
    cdn_buf_add_str(out, CDN_STR("pocketcdn_demo_x 1\n"));
}

static bool healthy(void *self, char why[static 128])
{
    struct app *app = self;
    if (!app->healthy) {
        cdn_str_copy(why, 128, CDN_STR("the disk is full"));
    }
    return app->healthy;
}

static enum cdn_status reload(void *self, struct cdn_error *err)
{
    struct app *app = self;
    return ++app->reloads == 1 ? CDN_OK : cdn_error_set(err, CDN_INVALID, "cdn.yaml:3: wrong");
}

static enum cdn_status faults(void *self, json_t *body, struct cdn_error *err)
{
    (void)self;
    return json_object_get(body, "slow") ? CDN_OK : cdn_error_set(err, CDN_INVALID, "faults: unknown");
}

static void moved(void *self)
{
    ((struct app *)self)->moves++;
}

static void drain(void *self)
{
    ((struct app *)self)->drains++;
}

static bool drained(void *self)
{
    return ((struct app *)self)->drained;
}

static void echo(void *self, struct http_request *req, json_t *body)
{
    (void)self;
    CDN_AUTOFREE char *rest = daemon_path_rest(req, "/echo/");
    CDN_AUTOFREE char *q = daemon_query(req, "q");
    daemon_answer_json(req, 200, json_pack("{s:s?, s:s?, s:O?}", "rest", rest, "q", q, "body", body));
}

static void over(void *arg)
{
    ((struct app *)arg)->overs++;
}

/* Waits for its second call. */
static void wait_once(void *self, struct http_request *req, json_t *body)
{
    struct app *app = self;
    (void)body;
    if (app->waiting == req) {
        daemon_answer_json(req, 200, json_pack("{s:s}", "woken", "yes"));
        return;
    }
    app->waiting = req;
    daemon_on_end(req, over, app);
    http_request_suspend(req);
}

static const struct daemon_route routes[] = {
    {"GET", "/echo/", echo}, {"POST", "/echo/", echo}, {"GET", "/wait", wait_once}, {NULL, NULL, NULL}};

static struct app app;

static void start(const char *token, bool simulate)
{
    struct daemon_config config = {.program = "pocketcdn-demo",
                                   .node = "demo",
                                   .admin_listen = "127.0.0.1:0",
                                   .admin_token = token,
                                   .simulate = simulate,
                                   .routes = routes,
                                   .self = &app,
                                   .metrics = add_metrics,
                                   .status = add_status,
                                   .healthy = healthy,
                                   .reload = reload,
                                   .faults = faults,
                                   .clock_moved = moved,
                                   .drain = drain,
                                   .drained = drained};
    struct cdn_error err = {0};
    cdn_log_init("test", NULL, CDN_LOG_ERROR, false);
    cdn_process_init();
    app = (struct app){.healthy = true};
    ck_assert_msg(daemon_create(&config, &app.daemon, &err) == CDN_OK, "%s", err.text);
}

static int connect_admin(void)
{
    struct cdn_addr to;
    daemon_admin_address(app.daemon, &to);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert(connect(fd, &to.sa, cdn_addr_len(&to)) == 0 || errno == EINPROGRESS);
    return fd;
}

/* Turns the loop until the server closes the connection or `enough` stands in the answer. */
static void read_answer(int fd, struct cdn_buf *into, const char *enough)
{
    for (int turns = 0; turns < 2000; turns++) {
        char bytes[4096];
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n > 0) {
            cdn_buf_add(into, bytes, (size_t)n);
        }
        if (n == 0 || (n < 0 && errno != EAGAIN) || (enough && into->p && strstr(into->p, enough))) {
            return;
        }
        loop_turn(app.daemon ? daemon_loop(app.daemon) : NULL, 5);
    }
    ck_abort_msg("no answer: %s", into->p ? into->p : "");
}

static void write_all(int fd, struct cdn_str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        ck_assert(n >= 0 || errno == EAGAIN || errno == ENOTCONN);
        if (n > 0) {
            s = cdn_str_sub(s, (size_t)n);
        }
        loop_turn(daemon_loop(app.daemon), 1);
    }
}

/* One request on one connection. `head`: request line and fields without the last empty line. */
static char *ask(const char *head, struct cdn_str body)
{
    CDN_AUTOBUF struct cdn_buf request = {0};
    struct cdn_buf answer = {0};
    int fd = connect_admin();
    cdn_buf_printf(&request, "%s\r\nConnection: close\r\n", head);
    if (body.n) {
        cdn_buf_printf(&request, "Content-Length: %zu\r\n", body.n);
        cdn_buf_printf(&request, "%s",
                       strstr(head, "Content-Type") ? "" : "Content-Type: application/json\r\n");
    }
    cdn_buf_add_str(&request, CDN_STR("\r\n"));
    cdn_buf_add_str(&request, body);
    write_all(fd, cdn_buf_str(&request));
    read_answer(fd, &answer, NULL);
    close(fd);
    return cdn_buf_take(&answer);
}

#define LOCAL " HTTP/1.1\r\nHost: localhost:1"

static const struct {
    const char *head;
    const char *body;
    const char *expected[3]; /* all stand in the answer */
} rows[] = {
    {"GET /health" LOCAL, "", {"HTTP/1.1 200 ", "\"status\": \"ok\"", "Content-Type: application/json"}},
    {"GET /metrics" LOCAL, "", {"HTTP/1.1 200 ", "text/plain; version=0.0.4", "pocketcdn_demo_x 1\n"}},
    {"GET /status" LOCAL, "", {"\"name\": \"demo\"", "\"objects\": 3", "\"healthy\": true"}},
    {"GET /clock" LOCAL, "", {"HTTP/1.1 200 ", "\"offset_ms\": 0", "\"now\": \"20"}},
    {"POST /clock" LOCAL, "{\"advance\":\"30d\"}", {"HTTP/1.1 200 ", "\"offset_ms\": 2592000000"}},
    {"POST /clock" LOCAL, "{\"advance\":\"-1h\"}", {"HTTP/1.1 200 ", "\"offset_ms\": -3600000"}},
    {"POST /clock" LOCAL, "{\"advance\":90}", {"HTTP/1.1 200 ", "\"offset_ms\": 90000"}},
    {"POST /clock" LOCAL,
     "{\"set\":\"2037-01-01T00:00:00Z\"}",
     {"HTTP/1.1 200 ", "\"now\": \"2037-01-01T00:00:00."}},
    {"POST /clock" LOCAL, "{\"reset\":true}", {"HTTP/1.1 200 ", "\"offset_ms\": 0"}},
    {"POST /clock" LOCAL,
     "{\"set\":\"2037-02-30T00:00:00Z\"}",
     {"HTTP/1.1 400 ", "clock: set is an instant"}},
    {"POST /clock" LOCAL, "{\"advance\":\"soon\"}", {"HTTP/1.1 400 ", "clock: advance is a time"}},
    {"POST /clock" LOCAL, "{\"advance\":\"9000w\",\"reset\":true}", {"HTTP/1.1 400 ", "clock: one of"}},
    {"POST /clock" LOCAL, "{\"advance\":\"999999d\"}", {"HTTP/1.1 200 "}},
    {"POST /clock" LOCAL, "{\"advance\":\"9999999d\"}", {"HTTP/1.1 400 ", "years 1970 to 9999"}},
    {"POST /clock" LOCAL, "", {"HTTP/1.1 400 ", "clock: one of"}},
    {"POST /clock" LOCAL, "{\"advance\":}", {"HTTP/1.1 400 ", "the body is not JSON: line 1, column 12"}},
    {"POST /clock" LOCAL, "{\"reset\":true,\"reset\":true}", {"HTTP/1.1 400 ", "duplicate object key"}},
    {"POST /reload" LOCAL, "", {"HTTP/1.1 200 ", "reloaded"}},
    {"POST /faults" LOCAL, "{\"slow\":1}", {"HTTP/1.1 200 "}},
    {"POST /faults" LOCAL, "{}", {"HTTP/1.1 400 ", "faults: unknown"}},
    {"GET /echo/a%20b%2Fc?x=1&q=%C3%BC+1" LOCAL, "", {"\"rest\": \"a b/c\"", "\"q\": \"\xc3\xbc 1\""}},
    {"GET /echo/a%zz?q=%0" LOCAL, "", {"\"rest\": null", "\"q\": null"}},
    {"GET /echo/a%00?q" LOCAL, "", {"\"rest\": null", "\"q\": \"\""}},
    {"POST /echo/x" LOCAL, "[1]", {"\"body\": [\n"}},
    {"GET /echo/" LOCAL, "", {"HTTP/1.1 404 ", "application/problem+json"}},
    {"GET /nowhere" LOCAL, "", {"HTTP/1.1 404 ", "application/problem+json", "\"status\""}},
    {"POST /health" LOCAL, "", {"HTTP/1.1 405 ", "Allow: GET, HEAD\r\n", "application/problem+json"}},
    {"DELETE /clock" LOCAL, "", {"HTTP/1.1 405 ", "Allow: GET, HEAD, POST\r\n"}},
    {"GET /health HTTP/1.1\r\nHost: [::1]:80", "", {"HTTP/1.1 200 "}},
    {"GET /health HTTP/1.1\r\nHost: evil.example",
     "",
     {"HTTP/1.1 403 ", "the Host must be a loopback address"}},
    {"GET /health HTTP/1.1\r\nHost: localhost.evil.example:80", "", {"HTTP/1.1 403 "}},
    {"POST /reload" LOCAL "\r\nOrigin: http://evil.example",
     "",
     {"HTTP/1.1 403 ", "a web page of another host"}},
    {"POST /reload" LOCAL "\r\nOrigin: null", "", {"HTTP/1.1 403 "}},
    {"POST /reload" LOCAL "\r\nOrigin: http://localhost:1", "", {"HTTP/1.1 200 "}},
    {"GET /health" LOCAL "\r\nOrigin: http://evil.example", "", {"HTTP/1.1 403 "}},
    {"GET /health" LOCAL "\r\nOrigin: http://localhost:2", "", {"HTTP/1.1 403 "}},
    {"GET /health" LOCAL "\r\nOrigin: localhost:1", "", {"HTTP/1.1 403 "}},
    {"GET /health" LOCAL "\r\nSec-Fetch-Site: none", "", {"HTTP/1.1 200 "}},
    {"GET /health" LOCAL "\r\nSec-Fetch-Site: same-origin", "", {"HTTP/1.1 200 "}},
    {"GET /health" LOCAL "\r\nSec-Fetch-Site: same-site", "", {"HTTP/1.1 403 "}},
    {"GET /health" LOCAL "\r\nsec-fetch-site: cross-site", "", {"HTTP/1.1 403 "}},
    {"GET /clock" LOCAL "\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site", "", {"HTTP/1.1 403 "}},
    {"GET /clock" LOCAL "\r\nSec-Fetch-Site:", "", {"HTTP/1.1 403 "}},
    {"GET /nowhere" LOCAL "\r\nSec-Fetch-Site: cross-site", "", {"HTTP/1.1 403 "}},
    {"OPTIONS /clock" LOCAL "\r\nOrigin: http://evil.example", "", {"HTTP/1.1 403 "}},
    {"OPTIONS /clock" LOCAL, "", {"HTTP/1.1 405 "}},
    {"GET /health HTTP/1.1\r\nHost: 127.9.8.7:1", "", {"HTTP/1.1 200 "}},
    {"GET /health HTTP/1.1\r\nHost: 0.0.0.0:1", "", {"HTTP/1.1 403 "}},
    {"GET /health HTTP/1.1\r\nHost: 192.0.2.1", "", {"HTTP/1.1 403 "}},
    {"POST /clock" LOCAL "\r\nContent-Type: text/plain", "{\"reset\":true}", {"HTTP/1.1 415 "}},
    {"POST /clock" LOCAL "\r\nContent-Type: multipart/form-data; boundary=x", "{}", {"HTTP/1.1 415 "}},
    {"POST /clock" LOCAL "\r\nContent-Type: application/x-www-form-urlencoded", "{}", {"HTTP/1.1 415 "}},
    {"POST /clock" LOCAL "\r\nContent-Type: text/plain; x=application/json", "{}", {"HTTP/1.1 415 "}},
    {"POST /clock" LOCAL "\r\nContent-Type: ", "{}", {"HTTP/1.1 415 "}},
    {"POST /reload" LOCAL "\r\nContent-Type: text/plain", "", {"HTTP/1.1 415 "}},
    {"POST /clock" LOCAL "\r\nContent-Type: APPLICATION/JSON; charset=utf-8",
     "{\"reset\":true}",
     {"HTTP/1.1 200 "}},
};

START_TEST(answer_rows)
{
    start(NULL, true);
    CDN_AUTOFREE char *answer = ask(rows[_i].head, cdn_str(rows[_i].body));
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows[_i].expected) && rows[_i].expected[i]; i++) {
        ck_assert_msg(strstr(answer, rows[_i].expected[i]) != NULL, "no %s in\n%s", rows[_i].expected[i],
                      answer);
    }
    daemon_destroy(app.daemon);
}
END_TEST

START_TEST(head_is_get_without_the_body)
{
    start(NULL, false);
    CDN_AUTOFREE char *answer = ask("HEAD /health" LOCAL, CDN_STR(""));
    ck_assert_ptr_eq(strstr(answer, "HTTP/1.1 200 "), answer);
    ck_assert(cdn_str_ends(cdn_str(answer), CDN_STR("\r\n\r\n")));
    daemon_destroy(app.daemon);
}
END_TEST

START_TEST(without_simulation_time_stands)
{
    start(NULL, false);
    CDN_AUTOFREE char *clock = ask("POST /clock" LOCAL, CDN_STR("{\"advance\":\"1s\"}"));
    CDN_AUTOFREE char *fault = ask("POST /faults" LOCAL, CDN_STR("{\"slow\":1}"));
    ck_assert_ptr_nonnull(strstr(clock, "HTTP/1.1 403 "));
    ck_assert_ptr_nonnull(strstr(fault, "HTTP/1.1 403 "));
    ck_assert_int_eq(app.moves, 0);
    daemon_destroy(app.daemon);
}
END_TEST

START_TEST(token_guards_all_but_health)
{
    static const struct {
        const char *head;
        const char *expected;
    } cases[] = {
        {"GET /health HTTP/1.1\r\nHost: cdn.example", "HTTP/1.1 200 "},
        {"GET /status" LOCAL, "WWW-Authenticate: Bearer"},
        {"GET /status" LOCAL "\r\nAuthorization: Bearer wrong!", "HTTP/1.1 401 "},
        {"GET /status" LOCAL "\r\nAuthorization: Bearer secret0", "HTTP/1.1 401 "},
        {"GET /status" LOCAL "\r\nAuthorization: Basic secret", "HTTP/1.1 401 "},
        {"GET /status" LOCAL "\r\nAuthorization: Bearer", "HTTP/1.1 401 "},
        {"GET /nowhere" LOCAL, "HTTP/1.1 401 "},
        {"POST /health" LOCAL, "HTTP/1.1 401 "},
        {"GET /status" LOCAL "\r\nAuthorization: bearer secret", "HTTP/1.1 200 "},
        {"GET /status HTTP/1.1\r\nHost: cdn.example\r\nAuthorization: Bearer secret", "HTTP/1.1 200 "},
    };
    start("secret", true);
    for (size_t i = 0; i < CDN_ARRAY_LEN(cases); i++) {
        CDN_AUTOFREE char *answer = ask(cases[i].head, CDN_STR(""));
        ck_assert_msg(strstr(answer, cases[i].expected) != NULL, "%s:\n%s", cases[i].head, answer);
    }
    daemon_destroy(app.daemon);
}
END_TEST

START_TEST(body_above_the_limit)
{
    CDN_AUTOFREE char *body = cdn_malloc((1u << 20) + 1);
    memset(body, ' ', (1u << 20) + 1);
    start(NULL, true);
    CDN_AUTOFREE char *answer = ask("POST /clock" LOCAL, (struct cdn_str){body, (1u << 20) + 1});
    ck_assert_msg(strstr(answer, "HTTP/1.1 413 ") != NULL, "%s", answer);
    daemon_destroy(app.daemon);
}
END_TEST

START_TEST(suspended_request_is_called_again)
{
    CDN_AUTOBUF struct cdn_buf answer = {0};
    start(NULL, true);
    int fd = connect_admin();
    write_all(fd, CDN_STR("GET /wait" LOCAL "\r\nConnection: close\r\n\r\n"));
    for (int turns = 0; !app.waiting && turns < 2000; turns++) {
        loop_turn(daemon_loop(app.daemon), 5);
    }
    ck_assert_ptr_nonnull(app.waiting);
    ck_assert_int_eq(app.overs, 0);
    http_request_resume(app.waiting);
    read_answer(fd, &answer, NULL);
    close(fd);
    ck_assert_ptr_nonnull(strstr(answer.p, "woken"));
    ck_assert_int_eq(app.overs, 1);
    daemon_destroy(app.daemon);
}
END_TEST

START_TEST(sick_daemon_says_why)
{
    start(NULL, true);
    app.healthy = false;
    CDN_AUTOFREE char *answer = ask("GET /health" LOCAL, CDN_STR(""));
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 503 "));
    ck_assert_ptr_nonnull(strstr(answer, "\"why\": \"the disk is full\""));
    daemon_destroy(app.daemon);
}
END_TEST

START_TEST(signals_reload_and_drain)
{
    start(NULL, true);
    cdn_log_set_level(CDN_LOG_ERROR);
    kill(getpid(), SIGHUP);
    for (int turns = 0; app.reloads == 0 && turns < 2000; turns++) {
        loop_turn(daemon_loop(app.daemon), 5);
    }
    ck_assert_int_eq(app.reloads, 1);
    CDN_AUTOFREE char *failed = ask("POST /reload" LOCAL, CDN_STR(""));
    ck_assert_ptr_nonnull(strstr(failed, "cdn.yaml:3: wrong"));
    kill(getpid(), SIGTERM);
    for (int turns = 0; app.drains == 0 && turns < 2000; turns++) {
        loop_turn(daemon_loop(app.daemon), 5);
    }
    ck_assert_int_eq(app.drains, 1);
    CDN_AUTOFREE char *health = ask("GET /health" LOCAL, CDN_STR(""));
    ck_assert_ptr_nonnull(strstr(health, "\"why\": \"draining\""));
    app.drained = true;
    daemon_run(app.daemon, NULL); /* returns, because it is drained */
    ck_assert_int_eq(app.drains, 1);
    daemon_destroy(app.daemon);
}
END_TEST

static const struct {
    const char *listen;
    const char *error;
} bad_listeners[] = {
    {"0.0.0.0:0", "admin: 0.0.0.0:0 is not on loopback: that needs a bearer token (--admin-token)"},
    {"[::]:0", "admin: [::]:0 is not on loopback: that needs a bearer token (--admin-token)"},
    {"nowhere", "admin: \"nowhere\" is not an address such as 127.0.0.1:9088"},
};

START_TEST(open_listener_needs_a_token)
{
    struct daemon_config config = {
        .program = "demo", .admin_listen = bad_listeners[_i].listen, .admin_token = ""};
    struct daemon *daemon = NULL;
    struct cdn_error err;
    ck_assert(daemon_create(&config, &daemon, &err) == CDN_INVALID);
    ck_assert_str_eq(err.text, bad_listeners[_i].error);
    ck_assert_ptr_null(daemon);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("daemon");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    tcase_add_loop_test(all, answer_rows, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(all, head_is_get_without_the_body);
    tcase_add_test(all, without_simulation_time_stands);
    tcase_add_test(all, token_guards_all_but_health);
    tcase_add_test(all, body_above_the_limit);
    tcase_add_test(all, suspended_request_is_called_again);
    tcase_add_test(all, sick_daemon_says_why);
    tcase_add_test(all, signals_reload_and_drain);
    tcase_add_loop_test(all, open_listener_needs_a_token, 0, (int)CDN_ARRAY_LEN(bad_listeners));
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
