/* dns_query: one message to what it asks. libknot parses; what stands here is what it leaves to its callers:
 * which of the messages that it can read are not fit to be answered, and with which error.
 */
#ifndef CDN_ROUTER_DNS_QUERY_H
#define CDN_ROUTER_DNS_QUERY_H
#include "common/parse.h"

#include <libknot/libknot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_query {
    knot_pkt_t *packet;       /* parsed; in the arena */
    uint16_t rcode;           /* what is wrong already; KNOT_RCODE_NOERROR: nothing */
    bool has_question;        /* name, type and rclass are set */
    const knot_dname_t *name; /* lower case */
    uint16_t type, rclass;
    bool edns;
    bool dnssec_ok;
    bool wants_keepalive, wants_nsid;
    uint16_t udp_size;          /* that the client takes; 512 without EDNS */
    const uint8_t *subnet_wire; /* the client subnet as it came, subnet_n bytes; NULL: there is none */
    uint16_t subnet_n;
    knot_edns_client_subnet_t subnet;
    knot_edns_cookie_t client_cookie, server_cookie; /* len 0: none */
};

/* Memory of one message after the other; nothing is freed but all at once. */
struct dns_arena {
    size_t used;
    _Alignas(16) uint8_t bytes[32768];
};
knot_mm_t dns_arena_mm(struct dns_arena *arena); /* also empties it */

/* False: no answer is due (too short, or an answer itself).
 * `message` may be changed and must outlive `ret`. */
bool dns_query_parse(uint8_t *message, size_t n, knot_mm_t *mm, struct dns_query *ret);
/* The opcode of a message that dns_query_parse reads; only 0 is a query. */
unsigned dns_query_opcode(const struct dns_query *query);
/* The address that the client subnet stands for, the bits after its prefix zero. False: there is none, or it
 * says nothing (prefix 0). */
bool dns_query_subnet(const struct dns_query *query, struct cdn_addr *ret);

#endif
