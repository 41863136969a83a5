/* up: `pocketcdn up`: ports, plan, state folder, then the supervisor, in front or detached.
 * Detached it waits until all is up or has failed, so that the exit code of the shell is about the
 * CDN and not about a fork. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/authority_files.h"
#include "cli/run/plan.h"
#include "cli/run/ports.h"
#include "cli/run/state.h"
#include "cli/run/supervisor.h"
#include "cli/run/trust.h"
#include "cli/run/up_display.h"
#include "cli/run/zone.h"
#include "common/clock.h"
#include "common/folder.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/places.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/banned.h"

#define UP_OPTIONS(X)                                                                                        \
    X(TEXT, config, 'c', "FILE", "cdn.yaml; default: ten edges in ten cities of the world")                  \
    X(TEXT, root, 0, "DIR", "Folder to serve, by pocketcdn-origin")                                          \
    X(TEXT, releases, 0, "DIR", "Folder of what `publish` makes, to serve; before --root")                   \
    X(TEXT, origin, 0, "URL", "Origin that runs already, such as http://127.0.0.1:8000")                     \
    X(TEXT, port, 'p', "PORT",                                                                               \
      "Port of the router instead of 8080; all other ports move as far; 0: any free one")                    \
    X(FLAG, wan, 'w', NULL,                                                                                  \
      "Start the network between the places, too (port 1080, or PORT + 9): see `travel`")                    \
    X(FLAG, tls, 't', NULL, "HTTPS on the listeners of router and edges, by an authority of this CDN's own") \
    X(FLAG, one_host, 0, NULL,                                                                               \
      "All edges on 127.0.0.1, on ports from 8088 on: redirects keep cookies, sessions")                     \
    X(TEXT, mode, 'm', "MODE",                                                                               \
      "redirect (default): clients are sent to edges; proxy: their requests are handed on")                  \
    X(FLAG, detach, 'd', NULL, "Return when all is up, and leave it running")                                \
    X(TEXT, state, 0, "DIR", "Folder for caches, logs and who runs")

CLI_OPTIONS_STRUCT(up_options, UP_OPTIONS);

/* Router ports to choose from, below those that the kernel gives to outgoing connections. With this distance
 * the ports of two CDNs never meet (each has the router's, -27, up to +18 and all of them + 1000). */
#define TLS_LOOK_S 3600 /* time between two looks at the certificates */
#define PORT_FIRST 10080u
#define PORT_STEP 64u
#define PORT_CHOICES 310u

struct up {
    const struct up_options *options;
    char *state;
    char *config;
    struct plan *plan;
    struct authority_files tls; /* with --tls */
    struct up_display display;
    int64_t looked_s; /* when the certificates were last looked at */
    struct plan_ports ports;
    int claim_fd; /* with --port 0: the claim on the ports, held while the CDN runs */
    int ready_fd; /* with --detach: told when all is up */
};

/* ---- what the supervisor tells ---- */

static void say(void *self, const char *text)
{
    up_display_say(&((struct up *)self)->display, text);
}

/* A CDN may run for longer than its certificate lasts. */
static void renew(struct up *up, const struct supervisor_node *nodes, size_t n)
{
    const int64_t now_s = cdn_clock_real_ms() / 1000;
    struct authority_news news;
    struct cdn_error err;
    if (!up->tls.folder || now_s - up->looked_s < TLS_LOOK_S) {
        return;
    }
    up->looked_s = now_s;
    if (authority_files_prepare(&up->tls, (const char *const *)up->plan->names, up->plan->name_count, now_s,
                                &news, &err) != CDN_OK) {
        say(up, err.text);
        return;
    }
    for (size_t i = 0; i < n && news.site; i++) {
        const enum plan_kind kind = nodes[i].plan->kind;
        if (nodes[i].pid > 0 && (kind == PLAN_EDGE || kind == PLAN_ROUTER)) {
            kill(nodes[i].pid, SIGHUP);
        }
    }
    if (news.site) {
        say(up, news.authority ? "the authority was about to expire: there is a new one, to be trusted anew"
                               : "the certificate was about to expire: there is a new one");
    }
}

