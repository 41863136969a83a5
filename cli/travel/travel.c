/* travel: `pocketcdn travel`: the way into the network at a place, for programs that know nothing of
 * it: the address alone, a command with it in its environment, or a text that says how each program is
 * told. The command takes the place of this process, so that its signals, its terminal and its exit code
 * are its own. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/control.h"
#include "cli/run/trust.h"
#include "cli/travel/howto.h"
#include "cli/travel/network.h"
#include "common/mem.h"
#include "common/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define NOT_FOUND 127 /* exit codes of a command that could not be run, as sh and env(1) have them */
#define NOT_RUN 126

#define TRAVEL_OPTIONS(X)                                                                                   \
    X(TEXT, profile, 'p', "NAME", "The last mile there: fibre, cable, dsl, 4g, 3g; default: the network's") \
    X(FLAG, proxy, 0, NULL, "Print the address alone, one line: socks5h://HOST:PORT")                       \
    X(FLAG, json, 'j', NULL, "Print it as a JSON object, with the round trips to all nodes")                \
    X(TEXT, state, 0, "DIR", "State folder of the CDN that `up` started")                                   \
    X(TEXT, config, 'c', "FILE", "cdn.yaml of programs that were started without `up`")
CLI_OPTIONS_STRUCT(travel_options, TRAVEL_OPTIONS);

struct journey {
    const struct travel_options *options;
    const char *place;
    const char **command; /* NULL-ended; NULL: none */
    json_t *cdn, *wan;    /* wan is borrowed from cdn */
    char *proxy, *profile;
};

static enum cdn_status read_words(struct journey *journey, const struct cli_args *args, struct cdn_error *err)
{
    const bool command = args->n > args->before;
    if (args->before == 0) {
        return cdn_error_set(err, CDN_USAGE, "where to? a place, such as Tokyo or 35.6,139.7");
    }
    if (args->before > 1) {
        return cdn_error_set(err, CDN_USAGE,
                             "one place, please, but got '%s' and '%s': a name of two words needs quotes, a "
                             "command stands behind --",
                             args->items[0], args->items[1]);
    }
    if (command && (journey->options->proxy || journey->options->json)) {
        return cdn_error_set(err, CDN_USAGE, "--%s goes without a command",
                             journey->options->proxy ? "proxy" : "json");
    }
    journey->place = args->items[0];
    journey->command = command ? args->items + 1 : NULL;
    return CDN_OK;
}

/* Both spellings: curl reads http_proxy in small letters alone, others know the large ones. */
static void set_environment(const char *proxy)
{
    static const char *const set[] = {"ALL_PROXY",  "all_proxy",   "HTTP_PROXY",
                                      "http_proxy", "HTTPS_PROXY", "https_proxy"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(set); i++) {
        (void)setenv(set[i], proxy, 1);
    }
    (void)unsetenv("NO_PROXY");
    (void)unsetenv("no_proxy");
}

/* Returns only when the command cannot be run: 127 and 126 would otherwise be hidden behind codes of
 * ours. */
static _Noreturn void become(const struct journey *journey)
{
    CDN_AUTOFREE char **argv = NULL;
    size_t n = 0;
    while (journey->command[n]) {
        n++;
    }
    argv = cdn_calloc(n + 1, sizeof(*argv));
    for (size_t i = 0; i < n; i++) {
        argv[i] = cdn_strdup(journey->command[i]);
    }
    set_environment(journey->proxy);
    if (control_bundle(journey->cdn)) {
        trust_environment(control_bundle(journey->cdn));
    }
    fflush(stdout);
    execvp(argv[0], argv);
    int why = errno;
    cli_complain("pocketcdn travel: %s: %s\n", argv[0], strerror(why));
    _exit(why == ENOENT ? NOT_FOUND : NOT_RUN);
}

/* {"place", "profile", "proxy", "paths": {NODE: what the model says}} */
static enum cdn_status print_json(const struct journey *journey, struct cdn_error *err)
{
    const char *profile = journey->options->profile;
    json_t *paths = json_object(), *node, *path;
    enum cdn_status status = CDN_OK;
    size_t i;
    json_array_foreach(json_object_get(journey->cdn, "nodes"), i, node)
    {
        const char *name = control_text(node, "name");
        if (node == journey->wan || status != CDN_OK) {
            continue;
        }
        status = network_path(journey->wan, journey->place, name, profile, &path, err);
        if (status == CDN_OK) {
            json_object_set_new(paths, name, path);
        }
    }
    if (status != CDN_OK) {
        json_decref(paths);
        return status;
    }
    control_print(json_pack("{s:s, s:s, s:s, s:o}", "place", journey->place, "profile", journey->profile,
                            "proxy", journey->proxy, "paths", paths));
    return CDN_OK;
}

static enum cdn_status arrive(struct journey *journey, struct cdn_error *err)
{
    const char *profile = journey->options->profile;
    struct control_where where = {.state = journey->options->state, .config = journey->options->config};
    enum cdn_status status = network_open(&where, &journey->cdn, &journey->wan, err);
    if (status == CDN_OK) {
        status = network_listener(journey->cdn, journey->wan, journey->place, profile, &journey->proxy, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    if (journey->command) {
        become(journey);
    }
    journey->profile = network_profile(journey->wan, journey->proxy);
    if (journey->options->json) {
        return print_json(journey, err);
    }
    if (journey->options->proxy) {
        cli_print("%s\n", journey->proxy);
        return CDN_OK;
    }
    return howto_print(journey->cdn, journey->place, journey->profile, journey->proxy, err);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    struct journey journey = {.options = opaque};
    enum cdn_status status = read_words(&journey, args, err);
    if (status == CDN_OK) {
        status = arrive(&journey, err);
    }
    json_decref(journey.cdn);
    free(journey.proxy);
    free(journey.profile);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct travel_options, __VA_ARGS__)
static const struct cli_option rows[] = {TRAVEL_OPTIONS(ROW)};

const struct cli_command cli_command_travel = {
    .name = "travel",
    .summary = "Be a client anywhere: run a program behind the network between the places",
    .usage = "PLACE [--profile NAME] [--proxy | -- COMMAND...]",
    .more =
        "Needs a CDN that was started with `up --wan`. A place is a city, LAT,LON or a node (`fra`: beside "
        "that\n"
        "edge). The command has the network's SOCKS listener for that place in ALL_PROXY, http_proxy and\n"
        "https_proxy, and its own exit code; 127 and 126 when it cannot be run. Without a command: how "
        "curl,\n"
        "browsers and libraries are told.\n"
        "\n"
        "http://www.cdn.test/ is the edge that our DNS names there, http://NAME.cdn.test/ that edge,\n"
        "http://origin.cdn.test/ the origin, http://router.cdn.test/ the router.\n"
        "\n"
        "  pocketcdn travel Tokyo -- curl -s http://www.cdn.test/app.css\n"
        "  pocketcdn travel \"New York\" --profile 4g -- python3 test.py\n"
        "  curl -x \"$(pocketcdn travel Tokyo --proxy)\" http://www.cdn.test/app.css\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct travel_options),
    .run = run,
};
