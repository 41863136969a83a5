/* compare: the stages of `pocketcdn compare`: who and where, the model, what follows. Everything that can be
 * wrong with the words on the command line is said before anything begins. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/base/terminal.h"
#include "cli/compare/compare_private.h"
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/output/output.h"
#include "cli/compare/report/report.h"
#include "cli/compare/stats/gate.h"
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "wan/path/profile.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define PROFILE "fibre"
#define RUNS 3u
#define RUNS_MAX 1000u
#define BODY_BYTES 100000u
#define BODY_BYTES_MAX (1u << 30)

static enum cdn_status read_numbers(const struct compare_options *options, struct comparison *c,
                                    struct cdn_error *err)
{
    c->body_bytes = BODY_BYTES;
    c->seed = 1;
    uint64_t runs = RUNS;
    if (options->runs && (!cdn_parse_u64(cdn_str(options->runs), &runs) || runs == 0 || runs > RUNS_MAX)) {
        return cdn_error_set(err, CDN_USAGE, "--runs: '%s' is not a number from 1 to %u", options->runs,
                             RUNS_MAX);
    }
    c->runs = (unsigned)runs;
    if (options->size &&
        (!cdn_parse_size(cdn_str(options->size), &c->body_bytes) || c->body_bytes > BODY_BYTES_MAX)) {
        return cdn_error_set(err, CDN_USAGE, "--size: '%s' is not a size up to 1 GiB (100kB, 64KiB)",
                             options->size);
    }
    if (options->seed && !cdn_parse_u64(cdn_str(options->seed), &c->seed)) {
        return cdn_error_set(err, CDN_USAGE, "--seed: '%s' is not a number", options->seed);
    }
    return CDN_OK;
}

static enum cdn_status read_profile(const struct compare_options *options, struct comparison *c,
                                    struct cdn_error *err)
{
    const char *names[16] = {0};
    c->profile = cdn_strdup(options->profile ? options->profile : PROFILE);
    if (wan_profile_find(cdn_str(c->profile))) {
        return CDN_OK;
    }
    CDN_AUTOBUF struct cdn_buf all = {0};
    for (size_t i = 0; i < wan_profile_count() && i + 1 < CDN_ARRAY_LEN(names); i++) {
        names[i] = wan_profile_at(i)->name;
        cdn_buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const char *close = cdn_config_closest(cdn_str(c->profile), names);
    return cdn_error_set(err, CDN_USAGE, "--profile: no profile '%s'; %s%s", c->profile,
                         close ? "did you mean " : "there are ", close ? close : all.p);
}

static bool is_url(const char *text)
{
    return strstr(text, "://") != NULL;
}

static bool reads_stdin_twice(const struct compare_options *options)
{
    unsigned n = options->from_log && strcmp(options->from_log, "-") == 0;
    for (size_t i = 0; i < options->from.n; i++) {
        n += strcmp(options->from.items[i], "-") == 0;
    }
    return n > 1;
}

static enum cdn_status check(const struct compare_options *options, struct compare *compare,
                             struct cdn_error *err)
{
    if (options->baseline && options->against) {
        return cdn_error_set(err, CDN_USAGE, "--baseline and --against: one of them");
    }
    if (options->against && is_url(options->against) && options->model) {
        return cdn_error_set(err, CDN_USAGE, "--against URL asks a server; --model asks nobody");
    }
    if (options->against_place && !(options->against && is_url(options->against))) {
        return cdn_error_set(err, CDN_USAGE, "--against-place is for --against URL");
    }
    if (options->json && options->csv) {
        return cdn_error_set(err, CDN_USAGE, "--json and --csv: one of them");
    }
    if (options->cities && (options->from.n || options->from_me || options->from_log)) {
        return cdn_error_set(err, CDN_USAGE, "--cities goes with none of --from, --from-me and --from-log");
    }
    if (reads_stdin_twice(options)) {
        return cdn_error_set(err, CDN_USAGE,
                             "--from - and --from-log -: only one of them, and once, is standard input");
    }
    if (options->url.n > COMPARISON_SIZES_MAX + 1) {
        return cdn_error_set(err, CDN_USAGE, "--url: more than %u", COMPARISON_SIZES_MAX + 1);
    }
    if (options->client && !options->from_log) {
        return cdn_error_set(err, CDN_USAGE, "--client is for --from-log");
    }
    if (!options->fail_if) {
        return CDN_OK;
    }
    enum cdn_status status = gate_parse(cdn_str(options->fail_if), series_words(), &compare->gate, err);
    for (size_t i = 0; i < compare->gate.n && status == CDN_OK; i++) {
        const struct gate_condition *condition = &compare->gate.at[i];
        if ((condition->relative || condition->sign == GATE_IS) && !options->baseline && !options->against) {
            status = cdn_error_set(err, CDN_USAGE, "--fail-if '%s' needs --baseline or --against",
                                   condition->text);
        }
    }
    return status;
}

static enum cdn_status against(const struct compare_options *options, struct compare *compare,
                               struct cdn_error *err)
{
    struct comparison b;
    enum cdn_status status = is_url(options->against)
                                 ? compare_url(options, &compare->a, &b, err)
                                 : compare_one(options, options->against, &compare->a, &b, err);
    if (status != CDN_OK) {
        comparison_free(&b);
        return cdn_error_prefix(err, "--against");
    }
    status = compare_with(&compare->a, &b, options->against, &compare->changes, err);
    comparison_free(&b);
    compare->has_changes = status == CDN_OK;
    return status;
}

/* The command that repeats it, for the report. */
static char *command_of(const struct compare_options *options, const struct cli_args *args)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    (void)args;
    cdn_buf_printf(&text, "pocketcdn compare%s", options->model ? " --model" : "");
    for (size_t i = 0; i < options->from.n; i++) {
        cdn_buf_printf(&text, " --from '%s'", options->from.items[i]);
    }
    if (options->config) {
        cdn_buf_printf(&text, " -c %s", options->config);
    }
    if (options->cities) {
        cdn_buf_printf(&text, " --cities %s", options->cities);
    }
    if (options->size) {
        cdn_buf_printf(&text, " --size %s", options->size);
    }
    for (size_t i = 0; i < options->url.n; i++) {
        cdn_buf_printf(&text, " --url '%s'", options->url.items[i]);
    }
    if (options->runs) {
        cdn_buf_printf(&text, " --runs %s", options->runs);
    }
    if (options->profile) {
        cdn_buf_printf(&text, " --profile %s", options->profile);
    }
    cdn_buf_printf(&text, " --seed %s", options->seed ? options->seed : "1");
    return cdn_buf_take(&text);
}

