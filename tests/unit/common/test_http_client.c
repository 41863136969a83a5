/* http_client: against a scripted origin on the same loop, byte for byte. */
#include "common/http_client.h"

#include "net_help.h"

#include <netinet/in.h>

/* The origin: a listening socket whose connections answer every complete request with the script's bytes. */
struct origin {
    struct loop_fd watch;
    struct loop *loop;
    struct cdn_addr address;
    struct cdn_str answer; /* p NULL: none ever */
    bool close_after;      /* FIN */
    bool reset_after;      /* RST */
    bool at_once;          /* whatever came, it is a request */
    size_t request_bytes;  /* beyond the head that belong to a request before it is answered */
    unsigned accepted, requests;
    struct cdn_buf seen; /* everything received */
};

struct peer {
    struct loop_fd watch;
    struct origin *origin;
    struct cdn_buf in;
    struct peer *next;
};

static struct peer *peers; /* of the test under way, which has a process of its own */

static void peer_gone(struct peer *p)
{
    if (p->watch.fd >= 0) {
        loop_fd_remove(p->origin->loop, &p->watch);
        close(p->watch.fd);
        p->watch.fd = -1;
    }
}

static void peer_answer(struct peer *p)
{
    struct origin *o = p->origin;
    o->requests++;
    cdn_buf_clear(&p->in);
    if (o->answer.p) {
        ck_assert_int_eq(send(p->watch.fd, o->answer.p, o->answer.n, MSG_NOSIGNAL), (ssize_t)o->answer.n);
    }
    if (o->reset_after) {
        struct linger now = {1, 0};
        setsockopt(p->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (o->close_after || o->reset_after) {
        peer_gone(p);
    }
}

static void peer_ready(struct loop_fd *self, uint32_t events)
{
    (void)events;
    struct peer *p = (struct peer *)self;
    char block[65536];
    ssize_t n = recv(self->fd, block, sizeof block, MSG_DONTWAIT);
    if (n <= 0) {
        peer_gone(p);
        return;
    }
    cdn_buf_add(&p->in, block, (size_t)n);
    cdn_buf_add(&p->origin->seen, block, (size_t)n);
    const char *end = memmem(p->in.p, p->in.n, "\r\n\r\n", 4);
    if (p->origin->at_once) {
        peer_answer(p);
    } else if (end && p->in.n >= (size_t)(end + 4 - p->in.p) + p->origin->request_bytes) {
        peer_answer(p);
    }
}

static void origin_ready(struct loop_fd *self, uint32_t events)
{
    (void)events;
    struct origin *o = (struct origin *)self;
    struct peer *p = cdn_calloc(1, sizeof *p);
    *p = (struct peer){
        .watch = {accept(self->fd, NULL, NULL), EPOLLIN, peer_ready}, .origin = o, .next = peers};
    peers = p;
    o->accepted++;
    ck_assert(loop_fd_add(o->loop, &p->watch, NULL) == CDN_OK);
}

static void origin_start(struct origin *o, struct loop *loop)
{
    socklen_t n = sizeof o->address;
    o->loop = loop;
    o->address = loopback(0);
    o->watch = (struct loop_fd){socket(AF_INET, SOCK_STREAM, 0), EPOLLIN, origin_ready};
    ck_assert(bind(o->watch.fd, &o->address.sa, cdn_addr_len(&o->address)) == 0 &&
              listen(o->watch.fd, 512) == 0);
    getsockname(o->watch.fd, &o->address.sa, &n);
    ck_assert(loop_fd_add(loop, &o->watch, NULL) == CDN_OK);
}

/* One fetch's story, and what its callbacks shall do. */
struct story {
    struct http_fetch *fetch;
    struct http_client *client;
    struct cdn_buf heads, body;
    unsigned interims, head_calls, ends;
    unsigned status;
    int64_t length;
    enum http_fetch_error error;
    char text[128];
    unsigned refuse; /* data() returns false that many times */
    bool paused;
    char cancel_in; /* 'i'nterim, 'h'ead, 'd'ata, 'r'ead, 'e'nd */
    struct cdn_str upload;
    bool upload_waits, upload_fails;
    struct http_fetch_times times;
};

static void maybe_cancel(struct story *s, char where)
{
    if (s->cancel_in == where) {
        http_fetch_cancel(s->fetch);
    }
}

static void on_interim(void *arg, const struct http_fetch_head *head)
{
    struct story *s = arg;
    s->interims++;
    cdn_buf_printf(&s->heads, "[%u]", head->status);
    maybe_cancel(s, 'i');
}

static void on_head(void *arg, const struct http_fetch_head *head)
{
    struct story *s = arg;
    s->head_calls++;
    s->status = head->status;
    s->length = head->content_length;
    for (size_t i = 0; i < head->field_count; i++) {
        cdn_buf_printf(&s->heads, "%.*s=%.*s;", CDN_STR_ARG(head->fields[i].name),
                       CDN_STR_ARG(head->fields[i].value));
    }
    maybe_cancel(s, 'h');
}

static bool on_data(void *arg, const char *data, size_t n)
{
    struct story *s = arg;
    maybe_cancel(s, 'd');
    if (s->refuse) {
        s->refuse--;
        s->paused = true;
        return false;
    }
    cdn_buf_add(&s->body, data, n);
    return true;
}

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct story *s = arg;
    s->ends++;
    s->error = error;
    cdn_str_copy(s->text, sizeof s->text, cdn_str(text));
    http_fetch_times_get(s->fetch, &s->times);
    maybe_cancel(s, 'e');
}

static ssize_t on_read(void *arg, char *into, size_t max)
{
    struct story *s = arg;
    maybe_cancel(s, 'r');
    if (s->upload_fails && s->upload.n < 10) {
        return HTTP_STREAM_FAIL;
    }
    if (s->upload_waits) {
        s->paused = true;
        return HTTP_STREAM_WAIT;
    }
    size_t n = s->upload.n < max ? s->upload.n : max;
    n = n > 5 ? 5 : n;
    memcpy(into, s->upload.p, n);
    s->upload = cdn_str_sub(s->upload, n);
    return (ssize_t)n;
}

static const struct http_fetch_handler story_handler = {on_interim, on_head, on_data, on_end};

struct fixture {
    struct loop *loop;
    struct http_client *client;
    struct origin origin;
    char url[128];
};

static void begin(struct fixture *f, const struct http_client_config *config)
{
    memset(f, 0, sizeof *f);
    f->loop = loop_new();
    origin_start(&f->origin, f->loop);
    ck_assert(http_client_create(f->loop, config, &f->client, NULL) == CDN_OK);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/p?q", cdn_addr_port(&f->origin.address));
}

static void finish(struct fixture *f)
{
    http_client_destroy(f->client);
    while (peers) {
        struct peer *p = peers;
        peers = p->next;
        peer_gone(p);
        cdn_buf_free(&p->in);
        free(p);
    }
    close(f->origin.watch.fd);
    cdn_buf_free(&f->origin.seen);
    loop_destroy(f->loop);
}

static void fetch(struct fixture *f, struct story *s, struct http_fetch_request request)
{
    request.method = request.method ? request.method : "GET";
    request.url = request.url ? request.url : f->url;
    request.handler = &story_handler;
    request.arg = s;
    request.read_body = on_read;
    s->client = f->client;
    s->fetch = http_fetch_start(f->client, &request);
    ck_assert_uint_eq(s->ends, 0);
}

static bool is_over(void *arg)
{
    return ((struct story *)arg)->ends > 0;
}

static void free_story(struct story *s)
{
    cdn_buf_free(&s->heads);
    cdn_buf_free(&s->body);
}

#define ANSWER(text) CDN_STR(text)
#define FINE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

enum after { KEEP, CLOSE, RESET };
static const struct {
    const char *answer; /* NULL: none */
    enum after after;
    enum http_fetch_error error;
    const char *heads, *body; /* NULL: not looked at */
} answers[] = {
    {FINE, KEEP, HTTP_FETCH_NONE, "Content-Length=5;", "hello"},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_NONE, "Content-Length=0;", ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x\r\ncde\r\n0\r\nT: u\r\n\r\n", KEEP,
     HTTP_FETCH_NONE, "Transfer-Encoding=chunked;", "abcde"},
    {"HTTP/1.1 200 OK\r\nA:  b \r\nA: c\r\nE:\r\nN : t\r\nF: g\r\n  h\r\nContent-Length: 0\r\n\r\n", KEEP,
     HTTP_FETCH_NONE, "A=b;A=c;E=;N=t;F=g h;Content-Length=0;", ""},
    {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" FINE, KEEP, HTTP_FETCH_NONE,
     "[103][102]Content-Length=5;", "hello"},
    {"HTTP/1.1 204 No Content\r\n\r\n", KEEP, HTTP_FETCH_NONE, "", ""},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", KEEP, HTTP_FETCH_NONE, "Content-Length=5;",
     ""},
    {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", KEEP,
     HTTP_FETCH_NONE, NULL, ""},
    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", KEEP, HTTP_FETCH_NONE, NULL,
     "abc"},
    {"HTTP/1.0 200 OK\r\n\r\nuntil the end", CLOSE, HTTP_FETCH_NONE, "", "until the end"},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", CLOSE, HTTP_FETCH_NONE, NULL,
     "until the end"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", KEEP, HTTP_FETCH_NONE, NULL,
     "hello"},
    {FINE "too much", CLOSE, HTTP_FETCH_NONE, NULL, "hello"},
    {NULL, CLOSE, HTTP_FETCH_CLOSED, NULL, NULL},
    {NULL, RESET, HTTP_FETCH_CLOSED, NULL, NULL},
    {NULL, KEEP, HTTP_FETCH_READ_TIMEOUT, NULL, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", CLOSE, HTTP_FETCH_CLOSED, NULL, "hel"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", KEEP, HTTP_FETCH_READ_TIMEOUT, NULL, "hel"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", CLOSE, HTTP_FETCH_CLOSED, NULL,
     "hello"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", CLOSE, HTTP_FETCH_CLOSED, NULL, "hel"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", CLOSE, HTTP_FETCH_CLOSED, NULL, ""},
    {"HTTP/1.1 200 OK\r\nContent-Le", CLOSE, HTTP_FETCH_CLOSED, NULL, NULL},
    {"HTTP/1.1 103 Early Hints\r\n\r\n", CLOSE, HTTP_FETCH_CLOSED, "[103]", NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", KEEP,
     HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", KEEP, HTTP_FETCH_PROTOCOL, "",
     ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", CLOSE, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CLOSE, HTTP_FETCH_PROTOCOL, "",
     ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: nothing\r\n\r\nhello", CLOSE, HTTP_FETCH_NONE,
     "Transfer-Encoding=nothing;", "hello"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: nothing\r\nContent-Length: 5\r\n\r\nhello", CLOSE,
     HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: nothing\r\n\r\nhello", CLOSE, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CLOSE, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nA: b\x01\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", NULL},
    {"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"just text, no head at all\r\n\r\n", CLOSE, HTTP_FETCH_PROTOCOL, "", ""},
};

