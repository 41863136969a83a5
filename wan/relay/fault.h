/* fault: what is wrong with links while the network runs: cut, slower, lossy. A link is named by its ends,
 * "fra-origin", "Tokyo-nrt", "*-origin": a node's name, a place (all who stand there), or * for anybody.
 * Values only: whoever changes them applies them to the connections there are. */
#ifndef CDN_WAN_RELAY_FAULT_H
#define CDN_WAN_RELAY_FAULT_H
#include "common/status.h"
#include "wan/path/path.h"
#include "wan/relay/end.h"
#include "wan/relay/world.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAN_FAULTS_MAX 256u

#define WAN_DIRECTIONS(X) X(BOTH, "both") X(THERE, "there") X(BACK, "back")
enum wan_direction {
#define X(name, word) WAN_##name,
    WAN_DIRECTIONS(X)
#undef X
};

struct wan_fault_end {
    bool any;
    const struct wan_node *node; /* or else, without any: */
    double lat, lon;
};

struct wan_fault {
    char link[160]; /* as it was given */
    struct wan_fault_end ends[2];
    enum wan_direction direction; /* there: from the end that is named first to the other */
    bool cut;
    int64_t delay_ns; /* more round trip, all of it in the direction, or half in each */
    double loss;
    int64_t rate; /* bytes a second; 0: as the path has it */
    uint64_t seed;
};

struct wan_faults { /* zeroed: none */
    struct wan_fault items[WAN_FAULTS_MAX];
    size_t n;
};

/* A change as POST /faults brings it: {"link":"fra-origin","cut":true}; {"link":...,"off":true}; {"off":true}
 * for all. One with the link and direction of an older one takes its place. */
enum cdn_status wan_faults_change(struct wan_faults *faults, const struct wan_world *world, json_t *body,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* To another world; those whose ends are not there any more are gone. */
void wan_faults_move(struct wan_faults *faults, const struct wan_world *to);
json_t *wan_faults_json(const struct wan_faults *faults); /* a list */

/* Both directions of a path between two ends, with what is wrong with them. Returns the seeds' sum. */
uint64_t wan_faults_apply(const struct wan_faults *faults, const struct wan_end *from,
                          const struct wan_end *to, struct wan_path *there, struct wan_path *back);

#endif
