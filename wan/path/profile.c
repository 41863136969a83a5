/* The table of last miles, best first. None has jitter of its own: a modelled time stays one that can be
 * checked, and who wants jitter sets it. */
#include "wan/path/profile.h"

#include "common/mem.h"

#include "common/banned.h"

#define BYTES_PER_MBIT 125000
#define NS_PER_US 1000

static const struct wan_profile profiles[] = {
#define X(word, down_mbit, up_mbit, rtt_us, loss_ppm, words) \
    {.name = (word),                                         \
     .text = (words),                                        \
     .down = (int64_t)((down_mbit)*BYTES_PER_MBIT),          \
     .up = (int64_t)((up_mbit)*BYTES_PER_MBIT),              \
     .rtt_ns = (int64_t)(rtt_us)*NS_PER_US,                  \
     .loss = (loss_ppm) / 1e6},
    WAN_PROFILE_TABLE(X)
#undef X
};

const struct wan_profile *wan_profile_find(struct cdn_str name)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(profiles); i++) {
        if (cdn_str_eq_nocase(cdn_str(profiles[i].name), name)) {
            return &profiles[i];
        }
    }
    return NULL;
}

size_t wan_profile_count(void)
{
    return CDN_ARRAY_LEN(profiles);
}

const struct wan_profile *wan_profile_at(size_t i)
{
    return &profiles[i];
}