START_TEST(answers_are_judged)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){.first_byte_timeout_ms = 200, .idle_timeout_ms = 200});
    f.origin.answer =
        (struct cdn_str){answers[_i].answer, answers[_i].answer ? strlen(answers[_i].answer) : 0};
    f.origin.close_after = answers[_i].after == CLOSE;
    f.origin.reset_after = answers[_i].after == RESET;
    fetch(&f, &s, (struct http_fetch_request){0});
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == answers[_i].error, "%s\ngave %s (%s)", answers[_i].answer,
                  http_fetch_error_word(s.error), s.text);
    ck_assert(!answers[_i].heads || strcmp(cdn_buf_str(&s.heads).p, answers[_i].heads) == 0);
    ck_assert(!answers[_i].body || strcmp(cdn_buf_str(&s.body).p, answers[_i].body) == 0);
    ck_assert(!s.error == !s.text[0]);
    ck_assert_uint_eq(http_client_running(f.client), 0);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(a_connection_that_breaks_never_completes_a_body)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = ANSWER("HTTP/1.1 200 OK\r\n\r\npart");
    fetch(&f, &s, (struct http_fetch_request){0});
    while (s.body.n < 4) {
        loop_turn(f.loop, 1);
    }
    struct linger now = {1, 0};
    setsockopt(peers->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_gone(peers);
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_CLOSED);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(a_giant_head_is_cut)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){.max_head_bytes = 2000});
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_add_str(&text, CDN_STR("HTTP/1.1 200 OK\r\n"));
    while (text.n < 2000) {
        cdn_buf_add_str(&text, CDN_STR("X-Header: value\r\n"));
    }
    cdn_buf_add_str(&text, CDN_STR("Content-Length: 0\r\n\r\n"));
    f.origin.answer = cdn_buf_str(&text);
    fetch(&f, &s, (struct http_fetch_request){0});
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_TOO_LARGE);
    free_story(&s);
    finish(&f);
}
END_TEST

