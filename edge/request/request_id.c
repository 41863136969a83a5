/* request_id: 128 bits from the kernel's secret of this thread's worker and a count: unique, and of no use
 * to who guesses one, since it opens nothing. */
#include "edge/request/request_id.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/mix.h"
#include "common/parse.h"
#include "common/secret.h"
#include "edge/base/worker.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

static bool note(void *arg, struct cdn_str name, struct cdn_str value)
{
    edge_trace_note(arg, name, value);
    return true;
}

void edge_request_trace(struct edge_txn *t, struct edge_trace *ret)
{
    struct cdn_addr peer;
    *ret = (struct edge_trace){0};
    http_request_each_field(t->http, note, ret);
    edge_trace_check(ret);
    http_request_client(t->http, &peer);
    if (!http_is_trusted(&edge_tuning_now(t->worker->edge)->trust, &peer)) {
        ret->request_id = (struct cdn_str){0};
    }
}

static void make(struct edge_txn *t)
{
    struct edge_worker *w = t->worker;
    if (!w->request_id_seed[0]) {
        w->request_id_seed[0] = cdn_secret64() | 1;
        w->request_id_seed[1] = cdn_secret64();
    }
    const uint64_t high = cdn_mix_next(&w->request_id_seed[0]);
    edge_trace_write_request_id(high, cdn_mix_next(&w->request_id_seed[1]), t->request_id);
}

struct cdn_str edge_request_id(struct edge_txn *t)
{
    struct edge_trace trace;
    if (!t->request_id[0]) {
        edge_request_trace(t, &trace);
        if (trace.request_id.p) {
            cdn_str_copy(t->request_id, sizeof(t->request_id), trace.request_id);
        } else {
            make(t);
        }
    }
    return cdn_str(t->request_id);
}
