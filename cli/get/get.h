/* get: a request as a client at some place makes it, hop by hop, and the forms in which it is told.
 *
 * Over the network between the places when that runs (cli/travel/network.h): then each hop takes its
 * way's time. Otherwise straight, in the name of an address that the database has at the place
 * (X-Forwarded-For): then the milliseconds are of this machine alone. What is printed says which.
 */
#ifndef CDN_CLI_GET_GET_H
#define CDN_CLI_GET_GET_H
#include "cli/base/options.h"
#include "cli/get/exchange.h"
#include "cli/run/control.h"
#include "common/http/syntax/http_message.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GET_HOPS_MAX 6
#define GET_REPEAT_MAX 10000u

#define GET_OPTIONS(X)                                                                                    \
    X(TEXT, from, 0, "PLACE|IP", "Be a client there: a city, LAT,LON, a site's name or an address")       \
    X(TEXT, profile, 'p', "NAME", "With --from over the network: the last mile, such as 4g")              \
    X(LIST, header, 'H', "FIELD", "Send this field, such as 'Cookie: a=b'; may be repeated")              \
    X(TEXT, request, 'X', "METHOD", "Method other than GET (POST with --data)")                           \
    X(TEXT, data, 'd', "DATA", "Send a body: text, @FILE, or @- for standard input")                      \
    X(TEXT, output, 'o', "FILE", "Write the body there ('-': standard output, after the report)")         \
    X(FLAG, insecure, 'k', NULL, "Do not verify certificates")                                            \
    X(TEXT, cacert, 0, "FILE", "CA certificates in place of those that the CDN and the system have")      \
    X(FLAG, waterfall, 'w', NULL, "Draw resolver, connect, TLS, wait and the rounds of the body")         \
    X(TEXT, repeat, 'n', "N", "Ask the last URL N times more on one connection, and N times on new ones") \
    X(FLAG, latency, 'l', NULL, "Print one number: milliseconds to the first byte, redirects included")   \
    X(FLAG, har, 0, NULL, "The report as HAR 1.2, which browsers' developer tools open")                  \
    X(FLAG, json, 'j', NULL, "The report as one JSON object")                                             \
    CONTROL_OPTIONS(X)

CLI_OPTIONS_STRUCT(get_options, GET_OPTIONS);

struct get_dns {
    char address[CDN_ADDR_TEXT_SIZE]; /* "": the URL has no name that our DNS knows */
    int64_t us;                       /* measured, and not charged */
};

struct get_hop {
    char *url;
    char *node; /* "router", "nrt"; "": not one of this CDN's */
    struct exchange exchange;
    struct get_dns dns;
    json_t *model; /* GET /path of the network from the client to the node, or NULL */
};

struct get_visit {
    const struct get_options *options;
    json_t *up;            /* up.json, or NULL when no CDN runs here */
    json_t *wan;           /* the network's node in it; NULL: straight */
    char *proxy, *profile; /* into the network; the last mile there */
    char *url;
    char *place; /* as it is called; "" */
    char *stand; /* as the network is told */
    bool has_client;
    struct cdn_addr client;
    json_t *route; /* the router's explanation, or NULL */
    const char *method;
    struct http_field fields[CLI_LIST_MAX + 2]; /* of the request; slices of argv */
    size_t field_count;
    struct cdn_str body;
    struct cdn_buf data; /* the body, when it was read from a file */
    struct exchange_client *client_side;
    struct get_hop hops[GET_HOPS_MAX];
    size_t hop_count;
};

/* What is asked: method, fields, body (get_request). */
enum cdn_status get_request_read(struct get_visit *visit, struct cdn_error *err) CDN_MUST_CHECK;

/* Where from and where to, then hop after hop (get_visit). */
enum cdn_status get_visit_run(struct get_visit *visit, const char *url, struct cdn_error *err) CDN_MUST_CHECK;
void get_visit_free(struct get_visit *visit);
const struct exchange *get_visit_answer(const struct get_visit *visit); /* of the last hop */
/* The cache that answered, as it calls itself in Cache-Status (RFC 9211: the last member is the
 * nearest); owned by the caller, "" for none. */
char *get_cache_name(const struct exchange *exchange);
double get_visit_first_byte_ms(const struct get_visit *visit);
/* Asks our GeoDNS for a name, on behalf of the client. */
bool get_resolve(const struct get_visit *visit, const char *name, struct get_dns *ret);

/* One request to the URL of the last hop. */
enum cdn_status get_visit_again(struct get_visit *visit, bool fresh, struct exchange *ret,
                                struct cdn_error *err) CDN_MUST_CHECK;

/* Milliseconds of the phases of one exchange; the first ones 0 on a kept connection. */
struct get_phases {
    double connect, tls, wait, receive;
};
struct get_phases get_phases_of(const struct exchange *exchange);

/* The series of --repeat: milliseconds, sorted. */
struct get_series {
    size_t n;
    double *first_byte, *total;
};
struct get_repeats {
    struct get_series kept, fresh;
};
enum cdn_status get_repeat_run(struct get_visit *visit, unsigned n, struct get_repeats *ret,
                               struct cdn_error *err) CDN_MUST_CHECK;
void get_repeat_print(const struct get_repeats *repeats);
json_t *get_repeat_json(const struct get_repeats *repeats);
void get_repeat_free(struct get_repeats *repeats); /* may be zeroed */
/* Of sorted values, the smallest that `part` (0 to 1) of them do not exceed; 0 without any. */
double get_repeat_quantile(const double *sorted, size_t n, double part);

void get_print_text(const struct get_visit *visit);
json_t *get_print_json(const struct get_visit *visit);

/* For a terminal of that many columns, the last row's end the right margin. */
void get_waterfall_print(const struct get_visit *visit, unsigned width);
/* The rounds in which a body came: pieces with no silence of `gap_us` between them are one. Returns how
 * many; at most `max` are written, the rest is in the last one. */
struct get_round {
    int64_t from_us, until_us;
    size_t bytes;
};
size_t get_waterfall_rounds(const struct exchange *exchange, int64_t gap_us, struct get_round *ret,
                            size_t max);

json_t *get_har(const struct get_visit *visit);

#endif