static void tick(void *self, const struct supervisor_node *nodes, size_t n)
{
    struct up *up = self;
    renew(up, nodes, n);
    up_display_nodes(&up->display, nodes, n);
}

/* From now on lines go to DIR/up.log, and the waiting parent may go. */
static void leave_terminal(struct up *up)
{
    CDN_AUTOFREE char *log = cdn_asprintf("%s/up.log", up->state);
    fflush(stdout);
    int fd = cdn_folder_open(AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        close(fd);
    }
    if (write(up->ready_fd, "r", 1) != 1) {
        fputs("nobody waits for this start any more\n", stderr);
    }
    close(up->ready_fd);
    up->ready_fd = -1;
}

/* Whoever wants the name in the browser's bar has to know that there is one. */
static void hint_dns(struct up *up)
{
    struct zone zone = {0};
    struct cdn_error none;
    char dns[CDN_ADDR_TEXT_SIZE], text[700];
    if (!up->options->one_host && zone_read_config(up->plan->config, &zone, &none) == CDN_OK &&
        zone.answers) {
        cdn_addr_format(&zone.dns, dns);
        (void)snprintf(text, sizeof(text),
                       "%s is answered by %s: `pocketcdn dns%s%s` has the lines for systemd-resolved and "
                       "dnsmasq",
                       zone.site, dns, up->options->state ? " --state " : "",
                       up->options->state ? up->options->state : "");
        say(up, text);
    }
    zone_free(&zone);
}

static void all_up(void *self, int64_t after_ms)
{
    struct up *up = self;
    const struct plan_node *router = &up->plan->nodes[up->plan->n - 1];
    char text[300];
    size_t n = 0;
    for (size_t i = 0; i < up->plan->n; i++) {
        n += !up->plan->nodes[i].external;
    }
    snprintf(text, sizeof(text), "all %zu are up after %.2f s; clients go to %s, logs are in %s", n,
             (double)after_ms / 1000, router->url, up->state);
    say(up, text);
    if (!up->display.live && up->ready_fd < 0) {
        for (size_t i = 0; i < up->plan->n; i++) {
            cli_print("  %-8s %-14s %s\n", up->plan->nodes[i].name, up->plan->nodes[i].place,
                      up->plan->nodes[i].url);
        }
    }
    hint_dns(up);
    fflush(stdout);
    if (up->ready_fd >= 0) {
        leave_terminal(up);
    }
}

/* ---- the stages ---- */

static enum cdn_status write_config(struct up *up, const struct plan_wish *wish, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    plan_default_yaml(wish, &up->ports, &text);
    up->config = cdn_asprintf("%s/cdn.yaml", up->state);
    return state_replace(up->state, "cdn.yaml", cdn_buf_str(&text), err);
}

static enum cdn_status prepare_tls(struct up *up, struct cdn_error *err)
{
    struct authority_news news;
    up->looked_s = cdn_clock_real_ms() / 1000;
    enum cdn_status status = authority_files_prepare(&up->tls, (const char *const *)up->plan->names,
                                                     up->plan->name_count, up->looked_s, &news, err);
    if (status == CDN_OK) {
        trust_print(up->tls.authority, up->tls.bundle, news.authority);
    }
    return status;
}

static enum cdn_status supervise(struct up *up, struct cdn_error *err)
{
    struct supervisor_config config = {.plan = up->plan,
                                       .state_dir = up->state,
                                       .watch_status = up->display.live,
                                       .self = up,
                                       .say = say,
                                       .all_up = all_up,
                                       .tick = tick};
    return supervisor_run(&config, err);
}