static const struct {
    const char *url;
    enum http_fetch_error error;
} bad_urls[] = {
    {"http://127.0.0.1:1/", HTTP_FETCH_CONNECT},   {"nonsense", HTTP_FETCH_PROTOCOL},
    {"ftp://127.0.0.1/", HTTP_FETCH_PROTOCOL},     {"http:///x", HTTP_FETCH_PROTOCOL},
    {"http://127.0.0.1/a b", HTTP_FETCH_PROTOCOL}, {"http://127.0.0.1/\xc3\xa4", HTTP_FETCH_PROTOCOL},
    {"http://name.invalid/", HTTP_FETCH_RESOLVE},  {"http://127.0.0.1/a\r\nX: y", HTTP_FETCH_PROTOCOL},
};

START_TEST(bad_urls_fail_later_not_at_once)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    fetch(&f, &s, (struct http_fetch_request){.url = bad_urls[_i].url});
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == bad_urls[_i].error, "%s: %s", http_fetch_error_word(s.error), s.text);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(tls_to_a_plain_server_fails_as_tls)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = ANSWER("HTTP/1.1 400 Bad Request\r\n\r\n");
    f.origin.at_once = true;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", cdn_addr_port(&f.origin.address));
    fetch(&f, &s, (struct http_fetch_request){.url = url});
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == HTTP_FETCH_TLS, "%s (%s)", http_fetch_error_word(s.error), s.text);
    free_story(&s);
    finish(&f);
}
END_TEST

