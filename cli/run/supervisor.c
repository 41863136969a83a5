/* supervisor: one loop over children, probes and signals. A node that ends is started again with
 * growing pauses, what is shown and written follows from its state, and the end is a polite signal
 * first and SIGKILL after a while. */
#include "cli/run/supervisor.h"

#include "cli/run/child.h"
#include "cli/run/plan.h"
#include "cli/run/state.h"
#include "common/clock.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/banned.h"

#define MS 1000000LL
#define PROBE_STARTING_MS 15
#define PROBE_MS 1000
#define PROBE_EXTERNAL_MS 10000 /* of an external origin that answers: it need not know us well */
#define PROBE_TIMEOUT_MS 2000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000
#define BACKOFF_RESET_MS 60000
#define START_LIMIT_MS 30000
#define STAGE_WAIT_MS 1000
#define SYNC_WAIT_MS \
    2000 /* for the edges to have read the router's purge log: before that they check every reuse */
#define STOP_GRACE_MS 10000
#define PROBE_BODY_MAX (1u << 20)

struct supervisor;

struct node {
    struct supervisor *owner;
    struct supervisor_node *view;
    struct loop_timer probe, restart;
    struct http_fetch *fetch;
    bool asks_status; /* the running fetch is GET /status, not /health */
    bool synced;      /* an edge that has read the purge log */
    unsigned answer_status;
    struct cdn_buf answer;
    char *log;
    int64_t started_ms, backoff_ms;
};

struct supervisor {
    const struct supervisor_config *config;
    struct loop *loop;
    struct http_client *client;
    struct loop_fd signals;
    struct loop_timer tick, limit, stage_wait;
    struct node *nodes;
    struct supervisor_node *views;
    size_t n;
    int64_t began_ms;
    int64_t all_up_ms; /* when all answered; 0: not yet */
    size_t started;    /* of the nodes, stage by stage */
    bool all_were_up, stopping;
    enum cdn_status status;
    struct cdn_error *err;
};

const char *supervisor_state_word(enum supervisor_state state)
{
    static const char *const words[] = {
#define X(name, word) word,
        SUPERVISOR_STATES(X)
#undef X
    };
    return words[state];
}

static void say(struct supervisor *s, const char *fmt, ...) CDN_PRINTF(2, 3);
static void say(struct supervisor *s, const char *fmt, ...)
{
    char text[1024];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof(text), fmt, list);
    va_end(list);
    s->config->say(s->config->self, text);
}

static void show(struct supervisor *s)
{
    s->config->tick(s->config->self, s->views, s->n);
}

static void begin_stop(struct supervisor *s);

static void fail(struct supervisor *s, enum cdn_status status, const char *fmt, ...) CDN_PRINTF(3, 4);
static void fail(struct supervisor *s, enum cdn_status status, const char *fmt, ...)
{
    if (!s->status) {
        char text[400];
        va_list list;
        va_start(list, fmt);
        vsnprintf(text, sizeof(text), fmt, list);
        va_end(list);
        s->status = cdn_error_set(s->err, status, "%s", text);
    }
    begin_stop(s);
}

static void write_state(struct supervisor *s)
{
    json_t *all = plan_json(s->config->plan), *nodes = json_object_get(all, "nodes");
    for (size_t i = 0; i < s->n; i++) {
        json_t *node = json_array_get(nodes, i);
        json_object_set_new(node, "pid", json_integer(s->views[i].pid));
        json_object_set_new(node, "restarts", json_integer(s->views[i].restarts));
    }
    json_object_set_new(all, "pid", json_integer(getpid()));
    json_object_set_new(all, "ready", json_boolean(s->all_were_up));
    struct cdn_error err;
    enum cdn_status status = state_write(s->config->state_dir, all, &err);
    if (status != CDN_OK && s->all_were_up) {
        say(s, "%s", err.text);
    } else if (status != CDN_OK) { /* nobody would find what starts here */
        fail(s, status, "%s", err.text);
    }
    json_decref(all);
}

/* ---- probes ---- */

static void probe(struct loop_timer *timer);

static void start_node(struct node *node);

/* The nodes of the next stage: the network between the places, then origin and edges, then the router. */
static void start_stage(struct supervisor *s)
{
    size_t end = s->started + 1;
    if (s->started == s->n || s->stopping) {
        return;
    }
    while (s->views[s->started].plan->kind != PLAN_WAN && end + 1 < s->n) {
        end++;
    }
    while (s->started < end && !s->stopping) {
        start_node(&s->nodes[s->started++]);
    }
    loop_timer_stop(s->loop, &s->stage_wait);
    if (s->started < s->n) {
        loop_timer_start(s->loop, &s->stage_wait, STAGE_WAIT_MS * MS);
    }
    write_state(s);
}

