/* world: the CDN as its cdn.yaml describes it: which nodes there are, where they stand and listen, and which
 * names lead to them. Read once; never changes. Without edges in the file they are the ten built-in ones, as
 * the router has them. */
#ifndef CDN_WAN_RELAY_WORLD_H
#define CDN_WAN_RELAY_WORLD_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "wan/relay/end.h"
#include "wan/relay/settings.h"

#include <stdbool.h>
#include <stddef.h>

#define WAN_NODE_KINDS(X) X(ORIGIN, "origin") X(EDGE, "edge") X(ROUTER, "router") X(ALLOWED, "allowed")
enum wan_node_kind {
#define X(name, word) WAN_NODE_##name,
    WAN_NODE_KINDS(X)
#undef X
        WAN_NODE_KIND_COUNT
};
const char *wan_node_kind_word(enum wan_node_kind kind);

struct wan_node {
    enum wan_node_kind kind;
    struct wan_end end;
    struct cdn_addr listen, admin; /* AF_UNSPEC: none that could be connected to */
    char *host; /* another name of the listener: of its URL, or of what was allowed; or "" */
    unsigned port;
    bool proxy; /* it reads PROXY headers from us */
};

struct wan_world {
    struct wan_node *nodes;
    size_t n;
    char *zone;   /* without the dot at its end: "cdn.test" */
    char *site;   /* the name that leads to an edge: "www.cdn.test" */
    char **hosts; /* of `sites:`, "*.shop.example" among them: they lead where `site` does */
    size_t host_count;
    struct cdn_addr dns; /* AF_UNSPEC: the CDN has none */
};

/* `path` NULL: the built-in CDN. Errors name the file, the node and the key. */
enum cdn_status wan_world_read(const char *path, const struct wan_settings *settings, struct wan_world *ret,
                               struct cdn_error *err) CDN_MUST_CHECK;
void wan_world_free(struct wan_world *world); /* may be zeroed */

const struct wan_node *wan_world_node(const struct wan_world *world,
                                      struct cdn_str name); /* any case; or NULL */
/* The node whose listener or admin listener this is, or NULL. */
const struct wan_node *wan_world_at(const struct wan_world *world, const struct cdn_addr *address);
/* The node that this is the end of, or NULL. */
const struct wan_node *wan_world_node_of(const struct wan_world *world, const struct wan_end *end);
bool wan_world_same_address(const struct cdn_addr *a, const struct cdn_addr *b); /* with the port */

#endif
