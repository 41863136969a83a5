/* query_names: a setting's list of query parameters as an array, with 'tracking' replaced by what it stands
 * for. */
#ifndef CDN_EDGE_QUERY_NAMES_H
#define CDN_EDGE_QUERY_NAMES_H
#include "common/config/config.h"

#include <stddef.h>

/* The array is the caller's to free, its texts are the list's. */
struct cdn_str *edge_query_names(const struct cdn_config_list *list, size_t *ret_count);

#endif