static void stage_waited(struct loop_timer *timer)
{
    start_stage(CDN_CONTAINER_OF(timer, struct supervisor, stage_wait));
}

static bool waits_for_sync(const struct node *node)
{
    const struct supervisor *s = node->owner;
    return s->all_up_ms && !s->all_were_up && node->view->plan->kind == PLAN_EDGE && !node->synced &&
           cdn_clock_mono_ms() - s->all_up_ms < SYNC_WAIT_MS;
}

static bool all_synced(struct supervisor *s)
{
    bool first = s->all_up_ms == 0;
    bool all = true;
    s->all_up_ms = first ? cdn_clock_mono_ms() : s->all_up_ms;
    for (size_t i = 0; i < s->n; i++) {
        struct node *node = &s->nodes[i];
        if (!waits_for_sync(node)) {
            continue;
        }
        all = false;
        if (first && !node->fetch) {
            node->asks_status = true;
            loop_timer_start(s->loop, &node->probe, 0);
        }
    }
    return all;
}

static void check_all_up(struct supervisor *s)
{
    size_t up = 0;
    for (size_t i = 0; i < s->n;
         i++) { /* an external origin is not waited for longer than its first answer */
        up += s->views[i].state == SUPERVISOR_UP ||
              (s->views[i].plan->external && s->views[i].state == SUPERVISOR_SICK);
    }
    if (up == s->started) {
        start_stage(s);
    }
    if (up < s->n || !all_synced(s)) {
        return;
    }
    s->all_were_up = true;
    loop_timer_stop(s->loop, &s->limit);
    write_state(s);
    s->config->all_up(s->config->self, cdn_clock_mono_ms() - s->began_ms);
}

static void say_turn(struct node *node, const char *why)
{
    struct supervisor *s = node->owner;
    const struct supervisor_node *view = node->view;
    bool up = view->state == SUPERVISOR_UP;
    if (view->plan->external && !up) {
        say(s, "warning: the origin %s does not answer (%s): the edges serve what they have, else errors",
            view->plan->url, why);
    } else if (!up) {
        say(s, "%s does not answer on %s/health", view->plan->name, view->plan->admin);
    } else if (s->all_were_up && view->plan->external) {
        say(s, "the origin %s answers again", view->plan->url);
    } else if (s->all_were_up) {
        say(s, "%s is up again (pid %ld)", view->plan->name, (long)view->pid);
    }
}

/* `why`: of a probe that failed. */
static void turn(struct node *node, enum supervisor_state state, const char *why)
{
    struct supervisor *s = node->owner;
    if (node->view->state == state) {
        return;
    }
    bool started = node->view->state == SUPERVISOR_STARTING;
    node->view->state = state;
    if (!(node->view->plan->external && started && state == SUPERVISOR_UP)) {
        say_turn(node, why);
    }
    if (!s->all_were_up && (state == SUPERVISOR_UP || node->view->plan->external)) {
        check_all_up(s);
    }
    show(s);
}

static void probe_head(void *arg, const struct http_fetch_head *head)
{
    ((struct node *)arg)->answer_status = head->status;
}

static bool probe_data(void *arg, const char *data, size_t n)
{
    struct node *node = arg;
    if (node->answer.n + n <= PROBE_BODY_MAX) {
        cdn_buf_add(&node->answer, data, n);
    }
    return true;
}

/* Any HTTP answer will do: what / says is the origin's business. */
static void external_probe_end(struct node *node, enum http_fetch_error error)
{
    bool well = error == HTTP_FETCH_NONE;
    turn(node, well ? SUPERVISOR_UP : SUPERVISOR_SICK, http_fetch_error_word(error));
    loop_timer_start(node->owner->loop, &node->probe, (well ? PROBE_EXTERNAL_MS : PROBE_MS) * MS);
}

static void probe_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct node *node = arg;
    struct supervisor *s = node->owner;
    bool well = error == HTTP_FETCH_NONE && node->answer_status == 200;
    (void)text;
    node->fetch = NULL;
    if (node->view->plan->external && !s->stopping) {
        external_probe_end(node, error);
        return;
    }
    if (s->stopping || !node->view->pid) {
        return;
    }
    if (well && node->asks_status) {
        json_decref(node->view->status);
        node->view->status = json_loadb(node->answer.p, node->answer.n, 0, NULL);
        node->synced = !json_is_true(json_object_get(node->view->status, "unsynced"));
    }
    if (well) {
        turn(node, SUPERVISOR_UP, "");
    } else if (node->view->state == SUPERVISOR_UP && !node->asks_status) {
        turn(node, SUPERVISOR_SICK, "");
    }
    if (s->all_up_ms && !s->all_were_up) {
        check_all_up(s);
    }
    const bool syncing = waits_for_sync(node);
    node->asks_status = syncing || (well && !node->asks_status && s->config->watch_status);
    if (node->asks_status && !syncing) {
        probe(&node->probe);
    } else {
        loop_timer_start(
            s->loop, &node->probe,
            (syncing || node->view->state == SUPERVISOR_STARTING ? PROBE_STARTING_MS : PROBE_MS) * MS);
    }
}

