/* device: three classes and a few words, as pages are made for phones, tablets or neither. More would make
 * more variants of a page than an origin has. */
#include "edge/site/device.h"

#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

static bool has_word(struct cdn_str text, struct cdn_str word)
{
    for (size_t i = 0; i + word.n <= text.n; i++) {
        if (cdn_str_eq_nocase((struct cdn_str){text.p + i, word.n}, word)) {
            return true;
        }
    }
    return false;
}

struct cdn_str edge_device_class(struct cdn_str agent, struct cdn_str mobile)
{
    const bool android = has_word(agent, CDN_STR("Android"));
    const bool mobi = has_word(agent, CDN_STR("Mobi"));
    if (cdn_str_eq(mobile, CDN_STR("?1"))) {
        return CDN_STR("mobile");
    }
    if (has_word(agent, CDN_STR("iPad")) || has_word(agent, CDN_STR("Tablet")) ||
        has_word(agent, CDN_STR("Kindle")) || (android && !mobi)) {
        return CDN_STR("tablet");
    }
    return mobi || has_word(agent, CDN_STR("iPhone")) ? CDN_STR("mobile") : CDN_STR("desktop");
}
