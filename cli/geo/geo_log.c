/* geo_log: `geo --explain-log`: who would be served from where. A client is decided once, at its
 * first line, and counted in bins of its modelled time, so that a log of any length needs memory
 * for its clients only. */
#include "cli/base/print.h"
#include "cli/base/table.h"
#include "cli/geo/geo.h"
#include "cli/geo/geo_client.h"
#include "cli/geo/geo_input.h"
#include "common/index.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/choice/select.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/banned.h"

#define CLIENTS_MAX (32u << 20)
#define BINS 4096u
#define BIN_MS 0.25f /* the last one holds what is a second and more */

struct tally { /* of one edge, or of all */
    uint64_t requests, clients, ambiguous;
    uint32_t *times; /* clients by modelled time; NULL until the first one */
};

struct client {
    uint64_t high, low; /* the address; IPv4 as ::ffff:a.b.c.d */
    uint16_t edge;
};

struct log_job {
    const struct router_table *table;
    struct tally *edges; /* one for each, then that of all */
    struct client *clients;
    size_t client_count, client_room;
    struct cdn_index index; /* of the clients, by address */
    uint64_t lines, without, unserved;
};

/* ---- clients ---- */

static struct client client_of(const struct cdn_addr *a)
{
    struct client c = {.low = 0xffffull << 32};
    if (a->sa.sa_family == AF_INET) {
        c.low |= __builtin_bswap32(a->v4.sin_addr.s_addr);
        return c;
    }
    memcpy(&c.high, a->v6.sin6_addr.s6_addr, 8);
    memcpy(&c.low, a->v6.sin6_addr.s6_addr + 8, 8);
    return c;
}

struct asked {
    const struct client *clients, *client;
};

static bool is_same(const void *ctx, uint32_t number)
{
    const struct asked *a = ctx;
    return a->clients[number].high == a->client->high && a->clients[number].low == a->client->low;
}

static void tally_client(struct tally *t, const struct router_decision *d)
{
    if (!t->times) {
        t->times = cdn_calloc(BINS, sizeof(*t->times));
    }
    float bin = d->choice.at.rtt_ms / BIN_MS;
    t->times[bin < (float)BINS - 1 ? (unsigned)bin : BINS - 1]++;
    t->clients++;
    t->ambiguous += d->ambiguous;
}

/* The edge of a client that is seen for the first time. */
static uint16_t meet(struct log_job *job, const struct cdn_addr *address)
{
    const struct router_question question = {.client = *address};
    struct router_decision d;
    router_decide(job->table, &question, NULL, &d);
    if (d.choice.edge != ROUTER_NO_EDGE) {
        tally_client(&job->edges[d.choice.edge], &d);
        tally_client(&job->edges[job->table->edges->count], &d);
    }
    return d.choice.edge;
}

static enum cdn_status take(struct log_job *job, const struct cdn_addr *address, struct cdn_error *err)
{
    struct client client = client_of(address);
    const uint64_t bytes[2] = {client.high, client.low};
    const uint64_t hash = XXH3_64bits(bytes, sizeof(bytes));
    const struct asked asked = {job->clients, &client};
    uint32_t number = cdn_index_find(&job->index, hash, is_same, &asked);
    if (number == CDN_INDEX_NONE) {
        if (job->client_count == CLIENTS_MAX) {
            return cdn_error_set(err, CDN_TOO_LARGE, "more than %u different clients", CLIENTS_MAX);
        }
        if (job->client_count == job->client_room) {
            job->client_room = job->client_room ? 2 * job->client_room : 2048;
            job->clients = cdn_realloc(job->clients, job->client_room, sizeof(*job->clients));
        }
        client.edge = meet(job, address);
        number = (uint32_t)job->client_count++;
        job->clients[number] = client;
        cdn_index_put(&job->index, hash, number);
    }
    const uint16_t edge = job->clients[number].edge;
    if (edge == ROUTER_NO_EDGE) {
        job->unserved++;
        return CDN_OK;
    }
    job->edges[edge].requests++;
    job->edges[job->table->edges->count].requests++;
    return CDN_OK;
}

/* ---- the report ---- */

/* The time that `share` of the clients do not exceed, ms. */
static double quantile(const struct tally *t, double share)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)t->clients * share + 0.5);
    for (unsigned i = 0; i < BINS && t->times; i++) {
        seen += t->times[i];
        if (seen >= wanted && seen > 0) {
            return (i + 0.5) * (double)BIN_MS;
        }
    }
    return 0;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static json_t *tally_json(const struct tally *t, const struct tally *all)
{
    return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "requests", (json_int_t)t->requests, "clients",
                     (json_int_t)t->clients, "requests_percent", percent(t->requests, all->requests),
                     "clients_percent", percent(t->clients, all->clients), "rtt_ms_p50", quantile(t, 0.5),
                     "rtt_ms_p95", quantile(t, 0.95), "ambiguous_percent", percent(t->ambiguous, t->clients));
}

