/* The waits are callbacks on other threads; each posts the job back to its loop. */
#include "edge/purge/purge_job.h"

#include "common/loop.h"
#include "edge/base/worker.h"
#include "edge/store/store.h"

#include "common/banned.h"

static void settled(void *arg) /* loop thread */
{
    struct edge_purge_job *job = arg;
    job->done(job);
}

static void post_settled(void *arg) /* disk writer's thread */
{
    struct edge_purge_job *job = arg;
    loop_post(job->loop, settled, job);
}

static bool apply(struct edge_purge_job *job)
{
    if (!job->apply(job) || !job->edge->store) {
        return true;
    }
    edge_store_settle(job->edge->store, post_settled, job);
    return false;
}

static void loaded(void *arg) /* loop thread */
{
    struct edge_purge_job *job = arg;
    if (apply(job)) {
        job->done(job);
    }
}

static void post_loaded(void *arg) /* loader's thread */
{
    struct edge_purge_job *job = arg;
    loop_post(job->loop, loaded, job);
}

bool edge_purge_job_run(struct edge_purge_job *job)
{
    job->loaded = (struct edge_cache_load_waiter){.done = post_loaded, .arg = job};
    return edge_cache_await_load(job->edge->cache, &job->loaded) ? false : apply(job);
}
