/* Addresses out of log lines, and lines out of a descriptor, cut at any byte. A failure here is a
 * line that is lost, or read twice. */
#include "cli/geo/geo_input.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

static const struct {
    const char *line;
    const char *found; /* joined by a blank */
} rows[] = {
    {"192.0.2.1:443", "192.0.2.1"},
    {"[2001:db8::2]:443", "2001:db8::2"},
    {"2001:db8:0:0:0:0:0:1:443", "2001:db8::1"},
    {"2001:db8::1:54321 [22/Nov/2026:14:30:45.123] http-in", "2001:db8::1"},
    {"::ffff:192.0.2.5:54321", "192.0.2.5"},
    {"[/192.0.2.1:5678]", "192.0.2.1"},
    {"connected to /192.0.2.1:5678", "192.0.2.1"},
    {"localhost/192.0.2.1:8080", "192.0.2.1"},
    {"(/2001:db8::1)", "2001:db8::1"},
    {"client:192.0.2.1", "192.0.2.1"},
    {"client:192.0.2.1:443", "192.0.2.1"},
    {"client:2001:db8::1", "2001:db8::1"},
    {"src.ip:192.0.2.1", "192.0.2.1"},
    {"face:192.0.2.1", "192.0.2.1"},
    {"client=192.0.2.1,port=5", "192.0.2.1"},
    {"ip=192.0.2.1;ip=192.0.2.2", "192.0.2.1 192.0.2.2"},
    {"{\"ip\":\"192.0.2.1\",\"x\":[\"2001:db8::1\"]}", "192.0.2.1 2001:db8::1"},
    {"{\"a\":\"\\n192.0.2.1\\t192.0.2.2\"}", "192.0.2.1 192.0.2.2"},
    {"xff=192.0.2.1%2C192.0.2.2", "192.0.2.1 192.0.2.2"},
    {"\xef\xbb\xbf"
     "192.0.2.1",
     "192.0.2.1"},
    {"\xe2\x80\x9c"
     "192.0.2.1\xe2\x80\x9d",
     "192.0.2.1"},
    {"\xc2\xab"
     "192.0.2.1\xc2\xbb",
     "192.0.2.1"},
    {"\xe2\x80\x9e"
     "192.0.2.1\xe2\x80\x9c",
     "192.0.2.1"},
    {"\x93"
     "192.0.2.1\x94",
     "192.0.2.1"},
    {"\xe3\x80\x8c"
     "192.0.2.1\xe3\x80\x8d",
     "192.0.2.1"},
    {"192.0.2.1\xe2\x80\x93"
     "192.0.2.9",
     "192.0.2.1 192.0.2.9"},
    {"192.0.2.1-192.0.2.9", "192.0.2.1 192.0.2.9"},
    {"192.0.2.0/24", "192.0.2.0"},
    {"fe80::1%eth0 next", "fe80::1"},
    {"'192.0.2.1' `192.0.2.2` <192.0.2.3> (192.0.2.4)", "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4"},
    {"<134>1 2026-11-22T14:30:45Z web-1 nginx 7 - - 192.0.2.1", "192.0.2.1"},
    {"Nov 22 14:30:45 web-1 haproxy[7]: 192.0.2.1:1234 [22/Nov/2026:14:30:45.1] f b/s 0/0/1/2/3",
     "192.0.2.1"},
    {"1763822345.123     45 192.0.2.1 TCP_MISS/200 5 GET http://x/ - HIER_DIRECT/192.0.2.2 text/html",
     "192.0.2.1"},
    {"h2 2026-11-22T14:30:45.186641Z app/lb/5 192.0.2.1:2817 10.0.0.1:80 0.086", "192.0.2.1 10.0.0.1"},
    {"Mozilla/5.0 (Windows; U; Windows NT 5.1; en-US; rv:1.9.2.13) Gecko/20100315", ""},
    {"version=1.2.3.4 \"app_version\": \"5.6.7.8\" ver: 1.1.1.1", ""},
    {"HeadlessChrome/120.0.6099.28 nginx/1.2.3.4 v1.2.3.4", ""},
    {"card 00:1a:2b:ff:fe:3c:4d:5e", ""},
    {"std::map foo::bar", ""},
    {"ec2-192-0-2-1.compute 192.0.2.1.example.com", ""},
    {"192.0.2.1,192.0.2.2\t192.0.2.3|192.0.2.4", "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4"},
    {"010.0.0.1 0x7f.0.0.1 1.2.3", ""},
    {"12:30:45:192.0.2.1", "192.0.2.1"},
    {"", ""},
    {"nothing here", ""},
    {"192.0.2.1", "192.0.2.1"},
    {"192.0.2.1 - - [22/Nov/2026:14:30:45 +0000] \"GET / HTTP/1.1\" 200", "192.0.2.1"},
    {"client=2001:db8::1 peer=[2001:db8::2]:443", "2001:db8::1 2001:db8::2"},
    {"192.0.2.1:8080 -> 198.51.100.7:80", "192.0.2.1 198.51.100.7"},
    {"refused by 192.0.2.1: no route. Ask 192.0.2.2.", "192.0.2.1 192.0.2.2"},
    {"\"Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36\"", ""},
    {"referer http://192.0.2.9/x", "192.0.2.9"},
    {"::ffff:192.0.2.5", "192.0.2.5"},
    {"time 12:30:45 date 2026:11:22", ""},
    {"999.1.1.1 1.2.3 1.2.3.4.5 1.2.3.4x x1.2.3.4", ""},
    {"mac 00:1a:2b:3c:4d:5e", ""},
    {"a,192.0.2.1,192.0.2.2;b", "192.0.2.1 192.0.2.2"},
    {"::", ""},
    {"fe80::1", "fe80::1"},
    {"\xc3\xa9"
     "192.0.2.1",
     ""},
};

