/* warm_run: the requests, on one loop with one client. URLs go in the order of the list, each to all
 * edges, so that what the origin is asked at a time is one object. An edge that refuses connections is
 * given up after a few. What came is judged by its status, by its framing (libcurl tells a body that is
 * shorter than its Content-Length), and by what the edge says that it did (X-Cache, Cache-Status). */
#include "cli/warm/warm_list.h"
#include "cli/warm/warm_private.h"
#include "common/clock.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define REQUEST_MS 600000
#define TURN_MS 100
#define NOTES_MAX 10000u
#define REFUSALS_MAX 3u
#define PROGRESS_NS INT64_C(200000000)
#define SECOND_NS INT64_C(1000000000)

struct run;
struct slot { /* one request under way */
    struct run *run;
    struct http_fetch *fetch;
    size_t url, edge;
    unsigned status;
    int64_t length; /* Content-Length; -1: none */
    uint64_t bytes;
    char verdict[16], cache_status[256], etag[128], coding[16], location[256];
};

struct version {   /* of a URL, as the first edge that answered has it */
    uint64_t hash; /* of ETag and coding; 0: none yet */
    bool differs;
};

struct run {
    struct warm *warm;
    struct loop *loop;
    struct http_client *client;
    struct slot *slots;
    struct version *versions;
    size_t next, total, done, running;
    int64_t began_ns, told_ns;
    bool progress;
    struct loop_timer timer;
};

size_t warm_request(const struct warm *warm, const struct warm_edge *edge, const struct warm_url *url,
                    struct cdn_buf *ret_url, struct http_field ret_fields[static WARM_FIELDS_MAX + 2])
{
    size_t n = 0;
    cdn_buf_clear(ret_url);
    cdn_buf_printf(ret_url, "%s%s", edge->url, url->target);
    for (size_t i = 0; i < warm->field_count; i++) {
        ret_fields[n++] = warm->fields[i];
    }
    if (url->host[0]) {
        ret_fields[n++] = (struct http_field){CDN_STR("Host"), cdn_str(url->host)};
    }
    if (url->host[0] && url->secure != (strncmp(edge->url, "https:", 6) == 0)) {
        struct cdn_str scheme = url->secure ? CDN_STR("https") : CDN_STR("http");
        ret_fields[n++] = (struct http_field){CDN_STR("X-Forwarded-Proto"), scheme};
    }
    return n;
}

/* ---- what came ---- */

static void note(struct run *run, const struct slot *slot, enum warm_outcome outcome, const char *why)
{
    struct warm *warm = run->warm;
    warm->edges[slot->edge].counts[outcome]++;
    if (outcome != WARM_FAILED && outcome != WARM_NOT_KEPT) {
        return;
    }
    if (warm->note_count == NOTES_MAX) {
        warm->notes_left_out++;
        return;
    }
    warm->notes = cdn_realloc(warm->notes, warm->note_count + 1, sizeof(*warm->notes));
    warm->notes[warm->note_count++] = (struct warm_note){outcome, slot->edge, slot->url, cdn_strdup(why)};
}

/* The member of that name of a Cache-Status item (RFC 9211 2): "stored", "detail=cold". */
static struct cdn_str member(const char *cache_status, struct cdn_str name)
{
    struct cdn_str rest = cdn_str(cache_status);
    while (rest.p) {
        struct cdn_str value = cdn_str_trim(cdn_str_cut(&rest, ';'));
        struct cdn_str key = cdn_str_cut(&value, '=');
        if (cdn_str_eq(key, name)) {
            return value.p ? value : CDN_STR("yes");
        }
    }
    return CDN_STR("");
}

/* Edges that have different versions of one URL: told, because a deploy may be half done. */
static void compare_version(struct run *run, const struct slot *slot)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    struct version *version = &run->versions[slot->url];
    if (!slot->etag[0]) {
        return;
    }
    for (const char *part = slot->etag; part; part = part == slot->etag ? slot->coding : NULL) {
        for (const char *p = part; *p; p++) {
            hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
        }
    }
    if (version->hash && version->hash != hash && !version->differs) {
        version->differs = true;
        run->warm->differing++;
    }
    version->hash = version->hash ? version->hash : hash;
}

