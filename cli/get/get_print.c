/* get_print: the report for people, and as JSON. A millisecond is called what it is: measured on this
 * machine, modelled of a distance, or taken by the clock over a network whose ways are modelled; the
 * kinds are never added up. */
#include "cli/base/print.h"
#include "cli/base/terminal.h"
#include "cli/get/exchange.h"
#include "cli/get/get.h"
#include "cli/run/control.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static double total_ms(const struct get_visit *visit)
{
    double sum = 0;
    for (size_t i = 0; i < visit->hop_count; i++) {
        sum += (double)visit->hops[i].exchange.times.total_us / 1000;
    }
    return sum;
}

static enum terminal_style verdict_style(const char *x_cache)
{
    return strcmp(x_cache, "HIT") == 0 ? TERMINAL_GOOD : x_cache[0] ? TERMINAL_WARNING : TERMINAL_PLAIN;
}

static void print_client(const struct get_visit *visit)
{
    char ip[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(&visit->client, ip);
    cli_print("client   %s%s%s%s\n", ip, visit->place[0] ? " (" : "", visit->place,
              visit->place[0] ? ")" : "");
    if (visit->wan) {
        cli_print(
            "way      the network between the places, by %s (%s): the way's time is modelled, the programs' "
            "real\n",
            visit->profile, visit->proxy);
    } else {
        cli_print("way      straight: the network between the places does not run (pocketcdn up --wan)\n");
    }
}

void get_print_text(const struct get_visit *visit)
{
    const struct exchange *e = get_visit_answer(visit);
    CDN_AUTOFREE char *x_cache = exchange_field(e, "X-Cache"), *age = exchange_field(e, "Age"),
                      *cache_status = exchange_field(e, "Cache-Status"),
                      *type = exchange_field(e, "Content-Type");
    if (visit->has_client) {
        print_client(visit);
    }
    for (size_t i = 0; i < visit->hop_count; i++) {
        const struct get_hop *hop = &visit->hops[i];
        cli_print("%s %u %s  %.2f ms %s\n", i ? "then    " : "asked   ", hop->exchange.status, hop->url,
                  (double)hop->exchange.times.total_us / 1000, visit->wan ? "over the network" : "measured");
    }
    if (visit->route) {
        cli_print("edge     %s, %.0f km, %.1f ms modelled, because: %s\n", control_text(visit->route, "edge"),
                  json_number_value(json_object_get(visit->route, "km")),
                  json_number_value(json_object_get(visit->route, "rtt_ms")),
                  control_text(visit->route, "reason"));
    }
    cli_print("cache    ");
    cli_print_styled(verdict_style(x_cache), x_cache[0] ? x_cache : "(says nothing)");
    cli_print("%s%s%s%s\n", age[0] ? ", age " : "", age, cache_status[0] ? "; " : "", cache_status);
    cli_print("body     %zu bytes, %s\n", e->body.n, type[0] ? type : "no type");
}

static json_t *hop_json(const struct get_hop *hop)
{
    const struct exchange *e = &hop->exchange;
    const struct get_phases p = get_phases_of(e);
    json_t *dns = hop->dns.address[0] ? json_pack("{s:s, s:f}", "address", hop->dns.address, "measured_ms",
                                                  (double)hop->dns.us / 1000)
                                      : json_null();
    return json_pack("{s:s, s:i, s:s, s:o, s:f, s:f, s:b, s:{s:f, s:f, s:f, s:f}, s:O?}", "url", hop->url,
                     "status", (int)e->status, "node", hop->node, "dns", dns, "measured_ms",
                     (double)e->times.total_us / 1000, "first_byte_ms", (double)e->times.first_us / 1000,
                     "reused", e->times.reused, "phases", "connect_ms", p.connect, "tls_ms", p.tls, "wait_ms",
                     p.wait, "receive_ms", p.receive, "model", hop->model);
}

json_t *get_print_json(const struct get_visit *visit)
{
    const struct exchange *e = get_visit_answer(visit);
    CDN_AUTOFREE char *x_cache = exchange_field(e, "X-Cache"), *age = exchange_field(e, "Age"),
                      *cache_status = exchange_field(e, "Cache-Status"),
                      *type = exchange_field(e, "Content-Type"), *edge = get_cache_name(e);
    json_t *hops = json_array(), *all = json_object();
    for (size_t i = 0; i < visit->hop_count; i++) {
        json_array_append_new(hops, hop_json(&visit->hops[i]));
    }
    if (visit->has_client) {
        char ip[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(&visit->client, ip);
        json_object_set_new(all, "client", json_string(ip));
    }
    json_object_set_new(all, "place", visit->place[0] ? json_string(visit->place) : json_null());
    json_object_set_new(all, "network",
                        visit->wan ? json_pack("{s:s, s:s, s:s}", "from", visit->stand, "profile",
                                               visit->profile, "proxy", visit->proxy)
                                   : json_null());
    json_object_set_new(all, "status", json_integer(e->status));
    json_object_set_new(all, "edge", edge[0] ? json_string(edge) : json_null());
    json_object_set_new(all, "x_cache", json_string(x_cache));
    json_object_set_new(all, "cache_status", json_string(cache_status));
    json_object_set_new(all, "age", age[0] ? json_string(age) : json_null());
    json_object_set_new(all, "content_type", json_string(type));
    json_object_set_new(all, "bytes", json_integer((json_int_t)e->body.n));
    json_object_set_new(all, "measured_ms", json_real(total_ms(visit)));
    json_object_set_new(all, "first_byte_ms", json_real(get_visit_first_byte_ms(visit)));
    json_object_set_new(all, "hops", hops);
    json_object_set(all, "route", visit->route ? visit->route : json_null());
    return all;
}
