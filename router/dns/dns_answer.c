/* dns_answer: records are put until one does not fit: from then on the answer is marked as
 * truncated and only what must be there follows. All memory is the thread's arena, which is emptied
 * with each message. */
#include "router/dns/dns_answer.h"

#include "common/daemon/metrics.h"
#include "common/str.h"
#include "router/decide/decide.h"
#include "router/dns/dns_metrics.h"
#include "router/dns/dns_pick.h"
#include "router/dns/dns_rate.h"
#include "router/dns/dns_why.h"
#include "router/dns/dns_zone.h"

#include <libknot/libknot.h>
#include <string.h>

#include "common/banned.h"

struct answering {
    struct dns_responder *responder;
    const struct dns_zone *zone;
    const struct dns_asker *asker;
    struct dns_query query;
    knot_mm_t mm;
    knot_pkt_t *out;
    struct cdn_addr client; /* that the answer is for */
    bool by_subnet;         /* the client subnet said so */
    bool cookie_is_good;
    unsigned scope;
    bool truncated;
};

/* ---- records ---- */

static void put(struct answering *a, uint16_t hint, const knot_rrset_t *set)
{
    if (!a->truncated && set->rrs.count > 0) {
        a->truncated = knot_pkt_put(a->out, hint, set, 0) != KNOT_EOK;
    }
}

static void put_own(struct answering *a, const knot_rrset_t *set)
{
    put(a, KNOT_COMPR_HINT_QNAME, set);
}

static uint16_t negative(struct answering *a, uint16_t rcode)
{
    knot_pkt_begin(a->out, KNOT_AUTHORITY);
    put(a, KNOT_COMPR_HINT_NONE, &a->zone->soa_negative);
    return rcode;
}

/* RFC 8482 section 4.2: one small record in place of all. */
static uint16_t minimal_any(struct answering *a)
{
    put_own(a, &a->zone->hinfo);
    return KNOT_RCODE_NOERROR;
}

static uint16_t one_set(struct answering *a, const knot_rrset_t *set)
{
    if (set->rrs.count == 0) {
        return negative(a, KNOT_RCODE_NOERROR);
    }
    put_own(a, set);
    return KNOT_RCODE_NOERROR;
}

static int family_of(uint16_t type)
{
    return type == KNOT_RRTYPE_A ? 0 : 1;
}

/* The nearest edges, each as a set of its own, so that the nearest stays first. */
static uint16_t site_addresses(struct answering *a)
{
    int family = family_of(a->query.type);
    struct dns_pick pick;
    dns_pick(a->zone, &a->client, family, a->by_subnet, &pick);
    a->scope = pick.scope;
    for (size_t i = 0; i < pick.count; i++) {
        put_own(a, &a->zone->edges[pick.edges[i]].address[family]);
    }
    if (pick.count > 0) {
        return KNOT_RCODE_NOERROR;
    }
    return pick.no_edge ? KNOT_RCODE_SERVFAIL : negative(a, KNOT_RCODE_NOERROR);
}

static uint16_t name_servers(struct answering *a)
{
    const knot_rrset_t *ns = &a->zone->ns;
    put_own(a, ns);
    knot_pkt_begin(a->out, KNOT_ADDITIONAL);
    for (uint16_t i = 0; i < ns->rrs.count && !a->truncated; i++) {
        const knot_dname_t *name = knot_rdataset_at(&ns->rrs, i)->data;
        const struct dns_node *node = dns_zone_has(a->zone, name) ? dns_zone_find(a->zone, name) : NULL;
        for (size_t family = 0; node && family < 2; family++) {
            knot_rrset_t glue = node->addresses[family];
            glue.owner = node->name;
            if (glue.rrs.count > 0) {
                knot_pkt_put(a->out, KNOT_COMPR_HINT_NONE, &glue, KNOT_PF_NOTRUNC);
            }
        }
    }
    return KNOT_RCODE_NOERROR;
}

static uint16_t why(struct answering *a)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct router_decision decision;
    knot_rrset_t set;
    a->scope = dns_pick_explain(a->zone, &a->client, &decision);
    dns_why(a->zone->table, &a->client, a->by_subnet, a->scope, &decision, &text);
    knot_rrset_init(&set, a->zone->apex, KNOT_RRTYPE_TXT, KNOT_CLASS_IN, 0);
    if (knot_rrset_add_rdata(&set, (const uint8_t *)text.p, (uint16_t)text.n, &a->mm) != KNOT_EOK) {
        return KNOT_RCODE_SERVFAIL;
    }
    put_own(a, &set);
    return KNOT_RCODE_NOERROR;
}

