/* exchange: one easy handle, whose connections stay from request to request. When a SOCKS proxy has
 * connected is read from libcurl's own log line, since CURLINFO_CONNECT_TIME (7.88) is the moment when
 * the proxy itself was reached; where the line is missing, the request's departure stands in
 * (tests/scenarios/test_travel.py holds both against the modelled round trip). */
#include "cli/get/exchange.h"

#include "common/clock.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define CONNECT_TIMEOUT_MS 30000L
#define SILENCE_S 30L     /* without a byte, after which a request is given up */
#define TOTAL_MS 3600000L /* 200 MiB by 3G take no longer */
#define BODY_MAX (256u << 20)
#define HEAD_MAX (256u << 10)
#define SOCKS_DONE "SOCKS5 request granted"

struct exchange_client {
    CURL *easy;
    char *proxy, *ca_file;
    bool insecure;
};

struct run { /* one request under way */
    struct exchange *e;
    int64_t began_ns;
    int64_t socks_us; /* when the proxy had connected */
    size_t room;      /* of pieces */
    bool too_large;
};

static int64_t now_us(const struct run *run)
{
    return (cdn_clock_mono_ns() - run->began_ns) / 1000;
}

static int on_debug(CURL *easy, curl_infotype type, char *text, size_t n, void *arg)
{
    struct run *run = arg;
    (void)easy;
    if (type == CURLINFO_TEXT && cdn_str_starts((struct cdn_str){text, n}, CDN_STR(SOCKS_DONE))) {
        run->socks_us = now_us(run);
    } else if (type == CURLINFO_HEADER_OUT && !run->e->times.sent_us) {
        run->e->times.sent_us = now_us(run);
    }
    return 0;
}

static size_t on_head(char *data, size_t size, size_t count, void *arg)
{
    struct run *run = arg;
    struct exchange *e = run->e;
    struct cdn_str line = {data, size * count};
    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r')) {
        line.n--;
    }
    struct cdn_str value = line;
    if (!e->times.first_us) {
        e->times.first_us = now_us(run);
    }
    if (cdn_str_starts(line, CDN_STR("HTTP/"))) { /* of an interim answer, or the final one */
        cdn_buf_clear(&e->head);
        return size * count;
    }
    struct cdn_str name = cdn_str_cut(&value, ':');
    if (value.p && e->head.n < HEAD_MAX) {
        cdn_buf_printf(&e->head, CDN_STR_FMT ": " CDN_STR_FMT "\n", CDN_STR_ARG(name),
                       CDN_STR_ARG(cdn_str_trim(value)));
    }
    return e->head.n < HEAD_MAX ? size * count : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct run *run = arg;
    struct exchange *e = run->e;
    const size_t n = size * count;
    if (n > BODY_MAX - e->body.n) {
        run->too_large = true;
        return 0;
    }
    cdn_buf_add(&e->body, data, n);
    if (e->piece_count == run->room) {
        run->room = run->room ? 2 * run->room : 64;
        e->pieces = cdn_realloc(e->pieces, run->room, sizeof(*e->pieces));
    }
    e->pieces[e->piece_count++] = (struct exchange_piece){now_us(run), e->body.n};
    return n;
}

enum cdn_status exchange_client_create(const struct exchange_client_config *config,
                                       struct exchange_client **ret, struct cdn_error *err)
{
    CURL *easy = curl_global_init(CURL_GLOBAL_DEFAULT) ? NULL : curl_easy_init();
    if (!easy) {
        return cdn_error_set(err, CDN_INTERNAL, "cannot start the HTTP client");
    }
    struct exchange_client *client = cdn_calloc(1, sizeof(*client));
    *client = (struct exchange_client){.easy = easy,
                                       .proxy = cdn_strdup(config->proxy ? config->proxy : ""),
                                       .ca_file = config->ca_file ? cdn_strdup(config->ca_file) : NULL,
                                       .insecure = config->insecure};
    *ret = client;
    return CDN_OK;
}

void exchange_client_destroy(struct exchange_client *client)
{
    if (client) {
        curl_easy_cleanup(client->easy);
        free(client->proxy);
        free(client->ca_file);
        free(client);
    }
}

static struct curl_slist *add_line(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);
    if (!longer) {
        cdn_out_of_memory();
    }
    return longer;
}

/* The fields as given, and none that libcurl would add. */
static struct curl_slist *make_fields(const struct exchange_request *request)
{
    struct curl_slist *list = NULL;
    static const char *const none[] = {"Accept:", "Expect:", "Content-Type:"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(none); i++) {
        bool given = false;
        for (size_t k = 0; k < request->field_count; k++) {
            given |=
                cdn_str_eq_nocase(request->fields[k].name, (struct cdn_str){none[i], strlen(none[i]) - 1});
        }
        list = given ? list : add_line(list, none[i]);
    }
    for (size_t i = 0; i < request->field_count; i++) {
        const struct http_field *f = &request->fields[i];
        CDN_AUTOFREE char *line = f->value.n ? cdn_asprintf(CDN_STR_FMT ": " CDN_STR_FMT,
                                                            CDN_STR_ARG(f->name), CDN_STR_ARG(f->value))
                                             : cdn_asprintf(CDN_STR_FMT ";", CDN_STR_ARG(f->name));
        list = add_line(list, line);
    }
    return list;
}

