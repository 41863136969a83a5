/* http_head: sealed fields read back, renewed, and on the wire. If a libmicrohttpd of the future does not
 * take a sealed head as this relies on, the first test says so. */
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static struct MHD_Response *response_new(void)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(5, (void *)(uintptr_t) "hello", MHD_RESPMEM_PERSISTENT);
    ck_assert_ptr_nonnull(r);
    return r;
}

static bool print_line(void *into, struct cdn_str name, struct cdn_str value)
{
    cdn_buf_printf(into, CDN_STR_FMT "=" CDN_STR_FMT ";", CDN_STR_ARG(name), CDN_STR_ARG(value));
    return true;
}

static void check_fields(struct MHD_Response *r, const char *want)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    http_head_each(r, print_line, &got);
    ck_assert_str_eq(cdn_buf_str(&got).p, want);
}

static void add(struct http_head *head, const char *name, const char *value)
{
    http_head_add(head, cdn_str(name), cdn_str(value));
}

static void seal_and_drop(struct http_head *head, struct MHD_Response *r)
{
    http_head_seal(head, r);
    http_head_free(head);
}

START_TEST(one_node)
{
    struct http_head head = {0};
    struct MHD_Response *r = response_new();
    add(&head, "Server", "x");
    add(&head, "Date", "Sun, 22 Nov 2026 15:40:00 GMT");
    add(&head, "ETag", "\"1\"");
    add(&head, "Set-Cookie", "a");
    add(&head, "Set-Cookie", "b");
    seal_and_drop(&head, r);
    ck_assert_msg(MHD_get_response_headers(r, NULL, NULL) == 1,
                  "this libmicrohttpd does not take a head as one field: http_head.h");
    check_fields(r, "Date=Sun, 22 Nov 2026 15:40:00 GMT;Server=x;ETag=\"1\";Set-Cookie=a;Set-Cookie=b;");
    MHD_destroy_response(r);
}
END_TEST

static const struct {
    const char *fields[8]; /* name, value, ... */
    const char *want;
} kept[] = {
    {{NULL}, ""},
    {{"A", "1"}, "A=1;"},
    {{"A", ""}, ""}, /* the library takes no empty value alone */
    {{"A", "", "B", "2"}, "A=;B=2;"},
    {{"A", "1", "B", ""}, "A=1;B=;"},
    {{"Date", "x", "A", "1", "date", "y"}, "Date=y;A=1;"},
    {{"A", "x: y; z=\"\t\""}, "A=x: y; z=\"\t\";"},
    {{"A", "\xe4\xff"}, "A=\xe4\xff;"},
    {{"A", "1\r\nB: 2", "C", "3"}, "C=3;"},
    {{"A", "1\n", "C", "3"}, "C=3;"},
    {{"A\r\nB", "1", "C", "3"}, "C=3;"},
    {{"A:", "1", "C", "3"}, "C=3;"},
    {{"A b", "1", "C", "3"}, "C=3;"},
    {{"", "1", "C", "3"}, "C=3;"},
    {{"connection", "close", "C", "3"}, "C=3;"},
    {{"Content-Length", "1", "C", "3"}, "C=3;"},
    {{"Transfer-encoding", "chunked", "C", "3"}, "C=3;"},
};

START_TEST(what_is_kept)
{
    struct http_head head = {0};
    for (unsigned again = 0; again < 2; again++) { /* the second time in the memory of the first */
        struct MHD_Response *r = response_new();
        for (size_t i = 0; kept[_i].fields[i]; i += 2) {
            add(&head, kept[_i].fields[i], kept[_i].fields[i + 1]);
        }
        http_head_seal(&head, r);
        check_fields(r, kept[_i].want);
        MHD_destroy_response(r);
    }
    http_head_free(&head);
}
END_TEST

