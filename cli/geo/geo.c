/* geo: the command itself: from options to one way of working, then lines in, rows out. Input is
 * answered as it comes and output is flushed when the reader of a pipe would wait, so it works in
 * the middle of `tail -f`. */
#include "cli/geo/geo.h"

#include "cli/base/options.h"
#include "cli/base/subcommand.h"
#include "cli/geo/geo_client.h"
#include "cli/geo/geo_input.h"
#include "cli/geo/geo_memo.h"
#include "cli/geo/geo_row.h"
#include "cli/geo/geo_summary.h"
#include "cli/geo/geo_text.h"
#include "common/clock.h"
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "common/visible.h"
#include "router/base/settings.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define FLUSH_AT (64u << 10)
#define PROGRESS_EVERY 16384u
#define PROGRESS_MS 500

struct job {
    const struct geo_options *options;
    struct router_table *table;
    struct geo_printer *printer;
    struct geo_raw *raw;   /* NULL without --raw */
    struct geo_memo *memo; /* NULL when each line has to be made anew */
    struct geo_client client;
    struct geo_summary *summary; /* NULL without --summary */
    struct cdn_buf out;
    uint64_t addresses, found, special, unknown, bad, with_host_bits;
    uint64_t without; /* lines of a log without a client */
    uint64_t line;
    int64_t told_ms;
    bool progress, closed;  /* closed: nobody reads our output any more */
    enum cdn_status status; /* of writing */
    struct cdn_error *err;
};

/* ---- output ---- */

static void flush(void *self)
{
    struct job *job = self;
    size_t at = 0;
    while (at < job->out.n && !job->closed) {
        ssize_t n = write(STDOUT_FILENO, job->out.p + at, job->out.n - at);
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno != EINTR) {
            job->closed = true;
            if (errno != EPIPE) {
                job->status = cdn_error_set(job->err, CDN_IO, "standard output: %s", strerror(errno));
            }
        }
    }
    cdn_buf_clear(&job->out);
}

/* A bar when standard input is a file, whose end is known. */
static void show_progress(struct job *job)
{
    static const char full[] = "##############################";
    enum { WIDTH = sizeof(full) - 1 };
    int64_t now = cdn_clock_mono_ms();
    if (now - job->told_ms < PROGRESS_MS) {
        return;
    }
    job->told_ms = now;
    struct stat st;
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
    if (at >= 0 && fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        int filled = at < st.st_size ? (int)(at * WIDTH / st.st_size) : WIDTH;
        fprintf(stderr, "\r[%.*s%*s] %3d %%  ", filled, full, WIDTH - filled, "",
                at < st.st_size ? (int)(at * 100 / st.st_size) : 100);
    } else {
        fputc('\r', stderr);
    }
    fprintf(stderr, "%llu addresses", (unsigned long long)job->addresses);
}

static void count(struct job *job, enum geo_found found)
{
    job->addresses++;
    job->found += found == GEO_FOUND;
    job->special += found == GEO_SPECIAL;
    job->unknown += found == GEO_UNKNOWN;
    if (job->out.n >= FLUSH_AT) {
        flush(job);
    }
    if (job->progress && job->addresses % PROGRESS_EVERY == 0) {
        show_progress(job);
    }
}

/* ---- one address, one network ---- */

static void answer(struct job *job, const struct cdn_addr *address)
{
    struct geo_row row = {.table = job->table, .question.client = *address, .line = job->line};
    if (job->raw) {
        bool there = geo_raw_print(job->raw, address, &job->out) == CDN_OK;
        if (!there) {
            cdn_buf_add_char(&job->out, '\n'); /* one line for each address, whatever is known */
        }
        count(job, there ? GEO_FOUND : GEO_UNKNOWN);
        return;
    }
    if (job->memo) {
        count(job, geo_memo_row(job->memo, &row, &job->out));
        return;
    }
    struct router_trace trace, *traced = job->options->why ? &trace : NULL;
    trace.count = 0;
    router_decide(job->table, &row.question, traced, &row.decision);
    if (job->summary) {
        geo_summary_count(job->summary, &row);
    } else {
        geo_printer_row(job->printer, &row, traced, &job->out);
    }
    count(job, geo_row_found(&row));
}

