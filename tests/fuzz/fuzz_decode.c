/* Coded bodies, as origins send them: the first byte chooses the coding. No more plain bytes than are
 * allowed, and none at all that the decoder did not make. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/decode.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static void count(void *arg, struct cdn_str piece)
{
    *(size_t *)arg += piece.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct cdn_str codings[] = {{"gzip", 4}, {"br", 2}, {"zstd", 4}, {"x-gzip", 6}};
    struct cdn_str body = fuzz_text(data, n);
    size_t plain = 0;
    const uint8_t which = fuzz_byte(&body);
    const bool well = edge_decode(codings[which % CDN_ARRAY_LEN(codings)], body, count, &plain);
    MUST(plain <= EDGE_DECODE_MAX);
    MUST(!well || body.n);
    return 0;
}
