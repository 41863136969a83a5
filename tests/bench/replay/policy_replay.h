/* policy_replay: what a policy makes of a trace. Shared by the program `policy-replay` and the golden tests.
 *
 * The conventions are libCacheSim's: sizes are bodies only, the size of the insertion stays, an object larger
 * than the capacity is a miss and not stored, otherwise evict while used + size > capacity, then insert.
 */
#ifndef CDN_TESTS_POLICY_REPLAY_H
#define CDN_TESTS_POLICY_REPLAY_H
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

struct replay_request {
    uint64_t id;
    uint64_t size;
};

struct replay_result {
    uint64_t requests, bytes;
    uint64_t misses, missed_bytes;
};

struct replay;

enum cdn_status replay_create(const char *policy, uint64_t capacity, struct replay **ret,
                              struct cdn_error *err);
bool replay_ask(struct replay *r, struct replay_request request); /* whether it was a hit */
const struct replay_result *replay_result(const struct replay *r);
void replay_destroy(struct replay *r);

/* A record of libCacheSim's oracleGeneral format: 24 bytes. */
#define REPLAY_RECORD 24
struct replay_request replay_parse(const unsigned char record[static REPLAY_RECORD]);

#endif
