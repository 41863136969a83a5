/* SOCKS5 handshakes: any split of the same bytes gives the same answers and the same request, and no message
 * needs more room than it may have. */
#include "common/str.h"
#include "fuzz.h"
#include "wan/relay/socks.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct result {
    struct wan_socks socks;
    enum wan_socks_outcome last;
    struct cdn_buf answers;
};

static void feed(struct cdn_str all, bool need_user, size_t step, struct result *ret)
{
    struct cdn_buf held = {0};
    ret->socks.need_user = need_user;
    for (size_t at = 0; at < all.n && ret->last != WAN_SOCKS_REFUSE && ret->last != WAN_SOCKS_REQUEST;) {
        size_t n = all.n - at < step ? all.n - at : step, used;
        cdn_buf_add(&held, all.p + at, n);
        at += n;
        while (ret->last != WAN_SOCKS_REFUSE && ret->last != WAN_SOCKS_REQUEST &&
               (ret->last = wan_socks_next(&ret->socks, cdn_buf_str(&held), &used)) != WAN_SOCKS_MORE) {
            MUST(used <= held.n && used <= WAN_SOCKS_MESSAGE_MAX &&
                 ret->socks.reply_n <= WAN_SOCKS_REPLY_MAX);
            if (ret->last == WAN_SOCKS_USER) {
                wan_socks_judge(&ret->socks, true);
            }
            cdn_buf_add(&ret->answers, ret->socks.reply, ret->socks.reply_n);
            held.n -= used;
            memmove(held.p, held.p + used, held.n);
        }
        MUST(ret->last != WAN_SOCKS_MORE || held.n < WAN_SOCKS_MESSAGE_MAX);
    }
    cdn_buf_free(&held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str all = fuzz_text(data, n);
    uint8_t how = fuzz_byte(&all);
    struct result whole = {0}, split = {0};
    feed(all, how & 1, all.n + 1, &whole);
    feed(all, how & 1, (size_t)(how >> 1) % 16 + 1, &split);
    MUST(whole.last == split.last && whole.socks.why == split.socks.why);
    MUST(cdn_str_eq(cdn_buf_str(&whole.answers), cdn_buf_str(&split.answers)));
    if (whole.last == WAN_SOCKS_REQUEST) {
        MUST(whole.socks.host[0] && whole.socks.port && whole.socks.port == split.socks.port);
        MUST(strcmp(whole.socks.host, split.socks.host) == 0 &&
             strcmp(whole.socks.user, split.socks.user) == 0);
        MUST(strlen(whole.socks.host) <= WAN_SOCKS_NAME_MAX);
    }
    cdn_buf_free(&whole.answers);
    cdn_buf_free(&split.answers);
    return 0;
}