/* In the parent of a detached CDN: waits for 'r', or for the end of a start that failed. */
static enum cdn_status wait_for_ready(int fd, pid_t pid, struct cdn_error *err)
{
    char byte;
    int wait_status = 0;
    ssize_t n;
    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    close(fd);
    if (n == 1) {
        return CDN_OK;
    }
    waitpid(pid, &wait_status, 0);
    err->text[0] = '\0'; /* the child has said why */
    return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 2 ? CDN_INVALID : CDN_UNAVAILABLE;
}

static enum cdn_status detach(struct up *up, int lock, struct cdn_error *err)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC)) {
        return cdn_error_set(err, CDN_IO, "pipe: %s", strerror(errno));
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        return cdn_error_set(err, CDN_IO, "fork: %s", strerror(errno));
    }
    if (pid > 0) {
        close(pipe_fds[1]);
        return wait_for_ready(pipe_fds[0], pid, err);
    }
    close(pipe_fds[0]);
    setsid();
    state_lock_own(lock);
    up->ready_fd = pipe_fds[1];
    up->display.live = false;
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0) {
        dup2(nothing, STDIN_FILENO);
    }
    return supervise(up, err);
}

/* Says the way out too: an address that somebody has can be changed by a flag or in the file. */
/* Ports for another CDN: from a start of its own for each process on, so that neighbours rarely try the same.
 * false: none is free. `ret_claim` NULL: a look is enough. */
static bool free_ports(bool one_host, struct plan_ports *ret, int *ret_claim)
{
    struct cdn_error none;
    for (unsigned i = 0; i < PORT_CHOICES; i++) {
        unsigned port = PORT_FIRST + ((unsigned)getpid() * 7 + i) % PORT_CHOICES * PORT_STEP;
        int claim = ports_claim(port);
        if (claim < 0) {
            continue;
        }
        if (plan_ports_move(port, ret, &none) == CDN_OK &&
            (!one_host || plan_ports_one_host(ret, &none) == CDN_OK) && plan_ports_free(ret)) {
            if (ret_claim) {
                *ret_claim = claim;
            } else {
                close(claim);
            }
            return true;
        }
        close(claim);
    }
    return false;
}

static enum cdn_status check_free(const struct up *up, struct cdn_error *err)
{
    struct plan_ports other;
    struct cdn_error why;
    enum cdn_status status = plan_check_free(up->plan, &why);
    if (status == CDN_OK) {
        return CDN_OK;
    }
    if (up->options->config) {
        return cdn_error_set(err, status, "%s; change it in %s", why.text, up->options->config);
    }
    if (!free_ports(up->options->one_host, &other, NULL)) {
        return cdn_error_set(err, status, "%s", why.text);
    }
    return cdn_error_set(err, status, "%s; --port %u moves all ports of this CDN, --port 0 to free ones",
                         why.text, other.router);
}

static enum cdn_status choose_ports(struct up *up, struct cdn_error *err)
{
    const char *text = up->options->port;
    uint64_t port;
    up->ports = plan_default_ports;
    if (up->options->one_host && (up->options->config || up->options->wan)) {
        return up->options->wan
                   ? cdn_error_set(err, CDN_USAGE,
                                   "--one-host and --wan exclude each other: the network between the places "
                                   "knows an edge by its address")
                   : cdn_error_set(err, CDN_USAGE, "--one-host goes without -c: the addresses are in %s",
                                   up->options->config);
    }
    if (!text) {
        return up->options->one_host ? plan_ports_one_host(&up->ports, err) : CDN_OK;
    }
    if (up->options->config) {
        return cdn_error_set(err, CDN_USAGE, "--port goes without -c: the ports are in %s",
                             up->options->config);
    }
    if (!cdn_parse_u64(cdn_str(text), &port) || port > UINT16_MAX) {
        return cdn_error_set(err, CDN_USAGE, "--port: '%s' is not a port", text);
    }
    if (port == 0) {
        return free_ports(up->options->one_host, &up->ports, &up->claim_fd)
                   ? CDN_OK
                   : cdn_error_set(err, CDN_CONFLICT, "--port 0: no ports are free for a CDN of ten edges");
    }
    const enum cdn_status status = plan_ports_move((unsigned)port, &up->ports, err);
    return status == CDN_OK && up->options->one_host ? plan_ports_one_host(&up->ports, err) : status;
}

