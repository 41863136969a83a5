/* What a proxy says of a connection: bytes seen so far never give another verdict than all of them,
 * and what was read can be written and read back. */
#include "common/parse.h"
#include "common/proxy_protocol.h"
#include "common/str.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static enum proxy_verdict look(const uint8_t *data, size_t n, struct proxy_header *ret,
                               enum proxy_refusal *ret_why)
{
    struct cdn_str text = fuzz_text(data, n);
    return proxy_header_read(text.p, text.n, ret, ret_why);
}

static void write_and_read(const struct proxy_header *h)
{
    char bytes[PROXY_WRITE_MAX];
    struct proxy_header again;
    enum proxy_refusal why;
    size_t n = proxy_header_write(h->local ? NULL : &h->source, &h->destination, bytes);
    MUST(n <= sizeof(bytes) && proxy_header_read(bytes, n, &again, &why) == PROXY_HEADER);
    MUST(again.length == n && again.local == h->local);
    if (!h->local) {
        MUST(memcmp(&again.source, &h->source, cdn_addr_len(&h->source)) == 0);
        MUST(memcmp(&again.destination, &h->destination, cdn_addr_len(&h->destination)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct proxy_header all = {0};
    enum proxy_refusal all_why = PROXY_FINE;
    enum proxy_verdict verdict = look(data, n, &all, &all_why);
    for (size_t part = 0; part < n && part < 300; part++) {
        struct proxy_header h = {0};
        enum proxy_refusal why = PROXY_FINE;
        enum proxy_verdict early = look(data, part, &h, &why);
        MUST(early == PROXY_MORE || (early == verdict && why == all_why && h.length == all.length));
    }
    MUST((verdict == PROXY_HEADER) == (all.length != 0) && all.length <= n && all.length <= PROXY_HEADER_MAX);
    MUST((verdict == PROXY_NONE || verdict == PROXY_BAD) == (all_why != PROXY_FINE));
    MUST(verdict != PROXY_MORE || n < PROXY_HEADER_MAX);
    if (verdict == PROXY_HEADER) {
        write_and_read(&all);
    }
    return 0;
}
