/* canned_loop: what the bare libmicrohttpd programs of the benchmarks share: our own loop around MHD_run(),
 * as in the edge and the router. */
#ifndef CDN_BENCH_CANNED_LOOP_H
#define CDN_BENCH_CANNED_LOOP_H
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static inline struct sockaddr_in canned_address(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Never ends but by a mistake or a signal; the exit code. `daemon` NULL: it could not start. */
static inline int canned_serve(struct MHD_Daemon *daemon, const char *port)
{
    if (!daemon) {
        fprintf(stderr, "canned: cannot listen on port %s\n", port);
        return 3;
    }
    struct pollfd events = {.fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->listen_fd,
                            .events = POLLIN};
    for (;;) {
        MHD_UNSIGNED_LONG_LONG ms;
        int wait = MHD_get_timeout(daemon, &ms) == MHD_YES ? (ms < 1000 ? (int)ms : 1000) : 1000;
        if (poll(&events, 1, wait) < 0 && errno != EINTR) {
            return 3;
        }
        MHD_run(daemon);
    }
}

#endif
