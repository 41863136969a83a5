/* http_stream: bodies produced while they are sent; and server, stream and client together over TLS. */
#include "common/http/client/http_client.h"
#include "common/http/server/http_server.h"
#include "common/http/server/tls_pair.h"
#include "common/http/server/tls_set.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A source with `size` bytes of a fixed pattern, of which `ready` may be read. */
struct source {
    struct http_stream *stream;
    uint64_t size, ready, step;
    bool fail; /* at `ready`, instead of waiting */
    bool sized;
    unsigned reads, waits, releases;
    struct loop_timer timer;
    struct loop *loop;
};

static char pattern(uint64_t at)
{
    return (char)('a' + at * 7 % 26);
}

static ssize_t source_read(void *arg, uint64_t at, char *into, size_t max)
{
    struct source *s = arg;
    s->reads++;
    if (at == s->size && !s->sized) {
        return HTTP_STREAM_END;
    }
    if (at == s->ready) {
        s->waits += !s->fail;
        return s->fail ? HTTP_STREAM_FAIL : HTTP_STREAM_WAIT;
    }
    size_t n = s->ready - at < max ? (size_t)(s->ready - at) : max;
    for (size_t i = 0; i < n; i++) {
        into[i] = pattern(at + i);
    }
    return (ssize_t)n;
}

static void source_release(void *arg)
{
    struct source *s = arg;
    s->releases++;
}

static void source_grow(struct loop_timer *timer)
{
    struct source *s = (struct source *)((char *)timer - offsetof(struct source, timer));
    if (s->releases) {
        return;
    }
    s->ready = s->ready + s->step < s->size ? s->ready + s->step : s->size;
    http_stream_resume(s->stream);
    http_stream_resume(s->stream);
    if (s->ready < s->size) {
        loop_timer_start(s->loop, timer, 0);
    }
}

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct cdn_addr address;
    struct source source;
    unsigned dones, aborted;
    bool unused; /* make a stream, answer with something else */
    bool secure;
};

static void on_ready(void *self, struct http_request *req)
{
    struct fixture *f = self;
    const struct http_stream_source s = {.read = source_read, .release = source_release, .arg = &f->source};
    struct MHD_Response *response;
    f->secure = req->secure;
    f->source.stream = http_stream_create(req, f->source.sized ? (int64_t)f->source.size : -1, &s, &response);
    f->source.loop = f->loop;
    f->source.timer.fire = source_grow;
    if (f->unused) {
        http_respond_problem(req, 404, "not this one");
    } else {
        static const struct http_field hints[] = {{{"Link", 4}, {"</a.css>", 8}}};
        http_respond_interim(req, 103, hints, 1);
        http_respond(req, 200, response);
    }
    MHD_destroy_response(response);
    if (f->source.step && !f->source.releases) {
        loop_timer_start(f->loop, &f->source.timer, 0);
    }
}

static void on_done(void *self, struct http_request *req, enum http_end end)
{
    (void)req;
    struct fixture *f = self;
    f->dones++;
    f->aborted += end == HTTP_END_ABORTED;
}

static const struct http_handler handler = {.ready = on_ready, .done = on_done};

static struct cdn_tls_set *tls_of(const char *certificate, const char *key)
{
    struct cdn_tls_pair *pair = cdn_calloc(1, sizeof(*pair));
    struct cdn_tls_set *set = NULL;
    struct cdn_error err;
    ck_assert_msg(cdn_tls_pair_parse(cdn_strdup(certificate), cdn_strdup(key), "c", "k", pair, &err) ==
                          CDN_OK &&
                      cdn_tls_set_of(pair, 1, &set, &err) == CDN_OK,
                  "%s", err.text);
    return set;
}

static void begin(struct fixture *f, struct source source, const char *certificate, const char *key)
{
    memset(f, 0, sizeof(*f));
    struct cdn_error err;
    f->loop = loop_new();
    f->source = source;
    struct cdn_tls_set *tls = certificate ? tls_of(certificate, key) : NULL;
    struct http_server_config config = {
        .listen = loopback(0), .handler = &handler, .handler_self = f, .tls = tls};
    ck_assert_msg(http_server_start(f->loop, &config, &f->server, &err) == CDN_OK, "%s", err.text);
    cdn_tls_set_unref(tls);
    http_server_address(f->server, &f->address);
}

