/* demo: the stages of the demonstration, each of which is shown as it goes: a folder to serve, a
 * CDN of real processes on free ports, clients of many places, a report, and the end of all
 * processes whatever happened before. */
#include "cli/demo/demo.h"

#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/child.h"
#include "cli/run/plan.h"
#include "cli/run/ports.h"
#include "cli/run/state.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/parse.h"
#include "geo-data/places.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define UP_LIMIT_MS 30000
#define UP_POLL_NS 10000000L
#define PORT_TRIES 40u
#define PORT_STEP 20u

volatile int demo_interrupted;

static void on_signal(int signal)
{
    (void)signal;
    demo_interrupted = 1;
}

/* ---- addresses ---- */

static bool is_free(const char *host, unsigned port)
{
    CDN_AUTOFREE char *text = cdn_asprintf("%s:%u", host, port);
    struct cdn_addr address;
    return cdn_parse_host_port(cdn_str(text), &address) && ports_free(&address);
}

static bool all_free(const struct plan_ports *ports)
{
    const unsigned central[] = {ports->router, ports->origin};
    for (size_t i = 0; i < CDN_ARRAY_LEN(central); i++) {
        if (!is_free(ports->router_host, central[i]) || !is_free(ports->router_host, central[i] + 1000)) {
            return false;
        }
    }
    if (!is_free(ports->router_host, plan_dns_port(ports))) {
        return false;
    }
    for (unsigned i = 0; i < GEO_DEFAULT_EDGES; i++) {
        CDN_AUTOFREE char *host = cdn_asprintf("127.0.1.%u", ports->first_edge + i);
        if (!is_free(host, ports->edges) || !is_free(host, ports->edges + 1000)) {
            return false;
        }
    }
    return true;
}

/* Two demos that start together would find the same ports free: a name in the abstract namespace of Unix
 * sockets, which the kernel gives back when the process ends, decides. */
static bool claim(unsigned port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "pocketcdn-demo-%u", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&name, length) == 0) {
        return true; /* held until the end */
    }
    if (fd >= 0) {
        close(fd);
    }
    return false;
}

/* The usual ports, or the next ones where nobody listens, so that a demo beside a running CDN disturbs
 * nothing. */
static enum cdn_status choose_ports(struct plan_ports *ports, struct cdn_error *err)
{
    *ports = plan_default_ports;
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        if (claim(ports->router) && all_free(ports)) {
            return CDN_OK;
        }
        ports->router += PORT_STEP;
        ports->origin += PORT_STEP;
        ports->edges += PORT_STEP;
    }
    return cdn_error_set(err, CDN_CONFLICT, "no free ports from %u to %u on 127.0.0.1 and 127.0.1.*",
                         plan_default_ports.router, ports->router);
}

/* ---- the CDN ---- */

static enum cdn_status write_config(const struct demo *demo, const char *path, struct cdn_error *err)
{
    struct plan_ports ports;
    struct plan_wish wish = {.root = demo->root};
    CDN_AUTOBUF struct cdn_buf text = {0};
    enum cdn_status status = choose_ports(&ports, err);
    if (status != CDN_OK) {
        return status;
    }
    plan_default_yaml(&wish, &ports, &text);
    FILE *file = fopen(path, "we");
    bool written = file && fwrite(text.p, 1, text.n, file) == text.n;
    if ((file && fclose(file)) || !written) {
        return cdn_error_set(err, CDN_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return CDN_OK;
}

static char *text_of(const json_t *object, const char *key)
{
    return cdn_strdup(json_string_value(json_object_get(object, key)));
}

/* True when `up` has said that all is up; its addresses are then known. */
static bool is_ready(struct demo *demo, const char *state)
{
    struct cdn_error none;
    json_t *up;
    if (state_read(state, &up, &none)) {
        return false;
    }
    bool ready = json_is_true(json_object_get(up, "ready"));
    if (ready) {
        demo->router = text_of(up, "router");
        demo->router_admin = text_of(up, "router_admin");
        demo->origin_admin = text_of(json_array_get(json_object_get(up, "nodes"), 0), "admin");
    }
    json_decref(up);
    return ready;
}

static enum cdn_status wait_until_up(struct demo *demo, const char *state, const char *log,
                                     struct cdn_error *err)
{
    const struct timespec pause = {.tv_nsec = UP_POLL_NS};
    for (int64_t began = cdn_clock_mono_ms(); !is_ready(demo, state); nanosleep(&pause, NULL)) {
        if (demo_interrupted) {
            return cdn_error_set(err, CDN_UNAVAILABLE, "interrupted");
        }
        if (waitpid(demo->up, NULL, WNOHANG) != 0) {
            CDN_AUTOBUF struct cdn_buf tail = {0};
            demo->up = 0;
            child_log_tail(log, 4, "", &tail);
            return cdn_error_set(err, CDN_UNAVAILABLE, "the CDN did not start: %s",
                                 tail.n ? tail.p : "no output");
        }
        if (cdn_clock_mono_ms() - began > UP_LIMIT_MS) {
            return cdn_error_set(err, CDN_TIMEOUT, "the CDN was not up within %d s", UP_LIMIT_MS / 1000);
        }
    }
    return CDN_OK;
}

static enum cdn_status start_cdn(struct demo *demo, struct cdn_error *err)
{
    CDN_AUTOFREE char *self = NULL, *config = cdn_asprintf("%s/cdn.yaml", demo->folder);
    CDN_AUTOFREE char *state = cdn_asprintf("%s/state", demo->folder),
                      *log = cdn_asprintf("%s/up.log", demo->folder);
    enum cdn_status status = write_config(demo, config, err);
    if (status == CDN_OK) {
        status = child_program("pocketcdn", &self, err);
    }
    char up[] = "up", with_config[] = "-c", with_state[] = "--state", with_root[] = "--root";
    char *const argv[] = {self, up, with_config, config, with_state, state, with_root, demo->root, NULL};
    if (status == CDN_OK) {
        status = child_start(argv, log, &demo->up, err);
    }
    return status != CDN_OK ? status : wait_until_up(demo, state, log, err);
}

/* Ends `up`, which ends all others, and waits for it. */
static void stop_cdn(struct demo *demo)
{
    int wait_status = 0;
    if (!demo->up) {
        return;
    }
    kill(demo->up, SIGTERM);
    while (waitpid(demo->up, &wait_status, 0) < 0 && errno == EINTR) {
        continue;
    }
    if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status)) {
        cdn_buf_printf(&demo->wrong, "the CDN did not end well\n");
    }
    demo->up = 0;
}

