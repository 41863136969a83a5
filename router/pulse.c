/* pulse: two counters and a threshold that grows when an edge flaps. All state is in the struct and
 * the time comes as a value, so a day of probes is a test of milliseconds. */
#include "router/pulse.h"

#include "common/banned.h"

#define FLAPS_MAX 5u

unsigned router_pulse_threshold(const struct router_pulse *pulse, const struct router_pulse_rule *rule)
{
    if (!pulse->proven) {
        return 1;
    }
    if (!pulse->sick) {
        return rule->down;
    }
    return rule->up << (pulse->flaps > 1 ? pulse->flaps - 1 : 0);
}

static enum router_pulse_change change(struct router_pulse *p, bool sick, int64_t now_ms)
{
    if (sick) {
        bool soon = p->changed_ms != 0 && now_ms - p->changed_ms < ROUTER_FLAP_WINDOW_MS;
        p->flaps = !soon ? 0 : p->flaps < FLAPS_MAX ? p->flaps + 1 : FLAPS_MAX;
    }
    p->sick = sick;
    p->against = 0;
    p->changed_ms = now_ms;
    return sick ? ROUTER_PULSE_FELL : ROUTER_PULSE_ROSE;
}

enum router_pulse_change router_pulse_beat(struct router_pulse *pulse, const struct router_pulse_rule *rule,
                                           bool ok, int64_t now_ms)
{
    unsigned needed = router_pulse_threshold(pulse, rule);
    pulse->known = true;
    pulse->proven = pulse->proven || ok;
    pulse->against = ok == !pulse->sick ? 0 : pulse->against + 1;
    if (pulse->against < needed) {
        return ROUTER_PULSE_SAME;
    }
    return change(pulse, !ok, now_ms);
}
