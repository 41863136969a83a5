/* Where requests begin and end: any split of the same bytes gives the same verdict and the same bytes. */
#include "common/http/syntax/http_frame.h"
#include "common/http/syntax/http_server_check.h"
#include "common/str.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct result {
    enum http_refusal verdict;
    struct cdn_buf taken; /* handed on */
    bool in_body;
};

/* Feeds pieces of at most `step` bytes as the gate does: what is not handed on is offered again. */
static void feed(struct cdn_str all, size_t step, struct result *ret)
{
    struct http_frame frame = {0};
    struct cdn_buf held = {0};
    for (size_t at = 0; at < all.n && !ret->verdict;) {
        size_t n = all.n - at < step ? all.n - at : step;
        cdn_buf_add(&held, all.p + at, n);
        at += n;
        size_t ready = 0;
        ret->verdict = http_frame_feed(&frame, held.p, held.n, &ready);
        MUST(ready <= held.n && ret->verdict < HTTP_REFUSAL_COUNT);
        cdn_buf_add(&ret->taken, held.p, ready);
        memmove(held.p, held.p + ready, held.n - ready);
        held.n -= ready;
        MUST(ret->verdict || held.n <= HTTP_HEAD_MAX);
    }
    ret->in_body = http_frame_in_body(&frame);
    cdn_buf_free(&held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str all = fuzz_text(data, n);
    size_t step = (size_t)fuzz_byte(&all) % 16 + 1;
    struct result whole = {0};
    struct result split = {0};
    feed(all, all.n + 1, &whole);
    feed(all, step, &split);
    MUST(whole.verdict == split.verdict);
    if (whole.verdict) { /* split, some of a body before what is bad has gone on */
        MUST(split.taken.n >= whole.taken.n);
    } else {
        MUST(split.taken.n == whole.taken.n && whole.in_body == split.in_body);
    }
    MUST(!whole.taken.n || memcmp(whole.taken.p, split.taken.p, whole.taken.n) == 0);
    cdn_buf_free(&whole.taken);
    cdn_buf_free(&split.taken);
    return 0;
}
