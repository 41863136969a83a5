/* health: probes every edge's GET /health on the control loop and writes the result into the table's atomic
 * words.
 *
 * One keep-alive connection an edge. A probe succeeds with status 200 within its time: the time-out, or the
 * modelled round trip from the router's place and `slow_ms`, whichever is shorter; a slow edge has failed.
 * After a failure that is not yet enough, the next probe follows at once, so that a dead edge is found in
 * little more than one interval. `load` in the answer's JSON, against the edge's capacity, marks it full (and
 * no longer full below 90 %). Each transition is logged, counted and kept in a ring of events.
 *
 * Everything is called on the control loop's thread. Life cycle: create -> watch (again after each reload) ->
 * destroy.
 */
#ifndef CDN_ROUTER_HEALTH_H
#define CDN_ROUTER_HEALTH_H
#include "common/loop.h"
#include "common/status.h"
#include "common/str.h"
#include "router/pulse.h"
#include "router/table/table.h"

#include <jansson.h>
#include <stdint.h>

#define ROUTER_HEALTH_METRICS(X)                                             \
    X(COUNTER, probe_ok_total, "Probes that succeeded")                      \
    X(COUNTER, probe_failed_total, "Probes that failed, time-outs included") \
    X(COUNTER, probe_timeout_total, "Probes that took too long")             \
    X(COUNTER, edge_down_total, "Times that an edge fell sick")              \
    X(COUNTER, edge_up_total, "Times that an edge recovered")

struct router_health;

struct router_health_times {
    int64_t interval_ms, timeout_ms;
    int64_t slow_ms; /* on top of the modelled time; 0: the time-out alone counts */
    struct router_pulse_rule rule;
};

/* `proxy`: probes go through it (probe_proxy); borrowed; empty: none. */
enum cdn_status router_health_create(struct loop *loop, const char *proxy, struct router_health **ret,
                                     struct cdn_error *err) CDN_MUST_CHECK;
void router_health_destroy(struct router_health *health); /* NULL is fine */
/* Probes the edges of `table` (a reference is taken) from now on. What is known of edges with the same name
 * and admin address is kept. */
void router_health_watch(struct router_health *health, struct router_table *table,
                         const struct router_health_times *times);
/* It failed a request: it is probed at once, if none is under way and the last one is not just over. An edge
 * that there is not is passed over. */
void router_health_suspect(struct router_health *health, struct cdn_str name);
/* What is known of an edge: healthy, known, probe_ms (measured), last_change_ms, error, load, ... */
json_t *router_health_edge_json(const struct router_health *health, uint16_t edge);
/* A transition that somebody else caused (drain, weight, pin), for the list of events and the log. */
void router_health_note(struct router_health *health, uint16_t edge, const char *event, const char *text);
json_t *router_health_events_json(const struct router_health *health); /* oldest first */
void router_health_metrics(const struct router_health *health, struct cdn_buf *out);

#endif
