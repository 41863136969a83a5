/* table: everything that one configuration says about routing, as the threads use it.
 *
 * Built whole beside the old one, then handed to each thread; never changed afterwards, but for the atomic
 * words of its edges (edges.h). Each thread holds one reference and swaps it when it is told to (server.h),
 * so that a decision takes neither a lock nor an atomic instruction.
 *
 * Life cycle: router_table_create -> (router_compiled_build) -> router_table_ref/unref. Without having been
 * compiled (compiled.h) a table gives the same answers, in microseconds.
 */
#ifndef CDN_ROUTER_TABLE_H
#define CDN_ROUTER_TABLE_H
#include "common/http/syntax/http_forwarded.h"
#include "common/status.h"
#include "router/base/proxy_settings.h"
#include "router/base/settings.h"
#include "router/base/sites.h"
#include "router/choice/select.h"

#include <stdbool.h>
#include <stdint.h>

struct router_compiled;

struct router_table {
    struct router_edges *edges;
    struct router_overrides *overrides;
    struct geo_db *db;
    enum router_policy policy;
    bool simulate;      /* clients may name their place */
    char *default_name; /* place of addresses that nobody knows; "" when there is no edge either */
    double default_lat, default_lon;
    struct cdn_cidr *trusted;  /* proxies */
    struct http_trust trust;   /* borrows them */
    enum router_mode mode;     /* of the public listener, */
    struct router_sites sites; /* but for hosts that have one of their own */
    struct {                   /* as a proxy */
        unsigned tries;
        int64_t avoid_ms;
        uint64_t max_body;
        bool tunnels;
    } proxy;
    unsigned redirect_status;
    char *cache_control; /* of a redirect */
    bool special_heads[2]
                      [256]; /* IPv4, IPv6: whether a special range has addresses that begin with the byte */
    _Atomic(struct router_compiled *) compiled; /* NULL until router_compiled_build (compiled.h) is done */
    void (*_Atomic compiled_destroy)(struct router_compiled *); /* set before `compiled` is */
    _Atomic unsigned _refs;
};

/* Opens the database, reads places, checks everything. The sentence names file, line, key and value. The
 * caller keeps `config`. */
enum cdn_status router_table_create(const struct router_config *config, struct router_table **ret,
                                    struct cdn_error *err) CDN_MUST_CHECK;
struct router_table *router_table_ref(struct router_table *table);
void router_table_unref(struct router_table *table); /* any thread; NULL is fine */

#endif