#define NO_FIELDS       \
    {                   \
        {               \
            {NULL, 0},  \
            {           \
                NULL, 0 \
            }           \
        }               \
    }

/* What goes out, byte for byte; %P is the port. */
static const struct {
    const char *method, *target;
    struct http_field fields[3];
    bool has_body;
    int64_t length;
    const char *body;
    const char *sent;
} requests[] = {
    {"GET",
     "/p?",
     {{{"A", 1}, {"b", 1}}, {{"Empty", 5}, {"", 0}}, {{"A", 1}, {"c", 1}}},
     false,
     0,
     NULL,
     "GET /p? HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nA: b\r\nEmpty:\r\nA: c\r\n\r\n"},
    {"GET",
     "",
     {{{"Host", 4}, {"example.com", 11}}},
     false,
     0,
     NULL,
     "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"},
    {"GET", "?a", NO_FIELDS, false, 0, NULL, "GET /?a HTTP/1.1\r\nHost: 127.0.0.1:%P\r\n\r\n"},
    {"GET", "//a/../%7e%2F|\"#frag", NO_FIELDS, false, 0, NULL,
     "GET //a/../%7e%2F|\" HTTP/1.1\r\nHost: 127.0.0.1:%P\r\n\r\n"},
    {"GET",
     "/",
     {{{"Accept", 6}, {"text/html", 9}}, {{"Content-Length", 14}, {"7", 1}}, {{"Bad\n", 4}, {"x", 1}}},
     false,
     0,
     NULL,
     "GET / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nAccept: text/html\r\n\r\n"},
    {"HEAD", "/", NO_FIELDS, false, 0, NULL, "HEAD / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\n\r\n"},
    {"DELETE", "/", NO_FIELDS, false, 0, NULL, "DELETE / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\n\r\n"},
    {"POST", "/", NO_FIELDS, false, 0, NULL,
     "POST / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nContent-Length: 0\r\n\r\n"},
    {"POST", "/", NO_FIELDS, true, 7, "1234567",
     "POST / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nContent-Length: 7\r\n\r\n1234567"},
    {"GET", "/", NO_FIELDS, true, 3, "123",
     "GET / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nContent-Length: 3\r\n\r\n123"},
    {"PATCH", "/", NO_FIELDS, true, -1, "1234567",
     "PATCH / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nTransfer-Encoding: "
     "chunked\r\n\r\n5\r\n12345\r\n2\r\n67\r\n0\r\n\r\n"},
};