static void probe(struct loop_timer *timer)
{
    static const struct http_fetch_handler handler = {
        .head = probe_head, .data = probe_data, .end = probe_end};
    struct node *node = CDN_CONTAINER_OF(timer, struct node, probe);
    const struct plan_node *plan = node->view->plan;
    const char *path = plan->external ? "" : node->asks_status ? "/status" : "/health";
    CDN_AUTOFREE char *url = cdn_asprintf("%s%s", plan->admin, path);
    CDN_AUTOFREE char *bearer = cdn_asprintf("Bearer %s", plan->token);
    const struct http_field token = {CDN_STR("Authorization"), cdn_str(bearer)};
    node->answer_status = 0;
    cdn_buf_clear(&node->answer);
    struct http_fetch_request request = {.method = plan->external ? "HEAD" : "GET",
                                         .url = url,
                                         .fields = &token,
                                         .field_count = plan->token[0] ? 1 : 0,
                                         .handler = &handler,
                                         .arg = node,
                                         .total_timeout_ms = PROBE_TIMEOUT_MS};
    node->fetch = http_fetch_start(node->owner->client, &request);
}

/* ---- processes ---- */

static void start_node(struct node *node)
{
    struct supervisor *s = node->owner;
    struct cdn_error err;
    node->started_ms = cdn_clock_mono_ms();
    node->asks_status = false;
    node->view->state = SUPERVISOR_STARTING;
    if (node->view->plan->external) {
        loop_timer_start(s->loop, &node->probe, 0);
        return;
    }
    enum cdn_status status = child_start(node->view->plan->argv, node->log, &node->view->pid, &err);
    if (status != CDN_OK) {
        fail(s, status, "%s: %s", node->view->plan->name, err.text);
        return;
    }
    loop_timer_start(s->loop, &node->probe, PROBE_STARTING_MS * MS);
}

static void restart(struct loop_timer *timer)
{
    struct node *node = CDN_CONTAINER_OF(timer, struct node, restart);
    node->view->restarts++;
    start_node(node);
    write_state(node->owner);
    show(node->owner);
}

static void node_ended(struct node *node, int wait_status)
{
    struct supervisor *s = node->owner;
    const char *name = node->view->plan->name;
    char how[64];
    child_describe_end(wait_status, how);
    node->view->pid = 0;
    loop_timer_stop(s->loop, &node->probe);
    if (node->fetch) {
        http_fetch_cancel(CDN_TAKE(node->fetch));
    }
    if (s->stopping) {
        node->view->state = SUPERVISOR_STOPPED;
        return;
    }
    CDN_AUTOBUF struct cdn_buf tail = {0};
    child_log_tail(node->log, 3, "  | ", &tail);
    if (!s->all_were_up) {
        say(s, "%s ended with %s; the end of %s:", name, how, node->log);
        for (struct cdn_str rest = cdn_buf_str(&tail), line; rest.n;) {
            line = cdn_str_cut(&rest, '\n');
            say(s, CDN_STR_FMT, CDN_STR_ARG(line));
        }
        fail(s, CDN_UNAVAILABLE, "%s could not start", name);
        return;
    }
    if (cdn_clock_mono_ms() - node->started_ms > BACKOFF_RESET_MS || node->backoff_ms == 0) {
        node->backoff_ms = BACKOFF_FIRST_MS;
    } else if ((node->backoff_ms *= 2) > BACKOFF_MAX_MS) {
        node->backoff_ms = BACKOFF_MAX_MS;
    }
    node->view->state = SUPERVISOR_WAITING;
    say(s, "%s ended with %s; starting it again in %lld ms", name, how, (long long)node->backoff_ms);
    loop_timer_start(s->loop, &node->restart, node->backoff_ms * MS);
    write_state(s);
    show(s);
}

static bool all_ended(const struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->views[i].pid) {
            return false;
        }
    }
    return true;
}

