/* pulse: from the results of probes to healthy or sick, with thresholds and damping. Pure: the time is a
 * value.
 *
 * `down` failures in a row make an edge sick, `up` successes in a row make it healthy. Of an edge that was
 * never probed the first result decides. An edge that falls sick again within a minute of its recovery flaps:
 * from the second such fall on, each one doubles the successes that it needs (up to 16 times), until it has
 * been healthy for a minute.
 */
#ifndef CDN_ROUTER_PULSE_H
#define CDN_ROUTER_PULSE_H
#include <stdbool.h>
#include <stdint.h>

#define ROUTER_FLAP_WINDOW_MS 60000

struct router_pulse_rule {
    unsigned up, down; /* results in a row; at least 1 */
};

struct router_pulse { /* zero: never probed */
    bool known;
    bool sick;
    bool proven;        /* has succeeded once */
    unsigned against;   /* results in a row that speak against the state */
    unsigned flaps;     /* falls that came within the window */
    int64_t changed_ms; /* monotonic, of the last change; 0: none */
};

enum router_pulse_change { ROUTER_PULSE_SAME, ROUTER_PULSE_FELL, ROUTER_PULSE_ROSE };

enum router_pulse_change router_pulse_beat(struct router_pulse *pulse, const struct router_pulse_rule *rule,
                                           bool ok, int64_t now_ms);
/* Results in a row that would change the state. */
unsigned router_pulse_threshold(const struct router_pulse *pulse, const struct router_pulse_rule *rule);

#endif
