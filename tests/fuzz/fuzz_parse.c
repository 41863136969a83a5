/* Numbers, sizes, times, addresses and networks: any text is a value or refused. What is read
 * must be the same after it was written and read again. */
#include "common/parse.h"
#include "common/str.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static void numbers(struct cdn_str s)
{
    uint64_t u = 7, u2;
    int64_t i = 7, i2;
    double d = 7;
    bool b = true;
    char text[24];
    if (!cdn_parse_u64(s, &u)) {
        MUST(u == 7);
    } else {
        MUST(cdn_parse_size(s, &u2) && u2 == u);
    }
    if (!cdn_parse_i64(s, &i)) {
        MUST(i == 7);
    }
    MUST(!cdn_parse_real(s, &d) ? d == 7 : d - d == 0);
    (void)cdn_parse_bool(s, &b);
    if (cdn_parse_size(s, &u)) {
        cdn_format_size(u, text);
        MUST(cdn_parse_size(cdn_str(text), &u2) && u2 == u);
    }
    if (cdn_parse_duration_ms(s, &i)) {
        cdn_format_duration_ms(i, text);
        MUST(cdn_parse_duration_ms(cdn_str(text), &i2) && i2 == i);
    }
}

static void addresses(struct cdn_str s)
{
    struct cdn_addr a, b;
    struct cdn_cidr net;
    char text[CDN_ADDR_TEXT_SIZE], other[CDN_ADDR_TEXT_SIZE];
    size_t len;
    if (cdn_parse_ip(s, &a)) {
        cdn_addr_format_ip(&a, text);
        MUST(cdn_parse_ip(cdn_str(text), &b));
        cdn_addr_format_ip(&b, other);
        MUST(strcmp(text, other) == 0);
        MUST(cdn_parse_cidr(s, &net) && cdn_cidr_has(&net, &a));
    }
    if (cdn_parse_host_port(s, &a)) {
        cdn_addr_format(&a, text);
        MUST(cdn_parse_host_port(cdn_str(text), &b) && cdn_addr_port(&a) == cdn_addr_port(&b));
    }
    if (cdn_parse_cidr(s, &net)) {
        MUST(cdn_cidr_has(&net, &net.addr));
        (void)cdn_addr_bytes(&net.addr, &len);
        MUST(net.prefix <= 8 * len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    numbers(fuzz_text(data, n));
    addresses(fuzz_text(data, n));
    return 0;
}
