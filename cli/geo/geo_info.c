/* geo_info: `geo info`, `geo verify` and `geo --bench`: about the database itself, not about an
 * address. Verifying walks every record, since a file that opens may still be torn in its middle. */
#include "cli/base/print.h"
#include "cli/geo/geo.h"
#include "common/clock.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/banned.h"

#define OLD_DAYS 365
#define BENCH_NS 500000000LL
#define BENCH_BATCH 1000

#define EPOCH_MAX 253402300799u /* the last second of the year 9999: what is above is no date */

static void day_of(uint64_t epoch, char out[static 16])
{
    struct tm day;
    time_t t = (time_t)epoch;
    if (!gmtime_r(&t, &day) || strftime(out, 16, "%Y-%m-%d", &day) == 0) {
        cdn_str_copy(out, 16, CDN_STR("?"));
    }
}

static int64_t age_days(uint64_t epoch)
{
    return (cdn_clock_real_ms() / 1000 - (int64_t)epoch) / 86400;
}

static void age_line(uint64_t epoch)
{
    if (epoch == 0 || epoch > EPOCH_MAX) {
        cli_print("  built        unknown: the file says no sensible date\n");
        return;
    }
    char day[16];
    int64_t age = age_days(epoch);
    day_of(epoch, day);
    if (age < 0) {
        cli_print("  built        %s, which is in the future\n", day);
    } else {
        cli_print("  built        %s, %lld days ago%s\n", day, (long long)age,
                  age > OLD_DAYS ? " (old: networks move)" : "");
    }
}

static json_t *integer_or_null(bool is_known, int64_t value)
{
    return is_known ? json_integer((json_int_t)value) : json_null();
}

static json_t *info_json(const struct geo_info *info)
{
    json_t *languages = json_array();
    for (size_t i = 0; i < info->language_count; i++) {
        json_array_append_new(languages, json_string(info->languages[i]));
    }
    bool dated = info->build_epoch > 0 && info->build_epoch <= EPOCH_MAX;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:i, s:i, s:b, s:b, s:o}", "path", info->path,
                     "type", info->type, "description", info->description, "build_epoch",
                     integer_or_null(dated, (int64_t)info->build_epoch), "age_days",
                     integer_or_null(dated, dated ? age_days(info->build_epoch) : 0), "file_size",
                     (json_int_t)info->file_size, "node_count", (json_int_t)info->node_count, "record_size",
                     (int)info->record_size, "ip_version", (int)info->ip_version, "ipv4", info->answers_ipv4,
                     "ipv6", info->answers_ipv6, "languages", languages);
}

static void info_lines(const struct geo_info *info)
{
    cli_print("%s\n", info->path);
    cli_print("  type         %s\n", info->type);
    cli_print("  description  %s\n", info->description);
    age_line(info->build_epoch);
    cli_print("  size         %llu bytes, %u nodes of %u bits\n", (unsigned long long)info->file_size,
              info->node_count, info->record_size);
    cli_print("  answers      %s%s%s%s\n", info->answers_ipv4 ? "IPv4" : "",
              info->answers_ipv4 && info->answers_ipv6 ? " and " : "", info->answers_ipv6 ? "IPv6" : "",
              info->answers_ipv4 || info->answers_ipv6 ? "" : "nothing");
    if (strcmp(info->path, "embedded") == 0) {
        cli_print("  licence      CC BY 4.0; IP Geolocation by DB-IP: https://db-ip.com\n");
    }
}

static void put_line(json_t *take)
{
    cli_print_json(take, JSON_COMPACT);
}

enum cdn_status geo_info(const struct geo_db *db, bool json, struct cdn_error *err)
{
    (void)err;
    for (size_t i = 0; i < geo_db_file_count(db); i++) {
        struct geo_info info;
        geo_db_info(db, i, &info);
        if (!json) {
            info_lines(&info);
            continue;
        }
        put_line(info_json(&info));
    }
    return CDN_OK;
}

enum cdn_status geo_verify(const struct geo_db *db, bool json, struct cdn_error *err)
{
    for (size_t i = 0; i < geo_db_file_count(db); i++) {
        struct geo_info info;
        struct geo_verify_report report;
        geo_db_info(db, i, &info);
        enum cdn_status status = geo_db_verify(db, i, &report, err);
        if (status != CDN_OK) {
            return status;
        }
        if (json) {
            json_t *o = json_pack("{s:s, s:b, s:I, s:I, s:I}", "path", info.path, "sound", 1, "nodes",
                                  (json_int_t)report.nodes, "records", (json_int_t)report.records,
                                  "records_placed", (json_int_t)report.records_placed);
            put_line(o);
            continue;
        }
        cli_print("%s: sound; %llu nodes, %llu records, %llu of them with a place\n", info.path,
                  (unsigned long long)report.nodes, (unsigned long long)report.records,
                  (unsigned long long)report.records_placed);
    }
    return CDN_OK;
}

/* xorshift: the same addresses in every run. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void measure(const char *what, const struct router_table *table, bool decide)
{
    struct router_question question = {.client.v4.sin_family = AF_INET};
    struct router_decision decision;
    struct geo_record record;
    uint32_t state = 2463534242u;
    uint64_t n = 0, found = 0;
    int64_t began = cdn_clock_mono_ns(), took;
    do {
        for (size_t i = 0; i < BENCH_BATCH; i++) {
            question.client.v4.sin_addr.s_addr = next_random(&state);
            if (decide) {
                router_decide(table, &question, NULL, &decision);
                found += decision.where.record.has_coordinates;
            } else {
                found += geo_lookup(table->db, &question.client.sa, &record) == CDN_OK;
            }
        }
        n += BENCH_BATCH;
    } while ((took = cdn_clock_mono_ns() - began) < BENCH_NS);
    cli_print("%-9s  %10.0f a second  %6.0f ns each  %5.1f %% found\n", what, (double)n * 1e9 / (double)took,
              (double)took / (double)n, 100.0 * (double)found / (double)n);
}

enum cdn_status geo_bench(const struct router_table *table, struct cdn_error *err)
{
    (void)err;
    cli_print("uniformly random IPv4 addresses, one thread, measured:\n");
    measure("look-ups", table, false);
    measure("decisions", table, true);
    return CDN_OK;
}