static void reap(struct supervisor *s)
{
    int wait_status;
    for (pid_t pid; (pid = waitpid(-1, &wait_status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < s->n; i++) {
            if (s->views[i].pid == pid) {
                node_ended(&s->nodes[i], wait_status);
            }
        }
    }
    if (s->stopping && all_ended(s)) {
        loop_stop(s->loop);
    }
}

static void signal_all(struct supervisor *s, int signal)
{
    for (size_t i = s->n; i-- > 0;) {
        if (s->views[i].pid) {
            kill(s->views[i].pid, signal);
        }
    }
}

static void grace_over(struct loop_timer *timer)
{
    struct supervisor *s = CDN_CONTAINER_OF(timer, struct supervisor, limit);
    if (s->stopping) {
        signal_all(s, SIGKILL);
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        if (s->views[i].state != SUPERVISOR_UP) {
            fail(s, CDN_TIMEOUT, "%s does not answer on %s/health; its log is %s", s->views[i].plan->name,
                 s->views[i].plan->admin, s->nodes[i].log);
            return;
        }
    }
}

static void begin_stop(struct supervisor *s)
{
    if (s->stopping) {
        return;
    }
    s->stopping = true;
    for (size_t i = 0; i < s->n; i++) {
        loop_timer_stop(s->loop, &s->nodes[i].probe);
        loop_timer_stop(s->loop, &s->nodes[i].restart);
    }
    loop_timer_stop(s->loop, &s->tick);
    loop_timer_stop(s->loop, &s->stage_wait);
    signal_all(s, SIGTERM);
    loop_timer_start(s->loop, &s->limit, STOP_GRACE_MS * MS);
    if (all_ended(s)) {
        loop_stop(s->loop);
    }
}

static void on_signal(struct loop_fd *watch, uint32_t events)
{
    struct supervisor *s = CDN_CONTAINER_OF(watch, struct supervisor, signals);
    struct signalfd_siginfo info;
    (void)events;
    while (read(s->signals.fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            reap(s);
        } else if (s->stopping) {
            signal_all(s, SIGKILL);
        } else {
            say(s, "stopping");
            begin_stop(s);
        }
    }
}

static void on_tick(struct loop_timer *timer)
{
    struct supervisor *s = CDN_CONTAINER_OF(timer, struct supervisor, tick);
    show(s);
    loop_timer_start(s->loop, timer, 1000 * MS);
}

/* ---- life cycle ---- */

static enum cdn_status open_signals(struct supervisor *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = (struct loop_fd){
        .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), .events = EPOLLIN, .ready = on_signal};
    if (s->signals.fd < 0) {
        return cdn_error_set(s->err, CDN_IO, "signalfd: %s", strerror(errno));
    }
    return loop_fd_add(s->loop, &s->signals, s->err);
}

static void make_nodes(struct supervisor *s)
{
    const struct plan *plan = s->config->plan;
    s->n = plan->n;
    s->nodes = cdn_calloc(s->n, sizeof(*s->nodes));
    s->views = cdn_calloc(s->n, sizeof(*s->views));
    for (size_t i = 0; i < s->n; i++) {
        s->views[i].plan = &plan->nodes[i];
        s->nodes[i] =
            (struct node){.owner = s, .view = &s->views[i], .probe.fire = probe, .restart.fire = restart};
        s->nodes[i].log = cdn_asprintf("%s/%s.log", s->config->state_dir, plan->nodes[i].name);
    }
}

static void release(struct supervisor *s)
{
    if (s->client) {
        http_client_destroy(s->client);
    }
    if (s->loop && s->signals.ready) {
        loop_fd_remove(s->loop, &s->signals);
    }
    if (s->signals.ready && s->signals.fd >= 0) {
        close(s->signals.fd);
    }
    for (size_t i = 0; i < s->n; i++) {
        free(s->nodes[i].log);
        cdn_buf_free(&s->nodes[i].answer);
        json_decref(s->views[i].status);
    }
    free(s->nodes);
    free(s->views);
    loop_destroy(s->loop);
}

enum cdn_status supervisor_run(const struct supervisor_config *config, struct cdn_error *err)
{
    struct supervisor s = {.config = config,
                           .err = err,
                           .tick.fire = on_tick,
                           .limit.fire = grace_over,
                           .stage_wait.fire = stage_waited};
    static const struct http_client_config client = {.connect_timeout_ms = PROBE_TIMEOUT_MS};
    s.status = loop_create(&s.loop, err);
    if (!s.status) {
        s.status = http_client_create(s.loop, &client, &s.client, err);
    }
    if (!s.status) {
        s.status = open_signals(&s);
    }
    if (!s.status) {
        make_nodes(&s);
        s.began_ms = cdn_clock_mono_ms();
        start_stage(&s);
        loop_timer_start(s.loop, &s.tick, 1000 * MS);
        if (!s.stopping) {
            loop_timer_start(s.loop, &s.limit, START_LIMIT_MS * MS);
        }
        loop_run(s.loop);
    }
    release(&s);
    return s.status;
}
