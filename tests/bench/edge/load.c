/* load: the clients of the benchmark. One thread, epoll, keep-alive, loopback.
 *
 *     load hits PORT PATH CONNECTIONS SECONDS [MANY s]
 *         closed loop; with %d in the path for numbers below MANY, drawn evenly (s = 0) or by 1 / k^s
 *     load latency PORT PATH CONNECTIONS RATE SECONDS
 *         open loop: Poisson arrivals, latency from the planned time
 *     load fetch PORT PATTERN CONNECTIONS FIRST COUNT
 *         closed loop over COUNT paths (%d in PATTERN), each once
 *     load sample PORT PATTERN CONNECTIONS FROM COUNT
 *         as fetch, COUNT numbers below FROM, equally spaced
 *     load stampede PORT PATH CLIENTS
 *         all at once on connections that stand already
 *     load idle PORT PATH CLIENTS
 *         one request on each, then "ready", until stdin ends
 *
 * PORT may be two, "P,Q": connections then go to them in turn. Prints one JSON object. Answers need a
 * Content-Length; byte i of a body has to be 'a' + i % 26. That is checked everywhere but in `hits`: there
 * the client must cost less than the server that is measured, so bodies are counted and left to the kernel to
 * throw away.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define HEAD_SIZE 4096
#define CHUNK ((size_t)256 * 1024)
#define PERIOD 26   /* of a body's bytes */
#define DRAWS 65536 /* paths drawn beforehand */

struct client {
    int fd;
    bool busy;
    double planned_us;
    size_t have;  /* of the head */
    int64_t left; /* of the body; -1: the head is not complete */
    int64_t length;
    bool bad;
    char head[HEAD_SIZE];
};

struct request { /* prepared */
    char *text;
    size_t n;
};

static struct sockaddr_in servers[2];
static unsigned server_count, connected;
static struct client *clients;
static unsigned client_count;
static int events;
static double *took_us; /* of each answer */
static size_t answers, answer_room;
static unsigned long bad;
static char pattern[CHUNK + PERIOD];

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void connect_client(struct client *c)
{
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in *to = &servers[connected++ % server_count];
    if (connect(c->fd, (const struct sockaddr *)to, sizeof(*to))) {
        fprintf(stderr, "load: cannot connect: %s\n", strerror(errno));
        exit(3);
    }
    epoll_ctl(events, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
}

static void connect_all(unsigned count)
{
    clients = calloc(count, sizeof(*clients));
    client_count = count;
    for (unsigned i = 0; clients && i < count; i++) {
        connect_client(&clients[i]);
    }
}

#define REQUEST "GET %s HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n"

static void send_request(struct client *c, const char *request, size_t n, double planned_us)
{
    c->busy = true;
    c->have = 0;
    c->left = -1;
    c->bad = false;
    c->planned_us = planned_us;
    if (send(c->fd, request, n, MSG_NOSIGNAL) != (ssize_t)n) {
        c->bad = true;
    }
}

static void ask(struct client *c, const char *path, double planned_us)
{
    char request[512];
    int n = snprintf(request, sizeof(request), REQUEST, path);
    send_request(c, request, (size_t)n, planned_us);
}

static void finish(struct client *c)
{
    c->busy = false;
    bad += c->bad;
    if (answers == answer_room) {
        answer_room = answer_room ? answer_room * 2 : 4096;
        double *more = realloc(took_us, answer_room * sizeof(*more));
        if (!more) {
            exit(3);
        }
        took_us = more;
    }
    took_us[answers++] = now_us() - c->planned_us;
}

static void take_body(struct client *c, const char *p, size_t n)
{
    c->bad |= memcmp(p, pattern + (c->length - c->left) % PERIOD, n) != 0;
    c->left -= (int64_t)n;
    c->bad |= c->left < 0;
}

static void take_head(struct client *c, const char *p, size_t n)
{
    size_t room = sizeof(c->head) - 1 - c->have;
    size_t taken = n < room ? n : room;
    size_t before = c->have;
    memcpy(c->head + c->have, p, taken);
    c->have += taken;
    c->head[c->have] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) {
        return;
    }
    size_t head_n = (size_t)(end - c->head) + 4;
    end[2] = '\0';
    char *field = strcasestr(c->head, "\r\nContent-Length:");
    c->bad |= strncmp(c->head, "HTTP/1.1 200", 12) != 0 || !field;
    c->length = c->left = field ? strtoll(field + 17, NULL, 10) : 0;
    take_body(c, p + (head_n - before), n - (head_n - before));
}

static void fail(struct client *c) /* the server closed: count it and come back */
{
    close(c->fd);
    connect_client(c);
    if (c->busy) {
        c->bad = true;
        finish(c);
    }
}