static void finish(struct fixture *f)
{
    http_server_stop(f->server);
    loop_timer_stop(f->loop, &f->source.timer);
    ck_assert_uint_eq(f->source.releases, f->source.stream ? 1 : 0);
    loop_destroy(f->loop);
}

struct taken {
    struct http_fetch *fetch;
    struct cdn_buf body;
    int64_t length;
    unsigned interims, ends;
    bool wrong;
    enum http_fetch_error error;
    char text[128];
};

static void take_interim(void *arg, const struct http_fetch_head *head)
{
    (void)head;
    ((struct taken *)arg)->interims++;
}

static void take_head(void *arg, const struct http_fetch_head *head)
{
    ((struct taken *)arg)->length = head->content_length;
}

static bool take_data(void *arg, const char *data, size_t n)
{
    struct taken *t = arg;
    for (size_t i = 0; i < n; i++) {
        t->wrong |= data[i] != pattern(t->body.n + i);
    }
    cdn_buf_add(&t->body, data, n);
    return true;
}

static void take_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct taken *t = arg;
    t->error = error;
    t->ends++;
    cdn_str_copy(t->text, sizeof(t->text), cdn_str(text));
}

static bool is_over(void *arg)
{
    return ((struct taken *)arg)->ends > 0;
}

static const struct http_fetch_handler taker = {take_interim, take_head, take_data, take_end};

static struct taken take(struct fixture *f, const char *scheme, const char *method)
{
    struct taken t = {0};
    struct http_client *client;
    ck_assert(http_client_create(f->loop, &(struct http_client_config){.insecure = true}, &client, NULL) ==
              CDN_OK);
    char url[64];
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u/", scheme, cdn_addr_port(&f->address));
    t.fetch = http_fetch_start(
        client, &(struct http_fetch_request){.method = method, .url = url, .handler = &taker, .arg = &t});
    turn_until(f->loop, is_over, &t);
    http_client_destroy(client);
    turn_times(f->loop, 5);
    return t;
}

static const struct {
    uint64_t size, ready, step;
} sizes[] = {
    {0, 0, 0},          {1, 1, 0},
    {1, 0, 1},          {1000, 1000, 0},
    {65535, 65535, 0},  {65536, 65536, 0},
    {65537, 65537, 0},  {200000, 200000, 0},
    {200000, 0, 997},   {200000, 100000, 100000},
    {200000, 0, 65536}, {300000, 1, 16384},
    {14000, 0, 1000},   {3000000, 0, 100000},
};

START_TEST(bodies_arrive_whole)
{
    for (unsigned sized = 0; sized < 2; sized++) {
        struct fixture f;
        begin(&f,
              (struct source){
                  .size = sizes[_i].size, .ready = sizes[_i].ready, .step = sizes[_i].step, .sized = sized},
              NULL, NULL);
        struct taken t = take(&f, "http", "GET");
        ck_assert_msg(t.error == HTTP_FETCH_NONE, "%s", t.text);
        ck_assert_uint_eq(t.body.n, sizes[_i].size);
        ck_assert(!t.wrong && t.interims == 1);
        ck_assert_int_eq(t.length, sized ? (int64_t)sizes[_i].size : -1);
        ck_assert(f.dones == 1 && f.aborted == 0 && f.source.releases == 1);
        cdn_buf_free(&t.body);
        finish(&f);
    }
}
END_TEST

START_TEST(failures_show_as_an_incomplete_body)
{
    for (unsigned sized = 0; sized < 2; sized++) {
        struct fixture f;
        begin(&f, (struct source){.size = 100000, .ready = (uint64_t)_i * 5000, .fail = true, .sized = sized},
              NULL, NULL);
        struct taken t = take(&f, "http", "GET");
        ck_assert_msg(t.error == HTTP_FETCH_CLOSED, "%s", http_fetch_error_word(t.error));
        ck_assert_uint_le(t.body.n, f.source.ready);
        ck_assert(f.dones == 1 && f.aborted == 1 && f.source.releases == 1);
        cdn_buf_free(&t.body);
        finish(&f);
    }
}
END_TEST