/* Every network of the answer between two addresses, in order. */
static void answer_span(struct job *job, const struct geo_span *span)
{
    struct cdn_addr at = span->first;
    do {
        struct router_question question = {.client = at};
        struct router_where where;
        answer(job, &at);
        router_resolve(job->table, &question, NULL, &where);
        unsigned len = where.network_len;
        if (where.address.sa.sa_family != at.sa.sa_family) {
            len = 128; /* an embedded IPv4 address was looked up */
        }
        if (!geo_text_step_over(&at, len)) {
            return;
        }
    } while (geo_text_compare(&at, &span->last) <= 0 && !job->closed);
}

/* ---- input ---- */

static void complain(const struct job *job, struct cdn_str text, bool is_line, const char *why)
{
    CDN_AUTOBUF struct cdn_buf shown = {0};
    for (size_t i = 0; i < text.n && i < 80; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20 || c >= 0x7f) {
            cdn_buf_printf(&shown, "\\x%02x", c);
        } else {
            cdn_buf_add_char(&shown, (char)c);
        }
    }
    fprintf(stderr, "%spocketcdn geo: ", job->progress ? "\r" : "");
    if (is_line) {
        fprintf(stderr, "line %llu: ", (unsigned long long)job->line);
    }
    fprintf(stderr, "'%s%s' %s\n", shown.p ? shown.p : "", text.n > 80 ? "..." : "", why);
}

/* CDN_INVALID, said on stderr, when the text is no address, network or range. */
static enum cdn_status answer_text(struct job *job, struct cdn_str text, bool is_line)
{
    struct geo_span span;
    const char *why;
    if (cdn_parse_ip(text, &span.first)) {
        answer(job, &span.first);
        return CDN_OK;
    }
    if (!geo_text_read(text, &span, &why)) {
        bool reads_log = job->options->log || job->options->annotate || job->options->client;
        const char *hint = is_line ? NULL : geo_text_file_hint(text, reads_log);
        why = hint ? hint : why;
        complain(job, text, is_line, why);
        job->bad++;
        return CDN_INVALID;
    }
    if (span.has_host_bits && job->with_host_bits++ == 0) {
        complain(job, text, is_line, "has bits behind the prefix, which do not count (said once)");
    }
    if (geo_text_compare(&span.first, &span.last) == 0) {
        answer(job, &span.first);
    } else {
        answer_span(job, &span);
    }
    return CDN_OK;
}

/* The line with what is known of its client; one of JSON stays JSON. */
static void annotate(struct job *job, struct cdn_str line)
{
    struct cdn_addr address;
    bool plain = !job->options->format;
    if (geo_client_comment(&job->client, line)) {
        cdn_buf_add_visible_line(&job->out, line);
        if (plain && job->client.column) {
            cdn_buf_add_str(&job->out, CDN_STR("\tx-country\tx-edge\tx-asn"));
        }
        cdn_buf_add_char(&job->out, '\n');
        return;
    }
    bool found = geo_client_find(&job->client, line, &address);
    job->without += !found;
    if (plain && line.n > 1 && line.p[0] == '{' && line.p[line.n - 1] == '}') {
        struct geo_row row = {.table = job->table, .question.client = address, .line = job->line};
        if (found) {
            router_decide(job->table, &row.question, NULL, &row.decision);
        }
        geo_print_members(line, found ? &row : NULL, &job->out);
        if (found) {
            count(job, geo_row_found(&row));
        }
        return;
    }
    cdn_buf_add_visible_line(&job->out, line);
    cdn_buf_add_char(&job->out, '\t');
    if (found) {
        answer(job, &address);
    } else {
        geo_printer_blank(job->printer, &job->out);
    }
}

static void answer_log_line(struct job *job, struct cdn_str line)
{
    struct cdn_addr address;
    bool is_comment = geo_client_comment(&job->client, line),
         is_one = job->options->client || job->client.column;
    if (is_comment && is_one) {
        return;
    }
    if (is_one && geo_client_find(&job->client, line, &address)) {
        answer(job, &address);
    } else if (is_one) {
        job->without++;
    }
    for (size_t at = 0; !is_one && geo_input_next_address(line, &at, &address);) {
        answer(job, &address);
    }
}

static enum cdn_status answer_line(struct job *job, struct cdn_str line)
{
    if (job->options->annotate) {
        annotate(job, line);
    } else if (job->options->log || job->options->client) {
        answer_log_line(job, line);
    } else if ((line = cdn_str_trim(line)).n > 0 && line.p[0] != '#') {
        return answer_text(job, line, true);
    }
    return CDN_OK;
}

