/* http_percent: one reader for all who decode, since a '%' without two digits is what two parsers read in two
 * ways: here it is an error and never a plain '%'. */
#include "common/http/syntax/http_percent.h"

#include "common/parse.h"

#include "common/banned.h"

int http_percent_byte(struct cdn_str s, size_t i)
{
    const int high = i + 2 < s.n ? cdn_hex_digit(s.p[i + 1]) : -1;
    const int low = high >= 0 ? cdn_hex_digit(s.p[i + 2]) : -1;
    return low < 0 ? -1 : high * 16 + low;
}

bool http_percent_decode(struct cdn_str s, bool plus, struct cdn_buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        const bool is_triplet = s.p[i] == '%';
        const int c = is_triplet              ? http_percent_byte(s, i)
                      : s.p[i] == '+' && plus ? ' '
                                              : (unsigned char)s.p[i];
        if (c <= 0) {
            return false;
        }
        cdn_buf_add_char(out, (char)c);
        i += is_triplet ? 2 : 0;
    }
    return true;
}

bool http_percent_is_unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}
