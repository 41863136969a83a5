/* dns_why: key=value strings of at most 255 bytes each, as TXT wants them; a value that is longer
 * is cut, since a record that does not fit would take the whole answer with it. */
#include "router/dns/dns_why.h"

#include "common/status.h"
#include "geo-data/geo.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/decide/explain.h"
#include "router/decide/resolve.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/banned.h"

#define STRING_MAX 255 /* RFC 1035 section 3.3 */

static void add(struct cdn_buf *out, const char *fmt, ...) CDN_PRINTF(2, 3);

static void add(struct cdn_buf *out, const char *fmt, ...)
{
    char text[STRING_MAX + 1];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    size_t size = n < 0 ? 0 : n > STRING_MAX ? STRING_MAX : (size_t)n;
    cdn_buf_add_char(out, (char)size);
    cdn_buf_add(out, text, size);
}

static void add_choice(const struct router_table *table, const struct router_decision *d, struct cdn_buf *out)
{
    const struct router_edge *edges = table->edges->at;
    const struct router_edge *edge = &edges[d->choice.edge];
    add(out, "edge=%s", edge->name);
    add(out, "place=%s", edge->place);
    add(out, "reason=%s", router_reason_word(d->reason));
    add(out, "km=%.0f", (double)d->choice.at.km);
    add(out, "rtt_ms=%.1f", (double)d->choice.at.rtt_ms);
    add(out, "modelled=yes");
    if (d->choice.runner_up != ROUTER_NO_EDGE) {
        add(out, "runner_up=%s", edges[d->choice.runner_up].name);
        add(out, "margin_ms=%.1f", (double)d->margin_ms);
    }
    add(out, "ambiguous=%s", d->ambiguous ? "yes" : "no");
}

void dns_why(const struct router_table *table, const struct cdn_addr *client, bool by_subnet, unsigned scope,
             const struct router_decision *decision, struct cdn_buf *out)
{
    const struct router_where *where = &decision->where;
    char ip[CDN_ADDR_TEXT_SIZE], network[ROUTER_NETWORK_TEXT_SIZE];
    cdn_addr_format_ip(client, ip);
    router_explain_network(where, network);
    add(out, "client=%s", ip);
    add(out, "by=%s", by_subnet ? "subnet" : "resolver");
    add(out, "network=%s", network);
    if (decision->choice.edge != ROUTER_NO_EDGE) {
        add_choice(table, decision, out);
    } else {
        add(out, "edge=none");
    }
    const struct geo_record *r = &where->record;
    if (r->city.n + r->country.n == 0) {
        add(out, "located=unknown");
    } else {
        add(out, "located=" CDN_STR_FMT "%s" CDN_STR_FMT, CDN_STR_ARG(r->city),
            r->city.n && r->country.n ? ", " : "", CDN_STR_ARG(r->country));
    }
    add(out, "precision=%s", router_where_precision(where));
    add(out, "scope=%u", scope);
}
