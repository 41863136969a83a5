/* Forwarded and X-Forwarded-*: who the client is, and what is sent on. Lines: X-Forwarded-For, Forwarded,
 * host. */
#include "common/http_field.h"
#include "common/http_forwarded.h"

#include "fuzz.h"

static void clients(const struct cdn_addr *peer, struct cdn_str xff, struct cdn_str forwarded)
{
    struct cdn_cidr all;
    struct cdn_addr who;
    char peer_text[CDN_ADDR_TEXT_SIZE], who_text[CDN_ADDR_TEXT_SIZE];
    MUST(cdn_parse_cidr(CDN_STR("127.0.0.0/8"), &all));
    http_forwarded_client(peer, &(struct http_trust){&all, 1}, xff, forwarded, &who);
    cdn_addr_format_ip(&who, who_text);
    http_forwarded_client(peer, &(struct http_trust){NULL, 0}, xff, forwarded, &who);
    cdn_addr_format_ip(&who, who_text);
    cdn_addr_format_ip(peer, peer_text);
    MUST(strcmp(peer_text, who_text) == 0); /* nobody is trusted: it is the peer */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str rest = fuzz_text(data, n), xff, forwarded, host;
    struct cdn_addr peer, node;
    bool trusted = fuzz_byte(&rest) & 1;
    FUZZ_OWNER char *a = fuzz_line(&rest, &xff);
    FUZZ_OWNER char *b = fuzz_line(&rest, &forwarded);
    FUZZ_OWNER char *c = fuzz_line(&rest, &host);
    MUST(cdn_parse_host_port(CDN_STR("127.0.0.1:80"), &peer));
    clients(&peer, xff, forwarded);
    struct http_forwarded_in in = {&peer, trusted, true, c ? host : CDN_STR("h"), xff, host, host, forwarded};
    struct cdn_buf out = {0};
    http_forwarded_add_for(&out, &in);
    http_forwarded_add_proto(&out, &in);
    http_forwarded_add_host(&out, &in);
    cdn_buf_clear(&out);
    http_forwarded_add(&out, &in);
    MUST(out.n > 0);
    cdn_buf_free(&out);
    (void)http_forwarded_node(xff, &node);
    struct http_forwarded_element element;
    (void)http_forwarded_parse_element(forwarded, &element);
    return 0;
}
