/* pin: see pin.h */
#include "router/pin.h"

#include "common/banned.h"

#define PIN_MAX 200u

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool decode(struct cdn_str s, struct cdn_buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1,
                low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        cdn_buf_add_char(out, c);
    }
    return out->n > 0 && out->n <= PIN_MAX;
}

/* The value of the first NAME=VALUE among the parts between separators. */
static bool find(struct cdn_str list, char separator, struct cdn_buf *out)
{
    struct cdn_str name = CDN_STR(ROUTER_PIN_NAME);
    while (list.p && list.n > 0) {
        struct cdn_str value = cdn_str_trim(cdn_str_cut(&list, separator));
        struct cdn_str key = cdn_str_cut(&value, '=');
        if (value.p && cdn_str_eq(key, name)) {
            cdn_buf_clear(out);
            return decode(value, out);
        }
    }
    return false;
}

bool router_pin_find(struct cdn_str query, struct cdn_str cookie, struct cdn_buf *out)
{
    return find(query, '&', out) || find(cookie, ';', out);
}