START_TEST(a_failure_resets_a_connection_whose_end_is_the_bodys)
{
    struct fixture f;
    begin(&f, (struct source){.size = 100000, .ready = 5000, .fail = true}, NULL, NULL);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET / HTTP/1.0\r\n\r\n");
    wire_wait_end(f.loop, &w);
    ck_assert(w.reset);
    wire_close(&w);
    finish(&f);
    begin(&f, (struct source){.size = 5000, .ready = 5000}, NULL, NULL);
    w = wire_open(&f.address);
    wire_send(&w, "GET / HTTP/1.0\r\n\r\n");
    wire_wait_end(f.loop, &w);
    ck_assert(!w.reset && !wire_has(&w, "chunked") && w.in.n > 5000);
    wire_close(&w);
    finish(&f);
}
END_TEST

START_TEST(head_never_reads)
{
    for (unsigned sized = 0; sized < 2; sized++) {
        struct fixture f;
        begin(&f, (struct source){.size = 100000, .ready = 100000, .sized = sized}, NULL, NULL);
        struct taken t = take(&f, "http", "HEAD");
        ck_assert(t.error == HTTP_FETCH_NONE && t.body.n == 0);
        ck_assert_int_eq(t.length, sized ? 100000 : -1);
        ck_assert(f.source.reads == 0 && f.source.releases == 1 && f.aborted == 0);
        finish(&f);
    }
}
END_TEST

START_TEST(a_stream_that_is_not_used_is_released)
{
    struct fixture f;
    begin(&f, (struct source){.size = 10, .ready = 10, .sized = true}, NULL, NULL);
    f.unused = true;
    struct taken t = take(&f, "http", "GET");
    ck_assert(t.error == HTTP_FETCH_NONE && f.source.reads == 0 && f.source.releases == 1);
    cdn_buf_free(&t.body);
    finish(&f);
}
END_TEST

START_TEST(a_client_that_leaves_ends_the_stream)
{
    for (unsigned waiting = 0; waiting < 2; waiting++) {
        struct fixture f;
        begin(&f, (struct source){.size = 100000000, .ready = waiting ? 100 : 100000000, .sized = true}, NULL,
              NULL);
        struct wire w = wire_open(&f.address);
        wire_send(&w, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        ck_assert(wire_wait(f.loop, &w, "200 OK"));
        turn_times(f.loop, 20);
        wire_close(&w);
        turn_times(f.loop, 20);
        if (waiting) { /* libmicrohttpd cannot know yet */
            ck_assert(f.source.waits == 1 && f.source.releases == 0);
            f.source.ready = f.source.size;
            http_stream_resume(f.source.stream);
        }
        while (!f.source.releases) {
            loop_turn(f.loop, 1);
        }
        ck_assert_uint_eq(f.aborted, 1);
        finish(&f);
    }
}
END_TEST

START_TEST(stopping_the_server_ends_waiting_streams)
{
    struct fixture f;
    begin(&f, (struct source){.size = 1000, .ready = 100}, NULL, NULL);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert(wire_wait(f.loop, &w, "200 OK"));
    turn_times(f.loop, 20);
    ck_assert_uint_eq(f.source.waits, 1);
    http_server_stop(CDN_TAKE(f.server));
    ck_assert_uint_eq(f.source.releases, 1);
    ck_assert_uint_eq(f.aborted, 1);
    wire_wait_end(f.loop, &w);
    ck_assert(!wire_has(&w, "\r\n0\r\n\r\n"));
    wire_close(&w);
    finish(&f);
}
END_TEST

/* ---- TLS ---- */

struct pem {
    gnutls_datum_t certificate, key;
};

static void make_certificate(struct pem *ret, const char *name)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&crt);
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "\x01", 1);
    gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, "\x7f\0\0\x01", 4, GNUTLS_FSAN_SET);
    gnutls_x509_crt_set_activation_time(crt, time(NULL) - 60);
    gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
    gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
    gnutls_x509_crt_set_key(crt, key);
    ck_assert_int_eq(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    ck_assert_int_eq(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &ret->certificate), 0);
    ck_assert_int_eq(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &ret->key), 0);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static void free_certificate(struct pem *pem)
{
    gnutls_free(pem->certificate.data);
    gnutls_free(pem->key.data);
}