static void set_connection(const struct exchange_client *client, bool fresh)
{
    CURL *easy = client->easy;
    curl_easy_setopt(easy, CURLOPT_PROXY, client->proxy); /* "": none, whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)fresh);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, (long)fresh);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TOTAL_MS);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, (long)!client->insecure);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, client->insecure ? 0L : 2L);
    if (client->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    }
}

static void set_request(CURL *easy, const struct exchange_request *request)
{
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    if (request->body.n) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.p);
    }
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_watch(CURL *easy, struct run *run, char *text)
{
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, run);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, run);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, run);
}

static int64_t get_us(CURL *easy, CURLINFO what)
{
    curl_off_t us = 0;
    curl_easy_getinfo(easy, what, &us);
    return us;
}

static void take_times(const struct exchange_client *client, const struct run *run)
{
    struct exchange_times *times = &run->e->times;
    long code = 0, version = 0, connects = 0;
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(client->easy, CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(client->easy, CURLINFO_NUM_CONNECTS, &connects);
    run->e->status = (unsigned)code;
    run->e->version = version == CURL_HTTP_VERSION_1_0 ? 10 : 11;
    times->total_us = now_us(run);
    times->reused = connects == 0;
    if (!times->reused) {
        times->tls_us = get_us(client->easy, CURLINFO_APPCONNECT_TIME_T);
        times->connect_us = run->socks_us      ? run->socks_us
                            : client->proxy[0] ? times->sent_us
                                               : get_us(client->easy, CURLINFO_CONNECT_TIME_T);
    }
}

/* What the network answers to a SOCKS client is a number; these are its reasons (docs/travel.md). */
static const char *socks_reason(const char *text)
{
    static const struct {
        const char *number, *reason;
    } reasons[] = {
        {"(1)", "; the network could not reach it: see its log, wan.log in the state folder"},
        {"(2)", "; that is no node of this CDN (--allow adds others, and the site's name needs dns_listen)"},
        {"(3)", "; the link to it is cut"},
        {"(4)", "; the network knows no such name, or the link to it is cut"},
        {"(5)", "; nobody listens there"},
        {"(6)", "; it did not accept in time"},
    };
    for (size_t i = 0; strstr(text, "SOCKS5") && i < CDN_ARRAY_LEN(reasons); i++) {
        if (strstr(text, reasons[i].number)) {
            return reasons[i].reason;
        }
    }
    return "";
}

static const char *error_word(CURLcode code)
{
    static const struct {
        CURLcode code;
        const char *word; /* of RFC 9209 */
    } words[] = {
        {CURLE_COULDNT_RESOLVE_HOST, "dns_error"},
        {CURLE_COULDNT_CONNECT, "connection_refused"},
        {CURLE_OPERATION_TIMEDOUT, "connection_timeout"},
        {CURLE_SSL_CONNECT_ERROR, "tls_error"},
        {CURLE_PEER_FAILED_VERIFICATION, "tls_certificate_error"},
        {CURLE_PARTIAL_FILE, "http_response_incomplete"},
        {CURLE_RECV_ERROR, "http_response_incomplete"},
        {CURLE_GOT_NOTHING, "http_response_incomplete"},
        {CURLE_PROXY, "destination_unavailable"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(words); i++) {
        if (words[i].code == code) {
            return words[i].word;
        }
    }
    return "http_protocol_error";
}

static enum cdn_status judge(const struct run *run, const char *url, CURLcode code, const char *text,
                             struct cdn_error *err)
{
    if (run->too_large) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: the answer is larger than %u bytes", url, BODY_MAX);
    }
    if (code == CURLE_OK) {
        return CDN_OK;
    }
    const char *why = text[0] ? text : curl_easy_strerror(code);
    return cdn_error_set(err, code == CURLE_OPERATION_TIMEDOUT ? CDN_TIMEOUT : CDN_NETWORK, "%s: %s (%s)%s",
                         url, why, error_word(code), socks_reason(why));
}

enum cdn_status exchange_run(struct exchange_client *client, const struct exchange_request *request,
                             struct exchange *ret, struct cdn_error *err)
{
    char text[CURL_ERROR_SIZE] = "";
    struct exchange e = {.began_ms = cdn_clock_real_ms()};
    struct run run = {.e = &e, .began_ns = cdn_clock_mono_ns()};
    struct curl_slist *fields = make_fields(request);
    curl_easy_reset(client->easy); /* connections stay */
    set_connection(client, request->fresh);
    set_request(client->easy, request);
    set_watch(client->easy, &run, text);
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, fields);
    CURLcode code = curl_easy_perform(client->easy);
    take_times(client, &run);
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(fields);
    enum cdn_status status = judge(&run, request->url, code, text, err);
    if (status != CDN_OK) {
        exchange_free(&e);
        return status;
    }
    *ret = e;
    return CDN_OK;
}

void exchange_free(struct exchange *exchange)
{
    cdn_buf_free(&exchange->head);
    cdn_buf_free(&exchange->body);
    free(exchange->pieces);
    *exchange = (struct exchange){0};
}

char *exchange_field(const struct exchange *exchange, const char *name)
{
    for (struct cdn_str rest = cdn_buf_str(&exchange->head); rest.p && rest.n;) {
        struct cdn_str value = cdn_str_cut(&rest, '\n'), found = cdn_str_cut(&value, ':');
        if (value.p && cdn_str_eq_nocase(found, cdn_str(name))) {
            return cdn_str_dup(cdn_str_trim(value));
        }
    }
    return cdn_strdup("");
}
