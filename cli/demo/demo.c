/* demo: the stages of the demonstration, each of which is shown as it goes: a folder to serve, a
 * CDN of real processes on free ports, clients of many places, a report, and the end of all
 * processes whatever happened before. */
#include "cli/demo/demo.h"

#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/child.h"
#include "cli/run/control.h"
#include "cli/run/own_cdn.h"
#include "common/mem.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/banned.h"

volatile int demo_interrupted;

static void on_signal(int signal)
{
    (void)signal;
    demo_interrupted = 1;
}

/* ---- the CDN ---- */

static enum cdn_status read_origin(const struct demo *demo, uint64_t *ret_requests, uint64_t *ret_bytes,
                                   struct cdn_error *err)
{
    json_t *node = NULL, *report = NULL, *value;
    const char *key;
    enum cdn_status status = control_node(demo->cdn.is, "origin", "origin", &node, err);
    if (status == CDN_OK) {
        status = control_ask(node, "GET", "/status", NULL, &report, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    json_t *metrics = json_object_get(report, "metrics");
    *ret_requests = 0;
    *ret_bytes = (uint64_t)json_number_value(json_object_get(metrics, "body_bytes_total"));
    json_object_foreach(metrics, key, value) if (strncmp(key, "request_total", strlen("request_total")) == 0)
    {
        *ret_requests += (uint64_t)json_number_value(value);
    }
    json_decref(report);
    return CDN_OK;
}

static enum cdn_status start_cdn(struct demo *demo, struct cdn_error *err)
{
    const struct own_cdn_wish wish = {.root = demo->root, .wan = true};
    return own_cdn_start(&demo->cdn, &wish, &demo_interrupted, err);
}

/* `compare` with the CDN that runs; what it says is in the report. */
static enum cdn_status write_report(const struct demo *demo, struct cdn_error *err)
{
    CDN_AUTOFREE char *self = NULL, *log = cdn_asprintf("%s/compare.log", demo->folder);
    enum cdn_status status = child_program("pocketcdn", &self, err);
    pid_t pid;
    int wait_status = 0;
    if (status != CDN_OK) {
        return status;
    }
    const char *words[] = {self, "compare", "--state",  demo->cdn.state,      "--runs",
                           "1",  "--quiet", "--report", demo->options->report};
    char *argv[CDN_ARRAY_LEN(words) + 1] = {0};
    for (size_t i = 0; i < CDN_ARRAY_LEN(words); i++) {
        argv[i] = cdn_strdup(words[i]);
    }
    status = child_start(argv, log, &pid, err);
    for (size_t i = 0; i < CDN_ARRAY_LEN(words); i++) {
        free(argv[i]);
    }
    if (status != CDN_OK) {
        return status;
    }
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
        if (demo_interrupted) {
            kill(pid, SIGTERM);
        }
    }
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
        return CDN_OK;
    }
    CDN_AUTOBUF struct cdn_buf tail = {0};
    child_log_tail(log, 1, "", &tail);
    return cdn_error_set(err, CDN_UNAVAILABLE, "the report: %s", tail.n ? tail.p : "no output");
}

/* ---- all of it ---- */

static void say(const struct demo *demo, const char *text)
{
    if (!demo->options->json) {
        cli_print("%s", text);
        cli_print("\n");
        fflush(stdout);
    }
}

/* Straight first, so that what the origin serves after that is what the edges asked for. */
static enum cdn_status visit(struct demo *demo, struct cdn_error *err)
{
    uint64_t requests, bytes;
    enum cdn_status status = demo_visitors(demo, err);
    if (status == CDN_OK) {
        status = demo_load(demo, DEMO_STRAIGHT, err);
    }
    if (status == CDN_OK) {
        status = read_origin(demo, &requests, &bytes, err);
    }
    for (int load = DEMO_FIRST; load < DEMO_LOAD_COUNT && status == CDN_OK; load++) {
        status = demo_load(demo, (enum demo_load)load, err);
    }
    if (status == CDN_OK) {
        status = read_origin(demo, &demo->origin_requests, &demo->origin_bytes, err);
        demo->origin_requests -= requests;
        demo->origin_bytes -= bytes;
    }
    return status;
}

static enum cdn_status show(struct demo *demo, struct cdn_error *err)
{
    say(demo, demo->options->root ? "1. a folder of files" : "1. Django collects its admin's static files");
    enum cdn_status status = demo_site(demo, err);
    if (status == CDN_OK) {
        say(demo, "2. an origin, ten edges, a router and the network between the places start");
        status = start_cdn(demo, err);
    }
    if (status == CDN_OK) {
        say(demo,
            "3. clients in 20 cities load all files: straight from the origin, then twice through the CDN");
        status = visit(demo, err);
    }
    if (status == CDN_OK && demo->options->report) {
        say(demo, "4. the CDN is compared with none, from 24 cities");
        status = write_report(demo, err);
    }
    if (!own_cdn_stop(&demo->cdn)) {
        cdn_buf_printf(&demo->wrong, "the CDN did not end well\n");
    }
    if (status == CDN_OK) {
        say(demo, "");
        demo_report(demo);
    }
    if (status == CDN_OK && demo->options->report && !demo->options->json) {
        cli_print("report: %s\n", demo->options->report);
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
    enum cdn_status status = own_cdn_begin("demo", &demo.cdn, err);
    demo.folder = demo.cdn.folder;
    if (status == CDN_OK) {
        status = show(&demo, err);
    }
    if (!own_cdn_end(&demo.cdn)) {
        cli_complain("pocketcdn demo: cannot remove its folder in the temporary folder\n");
    }
    if (status == CDN_OK && demo.wrong.n) {
        status = cdn_error_set(err, CDN_NOT_FOUND, "not everything was as it should be");
    }
    demo_visits_free(&demo);
    demo_site_free(&demo);
    cdn_buf_free(&demo.wrong);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct demo_options, __VA_ARGS__)
static const struct cli_option rows[] = {DEMO_OPTIONS(ROW)};

const struct cli_command cli_command_demo = {
    .name = "demo",
    .summary = "A whole CDN on Django's static files, visited from 20 cities, in seconds",
    .usage = "[--root DIR] [--report FILE] [--json]",
    .more = "Starts a CDN of its own on free ports, in a temporary folder, and leaves nothing behind. Every "
            "body is compared with\n"
            "the file. Exit code 1 when anything is not as it should be.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct demo_options),
    .run = run,
};