static void judge(struct run *run, const struct slot *slot)
{
    char why[600];
    struct cdn_str detail = member(slot->cache_status, CDN_STR("detail"));
    if (slot->status != 200) {
        (void)snprintf(why, sizeof(why), "%u%s%s", slot->status, slot->location[0] ? " to " : "",
                       slot->location);
        note(run, slot, WARM_FAILED, why);
    } else if (slot->length >= 0 && (uint64_t)slot->length != slot->bytes) {
        (void)snprintf(why, sizeof(why), "%llu bytes came, and Content-Length says %lld",
                       (unsigned long long)slot->bytes, (long long)slot->length);
        note(run, slot, WARM_FAILED, why);
    } else if (strcmp(slot->verdict, "HIT") == 0 || strcmp(slot->verdict, "STALE") == 0) {
        note(run, slot, WARM_HIT, "");
    } else if (member(slot->cache_status, CDN_STR("stored")).n || strcmp(slot->verdict, "REVALIDATED") == 0) {
        note(run, slot, WARM_WARMED, "");
    } else {
        (void)snprintf(why, sizeof(why), "not kept%s" CDN_STR_FMT, detail.n ? ": " : "", CDN_STR_ARG(detail));
        note(run, slot, WARM_NOT_KEPT, slot->verdict[0] ? why : "not kept: no X-Cache, so this is no edge");
    }
    compare_version(run, slot);
}

static void on_head(void *arg, const struct http_fetch_head *head)
{
    struct slot *slot = arg;
    slot->status = head->status;
    slot->length = head->content_length;
    const struct {
        const char *name;
        char *into;
        size_t size;
    } wanted[] = {{"X-Cache", slot->verdict, sizeof(slot->verdict)},
                  {"Cache-Status", slot->cache_status, sizeof(slot->cache_status)},
                  {"ETag", slot->etag, sizeof(slot->etag)},
                  {"Content-Encoding", slot->coding, sizeof(slot->coding)},
                  {"Location", slot->location, sizeof(slot->location)}};
    for (size_t i = 0; i < head->field_count; i++) {
        for (size_t k = 0; k < CDN_ARRAY_LEN(wanted); k++) {
            if (cdn_str_eq_nocase(head->fields[i].name, cdn_str(wanted[k].name))) {
                (void)cdn_str_copy(wanted[k].into, wanted[k].size, head->fields[i].value);
            }
        }
    }
}

static bool on_data(void *arg, const char *data, size_t n)
{
    struct slot *slot = arg;
    (void)data;
    slot->bytes += n;
    return true;
}

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct slot *slot = arg;
    struct run *run = slot->run;
    struct warm_edge *edge = &run->warm->edges[slot->edge];
    slot->fetch = NULL;
    run->running--;
    run->done++;
    edge->bytes += slot->bytes;
    edge->refusals = error == HTTP_FETCH_CONNECT ? edge->refusals + 1 : 0;
    if (error != HTTP_FETCH_NONE) {
        CDN_AUTOFREE char *why = cdn_asprintf("%s (%s)", http_fetch_error_word(error), text);
        note(run, slot, WARM_FAILED, why);
    } else {
        judge(run, slot);
    }
}

/* ---- what goes out ---- */