START_TEST(requests_go_out_as_given)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){0});
    CDN_AUTOBUF struct cdn_buf expected = {0};
    char port[8];
    snprintf(port, sizeof port, "%u", cdn_addr_port(&f.origin.address));
    struct cdn_str rest = cdn_str(requests[_i].sent);
    const char *mark = strstr(rest.p, "%P");
    cdn_buf_add(&expected, rest.p, mark ? (size_t)(mark - rest.p) : rest.n);
    if (mark) {
        cdn_buf_printf(&expected, "%s%s", port, mark + 2);
    }
    const char *end = strstr(expected.p, "\r\n\r\n") + 4;
    f.origin.request_bytes = strlen(end);
    f.origin.answer = ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    size_t fields = 0;
    while (fields < 3 && requests[_i].fields[fields].name.n) {
        fields++;
    }
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%s%s", port, requests[_i].target);
    const bool once = requests[_i].has_body || strcmp(requests[_i].method, "POST") == 0;
    for (unsigned again = 0; again < 2; again++) { /* a reused handle does the same */
        struct story s = {.upload = cdn_str(requests[_i].body)};
        cdn_buf_clear(&f.origin.seen);
        fetch(&f, &s,
              (struct http_fetch_request){.method = requests[_i].method,
                                          .url = url,
                                          .fields = requests[_i].fields,
                                          .field_count = fields,
                                          .has_body = requests[_i].has_body,
                                          .body_length = requests[_i].length});
        turn_until(f.loop, is_over, &s);
        ck_assert_msg(s.error == HTTP_FETCH_NONE, "%s", s.text);
        ck_assert_str_eq(f.origin.seen.p, expected.p);
        ck_assert(s.times.reused == (again > 0 && !once)); /* RFC 9110 9.2.2: what must not be sent twice */
        free_story(&s);
        struct story other = {0}; /* another kind of request in between */
        f.origin.request_bytes = 0;
        fetch(&f, &other, (struct http_fetch_request){.method = "HEAD"});
        turn_until(f.loop, is_over, &other);
        f.origin.request_bytes = strlen(end);
        free_story(&other);
    }
    ck_assert_uint_eq(f.origin.accepted, once ? 2 : 1);
    finish(&f);
}
END_TEST

START_TEST(a_thousand_fetches_reuse_the_connections)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    for (unsigned round = 0; round < 100; round++) {
        struct story s[10] = {0};
        for (unsigned i = 0; i < 10; i++) {
            fetch(&f, &s[i], (struct http_fetch_request){0});
        }
        ck_assert_uint_eq(http_client_running(f.client), 10);
        for (unsigned i = 0; i < 10; i++) {
            turn_until(f.loop, is_over, &s[i]);
            ck_assert(s[i].error == HTTP_FETCH_NONE && s[i].ends == 1);
            ck_assert_str_eq(s[i].body.p, "hello");
            free_story(&s[i]);
        }
    }
    ck_assert_uint_eq(f.origin.requests, 1000);
    ck_assert_uint_le(f.origin.accepted, 10);
    finish(&f);
}
END_TEST

START_TEST(a_closed_idle_connection_is_replaced)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    for (unsigned i = 0; i < 5; i++) {
        struct story s = {0};
        fetch(&f, &s, (struct http_fetch_request){0});
        turn_until(f.loop, is_over, &s);
        ck_assert_msg(s.error == HTTP_FETCH_NONE, "%s", s.text);
        free_story(&s);
        peer_gone(peers);
    }
    ck_assert_uint_eq(f.origin.accepted, 5);
    finish(&f);
}
END_TEST

static bool is_paused(void *arg)
{
    return ((struct story *)arg)->paused;
}