static enum cdn_status read_origin(struct demo *demo, struct cdn_error *err)
{
    json_t *report, *value;
    const char *key;
    enum cdn_status status = demo_ask(demo->origin_admin, "/status", &report, err);
    if (status != CDN_OK) {
        return status;
    }
    json_t *metrics = json_object_get(report, "metrics");
    json_object_foreach(metrics, key, value) if (strncmp(key, "request_total", strlen("request_total")) == 0)
    {
        demo->origin_requests += (uint64_t)json_number_value(value);
    }
    demo->origin_bytes = (uint64_t)json_number_value(json_object_get(metrics, "body_bytes_total"));
    json_decref(report);
    return CDN_OK;
}

/* ---- all of it ---- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static enum cdn_status make_folder(struct demo *demo, struct cdn_error *err)
{
    const char *tmp = getenv("TMPDIR");
    CDN_AUTOFREE char *folder = cdn_asprintf("%s/pocketcdn-demo-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        return cdn_error_set(err, CDN_IO, "%s: %s", folder, strerror(errno));
    }
    demo->folder = CDN_TAKE(folder);
    return CDN_OK;
}

static void say(const struct demo *demo, const char *text)
{
    if (!demo->options->json) {
        cli_print("%s", text);
        cli_print("\n");
        fflush(stdout);
    }
}

static enum cdn_status show(struct demo *demo, struct cdn_error *err)
{
    say(demo, demo->options->root ? "1. a folder of files" : "1. Django collects its admin's static files");
    enum cdn_status status = demo_site(demo, err);
    if (status == CDN_OK) {
        say(demo, "2. an origin, ten edges and a router start");
        status = start_cdn(demo, err);
    }
    if (status == CDN_OK) {
        say(demo, "3. clients in 20 cities ask the router, and fetch from the edge that it names; then once "
                  "more");
        say(demo, "");
        status = demo_visits(demo, err);
    }
    if (status == CDN_OK) {
        status = read_origin(demo, err);
    }
    stop_cdn(demo);
    if (status == CDN_OK) {
        demo_report(demo);
    }
    return status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    struct demo demo = {.options = opaque};
    struct sigaction action = {.sa_handler = on_signal};
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s'", args->items[0]);
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    enum cdn_status status = make_folder(&demo, err);
    if (status != CDN_OK) {
        return status;
    }
    status = show(&demo, err);
    if (nftw(demo.folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS)) {
        cli_complain("pocketcdn demo: cannot remove %s\n", demo.folder);
    }
    if (status == CDN_OK && demo.wrong.n) {
        status = cdn_error_set(err, CDN_NOT_FOUND, "not everything was as it should be");
    }
    demo_visits_free(&demo);
    demo_site_free(&demo);
    free(demo.folder);
    free(demo.router);
    free(demo.router_admin);
    free(demo.origin_admin);
    cdn_buf_free(&demo.wrong);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct demo_options, __VA_ARGS__)
static const struct cli_option rows[] = {DEMO_OPTIONS(ROW)};

const struct cli_command cli_command_demo = {
    .name = "demo",
    .summary = "A whole CDN on Django's static files, visited from 20 cities, in seconds",
    .usage = "[--root DIR] [--json]",
    .more = "Starts a CDN of its own on free ports, in a temporary folder, and leaves nothing behind. Every "
            "body is compared with\n"
            "the file. Exit code 1 when anything is not as it should be.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct demo_options),
    .run = run,
};
