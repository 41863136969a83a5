/* demo_visit: a page's files over six connections each, as a browser would load them, by clients in 20
 * cities at once over the network between the places: straight from the origin, then twice through the CDN.
 * Of the clients of an edge one goes first, so that who brings a file to an edge does not depend on chance.
 * Waiting is measured; what the paths take of it is modelled. */
#include "cli/demo/demo.h"
#include "cli/run/control.h"
#include "cli/run/own_cdn.h"
#include "cli/travel/network.h"
#include "common/clock.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/latency.h"
#include "geo-data/near.h"
#include "geo-data/places.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define CONNECTIONS 6u
#define TIMEOUT_MS 60000
#define TURN_MS 100

static const char *const cities[] = {"Tokyo",     "Osaka",     "Singapore", "Jakarta",     "Mumbai",
                                     "Delhi",     "Sydney",    "Auckland",  "Dubai",       "Nairobi",
                                     "Lagos",     "Cape Town", "Cairo",     "Berlin",      "Madrid",
                                     "Stockholm", "New York",  "Denver",    "Mexico City", "Buenos Aires"};

/* ---- who and where ---- */

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* What the router says of the visitor's address. */
static enum cdn_status ask_router(struct demo *demo, struct demo_visit *visit, const struct geo_place *origin,
                                  struct cdn_error *err)
{
    char ip[CDN_ADDR_TEXT_SIZE];
    json_t *route = NULL, *node = NULL;
    cdn_addr_format_ip(&visit->near.address, ip);
    CDN_AUTOFREE char *path = cdn_asprintf("/route?ip=%s", ip);
    enum cdn_status status = control_node(demo->cdn.is, "router", "router", &node, err);
    if (status == CDN_OK) {
        status = control_ask(node, "GET", path, NULL, &route, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    visit->edge = cdn_strdup(control_text(route, "edge"));
    visit->km = number_of(route, "km");
    visit->edge_ms = number_of(route, "rtt_ms");
    visit->origin_ms = geo_rtt_ms(visit->near.lat, visit->near.lon, origin->lat, origin->lon);
    json_decref(route);
    return CDN_OK;
}

static enum cdn_status find_visitors(struct demo *demo, struct cdn_error *err)
{
    struct geo_near points[CDN_ARRAY_LEN(cities)];
    struct geo_place place;
    struct geo_db *db;
    demo->visits = cdn_calloc(CDN_ARRAY_LEN(cities), sizeof(*demo->visits));
    demo->visit_count = CDN_ARRAY_LEN(cities);
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < demo->visit_count && status == CDN_OK; i++) {
        status = geo_place_find(cdn_str(cities[i]), &place, err);
        points[i] = (struct geo_near){.lat = place.lat, .lon = place.lon};
    }
    if (status == CDN_OK) {
        status = geo_db_open_embedded(&db, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    status = geo_near_find(db, points, demo->visit_count, err);
    geo_db_unref(db);
    for (size_t i = 0; i < demo->visit_count; i++) {
        demo->visits[i] = (struct demo_visit){.city = cities[i], .near = points[i]};
    }
    return status;
}

/* ---- a page ---- */

struct page { /* being loaded by one visitor */
    struct demo *demo;
    struct demo_visit *visit;
    enum demo_load load;
    struct http_client *client;
    struct file_load {
        struct page *page;
        const struct demo_file *file;
        struct http_fetch *fetch;
        struct cdn_buf body;
        unsigned status;
        char verdict[16], edge[64];
    } * files;
    size_t left;
    int64_t began_ns;
};

static void note(struct demo *demo, const struct demo_visit *visit, const char *path, const char *what)
{
    if (demo->wrong.n < 4096) {
        cdn_buf_printf(&demo->wrong, "%s, %s: %s\n", visit->city, path, what);
    }
}

static void on_head(void *arg, const struct http_fetch_head *head)
{
    struct file_load *f = arg;
    f->status = head->status;
    for (size_t i = 0; i < head->field_count; i++) {
        struct cdn_str value = head->fields[i].value;
        if (cdn_str_eq_nocase(head->fields[i].name, CDN_STR("X-Cache"))) {
            (void)cdn_str_copy(f->verdict, sizeof(f->verdict), value);
        } else if (cdn_str_eq_nocase(head->fields[i].name, CDN_STR("Cache-Status"))) {
            (void)cdn_str_copy(f->edge, sizeof(f->edge), cdn_str_trim(cdn_str_cut(&value, ';')));
        }
    }
}

static bool on_data(void *arg, const char *data, size_t n)
{
    struct file_load *f = arg;
    cdn_buf_add(&f->body, data, n);
    return true;
}

static void count(struct page *page, const struct file_load *f)
{
    struct demo_visit *visit = page->visit;
    size_t kind = strcmp(f->verdict, "HIT") == 0 ? 0 : strcmp(f->verdict, "MISS") == 0 ? 1 : 2;
    if (page->load == DEMO_STRAIGHT) {
        return;
    }
    visit->verdicts[page->load - DEMO_FIRST][kind]++;
    visit->bytes += f->body.n;
    if (strcmp(f->edge, visit->edge) != 0) {
        note(page->demo, visit, f->file->path, "DNS led to another edge than the router names");
    }
}

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct file_load *f = arg;
    struct page *page = f->page;
    f->fetch = NULL;
    if (error != HTTP_FETCH_NONE) {
        CDN_AUTOFREE char *what = cdn_asprintf("no answer: %s", text);
        note(page->demo, page->visit, f->file->path, what);
    } else if (f->status != 200 || !cdn_str_eq(cdn_buf_str(&f->body), cdn_buf_str(&f->file->bytes))) {
        note(page->demo, page->visit, f->file->path, "the answer is not the file");
    } else {
        count(page, f);
    }
    cdn_buf_free(&f->body);
    if (--page->left == 0) {
        page->visit->page_ms[page->load] = (double)(cdn_clock_mono_ns() - page->began_ns) / 1e6;
    }
}

static enum cdn_status page_begin(struct page *page, struct loop *loop, struct cdn_error *err)
{
    static const struct http_fetch_handler handler = {.head = on_head, .data = on_data, .end = on_end};
    const struct demo *demo = page->demo;
    const char *socks = strstr(control_text(network_of(demo->cdn.is), "url"), "://");
    CDN_AUTOFREE char *proxy = cdn_asprintf("socks5h://%.9g%%2C%.9g:@%s", page->visit->near.lat,
                                            page->visit->near.lon, socks ? socks + 3 : "");
    const struct http_client_config config = {.proxy = proxy, .max_per_host = CONNECTIONS};
    enum cdn_status status = http_client_create(loop, &config, &page->client, err);
    if (status != CDN_OK) {
        return status;
    }
    page->left = demo->file_count;
    page->began_ns = cdn_clock_mono_ns();
    page->files = cdn_calloc(demo->file_count, sizeof(*page->files));
    for (size_t i = 0; i < demo->file_count; i++) {
        struct file_load *f = &page->files[i];
        *f = (struct file_load){.page = page, .file = &demo->files[i]};
        CDN_AUTOFREE char *url = cdn_asprintf("http://%s.cdn.test%s",
                                              page->load == DEMO_STRAIGHT ? "origin" : "www", f->file->path);
        const struct http_fetch_request request = {.method = "GET",
                                                   .url = url,
                                                   .handler = &handler,
                                                   .arg = f,
                                                   .first_byte_timeout_ms = TIMEOUT_MS,
                                                   .total_timeout_ms = TIMEOUT_MS};
        f->fetch = http_fetch_start(page->client, &request);
    }
    return CDN_OK;
}

static void page_end(struct page *page)
{
    http_client_destroy(page->client); /* cancels what is left after an interruption */
    for (size_t i = 0; page->files && i < page->demo->file_count; i++) {
        cdn_buf_free(&page->files[i].body);
    }
    free(page->files);
}

static bool all_loaded(const struct page *pages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pages[i].left) {
            return false;
        }
    }
    return true;
}