START_TEST(receiving_can_be_paused)
{
    struct fixture f;
    struct story s = {.refuse = 5};
    begin(&f, &(struct http_client_config){.idle_timeout_ms = 100});
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_add_str(&text, CDN_STR("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"));
    while (text.n < 200043) {
        cdn_buf_add_char(&text, (char)('a' + text.n % 26));
    }
    f.origin.answer = cdn_buf_str(&text);
    fetch(&f, &s, (struct http_fetch_request){0});
    for (unsigned i = 0; i < 5; i++) {
        turn_until(f.loop, is_paused, &s);
        int64_t until = cdn_clock_mono_ms() + (i == 0 ? 250 : 0); /* our own slowness is not the origin's */
        do {
            loop_turn(f.loop, 5);
        } while (cdn_clock_mono_ms() < until);
        ck_assert(s.ends == 0 && s.body.n == 0);
        s.paused = false;
        http_fetch_resume(s.fetch);
    }
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == HTTP_FETCH_NONE, "%s", s.text);
    ck_assert_uint_eq(s.body.n, 200000);
    ck_assert(memcmp(s.body.p, text.p + text.n - 200000, 200000) == 0);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(sending_can_be_paused)
{
    struct fixture f;
    struct story s = {.upload = CDN_STR("1234567"), .upload_waits = true};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    f.origin.request_bytes = 7;
    fetch(&f, &s, (struct http_fetch_request){.method = "POST", .has_body = true, .body_length = 7});
    turn_until(f.loop, is_paused, &s);
    turn_times(f.loop, 10);
    ck_assert(s.ends == 0 && f.origin.requests == 0);
    s.upload_waits = false;
    http_fetch_resume(s.fetch);
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_NONE);
    ck_assert(memmem(f.origin.seen.p, f.origin.seen.n, "\r\n\r\n1234567", 11));
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(an_upload_that_breaks_off_is_not_completed)
{
    struct fixture f;
    struct story s = {.upload = CDN_STR("123456789012345"), .upload_fails = true};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    f.origin.request_bytes = 15;
    fetch(&f, &s, (struct http_fetch_request){.method = "POST", .has_body = true, .body_length = -1});
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_ABORTED);
    ck_assert(!memmem(f.origin.seen.p, f.origin.seen.n, "0\r\n\r\n", 5));
    free_story(&s);
    finish(&f);
}
END_TEST

static const char cancel_places[] =
    "ihdreosp"; /* o: from outside; s: right after the start; p: while paused */

START_TEST(cancelling_is_safe_anywhere)
{
    struct fixture f;
    char where = cancel_places[_i];
    struct story s = {.cancel_in = where, .upload = CDN_STR("123"), .refuse = where == 'p'};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = ANSWER("HTTP/1.1 103 Early Hints\r\n\r\n" FINE);
    f.origin.request_bytes = 3;
    if (where == 'o') {
        f.origin.answer.p = NULL;
    }
    fetch(&f, &s, (struct http_fetch_request){.method = "POST", .has_body = true, .body_length = 3});
    if (where == 's') {
        http_fetch_cancel(s.fetch);
        ck_assert_uint_eq(http_client_running(f.client), 1);
    }
    for (int turns = 0; turns < 200 && (http_client_running(f.client) || turns < 5); turns++) {
        loop_turn(f.loop, 1);
        if ((where == 'o' && f.origin.requests) || (where == 'p' && s.paused)) {
            http_fetch_cancel(s.fetch);
            where = ' ';
        }
    }
    ck_assert_uint_eq(http_client_running(f.client), 0);
    ck_assert_uint_eq(s.ends, cancel_places[_i] == 'e');
    free_story(&s);
    finish(&f);
}
END_TEST

struct chain { /* end() starts the next fetch; data() cancels another one */
    struct fixture *f;
    struct http_fetch *victim;
    unsigned left;
    bool over;
};

static void chain_start(struct chain *c);

static bool chain_data(void *arg, const char *data, size_t n)
{
    struct chain *c = arg;
    (void)data;
    (void)n;
    if (c->victim) {
        http_fetch_cancel(CDN_TAKE(c->victim));
        static const struct http_fetch_handler nothing = {.end = on_end};
        static struct story inner;
        inner.fetch = http_fetch_start(
            c->f->client, &(struct http_fetch_request){
                              .method = "GET", .url = c->f->url, .handler = &nothing, .arg = &inner});
        http_fetch_cancel(inner.fetch);
    }
    return true;
}

static void chain_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct chain *c = arg;
    ck_assert_msg(error == HTTP_FETCH_NONE, "%s", text);
    c->over = --c->left == 0;
    if (!c->over) {
        chain_start(c);
    }
}

static void chain_start(struct chain *c)
{
    static const struct http_fetch_handler links = {.data = chain_data, .end = chain_end};
    http_fetch_start(c->f->client, &(struct http_fetch_request){
                                       .method = "GET", .url = c->f->url, .handler = &links, .arg = c});
}

