/* dns_query: each check has its answer in the RFC that asks for it, so the outcome is a response
 * code and not yes or no. libknot allocates for options; its memory is an arena of fixed size, and
 * a message that needs more is malformed. */
#include "router/dns/dns_query.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

/* A query needs no record but OPT, TSIG or SIG(0) after its question; an IXFR has a SOA too. The limit keeps
 * the parser from work that no answer needs. */
#define AUTHORITY_MAX 1
#define ADDITIONAL_MAX 2

static void *arena_alloc(void *self, size_t n)
{
    struct dns_arena *arena = self;
    size_t rounded = (n + 15) & ~(size_t)15;
    if (n > sizeof(arena->bytes) || rounded > sizeof(arena->bytes) - arena->used) {
        return NULL;
    }
    void *p = arena->bytes + arena->used;
    arena->used += rounded;
    return p;
}

static void arena_free(void *p)
{
    (void)p;
}

knot_mm_t dns_arena_mm(struct dns_arena *arena)
{
    arena->used = 0;
    return (knot_mm_t){arena, arena_alloc, arena_free};
}

unsigned dns_query_opcode(const struct dns_query *query)
{
    return knot_wire_get_opcode(query->packet->wire);
}

struct option {
    const uint8_t *data; /* NULL: it is not there */
    uint16_t n;
};

struct options {
    struct option subnet, cookie, keepalive, nsid;
    bool twice; /* two of one kind are one too many */
};

/* libknot has refused an OPT whose lengths do not add up. */
static void options_find(const knot_rrset_t *opt, struct options *ret)
{
    const uint8_t *p = opt->rrs.rdata->data, *end = p + opt->rrs.rdata->len;
    *ret = (struct options){0};
    while (end - p >= KNOT_EDNS_OPTION_HDRLEN) {
        uint16_t code = knot_edns_opt_get_code(p), n = knot_edns_opt_get_length(p);
        struct option *known = code == KNOT_EDNS_OPTION_CLIENT_SUBNET   ? &ret->subnet
                               : code == KNOT_EDNS_OPTION_COOKIE        ? &ret->cookie
                               : code == KNOT_EDNS_OPTION_TCP_KEEPALIVE ? &ret->keepalive
                               : code == KNOT_EDNS_OPTION_NSID          ? &ret->nsid
                                                                        : NULL;
        p += KNOT_EDNS_OPTION_HDRLEN;
        assert(n <= end - p);
        if (known) {
            ret->twice |= known->data != NULL;
            *known = (struct option){p, n};
        }
        p += n;
    }
}

/* RFC 7871 section 6 refuses too few or too many octets, bits after the prefix, and a scope in a query.
 * Family 0 with an empty address is how `dig +subnet=0` says that the client's network shall not count. */
static bool subnet_is_sound(const knot_edns_client_subnet_t *s, const uint8_t *address, size_t octets)
{
    unsigned most = s->family == 1 ? 32 : s->family == 2 ? 128 : 0;
    if (s->family > 2 || s->source_len > most || s->scope_len != 0 || octets != (s->source_len + 7u) / 8) {
        return false;
    }
    unsigned spare = (unsigned)octets * 8 - s->source_len;
    return octets == 0 || (address[octets - 1] & ((1u << spare) - 1)) == 0; /* libknot cleared them in `s` */
}

static bool subnet_read(struct dns_query *q, const struct option *option)
{
    const uint8_t *data = option->data;
    uint16_t n = option->n;
    knot_edns_client_subnet_t s = {0};
    if (!data) {
        return true;
    }
    bool nameless = n == 4 && knot_wire_read_u32(data) == 0; /* family 0, which libknot does not know */
    if (!nameless && knot_edns_client_subnet_parse(&s, data, n) != KNOT_EOK) {
        return false;
    }
    if (!subnet_is_sound(&s, data + 4, n - 4u)) {
        return false;
    }
    q->subnet_wire = data;
    q->subnet_n = n;
    q->subnet = s;
    return true;
}

