/* daemon: the frame of a daemon on its main loop. Signals arrive by signalfd as events among
 * others, so no handler runs at a moment that nobody chose; draining is polled, since what still
 * runs is known to the program alone. */
#include "common/daemon/daemon.h"

#include "common/clock.h"
#include "common/daemon/daemon_admin.h"
#include "common/http/server/http_server.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/banned.h"

#define DRAIN_LIMIT_NS INT64_C(30000000000)
#define DRAIN_POLL_NS INT64_C(10000000)
#define BODY_LIMIT (1u << 20)

static const int handled[] = {SIGTERM, SIGINT, SIGHUP};

static struct daemon *owner_of_timer(struct loop_timer *timer)
{
    return CDN_CONTAINER_OF(timer, struct daemon, drain_timer);
}

static struct daemon *owner_of_signals(struct loop_fd *watch)
{
    return CDN_CONTAINER_OF(watch, struct daemon, signals);
}

static void poll_drained(struct loop_timer *timer)
{
    struct daemon *daemon = owner_of_timer(timer);
    const struct daemon_config *config = &daemon->config;
    bool late = cdn_clock_mono_ns() >= daemon->drain_until_ns;
    if (late) {
        cdn_log(CDN_LOG_WARN, "drain_timeout", "limit_s=%d", (int)(DRAIN_LIMIT_NS / 1000000000));
    }
    if (late || !config->drained || config->drained(config->self)) {
        loop_stop(daemon->loop);
        return;
    }
    loop_timer_start(daemon->loop, timer, DRAIN_POLL_NS);
}

void daemon_stop(struct daemon *daemon)
{
    if (daemon->draining) { /* asked twice: whoever asks does not want to wait */
        loop_stop(daemon->loop);
        return;
    }
    daemon->draining = true;
    daemon->drain_until_ns = cdn_clock_mono_ns() + DRAIN_LIMIT_NS;
    cdn_log(CDN_LOG_INFO, "draining", "limit_s=%d", (int)(DRAIN_LIMIT_NS / 1000000000));
    if (daemon->config.drain) {
        daemon->config.drain(daemon->config.self);
    }
    poll_drained(&daemon->drain_timer);
}

enum cdn_status daemon_reload(struct daemon *daemon, struct cdn_error *err)
{
    const struct daemon_config *config = &daemon->config;
    if (!config->reload) {
        return cdn_error_set(err, CDN_NOT_FOUND, "%s has nothing to reload", config->program);
    }
    struct cdn_error own = {0};
    int64_t start_ms = cdn_clock_mono_ms();
    enum cdn_status status = config->reload(config->self, &own);
    if (status != CDN_OK) {
        cdn_log(CDN_LOG_ERROR, "reload_failed", "error=%s", own.text);
        return cdn_error_set(err, status, "%s", own.text);
    }
    cdn_log(CDN_LOG_INFO, "reloaded", "took_ms=%" PRId64, cdn_clock_mono_ms() - start_ms);
    return CDN_OK;
}

static void on_signals(struct loop_fd *watch, uint32_t events)
{
    struct daemon *daemon = owner_of_signals(watch);
    struct signalfd_siginfo info;
    (void)events;
    while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            struct cdn_error ignored; /* logged already */
            (void)!daemon_reload(daemon, &ignored);
        } else {
            daemon_stop(daemon);
        }
    }
}

static sigset_t handled_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < CDN_ARRAY_LEN(handled); i++) {
        sigaddset(&set, handled[i]);
    }
    return set;
}

static enum cdn_status watch_signals(struct daemon *daemon, struct cdn_error *err)
{
    sigset_t set = handled_set();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "signalfd: %s", strerror(errno));
    }
    daemon->signals = (struct loop_fd){.fd = fd, .events = EPOLLIN, .ready = on_signals};
    enum cdn_status status = loop_fd_add(daemon->loop, &daemon->signals, err);
    if (status != CDN_OK) {
        close(fd);
        daemon->signals.fd = -1;
    }
    return status;
}

/* ---- descriptors ---- */

#define FIXED_DESCRIPTORS 14u /* that an idle daemon has open */
#define WORKER_DESCRIPTORS 10u
#define LEAST_DESCRIPTORS 16u
#define FEW_CLIENTS 1000u

static uint64_t descriptor_limit(void)
{
    struct rlimit files;
    return getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY ? UINT64_MAX
                                                                                    : files.rlim_cur;
}

/* Of the admin listener. */
static uint64_t admin_descriptors(void)
{
    const uint64_t part = descriptor_limit() / 16;
    return part > 6 ? part : 6;
}

static unsigned admin_connections(unsigned configured)
{
    const unsigned most = configured ? configured : 1024;
    const unsigned share = http_server_limit_within(admin_descriptors());
    return most < share ? most : share;
}