/* ---- from the question to records ---- */

static uint16_t at_apex(struct answering *a)
{
    switch (a->query.type) {
    case KNOT_RRTYPE_A:
    case KNOT_RRTYPE_AAAA:
        return site_addresses(a);
    case KNOT_RRTYPE_SOA:
        return one_set(a, &a->zone->soa);
    case KNOT_RRTYPE_NS:
        return name_servers(a);
    case KNOT_RRTYPE_CAA:
        return one_set(a, &a->zone->caa);
    default:
        return negative(a, KNOT_RCODE_NOERROR);
    }
}

static uint16_t at_node(struct answering *a, const struct dns_node *node)
{
    uint16_t type = a->query.type;
    bool address = type == KNOT_RRTYPE_A || type == KNOT_RRTYPE_AAAA;
    if (type == KNOT_RRTYPE_ANY && node->kind != DNS_KIND_EMPTY) {
        return minimal_any(a);
    }
    if (node->kind == DNS_KIND_APEX) {
        return at_apex(a);
    }
    if (node->kind == DNS_KIND_SITE && address) {
        return site_addresses(a);
    }
    if (node->kind == DNS_KIND_HOST && address) {
        return one_set(a, &node->addresses[family_of(type)]);
    }
    if (node->kind == DNS_KIND_WHY && type == KNOT_RRTYPE_TXT) {
        return why(a);
    }
    return negative(a, KNOT_RCODE_NOERROR);
}

/* Types that are questions or protocol and not records. */
static uint16_t refusal_of(uint16_t type)
{
    switch (type) {
    case KNOT_RRTYPE_AXFR:
    case KNOT_RRTYPE_IXFR:
        return KNOT_RCODE_REFUSED;
    case 253: /* MAILB */
    case 254: /* MAILA */
        return KNOT_RCODE_NOTIMPL;
    case KNOT_RRTYPE_OPT:
    case KNOT_RRTYPE_TKEY:
    case KNOT_RRTYPE_TSIG:
        return KNOT_RCODE_FORMERR;
    default:
        return KNOT_RCODE_NOERROR;
    }
}

static uint16_t fill(struct answering *a)
{
    const struct dns_query *q = &a->query;
    if (q->rcode != KNOT_RCODE_NOERROR || !q->has_question) {
        return q->rcode;
    }
    uint16_t refusal = refusal_of(q->type);
    if (refusal != KNOT_RCODE_NOERROR) {
        return refusal;
    }
    if (q->rclass != KNOT_CLASS_IN || !dns_zone_has(a->zone, q->name)) {
        return KNOT_RCODE_REFUSED;
    }
    knot_wire_set_aa(a->out->wire);
    knot_pkt_begin(a->out, KNOT_ANSWER);
    const struct dns_node *node = dns_zone_find(a->zone, q->name);
    return node ? at_node(a, node) : negative(a, KNOT_RCODE_NXDOMAIN);
}

/* ---- the message around them ---- */

static uint16_t limit_of(const struct answering *a, size_t room)
{
    size_t limit = DNS_MESSAGE_MAX;
    if (!a->asker->tcp) {
        limit = a->query.udp_size < a->zone->limits.udp_size ? a->query.udp_size : a->zone->limits.udp_size;
    }
    return (uint16_t)(limit < room ? limit : room);
}

#define COOKIE_SIZE (KNOT_EDNS_COOKIE_CLNT_SIZE + 16) /* RFC 9018: a server cookie has 16 bytes */

static bool says_nsid(const struct answering *a)
{
    return a->query.wants_nsid && a->zone->limits.nsid_n > 0;
}

static uint16_t opt_size(const struct answering *a)
{
    size_t n = KNOT_EDNS_MIN_SIZE;
    if (a->query.subnet_wire) {
        n += KNOT_EDNS_OPTION_HDRLEN + a->query.subnet_n;
    }
    if (a->query.client_cookie.len) {
        n += KNOT_EDNS_OPTION_HDRLEN + COOKIE_SIZE;
    }
    if (a->query.wants_keepalive) {
        n += KNOT_EDNS_OPTION_HDRLEN + 2;
    }
    if (says_nsid(a)) {
        n += KNOT_EDNS_OPTION_HDRLEN + a->zone->limits.nsid_n;
    }
    return (uint16_t)n;
}

