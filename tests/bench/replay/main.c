/* policy-replay: replays an oracleGeneral trace through an eviction policy and prints misses and missed
 * bytes.
 *
 *     policy-replay TRACE POLICY[,POLICY...] CAPACITY[,CAPACITY...]
 * One line a pair: policy, capacity, requests, misses, missed bytes, miss ratio, byte miss ratio. Exit: 0,
 * 2, 3.
 */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/bench/replay/policy_replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

struct trace {
    const unsigned char *records;
    size_t n;
};

static enum cdn_status map_trace(const char *path, struct trace *ret, struct cdn_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return cdn_error_set(err, CDN_IO, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (st.st_size <= 0 || st.st_size % REPLAY_RECORD != 0) {
        close(fd);
        return cdn_error_set(err, CDN_INVALID, "%s: %lld bytes are no whole records of %d", path,
                             (long long)st.st_size, REPLAY_RECORD);
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED) {
        return cdn_error_set(err, CDN_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    }
    *ret = (struct trace){map, (size_t)st.st_size / REPLAY_RECORD};
    return CDN_OK;
}

static enum cdn_status run(const struct trace *t, const char *policy, uint64_t capacity,
                           struct cdn_error *err)
{
    struct replay *r = NULL;
    enum cdn_status status = replay_create(policy, capacity, &r, err);
    if (status != CDN_OK) {
        return status;
    }
    for (size_t i = 0; i < t->n; i++) {
        replay_ask(r, replay_parse(t->records + i * REPLAY_RECORD));
    }
    const struct replay_result *x = replay_result(r);
    printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %.4f %.4f\n", policy, capacity, x->requests,
           x->misses, x->missed_bytes, (double)x->misses / (double)x->requests,
           x->bytes ? (double)x->missed_bytes / (double)x->bytes : 0.0);
    replay_destroy(r);
    return CDN_OK;
}

static enum cdn_status run_all(const struct trace *t, const char *policies, const char *capacities,
                               struct cdn_error *err)
{
    for (struct cdn_str rest = cdn_str(policies); rest.p;) {
        CDN_AUTOFREE char *policy = cdn_str_dup(cdn_str_cut(&rest, ','));
        for (struct cdn_str sizes = cdn_str(capacities); sizes.p;) {
            struct cdn_str text = cdn_str_cut(&sizes, ',');
            uint64_t capacity = 0;
            if (!cdn_parse_size(text, &capacity)) {
                return cdn_error_set(err, CDN_USAGE, "capacity '" CDN_STR_FMT "' is not a size",
                                     CDN_STR_ARG(text));
            }
            enum cdn_status status = run(t, policy, capacity, err);
            if (status != CDN_OK) {
                return status;
            }
        }
    }
    return CDN_OK;
}

int main(int argc, char **argv)
{
    struct cdn_error err = {0};
    struct trace t = {0};
    enum cdn_status status = CDN_USAGE;
    if (argc != 4) {
        cdn_error_set(&err, CDN_USAGE, "usage: policy-replay TRACE POLICY[,...] CAPACITY[,...]");
    } else {
        status = map_trace(argv[1], &t, &err);
    }
    if (status == CDN_OK) {
        status = run_all(&t, argv[2], argv[3], &err);
    }
    if (status != CDN_OK) {
        fprintf(stderr, "policy-replay: %s\n", err.text);
    }
    return cdn_status_exit_code(status);
}
