/* dns_help: a zone from the flags of a router, questions, and answers as text. */
#ifndef CDN_TESTS_UNIT_ROUTER_DNS_HELP_H
#define CDN_TESTS_UNIT_ROUTER_DNS_HELP_H
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/settings.h"
#include "router/dns/dns_answer.h"
#include "router/dns/dns_metrics.h"
#include "router/dns/dns_zone.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <libknot/libknot.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Flags, ended by NULL. */
static inline enum cdn_status zone_try(struct dns_zone **ret, struct cdn_error *err, ...)
{
    char *argv[FLAGS_MAX] = {(char *)(uintptr_t) "pocketcdn-router"};
    int argc = 1;
    va_list more;
    va_start(more, err);
    while (argc < FLAGS_MAX - 1 && (argv[argc] = va_arg(more, char *))) {
        argc++;
    }
    va_end(more);
    argv[argc] = NULL;
    struct router_config config = {0};
    struct router_table *table = NULL;
    enum cdn_config_outcome outcome;
    struct cdn_addr listen;
    ck_assert(cdn_parse_ip(CDN_STR("192.0.2.53"), &listen));
    enum cdn_status status = router_config_load(argc, argv, &config, &outcome, err);
    if (status == CDN_OK) {
        status = router_table_create(&config, &table, err);
    }
    if (status == CDN_OK) {
        status = dns_zone_create(&config, table, &listen, 7, ret, err);
    }
    router_table_unref(table);
    router_config_free(&config);
    return status;
}

#define ZONE_OF(...)                                                                          \
    __extension__({                                                                           \
        struct dns_zone *zone_ = NULL;                                                        \
        struct cdn_error err_ = {0};                                                          \
        ck_assert_msg(zone_try(&zone_, &err_, __VA_ARGS__, NULL) == CDN_OK, "%s", err_.text); \
        zone_;                                                                                \
    })

static inline int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c);
    ck_assert_msg(c && at, "'%c' is not a hex digit", c);
    return (int)(at - digits);
}

/* "00 01 ..." to bytes; blanks are passed over. */
static inline size_t from_hex(const char *hex, uint8_t *out, size_t room)
{
    size_t n = 0;
    for (const char *p = hex; *p; p++) {
        if (*p == ' ') {
            continue;
        }
        ck_assert(n < room);
        out[n++] = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
        p++;
    }
    return n;
}

/* Appends a message: ID 0x1234, RD, one question, and when `options` is not NULL an OPT that takes `udp_size`
 * bytes with these options, in hex. */
static inline size_t make_query(const char *name, uint16_t type, const char *options, unsigned udp_size,
                                uint8_t *out, size_t room)
{
    memcpy(out, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    ck_assert_ptr_nonnull(knot_dname_from_str(out + 12, name, room - 12));
    size_t n = 12 + knot_dname_size(out + 12);
    knot_wire_write_u16(out + n, type);
    knot_wire_write_u16(out + n + 2, KNOT_CLASS_IN);
    n += 4;
    if (!options) {
        return n;
    }
    out[11] = 1;
    memcpy(out + n, "\0\0\x29\0\0\0\0\0\0\0\0", 11);
    knot_wire_write_u16(out + n + 3, (uint16_t)udp_size);
    size_t size = from_hex(options, out + n + 11, room - n - 11);
    knot_wire_write_u16(out + n + 9, (uint16_t)size);
    return n + 11 + size;
}

static inline void add_section(struct cdn_buf *text, const knot_pkt_t *packet, knot_section_t section,
                               const char *mark)
{
    const knot_pktsection_t *s = knot_pkt_section(packet, section);
    for (uint16_t i = 0; i < s->count; i++) {
        const knot_rrset_t *rr = knot_pkt_rr(s, i);
        char line[2048];
        knot_dump_style_t style = KNOT_DUMP_STYLE_DEFAULT;
        style.show_class = false;
        if (rr->type == KNOT_RRTYPE_OPT) {
            continue;
        }
        ck_assert_int_gt(knot_rrset_txt_dump_data(rr, 0, line, sizeof(line), &style), 0);
        while (line[0] && line[strlen(line) - 1] == ' ') {
            line[strlen(line) - 1] = '\0';
        }
        char owner[KNOT_DNAME_TXT_MAXLEN + 1], type[32];
        knot_dname_to_str(owner, rr->owner, sizeof(owner));
        knot_rrtype_to_string(rr->type, type, sizeof(type));
        cdn_buf_printf(text, "%s%s %u %s %s", mark, owner, rr->ttl, type, line);
    }
}

/* "NOERROR aa rd; www.cdn.test. 30 A 127.0.1.1 | auth | + additional; scope 15; cookie". */
static inline void answer_text(const uint8_t *wire, size_t n, struct cdn_buf *text)
{
    uint8_t copy[DNS_MESSAGE_MAX];
    cdn_buf_clear(text);
    if (n == 0) {
        cdn_buf_printf(text, "nothing");
        return;
    }
    ck_assert_uint_ge(n, 12);
    memcpy(copy, wire, n);
    knot_pkt_t *packet = knot_pkt_new(copy, (uint16_t)n, NULL);
    ck_assert_msg(knot_pkt_parse(packet, 0) == KNOT_EOK, "the answer cannot be parsed");
    ck_assert_msg(knot_wire_get_qr(copy) && !knot_wire_get_ra(copy) && !knot_wire_get_ad(copy), "flags");
    cdn_buf_printf(text, "%s%s%s%s%s", knot_pkt_ext_rcode_name(packet), knot_wire_get_aa(copy) ? " aa" : "",
                   knot_wire_get_tc(copy) ? " tc" : "", knot_wire_get_rd(copy) ? " rd" : "",
                   knot_wire_get_cd(copy) ? " cd" : "");
    add_section(text, packet, KNOT_ANSWER, "; ");
    add_section(text, packet, KNOT_AUTHORITY, " | ");
    add_section(text, packet, KNOT_ADDITIONAL, " + ");
    if (packet->opt_rr) {
        const uint8_t *ecs = knot_edns_get_option(packet->opt_rr, KNOT_EDNS_OPTION_CLIENT_SUBNET, NULL);
        cdn_buf_printf(text, " edns%u", knot_edns_get_version(packet->opt_rr));
        if (ecs) {
            cdn_buf_printf(text, " %u/%u", ecs[6], ecs[7]);
        }
        if (knot_edns_get_option(packet->opt_rr, KNOT_EDNS_OPTION_COOKIE, NULL)) {
            cdn_buf_printf(text, " cookie");
        }
    }
    knot_pkt_free(packet);
}

struct asking { /* a responder that answers one message after the other */
    struct dns_responder responder;
    struct dns_metrics metrics;
    struct dns_asker asker;
    uint8_t answer[DNS_MESSAGE_MAX];
    struct cdn_buf text;
};

static inline struct asking *asking_create(const struct dns_zone *zone)
{
    struct asking *a = cdn_calloc(1, sizeof(*a));
    a->responder.zone = zone;
    a->responder.metrics = &a->metrics;
    a->responder.keepalive_ds = 100;
    a->asker.client = addr("198.51.100.100");
    a->asker.now_s = 1559731985;
    return a;
}

static inline void asking_destroy(struct asking *a)
{
    cdn_buf_free(&a->text);
    free(a);
}

/* The answer as text, borrowed until the next one. */
static inline const char *ask(struct asking *a, uint8_t *message, size_t n)
{
    size_t size = dns_answer(&a->responder, &a->asker, message, n, a->answer, sizeof(a->answer));
    answer_text(a->answer, size, &a->text);
    return a->text.p;
}

#endif
