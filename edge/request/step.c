/* The table of states as data, and the loop over them. In debug builds a state that returns what its row does
 * not name ends the process: the diagram is true, or a test says so. */
#include "edge/request/step.h"

#include "edge/request/txn.h"

#include <assert.h>
#include <stddef.h>

#include "common/banned.h"

#define TO(name) (UINT32_C(1) << EDGE_STEP_##name)

static const struct {
    enum edge_step (*run)(struct edge_txn *txn);
    uint32_t successors;
    const char *name;
    const char *what;
} steps[EDGE_STEP_COUNT] = {[EDGE_STEP_DONE] = {NULL, 0, "DONE", "answered"},
                            [EDGE_STEP_WAIT] = {NULL, 0, "WAIT", "suspended until somebody resumes it"},
#define X(name, function, successors, what) \
    [EDGE_STEP_##name] = {function, TO(DONE) | (successors), #name, what},
                            EDGE_STEPS(X)
#undef X
};

void edge_step_run(struct edge_txn *t)
{
    enum edge_step step = t->step;
    while (step > EDGE_STEP_WAIT) {
        const enum edge_step next = steps[step].run(t);
        assert(steps[step].successors >> next & 1);
        step = next;
    }
}

const char *edge_step_name(enum edge_step step)
{
    return steps[step].name;
}

const char *edge_step_what(enum edge_step step)
{
    return steps[step].what;
}

uint32_t edge_step_successors(enum edge_step step)
{
    return steps[step].successors;
}
