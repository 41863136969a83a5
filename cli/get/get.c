/* get: `pocketcdn get`: a request as a client at some place would make it, through the router to the
 * edge, with what each hop said and took; one report of several forms. */
#include "cli/get/get.h"

#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/base/terminal.h"
#include "cli/get/exchange.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

static enum cdn_status write_body(const struct get_visit *visit, struct cdn_error *err)
{
    const char *path = visit->options->output;
    const struct cdn_buf *body = &get_visit_answer(visit)->body;
    FILE *file = !path ? NULL : strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!path) {
        return CDN_OK;
    }
    bool written = file && fwrite(body->p ? body->p : "", 1, body->n, file) == body->n && fflush(file) == 0;
    if (file && file != stdout && fclose(file)) {
        written = false;
    }
    return written ? CDN_OK : cdn_error_set(err, CDN_IO, "cannot write %s", path);
}

static enum cdn_status check_options(const struct get_options *options, unsigned *ret_repeat,
                                     struct cdn_error *err)
{
    uint64_t n = 0;
    if (options->json + options->har + options->latency + (options->waterfall && !options->json) > 1) {
        return cdn_error_set(err, CDN_USAGE, "only one of --json, --har, --latency and --waterfall");
    }
    if (options->repeat && (!cdn_parse_u64(cdn_str(options->repeat), &n) || n == 0 || n > GET_REPEAT_MAX)) {
        return cdn_error_set(err, CDN_USAGE, "--repeat: '%s' is not from 1 to %u", options->repeat,
                             GET_REPEAT_MAX);
    }
    if (n && (options->har || options->latency)) {
        return cdn_error_set(err, CDN_USAGE, "--repeat goes with the text and with --json");
    }
    *ret_repeat = (unsigned)n;
    return CDN_OK;
}

static void report(const struct get_visit *visit, const struct get_repeats *repeats)
{
    const struct get_options *options = visit->options;
    if (options->latency) {
        cli_print("%.2f\n", get_visit_first_byte_ms(visit));
    } else if (options->har) {
        cli_print_json(get_har(visit), JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    } else if (options->json) {
        json_t *all = get_print_json(visit);
        if (options->repeat) {
            json_object_set_new(all, "repeat", get_repeat_json(repeats));
        }
        cli_print_json(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    } else {
        get_print_text(visit);
        if (options->waterfall) {
            get_waterfall_print(visit, terminal_of(STDOUT_FILENO).width);
        }
        if (options->repeat) {
            cli_print("\n");
            get_repeat_print(repeats);
        }
    }
}

static enum cdn_status visit_url(struct get_visit *visit, const char *text, struct cdn_error *err)
{
    struct get_repeats repeats = {0};
    unsigned n = 0;
    enum cdn_status status = check_options(visit->options, &n, err);
    if (status == CDN_OK) {
        status = get_request_read(visit, err);
    }
    if (status == CDN_OK) {
        status = get_visit_run(visit, text, err);
    }
    if (status == CDN_OK && n) {
        status = get_repeat_run(visit, n, &repeats, err);
    }
    if (status == CDN_OK) {
        report(visit, &repeats);
        status = write_body(visit, err);
    }
    get_repeat_free(&repeats);
    if (status != CDN_OK) {
        return status;
    }
    err->text[0] = '\0';
    return get_visit_answer(visit)->status < 400 ? CDN_OK : CDN_NOT_FOUND;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    if (args->n != 1) {
        return cdn_error_set(err, CDN_USAGE, "one URL or path, please (pocketcdn help get)");
    }
    struct get_visit visit = {.options = opaque, .place = cdn_strdup("")};
    enum cdn_status status = visit_url(&visit, args->items[0], err);
    get_visit_free(&visit);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct get_options, __VA_ARGS__)
static const struct cli_option rows[] = {GET_OPTIONS(ROW)};

const struct cli_command cli_command_get = {
    .name = "get",
    .summary = "Fetch a URL through the router as a client anywhere on Earth",
    .usage = "URL | /PATH [--from PLACE|IP] [--waterfall] [-H FIELD] [-X METHOD] [-d DATA]",
    .more =
        "With --from and a CDN of `up --wan`, requests go over the network between the places and take "
        "their\n"
        "way's time; otherwise straight, in the name of an address there. Milliseconds are called what they\n"
        "are: measured (on this machine), modelled (of the distance), or over the network (the way's part\n"
        "modelled, the programs' real); the kinds are never added up. Exit code 1 for an answer of 400 and\n"
        "above.\n"
        "\n"
        "  pocketcdn get /static/app.css --from Tokyo\n"
        "  pocketcdn get http://www.cdn.test/static/app.css --from Tokyo --profile 4g --waterfall\n"
        "  pocketcdn get /static/app.css --from Lagos --repeat 20\n"
        "  pocketcdn get /static/app.js -H 'Accept-Encoding: br'\n"
        "  pocketcdn get /search/ -X POST -d q=tent\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct get_options),
    .run = run,
};
