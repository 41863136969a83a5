/* HTTP dates: any text is a date or none. One that is read must be the same after it was written
 * and read again. */
#include "common/http/syntax/http_date.h"
#include "common/str.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdn_str s = fuzz_text(data, n);
    int64_t t = -1, again, other = -1;
    char text[HTTP_DATE_SIZE];
    if (!http_date_parse(s, &t)) {
        MUST(t == -1 && !http_date_parse_at(s, 1700000000, &t));
        return 0;
    }
    MUST(t >= 0);
    http_date_format(t, text);
    MUST(http_date_parse(cdn_str(text), &again) && again == t);
    (void)http_date_parse_at(s, 1700000000, &other);
    return 0;
}