static enum cdn_status answer_stdin(struct job *job, struct cdn_error *err)
{
    struct geo_reader reader;
    enum cdn_status status = CDN_OK;
    geo_reader_init(&reader, STDIN_FILENO, flush, job);
    while (!job->closed) {
        struct cdn_str line;
        status = geo_reader_line(&reader, &line, err);
        job->line = reader.line;
        if (status == CDN_TOO_LARGE) {
            fprintf(stderr, "pocketcdn geo: line %llu: %s\n", (unsigned long long)job->line, err->text);
            job->bad++;
        } else if (status != CDN_OK) {
            break;
        } else {
            status = answer_line(job, line);
        }
        if (status != CDN_OK && job->options->strict) {
            break;
        }
    }
    geo_reader_fini(&reader);
    if (status == CDN_IO || (status == CDN_INVALID && err->text[0])) {
        return cdn_error_prefix(err, "standard input");
    }
    err->text[0] = '\0';
    return status == CDN_NOT_FOUND ? CDN_OK : status;
}

static enum cdn_status answer_all(struct job *job, const struct cli_args *args, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    if (!job->summary && !job->options->annotate) {
        geo_printer_header(job->printer, &job->out);
    }
    for (size_t i = 0; i < args->n && !job->closed; i++) {
        job->line = i + 1;
        if (strcmp(args->items[i], "-") == 0) {
            status = answer_stdin(job, err);
        } else {
            status = answer_text(job, cdn_str(args->items[i]), false);
        }
        if (status == CDN_IO || err->text[0] || (status != CDN_OK && job->options->strict)) {
            break;
        }
    }
    if (job->summary) {
        geo_summary_print(job->summary, job->options->json, &job->out);
    }
    flush(job);
    if (status == CDN_IO || err->text[0] || job->status) {
        return err->text[0] ? status : job->status;
    }
    return job->bad ? CDN_INVALID : job->unknown ? CDN_NOT_FOUND : CDN_OK;
}

static void summarise(const struct job *job)
{
    if (job->options->quiet || (job->addresses < 2 && !job->bad && !job->without && !job->with_host_bits)) {
        return;
    }
    fprintf(stderr, "%s%llu address%s: %llu found, %llu special, %llu not in the database",
            job->progress ? "\r\033[K" : "", (unsigned long long)job->addresses,
            job->addresses == 1 ? "" : "es", (unsigned long long)job->found, (unsigned long long)job->special,
            (unsigned long long)job->unknown);
    if (job->bad) {
        fprintf(stderr, "; %llu bad", (unsigned long long)job->bad);
    }
    if (job->with_host_bits) {
        fprintf(stderr, "; %llu network%s with bits behind the prefix",
                (unsigned long long)job->with_host_bits, job->with_host_bits == 1 ? "" : "s");
    }
    if (job->without) {
        fprintf(stderr, "; %llu line%s without a client", (unsigned long long)job->without,
                job->without == 1 ? "" : "s");
    }
    fputc('\n', stderr);
}

/* ---- the command ---- */

enum cdn_status geo_table_make(const char *path, const struct cli_list *databases, struct router_table **ret,
                               struct cdn_error *err)
{
    struct router_config config = {0};
    CDN_AUTOBUF struct cdn_buf files = {0};
    enum cdn_status status = router_config_read(path, &config, err);
    for (size_t i = 0; i < databases->n; i++) {
        cdn_buf_printf(&files, "%s%s", i ? "," : "", databases->items[i]);
    }
    for (size_t i = 0; files.n && status == CDN_OK && i < router_program.row_count; i++) {
        if (strcmp(router_program.rows[i].field, "database") == 0) {
            status =
                cdn_config_set(&router_program.rows[i], &config.settings, "--db", cdn_buf_str(&files), err);
        }
    }
    if (status == CDN_OK) {
        status = router_table_create(&config, ret, err);
    }
    router_config_free(&config);
    return status;
}

/* No address or network has a comma in it, or can be read as a field. */
static bool are_fields(const char *text)
{
    enum geo_field field;
    return strchr(text, ',') || geo_field_find(cdn_str(text), &field);
}

/* `--csv ip,country,edge`: an argument names the columns. */
static void take_fields(struct geo_options *options, struct cli_args *input, const char **rest)
{
    size_t n = 0;
    for (size_t i = 0; i < input->n; i++) {
        bool names = (options->csv || options->tsv || options->summary) && !options->fields &&
                     are_fields(input->items[i]);
        if (names) {
            options->fields = input->items[i];
        } else {
            rest[n++] = input->items[i];
        }
    }
    *input = (struct cli_args){.n = n, .before = n, .items = rest};
}