static bool chain_over(void *arg)
{
    return ((struct chain *)arg)->over;
}

START_TEST(callbacks_may_start_and_cancel_others)
{
    struct fixture f;
    struct story victim = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    struct chain c = {.f = &f, .left = 20};
    struct origin silent = {0};
    origin_start(&silent, f.loop);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", cdn_addr_port(&silent.address));
    fetch(&f, &victim, (struct http_fetch_request){.url = url});
    c.victim = victim.fetch;
    chain_start(&c);
    turn_until(f.loop, chain_over, &c);
    ck_assert_uint_eq(victim.ends, 0);
    turn_times(f.loop, 3);
    ck_assert_uint_eq(http_client_running(f.client), 0);
    close(silent.watch.fd);
    cdn_buf_free(&silent.seen);
    free_story(&victim);
    finish(&f);
}
END_TEST

START_TEST(destroying_the_client_ends_fetches_silently)
{
    struct fixture f;
    struct story s[3] = {0};
    begin(&f, &(struct http_client_config){.max_connections = 2, .max_per_host = 2});
    for (unsigned i = 0; i < 3; i++) { /* the third waits for a connection */
        fetch(&f, &s[i], (struct http_fetch_request){0});
    }
    while (f.origin.requests < 2) {
        loop_turn(f.loop, 1);
    }
    ck_assert_uint_eq(f.origin.accepted, 2);
    finish(&f);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(s[i].ends, 0);
    }
}
END_TEST

START_TEST(waiting_for_a_connection_is_limited)
{
    struct fixture f;
    struct story s[2] = {0};
    begin(&f, &(struct http_client_config){.max_per_host = 1,
                                           .connect_timeout_ms = 50,
                                           .first_byte_timeout_ms = 100,
                                           .idle_timeout_ms = 10000});
    fetch(&f, &s[0], (struct http_fetch_request){.first_byte_timeout_ms = 10000});
    fetch(&f, &s[1], (struct http_fetch_request){0});
    turn_until(f.loop, is_over, &s[1]);
    ck_assert_int_eq(s[1].error, HTTP_FETCH_TIMEOUT);
    ck_assert_uint_eq(s[0].ends, 0);
    finish(&f);
}
END_TEST

START_TEST(the_whole_fetch_can_be_limited)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    fetch(&f, &s, (struct http_fetch_request){.total_timeout_ms = 100});
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_READ_TIMEOUT);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(words_are_those_of_rfc_9209)
{
    ck_assert_str_eq(http_fetch_error_word(HTTP_FETCH_NONE), "none");
    ck_assert_str_eq(http_fetch_error_word(HTTP_FETCH_CLOSED), "http_response_incomplete");
    ck_assert_str_eq(http_fetch_error_word(HTTP_FETCH_ABORTED), "aborted");
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_loop_test(all, answers_are_judged, 0, (int)CDN_ARRAY_LEN(answers));
    tcase_add_test(all, a_connection_that_breaks_never_completes_a_body);
    tcase_add_test(all, a_giant_head_is_cut);
    tcase_add_loop_test(all, bad_urls_fail_later_not_at_once, 0, (int)CDN_ARRAY_LEN(bad_urls));
    tcase_add_test(all, tls_to_a_plain_server_fails_as_tls);
    tcase_add_loop_test(all, requests_go_out_as_given, 0, (int)CDN_ARRAY_LEN(requests));
    tcase_add_test(all, a_thousand_fetches_reuse_the_connections);
    tcase_add_test(all, a_closed_idle_connection_is_replaced);
    tcase_add_test(all, receiving_can_be_paused);
    tcase_add_test(all, sending_can_be_paused);
    tcase_add_test(all, an_upload_that_breaks_off_is_not_completed);
    tcase_add_loop_test(all, cancelling_is_safe_anywhere, 0, (int)sizeof cancel_places - 1);
    tcase_add_test(all, callbacks_may_start_and_cancel_others);
    tcase_add_test(all, destroying_the_client_ends_fetches_silently);
    tcase_add_test(all, waiting_for_a_connection_is_limited);
    tcase_add_test(all, the_whole_fetch_can_be_limited);
    tcase_add_test(all, words_are_those_of_rfc_9209);
}

int main(void)
{
    return run_suite("http_client", fill);
}