/* Header and question, and nothing else yet: also to begin again.
 * RFC 1035 section 4.1.1, RFC 6895 section 2. */
static void begin(struct answering *a)
{
    knot_pkt_init_response(a->out, a->query.packet);
    uint8_t *wire = a->out->wire;
    wire[2] &= 0x79; /* keeps opcode and RD */
    wire[3] &= 0x10; /* keeps CD */
    knot_wire_set_qr(wire);
    if (a->query.edns) {
        knot_pkt_reserve(a->out, opt_size(a));
    }
}

struct writer {
    uint8_t *p;
};

static void put_u16(struct writer *w, unsigned value)
{
    knot_wire_write_u16(w->p, (uint16_t)value);
    w->p += 2;
}

static void put_bytes(struct writer *w, const void *bytes, size_t n)
{
    memcpy(w->p, bytes, n);
    w->p += n;
}

static void put_option(struct writer *w, unsigned code, unsigned size)
{
    put_u16(w, code);
    put_u16(w, size);
}

static void put_cookie(struct writer *w, const struct answering *a)
{
    knot_edns_cookie_t fresh;
    if (!dns_cookie_make(&a->responder->secret, &a->asker->client, a->asker->now_s, &a->query.client_cookie,
                         &fresh)) {
        return;
    }
    put_option(w, KNOT_EDNS_OPTION_COOKIE, a->query.client_cookie.len + fresh.len);
    put_bytes(w, a->query.client_cookie.data, a->query.client_cookie.len);
    put_bytes(w, fresh.data, fresh.len);
}

static void put_options(struct writer *w, const struct answering *a)
{
    const struct dns_query *q = &a->query;
    if (q->subnet_wire) {
        put_option(w, KNOT_EDNS_OPTION_CLIENT_SUBNET, q->subnet_n);
        put_bytes(w, q->subnet_wire, q->subnet_n);
        w->p[3 - (int)q->subnet_n] = a->by_subnet ? (uint8_t)a->scope : 0;
    }
    if (q->client_cookie.len) {
        put_cookie(w, a);
    }
    if (q->wants_keepalive && a->asker->tcp) {
        put_option(w, KNOT_EDNS_OPTION_TCP_KEEPALIVE, 2);
        put_u16(w, a->responder->keepalive_ds);
    }
    if (says_nsid(a)) {
        put_option(w, KNOT_EDNS_OPTION_NSID, (unsigned)a->zone->limits.nsid_n);
        put_bytes(w, a->zone->limits.nsid, a->zone->limits.nsid_n);
    }
}

/* RFC 6891 section 6.1.2, into the room that begin() reserved. By hand, since libknot would copy each option
 * thrice. DO comes back (RFC 3225 section 3). */
static void add_opt(struct answering *a, uint16_t rcode)
{
    uint8_t *start = a->out->wire + a->out->size;
    struct writer w = {start};
    put_bytes(&w, "", 1); /* the root */
    put_u16(&w, KNOT_RRTYPE_OPT);
    put_u16(&w, a->zone->limits.udp_size);
    put_u16(&w, (unsigned)KNOT_EDNS_RCODE_HI(rcode) << 8 | KNOT_EDNS_VERSION);
    put_u16(&w, a->query.dnssec_ok ? KNOT_EDNS_DO_MASK : 0);
    put_u16(&w, 0);
    put_options(&w, a);
    knot_wire_write_u16(start + KNOT_EDNS_MIN_SIZE - 2, (uint16_t)(w.p - start - KNOT_EDNS_MIN_SIZE));
    a->out->size += (size_t)(w.p - start);
    knot_wire_add_arcount(a->out->wire, 1);
}

static enum dns_rate_verdict rate_of(const struct answering *a, uint16_t rcode)
{
    const struct dns_limits *limits = &a->zone->limits;
    if (a->asker->tcp || a->cookie_is_good || limits->rate == 0 || !a->responder->rate) {
        return DNS_RATE_PASS;
    }
    for (size_t i = 0; i < limits->exempt_count; i++) {
        if (cdn_cidr_has(&limits->exempt[i], &a->asker->client)) {
            return DNS_RATE_PASS;
        }
    }
    unsigned kind = rcode == KNOT_RCODE_NOERROR ? 0 : rcode == KNOT_RCODE_NXDOMAIN ? 1 : 2;
    return dns_rate_check(a->responder->rate, &a->asker->client, kind, limits->rate, limits->slip,
                          a->asker->now_us);
}