static enum cdn_status start(struct up *up, struct cdn_error *err)
{
    const struct up_options *options = up->options;
    struct plan_wish wish = {.config = options->config,
                             .root = options->root,
                             .releases = options->releases,
                             .origin = options->origin,
                             .mode = options->mode,
                             .wan = options->wan};
    int lock;
    enum cdn_status status = state_path(options->state, &up->state, err);
    if (status == CDN_OK) {
        status = state_make(up->state, err);
    }
    if (status == CDN_OK) {
        status = state_lock(up->state, &lock, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    if (options->tls) {
        authority_files_of(up->state, &up->tls);
        wish.tls = &up->tls;
    }
    if (!wish.config) {
        status = write_config(up, &wish, err);
        wish.config = up->config;
    }
    if (status == CDN_OK) {
        status = plan_read(&wish, up->state, &up->plan, err);
    }
    if (status == CDN_OK && options->config && up->plan->default_edges) {
        cli_complain("pocketcdn up: %s names no edges: the %u built-in ones are used\n", options->config,
                     GEO_DEFAULT_EDGES);
    }
    if (status == CDN_OK) {
        status = check_free(up, err);
    }
    if (status == CDN_OK && options->tls) {
        status = prepare_tls(up, err);
    }
    if (status == CDN_OK) {
        status = options->detach ? detach(up, lock, err) : supervise(up, err);
    }
    close(lock);
    return status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    struct up up = {.options = opaque, .claim_fd = -1, .ready_fd = -1, .display.live = isatty(STDOUT_FILENO)};
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s'", args->items[0]);
    }
    if ((up.options->root || up.options->releases) && up.options->origin) {
        return cdn_error_set(err, CDN_USAGE, "%s and --origin exclude each other",
                             up.options->root ? "--root" : "--releases");
    }
    enum cdn_status status = choose_ports(&up, err);
    if (status == CDN_OK) {
        status = start(&up, err);
    }
    plan_destroy(up.plan);
    authority_files_free(&up.tls);
    if (up.claim_fd >= 0) {
        close(up.claim_fd);
    }
    free(up.state);
    free(up.config);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct up_options, __VA_ARGS__)
static const struct cli_option rows[] = {UP_OPTIONS(ROW)};

const struct cli_command cli_command_up = {
    .name = "up",
    .summary = "Start a whole CDN: origin, edges and router",
    .usage =
        "[-c cdn.yaml] [--root DIR] [--releases DIR] [--wan] [--tls] [--one-host] [--state DIR] [--detach]\n"
        "       pocketcdn up --origin URL ...",
    .more =
        "Waits until every node answers, then watches: one that dies is started again. Ctrl-C, "
        "`pocketcdn down` or the\n"
        "end of this process end all of it. The state folder (caches, logs, purge log) is\n"
        "$XDG_STATE_HOME/pocketcdn, else ~/.local/state/pocketcdn. An origin that runs already is watched, "
        "not waited for.\n"
        "Paths in cdn.yaml are relative to the folder where this is typed.\n"
        "\n"
        "  pocketcdn up --root ./static          serve a folder\n"
        "  pocketcdn up --releases ./releases    serve what `pocketcdn publish` puts there\n"
        "  pocketcdn up --root ./static --wan    and be anywhere: pocketcdn travel Tokyo -- curl ...\n"
        "  pocketcdn up --origin http://127.0.0.1:8000 --tls --detach    https://127.0.0.1:8080/\n"
        "  pocketcdn up --root ./other --port 18080 --state ./other-cdn     a second one beside it\n"
        "  pocketcdn up --root ./static --port 0 --state \"$(mktemp -d)\" -d    one for each job of a CI "
        "machine\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct up_options),
    .run = run,
};