static void report_json(const struct log_job *job, struct cdn_buf *out)
{
    const struct router_edges *edges = job->table->edges;
    const struct tally *all = &job->edges[edges->count];
    json_t *list = json_array();
    for (size_t i = 0; i < edges->count; i++) {
        json_t *one = tally_json(&job->edges[i], all);
        json_object_set_new(one, "edge", json_string(edges->at[i].name));
        json_array_append_new(list, one);
    }
    json_t *o = tally_json(all, all);
    json_object_set_new(o, "lines", json_integer((json_int_t)job->lines));
    json_object_set_new(o, "lines_without_address", json_integer((json_int_t)job->without));
    json_object_set_new(o, "rtt_label", json_string("modelled"));
    json_object_set_new(o, "edges", list);
    cli_add_json(out, o, JSON_COMPACT);
    cdn_buf_add_char(out, '\n');
    json_decref(o);
}

static void report_row(struct table *table, const char *name, const char *place, const struct tally *t,
                       const struct tally *all)
{
    table_add(table, "%s", name);
    table_add(table, "%s", place);
    table_add(table, "%llu", (unsigned long long)t->clients);
    table_add(table, "%.1f", percent(t->clients, all->clients));
    table_add(table, "%.1f", percent(t->requests, all->requests));
    table_add(table, "%.1f", quantile(t, 0.5));
    table_add(table, "%.1f", quantile(t, 0.95));
    table_add(table, "%.1f", percent(t->ambiguous, t->clients));
}

static void report_table(const struct log_job *job, struct cdn_buf *out)
{
    const struct router_edges *edges = job->table->edges;
    const struct tally *all = &job->edges[edges->count];
    struct table table;
    table_init(&table, "EDGE|PLACE|>CLIENTS|>%|>% OF REQUESTS|>P50 MS|>P95 MS|>% AMBIGUOUS");
    for (size_t i = 0; i < edges->count; i++) {
        report_row(&table, edges->at[i].name, edges->at[i].place, &job->edges[i], all);
    }
    report_row(&table, "all", "", all, all);
    table_print(&table, out);
    table_fini(&table);
    cdn_buf_printf(out,
                   "%llu lines, %llu without an address, %llu of clients that no edge can serve; times are "
                   "modelled\n",
                   (unsigned long long)job->lines, (unsigned long long)job->without,
                   (unsigned long long)job->unserved);
}

/* ---- reading ---- */

static void nothing(void *self)
{
    (void)self;
}

static enum cdn_status read_lines(struct log_job *job, int fd, struct geo_client *client,
                                  struct cdn_error *err)
{
    struct geo_reader reader;
    enum cdn_status status;
    geo_reader_init(&reader, fd, nothing, NULL);
    do {
        struct cdn_str line;
        struct cdn_addr address;
        status = geo_reader_line(&reader, &line, err);
        job->lines = reader.line;
        if (status == CDN_OK && geo_client_comment(client, line)) {
            continue;
        }
        if (status == CDN_TOO_LARGE || (status == CDN_OK && !geo_client_find(client, line, &address))) {
            job->without++;
            status = CDN_OK;
        } else if (status == CDN_OK) {
            status = take(job, &address, err);
        }
    } while (status == CDN_OK);
    geo_reader_fini(&reader);
    return status == CDN_NOT_FOUND ? CDN_OK : status;
}

static enum cdn_status read_file(struct log_job *job, const char *path, struct geo_client *client,
                                 struct cdn_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    }
    enum cdn_status status = read_lines(job, fd, client, err);
    if (!is_stdin) {
        close(fd);
    }
    return status != CDN_OK ? cdn_error_prefix(err, "%s", path) : CDN_OK;
}

enum cdn_status geo_explain_log(const struct router_table *table, const char *path, const char *which,
                                bool json, struct cdn_error *err)
{
    struct geo_client client;
    enum cdn_status status = geo_client_init(&client, which, table, err);
    if (status != CDN_OK) {
        return status;
    }
    struct log_job job = {.table = table};
    size_t count = table->edges->count + 1;
    job.edges = cdn_calloc(count, sizeof(*job.edges));
    status = read_file(&job, path, &client, err);
    CDN_AUTOBUF struct cdn_buf out = {0};
    if (status == CDN_OK && json) {
        report_json(&job, &out);
    } else if (status == CDN_OK) {
        report_table(&job, &out);
    }
    if (fwrite(out.p ? out.p : "", 1, out.n, stdout) != out.n) {
        status = cdn_error_set(err, CDN_IO, "standard output: %s", strerror(errno));
    }
    for (size_t i = 0; i < count; i++) {
        free(job.edges[i].times);
    }
    free(job.edges);
    free(job.clients);
    cdn_index_free(&job.index);
    return status;
}
