/* What the kernel's own TCP takes over a path, for each size on a new connection and on a kept one, one line
 * of JSON each. usage: kernel-tcp RTT_MS CONGESTION_CONTROL BYTES_PER_S LOSS REPEAT BYTES... */
#include "common/clock.h"
#include "common/mix.h"
#include "tests/truth/delay_line.h"
#include "tests/truth/exchange.h"
#include "wan/path/path.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define PORT 80

struct job {
    struct line line;
    const char *control;
    uint32_t *resent; /* segments, by the server; shared with it */
    unsigned repeat, sizes;
    uint64_t bytes[16];
};

static int stream(const struct job *job)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, job->control, (socklen_t)strlen(job->control));
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return s;
}

static struct sockaddr_in address(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    inet_pton(AF_INET, LINE_SERVER, &in.sin_addr);
    return in;
}

static void note_resent(int connection, void *arg)
{
    const struct job *job = arg;
    struct tcp_info info = {0};
    getsockopt(connection, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)});
    *job->resent = info.tcpi_total_retrans;
}

static int serve(void *arg)
{
    struct sockaddr_in in = address();
    int s = stream(arg);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(s, (struct sockaddr *)&in, sizeof(in)) || listen(s, 128)) {
        perror("server");
        return EXIT_FAILURE;
    }
    exchange_serve(s, note_resent, arg);
    return EXIT_FAILURE;
}

/* What the model says of the same: both senders of one connection, from request to request. */
struct model {
    struct wan_way up, down;
    int64_t at_ns;
};

static int64_t carry(struct wan_way *way, int64_t at_ns, uint64_t n, int64_t *ret_first_ns)
{
    struct wan_flight flight = {0};
    for (*ret_first_ns = 0; n; n -= flight.bytes) {
        wan_way_send(way, at_ns, WAN_NEVER - 1, n, &flight);
        *ret_first_ns = *ret_first_ns ? *ret_first_ns : flight.first_ns;
    }
    return flight.last_ns;
}

static void model_begin(struct model *m, const struct line *line, uint64_t seed)
{
    struct wan_path up = {.there_ns = line->there_ns, .back_ns = line->back_ns};
    struct wan_path down = {.there_ns = line->back_ns,
                            .back_ns = line->there_ns,
                            .bytes_per_s = line->bytes_per_s,
                            .loss = line->loss};
    wan_way_init(&m->up, &up, NULL, 0);
    wan_way_init(&m->down, &down, NULL, cdn_mix64(seed));
    m->at_ns = 1;
}

static void model_fetch(struct model *m, uint64_t n, bool new_connection, int64_t *ret_first_ns,
                        int64_t *ret_total_ns)
{
    int64_t begin = m->at_ns, first;
    if (new_connection) {
        m->at_ns = wan_way_syn_ns(&m->down, wan_way_syn_ns(&m->up, m->at_ns));
    }
    int64_t asked = carry(&m->up, m->at_ns, sizeof(n), &first);
    m->at_ns = carry(&m->down, asked, n, &first);
    *ret_first_ns = first - begin;
    *ret_total_ns = m->at_ns - begin;
}

/* Until the server is up, and all that happens once has happened. */
static void warm_up(const struct job *job)
{
    struct sockaddr_in in = address();
    int64_t first;
    for (int tries = 0, done = 0; tries < 500 && !done; tries++) {
        int s = stream(job);
        done = connect(s, (struct sockaddr *)&in, sizeof(in)) == 0 && exchange_fetch(s, 1, &first);
        close(s);
        usleep(10000);
    }
}

static int visit(void *arg)
{
    const struct job *job = arg;
    struct sockaddr_in in = address();
    warm_up(job);
    for (unsigned i = 0; i < job->sizes * job->repeat; i++) {
        uint64_t n = job->bytes[i / job->repeat];
        int64_t first, begin = cdn_clock_mono_ns();
        int s = stream(job);
        if (connect(s, (struct sockaddr *)&in, sizeof(in))) {
            perror("connect");
            return EXIT_FAILURE;
        }
        struct model model;
        model_begin(&model, &job->line, i);
        for (int kept = 0; kept < 3; kept++) {
            int64_t model_first, model_total;
            uint32_t resent = *job->resent;
            model_fetch(&model, n, kept == 0, &model_first, &model_total);
            if (!exchange_fetch(s, n, &first)) {
                perror("client");
                return EXIT_FAILURE;
            }
            int64_t end = cdn_clock_mono_ns();
            printf("{\"bytes\": %llu, \"kept\": %d, \"resent\": %s, \"first_ms\": %.3f, \"total_ms\": %.3f, "
                   "\"model_first_ms\": %.3f, \"model_total_ms\": %.3f}\n",
                   (unsigned long long)n, kept, *job->resent != resent ? "true" : "false",
                   (double)(first - begin) / 1e6, (double)(end - begin) / 1e6, (double)model_first / 1e6,
                   (double)model_total / 1e6);
            begin = cdn_clock_mono_ns();
        }
        close(s);
    }
    fflush(stdout);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc < 7 || argc > 6 + 16) {
        fprintf(stderr, "usage: kernel-tcp RTT_MS CONGESTION_CONTROL BYTES_PER_S LOSS REPEAT BYTES...\n");
        return 2;
    }
    int64_t half = (int64_t)(strtod(argv[1], NULL) * 5e5);
    struct job job = {.line = {.there_ns = half,
                               .back_ns = half,
                               .bytes_per_s = strtoll(argv[3], NULL, 10),
                               .loss = strtod(argv[4], NULL),
                               .seed = 1},
                      .control = argv[2],
                      .repeat = (unsigned)strtoul(argv[5], NULL, 10)};
    for (int i = 6; i < argc; i++) {
        job.bytes[job.sizes++] = strtoull(argv[i], NULL, 10);
    }
    job.resent = mmap(NULL, sizeof(*job.resent), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return line_run(&job.line, serve, visit, &job);
}
