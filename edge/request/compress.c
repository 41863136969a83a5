/* compress: the queue and its helper thread. It compresses what hits ask for, not what is stored:
 * most answers are never asked for again. A form's state is atomic, so a worker that looks for
 * one takes no lock. */
#include "edge/request/compress.h"

#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_field_cache.h"
#include "common/lock.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/memory/budget.h"
#include "edge/memory/lock_order.h"
#include "edge/request/coding.h"
#include "edge/request/txn.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/banned.h"

#define QUEUE_MAX 256u
#define NICENESS 10 /* serving comes first */

struct job {
    struct job *next;
    struct edge_ram *ram; /* counted */
    enum edge_coded_form form;
};

struct edge_compress {
    struct edge *edge;
    struct edge_coding_rules rules; /* fixed */
    pthread_t thread;
    struct cdn_lock lock; /* guards all below */
    pthread_cond_t some;
    struct job *first;
    struct job **last;
    unsigned count;
    bool started;
    bool stop;
};

/* ---- the helper thread ---- */

static struct job *take_job(struct edge_compress *z) /* waits; NULL at the end */
{
    cdn_lock_take(&z->lock);
    while (!z->first && !z->stop) {
        cdn_lock_wait(&z->lock, &z->some);
    }
    struct job *job = z->stop ? NULL : z->first;
    if (job) {
        z->first = job->next;
        z->last = z->first ? z->last : &z->first;
        z->count--;
    }
    cdn_lock_drop(&z->lock);
    return job;
}

static void carry_out(struct edge_compress *z, const struct job *job)
{
    const struct edge_blob *plain = job->ram->blob;
    struct edge_service_metrics *m = &z->edge->service;
    if (!edge_budget_has(plain->n)) { /* not now */
        atomic_store(&edge_blob_coded(job->ram->blob)->state[job->form], EDGE_CODED_NONE);
        return;
    }
    struct edge_blob *blob = edge_coding_compress(&z->rules, job->form, plain->data, plain->n);
    cdn_metric_add(&m->compress_in_bytes_total, plain->n);
    cdn_metric_add(&m->compress_out_bytes_total, blob ? blob->n : 0);
    cdn_metric_add(blob ? &m->compressed_total : &m->compress_useless_total, 1);
    edge_cache_add_coded(z->edge->cache, job->ram, job->form, blob);
}

static void *work(void *arg)
{
    struct edge_compress *z = arg;
    struct job *job;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread alone, on Linux */
    while ((job = take_job(z))) {
        carry_out(z, job);
        edge_ram_unref(job->ram);
        free(job);
    }
    return NULL;
}

static bool enqueue(struct edge_compress *z, struct edge_ram *ram, enum edge_coded_form form)
{
    struct job *job = cdn_malloc(sizeof(*job));
    *job = (struct job){.ram = ram, .form = form};
    cdn_lock_take(&z->lock);
    const bool room = z->count < QUEUE_MAX;
    if (room) {
        edge_ram_ref(ram);
        z->count++;
        *z->last = job;
        z->last = &job->next;
        pthread_cond_signal(&z->some);
    }
    cdn_lock_drop(&z->lock);
    if (!room) {
        free(job);
    }
    return room;
}

/* ---- life ---- */

enum cdn_status edge_compress_create(struct edge *edge, struct edge_compress **ret, struct cdn_error *err)
{
    struct edge_coding_rules rules;
    enum cdn_status status = edge_coding_rules_read(&edge->settings, &rules, err);
    if (status != CDN_OK) {
        return status;
    }
    if (!edge_coding_any(&rules)) {
        edge_coding_rules_free(&rules);
        *ret = NULL;
        return CDN_OK;
    }
    struct edge_compress *z = cdn_calloc(1, sizeof(*z));
    z->edge = edge;
    z->rules = rules;
    z->last = &z->first;
    cdn_lock_init(&z->lock, EDGE_LOCK_COMPRESS);
    pthread_cond_init(&z->some, NULL);
    int problem = pthread_create(&z->thread, NULL, work, z);
    z->started = problem == 0;
    if (!z->started) {
        edge_compress_destroy(z);
        return cdn_error_set(err, CDN_IO, "compress: cannot start its thread: %s", strerror(problem));
    }
    pthread_setname_np(z->thread, "compress");
    *ret = z;
    return CDN_OK;
}

