/* pin: looked for by hand in query and cookie, without splitting either: it is asked of every
 * request in simulation, and most have none. */
#include "router/decide/pin.h"

#include "common/http/syntax/http_percent.h"

#include "common/banned.h"

#define PIN_MAX 200u

/* The value of the first NAME=VALUE among the parts between separators. */
static bool find(struct cdn_str list, char separator, struct cdn_buf *out)
{
    struct cdn_str name = CDN_STR(ROUTER_PIN_NAME);
    while (list.p && list.n > 0) {
        struct cdn_str value = cdn_str_trim(cdn_str_cut(&list, separator));
        struct cdn_str key = cdn_str_cut(&value, '=');
        if (value.p && cdn_str_eq(key, name)) {
            cdn_buf_clear(out);
            return http_percent_decode(value, false, out) && out->n > 0 && out->n <= PIN_MAX;
        }
    }
    return false;
}

bool router_pin_find(struct cdn_str query, struct cdn_str cookie, struct cdn_buf *out)
{
    return find(query, '&', out) || find(cookie, ';', out);
}