/* Whether this visitor is the first one of its edge. */
static bool goes_first(const struct demo *demo, size_t visitor)
{
    for (size_t i = 0; i < visitor; i++) {
        if (strcmp(demo->visits[i].edge, demo->visits[visitor].edge) == 0) {
            return false;
        }
    }
    return true;
}

/* Those who go first, or the others, all at once. */
static enum cdn_status load_pages(struct demo *demo, enum demo_load load, bool first, struct cdn_error *err)
{
    CDN_AUTOFREE struct page *pages = cdn_calloc(demo->visit_count, sizeof(*pages));
    struct loop *loop;
    size_t n = 0;
    enum cdn_status status = loop_create(&loop, err);
    if (status != CDN_OK) {
        return status;
    }
    for (size_t i = 0; i < demo->visit_count && status == CDN_OK; i++) {
        if (load != DEMO_FIRST || goes_first(demo, i) == first) {
            pages[n] = (struct page){.demo = demo, .visit = &demo->visits[i], .load = load};
            status = page_begin(&pages[n++], loop, err);
        }
    }
    while (status == CDN_OK && !all_loaded(pages, n)) {
        loop_turn(loop, TURN_MS);
        if (demo_interrupted) {
            status = cdn_error_set(err, CDN_UNAVAILABLE, "interrupted");
        }
    }
    for (size_t i = 0; i < n; i++) {
        page_end(&pages[i]);
    }
    loop_destroy(loop);
    return status;
}

enum cdn_status demo_visitors(struct demo *demo, struct cdn_error *err)
{
    struct geo_place origin;
    enum cdn_status status = find_visitors(demo, err);
    if (status == CDN_OK) {
        status = geo_place_find(CDN_STR(DEMO_ORIGIN_PLACE), &origin, err);
    }
    for (size_t i = 0; i < demo->visit_count && status == CDN_OK; i++) {
        status = ask_router(demo, &demo->visits[i], &origin, err);
    }
    return status;
}

enum cdn_status demo_load(struct demo *demo, enum demo_load load, struct cdn_error *err)
{
    const int64_t began_ns = cdn_clock_mono_ns();
    enum cdn_status status = load_pages(demo, load, true, err);
    if (status == CDN_OK && load == DEMO_FIRST) {
        status = load_pages(demo, load, false, err);
    }
    demo->visits_ms += load == DEMO_STRAIGHT ? 0 : (double)(cdn_clock_mono_ns() - began_ns) / 1e6;
    return status;
}

void demo_visits_free(struct demo *demo)
{
    for (size_t i = 0; i < demo->visit_count; i++) {
        free(demo->visits[i].edge);
    }
    free(demo->visits);
}