static bool readable(struct client *c) /* true: an answer is complete */
{
    static char in[CHUNK];
    ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            fail(c);
            return true;
        }
        return false;
    }
    if (c->left < 0) {
        take_head(c, in, (size_t)n);
    } else {
        take_body(c, in, (size_t)n);
    }
    if (c->busy && c->left == 0) {
        finish(c);
        return true;
    }
    return false;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double q)
{
    return answers ? took_us[(size_t)(q * (double)(answers - 1))] : 0;
}

static void report(double seconds)
{
    qsort(took_us, answers, sizeof(*took_us), by_size);
    printf("{\"answers\": %zu, \"bad\": %lu, \"seconds\": %.6f, \"first_us\": %.1f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, "
           "\"p999_us\": %.1f, \"max_us\": %.1f}\n",
           answers, bad, seconds, quantile(0), quantile(0.5), quantile(0.99), quantile(0.999), quantile(1));
}

static void latency(const char *path, unsigned connections, double rate, double seconds)
{
    connect_all(connections);
    srand48(1);
    unsigned next = 0;
    double start = now_us();
    double due = start;
    unsigned open = 0;
    while (due < start + seconds * 1e6 || open) {
        double now = now_us();
        while (due <= now && due < start + seconds * 1e6 && open < connections) {
            while (clients[next % connections].busy) {
                next++;
            }
            ask(&clients[next++ % connections], path, due);
            open++;
            due += -log(1 - drand48()) / rate * 1e6;
        }
        struct epoll_event ready[64];
        int n = epoll_wait(events, ready, 64, 0); /* never sleeps: that would be measured too */
        for (int i = 0; i < n; i++) {
            open -= readable(ready[i].data.ptr);
        }
    }
    report((now_us() - start) / 1e6);
}

static void fetch(const char *paths, unsigned connections, unsigned long first, unsigned long count,
                  unsigned long step)
{
    const char *mark = strstr(paths, "%d");
    char path[256];
    unsigned long asked = 0;
    connect_all(connections);
    double start = now_us();
    while (answers < count) {
        for (unsigned i = 0; i < connections && asked < count; i++) {
            if (!clients[i].busy) {
                snprintf(path, sizeof(path), "%.*s%lu%s", (int)(mark - paths), paths, first + asked++ * step,
                         mark + 2);
                ask(&clients[i], path, now_us());
            }
        }
        struct epoll_event ready[64];
        int n = epoll_wait(events, ready, 64, 1000);
        for (int i = 0; i < n; i++) {
            readable(ready[i].data.ptr);
        }
    }
    report((now_us() - start) / 1e6);
}

/* ---- hits ---- */

/* All of a head and what came with it; the rest of the body is not
 * looked at. False: the answer is no good. */
static bool take_first(struct client *c, const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    const char *field = end ? memmem(p, (size_t)(end - p), "\r\nContent-Length: ", 18) : NULL;
    if (!field || memcmp(p, "HTTP/1.1 200", 12) != 0) {
        return false;
    }
    c->left = strtoll(field + 18, NULL, 10) - (int64_t)(n - (size_t)(end + 4 - p));
    return c->left >= 0;
}

/* True: the answer is complete, or broken off. */
static bool skim(struct client *c)
{
    char in[2048];
    if (c->left > 0) { /* MSG_TRUNC: the kernel drops the bytes without copying them */
        ssize_t n = recv(c->fd, NULL, (size_t)c->left, MSG_DONTWAIT | MSG_TRUNC);
        c->left -= n > 0 ? n : 0;
        c->bad |= n == 0;
        return c->left == 0 || c->bad;
    }
    ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);
    if (n < 0) {
        return false;
    }
    c->bad |= n == 0 || !take_first(c, in, (size_t)n);
    return c->bad || c->left == 0 || (c->left > 0 && n == (ssize_t)sizeof(in) && skim(c));
}

static struct request *prepare(const char *path, unsigned long many, double s, size_t *ret_count)
{
    const char *mark = strstr(path, "%d");
    const size_t count = mark ? DRAWS : 1;
    struct request *all = calloc(count, sizeof(*all));
    double *sum = calloc(many + 1, sizeof(*sum)); /* sum[k]: weight of the numbers below k */
    if (!all || !sum) {
        exit(3);
    }
    for (unsigned long k = 0; k < many; k++) {
        sum[k + 1] = sum[k] + pow((double)k + 1, -s);
    }
    srand48(7);
    for (size_t i = 0; i < count; i++) {
        char text[256];
        const double want = drand48() * sum[many];
        unsigned long low = 0;
        for (unsigned long high = many; low + 1 < high;) {
            unsigned long middle = (low + high) / 2;
            *(sum[middle] <= want ? &low : &high) = middle;
        }
        if (mark) {
            snprintf(text, sizeof(text), "%.*s%lu%s", (int)(mark - path), path, low, mark + 2);
        } else {
            snprintf(text, sizeof(text), "%s", path);
        }
        all[i].text = malloc(sizeof(text) + sizeof(REQUEST));
        if (!all[i].text) {
            exit(3);
        }
        all[i].n = (size_t)snprintf(all[i].text, sizeof(text) + sizeof(REQUEST), REQUEST, text);
    }
    free(sum);
    *ret_count = count;
    return all;
}

