/* Addresses found in lines of a log. */
#include "cli/geo_input.h"

#include "fuzz.h"

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
    lseek(fd, 0, SEEK_SET);
    geo_reader_init(&reader, fd, before_read, NULL);
    while ((status = geo_reader_line(&reader, &line, NULL)) == CDN_OK || status == CDN_TOO_LARGE) {
        if (status == CDN_OK) {
            MUST(!memchr(line.p, '\n', line.n));
            every_address(line);
        }
    }
    MUST(status == CDN_NOT_FOUND);
    geo_reader_fini(&reader);
    close(fd);
    every_address(fuzz_text(data, n));
    return 0;
}
