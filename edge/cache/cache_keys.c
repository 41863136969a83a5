/* cache_keys: entries in the order of their keys, so that a purge by prefix costs what it hits.
 *
 * A treap (Seidel and Aragon, 1996): a search tree by key that is a heap by a priority drawn for each entry,
 * here from its hash and a secret. It needs two pointers an entry, where a tree
 * that is balanced by rules needs three and a colour, and is as deep as one within a small factor: 2 ln n on
 * average.
 */
#include "common/mix.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

static uint64_t priority(const struct edge_cache *c, const struct edge_entry *e)
{
    return cdn_mix64(e->hash ^ c->secret);
}

static int compare(struct cdn_str a, struct cdn_str b)
{
    int d = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return d ? d : (a.n > b.n) - (a.n < b.n);
}

static bool is_before(const struct edge_entry *e, struct cdn_str key)
{
    return compare(edge_entry_key(e), key) < 0;
}

/* Parts a tree at a key that it does not have. */
static void split(struct edge_entry *tree, struct cdn_str key, struct edge_entry **less,
                  struct edge_entry **greater)
{
    while (tree) {
        if (is_before(tree, key)) {
            *less = tree;
            less = &tree->right;
            tree = tree->right;
        } else {
            *greater = tree;
            greater = &tree->left;
            tree = tree->left;
        }
    }
    *less = *greater = NULL;
}

void edge_keys_insert(struct edge_cache *c, struct edge_entry *e)
{
    const struct cdn_str key = edge_entry_key(e);
    const uint64_t mine = priority(c, e);
    struct edge_entry **link = &c->keys;
    while (*link && priority(c, *link) >= mine) {
        link = is_before(*link, key) ? &(*link)->right : &(*link)->left;
    }
    split(*link, key, &e->left, &e->right);
    *link = e;
}

void edge_keys_remove(struct edge_cache *c, struct edge_entry *e)
{
    const struct cdn_str key = edge_entry_key(e);
    struct edge_entry **link = &c->keys;
    while (*link != e) {
        link = is_before(*link, key) ? &(*link)->right : &(*link)->left;
    }
    struct edge_entry *less = e->left;
    struct edge_entry *greater = e->right;
    while (less && greater) { /* zips the two together */
        if (priority(c, less) >= priority(c, greater)) {
            *link = less;
            link = &less->right;
            less = less->right;
        } else {
            *link = greater;
            link = &greater->left;
            greater = greater->left;
        }
    }
    *link = less ? less : greater;
}

struct edge_entry *edge_keys_from(const struct edge_cache *c, struct cdn_str key, bool after)
{
    struct edge_entry *found = NULL;
    for (struct edge_entry *e = c->keys; e;) {
        const int d = compare(edge_entry_key(e), key);
        if (d > 0 || (d == 0 && !after)) {
            found = e;
            e = e->left;
        } else {
            e = e->right;
        }
    }
    return found;
}
