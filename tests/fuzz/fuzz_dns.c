/* fuzz_dns: messages as they come from the network. The first byte says how they come (over TCP or not, from
 * an IPv4 or an IPv6 address); the answer must be parsable, an answer to this question, and not too long.
 */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"
#include "router/dns/dns_answer.h"
#include "router/dns/dns_metrics.h"
#include "router/dns/dns_zone.h"
#include "router/table/table.h"

#include <assert.h>
#include <libknot/libknot.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzzing {
    struct dns_zone *zone;
    struct dns_responder responder;
    struct dns_metrics metrics;
    uint8_t message[DNS_MESSAGE_MAX], answer[DNS_MESSAGE_MAX];
};

static struct fuzzing *fuzzing_create(void)
{
    struct fuzzing *f = cdn_calloc(1, sizeof(*f));
    struct router_config config = {0};
    struct router_table *table = NULL;
    struct cdn_addr listen;
    struct cdn_error err;
    if (!cdn_parse_ip(CDN_STR("192.0.2.53"), &listen) || router_config_read(NULL, &config, &err) != CDN_OK ||
        router_table_create(&config, &table, &err) != CDN_OK ||
        dns_zone_create(&config, table, &listen, 1, &f->zone, &err) != CDN_OK) {
        abort();
    }
    router_table_unref(table);
    router_config_free(&config);
    f->responder.zone = f->zone;
    f->responder.metrics = &f->metrics;
    return f;
}

static void check(const struct fuzzing *f, const uint8_t *query, size_t n, bool tcp)
{
    uint8_t copy[DNS_MESSAGE_MAX];
    assert(n >= KNOT_WIRE_HEADER_SIZE && (tcp || n <= f->zone->limits.udp_size));
    assert(knot_wire_get_qr(f->answer) && memcmp(f->answer, query, 2) == 0);
    memcpy(copy, f->answer, n);
    knot_pkt_t *packet = knot_pkt_new(copy, (uint16_t)n, NULL);
    int parsed = knot_pkt_parse(packet, 0);
    assert(parsed == KNOT_EOK);
    knot_pkt_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzzing *f;
    if (!f) {
        f = fuzzing_create();
    }
    if (size < 1 || size - 1 > DNS_MESSAGE_MAX) {
        return 0;
    }
    struct dns_asker asker = {.tcp = data[0] & 1, .now_s = 1559731985};
    bool parsed = cdn_parse_ip(data[0] & 2 ? CDN_STR("2a02:810::1") : CDN_STR("91.64.0.1"), &asker.client);
    assert(parsed);
    memcpy(f->message, data + 1, size - 1);
    size_t n = dns_answer(&f->responder, &asker, f->message, size - 1, f->answer,
                          asker.tcp ? DNS_MESSAGE_MAX : 1400);
    if (n > 0) {
        check(f, data + 1, n, asker.tcp);
    }
    return 0;
}
