/* dns_cookie: DNS cookies (RFC 7873) as RFC 9018 makes them: version 1, SipHash-2-4 over the client's cookie,
 * the time and the client's address, by libknot. So servers of any make that share the secret accept each
 * other's.
 */
#ifndef CDN_ROUTER_DNS_COOKIE_H
#define CDN_ROUTER_DNS_COOKIE_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <libknot/cookies.h>
#include <libknot/libknot.h>
#include <stdbool.h>
#include <stdint.h>

struct dns_cookie_secret {
    uint8_t bytes[KNOT_EDNS_COOKIE_SECRET_SIZE];
};

/* 32 hex digits; an empty text: random bytes. CDN_INVALID, and CDN_UNAVAILABLE without a source of them. */
enum cdn_status dns_cookie_secret_read(struct cdn_str hex, struct dns_cookie_secret *ret,
                                       struct cdn_error *err) CDN_MUST_CHECK;

/* The server cookie for a client cookie. `now_s` is wall-clock time; the address' port does not count. */
bool dns_cookie_make(const struct dns_cookie_secret *secret, const struct cdn_addr *client, int64_t now_s,
                     const knot_edns_cookie_t *client_cookie, knot_edns_cookie_t *ret);
/* Whether it is of this server (or one that shares the secret), for this client, at most an hour old and five
 * minutes early (RFC 9018 section 4.3). */
bool dns_cookie_check(const struct dns_cookie_secret *secret, const struct cdn_addr *client, int64_t now_s,
                      const knot_edns_cookie_t *client_cookie, const knot_edns_cookie_t *server_cookie);

#endif
