/* waiting_origin: an origin that can keep clients waiting, and counts.
 *
 *     waiting_origin PORT
 *
 * `/u/TAG/N/BYTES`       at once
 * `/wait/MS/TAG/BYTES`   after MS milliseconds
 * `/drip/MS/TAG/BYTES`   the head at once, the body in 20 portions over MS milliseconds
 * `/count`               how many other requests there were
 *
 * Answers are cacheable for a year; byte i of a body is 'a' + i % 26. One thread, epoll, keep-alive; requests
 * have no bodies.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define PORTIONS 20
#define HEAD_SIZE 8192
#define BODY_MAX ((size_t)16 << 20)

struct client {
    int fd;
    bool waiting; /* in the list */
    struct client *next;
    size_t have;
    char in[HEAD_SIZE];
    char head[512];
    size_t head_n, head_sent;
    size_t body_n, body_sent;
    size_t allowed;  /* of the body, so far */
    double start_ms; /* when the request came */
    double wait_ms;  /* before the head */
    double drip_ms;  /* over which the body goes out */
};

static char *body;
static struct client *waiting;
static unsigned long requests;
static int events;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void watch(struct client *c, uint32_t what)
{
    epoll_ctl(events, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){.events = what, .data.ptr = c});
}

static bool push(int fd, const char *from, size_t n, size_t *sent) /* false: the client is gone */
{
    while (*sent < n) {
        ssize_t done = send(fd, from + *sent, n - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0) {
            return errno == EAGAIN;
        }
        *sent += (size_t)done;
    }
    return true;
}

/* Head and body in one segment where they fit. */
static bool push_both(struct client *c)
{
    if (c->head_sent == 0 && c->allowed) {
        struct iovec part[2] = {{c->head, c->head_n}, {body, c->allowed}};
        struct msghdr m = {.msg_iov = part, .msg_iovlen = 2};
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            return errno == EAGAIN;
        }
        c->head_sent = (size_t)n < c->head_n ? (size_t)n : c->head_n;
        c->body_sent = (size_t)n - c->head_sent;
    }
    return push(c->fd, c->head, c->head_n, &c->head_sent) &&
           (c->head_sent < c->head_n || push(c->fd, body, c->allowed, &c->body_sent));
}

static void leave_list(struct client *c)
{
    for (struct client **at = &waiting; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    c->waiting = false;
}

static void drop(struct client *c)
{
    if (c->waiting) {
        leave_list(c);
    }
    close(c->fd);
    free(c);
}

static void answer(struct client *c, size_t n)
{
    c->body_n = n < BODY_MAX ? n : BODY_MAX;
    c->head_n =
        (size_t)snprintf(c->head, sizeof(c->head),
                         "HTTP/1.1 200 OK\r\nServer: waiting\r\nDate: Sun, 22 Nov 2026 15:40:00 GMT\r\n"
                         "Content-Type: application/octet-stream\r\nETag: \"%zu\"\r\n"
                         "Cache-Control: public, max-age=31536000, immutable\r\nContent-Length: %zu\r\n\r\n",
                         n, c->body_n);
    c->head_sent = c->body_sent = 0;
}

static void begin(struct client *c)
{
    unsigned long ms = 0;
    unsigned long n = 0;
    char count[32];
    c->start_ms = now_ms();
    c->wait_ms = c->drip_ms = 0;
    if (strncmp(c->in, "GET /count ", 11) == 0) {
        int digits = snprintf(count, sizeof(count), "%lu", requests);
        c->body_n = c->allowed = c->body_sent = 0;
        c->head_n = (size_t)snprintf(c->head, sizeof(c->head),
                                     "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", digits, count);
        c->head_sent = 0;
        return;
    }
    requests++;
    if (sscanf(c->in, "GET /wait/%lu/%*[^/]/%lu", &ms, &n) == 2) {
        c->wait_ms = (double)ms;
    } else if (sscanf(c->in, "GET /drip/%lu/%*[^/]/%lu", &ms, &n) == 2) {
        c->drip_ms = (double)ms;
    } else {
        sscanf(c->in, "GET /u/%*[^/]/%*[^/]/%lu", &n);
    }
    answer(c, n);
}

/* What may go out by now; true when the answer is over. False with c->fd < 0: the client is gone. */
static bool advance(struct client *c)
{
    double ms = now_ms() - c->start_ms;
    if (ms < c->wait_ms) {
        return false;
    }
    size_t portion = c->drip_ms > 0 ? (size_t)(ms / c->drip_ms * PORTIONS) : PORTIONS;
    c->allowed = portion >= PORTIONS ? c->body_n : c->body_n / PORTIONS * portion;
    if (!push_both(c)) {
        c->wait_ms = 1e18; /* the read side will see the end */
        return false;
    }
    return c->head_sent == c->head_n && c->body_sent == c->body_n;
}

static void serve(struct client *c)
{
    bool done = advance(c);
    if (!done && !c->waiting) {
        c->waiting = true;
        c->next = waiting;
        waiting = c;
    } else if (done && c->waiting) {
        leave_list(c);
    }
    bool blocked = !done && c->head_sent && (c->head_sent < c->head_n || c->body_sent < c->allowed);
    watch(c, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void readable(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->have, sizeof(c->in) - 1 - c->have, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            drop(c);
        }
        return;
    }
    c->have += (size_t)n;
    c->in[c->have] = '\0';
    if (strstr(c->in, "\r\n\r\n")) {
        begin(c);
        c->have = 0;
        serve(c);
    }
}

static void accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct client *c = fd < 0 ? NULL : calloc(1, sizeof(*c));
        if (!c) {
            return;
        }
        c->fd = fd;
        epoll_ctl(events, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
    }
}

int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((unsigned short)(argc > 1 ? strtoul(argv[1], NULL, 10) : 0));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    body = malloc(BODY_MAX);
    if (!body || bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 4096)) {
        fprintf(stderr, "waiting_origin: cannot listen\n");
        return 3;
    }
    for (size_t i = 0; i < BODY_MAX; i++) {
        body[i] = (char)('a' + i % 26);
    }
    signal(SIGPIPE, SIG_IGN);
    events = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(events, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
    for (;;) {
        struct epoll_event ready[64];
        int n = epoll_wait(events, ready, 64, waiting ? 1 : -1);
        for (int i = 0; i < n; i++) {
            struct client *c = ready[i].data.ptr;
            if (!c) {
                accept_all(listener);
            } else if (ready[i].events & EPOLLIN) {
                readable(c);
            } else {
                serve(c);
            }
        }
        struct client *next;
        for (struct client *c = n > 0 ? NULL : waiting; c;
             c = next) {    /* only when nothing else has happened: */
            next = c->next; /* what is ready may have been dropped */
            serve(c);
        }
    }
}
