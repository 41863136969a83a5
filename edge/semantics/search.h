/* search: No-Vary-Search (draft-ietf-httpbis-no-vary-search): which differences of a URL's query do not
 * matter for an answer. Pure.
 *
 *     No-Vary-Search: params=("utm_source" "utm_medium")     these parameters do not matter
 *     No-Vary-Search: params, except=("id")                  none but these does
 *     No-Vary-Search: key-order                              in whatever order they stand
 *
 * Queries are compared as forms are read: "a", "a=" and "%61" are one name, '+' is a blank. Two URLs that
 * the rule calls the same have one normal form. */
#ifndef CDN_EDGE_SEARCH_H
#define CDN_EDGE_SEARCH_H
#include "common/str.h"

#include <stdbool.h>

struct edge_search_rule { /* borrowed from the value */
    bool any_order, all;
    struct cdn_str listed; /* between the parentheses: those that do not matter; with `all`: those that do */
};
/* False: the value is invalid, or says that all of the query matters. */
bool edge_search_rule_read(struct cdn_str value, struct edge_search_rule *ret);
/* Appends the normal form of a key. False: it has none, for more parameters than are looked at, or as the key
 * of a QUERY. */
bool edge_search_normalize(const struct edge_search_rule *rule, struct cdn_str key, struct cdn_buf *into);

#endif