START_TEST(everything_works_over_tls)
{
    struct fixture f;
    struct pem pem;
    make_certificate(&pem, "one");
    begin(&f, (struct source){.size = 300000, .ready = 0, .step = 50000}, (char *)pem.certificate.data,
          (char *)pem.key.data);
    struct taken t = take(&f, "https", "GET");
    ck_assert_msg(t.error == HTTP_FETCH_NONE, "%s", t.text);
    ck_assert(t.body.n == 300000 && !t.wrong && t.interims == 1 && f.secure);
    cdn_buf_free(&t.body);
    free_certificate(&pem);
    finish(&f);
}
END_TEST

START_TEST(an_unknown_certificate_is_refused_by_the_client)
{
    struct fixture f;
    struct pem pem;
    struct taken t = {0};
    struct http_client *client;
    make_certificate(&pem, "one");
    begin(&f, (struct source){.size = 3, .ready = 3}, (char *)pem.certificate.data, (char *)pem.key.data);
    ck_assert(http_client_create(f.loop, &(struct http_client_config){0}, &client, NULL) == CDN_OK);
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", cdn_addr_port(&f.address));
    http_fetch_start(client,
                     &(struct http_fetch_request){.method = "GET", .url = url, .handler = &taker, .arg = &t});
    turn_until(f.loop, is_over, &t);
    ck_assert_int_eq(t.error, HTTP_FETCH_TLS);
    ck_assert_uint_eq(f.dones, 0);
    http_client_destroy(client);
    free_certificate(&pem);
    finish(&f);
}
END_TEST

/* Does a client that trusts only `ca` accept the server's certificate? */
static bool is_trusted(struct fixture *f, const char *ca)
{
    char path[] = "/tmp/test_http_stream_XXXXXX";
    int fd = mkstemp(path);
    ck_assert(fd >= 0 && write(fd, ca, strlen(ca)) == (ssize_t)strlen(ca));
    close(fd);
    struct taken t = {0};
    struct http_client *client;
    ck_assert(http_client_create(f->loop, &(struct http_client_config){.ca_file = path}, &client, NULL) ==
              CDN_OK);
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", cdn_addr_port(&f->address));
    http_fetch_start(client,
                     &(struct http_fetch_request){.method = "GET", .url = url, .handler = &taker, .arg = &t});
    turn_until(f->loop, is_over, &t);
    http_client_destroy(client);
    cdn_buf_free(&t.body);
    turn_times(f->loop, 5);
    unlink(path);
    f->source.releases = 0; /* the next answer is a stream of its own */
    return t.error == HTTP_FETCH_NONE;
}

START_TEST(a_new_certificate_serves_new_connections)
{
    struct fixture f;
    struct pem one;
    struct pem two;
    make_certificate(&one, "one");
    make_certificate(&two, "two");
    begin(&f, (struct source){.size = 3, .ready = 3}, (char *)one.certificate.data, (char *)one.key.data);
    ck_assert(is_trusted(&f, (char *)one.certificate.data));
    ck_assert(!is_trusted(&f, (char *)two.certificate.data));
    struct cdn_tls_set *tls = tls_of((char *)two.certificate.data, (char *)two.key.data);
    http_server_set_tls(f.server, tls);
    cdn_tls_set_unref(tls);
    ck_assert(is_trusted(&f, (char *)two.certificate.data));
    free_certificate(&one);
    free_certificate(&two);
    f.source.releases = 1;
    finish(&f);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_loop_test(all, bodies_arrive_whole, 0, (int)CDN_ARRAY_LEN(sizes));
    tcase_add_loop_test(all, failures_show_as_an_incomplete_body, 0, 20);
    tcase_add_test(all, a_failure_resets_a_connection_whose_end_is_the_bodys);
    tcase_add_test(all, head_never_reads);
    tcase_add_test(all, a_stream_that_is_not_used_is_released);
    tcase_add_test(all, a_client_that_leaves_ends_the_stream);
    tcase_add_test(all, stopping_the_server_ends_waiting_streams);
    tcase_add_test(all, everything_works_over_tls);
    tcase_add_test(all, an_unknown_certificate_is_refused_by_the_client);
    tcase_add_test(all, a_new_certificate_serves_new_connections);
}

int main(void)
{
    return run_suite("http_stream", fill);
}
