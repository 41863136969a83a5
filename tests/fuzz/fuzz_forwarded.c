/* Forwarded and X-Forwarded-*: who the client is, and what is sent on. Lines: X-Forwarded-For, Forwarded,
 * host. */
#include "common/http/syntax/http_forwarded.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static void clients(const struct http_forwarded_in *given, struct http_forwarded *ret)
{
    struct cdn_cidr all;
    char peer_text[CDN_ADDR_TEXT_SIZE], who_text[CDN_ADDR_TEXT_SIZE];
    struct http_forwarded_in in = *given;
    MUST(cdn_parse_cidr(CDN_STR("127.0.0.0/8"), &all));
    in.trust = &(struct http_trust){NULL, 0, HTTP_CLIENT_X_FORWARDED_FOR};
    http_forwarded_read(&in, ret);
    cdn_addr_format_ip(&ret->client, who_text);
    cdn_addr_format_ip(in.peer, peer_text);
    MUST(strcmp(peer_text, who_text) == 0); /* nobody is trusted: it is the peer */
    in.trust = &(struct http_trust){&all, 1, HTTP_CLIENT_FORWARDED};
    http_forwarded_read(&in, ret);
    MUST(ret->count >= 1 && ret->count <= CDN_ARRAY_LEN(ret->hops));
    in.trust = &(struct http_trust){&all, 1, HTTP_CLIENT_X_FORWARDED_FOR};
    http_forwarded_read(&in, ret);
    MUST(ret->count >= 1 && ret->count <= CDN_ARRAY_LEN(ret->hops));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n), xff, forwarded, host;
    struct cdn_addr peer, node;
    bool secure = fuzz_byte(&rest) & 1;
    FUZZ_OWNER char *a = fuzz_line(&rest, &xff);
    FUZZ_OWNER char *b = fuzz_line(&rest, &forwarded);
    FUZZ_OWNER char *c = fuzz_line(&rest, &host);
    MUST(cdn_parse_host_port(CDN_STR("127.0.0.1:80"), &peer));
    struct http_forwarded_in in = {.peer = &peer,
                                   .secure = secure,
                                   .host = c ? host : CDN_STR("h"),
                                   .x_forwarded_for = xff,
                                   .x_forwarded_proto = host,
                                   .x_forwarded_host = host,
                                   .forwarded = forwarded};
    struct http_forwarded way;
    clients(&in, &way);
    struct cdn_buf out = {0};
    http_forwarded_add_for(&out, &way);
    http_forwarded_add_proto(&out, &way);
    http_forwarded_add_host(&out, &way);
    cdn_buf_clear(&out);
    http_forwarded_add(&out, &way);
    MUST(out.n > 0);
    cdn_buf_free(&out);
    (void)http_forwarded_node(xff, secure, &node);
    struct http_forwarded_element element;
    (void)http_forwarded_parse_element(forwarded, &element);
    return 0;
}