static void start(struct run *run, struct slot *slot)
{
    static const struct http_fetch_handler handler = {.head = on_head, .data = on_data, .end = on_end};
    struct http_field fields[WARM_FIELDS_MAX + 2];
    CDN_AUTOBUF struct cdn_buf url = {0};
    const struct warm *warm = run->warm;
    size_t job = run->next++;
    *slot = (struct slot){
        .run = run, .url = job / warm->edge_count, .edge = job % warm->edge_count, .length = -1};
    const struct warm_edge *edge = &warm->edges[slot->edge];
    if (edge->refusals >= REFUSALS_MAX) {
        run->done++;
        note(run, slot, WARM_FAILED, "not asked: the edge refuses connections");
        return;
    }
    size_t n = warm_request(warm, edge, &warm->list.urls[slot->url], &url, fields);
    const struct http_fetch_request request = {.method = "GET",
                                               .url = url.p,
                                               .fields = fields,
                                               .field_count = n,
                                               .handler = &handler,
                                               .arg = slot,
                                               .total_timeout_ms = REQUEST_MS};
    run->running++;
    slot->fetch = http_fetch_start(run->client, &request);
}

/* How many requests may have begun by now. */
static size_t allowance(const struct run *run)
{
    const size_t rate = run->warm->rate;
    int64_t passed_ns = cdn_clock_mono_ns() - run->began_ns;
    return rate ? (size_t)((double)passed_ns / (double)SECOND_NS * (double)rate) + 1 : SIZE_MAX;
}

static void fill(struct run *run)
{
    const size_t may = allowance(run);
    for (size_t i = 0; i < run->warm->concurrency; i++) {
        while (!run->slots[i].fetch && run->next < run->total && run->next < may) {
            start(run, &run->slots[i]);
        }
    }
    if (run->warm->rate && run->next < run->total && run->next >= may) {
        loop_timer_start(run->loop, &run->timer, SECOND_NS / (int64_t)run->warm->rate);
    }
}

static void on_timer(struct loop_timer *self)
{
    (void)self; /* a turn of the loop is what was wanted */
}

static void show_progress(struct run *run)
{
    size_t failed = 0, hits = 0;
    int64_t now = cdn_clock_mono_ns();
    if (!run->progress || (now - run->told_ns < PROGRESS_NS && run->done < run->total)) {
        return;
    }
    run->told_ns = now;
    for (size_t i = 0; i < run->warm->edge_count; i++) {
        failed += run->warm->edges[i].counts[WARM_FAILED];
        hits += run->warm->edges[i].counts[WARM_HIT];
    }
    fprintf(stderr, "\r\033[K%zu of %zu requests (%zu %%), %zu were hits, %zu failed%s", run->done,
            run->total, run->done * 100 / run->total, hits, failed,
            run->done == run->total ? "\r\033[K" : "");
}

enum cdn_status warm_run(struct warm *warm, struct cdn_error *err)
{
    const struct http_client_config config = {.max_connections = (unsigned)warm->concurrency,
                                              .max_per_host = (unsigned)warm->concurrency,
                                              .max_idle = (unsigned)warm->concurrency,
                                              .ca_file = warm->ca_file,
                                              .insecure = warm->options->insecure,
                                              .user_agent = "pocketcdn warm"};
    struct run run = {.warm = warm,
                      .total = warm->list.n * warm->edge_count,
                      .began_ns = cdn_clock_mono_ns(),
                      .progress = isatty(STDERR_FILENO),
                      .timer.fire = on_timer};
    enum cdn_status status = loop_create(&run.loop, err);
    if (status == CDN_OK) {
        status = http_client_create(run.loop, &config, &run.client, err);
    }
    run.slots = cdn_calloc(warm->concurrency, sizeof(*run.slots));
    run.versions = cdn_calloc(warm->list.n + 1, sizeof(*run.versions));
    while (status == CDN_OK && run.done < run.total) {
        fill(&run);
        show_progress(&run);
        if (run.done < run.total) {
            loop_turn(run.loop, TURN_MS);
        }
    }
    warm->took_ns = cdn_clock_mono_ns() - run.began_ns;
    if (run.client) {
        http_client_destroy(run.client);
    }
    if (run.loop) {
        loop_timer_stop(run.loop, &run.timer);
        loop_destroy(run.loop);
    }
    free(run.slots);
    free(run.versions);
    return status;
}
