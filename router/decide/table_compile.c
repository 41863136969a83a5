/* table_compile: one thread at a time compiles; a newer table stops the one under way. The result
 * comes back as a message of the loop, so nothing here is shared but a flag to stop. */
#include "router/decide/table_compile.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/status.h"
#include "router/decide/compiled.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct job {
    struct router_compiler *compiler; /* NULL: nobody waits for it any more */
    struct router_table *table;
    struct loop *loop;
    pthread_t thread;
    _Atomic bool stop;
    enum cdn_status status;
    struct cdn_error err;
    int64_t took_ms;
};

#define COMPILER_METRICS(X)                                               \
    X(COUNTER, compile_total, "Tables compiled")                          \
    X(COUNTER, compile_failed_total, "Tables that could not be compiled") \
    X(GAUGE, compiled, "1: decisions come from a compiled table")         \
    X(GAUGE, compiled_bytes, "Memory of the compiled table")              \
    X(GAUGE, compiled_milliseconds, "What the last compilation took")
CDN_METRICS_STRUCT(compiler_metrics, COMPILER_METRICS);
static const struct cdn_metric_row metric_rows[] = {COMPILER_METRICS(CDN_METRIC_ROW)};

struct router_compiler {
    struct loop *loop;
    struct job *job; /* under way, or NULL */
    enum cdn_status status;
    struct cdn_error err; /* of the last one that failed */
    struct router_compiled_info info;
    struct compiler_metrics metrics;
};

static void job_free(struct job *job)
{
    router_table_unref(job->table);
    free(job);
}

static void note(struct router_compiler *c, const struct job *job)
{
    c->status = job->status;
    c->info = (struct router_compiled_info){0};
    if (job->status == CDN_OK) {
        router_compiled_info(atomic_load(&job->table->compiled), &c->info);
        cdn_metric_add(&c->metrics.compile_total, 1);
        cdn_log(CDN_LOG_INFO, "compiled", "rows=%zu classes=%zu networks=%zu bytes=%zu ms=%lld", c->info.rows,
                c->info.classes, c->info.networks[0] + c->info.networks[1], c->info.bytes,
                (long long)job->took_ms);
    } else {
        c->err = job->err;
        cdn_metric_add(&c->metrics.compile_failed_total, 1);
        cdn_log(CDN_LOG_ERROR, "compile_failed", "error=%s", job->err.text);
    }
    cdn_metric_set(&c->metrics.compiled, job->status == CDN_OK);
    cdn_metric_set(&c->metrics.compiled_bytes, c->info.bytes);
    cdn_metric_set(&c->metrics.compiled_milliseconds, (uint64_t)job->took_ms);
}

/* On the loop's thread. */
static void finish(void *arg)
{
    struct job *job = arg;
    if (job->compiler) {
        pthread_join(job->thread, NULL);
        job->compiler->job = NULL;
        note(job->compiler, job);
    }
    job_free(job);
}

static void *work(void *arg)
{
    struct job *job = arg;
    int64_t start = cdn_clock_mono_ms();
    job->status = router_compiled_build(job->table, &job->stop, &job->err);
    job->took_ms = cdn_clock_mono_ms() - start;
    loop_post(job->loop, finish, job);
    return NULL;
}

static void give_up(struct router_compiler *c)
{
    if (!c->job) {
        return;
    }
    atomic_store(&c->job->stop, true);
    pthread_join(c->job->thread, NULL);
    c->job->compiler = NULL; /* its message, which is waiting in the loop, frees it */
    c->job = NULL;
}

struct router_compiler *router_compiler_create(struct loop *loop)
{
    struct router_compiler *c = cdn_calloc(1, sizeof(*c));
    c->loop = loop;
    return c;
}

void router_compiler_destroy(struct router_compiler *compiler)
{
    if (!compiler) {
        return;
    }
    give_up(compiler);
    free(compiler);
}

void router_compiler_submit(struct router_compiler *compiler, struct router_table *table)
{
    give_up(compiler);
    struct job *job = cdn_calloc(1, sizeof(*job));
    *job = (struct job){.compiler = compiler, .table = router_table_ref(table), .loop = compiler->loop};
    sigset_t all, before; /* signals are the control thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&job->thread, NULL, work, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    compiler->job = failed ? NULL : job;
    cdn_metric_set(&compiler->metrics.compiled, 0);
    if (failed) {
        job->status =
            cdn_error_set(&job->err, CDN_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
        note(compiler, job);
        job_free(job);
    }
}

json_t *router_compiler_json(const struct router_compiler *compiler)
{
    const struct router_compiled_info *info = &compiler->info;
    const char *state = compiler->job ? "compiling" : compiler->status == CDN_OK ? "compiled" : "failed";
    bool failed = !compiler->job && compiler->status != CDN_OK;
    return json_pack(
        "{s:s, s:s?, s:I, s:I, s:I, s:I, s:I}", "state", state, "error", failed ? compiler->err.text : NULL,
        "rows", (json_int_t)info->rows, "classes", (json_int_t)info->classes, "networks",
        (json_int_t)info->networks[0] + (json_int_t)info->networks[1], "bytes", (json_int_t)info->bytes, "ms",
        (json_int_t)cdn_metric_get(&compiler->metrics.compiled_milliseconds));
}

void router_compiler_metrics(const struct router_compiler *compiler, struct cdn_buf *out)
{
    uint64_t values[CDN_ARRAY_LEN(metric_rows)] = {0};
    cdn_metrics_sum(&compiler->metrics, values, CDN_ARRAY_LEN(values));
    cdn_metrics_prometheus("pocketcdn_router_", metric_rows, values, CDN_ARRAY_LEN(values), out);
}