unsigned daemon_admin_connections(const struct daemon *daemon)
{
    return admin_connections(daemon->config.connections);
}

uint64_t daemon_descriptors(unsigned workers)
{
    const uint64_t limit = descriptor_limit();
    const uint64_t fixed = FIXED_DESCRIPTORS + (uint64_t)workers * WORKER_DESCRIPTORS;
    const unsigned admin = admin_connections(0);
    const uint64_t own = fixed + admin + http_server_spare(admin);
    return limit == UINT64_MAX ? limit : limit > own + LEAST_DESCRIPTORS ? limit - own : LEAST_DESCRIPTORS;
}

unsigned daemon_client_connections(unsigned configured, unsigned workers)
{
    const unsigned share = http_server_limit_within(daemon_descriptors(workers) / workers / 2);
    if (share >= configured) {
        return configured;
    }
    cdn_log(share < FEW_CLIENTS ? CDN_LOG_WARN : CDN_LOG_DEBUG, "descriptors",
            "limit=%" PRIu64 " threads=%u connections=%u max_connections=%u", descriptor_limit(), workers,
            share, configured);
    return share;
}

static enum cdn_status admin_address(const struct daemon_config *config, struct cdn_addr *ret,
                                     struct cdn_error *err)
{
    if (!cdn_parse_host_port(cdn_str(config->admin_listen), ret)) {
        return cdn_error_set(err, CDN_INVALID, "admin: \"%.64s\" is not an address such as 127.0.0.1:9088",
                             config->admin_listen ? config->admin_listen : "");
    }
    if (!cdn_addr_is_loopback(ret) && (!config->admin_token || !config->admin_token[0])) {
        return cdn_error_set(err, CDN_INVALID,
                             "admin: %s is not on loopback: that needs a bearer token (--admin-token)",
                             config->admin_listen);
    }
    return CDN_OK;
}

static enum cdn_status start_admin(struct daemon *daemon, struct cdn_error *err)
{
    struct http_server_config server = {.max_connections = admin_connections(daemon->config.connections),
                                        .max_body = BODY_LIMIT,
                                        .handler = &daemon_admin_handler,
                                        .handler_self = daemon};
    enum cdn_status status = admin_address(&daemon->config, &server.listen, err);
    return status == CDN_OK ? http_server_start(daemon->loop, &server, &daemon->server, err) : status;
}

enum cdn_status daemon_create(const struct daemon_config *config, struct daemon **ret, struct cdn_error *err)
{
    struct daemon *daemon = cdn_calloc(1, sizeof(*daemon));
    daemon->config = *config;
    daemon->signals.fd = -1;
    daemon->drain_timer.fire = poll_drained;
    daemon->started_ms = cdn_clock_mono_ms();
    enum cdn_status status = loop_create(&daemon->loop, err);
    if (status == CDN_OK) {
        status = watch_signals(daemon, err);
    }
    if (status == CDN_OK) {
        status = start_admin(daemon, err);
    }
    if (status != CDN_OK) {
        daemon_destroy(daemon);
        return status;
    }
    cdn_clock_allow_travel(config->simulate);
    *ret = daemon;
    return CDN_OK;
}

void daemon_destroy(struct daemon *daemon)
{
    if (!daemon) {
        return;
    }
    http_server_stop(daemon->server);
    if (daemon->signals.fd >= 0) {
        loop_fd_remove(daemon->loop, &daemon->signals);
        close(daemon->signals.fd);
    }
    if (daemon->loop) {
        loop_timer_stop(daemon->loop, &daemon->drain_timer);
        loop_destroy(daemon->loop);
    }
    free(daemon);
}

struct loop *daemon_loop(struct daemon *daemon)
{
    return daemon->loop;
}

void daemon_admin_address(const struct daemon *daemon, struct cdn_addr *ret)
{
    http_server_address(daemon->server, ret);
}

void daemon_run(struct daemon *daemon, const struct cdn_addr *public_address)
{
    char admin[CDN_ADDR_TEXT_SIZE];
    char public[CDN_ADDR_TEXT_SIZE];
    struct cdn_addr address;
    daemon_admin_address(daemon, &address);
    cdn_addr_format(&address, admin);
    if (public_address) {
        cdn_addr_format(public_address, public);
        cdn_log(CDN_LOG_INFO, "ready", "public=%s admin=%s", public, admin);
    } else {
        cdn_log(CDN_LOG_INFO, "ready", "admin=%s", admin);
    }
    loop_run(daemon->loop);
    cdn_log(CDN_LOG_INFO, "stopped", "uptime_s=%" PRId64, (cdn_clock_mono_ms() - daemon->started_ms) / 1000);
}

int daemon_fail(const char *program, const struct cdn_error *err)
{
    fprintf(stderr, "%s: %s\n", program, err->text);
    return cdn_status_exit_code(err->status);
}
