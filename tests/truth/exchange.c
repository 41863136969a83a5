/* Blocking, one connection at a time: what is timed is the network between the two, so both are as simple as
 * can be. */
#include "tests/truth/exchange.h"

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

static bool send_all(int s, uint64_t n)
{
    static const char zeros[1 << 18];
    while (n) {
        ssize_t sent = send(s, zeros, n < sizeof(zeros) ? n : sizeof(zeros), MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        n -= (uint64_t)sent;
    }
    return true;
}

void exchange_serve(int listener, void (*after)(int connection, void *arg), void *arg)
{
    for (int c; (c = accept(listener, NULL, NULL)) >= 0; close(c)) {
        uint64_t n;
        while (recv(c, &n, sizeof(n), MSG_WAITALL) == (ssize_t)sizeof(n) && send_all(c, n)) {
            after(c, arg);
        }
        after(c, arg);
    }
}

bool exchange_fetch(int connection, uint64_t n, int64_t *ret_first_ns)
{
    static char room[1 << 18];
    *ret_first_ns = 0;
    if (send(connection, &n, sizeof(n), MSG_NOSIGNAL) != (ssize_t)sizeof(n)) {
        return false;
    }
    while (n) {
        ssize_t got = recv(connection, room, sizeof(room), 0);
        if (got <= 0) {
            return false;
        }
        *ret_first_ns = *ret_first_ns ? *ret_first_ns : cdn_clock_mono_ns();
        n -= (uint64_t)got;
    }
    return true;
}