static bool cookie_read(struct dns_query *q, const struct option *option)
{
    return !option->data ||
           knot_edns_cookie_parse(&q->client_cookie, &q->server_cookie, option->data, option->n) == KNOT_EOK;
}

static uint16_t edns_read(struct dns_query *q)
{
    const knot_rrset_t *opt = q->packet->opt_rr;
    struct options options;
    q->edns = true;
    q->dnssec_ok = knot_edns_do(opt);
    q->udp_size = knot_edns_get_payload(opt);
    if (q->udp_size < KNOT_WIRE_MIN_PKTSIZE) {
        q->udp_size = KNOT_WIRE_MIN_PKTSIZE;
    }
    if (opt->owner[0] != 0) {
        return KNOT_RCODE_FORMERR; /* RFC 6891 section 6.1.2: its owner is the root */
    }
    if (knot_edns_get_version(opt) > KNOT_EDNS_VERSION) {
        return KNOT_RCODE_BADVERS; /* what else the options say is another version's */
    }
    options_find(opt, &options);
    if (options.twice || !cookie_read(q, &options.cookie) || !subnet_read(q, &options.subnet)) {
        return KNOT_RCODE_FORMERR;
    }
    q->wants_nsid = options.nsid.data != NULL; /* its payload is ignored, RFC 5001 section 2.2 */
    q->wants_keepalive = options.keepalive.data && options.keepalive.n == 0;
    return KNOT_RCODE_NOERROR;
}

static bool counts_are_sound(const uint8_t *wire)
{
    return knot_wire_get_qdcount(wire) <= 1 && knot_wire_get_ancount(wire) == 0 &&
           knot_wire_get_nscount(wire) <= AUTHORITY_MAX && knot_wire_get_arcount(wire) <= ADDITIONAL_MAX;
}

static uint16_t sections_read(struct dns_query *q)
{
    if (!counts_are_sound(q->packet->wire)) {
        return KNOT_RCODE_FORMERR;
    }
    int parsed = knot_pkt_parse(q->packet, 0);
    if (q->packet->parsed >= KNOT_WIRE_HEADER_SIZE && knot_pkt_qname(q->packet)) {
        q->has_question = true;
        q->name = knot_pkt_qname(q->packet);
        q->type = knot_pkt_qtype(q->packet);
        q->rclass = knot_pkt_qclass(q->packet);
    }
    uint16_t rcode = parsed == KNOT_EOK ? KNOT_RCODE_NOERROR : KNOT_RCODE_FORMERR;
    if (q->packet->opt_rr && parsed == KNOT_EOK) {
        rcode = edns_read(q);
    }
    /* without a question one can only ask for a cookie (RFC 7873 section 5.4) */
    if (rcode == KNOT_RCODE_NOERROR && !q->has_question && q->client_cookie.len == 0) {
        rcode = KNOT_RCODE_FORMERR;
    }
    return rcode;
}

bool dns_query_parse(uint8_t *message, size_t n, knot_mm_t *mm, struct dns_query *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->udp_size = KNOT_WIRE_MIN_PKTSIZE;
    if (n < KNOT_WIRE_HEADER_SIZE || n > UINT16_MAX || knot_wire_get_qr(message)) {
        return false;
    }
    ret->packet = knot_pkt_new(message, (uint16_t)n, mm);
    if (!ret->packet) {
        return false;
    }
    ret->rcode = knot_wire_get_opcode(message) == KNOT_OPCODE_QUERY ? sections_read(ret) : KNOT_RCODE_NOTIMPL;
    return true;
}

bool dns_query_subnet(const struct dns_query *query, struct cdn_addr *ret)
{
    const knot_edns_client_subnet_t *s = &query->subnet;
    if (!query->subnet_wire || s->source_len == 0) {
        return false;
    }
    *ret = (struct cdn_addr){0};
    if (s->family == 1) {
        ret->v4.sin_family = AF_INET;
        memcpy(&ret->v4.sin_addr, s->address, 4);
    } else {
        ret->v6.sin6_family = AF_INET6;
        memcpy(&ret->v6.sin6_addr, s->address, 16);
    }
    return true;
}
