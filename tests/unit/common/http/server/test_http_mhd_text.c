/* http_mhd_text: that the installed libmicrohttpd is as it expects, and that one which keeps its texts in
 * another way is used by its documented calls: requests are answered all the same. The other ways are played
 * here, between the library and our code. Each test is a process of its own, so each finds out anew. */
#include "common/http/server/http_head.h"
#include "common/http/server/http_mhd.h"
#include "common/http/server/http_mhd_text.h"
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <dlfcn.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

static struct {
    bool version, requests, responses;
} other; /* than installed */

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    ck_assert_ptr_nonnull(found);
    return found;
}

/* Bytes that lie beside nothing else. */
static char *elsewhere(const char *p, size_t n)
{
    static char arena[1 << 16];
    static size_t used;
    char *copy = arena + used;
    used += n + 16;
    ck_assert_uint_lt(used, sizeof(arena));
    memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

const char *MHD_get_version(void)
{
    const char *(*own)(void) = NULL;
    *(void **)&own = real("MHD_get_version");
    return other.version ? "0.9.99" : own();
}

const char *MHD_get_response_header(struct MHD_Response *response, const char *key)
{
    const char *(*own)(struct MHD_Response *, const char *) = NULL;
    *(void **)&own = real("MHD_get_response_header");
    const char *value = own(response, key);
    return other.responses && value ? elsewhere(value, strlen(value)) : value;
}

struct copier {
    MHD_KeyValueIteratorN fn;
    void *arg;
};

static enum MHD_Result copy_value(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                  const char *value, size_t value_size)
{
    const struct copier *c = cls;
    return c->fn(c->arg, kind, elsewhere(key, key_size), key_size,
                 value ? elsewhere(value, value_size) : NULL, value_size);
}

int MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                MHD_KeyValueIteratorN iterator, void *iterator_cls)
{
    int (*own)(struct MHD_Connection *, enum MHD_ValueKind, MHD_KeyValueIteratorN, void *) = NULL;
    *(void **)&own = real("MHD_get_connection_values_n");
    struct copier copier = {iterator, iterator_cls};
    return other.requests && iterator ? own(connection, kind, copy_value, &copier)
                                      : own(connection, kind, iterator, iterator_cls);
}

/* ---- a server that says what it saw, by sealed heads ---- */

static void tell(void *self, struct http_request *req)
{
    (void)self;
    struct http_head head = {0};
    http_head_add(&head, CDN_STR("X-Cookie"), req->field[HTTP_REQ_COOKIE]);
    http_head_add(&head, CDN_STR("X-Age"), CDN_STR("10"));
    http_head_add(&head, CDN_STR("X-Target"), req->target);
    http_head_add(&head, CDN_STR("X-Query"), req->query);
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    http_head_seal(&head, response);
    (void)http_head_renew(response, CDN_STR("X-Age"), CDN_STR("11"));
    http_head_free(&head);
    http_respond(req, 200, response);
    MHD_destroy_response(response);
}

static void nothing(void *self, struct http_request *req)
{
    (void)self, (void)req;
}

static void check_server(void)
{
    static const struct http_handler teller = {.head = nothing, .ready = tell};
    struct loop *loop = loop_new();
    struct http_server *server;
    struct cdn_error err;
    const struct http_server_config config = {.listen = loopback(0), .handler = &teller};
    ck_assert_int_eq(http_server_start(loop, &config, &server, &err), CDN_OK);
    struct cdn_addr address;
    http_server_address(server, &address);
    struct wire w = wire_open(&address);
    for (unsigned i = 1; i <= 3; i++) {
        wire_send(&w, "GET /a?x=1&y=%41 HTTP/1.1\r\nHost: h\r\nCookie: k=v; l=w\r\nX-Empty:\r\n\r\n");
        wire_wait_count(loop, &w, "X-Query: x=1&y=%41\r\n", i);
        ck_assert_uint_eq(wire_count(&w, "HTTP/1.1 200 "), i);
        ck_assert_uint_eq(wire_count(&w, "X-Cookie: k=v; l=w\r\n"), i);
        ck_assert_uint_eq(wire_count(&w, "X-Age: 11\r\n"), i);
        ck_assert_uint_eq(wire_count(&w, "X-Target: /a?x=1&y=%41\r\n"), i);
    }
    /* what is wrong by itself stays refused */
    wire_send(&w, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n");
    ck_assert(wire_wait(loop, &w, "HTTP/1.1 400 "));
    wire_close(&w);
    http_server_stop(server);
    loop_destroy(loop);
}

START_TEST(as_installed)
{
    ck_assert_msg(http_mhd_text_requests(), "this libmicrohttpd keeps heads in another way");
    ck_assert_msg(http_mhd_text_responses(), "this libmicrohttpd keeps fields in another way");
    ck_assert_msg(http_mhd_is_known(), "this libmicrohttpd has other structs");
    check_server();
}
END_TEST

START_TEST(another_release)
{
    other.version = true;
    ck_assert(!http_mhd_is_known());
    ck_assert(http_mhd_text_requests());
    ck_assert(http_mhd_text_responses());
    check_server();
}
END_TEST

START_TEST(other_requests)
{
    other.requests = true;
    other.version = _i == 1;
    ck_assert(!http_mhd_text_requests());
    ck_assert(http_mhd_text_responses());
    check_server();
}
END_TEST

START_TEST(other_responses)
{
    other.responses = true;
    ck_assert(!http_mhd_text_responses());
    ck_assert(http_mhd_text_requests());
    check_server();
}
END_TEST

START_TEST(all_other)
{
    other.version = other.requests = other.responses = true;
    ck_assert(!http_mhd_text_requests() && !http_mhd_text_responses() && !http_mhd_is_known());
    check_server();
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_test(all, as_installed);
    tcase_add_test(all, another_release);
    tcase_add_loop_test(all, other_requests, 0, 2);
    tcase_add_test(all, other_responses);
    tcase_add_test(all, all_other);
}

int main(void)
{
    return run_suite("http_mhd_text", fill);
}