static enum cdn_status look_up(const struct geo_options *given, const struct cli_args *args,
                               struct router_table *table, struct cdn_error *err)
{
    static const char *const only_stdin[] = {"-"};
    struct cli_args input = *args;
    struct geo_options chosen = *given, *options = &chosen;
    struct job job = {.options = options, .table = table, .err = err};
    CDN_AUTOFREE const char **rest = cdn_calloc(args->n + 1, sizeof(*rest));
    take_fields(options, &input, rest);
    if (input.n == 0 && isatty(STDIN_FILENO)) {
        return cdn_error_set(err, CDN_USAGE, "no address given (pocketcdn help geo)");
    }
    if (input.n == 0) {
        input = (struct cli_args){.n = 1, .before = 1, .items = (const char **)(uintptr_t)only_stdin};
    }
    enum cdn_status status = geo_client_init(&job.client, options->client, table, err);
    if (status == CDN_OK && options->summary) {
        status = geo_summary_create(options->fields, &job.summary, err);
    }
    if (status == CDN_OK) {
        status = geo_printer_create(options, &job.printer, err);
    }
    if (status == CDN_OK && options->raw) {
        status = geo_raw_open(table->db, options->raw, &job.raw, err);
    }
    if (status == CDN_OK && !options->summary && geo_printer_repeats(job.printer)) {
        job.memo = geo_memo_create(job.printer);
    }
    if (status == CDN_OK) {
        job.progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) && !options->quiet;
        status = answer_all(&job, &input, err);
        summarise(&job);
    }
    geo_summary_destroy(job.summary);
    geo_memo_destroy(job.memo);
    geo_raw_close(job.raw);
    geo_printer_destroy(job.printer);
    cdn_buf_free(&job.out);
    return status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct geo_options *options = opaque;
    struct router_table *table;
    enum cdn_status status = geo_table_make(options->config, &options->db, &table, err);
    if (status != CDN_OK) {
        return status;
    }
    const char *verb = args->n == 1 ? args->items[0] : "";
    if (strcmp(verb, "info") == 0) {
        status = geo_info(table->db, options->json, err);
    } else if (strcmp(verb, "verify") == 0) {
        status = geo_verify(table->db, options->json, err);
    } else if (options->explain_log) {
        status = geo_explain_log(table, options->explain_log, options->client, options->json, err);
    } else if (options->bench) {
        status = geo_bench(table, err);
    } else {
        status = look_up(options, args, table, err);
    }
    router_table_unref(table);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct geo_options, __VA_ARGS__)
static const struct cli_option rows[] = {GEO_OPTIONS(ROW)};

const struct cli_command cli_command_geo = {
    .name = "geo",
    .summary = "Where addresses are, and which edge would serve them",
    .usage =
        "[OPTIONS] [IP | NETWORK | -]...\n"
        "       pocketcdn geo --explain-log FILE [--json]\n       pocketcdn geo info | verify [--db FILE]",
    .more = "Without an address, or for '-', lines are read from standard input. A network gives one line "
            "for each\n"
            "network of the answer inside it, and so does a range. Ports, brackets and quotes do not matter. "
            "The\n"
            "decision is the router's own code: GET /route?ip= says the same.\n"
            "\n"
            "  pocketcdn geo 8.8.8.8 2001:4860:4860::8888\n"
            "  pocketcdn geo --why 100.64.0.1\n"
            "  pocketcdn geo --csv ip,country,city,edge < addresses.txt > table.csv\n"
            "  pocketcdn geo --log --format '%{country} %{edge}' < access.log | sort | uniq -c\n"
            "  pocketcdn geo --annotate < access.log\n"
            "  pocketcdn geo --log --client xff --summary country,edge < access.log\n"
            "  pocketcdn geo --db City.mmdb --db ASN.mmdb --csv ip,country,asn 192.0.2.0-192.0.2.255\n"
            "\n"
            "Exit codes: 0 every address was found or is a special one, 1 some are not in the database, 2 "
            "usage or a bad\n"
            "address, 3 the database cannot be read.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct geo_options),
    .run = run,
};
_Static_assert(sizeof(struct geo_options) <= CLI_OPTIONS_MAX, "options do not fit");