static void print(const struct compare_options *options, const struct compare *compare, const char *command)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    if (options->json) {
        cli_print_json(output_json(&compare->a, command, compare->has_changes ? &compare->changes : NULL),
                       JSON_INDENT(1) | JSON_REAL_PRECISION(9));
        return;
    }
    if (options->csv) {
        output_csv(&compare->a, &out);
    } else {
        struct terminal terminal = terminal_of(STDOUT_FILENO);
        output_text(&compare->a, terminal, &out);
        if (compare->has_changes) {
            output_changes_text(&compare->changes, terminal, &out);
        }
    }
    fwrite(out.p, 1, out.n, stdout);
}

static enum cdn_status write_report(const struct compare_options *options, const struct compare *compare,
                                    const char *command, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    if (!options->report) {
        return CDN_OK;
    }
    report_print(&compare->a, command, compare->has_changes ? &compare->changes : NULL, &out);
    FILE *file = fopen(options->report, "we");
    bool written = file && fwrite(out.p, 1, out.n, file) == out.n;
    if ((file && fclose(file)) || !written) {
        return cdn_error_set(err, CDN_IO, "--report: cannot write %s: %s", options->report, strerror(errno));
    }
    if (!options->json && !options->csv) {
        cli_print("report: %s\n", options->report);
    }
    return CDN_OK;
}

static enum cdn_status judge(const struct compare *compare, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf met = {0};
    compare_judge(compare, &met);
    if (!met.n) {
        return CDN_OK;
    }
    for (struct cdn_str rest = cdn_buf_str(&met); rest.n;) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        cli_complain("failed: " CDN_STR_FMT "\n", CDN_STR_ARG(line));
    }
    return cdn_error_set(err, CDN_NOT_FOUND, "what --fail-if names is so");
}

static enum cdn_status stages(const struct compare_options *options, const struct cli_args *args,
                              struct compare *compare, struct cdn_error *err)
{
    const struct comparison like = compare->a;
    CDN_AUTOFREE char *profile = like.profile;
    enum cdn_status status = compare_one(options, options->config, &like, &compare->a, err);
    (void)profile;
    if (status == CDN_OK && options->against) {
        status = against(options, compare, err);
    }
    if (status == CDN_OK && options->baseline) {
        status = compare_baseline_read(options->baseline, &compare->baseline, err);
        if (status == CDN_OK) {
            status = compare_with_baseline(&compare->a, compare->baseline, options->baseline,
                                           &compare->changes, err);
        }
        compare->has_changes = status == CDN_OK;
    }
    if (status != CDN_OK) {
        return status;
    }
    CDN_AUTOFREE char *command = command_of(options, args);
    print(options, compare, command);
    status = write_report(options, compare, command, err);
    return status != CDN_OK ? status : judge(compare, err);
}

static void on_signal(int signal)
{
    (void)signal;
    compare_interrupted = 1;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct compare_options *options = opaque;
    struct compare compare = {.options = options};
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s' (--from PLACE, --url URL)",
                             args->items[0]);
    }
    struct sigaction action = {.sa_handler = on_signal};
    if (!options->model) { /* a CDN of its own ends with it */
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
    }
    enum cdn_status status = check(options, &compare, err);
    if (status == CDN_OK) {
        status = read_numbers(options, &compare.a, err);
    }
    if (status == CDN_OK) {
        status = read_profile(options, &compare.a, err);
    }
    if (status == CDN_OK) {
        status = stages(options, args, &compare, err);
    }
    comparison_free(&compare.a);
    json_decref(compare.baseline);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct compare_options, __VA_ARGS__)
static const struct cli_option rows[] = {COMPARE_OPTIONS(ROW)};

const struct cli_command cli_command_compare = {
    .name = "compare",
    .summary = "What a CDN changes for clients in 24 cities, and where it changes nothing",
    .usage = "[--from PLACE]... [-c cdn.yaml] --model [OPTIONS]",
    .more = "Straight to the origin, and by the CDN: cold, warm, revalidated, uncacheable; by DNS and by "
            "redirect; on new\n"
            "and on kept connections. Times of the paths are modelled, and the output says so.\n"
            "\n"
            "  pocketcdn compare --model                              24 cities over all continents\n"
            "  pocketcdn compare --model --from Tokyo --from Lima --size 1MB\n"
            "  pocketcdn compare --model --from-log access.log        your clients, and which edge more "
            "helps them\n"
            "  pocketcdn compare --model -c a.yaml --against b.yaml   one CDN against another\n"
            "  pocketcdn compare --model --baseline old.json --fail-if 'p95>+5%'\n"
            "\n"
            "Exit codes: 0 done, 1 what --fail-if names is so, or a place was not found, 2 usage.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct compare_options),
    .run = run,
};
