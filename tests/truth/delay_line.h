/* delay_line: two network namespaces whose only way to each other is a pair of TUN devices and this process,
 * which hands every packet on when its time has come. What two programs do over it is the kernel's own TCP.
 *
 * Needs /dev/net/tun and the right to make a network namespace (root, or user namespaces for all).
 */
#ifndef CDN_TESTS_TRUTH_DELAY_LINE_H
#define CDN_TESTS_TRUTH_DELAY_LINE_H
#include <stdint.h>

#define LINE_SERVER "10.77.0.1"
#define LINE_CLIENT "10.77.0.2"

struct line {
    int64_t there_ns, back_ns; /* from client to server, and back */
    int64_t bytes_per_s;       /* back; 0: no limit */
    double loss;               /* back, of packets that carry something */
    uint64_t seed;
};

/* Runs `server` and `client`, each in a child in a namespace of its own, and carries their packets until the
 * client ends. Gives its exit status; 77 with a line on stderr: not permitted here. */
int line_run(const struct line *line, int (*server)(void *), int (*client)(void *), void *arg);

#endif
