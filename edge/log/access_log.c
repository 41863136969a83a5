/* access_log: the writer thread. Files, pipes and terminals are written differently: a file
 * blocks for the disk only, a pipe for its reader, who may never read; so a pipe is asked first
 * and given no more than it takes at once. What is lost is counted by lines. */
#include "edge/log/access_log.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/log/access_ring.h"
#include "edge/semantics/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define RING_SIZE ((size_t)1 << 20)
#define BATCH_BYTES ((size_t)64 * 1024)
#define FLUSH_MS 100
/* A pipe takes this much at once when poll() says that it takes anything (PIPE_BUF). */
#define PIPE_PIECE 4096u
/* At the end of the process a reader that does not read is waited for this long. */
#define STOP_POLLS 10

struct edge_access_log {
    struct edge *edge;
    const char *path; /* borrowed from the settings; "-": standard output */
    enum edge_access_format format;
    pthread_t thread;
    int wake; /* eventfd */
    _Atomic bool woken;
    _Atomic bool stop;
    _Atomic int next_fd; /* opened by a reload; -1: none */
    /* writer's thread */
    int fd;
    bool regular; /* a file: writing blocks for the disk only */
    bool torn;    /* the last write ended within a line */
    uint64_t failures;
    struct cdn_buf batch;
};

/* ---- the file ---- */

static enum cdn_status open_file(const char *path, int *ret, struct cdn_error *err)
{
    const bool out = path[0] == '-' && !path[1];
    int fd = out ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "access_log: cannot open %s: %s", out ? "standard output" : path,
                             strerror(errno));
    }
    *ret = fd;
    return CDN_OK;
}

static void use_file(struct edge_access_log *log, int fd)
{
    struct stat about;
    if (log->fd >= 0) {
        close(log->fd);
    }
    log->fd = fd;
    log->regular = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    log->torn = false;
}

static void tell(struct edge_access_log *log)
{
    if (!atomic_load_explicit(&log->woken, memory_order_relaxed) && !atomic_exchange(&log->woken, true)) {
        const uint64_t one = 1;
        (void)!write(log->wake, &one, sizeof(one));
    }
}

/* ---- writer ---- */

/* Whether a pipe or terminal has room; false when the process is
 * about to end and its reader does not read. */
static bool wait_room(struct edge_access_log *log)
{
    struct pollfd out = {.fd = log->fd, .events = POLLOUT};
    for (int polls = 0; poll(&out, 1, FLUSH_MS) == 0;) {
        polls += atomic_load(&log->stop);
        if (polls >= STOP_POLLS) {
            return false;
        }
    }
    return true;
}

