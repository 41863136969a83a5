/* http_bearer: the admin listeners and PURGE ask the same question, so one function answers it. A comparison
 * that ends at the first wrong byte would tell a stranger, request by request, how far a guess was right. */
#include "common/http/server/http_bearer.h"

#include <gnutls/gnutls.h>

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

bool http_bearer_is(struct cdn_str authorization, struct cdn_str token)
{
    struct cdn_str given;
    return token.n > 0 && http_bearer_read(authorization, &given) && given.n == token.n &&
           gnutls_memcmp(given.p, token.p, token.n) == 0;
}
