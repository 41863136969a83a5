/* How punctual and how fast the network's relay is. Both ends are here, so that one clock times them.
 *
 *   wan-load moments SERVER_PORT RELAY_PORT RTT_MS CONNECTIONS SECONDS
 *     Messages of 1,000 bytes that carry the time of their sending, ten a second on each connection at drawn
 *     moments; how much later than half a round trip the last byte of each is read, in microseconds.
 *   wan-load bulk SERVER_PORT RELAY_PORT SECONDS
 *     One connection as fast as it goes: bytes a second.
 *   wan-load fetch SERVER_PORT RELAY_PORT BYTES...
 *     Each size on a new connection and twice more on the same, a line for each, as kernel-tcp prints it.
 *
 * The relay leads from RELAY_PORT to SERVER_PORT. Prints JSON.
 */
#include "common/clock.h"
#include "common/mem.h"
#include "common/mix.h"
#include "tests/truth/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define MESSAGE 1000
#define A_SECOND 10 /* messages of one connection */
#define NS_PER_S INT64_C(1000000000)
#define CONNECTIONS_MAX 20000

struct load {
    int listener;
    unsigned relay_port, connections;
    int64_t half_ns, seconds;
    int servers[CONNECTIONS_MAX], clients[CONNECTIONS_MAX];
    unsigned filled[CONNECTIONS_MAX]; /* bytes of the message that a client is reading */
    int64_t stamp[CONNECTIONS_MAX];
    int64_t *late_ns;
    size_t read;
    _Atomic size_t sent;
    int64_t end_ns;
};

static void fail(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_at(unsigned port)
{
    struct sockaddr_in in = loopback(port);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(s, (struct sockaddr *)&in, sizeof(in)) || listen(s, 4096)) {
        fail("listen");
    }
    return s;
}

static int enter(unsigned port)
{
    struct sockaddr_in in = loopback(port);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&in, sizeof(in))) {
        fail("connect");
    }
    return s;
}

static int leave(int listener)
{
    int s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (s < 0) {
        fail("accept");
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return s;
}

static void sleep_until(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

/* Connections take turns in a drawn order of steps, so that the moments are spread over the whole second. */
static void *write_messages(void *arg)
{
    struct load *load = arg;
    char message[MESSAGE] = {0};
    uint64_t seed = 1;
    int64_t step = NS_PER_S / A_SECOND / load->connections, at = cdn_clock_mono_ns();
    prctl(PR_SET_TIMERSLACK, 1);
    while (at < load->end_ns) {
        at += (int64_t)(cdn_mix_next(&seed) % (uint64_t)(2 * step));
        sleep_until(at);
        int64_t now = cdn_clock_mono_ns();
        memcpy(message, &now, sizeof(now));
        if (send(load->servers[cdn_mix_next(&seed) % load->connections], message, MESSAGE, MSG_NOSIGNAL) !=
            MESSAGE) {
            fail("send");
        }
        load->sent++;
    }
    return NULL;
}

static void read_messages_of(struct load *load, size_t i, size_t most)
{
    char room[MESSAGE];
    for (;;) {
        unsigned at = load->filled[i];
        ssize_t n = recv(load->clients[i], room, MESSAGE - at, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            fail("recv");
        }
        if (at < sizeof(int64_t)) {
            size_t part = (size_t)n < sizeof(int64_t) - at ? (size_t)n : sizeof(int64_t) - at;
            memcpy((char *)&load->stamp[i] + at, room, part);
        }
        load->filled[i] = (at + (unsigned)n) % MESSAGE;
        if (!load->filled[i] && load->read < most) {
            load->late_ns[load->read++] = cdn_clock_mono_ns() - load->stamp[i] - load->half_ns;
        }
    }
}

static void read_messages(struct load *load, size_t most)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < load->connections; i++) {
        epoll_ctl(epoll, EPOLL_CTL_ADD, load->clients[i],
                  &(struct epoll_event){.events = EPOLLIN, .data.u64 = i});
    }
    for (int64_t over_ns = 0; over_ns < 20 * NS_PER_S; over_ns = cdn_clock_mono_ns() - load->end_ns) {
        if (over_ns > NS_PER_S / 5 && load->read >= load->sent) {
            break;
        }
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            read_messages_of(load, events[i].data.u64, most);
        }
    }
    close(epoll);
}

static const struct load *stuck_load;

