/* dns_cookie: libknot makes and checks the cookie; here are the secret, which is random where none
 * is set, and how old or early a time may be. */
#include "router/dns/dns_cookie.h"

#include "common/parse.h"

#include <errno.h>
#include <libknot/cookies.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "common/banned.h"

#define OLDEST_S 3600
#define EARLIEST_S 300

enum cdn_status dns_cookie_secret_read(struct cdn_str hex, struct dns_cookie_secret *ret,
                                       struct cdn_error *err)
{
    struct dns_cookie_secret secret;
    if (hex.n == 0) {
        if (getrandom(&secret, sizeof(secret), 0) != (ssize_t)sizeof(secret)) {
            return cdn_error_set(err, CDN_UNAVAILABLE, "dns_cookie_secret: no random bytes: %s",
                                 strerror(errno));
        }
        *ret = secret;
        return CDN_OK;
    }
    for (size_t i = 0; i < sizeof(secret.bytes); i++) {
        int high = hex.n == 2 * sizeof(secret.bytes) ? cdn_hex_digit(hex.p[2 * i]) : -1;
        int low = high >= 0 ? cdn_hex_digit(hex.p[2 * i + 1]) : -1;
        if (low < 0) {
            return cdn_error_set(err, CDN_INVALID, "dns_cookie_secret: must be %zu hex digits",
                                 2 * sizeof(secret.bytes));
        }
        secret.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret = secret;
    return CDN_OK;
}

static knot_edns_cookie_params_t params_of(const struct dns_cookie_secret *secret, int64_t now_s,
                                           const struct sockaddr_storage *client)
{
    knot_edns_cookie_params_t params = {
        .version = KNOT_EDNS_COOKIE_VERSION,
        .timestamp = (uint32_t)now_s,
        .lifetime_before = OLDEST_S,
        .lifetime_after = EARLIEST_S,
        .client_addr = client,
    };
    memcpy(params.secret, secret->bytes, sizeof(params.secret));
    return params;
}

static struct sockaddr_storage storage_of(const struct cdn_addr *address)
{
    struct sockaddr_storage storage = {0};
    memcpy(&storage, address, sizeof(*address));
    return storage;
}

bool dns_cookie_make(const struct dns_cookie_secret *secret, const struct cdn_addr *client, int64_t now_s,
                     const knot_edns_cookie_t *client_cookie, knot_edns_cookie_t *ret)
{
    struct sockaddr_storage storage = storage_of(client);
    knot_edns_cookie_params_t params = params_of(secret, now_s, &storage);
    return knot_edns_cookie_server_generate(ret, client_cookie, &params) == KNOT_EOK;
}

bool dns_cookie_check(const struct dns_cookie_secret *secret, const struct cdn_addr *client, int64_t now_s,
                      const knot_edns_cookie_t *client_cookie, const knot_edns_cookie_t *server_cookie)
{
    struct sockaddr_storage storage = storage_of(client);
    knot_edns_cookie_params_t params = params_of(secret, now_s, &storage);
    return server_cookie->len > 0 &&
           knot_edns_cookie_server_check(server_cookie, client_cookie, &params) == KNOT_EOK;
}
