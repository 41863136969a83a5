/* route: the round trip is halved, one nanosecond more on the way up when it is odd: up and down add up to
 * what the model says, exactly. */
#include "wan/relay/route.h"

#include "wan/path/profile.h"

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)

static double either(double a, double b) /* of two independent chances */
{
    return 1 - (1 - a) * (1 - b);
}

void wan_route_find(const struct wan_settings *settings, const struct wan_faults *faults,
                    const struct wan_client *client, const struct wan_end *to, int64_t rtt_ns,
                    struct wan_route *ret)
{
    const struct wan_profile *mile = client->profile;
    int64_t whole_ns = rtt_ns >= 0 ? rtt_ns : wan_end_rtt_ns(client->end, to);
    whole_ns += mile ? mile->rtt_ns : 0;
    struct wan_path up = {.there_ns = whole_ns - whole_ns / 2,
                          .back_ns = whole_ns / 2,
                          .largest_window = (int64_t)settings->window,
                          .loss = either(settings->loss, mile ? mile->loss : 0),
                          .jitter_ns = settings->jitter * NS_PER_MS + (mile ? mile->jitter_ns : 0)};
    struct wan_path down = up;
    down.there_ns = up.back_ns;
    down.back_ns = up.there_ns;
    up.bytes_per_s = mile ? mile->up : 0;
    down.bytes_per_s = mile ? mile->down : 0;
    if (!whole_ns && rtt_ns < 0) { /* nowhere: no network at all */
        up = down = (struct wan_path){.largest_window = (int64_t)settings->window};
    }
    uint64_t seed = faults ? wan_faults_apply(faults, client->end, to, &up, &down) : 0;
    *ret = (struct wan_route){.up = up, .down = down, .seed = seed};
}
