/* http_simple: one blocking request, against a server on another thread. The CLI hangs, or says
 * that all is well, when this is wrong. */
#include "common/http/client/http_client.h"
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void on_ready(void *self, struct http_request *req)
{
    (void)self;
    static const char *const fields[] = {"X-One: first", "x-one: second", NULL};
    if (cdn_str_eq(req->path, CDN_STR("/hold"))) {
        http_request_suspend(req);
        return;
    }
    char text[64];
    snprintf(text, sizeof(text), "%.*s %d", CDN_STR_ARG(req->method_name), (int)req->body_received);
    http_respond_text(req, 201, "text/plain", cdn_str(text), fields);
}

struct fixture {
    struct loop *loop;
    struct http_server *server;
    pthread_t thread;
    char url[64];
};

static void *run(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void begin(struct fixture *f, const char *path)
{
    static const struct http_handler handler = {.ready = on_ready};
    struct http_server_config config = {.listen = loopback(0), .handler = &handler, .max_body = 1000};
    struct cdn_addr address;
    f->loop = loop_new();
    ck_assert(http_server_start(f->loop, &config, &f->server, NULL) == CDN_OK);
    http_server_address(f->server, &address);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u%s", cdn_addr_port(&address), path);
    ck_assert_int_eq(pthread_create(&f->thread, NULL, run, f->loop), 0);
}

static void finish(struct fixture *f)
{
    loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    http_server_stop(f->server);
    loop_destroy(f->loop);
}

START_TEST(an_answer_comes_whole)
{
    struct fixture f;
    struct http_simple_result r;
    struct cdn_error err;
    struct cdn_str value;
    begin(&f, "/");
    ck_assert_msg(http_simple("PUT", f.url, NULL, 0, CDN_STR("12345"), 5000, 100, &r, &err) == CDN_OK, "%s",
                  err.text);
    ck_assert_uint_eq(r.status, 201);
    ck_assert_str_eq(r.body.p, "PUT 5");
    ck_assert(http_simple_field(&r, "X-ONE", &value) && cdn_str_eq(value, CDN_STR("first")));
    ck_assert(!http_simple_field(&r, "X", &value));
    ck_assert_int_gt(r.times.total_us, 0);
    http_simple_free(&r);
    finish(&f);
}
END_TEST

static const struct {
    const char *path;
    size_t max_body;
    enum cdn_status status;
    const char *text;
} failures[] = {
    {"/", 4, CDN_TOO_LARGE, "larger than 4 bytes"},
    {"/hold", 100, CDN_TIMEOUT, "http_response_timeout"},
};

START_TEST(failures_leave_the_result_alone)
{
    struct fixture f;
    struct http_simple_result r = {.status = 77};
    struct cdn_error err;
    begin(&f, failures[_i].path);
    ck_assert_int_eq(http_simple("GET", f.url, NULL, 0, CDN_STR(""), 200, failures[_i].max_body, &r, &err),
                     failures[_i].status);
    ck_assert_msg(strstr(err.text, failures[_i].text), "%s", err.text);
    ck_assert_uint_eq(r.status, 77);
    finish(&f);
}
END_TEST

START_TEST(nobody_there)
{
    struct http_simple_result r;
    struct cdn_error err;
    ck_assert_int_eq(http_simple("GET", "http://127.0.0.1:1/", NULL, 0, CDN_STR(""), 2000, 10, &r, &err),
                     CDN_NETWORK);
    ck_assert_msg(strstr(err.text, "http://127.0.0.1:1/: ") && strstr(err.text, "connection_refused"), "%s",
                  err.text);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_test(all, an_answer_comes_whole);
    tcase_add_loop_test(all, failures_leave_the_result_alone, 0, (int)CDN_ARRAY_LEN(failures));
    tcase_add_test(all, nobody_there);
}

int main(void)
{
    return run_suite("http_simple", fill);
}