static void hits(const char *path, unsigned connections, double seconds, unsigned long many, double s)
{
    size_t count;
    size_t next = 0;
    unsigned long done = 0;
    struct request *all = prepare(path, many, s, &count);
    connect_all(connections);
    double start = now_us();
    for (unsigned i = 0; i < connections; i++, next++) {
        send_request(&clients[i], all[next % count].text, all[next % count].n, 0);
    }
    while (now_us() < start + seconds * 1e6) {
        struct epoll_event ready[512];
        int n = epoll_wait(events, ready, 512, 1000);
        for (int i = 0; i < n; i++) {
            struct client *c = ready[i].data.ptr;
            if (!skim(c)) {
                continue;
            }
            done++;
            bad += c->bad;
            if (c->bad) {
                close(c->fd);
                connect_client(c);
            }
            send_request(c, all[next % count].text, all[next % count].n, 0);
            next++;
        }
    }
    printf("{\"requests\": %lu, \"bad\": %lu, \"us\": %.0f}\n", done, bad, now_us() - start);
    for (size_t i = 0; i < count; i++) {
        free(all[i].text);
    }
    free(all);
}

static void wait_answers(size_t count, double limit_s)
{
    double end = now_us() + limit_s * 1e6;
    while (answers < count && now_us() < end) {
        struct epoll_event ready[64];
        int n = epoll_wait(events, ready, 64, 1000);
        for (int i = 0; i < n; i++) {
            readable(ready[i].data.ptr);
        }
    }
}

static void stampede(const char *path, unsigned count)
{
    connect_all(count);
    double start = now_us();
    for (unsigned i = 0; i < count; i++) {
        ask(&clients[i], path, start);
    }
    wait_answers(count, 60);
    report((now_us() - start) / 1e6);
}

static void idle(const char *path, unsigned count)
{
    connect_all(count);
    double start = now_us();
    for (unsigned i = 0; i < count; i++) {
        ask(&clients[i], path, start);
        if (i % 64 == 63) {
            wait_answers(i + 1, 5);
        }
    }
    wait_answers(count, 10);
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    report((now_us() - start) / 1e6);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    const bool is_fetch = strcmp(mode, "fetch") == 0 || strcmp(mode, "sample") == 0;
    if (argc < 5 || (strcmp(mode, "hits") == 0 && (argc < 6 || (strstr(argv[3], "%d") && argc < 8))) ||
        (strcmp(mode, "latency") == 0 && argc < 7) || (is_fetch && (argc < 7 || !strstr(argv[3], "%d")))) {
        fprintf(stderr,
                "usage: load hits|latency|fetch|sample|stampede|idle PORT PATH CONNECTIONS [NUMBERS]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (char)('a' + i % PERIOD);
    }
    for (const char *port = argv[2]; port && server_count < 2; port = strchr(port, ',')) {
        port += *port == ',';
        servers[server_count++] =
            (struct sockaddr_in){.sin_family = AF_INET,
                                 .sin_port = htons((unsigned short)strtoul(port, NULL, 10)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    }
    events = epoll_create1(EPOLL_CLOEXEC);
    unsigned connections = (unsigned)strtoul(argv[4], NULL, 10);
    unsigned long first = argc > 6 ? strtoul(argv[5], NULL, 10) : 0;
    unsigned long count = argc > 6 ? strtoul(argv[6], NULL, 10) : 0;
    if (strcmp(mode, "hits") == 0) {
        hits(argv[3], connections, strtod(argv[5], NULL), count, argc > 7 ? strtod(argv[7], NULL) : 0);
    } else if (strcmp(mode, "latency") == 0) {
        latency(argv[3], connections, strtod(argv[5], NULL), strtod(argv[6], NULL));
    } else if (is_fetch) {
        const bool all = strcmp(mode, "fetch") == 0;
        fetch(argv[3], connections, all ? first : 0, count, all ? 1 : first / count);
    } else if (strcmp(mode, "stampede") == 0) {
        stampede(argv[3], connections);
    } else {
        idle(argv[3], connections);
    }
    return 0;
}