START_TEST(nul_in_a_value)
{
    struct http_head head = {0};
    struct MHD_Response *r = response_new();
    http_head_add(&head, CDN_STR("A"), (struct cdn_str){"1\0002", 3});
    add(&head, "B", "2");
    seal_and_drop(&head, r);
    check_fields(r, "B=2;");
    MHD_destroy_response(r);
}
END_TEST

START_TEST(long_head)
{
    struct http_head head = {0};
    struct MHD_Response *r = response_new();
    CDN_AUTOBUF struct cdn_buf value = {0};
    for (unsigned i = 0; i < 10000; i++) {
        cdn_buf_add_char(&value, (char)('a' + i % 26));
    }
    http_head_add(&head, CDN_STR("A"), cdn_buf_str(&value));
    http_head_add(&head, CDN_STR("B"), cdn_buf_str(&value));
    seal_and_drop(&head, r);
    ck_assert(cdn_str_eq(http_head_find(r, CDN_STR("A")), cdn_buf_str(&value)));
    ck_assert(cdn_str_eq(http_head_find(r, CDN_STR("b")), cdn_buf_str(&value)));
    MHD_destroy_response(r);
}
END_TEST

/* An answer that already has the field which the sealed one would be named by: added one by one. */
START_TEST(fall_back)
{
    struct http_head head = {0};
    struct MHD_Response *r = response_new();
    http_response_add(r, "A", "0");
    add(&head, "A", "1");
    add(&head, "B", "2");
    seal_and_drop(&head, r);
    ck_assert_int_eq(MHD_get_response_headers(r, NULL, NULL), 3);
    check_fields(r, "A=0;A=1;B=2;");
    ck_assert(http_head_renew(r, CDN_STR("B"), CDN_STR("22")));
    check_fields(r, "A=0;A=1;B=22;");
    MHD_destroy_response(r);
}
END_TEST

static const struct {
    const char *name, *value;
    bool moved;
    const char *want;
} renewals[] = {
    {"Age", "6", false, "Date=d;Age=6;Via=v;Cache-Status=e; ttl=9;"},
    {"age", "10", true, "Date=d;Age=10;Via=v;Cache-Status=e; ttl=9;"},
    {"Cache-Status", "e; ttl=8", false, "Date=d;Age=5;Via=v;Cache-Status=e; ttl=8;"},
    {"Cache-Status", "e; ttl=-10", true, "Date=d;Age=5;Via=v;Cache-Status=e; ttl=-10;"},
    {"Date", "D", false, "Date=D;Age=5;Via=v;Cache-Status=e; ttl=9;"},
    {"Date", "DD", true, "Date=DD;Age=5;Via=v;Cache-Status=e; ttl=9;"},
    {"Missing", "1", false, "Date=d;Age=5;Via=v;Cache-Status=e; ttl=9;"},
    {"Age", "\n", false, "Date=d;Age=5;Via=v;Cache-Status=e; ttl=9;"},
    {"Age", "1\r\nX: y", false, "Date=d;Age=5;Via=v;Cache-Status=e; ttl=9;"},
};

START_TEST(renewal)
{
    struct http_head head = {0};
    struct MHD_Response *r = response_new();
    add(&head, "Date", "d");
    add(&head, "Age", "5");
    add(&head, "Via", "v");
    add(&head, "Cache-Status", "e; ttl=9");
    seal_and_drop(&head, r);
    for (unsigned again = 0; again < 2; again++) {
        bool moved = http_head_renew(r, cdn_str(renewals[_i].name), cdn_str(renewals[_i].value));
        ck_assert_int_eq(moved, renewals[_i].moved && !again);
        check_fields(r, renewals[_i].want);
        ck_assert_int_eq(MHD_get_response_headers(r, NULL, NULL), 1);
    }
    MHD_destroy_response(r);
}
END_TEST

/* ---- on the wire: a sealed head and fields added one by one must give the same bytes ---- */