/* How many bytes went out. */
static size_t write_out(struct edge_access_log *log, struct cdn_str bytes)
{
    size_t done = 0;
    while (done < bytes.n) {
        size_t n = bytes.n - done;
        if (!log->regular) {
            n = n < PIPE_PIECE ? n : PIPE_PIECE;
            if (!wait_room(log)) {
                return done;
            }
        }
        ssize_t written = write(log->fd, bytes.p + done, n);
        if (written <= 0 && errno != EINTR && errno != EAGAIN) {
            return done;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    return done;
}

static uint64_t count_lines(struct cdn_str bytes)
{
    uint64_t lines = 0;
    for (const char *p = bytes.p; (p = memchr(p, '\n', bytes.n - (size_t)(p - bytes.p))); p++) {
        lines++;
    }
    return lines;
}

static void note_failure(struct edge_access_log *log, uint64_t lost)
{
    const int problem = errno;
    log->failures++;
    cdn_metric_add(&log->edge->service.access_log_lost_total, lost);
    if ((log->failures & (log->failures - 1)) == 0) { /* a full disk must not fill the log as well */
        cdn_log(CDN_LOG_WARN, "access_log", "file=%s error=%s lost=%" PRIu64 " times=%" PRIu64, log->path,
                strerror(problem), lost, log->failures);
    }
}

static void write_batch(struct edge_access_log *log)
{
    struct cdn_str batch = cdn_buf_str(&log->batch);
    if (!batch.n) {
        return;
    }
    if (log->torn && write_out(log, CDN_STR("\n")) == 1) {
        log->torn = false;
    }
    const uint64_t lines = count_lines(batch);
    const size_t done = log->torn ? 0 : write_out(log, batch);
    uint64_t lost = 0;
    if (done < batch.n) {
        lost = count_lines(cdn_str_sub(batch, done));
        log->torn = log->torn || (done && batch.p[done - 1] != '\n');
        note_failure(log, lost);
    }
    cdn_metric_add(&log->edge->service.access_log_written_total, lines - lost);
    cdn_buf_clear(&log->batch);
}

/* At most what the ring holds now, so that one busy worker does not keep the others waiting. */
static void drain(struct edge_access_log *log, struct edge_access_ring *ring)
{
    const struct cdn_str edge = cdn_str(log->edge->settings.name);
    const struct edge_access_record *r;
    for (size_t taken = 0; taken < RING_SIZE && (r = edge_access_ring_peek(ring));) {
        taken += r->size;
        edge_access_line(r, log->format, edge, &log->batch);
        edge_access_ring_pop(ring);
        if (log->batch.n >= BATCH_BYTES) {
            write_batch(log);
        }
    }
}

static void turn(struct edge_access_log *log)
{
    atomic_store(&log->woken, false);
    for (unsigned i = 0; i < log->edge->worker_count; i++) {
        drain(log, log->edge->worker[i].access);
    }
    write_batch(log);
    int next = atomic_exchange(&log->next_fd, -1);
    if (next >= 0) {
        use_file(log, next);
    }
}

static void *work(void *arg)
{
    struct edge_access_log *log = arg;
    struct pollfd wake = {.fd = log->wake, .events = POLLIN};
    uint64_t count;
    while (!atomic_load(&log->stop)) {
        if (poll(&wake, 1, FLUSH_MS) > 0) {
            (void)!read(log->wake, &count, sizeof(count));
        }
        turn(log);
    }
    turn(log);
    return NULL;
}

/* ---- life ---- */

enum cdn_status edge_access_log_create(struct edge *edge, struct edge_access_log **ret, struct cdn_error *err)
{
    const struct edge_settings *s = &edge->settings;
    int fd = -1;
    if (!s->access_log[0]) {
        *ret = NULL;
        return CDN_OK;
    }
    enum cdn_status status = open_file(s->access_log, &fd, err);
    if (status != CDN_OK) {
        return status;
    }
    struct edge_access_log *log = cdn_calloc(1, sizeof(*log));
    log->edge = edge;
    log->path = s->access_log;
    log->format = (enum edge_access_format)s->access_log_format;
    log->fd = -1;
    log->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&log->next_fd, -1);
    use_file(log, fd);
    for (unsigned i = 0; i < edge->worker_count; i++) {
        edge->worker[i].access = edge_access_ring_create(RING_SIZE);
    }
    if (log->wake < 0 || pthread_create(&log->thread, NULL, work, log) != 0) {
        log->thread = 0;
        edge_access_log_destroy(log);
        return cdn_error_set(err, CDN_IO, "access_log: cannot start its thread: %s", strerror(errno));
    }
    pthread_setname_np(log->thread, "access-log");
    *ret = log;
    return CDN_OK;
}

void edge_access_log_destroy(struct edge_access_log *log)
{
    if (!log) {
        return;
    }
    if (log->thread) {
        atomic_store(&log->stop, true);
        tell(log);
        pthread_join(log->thread, NULL);
    }
    for (unsigned i = 0; i < log->edge->worker_count; i++) {
        edge_access_ring_destroy(CDN_TAKE(log->edge->worker[i].access));
    }
    close(log->fd);
    if (log->wake >= 0) {
        close(log->wake);
    }
    cdn_buf_free(&log->batch);
    free(log);
}

enum cdn_status edge_access_log_reopen(struct edge_access_log *log, struct cdn_error *err)
{
    int fd = -1;
    enum cdn_status status = log ? open_file(log->path, &fd, err) : CDN_OK;
    if (log && status == CDN_OK) {
        int unused = atomic_exchange(&log->next_fd, fd);
        if (unused >= 0) {
            close(unused);
        }
        tell(log);
    }
    return status;
}

/* ---- records ---- */

struct texts {
    struct cdn_str item[EDGE_ACCESS_TEXT_COUNT];
    struct edge_trace trace;
};

static bool find_texts(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct texts *t = arg;
    if (name.n == 7 && cdn_str_eq_nocase(name, CDN_STR("Referer"))) {
        t->item[EDGE_ACCESS_TEXT_referer] = value;
    } else if (name.n == 10 && cdn_str_eq_nocase(name, CDN_STR("User-Agent"))) {
        t->item[EDGE_ACCESS_TEXT_agent] = value;
    } else {
        edge_trace_note(&t->trace, name, value);
    }
    return true;
}

static void take_trace(struct edge_worker *w, struct http_request *req, struct cdn_str request_id,
                       struct texts *t)
{
    struct cdn_addr peer;
    edge_trace_check(&t->trace);
    t->item[EDGE_ACCESS_TEXT_trace] = t->trace.parent;
    t->item[EDGE_ACCESS_TEXT_request_id] = request_id;
    if (!request_id.n && t->trace.request_id.p) {
        http_request_client(req, &peer);
        if (http_is_trusted(&edge_tuning_now(w->edge)->trust, &peer)) {
            t->item[EDGE_ACCESS_TEXT_request_id] = t->trace.request_id;
        }
    }
}

void edge_access_log_add(struct edge_worker *w, struct http_request *req,
                         const struct edge_access_record *given, struct cdn_str request_id)
{
    struct texts texts = {.item = {
                              [EDGE_ACCESS_TEXT_method] = req->method_name,
                              [EDGE_ACCESS_TEXT_host] = req->host,
                              [EDGE_ACCESS_TEXT_target] = req->target,
                              [EDGE_ACCESS_TEXT_range] = req->field[HTTP_REQ_RANGE],
                          }};
    http_request_each_field(req, find_texts, &texts);
    if (request_id.n || texts.trace.parents || texts.trace.request_ids) {
        take_trace(w, req, request_id, &texts);
    }
    size_t size = sizeof(struct edge_access_record);
    for (unsigned i = 0; i < EDGE_ACCESS_TEXT_COUNT; i++) {
        const size_t max = edge_access_text_max((enum edge_access_text)i);
        texts.item[i].n = texts.item[i].n < max ? texts.item[i].n : max;
        size += texts.item[i].n;
    }
    struct edge_access_record *r = edge_access_ring_reserve(w->access, size);
    if (!r) {
        cdn_metric_add(&w->metrics.access_log_dropped_total, 1);
        return;
    }
    *r = *given;
    r->time_ms = loop_now_ms(w->loop) - cdn_clock_offset_ms();
    r->duration_us = (uint64_t)(cdn_clock_mono_ns() - req->started_ns) / 1000;
    r->secure = req->asked_secure;
    r->http10 = req->http10;
    http_forwarded_client(req, &edge_tuning_now(w->edge)->trust, &r->client);
    char *at = r->text;
    for (unsigned i = 0; i < EDGE_ACCESS_TEXT_COUNT; i++) {
        r->text_n[i] = (uint16_t)texts.item[i].n;
        if (texts.item[i].n) {
            memcpy(at, texts.item[i].p, texts.item[i].n);
            at += texts.item[i].n;
        }
    }
    if (edge_access_ring_commit(w->access, r, size)) {
        tell(w->edge->access_log);
    }
}