void edge_compress_destroy(struct edge_compress *z)
{
    if (!z) {
        return;
    }
    if (z->started) {
        cdn_lock_take(&z->lock);
        z->stop = true;
        pthread_cond_signal(&z->some);
        cdn_lock_drop(&z->lock);
        pthread_join(z->thread, NULL);
    }
    for (struct job *job = z->first, *next; job; job = next) {
        next = job->next;
        edge_ram_unref(job->ram);
        free(job);
    }
    cdn_lock_destroy(&z->lock);
    pthread_cond_destroy(&z->some);
    edge_coding_rules_free(&z->rules);
    free(z);
}

/* ---- choosing ---- */

static enum edge_coded_form wanted_form(struct edge_txn *t, const struct edge_compress *z)
{
    CDN_AUTOBUF struct cdn_buf accepts = {0};
    const struct cdn_str *f = t->http->field; /* ranges and strong comparison want the plain form */
    if (f[HTTP_REQ_RANGE].p || f[HTTP_REQ_IF_MATCH].p || http_cc_has(&t->control.cc, HTTP_CC_NO_TRANSFORM) ||
        !http_request_joined(t->http, HTTP_REQ_ACCEPT_ENCODING, &accepts)) {
        return EDGE_CODED_COUNT;
    }
    const enum edge_coded_form form = edge_coding_wanted(&z->rules, cdn_buf_str(&accepts));
    return form != EDGE_CODED_COUNT &&
                   edge_coding_eligible(&z->rules, t->hold.rep->head, (int64_t)t->hold.ram->blob->n)
               ? form
               : EDGE_CODED_COUNT;
}

/* The form if it is there; asks for it when nobody has. */
static bool find_form(struct edge_txn *t, struct edge_compress *z, enum edge_coded_form form,
                      struct edge_blob **ret_blob)
{
    struct edge_coded *coded = edge_blob_coded(t->hold.ram->blob);
    unsigned state = EDGE_CODED_NONE;
    if (atomic_compare_exchange_strong(&coded->state[form], &state, EDGE_CODED_WAITING)) {
        if (!enqueue(z, t->hold.ram, form)) {
            atomic_store(&coded->state[form], EDGE_CODED_NONE);
            cdn_metric_add(&t->worker->metrics.compress_skipped_total, 1);
        }
        return false;
    }
    *ret_blob = state == EDGE_CODED_DONE ? coded->blob[form] : NULL;
    return state == EDGE_CODED_DONE;
}

void edge_compress_choose(struct edge_txn *t, struct edge_chosen *ret)
{
    struct edge_compress *z = t->worker->edge->compress;
    *ret = (struct edge_chosen){.rep = edge_rep_ref(t->hold.rep), .blob = t->hold.ram->blob, .settled = true};
    const enum edge_coded_form form = z ? wanted_form(t, z) : EDGE_CODED_COUNT;
    struct edge_blob *blob = NULL;
    struct edge_head *head;
    if (form == EDGE_CODED_COUNT) {
        return;
    }
    ret->settled = find_form(t, z, form, &blob);
    if (blob && edge_coding_head(t->hold.rep->head, form, &head, NULL) == CDN_OK) {
        edge_rep_unref(ret->rep);
        ret->rep = edge_rep_with(t->hold.rep, head, &t->hold.rep->fresh, t->hold.rep->stored_ms);
        ret->blob = blob;
    }
}

bool edge_compress_adds_vary(const struct edge_compress *z, const struct edge_head *head)
{
    return z && !edge_coding_varies(head) && edge_coding_eligible(&z->rules, head, -1);
}
