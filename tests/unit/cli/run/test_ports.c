/* Whether addresses are free: by what stands on them, in both protocols and families. Ports are the kernel's
 * choice. */
#include "cli/run/ports.h"
#include "common/parse.h"
#include "common/str.h"

#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

/* An address of loopback that no other process of a test has: the ports there are ours alone. */
static struct cdn_addr own(void)
{
    struct cdn_addr a;
    char text[32];
    const unsigned pid = (unsigned)getpid();
    snprintf(text, sizeof(text), "127.%u.%u.%u:0", 64 + (pid >> 16) % 64, (pid >> 8) & 255, pid & 255);
    ck_assert(cdn_parse_host_port(cdn_str(text), &a));
    return a;
}

/* "own", or what it says. */
static struct cdn_addr address_of(const char *text, unsigned port)
{
    struct cdn_addr a = own();
    ck_assert(strcmp(text, "own") == 0 || cdn_parse_host_port(cdn_str(text), &a));
    cdn_addr_set_port(&a, port);
    return a;
}

/* Binds the address, whose port may be 0: *address has it then. */
static int take(struct cdn_addr *address, int type)
{
    int fd = socket(address->sa.sa_family, type | SOCK_CLOEXEC, 0);
    socklen_t n = sizeof(*address);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, &address->sa, cdn_addr_len(address)), 0);
    ck_assert_int_eq(getsockname(fd, &address->sa, &n), 0);
    ck_assert(type != SOCK_STREAM || listen(fd, 5) == 0);
    return fd;
}

static const struct {
    const char *taken, *asked; /* the same port on this host */
    bool free;
} tcp[] = {
    {"own", "own", false},
    {"0.0.0.0:0", "own", false},
    {"own", "0.0.0.0:0", false},
    {"own", "192.0.2.1:0", true}, /* no address of this machine: the daemon says so */
};

START_TEST(addresses_that_are_taken)
{
    struct cdn_addr taken = address_of(tcp[_i].taken, 0);
    int fd = take(&taken, SOCK_STREAM);
    const struct cdn_addr asked = address_of(tcp[_i].asked, cdn_addr_port(&taken));
    const bool alone = strcmp(tcp[_i].asked, "own") == 0;
    ck_assert_msg(ports_free(&asked) == tcp[_i].free, "%s beside %s", tcp[_i].asked, tcp[_i].taken);
    ck_assert(!alone || ports_free_udp(&asked)); /* another protocol */
    close(fd);
    ck_assert(!alone || ports_free(&asked));
}
END_TEST

START_TEST(datagrams_are_by_themselves)
{
    struct cdn_addr taken = own();
    int fd = take(&taken, SOCK_DGRAM);
    ck_assert(!ports_free_udp(&taken));
    ck_assert(ports_free(&taken));
    close(fd);
    ck_assert(ports_free_udp(&taken));
}
END_TEST

START_TEST(neighbours_are_free)
{
    struct cdn_addr a = own(), b = own();
    b.v4.sin_addr.s_addr ^= htonl(1u << 23); /* 127.192.0.0/10: nobody else's either */
    int fd = take(&a, SOCK_STREAM);
    cdn_addr_set_port(&b, cdn_addr_port(&a));
    ck_assert(!ports_free(&a) && ports_free(&b));
    close(fd);
}
END_TEST

START_TEST(a_look_is_no_claim)
{
    struct cdn_addr a = own();
    close(take(&a, SOCK_STREAM));
    ck_assert(ports_free(&a) && ports_free(&a) && ports_free_udp(&a) && ports_free_udp(&a));
    int fd = take(&a, SOCK_STREAM);
    ck_assert(!ports_free(&a) && !ports_free(&a));
    close(fd);
}
END_TEST

START_TEST(port_0_is_free)
{
    const struct cdn_addr a = own();
    ck_assert(ports_free(&a) && ports_free_udp(&a));
}
END_TEST

/* A connection that ended a moment ago keeps the port of a CDN that has gone; the next one may have it. */
START_TEST(ended_connections_are_not_in_the_way)
{
    struct cdn_addr a = own();
    char byte;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    socklen_t n = sizeof(a);
    ck_assert_int_eq(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    ck_assert_int_eq(bind(listener, &a.sa, cdn_addr_len(&a)), 0);
    ck_assert_int_eq(getsockname(listener, &a.sa, &n), 0);
    ck_assert_int_eq(listen(listener, 5), 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(client, &a.sa, cdn_addr_len(&a)), 0);
    int peer = accept(listener, NULL, NULL);
    ck_assert(!ports_free(&a));
    close(peer); /* this side first: it is the one that waits */
    ck_assert_int_eq(read(client, &byte, 1), 0);
    close(client);
    close(listener);
    ck_assert(ports_free(&a));
}
END_TEST

START_TEST(claims)
{
    struct cdn_addr a = address_of("127.0.0.1:0", 0), b = a;
    const int taken[] = {take(&a, SOCK_STREAM), take(&b, SOCK_STREAM)}; /* so nobody else claims these */
    int first = ports_claim(cdn_addr_port(&a));
    ck_assert_int_ge(first, 0);
    ck_assert_int_lt(ports_claim(cdn_addr_port(&a)), 0);
    int other = ports_claim(cdn_addr_port(&b));
    ck_assert_int_ge(other, 0);
    close(first);
    first = ports_claim(cdn_addr_port(&a));
    ck_assert_int_ge(first, 0);
    ck_assert_int_lt(ports_claim(cdn_addr_port(&b)), 0);
    close(first);
    close(other);
    close(taken[0]);
    close(taken[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ports");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, addresses_that_are_taken, 0, (int)(sizeof(tcp) / sizeof(tcp[0])));
    tcase_add_test(all, datagrams_are_by_themselves);
    tcase_add_test(all, neighbours_are_free);
    tcase_add_test(all, a_look_is_no_claim);
    tcase_add_test(all, port_0_is_free);
    tcase_add_test(all, ended_connections_are_not_in_the_way);
    tcase_add_test(all, claims);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