static const char *const fields[] = {
    "Date", "Sun, 22 Nov 2026 15:40:00 GMT", "ETag", "\"1\"", "X-Empty-Not", "0", "Vary", "Accept-Encoding"};

static ssize_t read_body(void *arg, uint64_t at, char *into, size_t max)
{
    (void)arg;
    (void)max;
    memcpy(into, "hello", 5);
    return at == 0 ? 5 : HTTP_STREAM_END;
}

/* Path: "/sealed" or "/singly"; query: the status, then 'u' for a body of unknown length. */
static void on_ready(void *self, struct http_request *req)
{
    (void)self;
    struct MHD_Response *r;
    struct http_head head = {0};
    struct http_stream_source source = {.read = read_body};
    if (req->query.p[3] == 'u') {
        http_stream_create(req, -1, &source, &r);
    } else {
        r = response_new();
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(fields); i += 2) {
        if (cdn_str_eq(req->path, CDN_STR("/sealed"))) {
            add(&head, fields[i], fields[i + 1]);
        } else {
            http_response_add(r, fields[i], fields[i + 1]);
        }
    }
    seal_and_drop(&head, r);
    http_respond(req, (unsigned)strtoul(req->query.p, NULL, 10), r);
    MHD_destroy_response(r);
}

static const struct http_handler handler = {.ready = on_ready};

static const struct {
    const char *method, *query, *version, *more;
} exchanges[] = {
    {"GET", "200", "1.1", ""},
    {"HEAD", "200", "1.1", ""},
    {"GET", "304", "1.1", ""},
    {"GET", "206", "1.1", ""},
    {"GET", "204", "1.1", ""},
    {"GET", "200u", "1.1", ""},
    {"GET", "200u", "1.0", ""},
    {"GET", "200", "1.0", ""},
    {"GET", "200", "1.0", "Connection: keep-alive\r\n"},
    {"GET", "200", "1.1", "Connection: close\r\n"},
    {"HEAD", "404u", "1.1", ""},
};

static struct cdn_buf exchange(struct loop *loop, const struct cdn_addr *to, const char *path, size_t i)
{
    struct wire w = wire_open(to);
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(&text,
                   "%s %s?%s HTTP/%s\r\nHost: h\r\n%s\r\nGET /singly?200 HTTP/1.1\r\nHost: h\r\n"
                   "Connection: close\r\n\r\n",
                   exchanges[i].method, path, exchanges[i].query, exchanges[i].version, exchanges[i].more);
    wire_send(&w, text.p);
    wire_wait_end(loop, &w);
    ck_assert(wire_has(&w, "ETag: \"1\"\r\n"));
    struct cdn_buf got = w.in;
    w.in = (struct cdn_buf){0};
    wire_close(&w);
    return got;
}

START_TEST(same_bytes)
{
    struct loop *loop = loop_new();
    struct http_server *server;
    struct cdn_addr address;
    struct http_server_config config = {.listen = loopback(0), .handler = &handler};
    ck_assert(http_server_start(loop, &config, &server, NULL) == CDN_OK);
    http_server_address(server, &address);
    CDN_AUTOBUF struct cdn_buf sealed = exchange(loop, &address, "/sealed", (size_t)_i);
    CDN_AUTOBUF struct cdn_buf singly = exchange(loop, &address, "/singly", (size_t)_i);
    ck_assert_str_eq(sealed.p, singly.p);
    http_server_stop(server);
    loop_destroy(loop);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_test(all, one_node);
    tcase_add_loop_test(all, what_is_kept, 0, CDN_ARRAY_LEN(kept));
    tcase_add_test(all, nul_in_a_value);
    tcase_add_test(all, long_head);
    tcase_add_test(all, fall_back);
    tcase_add_loop_test(all, renewal, 0, CDN_ARRAY_LEN(renewals));
    tcase_add_loop_test(all, same_bytes, 0, CDN_ARRAY_LEN(exchanges));
}

int main(void)
{
    return run_suite("http_head", fill);
}
