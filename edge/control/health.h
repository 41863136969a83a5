/* health: asks origins whether they are well: at their interval those with a path for that, and once a second
 * one that failed and has another beside it in a rule, so that it is asked again as soon as it is back. An
 * origin that is the only one of its rules and has no path is found out by requests alone (breaker.h).
 *
 * All on the control loop's thread; what requests read are atomics of the origin. Life cycle: create (before
 * the workers run) -> destroy.
 */
#ifndef CDN_EDGE_HEALTH_H
#define CDN_EDGE_HEALTH_H
#include "common/status.h"
#include "edge/base/worker.h"

struct edge_health;

enum cdn_status edge_health_create(struct edge *edge, struct edge_health **ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
/* Other rules are in force: looks again, as long as there is somebody to look at. */
void edge_health_wake(struct edge_health *health);
void edge_health_destroy(struct edge_health *health); /* NULL is fine */

#endif
