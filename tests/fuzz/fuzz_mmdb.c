/* Databases of addresses: a damaged file gives an error or a wrong answer, no more. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "fuzz.h"
#include "geo-data/geo.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const addresses[] = {
    "1.2.3.4",     "0.0.0.0", "255.255.255.255", "81.2.69.142", "2001:db8::1",
    "2a00:1450::", "::",      "::ffff:8.8.8.8"};

static bool count_some(void *ctx, const struct geo_net *net)
{
    unsigned *left = ctx;
    MUST(net->prefix_len <= 128);
    return --*left > 0;
}

static void look_up(const struct geo_db *db)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(addresses); i++) {
        struct cdn_addr a;
        struct geo_record r;
        MUST(cdn_parse_ip(cdn_str(addresses[i]), &a));
        enum cdn_status status = geo_lookup(db, &a.sa, &r);
        MUST(status == CDN_OK || status == CDN_NOT_FOUND || status == CDN_CORRUPT);
        MUST(r.prefix_len <= 128);
        if (status == CDN_OK && r.has_coordinates) {
            MUST(r.lat >= -90 && r.lat <= 90 && r.lon >= -180 && r.lon <= 180);
        }
    }
    unsigned left = 1000;
    struct cdn_error err = {0};
    (void)!geo_walk(db, AF_INET, count_some, &left, &err);
    left = 1000;
    (void)!geo_walk(db, AF_INET6, count_some, &left, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[32];
    int fd = fuzz_file(data, n, path);
    struct geo_db *db;
    struct geo_verify_report report;
    struct cdn_error err = {0};
    if (geo_db_open((const char *const[]){path}, 1, &db, &err) == CDN_OK) {
        look_up(db);
        if (geo_db_verify(db, 0, &report, &err) != CDN_OK) {
            fuzz_check_error(&err);
        }
        geo_db_unref(db);
    } else {
        fuzz_check_error(&err);
    }
    close(fd);
    return 0;
}
