/* client_help: an origin that follows a script and a fetch that notes what it is told, on one loop, for the
 * tests of http_client. */
#ifndef CDN_TESTS_CLIENT_HELP_H
#define CDN_TESTS_CLIENT_HELP_H
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* The origin: a listening socket whose connections answer every complete request with the script's bytes. */
struct origin {
    struct loop_fd watch;
    struct loop *loop;
    struct cdn_addr address;
    struct cdn_str answer;   /* p NULL: none ever */
    struct cdn_str once;     /* in place of the next answer */
    struct cdn_str greeting; /* sent to a new connection unasked */
    bool close_after;        /* FIN */
    bool reset_after;        /* RST */
    unsigned drops;          /* so many requests get a FIN for an answer */
    bool at_once;            /* whatever came, it is a request */
    /* writes the answer to a request; NULL: as the above say */
    void (*compose)(struct origin *self, struct cdn_str request, struct cdn_buf *into);
    size_t request_bytes; /* beyond the head that belong to a request before it is answered */
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

static inline void peer_gone(struct peer *p)
{
    if (p->watch.fd >= 0) {
        loop_fd_remove(p->origin->loop, &p->watch);
        close(p->watch.fd);
        p->watch.fd = -1;
    }
}

static inline void peer_answer(struct peer *p)
{
    struct origin *o = p->origin;
    CDN_AUTOBUF struct cdn_buf composed = {0};
    o->requests++;
    if (o->compose) {
        o->compose(o, cdn_buf_str(&p->in), &composed);
        o->once = cdn_buf_str(&composed);
    }
    cdn_buf_clear(&p->in);
    if (o->drops) {
        o->drops--;
        peer_gone(p);
        return;
    }
    const struct cdn_str answer = o->once.p ? o->once : o->answer;
    o->once = (struct cdn_str){0};
    if (answer.p) {
        ck_assert_int_eq(send(p->watch.fd, answer.p, answer.n, MSG_NOSIGNAL), (ssize_t)answer.n);
    }
    if (o->reset_after) {
        struct linger now = {1, 0};
        setsockopt(p->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    if (o->close_after || o->reset_after) {
        peer_gone(p);
    }
}

static inline void peer_ready(struct loop_fd *self, uint32_t events)
{
    (void)events;
    struct peer *p = (struct peer *)self;
    char block[65536];
    ssize_t n = recv(self->fd, block, sizeof(block), MSG_DONTWAIT);
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

static inline void origin_ready(struct loop_fd *self, uint32_t events)
{
    (void)events;
    struct origin *o = (struct origin *)self;
    struct peer *p = cdn_calloc(1, sizeof(*p));
    *p = (struct peer){
        .watch = {accept(self->fd, NULL, NULL), EPOLLIN, peer_ready}, .origin = o, .next = peers};
    peers = p;
    o->accepted++;
    if (o->greeting.p) {
        ck_assert_int_eq(send(p->watch.fd, o->greeting.p, o->greeting.n, MSG_NOSIGNAL),
                         (ssize_t)o->greeting.n);
    }
    ck_assert(loop_fd_add(o->loop, &p->watch, NULL) == CDN_OK);
}

static inline void origin_start(struct origin *o, struct loop *loop)
{
    socklen_t n = sizeof(o->address);
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

static inline void maybe_cancel(struct story *s, char where)
{
    if (s->cancel_in == where) {
        http_fetch_cancel(s->fetch);
    }
}

static inline void on_interim(void *arg, const struct http_fetch_head *head)
{
    struct story *s = arg;
    s->interims++;
    cdn_buf_printf(&s->heads, "[%u]", head->status);
    maybe_cancel(s, 'i');
}

static inline void on_head(void *arg, const struct http_fetch_head *head)
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

static inline bool on_data(void *arg, const char *data, size_t n)
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

static inline void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct story *s = arg;
    s->ends++;
    s->error = error;
    cdn_str_copy(s->text, sizeof(s->text), cdn_str(text));
    http_fetch_times_get(s->fetch, &s->times);
    maybe_cancel(s, 'e');
}

static inline ssize_t on_read(void *arg, char *into, size_t max)
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

static inline void begin(struct fixture *f, const struct http_client_config *config)
{
    memset(f, 0, sizeof(*f));
    f->loop = loop_new();
    origin_start(&f->origin, f->loop);
    ck_assert(http_client_create(f->loop, config, &f->client, NULL) == CDN_OK);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/p?q", cdn_addr_port(&f->origin.address));
}

static inline void finish(struct fixture *f)
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

static inline void fetch(struct fixture *f, struct story *s, struct http_fetch_request request)
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

static inline bool is_over(void *arg)
{
    return ((struct story *)arg)->ends > 0;
}

static inline void free_story(struct story *s)
{
    cdn_buf_free(&s->heads);
    cdn_buf_free(&s->body);
}

#define ANSWER(text) CDN_STR(text)
#define FINE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

#endif
