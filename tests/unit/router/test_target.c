/* Where a client is sent: never to anybody else, and with exactly its own path and query. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/base/target.h"
#include "router/decide/pin.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

static char url[] = "http://127.0.1.1:8088";
static const struct router_edge edge = {.url = url, .url_n = sizeof(url) - 1};

START_TEST(targets)
{
    static const struct {
        const char *path, *query, *location;
    } rows[] = {
        {"/", NULL, "http://127.0.1.1:8088/"},
        {"", NULL, "http://127.0.1.1:8088/"},
        {"", "a=1", "http://127.0.1.1:8088/?a=1"},
        {"/a/b.css", NULL, "http://127.0.1.1:8088/a/b.css"},
        {"/a", "", "http://127.0.1.1:8088/a?"}, /* an empty query is one */
        {"/a", "x=%20%2F&&y=?&z=/../", "http://127.0.1.1:8088/a?x=%20%2F&&y=?&z=/../"},
        {"/%41/../b/./c//d;e=f", NULL,
         "http://127.0.1.1:8088/%41/../b/./c//d;e=f"}, /* nothing is normalised */
        /* no open redirect: whatever the path looks like, it stands behind the edge's authority */
        {"//evil.example/x", NULL, "http://127.0.1.1:8088//evil.example/x"},
        {"///evil.example", NULL, "http://127.0.1.1:8088///evil.example"},
        {"/\\evil.example", NULL, "http://127.0.1.1:8088/\\evil.example"},
        {"/@evil.example", NULL, "http://127.0.1.1:8088/@evil.example"},
        {"/.evil.example", NULL, "http://127.0.1.1:8088/.evil.example"},
        {"/", "url=http://evil.example", "http://127.0.1.1:8088/?url=http://evil.example"},
        /* what may not stand in a URI is encoded, so a line stays a line */
        {"/a\r\nSet-Cookie: x", NULL, "http://127.0.1.1:8088/a%0D%0ASet-Cookie:%20x"},
        {"/a#b", "c#d", "http://127.0.1.1:8088/a%23b?c%23d"},
        {"/\xc3\xa4\x7f\"<>", NULL, "http://127.0.1.1:8088/%C3%A4%7F%22%3C%3E"},
        /* no path at all */
        {"*", NULL, NULL},
        {"evil.example", NULL, NULL},
        {"@evil.example/", NULL, NULL},
        {":80/", NULL, NULL},
    };
    CDN_AUTOBUF struct cdn_buf out = {0};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_str query = rows[i].query ? cdn_str(rows[i].query) : (struct cdn_str){0};
        enum cdn_status status = router_target_build(&edge, cdn_str(rows[i].path), query, &out);
        ck_assert_msg((status == CDN_OK) == (rows[i].location != NULL), "row %zu: %d", i, status);
        if (rows[i].location) {
            ck_assert_str_eq(out.p, rows[i].location);
        }
    }
}
END_TEST

START_TEST(limits)
{
    static char path[ROUTER_TARGET_MAX + 1];
    CDN_AUTOBUF struct cdn_buf out = {0};
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    struct cdn_str none = {0}, longest = {path, ROUTER_TARGET_MAX}, longer = {path, ROUTER_TARGET_MAX + 1};
    ck_assert_int_eq(router_target_build(&edge, longest, none, &out), CDN_OK);
    ck_assert_int_eq(router_target_build(&edge, longer, none, &out), CDN_TOO_LARGE);
    ck_assert_int_eq(router_target_build(&edge, longest, CDN_STR("a"), &out), CDN_TOO_LARGE);
    memset(path + 1, '#', sizeof(path) - 1); /* three times as long when encoded */
    ck_assert_int_eq(router_target_build(&edge, longest, none, &out), CDN_TOO_LARGE);
}
END_TEST

START_TEST(pins)
{
    static const struct {
        const char *query, *cookie, *pin;
    } rows[] = {
        {NULL, NULL, NULL},
        {"pocketcdn-from=Tokyo", NULL, "Tokyo"},
        {"a=b&pocketcdn-from=192.0.2.1&c", NULL, "192.0.2.1"},
        {"x-pocketcdn-from=Tokyo", NULL, NULL},
        {"pocketcdn-from", NULL, NULL},
        {"pocketcdn-from=", NULL, NULL},
        {NULL, "a=b; pocketcdn-from=S%C3%A3o%20Paulo; c=d", "S\xc3\xa3o Paulo"},
        {"pocketcdn-from=Oslo", "pocketcdn-from=Rome", "Oslo"}, /* the query wins */
        {"a=pocketcdn-from=Oslo", "pocketcdn-from=edge:fra", "edge:fra"},
        {"pocketcdn-from=%4", NULL, NULL},
        {"pocketcdn-from=%", NULL, NULL},
        {"pocketcdn-from=%zz", NULL, NULL},
        {"pocketcdn-from=a%00b", NULL, NULL},
    };
    CDN_AUTOBUF struct cdn_buf out = {0};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        bool found = router_pin_find(cdn_str(rows[i].query), cdn_str(rows[i].cookie), &out);
        ck_assert_msg(found == (rows[i].pin != NULL), "row %zu", i);
        if (found) {
            ck_assert_str_eq(out.p, rows[i].pin);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {targets, limits, pins};
    return run_suite("target", tests, CDN_ARRAY_LEN(tests));
}
