/* POST /faults, for every daemon that has a public listener: the rules are checked whole, kept here for
 * /status and /health, and sent to each worker as a message, so that no request waits for another thread. The
 * answer comes when all have taken them: so the next request meets them. */
#include "common/daemon/daemon.h"
#include "common/daemon/daemon_admin.h"
#include "common/http/server/http_faults.h"
#include "common/http/server/http_mhd_response.h"
#include "common/http/server/http_server.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define LOOK_NS INT64_C(1000000)

struct switching { /* an answer that waits for the workers */
    struct loop_timer timer;
    struct loop *loop;
    struct http_request *req;
    struct http_fault_set *set;
};

static void look(struct loop_timer *timer)
{
    struct switching *s = CDN_CONTAINER_OF(timer, struct switching, timer);
    if (atomic_load(&s->set->taken) < atomic_load(&s->set->given)) {
        loop_timer_start(s->loop, &s->timer, LOOK_NS);
        return;
    }
    daemon_answer_json(s->req, 200, json_pack("{s:s}", "status", "ok"));
}

static void over(void *arg)
{
    struct switching *s = arg;
    loop_timer_stop(s->loop, &s->timer);
    http_fault_set_unref(s->set);
    free(s);
}

/* Takes the set. */
static void await_workers(struct daemon *daemon, struct http_request *req, struct http_fault_set *set)
{
    struct switching *s = cdn_calloc(1, sizeof(*s));
    *s = (struct switching){.timer.fire = look, .loop = daemon->loop, .req = req, .set = set};
    daemon_on_end(req, over, s);
    http_request_suspend(req);
    loop_timer_start(s->loop, &s->timer, 0);
}

static enum cdn_status switch_on(struct daemon *daemon, struct http_request *req, json_t *body,
                                 struct cdn_error *err)
{
    struct http_faults rules;
    enum cdn_status status = http_faults_parse(body, &rules, err);
    if (status != CDN_OK) {
        return status;
    }
    if ((rules.truncate_rate > 0 || rules.corrupt_rate > 0 || rules.slow) && !http_mhd_response_is_known()) {
        return cdn_error_set(err, CDN_UNAVAILABLE,
                             "faults: truncate_rate, corrupt_rate and slow are not for this libmicrohttpd");
    }
    struct http_fault_set *set = http_fault_set_create(&rules);
    daemon->faults = rules;
    daemon->config.disturb(daemon->config.self, set);
    CDN_AUTOFREE char *text = json_dumps(body, JSON_COMPACT | JSON_ENSURE_ASCII);
    cdn_log(CDN_LOG_WARN, "faults", "rules=%s", text ? text : "");
    await_workers(daemon, req, set);
    return CDN_OK;
}

void daemon_set_faults(void *self, struct http_request *req, json_t *body)
{
    struct daemon *daemon = self;
    const struct daemon_config *config = &daemon->config;
    struct cdn_error err;
    enum cdn_status status;
    if (!config->disturb && !config->faults) {
        status = cdn_error_set(&err, CDN_NOT_FOUND, "%s has no faults to switch on", config->program);
    } else if (!config->simulate) {
        status = cdn_error_set(&err, CDN_REFUSED, "faults: simulation is off (start with --simulate)");
    } else {
        status =
            config->disturb ? switch_on(daemon, req, body, &err) : config->faults(config->self, body, &err);
    }
    if (status != CDN_OK) {
        daemon_answer_error(req, &err);
    } else if (!config->disturb) {
        daemon_answer_json(req, 200, json_pack("{s:s}", "status", "ok"));
    }
}

struct message {
    struct http_fault_set *set;
    struct http_server *const *server;
};

static void take(void *arg)
{
    struct message *m = arg;
    if (*m->server) {
        http_server_disturb(*m->server, m->set);
    }
    atomic_fetch_add(&m->set->taken, 1);
    http_fault_set_unref(m->set);
    free(m);
}

void daemon_disturb(struct http_fault_set *set, struct loop *loop, struct http_server *const *server)
{
    struct message *m = cdn_malloc(sizeof(*m));
    *m = (struct message){.set = http_fault_set_ref(set), .server = server};
    atomic_fetch_add(&set->given, 1);
    loop_post(loop, take, m);
}
