/* exchange: the least a client and a server can say: "give me n bytes" in 8 bytes, and n bytes. */
#ifndef CDN_TESTS_TRUTH_EXCHANGE_H
#define CDN_TESTS_TRUTH_EXCHANGE_H
#include <stdbool.h>
#include <stdint.h>

/* Answers one connection after another for ever; `after` is told of each answer sent. */
void exchange_serve(int listener, void (*after)(int connection, void *arg), void *arg);
bool exchange_fetch(int connection, uint64_t n, int64_t *ret_first_ns); /* when the first byte came */

#endif
