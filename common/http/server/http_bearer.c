/* http_bearer: the admin listeners and PURGE ask the same question, so one function answers it. A comparison
 * that ends at the first wrong byte would tell a stranger, request by request, how far a guess was right. */
#include "common/http/server/http_bearer.h"

#include <gnutls/gnutls.h>
#include <stddef.h>

#include "common/banned.h"

bool http_bearer_read(struct cdn_str authorization, struct cdn_str *ret_token)
{
    if (!authorization.p) {
        return false;
    }
    const struct cdn_str scheme = cdn_str_cut(&authorization, ' ');
    if (!authorization.p || !cdn_str_eq_nocase(scheme, CDN_STR("Bearer"))) {
        return false;
    }
    *ret_token = cdn_str_trim(authorization);
    return true;
}

bool http_bearer_same(struct cdn_str given, struct cdn_str token)
{
    return token.n > 0 && given.n == token.n && gnutls_memcmp(given.p, token.p, token.n) == 0;
}

static bool find_key(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct cdn_str *token = arg;
    const bool is = cdn_str_eq_nocase(name, CDN_STR("Fastly-Key"));
    if (is) {
        *token = cdn_str_trim(value);
    }
    return !is;
}

bool http_bearer_of(struct http_request *req, struct cdn_str *ret_token)
{
    struct cdn_str token = {0};
    if (!http_bearer_read(req->field[HTTP_REQ_AUTHORIZATION], &token)) {
        http_request_each_field(req, find_key, &token);
    }
    if (token.p) {
        *ret_token = token;
    }
    return token.p != NULL;
}
