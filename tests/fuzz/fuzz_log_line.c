/* Addresses found in lines of a log, the client of a line, and plain lines. */
#include "cli/geo/geo_client.h"
#include "cli/geo/geo_input.h"
#include "cli/geo/geo_text.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "fuzz.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void every_address(struct cdn_str line)
{
    struct cdn_addr a;
    size_t at = 0, before = 0;
    while (geo_input_next_address(line, &at, &a)) {
        char text[CDN_ADDR_TEXT_SIZE];
        MUST(at > before && at <= line.n);
        before = at;
        cdn_addr_format_ip(&a, text);
        MUST(cdn_parse_ip(cdn_str(text), &a));
    }
}

/* Whatever is chosen, an address that is found can be printed and read again. */
static void every_client(struct cdn_str line)
{
    static const char *const choices[] = {NULL, "3", "c-ip", "a.b", "xff"};
    static const struct router_table table;
    for (size_t i = 0; i < CDN_ARRAY_LEN(choices); i++) {
        struct geo_client client;
        struct cdn_addr a;
        char text[CDN_ADDR_TEXT_SIZE];
        MUST(geo_client_init(&client, choices[i], &table, NULL) == CDN_OK);
        (void)geo_client_comment(&client, line);
        if (!geo_client_find(&client, line, &a)) {
            continue;
        }
        cdn_addr_format_ip(&a, text);
        MUST(cdn_parse_ip(cdn_str(text), &a));
    }
}

static void plain_text(struct cdn_str text)
{
    struct geo_span span;
    const char *why;
    bool is = geo_text_read(text, &span, &why);
    MUST(is == (why == NULL));
    MUST(!is || (span.first.sa.sa_family == span.last.sa.sa_family &&
                 geo_text_compare(&span.first, &span.last) <= 0));
}

static void before_read(void *self)
{
    (void)self;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[32];
    int fd = fuzz_file(data, n, path);
    struct geo_reader reader;
    struct cdn_str line;
    enum cdn_status status;
    struct cdn_error err;
    lseek(fd, 0, SEEK_SET);
    geo_reader_init(&reader, fd, before_read, NULL);
    while ((status = geo_reader_line(&reader, &line, &err)) == CDN_OK || status == CDN_TOO_LARGE) {
        if (status == CDN_OK) {
            MUST(!memchr(line.p, '\n', line.n));
            every_address(line);
            every_client(line);
            plain_text(line);
        }
    }
    MUST(status == CDN_NOT_FOUND || status == CDN_INVALID);
    geo_reader_fini(&reader);
    close(fd);
    every_address(fuzz_text(data, n));
    every_client(fuzz_text(data, n));
    plain_text(fuzz_text(data, n));
    return 0;
}
