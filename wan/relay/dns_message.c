/* dns_message: an answer counts only if id and question are those that were asked (RFC 5452 section 3), since
 * any program of this machine can send to the port. The whole address is given as the client's subnet: the
 * network of a place may be smaller than the usual /24, and nobody's privacy is at stake. */
#include "wan/relay/dns_message.h"

#include <libknot/libknot.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define UDP_SIZE 1232

static bool put_subnet(knot_rrset_t *opt, const struct cdn_addr *client)
{
    struct sockaddr_storage address = {0};
    knot_edns_client_subnet_t subnet;
    uint8_t *data = NULL;
    memcpy(&address, client, sizeof(*client));
    if (knot_edns_client_subnet_set_addr(&subnet, &address) != KNOT_EOK) {
        return false;
    }
    uint16_t n = knot_edns_client_subnet_size(&subnet);
    return knot_edns_reserve_option(opt, KNOT_EDNS_OPTION_CLIENT_SUBNET, n, &data, NULL) == KNOT_EOK &&
           knot_edns_client_subnet_write(data, n, &subnet) == KNOT_EOK;
}

static bool put_options(knot_pkt_t *packet, const struct cdn_addr *client)
{
    knot_rrset_t opt;
    if (knot_edns_init(&opt, UDP_SIZE, 0, KNOT_EDNS_VERSION, NULL) != KNOT_EOK) {
        return false;
    }
    if ((client->sa.sa_family != AF_UNSPEC && !put_subnet(&opt, client)) ||
        knot_pkt_begin(packet, KNOT_ADDITIONAL) != KNOT_EOK ||
        knot_pkt_put(packet, KNOT_COMPR_HINT_NONE, &opt, KNOT_PF_FREE) != KNOT_EOK) {
        knot_rrset_clear(&opt, NULL);
        return false;
    }
    return true;
}

size_t wan_dns_query(uint16_t id, const char *name, enum wan_dns_type type, const struct cdn_addr *client,
                     uint8_t into[static WAN_DNS_QUERY_MAX])
{
    knot_dname_storage_t wire;
    size_t n = 0;
    if (!knot_dname_from_str(wire, name, sizeof(wire))) {
        return 0;
    }
    memset(into, 0, WAN_DNS_QUERY_MAX); /* the library counts on from what is there */
    knot_pkt_t *packet = knot_pkt_new(into, WAN_DNS_QUERY_MAX, NULL);
    if (packet && knot_pkt_put_question(packet, wire, KNOT_CLASS_IN, (uint16_t)type) == KNOT_EOK &&
        put_options(packet, client)) {
        knot_wire_set_id(into, id);
        n = packet->size;
    }
    knot_pkt_free(packet);
    return n;
}

static bool answers(const knot_pkt_t *packet, const knot_dname_t *name, enum wan_dns_type type)
{
    return knot_wire_get_qr(packet->wire) && knot_wire_get_qdcount(packet->wire) == 1 &&
           knot_pkt_qtype(packet) == (uint16_t)type && knot_pkt_qclass(packet) == KNOT_CLASS_IN &&
           knot_dname_is_case_equal(knot_pkt_qname(packet), name);
}

static bool first_address(const knot_pkt_t *packet, enum wan_dns_type type, struct cdn_addr *ret)
{
    const knot_pktsection_t *section = knot_pkt_section(packet, KNOT_ANSWER);
    const uint16_t size = type == WAN_DNS_A ? 4 : 16;
    for (uint16_t i = 0; i < section->count; i++) {
        const knot_rrset_t *set = knot_pkt_rr(section, i);
        if (set->type != (uint16_t)type || !set->rrs.count || set->rrs.rdata->len != size) {
            continue;
        }
        *ret = (struct cdn_addr){0};
        if (type == WAN_DNS_A) {
            ret->v4.sin_family = AF_INET;
            memcpy(&ret->v4.sin_addr, set->rrs.rdata->data, size);
        } else {
            ret->v6.sin6_family = AF_INET6;
            memcpy(&ret->v6.sin6_addr, set->rrs.rdata->data, size);
        }
        return true;
    }
    return false;
}

static enum wan_dns_outcome judge(knot_pkt_t *packet, const knot_dname_t *name, enum wan_dns_type type,
                                  struct cdn_addr *ret)
{
    bool whole = knot_pkt_parse(packet, 0) == KNOT_EOK;
    if (packet->parsed < KNOT_WIRE_HEADER_SIZE || !knot_pkt_qname(packet) || !answers(packet, name, type)) {
        return WAN_DNS_FOREIGN;
    }
    if (knot_wire_get_tc(packet->wire)) {
        return WAN_DNS_TRUNCATED;
    }
    unsigned code = knot_wire_get_rcode(packet->wire);
    if (!whole || (code != KNOT_RCODE_NOERROR && code != KNOT_RCODE_NXDOMAIN)) {
        return WAN_DNS_ERROR;
    }
    return code == KNOT_RCODE_NOERROR && first_address(packet, type, ret) ? WAN_DNS_ADDRESS : WAN_DNS_NONE;
}

enum wan_dns_outcome wan_dns_answer(uint8_t *message, size_t n, uint16_t id, const char *name,
                                    enum wan_dns_type type, struct cdn_addr *ret)
{
    knot_dname_storage_t wire;
    if (n < KNOT_WIRE_HEADER_SIZE || n > UINT16_MAX || knot_wire_get_id(message) != id ||
        !knot_dname_from_str(wire, name, sizeof(wire))) {
        return WAN_DNS_FOREIGN;
    }
    knot_pkt_t *packet = knot_pkt_new(message, (uint16_t)n, NULL);
    enum wan_dns_outcome outcome = packet ? judge(packet, wire, type, ret) : WAN_DNS_ERROR;
    knot_pkt_free(packet);
    return outcome;
}