START_TEST(addresses)
{
    CDN_AUTOBUF struct cdn_buf found = {0};
    struct cdn_addr address;
    for (size_t at = 0; geo_input_next_address(cdn_str(rows[_i].line), &at, &address);) {
        char text[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(&address, text);
        cdn_buf_printf(&found, "%s%s", found.n ? " " : "", text);
    }
    ck_assert_str_eq(found.p ? found.p : "", rows[_i].found);
}
END_TEST

static unsigned reads;

static void before_read(void *self)
{
    (void)self;
    reads++;
}

START_TEST(lines)
{
    static const char text[] = "\xef\xbb\xbfone\r\n\ntwo\nlast";
    static const char *const expected[] = {"one", "", "two", "last"};
    int fds[2];
    struct geo_reader reader;
    struct cdn_error err;
    struct cdn_str line;
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(write(fds[1], text, sizeof(text) - 1), sizeof(text) - 1);
    close(fds[1]);
    reads = 0;
    geo_reader_init(&reader, fds[0], before_read, NULL);
    for (size_t i = 0; i < CDN_ARRAY_LEN(expected); i++) {
        ck_assert_int_eq(geo_reader_line(&reader, &line, &err), CDN_OK);
        ck_assert(cdn_str_eq(line, cdn_str(expected[i])));
        ck_assert_uint_eq(reader.line, i + 1);
    }
    ck_assert_int_eq(geo_reader_line(&reader, &line, &err), CDN_NOT_FOUND);
    ck_assert_uint_ge(reads, 1);
    geo_reader_fini(&reader);
    close(fds[0]);
}
END_TEST

START_TEST(hints)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } starts[] = {
#define START(bytes, says) {bytes, sizeof(bytes) - 1, says}
        START("\x1f\x8b\x08\0", "gzip -dc"),
        START("\x28\xb5\x2f\xfd....", "zstd -dc"),
        START("BZh91AY", "bzip2 -dc"),
        START("\xfd"
              "7zXZ\0\0",
              "xz -dc"),
        START("PK\3\4....", "unzip -p"),
        START("\xff\xfe"
              "1\0.\0",
              "iconv -f UTF-16 "),
        START("\xfe\xff\0"
              "1\0.",
              "iconv -f UTF-16 "),
        START("1\0.\0"
              "1\0.\0"
              "1\0",
              "UTF-16LE"),
        START("\0"
              "1\0.\0"
              "1\0.\0"
              "1",
              "UTF-16BE"),
        START("192.0.2.1\n", NULL),
        START("\xef\xbb\xbf"
              "192.0.2.1\n",
              NULL),
        START("\0\0\0\0\0\0\0\0\0\0", NULL),
        START("", NULL),
#undef START
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(starts); i++) {
        const char *hint = geo_input_hint(starts[i].bytes, starts[i].n);
        ck_assert_msg(starts[i].says ? hint && strstr(hint, starts[i].says) : !hint, "%zu: %s", i,
                      hint ? hint : "none");
    }
}
END_TEST

START_TEST(long_line)
{
    FILE *file = tmpfile();
    struct geo_reader reader;
    struct cdn_error err;
    struct cdn_str line;
    ck_assert_ptr_nonnull(file);
    for (unsigned i = 0; i < 5 * GEO_INPUT_LINE_MAX; i++) {
        fputc('x', file);
    }
    fputs("\nnext\n", file);
    rewind(file);
    geo_reader_init(&reader, fileno(file), before_read, NULL);
    ck_assert_int_eq(geo_reader_line(&reader, &line, &err), CDN_TOO_LARGE);
    ck_assert_uint_eq(reader.line, 1);
    ck_assert_int_eq(geo_reader_line(&reader, &line, &err), CDN_OK);
    ck_assert(cdn_str_eq(line, CDN_STR("next")));
    geo_reader_fini(&reader);
    fclose(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("geo_input");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, addresses, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tcase, hints);
    tcase_add_test(tcase, lines);
    tcase_add_test(tcase, long_line);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