/* A test that hangs says nothing: this says how far it came. */
static void stuck(int number)
{
    (void)number;
    static const char *const text[] = {"stuck: not connected\n", "stuck: nothing read\n",
                                       "stuck: not all is read\n"};
    const char *said = text[!stuck_load->servers[0] ? 0 : !stuck_load->read ? 1 : 2];
    (void)!write(STDERR_FILENO, said, strlen(said));
    _exit(EXIT_FAILURE);
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t percentile_us(const struct load *load, double share)
{
    size_t i = (size_t)((double)(load->read - 1) * share);
    return load->late_ns[i] / 1000;
}

static int moments(struct load *load)
{
    size_t most = (size_t)(load->connections * A_SECOND * (load->seconds + 1) * 2);
    load->late_ns = cdn_malloc(most * sizeof(*load->late_ns));
    for (unsigned i = 0; i < load->connections; i++) {
        load->clients[i] = enter(load->relay_port);
    }
    for (unsigned i = 0; i < load->connections; i++) {
        load->servers[i] = leave(load->listener);
    }
    pthread_t writer;
    sleep_until(cdn_clock_mono_ns() + 4 * load->half_ns + NS_PER_S / 5); /* until the handshakes are over */
    load->end_ns = cdn_clock_mono_ns() + load->seconds * NS_PER_S;
    pthread_create(&writer, NULL, write_messages, load);
    read_messages(load, most);
    pthread_join(writer, NULL);
    if (!load->read) {
        fprintf(stderr, "nothing arrived\n");
        return EXIT_FAILURE;
    }
    qsort(load->late_ns, load->read, sizeof(*load->late_ns), compare_ns);
    printf("{\"connections\": %u, \"sent\": %zu, \"arrived\": %zu, \"min_us\": %" PRId64
           ", \"p50_us\": %" PRId64 ", \"p90_us\": %" PRId64 ", \"p99_us\": %" PRId64
           ", \"p999_us\": %" PRId64 ", \"max_us\": %" PRId64 "}\n",
           load->connections, load->sent, load->read, percentile_us(load, 0), percentile_us(load, 0.5),
           percentile_us(load, 0.9), percentile_us(load, 0.99), percentile_us(load, 0.999),
           percentile_us(load, 1));
    free(load->late_ns);
    return EXIT_SUCCESS;
}

static void *write_all(void *arg)
{
    struct load *load = arg;
    static char room[1 << 18];
    while (cdn_clock_mono_ns() < load->end_ns) {
        if (send(load->servers[0], room, sizeof(room), MSG_NOSIGNAL) <= 0) {
            fail("send");
        }
        load->sent += sizeof(room);
    }
    shutdown(load->servers[0], SHUT_WR);
    return NULL;
}

static int bulk(struct load *load)
{
    static char room[1 << 18];
    pthread_t writer;
    load->clients[0] = enter(load->relay_port);
    load->servers[0] = leave(load->listener);
    int64_t begin = cdn_clock_mono_ns();
    load->end_ns = begin + load->seconds * NS_PER_S;
    pthread_create(&writer, NULL, write_all, load);
    for (ssize_t n; (n = recv(load->clients[0], room, sizeof(room), 0)) > 0; load->read += (size_t)n) {
    }
    pthread_join(writer, NULL);
    double took = (double)(cdn_clock_mono_ns() - begin) / (double)NS_PER_S;
    printf("{\"bytes\": %zu, \"bytes_per_s\": %.0f}\n", load->read, (double)load->read / took);
    return load->read == load->sent ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void ignore(int connection, void *arg)
{
    (void)connection;
    (void)arg;
}

static void *serve(void *arg)
{
    exchange_serve(((struct load *)arg)->listener, ignore, NULL);
    return NULL;
}

static int fetch(struct load *load, char **sizes, int n)
{
    pthread_t server;
    pthread_create(&server, NULL, serve, load);
    for (int i = 0; i < n; i++) {
        int64_t first, begin = cdn_clock_mono_ns();
        uint64_t bytes = strtoull(sizes[i], NULL, 10);
        int s = enter(load->relay_port);
        for (int kept = 0; kept < 3; kept++) {
            if (!exchange_fetch(s, bytes, &first)) {
                fail("fetch");
            }
            int64_t end = cdn_clock_mono_ns();
            printf("{\"bytes\": %" PRIu64 ", \"kept\": %d, \"first_ms\": %.3f, \"total_ms\": %.3f}\n", bytes,
                   kept, (double)(first - begin) / 1e6, (double)(end - begin) / 1e6);
            begin = cdn_clock_mono_ns();
        }
        close(s);
    }
    fflush(stdout);
    _exit(EXIT_SUCCESS); /* the server waits for more */
}

int main(int argc, char **argv)
{
    static struct load load;
    bool is_bulk = argc == 5 && strcmp(argv[1], "bulk") == 0;
    bool is_fetch = argc >= 5 && strcmp(argv[1], "fetch") == 0;
    if (!is_bulk && !is_fetch && (argc != 7 || strcmp(argv[1], "moments") != 0)) {
        fprintf(stderr, "usage: wan-load moments SERVER_PORT RELAY_PORT RTT_MS CONNECTIONS SECONDS\n"
                        "       wan-load bulk SERVER_PORT RELAY_PORT SECONDS\n"
                        "       wan-load fetch SERVER_PORT RELAY_PORT BYTES...\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    load.listener = listen_at((unsigned)strtoul(argv[2], NULL, 10));
    load.relay_port = (unsigned)strtoul(argv[3], NULL, 10);
    if (is_fetch) {
        return fetch(&load, argv + 4, argc - 4);
    }
    load.seconds = strtoll(argv[argc - 1], NULL, 10);
    stuck_load = &load;
    signal(SIGALRM, stuck);
    alarm((unsigned)load.seconds + 60);
    load.half_ns = is_bulk ? 0 : (int64_t)(strtod(argv[4], NULL) * 5e5);
    load.connections = is_bulk ? 1 : (unsigned)strtoul(argv[5], NULL, 10);
    if (load.connections < 1 || load.connections > CONNECTIONS_MAX) {
        fprintf(stderr, "connections: 1 to %d\n", CONNECTIONS_MAX);
        return 2;
    }
    return is_bulk ? bulk(&load) : moments(&load);
}
