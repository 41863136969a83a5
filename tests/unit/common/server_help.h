/* server_help: an http_server whose handler does what the path's first segment says, for its tests. */
#ifndef CDN_TESTS_SERVER_HELP_H
#define CDN_TESTS_SERVER_HELP_H
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* What the handler does is said by the path's first segment. */
struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct cdn_addr address;
    struct http_request *held[300]; /* suspended ones */
    unsigned held_count;
    unsigned heads, readies, dones, aborted, refused, refused_status;
    struct cdn_buf body;
    struct cdn_buf seen; /* of the last request, "target|path|query|host" */
    size_t take;         /* bytes of a body accepted at a time; 0: all */
};

static inline void on_head(void *self, struct http_request *req)
{
    struct fixture *f = self;
    f->heads++;
    cdn_buf_clear(&f->body);
    cdn_buf_clear(&f->seen);
    cdn_buf_printf(&f->seen, CDN_STR_FMT "|" CDN_STR_FMT "|" CDN_STR_FMT "|" CDN_STR_FMT,
                   CDN_STR_ARG(req->target), CDN_STR_ARG(req->path), CDN_STR_ARG(req->query),
                   CDN_STR_ARG(req->host));
    if (cdn_str_eq(req->path, CDN_STR("/refuse"))) {
        http_respond_problem(req, 403, "no");
    } else if (cdn_str_eq(req->path, CDN_STR("/hold-head"))) {
        http_request_suspend(req);
        f->held[f->held_count++] = req;
    }
}

static inline size_t on_body(void *self, struct http_request *req, const char *data, size_t n)
{
    struct fixture *f = self;
    size_t take = f->take && f->take < n ? f->take : n;
    cdn_buf_add(&f->body, data, take);
    if (cdn_str_eq(req->path, CDN_STR("/late"))) {
        http_respond_problem(req, 502, "late");
    } else if (cdn_str_eq(req->path, CDN_STR("/abort-body"))) {
        http_abort(req);
    } else if (cdn_str_eq(req->path, CDN_STR("/again"))) {
        http_request_suspend(req);
        http_request_resume(req);
    } else if (take < n) {
        f->held[f->held_count++] = req;
    }
    return take;
}

static inline void answer(struct fixture *f, struct http_request *req)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(&text, "<%s %zu " CDN_STR_FMT ">", req->has_body ? "body" : "none", f->body.n,
                   CDN_STR_ARG(req->path));
    static const char *const fields[] = {"X-One: 1", "X-Two:2", NULL};
    http_respond_text(req, 200, "text/plain", cdn_buf_str(&text), fields);
}

static inline void on_ready(void *self, struct http_request *req)
{
    struct fixture *f = self;
    f->readies++;
    bool first = req->app == NULL;
    req->app = f;
    if (cdn_str_eq(req->path, CDN_STR("/hold")) && first) {
        http_request_suspend(req);
        f->held[f->held_count++] = req;
    } else if (cdn_str_eq(req->path, CDN_STR("/again")) && first) {
        http_request_suspend(req);
        http_request_resume(req);
    } else if (cdn_str_eq(req->path, CDN_STR("/abort"))) {
        http_abort(req);
    } else if (cdn_str_eq(req->path, CDN_STR("/forget"))) {
        return;
    } else if (cdn_str_eq(req->path, CDN_STR("/early"))) {
        static const struct http_field hints[] = {{{"Link", 4}, {"</a.css>; rel=preload", 21}},
                                                  {{"Bad Name", 8}, {"x", 1}},
                                                  {{"X", 1}, {"a\nb", 3}},
                                                  {{"Keep-Alive", 10}, {"x", 1}}};
        http_respond_interim(req, 103, hints, CDN_ARRAY_LEN(hints));
        answer(f, req);
    } else {
        answer(f, req);
    }
}

static inline void on_done(void *self, struct http_request *req, enum http_end end)
{
    (void)req;
    struct fixture *f = self;
    f->dones++;
    f->aborted += end == HTTP_END_ABORTED;
}

static inline void on_refused(void *self, unsigned status)
{
    struct fixture *f = self;
    f->refused++;
    f->refused_status = status;
}

static const struct http_handler handler = {on_head, on_body, on_ready, on_done, on_refused, NULL};

static inline struct fixture start(void)
{
    return (struct fixture){.loop = loop_new()};
}

static inline void serve(struct fixture *f, struct http_server_config config)
{
    struct cdn_error err;
    config.handler = &handler;
    config.handler_self = f;
    if (!config.listen.sa.sa_family) {
        config.listen = loopback(0);
    }
    config.max_body = config.max_body ? config.max_body : UINT64_MAX;
    ck_assert_msg(http_server_start(f->loop, &config, &f->server, &err) == CDN_OK, "%s", err.text);
    http_server_address(f->server, &f->address);
    ck_assert_uint_ne(cdn_addr_port(&f->address), 0);
}

static inline void stop(struct fixture *f)
{
    http_server_stop(f->server);
    ck_assert_uint_eq(f->heads, f->dones);
    loop_destroy(f->loop);
    cdn_buf_free(&f->body);
    cdn_buf_free(&f->seen);
}

#define WITH_SERVER(f, ...)     \
    struct fixture f = start(); \
    serve(&f, (struct http_server_config){__VA_ARGS__})

#endif