static void begin_truncated(struct answering *a)
{
    bool authoritative = knot_wire_get_aa(a->out->wire);
    knot_pkt_clear(a->out);
    begin(a);
    knot_wire_set_tc(a->out->wire);
    if (authoritative) {
        knot_wire_set_aa(a->out->wire);
    }
}

static size_t respond(struct answering *a)
{
    struct dns_metrics *m = a->responder->metrics;
    begin(a);
    router_decide_prefetch(a->zone->table, &a->client, 1);
    uint16_t rcode = fill(a);
    enum dns_rate_verdict verdict = rate_of(a, rcode);
    cdn_metric_add(&m->dns_limited_total, verdict == DNS_RATE_DROP);
    cdn_metric_add(&m->dns_slipped_total, verdict == DNS_RATE_SLIP);
    cdn_metric_add(&m->dns_truncated_total, a->truncated);
    if (verdict == DNS_RATE_DROP) {
        return 0;
    }
    if (a->truncated || verdict == DNS_RATE_SLIP) {
        begin_truncated(a);
    }
    knot_wire_set_rcode(a->out->wire, KNOT_EDNS_RCODE_LO(rcode));
    if (a->query.edns) {
        add_opt(a, rcode);
    }
    dns_metrics_count_rcode(m, rcode);
    return a->out->size;
}

static void count_query(struct answering *a)
{
    struct dns_metrics *m = a->responder->metrics;
    cdn_metric_add(&m->queries[a->asker->tcp ? DNS_TCP : DNS_UDP], 1);
    cdn_metric_add(&m->dns_ecs_total, a->query.subnet_wire != NULL);
    cdn_metric_add(&m->dns_cookie_total, a->query.client_cookie.len > 0);
    cdn_metric_add(&m->dns_cookie_good_total, a->cookie_is_good);
    if (a->query.has_question) {
        dns_metrics_count_type(m, a->query.type);
    }
}

/* A message of another opcode may be laid out differently after its header (RFC 2136, RFC 8490). */
static size_t not_implemented(struct answering *a, uint8_t *out)
{
    memcpy(out, a->query.packet->wire, KNOT_WIRE_HEADER_SIZE);
    memset(out + 4, 0, KNOT_WIRE_HEADER_SIZE - 4);
    out[2] &= 0x79;
    out[3] = KNOT_RCODE_NOTIMPL;
    knot_wire_set_qr(out);
    dns_metrics_count_rcode(a->responder->metrics, KNOT_RCODE_NOTIMPL);
    return KNOT_WIRE_HEADER_SIZE;
}

size_t dns_answer(struct dns_responder *responder, const struct dns_asker *asker, uint8_t *message, size_t n,
                  uint8_t *out, size_t room)
{
    struct answering a = {.responder = responder, .zone = responder->zone, .asker = asker};
    a.mm = dns_arena_mm(&responder->arena);
    if (!dns_query_parse(message, n, &a.mm, &a.query)) {
        cdn_metric_add(&responder->metrics->dns_dropped_total, 1);
        return 0;
    }
    const struct dns_query *q = &a.query;
    a.by_subnet = dns_query_subnet(q, &a.client);
    if (!a.by_subnet) {
        a.client = asker->client;
    }
    router_decide_prefetch(a.zone->table, &a.client, 0);
    a.cookie_is_good =
        q->server_cookie.len && dns_cookie_check(&responder->secret, &asker->client, asker->now_s,
                                                 &q->client_cookie, &q->server_cookie);
    count_query(&a);
    if (dns_query_opcode(q) != KNOT_OPCODE_QUERY) {
        bool silent = rate_of(&a, KNOT_RCODE_NOTIMPL) == DNS_RATE_DROP;
        cdn_metric_add(&responder->metrics->dns_limited_total, silent);
        return silent ? 0 : not_implemented(&a, out);
    }
    a.out = knot_pkt_new(out, limit_of(&a, room), &a.mm);
    return a.out ? respond(&a) : 0;
}
