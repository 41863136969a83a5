/* The packets wait in a ring for each direction: all have the same delay, so they leave in the order in which
 * they came. */
#include "tests/truth/delay_line.h"

#include "common/clock.h"
#include "common/mix.h"

#include <arpa/inet.h>
#include <bits/types/sig_atomic_t.h>
#include <bits/types/struct_sched_param.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/banned.h"

#define SKIPPED 77
#define QUEUE 16384
#define PACKET 1600
#define TURN 32  /* packets taken in before others are handed on */
#define HEADS 52 /* of IP and TCP with a time stamp: the rate is that of what they carry */

struct queue {
    int from, to;
    int64_t delay_ns, bytes_per_s, free_ns;
    double loss;
    uint64_t seed;
    unsigned first, count;
    int64_t due_ns[QUEUE];
    ssize_t length[QUEUE];
    char packet[QUEUE][PACKET];
};

static void put_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, text, strlen(text)) < 0) {
            fprintf(stderr, "%s: %s\n", name, strerror(errno));
        }
        close(fd);
    }
}

static int set_address(const char *device, const char *address)
{
    struct ifreq r = {0};
    struct sockaddr_in in = {.sin_family = AF_INET};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = s < 0;
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
    inet_pton(AF_INET, address, &in.sin_addr);
    memcpy(&r.ifr_addr, &in, sizeof(in));
    rc = rc || ioctl(s, SIOCSIFADDR, &r);
    inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
    memcpy(&r.ifr_netmask, &in, sizeof(in));
    rc = rc || ioctl(s, SIOCSIFNETMASK, &r);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    rc = rc || ioctl(s, SIOCSIFFLAGS, &r);
    r.ifr_qlen = QUEUE; /* a burst must find room: the line is long, not narrow */
    rc = rc || ioctl(s, SIOCSIFTXQLEN, &r);
    if (s >= 0) {
        close(s);
    }
    return rc;
}

/* Into a namespace of its own with a TUN device; gives its descriptor, or -1. */
static int enter(const char *address)
{
    if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
        perror("a network namespace");
        return -1;
    }
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(r.ifr_name, sizeof(r.ifr_name), "wan0");
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) || set_address("wan0", address)) {
        perror("a TUN device");
        return -1;
    }
    /* what a kernel has that nobody tuned; and no connection learns from the last */
    put_file("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456");
    put_file("/proc/sys/net/ipv4/tcp_wmem", "4096 16384 4194304");
    put_file("/proc/sys/net/ipv4/tcp_no_metrics_save", "1");
    return fd;
}

static int send_fd(int socket, int fd)
{
    char byte = 0;
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr head;
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    return sendmsg(socket, &m, 0) == 1 ? 0 : -1;
}

static int take_fd(int socket)
{
    char byte;
    int fd = -1;
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr head;
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&m)) {
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    }
    return fd;
}

/* What others do on this machine must not count: ahead of them, where that is permitted. */
static void be_on_time(void)
{
    prctl(PR_SET_TIMERSLACK, 1);
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
}

/* A child in its namespace; its device comes back in *ret_tun. */
static pid_t start(const char *address, int (*run)(void *), void *arg, int *ret_tun)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int tun = enter(address);
        be_on_time();
        _exit(tun < 0 || send_fd(pair[1], tun) ? SKIPPED : run(arg));
    }
    close(pair[1]);
    *ret_tun = take_fd(pair[0]);
    close(pair[0]);
    return pid;
}

static void take_in(struct queue *q)
{
    for (int i = 0; i < TURN && q->count < QUEUE; i++) {
        unsigned at = (q->first + q->count) % QUEUE;
        q->length[at] = read(q->from, q->packet[at], PACKET);
        if (q->length[at] <= 0) {
            return;
        }
        int64_t now = cdn_clock_mono_ns();
        if (q->bytes_per_s) {
            int64_t bytes = q->length[at] > HEADS ? q->length[at] - HEADS : 0;
            q->free_ns = (q->free_ns > now ? q->free_ns : now) + bytes * 1000000000 / q->bytes_per_s;
            now = q->free_ns;
        }
        if (q->loss > 0 && q->length[at] > HEADS && cdn_mix_unit(cdn_mix_next(&q->seed)) < q->loss) {
            continue;
        }
        q->due_ns[at] = now + q->delay_ns;
        q->count++;
    }
}

static void hand_on(struct queue *q)
{
    while (q->count && q->due_ns[q->first] <= cdn_clock_mono_ns()) {
        if (write(q->to, q->packet[q->first], (size_t)q->length[q->first]) < 0 && errno == EAGAIN) {
            return;
        }
        q->first = (q->first + 1) % QUEUE;
        q->count--;
    }
}

static volatile sig_atomic_t child_ended;

static void on_child(int number)
{
    (void)number;
    child_ended = 1;
}

static void carry(struct queue *a, struct queue *b)
{
    struct pollfd fds[] = {{.fd = a->from, .events = POLLIN}, {.fd = b->from, .events = POLLIN}};
    while (!child_ended) {
        int64_t next = cdn_clock_mono_ns() + 1000000000;
        next = a->count && a->due_ns[a->first] < next ? a->due_ns[a->first] : next;
        next = b->count && b->due_ns[b->first] < next ? b->due_ns[b->first] : next;
        int64_t wait = next - cdn_clock_mono_ns();
        struct timespec t = {.tv_sec = wait > 0 ? wait / 1000000000 : 0,
                             .tv_nsec = wait > 0 ? wait % 1000000000 : 0};
        ppoll(fds, 2, &t, NULL);
        hand_on(a);
        hand_on(b);
        take_in(a);
        take_in(b);
    }
}

int line_run(const struct line *line, int (*server)(void *), int (*client)(void *), void *arg)
{
    static struct queue there, back;
    int server_tun = -1, client_tun = -1, status = SKIPPED << 8;
    pid_t server_pid = start(LINE_SERVER, server, arg, &server_tun);
    child_ended = 0;
    signal(SIGCHLD, on_child);
    pid_t client_pid = server_tun >= 0 ? start(LINE_CLIENT, client, arg, &client_tun) : -1;
    if (client_tun >= 0) {
        be_on_time();
        fcntl(server_tun, F_SETFL, O_NONBLOCK);
        fcntl(client_tun, F_SETFL, O_NONBLOCK);
        there.from = back.to = client_tun;
        there.to = back.from = server_tun;
        there.delay_ns = line->there_ns;
        back.delay_ns = line->back_ns;
        back.bytes_per_s = line->bytes_per_s;
        back.loss = line->loss;
        back.seed = line->seed;
        carry(&there, &back);
    }
    signal(SIGCHLD, SIG_DFL);
    if (server_pid > 0) {
        kill(server_pid, SIGKILL);
    }
    if (client_pid > 0) {
        waitpid(client_pid, &status, 0);
    }
    if (server_pid > 0) {
        waitpid(server_pid, NULL, 0);
    }
    close(server_tun);
    close(client_tun);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
