/* query_names: the names that 'tracking' stands for are kept here, in one list that docs/edge.md shows. */
#include "edge/site/query_names.h"

#include "common/config/config.h"
#include "common/mem.h"
#include "common/str.h"

#include <stddef.h>

#include "common/banned.h"

/* Parameters that advertisers, mail services and analytics add to links, and pages read in the browser only:
 * what `query_ignore: tracking` means. docs/edge.md has the list, too. */
static const struct cdn_str tracking[] = {
    {"utm_*", 5},        {"fbclid", 6},      {"gclid", 5},   {"gclsrc", 6},  {"dclid", 5},     {"gbraid", 6},
    {"wbraid", 6},       {"msclkid", 7},     {"twclid", 6},  {"ttclid", 6},  {"li_fat_id", 9}, {"yclid", 5},
    {"igshid", 6},       {"igsh", 4},        {"mc_cid", 6},  {"mc_eid", 6},  {"_ga", 3},       {"_gl", 3},
    {"_hsenc", 6},       {"_hsmi", 5},       {"mkt_tok", 7}, {"srsltid", 7}, {"epik", 4},      {"vero_id", 7},
    {"oly_anon_id", 11}, {"oly_enc_id", 10},
};

static void add_tracking(struct cdn_str *names, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        if (cdn_str_eq(names[i], CDN_STR("tracking"))) {
            names[i] = tracking[0];
            for (size_t k = 1; k < CDN_ARRAY_LEN(tracking); k++) {
                names[(*count)++] = tracking[k];
            }
            return;
        }
    }
}

struct cdn_str *edge_query_names(const struct cdn_config_list *list, size_t *ret_count)
{
    struct cdn_str *names = cdn_calloc(list->n + CDN_ARRAY_LEN(tracking), sizeof(*names));
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        names[n++] = cdn_str(list->items[i].key);
    }
    add_tracking(names, &n);
    *ret_count = n;
    return names;
}
