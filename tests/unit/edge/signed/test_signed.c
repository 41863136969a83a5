/* Signed URLs and cookies: what botocore signed is good, and nothing else is. A row that fails lets
 * somebody in, or keeps somebody out. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/signed/keys.h"
#include "edge/signed/keys_file.h"
#include "edge/signed/policy.h"
#include "edge/signed/signed.h"
#include "signed_golden.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define NOW INT64_C(1950000000)
#define END INT64_C(2000000000)
#define A "https://shop.example/a.css"
#define V "https://shop.example/media/v1.mp4"

static struct edge_keys *make_keys(void)
{
    struct edge_keys *keys = edge_keys_create();
    struct cdn_error err;
    ck_assert(edge_keys_add(keys, CDN_STR("KRSA"), CDN_STR(PEM_RSA), &err) == CDN_OK);
    ck_assert(edge_keys_add(keys, CDN_STR("KEC"), CDN_STR(PEM_EC), &err) == CDN_OK);
    ck_assert(edge_keys_count(keys) == 2);
    return keys;
}

static const struct {
    const char *query, *url; /* as it came; what is asked for without what signs it */
    int64_t now;
    const char *client;
    enum edge_signed_verdict expected;
} rows[] = {
    {CANNED, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {"Expires=1&" CANNED, A, NOW, "192.0.2.7", EDGE_SIGNED_EXPIRED}, /* the first one counts */
    {CANNED, A, END - 1, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CANNED, A, END, "192.0.2.7", EDGE_SIGNED_EXPIRED},
    {CANNED, "http://shop.example/a.css", NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {CANNED, "https://other.example/a.css", NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {CANNED, "https://shop.example/b.css", NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {CANNED "&x=1", A "?x=1", NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {CANNED_QUERY, A "?size=large&x=%20", NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CANNED_QUERY, A "?size=small&x=%20", NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {CANNED_SHA256, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CANNED "&Hash-Algorithm=SHA256", A, NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {CANNED "&Hash-Algorithm=SHA1", A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CANNED "&Hash-Algorithm=MD5", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {CANNED "&Hash-Algorithm=sha256", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {CANNED_EC, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CANNED_EC_SHA256, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CANNED_EC_SHA256, "https://shop.example/b.css", NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {CUSTOM_ALL, V, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_ALL, V "?any=query", NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_ALL, A, NOW, "192.0.2.7", EDGE_SIGNED_RESOURCE},
    {CUSTOM_ALL, V, END, "192.0.2.7", EDGE_SIGNED_EXPIRED},
    {CUSTOM_EVERYTHING, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_SCHEME, V, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_SCHEME, "http://shop.example/media/v2.mp4", NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_SCHEME, "http://shop.example/media/v10.mp4", NOW, "192.0.2.7", EDGE_SIGNED_RESOURCE},
    {CUSTOM_SCHEME, "http://shop.example/MEDIA/v1.mp4", NOW, "192.0.2.7", EDGE_SIGNED_RESOURCE},
    {CUSTOM_WINDOW, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_WINDOW, A, 1900000000, "192.0.2.7", EDGE_SIGNED_NOT_YET},
    {CUSTOM_WINDOW, A, 1900000001, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_ADDRESS, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_ADDRESS, A, NOW, "192.0.3.7", EDGE_SIGNED_ADDRESS},
    {CUSTOM_ADDRESS, A, NOW, "2001:db8::1", EDGE_SIGNED_ADDRESS},
    {CUSTOM_ADDRESS_ONE, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_ADDRESS_ONE, A, NOW, "192.0.2.8", EDGE_SIGNED_ADDRESS},
    {CUSTOM_EC_SHA256, V, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_UNKNOWN, A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {CUSTOM_NO_RESOURCE, A, NOW, "192.0.2.7", EDGE_SIGNED_GOOD},
    {CUSTOM_NO_JSON, A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"", A, NOW, "192.0.2.7", EDGE_SIGNED_MISSING},
    {"a=1&Hash-Algorithm=SHA256", A, NOW, "192.0.2.7", EDGE_SIGNED_MISSING},
    {"Expires=2000000000", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Signature=AAAA", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Expires=2000000000&Signature=AAAA", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Expires=2000000000&Signature=AAAA&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {"Expires=2000000000&Signature=AAAA&Key-Pair-Id=KEC", A, NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {"Expires=2000000000&Signature=AAAA&Key-Pair-Id=K", A, NOW, "192.0.2.7", EDGE_SIGNED_KEY},
    {"Expires=2000000000&Signature=AAAA&Key-Pair-Id=", A, NOW, "192.0.2.7", EDGE_SIGNED_KEY},
    {"Expires=2000000000&Signature=&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Expires=2000000000&Signature=AA+A&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Expires=x&Signature=AAAA&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Expires=-1&Signature=AAAA&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Expires=02000000000&Signature=AAAA&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Expires=99999999999999999999&Signature=AAAA&Key-Pair-Id=KRSA", A, NOW, "::1", EDGE_SIGNED_MALFORMED},
    {"Policy=!&Signature=AAAA&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_MALFORMED},
    {"Policy=&Signature=AAAA&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {"Policy=e30_&Signature=AAAA&Key-Pair-Id=KRSA", A, NOW, "192.0.2.7", EDGE_SIGNED_SIGNATURE},
    {"Expires=2000000000&" CUSTOM_ALL, A, NOW, "192.0.2.7", EDGE_SIGNED_RESOURCE}, /* the policy counts */
};

static enum edge_signed_verdict check_row(const struct edge_keys *keys, struct edge_signed_memo *memo, int i)
{
    struct edge_signed_request request = {
        .url = {cdn_str(rows[i].url)}, .url_count = 1, .canonical_count = 1, .now_s = rows[i].now};
    CDN_AUTOBUF struct cdn_buf rest = {0};
    struct cdn_addr client;
    ck_assert(cdn_parse_ip(cdn_str(rows[i].client), &client));
    request.client = &client;
    edge_signed_of_query(cdn_str(rows[i].query), &request.parts, &rest);
    return edge_signed_check(keys, memo, &request);
}

START_TEST(verdicts)
{
    struct edge_keys *keys = make_keys();
    struct edge_signed_memo *memo = edge_signed_memo_create(64);
    for (int again = 0; again < 3; again++) {
        ck_assert_str_eq(edge_signed_word(check_row(keys, again ? memo : NULL, _i)),
                         edge_signed_word(rows[_i].expected));
    }
    if (rows[_i].expected == EDGE_SIGNED_GOOD) {
        ck_assert_uint_eq(edge_signed_memo_verified(memo), 1);
    }
    edge_signed_memo_destroy(memo);
    edge_keys_destroy(keys);
}
END_TEST

START_TEST(new_keys_do_not_inherit)
{
    struct edge_keys *keys = make_keys(), *others = edge_keys_create();
    struct edge_signed_memo *memo = edge_signed_memo_create(64);
    struct cdn_error err;
    ck_assert(edge_keys_add(others, CDN_STR("KRSA"), CDN_STR(PEM_EC), &err) == CDN_OK);
    ck_assert(check_row(keys, memo, 0) == EDGE_SIGNED_GOOD);
    ck_assert(check_row(others, memo, 0) == EDGE_SIGNED_SIGNATURE);
    edge_signed_memo_destroy(memo);
    edge_keys_destroy(keys);
    edge_keys_destroy(others);
}
END_TEST

START_TEST(a_flood_of_bad_ones_pushes_nothing_out)
{
    struct edge_keys *keys = make_keys();
    struct edge_signed_memo *memo = edge_signed_memo_create(4);
    const struct cdn_str bad = CDN_STR("Expires=2000000000&Signature=AAAA&Key-Pair-Id=KRSA");
    struct edge_signed_request request = {
        .url = {CDN_STR(A)}, .url_count = 1, .canonical_count = 1, .now_s = NOW};
    CDN_AUTOBUF struct cdn_buf rest = {0};
    ck_assert(check_row(keys, memo, 0) == EDGE_SIGNED_GOOD);
    edge_signed_of_query(bad, &request.parts, &rest);
    for (int i = 0; i < 100; i++) {
        ck_assert(edge_signed_check(keys, memo, &request) == EDGE_SIGNED_SIGNATURE);
    }
    const uint64_t verified = edge_signed_memo_verified(memo);
    ck_assert(check_row(keys, memo, 0) == EDGE_SIGNED_GOOD);
    ck_assert_uint_eq(edge_signed_memo_verified(memo), verified);
    edge_signed_memo_destroy(memo);
    edge_keys_destroy(keys);
}
END_TEST

static const struct {
    bool cookie;
    const char *text, *rest; /* NULL: nothing is left */
    const char *expires, *key_id;
} splits[] = {
    {false, "", "", NULL, NULL},
    {false, "a=1&b", "a=1&b", NULL, NULL},
    {false, "Expires=1&Signature=x&Key-Pair-Id=K", NULL, "1", "K"},
    {false, "a=1&Expires=1&b=2&Key-Pair-Id=K&&c", "a=1&b=2&&c", "1", "K"},
    {false, "Expires=1&Expires=2&Key-Pair-Id", NULL, "1", ""},
    {false, "expires=1&XExpires=2&CloudFront-Expires=3", "expires=1&XExpires=2&CloudFront-Expires=3", NULL,
     NULL},
    {true, "CloudFront-Expires=1; sid=a=b; CloudFront-Key-Pair-Id=K", "sid=a=b", "1", "K"},
    {true, "a=1;b=2; CloudFront-Policy=x;CloudFront-Signature=y", "a=1; b=2", NULL, NULL},
    {true, "Expires=1; cloudfront-Expires=2", "Expires=1; cloudfront-Expires=2", NULL, NULL},
};

START_TEST(splitting)
{
    struct edge_signed_parts parts;
    CDN_AUTOBUF struct cdn_buf rest = {0};
    const struct cdn_str text = cdn_str(splits[_i].text);
    const bool left = splits[_i].cookie ? edge_signed_of_cookie(text, &parts, &rest)
                                        : edge_signed_of_query(text, &parts, &rest);
    ck_assert(left == (splits[_i].rest != NULL));
    ck_assert_str_eq(rest.n ? rest.p : "", splits[_i].rest ? splits[_i].rest : "");
    ck_assert(cdn_str_eq(parts.expires, cdn_str(splits[_i].expires)));
    ck_assert((parts.expires.p != NULL) == (splits[_i].expires != NULL));
    ck_assert(cdn_str_eq(parts.key_id, cdn_str(splits[_i].key_id)));
}
END_TEST

static const struct {
    const char *pattern, *text;
    bool expected;
} wildcards[] = {
    {"", "", true},           {"", "a", false},        {"*", "", true},
    {"*", "abc", true},       {"a", "a", true},        {"a", "b", false},
    {"?", "", false},         {"?", "a", true},        {"a?c", "abc", true},
    {"a?c", "ac", false},     {"a*c", "ac", true},     {"a*c", "abbbc", true},
    {"a*c", "abbb", false},   {"*b*", "abc", true},    {"*b*", "ac", false},
    {"a**", "a", true},       {"*aab", "aaab", true},  {"*a?b", "aaxb", true},
    {"a*b*c", "abcbc", true}, {"a*b*c", "acb", false}, {"a*d", "abcdabcd", true},
    {"**", "x", true},        {"a\\*", "a*", false},   {"a?b", "a?b", true},
};

START_TEST(wildcard)
{
    ck_assert(edge_signed_wildcard(cdn_str(wildcards[_i].pattern), cdn_str(wildcards[_i].text)) ==
              wildcards[_i].expected);
}
END_TEST

static const struct {
    const char *text, *expected; /* NULL: refused */
} codes[] = {
    {"", ""},
    {"QQ__", "A"},
    {"QUI_", "AB"},
    {"QUJD", "ABC"},
    {"QUJDRA__", "ABCD"},
    {"-~-~", "\xfb\xff\xbf"},
    {"%2D%7e-~", "\xfb\xff\xbf"},
    {"QQ", NULL},
    {"QQ=", NULL},
    {"QQ==", NULL},
    {"Q___", NULL},
    {"____", NULL},
    {"QQ_Q", NULL},
    {"QQ__QQ__", NULL},
    {"QUJ+", NULL},
    {"QUJ/", NULL},
    {"QUJ ", NULL},
    {"QUJ%", NULL},
    {"QUJ%4", NULL},
    {"QUJ%GG", NULL},
    {"QUJDR", NULL},
};

START_TEST(base64)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    const bool well = edge_signed_base64(cdn_str(codes[_i].text), 100, &out);
    ck_assert(well == (codes[_i].expected != NULL));
    ck_assert(!well || cdn_str_eq(cdn_buf_str(&out), cdn_str(codes[_i].expected)));
}
END_TEST

START_TEST(base64_has_a_limit)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    ck_assert(edge_signed_base64(CDN_STR("QUJDQUJD"), 6, &out));
    cdn_buf_clear(&out);
    ck_assert(!edge_signed_base64(CDN_STR("QUJDQUJD"), 5, &out));
}
END_TEST

#define CONDITION "\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":9}}"
static const struct {
    const char *json;
    bool good;
} policies[] = {
    {"{\"Statement\":[{\"Resource\":\"*\"," CONDITION "}]}", true},
    {"{\"Statement\":[{" CONDITION "}]}", true},
    {" { \"Statement\" : [ { " CONDITION ", \"Resource\": \"a\" } ] } ", true},
    {"{\"Statement\":[{\"Resource\":\"*\"," CONDITION "},{" CONDITION "}]}", false},
    {"{\"Statement\":[]}", false},
    {"{\"Statement\":{" CONDITION "}}", false},
    {"{\"Statement\":[{\"Resource\":\"\"," CONDITION "}]}", false},
    {"{\"Statement\":[{\"Resource\":1," CONDITION "}]}", false},
    {"{\"Statement\":[{\"Resource\":\"*\"," CONDITION ",\"Effect\":\"Allow\"}]}", false},
    {"{\"Statement\":[{\"Resource\":\"*\"," CONDITION "," CONDITION "}]}", false},
    {"{\"Statement\":[{" CONDITION "}],\"Version\":\"1\"}", false},
    {"{\"Statement\":[{\"Resource\":\"*\",\"Condition\":{}}]}", false},
    {"{\"Statement\":[{\"Resource\":\"*\"}]}", false},
    {"{\"Statement\":[{\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":\"9\"}}}]}", false},
    {"{\"Statement\":[{\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":-9}}}]}", false},
    {"{\"Statement\":[{\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":9.5}}}]}", false},
    {"{\"Statement\":[{\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":9,\"x\":1}}}]}", false},
    {"{\"Statement\":[{\"Condition\":{\"DateLessThan\":9}}]}", false},
    {"{\"Statement\":[{\"Condition\":[]}]}", false},
    {"[]", false},
    {"null", false},
    {"", false},
    {"{\"Statement\":[{" CONDITION "}]} x", false},
};

START_TEST(policy_texts)
{
    struct edge_signed_policy policy;
    const bool good = edge_signed_policy_read(cdn_str(policies[_i].json), &policy) == EDGE_SIGNED_GOOD;
    ck_assert(good == policies[_i].good);
    if (good) {
        edge_signed_policy_free(&policy);
    }
}
END_TEST

static const struct {
    const char *network, *client;
    enum edge_signed_verdict expected;
} networks[] = {
    {"192.0.2.0/24", "192.0.2.255", EDGE_SIGNED_GOOD},
    {"192.0.2.99/24", "192.0.2.1", EDGE_SIGNED_GOOD},
    {"192.0.2.99/25", "192.0.2.128", EDGE_SIGNED_ADDRESS},
    {"0.0.0.0/0", "8.8.8.8", EDGE_SIGNED_GOOD},
    {"0.0.0.0/0", "2001:db8::1", EDGE_SIGNED_ADDRESS},
    {"2001:db8::/32", "2001:db8::1", EDGE_SIGNED_GOOD},
    {"2001:db8::1", "2001:db8::2", EDGE_SIGNED_ADDRESS},
    {"::/0", "2001:db8::2", EDGE_SIGNED_GOOD},
    {"192.0.2.0/33", "192.0.2.1", EDGE_SIGNED_MALFORMED},
    {"192.0.2.0/", "192.0.2.1", EDGE_SIGNED_MALFORMED},
    {"192.0.2.0/-1", "192.0.2.1", EDGE_SIGNED_MALFORMED},
    {"x", "192.0.2.1", EDGE_SIGNED_MALFORMED},
    {"", "192.0.2.1", EDGE_SIGNED_MALFORMED},
    {"127.1", "127.0.0.1", EDGE_SIGNED_MALFORMED},
};

START_TEST(addresses)
{
    struct edge_signed_policy policy;
    struct cdn_addr client;
    CDN_AUTOFREE char *json =
        cdn_asprintf("{\"Statement\":[{\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":"
                     "9},\"IpAddress\":{\"AWS:SourceIp\":\"%s\"}}}]}",
                     networks[_i].network);
    const struct edge_signed_moment moment = {CDN_STR(A), 1, &client};
    ck_assert(cdn_parse_ip(cdn_str(networks[_i].client), &client));
    enum edge_signed_verdict verdict = edge_signed_policy_read(cdn_str(json), &policy);
    if (verdict == EDGE_SIGNED_GOOD) {
        verdict = edge_signed_policy_allows(&policy, &moment);
        edge_signed_policy_free(&policy);
    }
    ck_assert_str_eq(edge_signed_word(verdict), edge_signed_word(networks[_i].expected));
}
END_TEST

static const struct {
    const char *id, *pem, *expected;
} wrong_keys[] = {
    {"K 1", PEM_RSA, "an id has up to 64 letters"},
    {"", PEM_RSA, "an id has up to 64 letters"},
    {"KRSA", PEM_RSA, "is there twice"},
    {"K1", "", "no public key in PEM form"},
    {"K1", "hello", "no public key in PEM form"},
    {"K1", PEM_PRIVATE, "no public key in PEM form"},
    {"K1", PEM_SMALL, "an RSA key of 1024 bits; 2048 are the least"},
    {"K1", PEM_P384, "a key of another kind than RSA and ECDSA on P-256"},
    {"K1", PEM_ED25519, "a key of another kind than RSA and ECDSA on P-256"},
};

START_TEST(keys_that_may_not_sign)
{
    struct edge_keys *keys = make_keys();
    struct cdn_error err;
    ck_assert(edge_keys_add(keys, cdn_str(wrong_keys[_i].id), cdn_str(wrong_keys[_i].pem), &err) ==
              CDN_INVALID);
    ck_assert_msg(strncmp(err.text, wrong_keys[_i].expected, strlen(wrong_keys[_i].expected)) == 0, "%s",
                  err.text);
    edge_keys_destroy(keys);
}
END_TEST

START_TEST(urls_that_would_end_a_string)
{
    static const char *const urls[] = {"https://a/\"", "https://a/\\", "https://a/ ", "https://a/\n"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(urls); i++) {
        CDN_AUTOBUF struct cdn_buf text = {0};
        int64_t before;
        ck_assert(edge_signed_canned(cdn_str(urls[i]), CDN_STR("9"), &text, &before) ==
                  EDGE_SIGNED_MALFORMED);
    }
}
END_TEST

/* ---- keys.yaml ---- */

static const struct {
    const char *text;
    const char *expected; /* NULL: good; else the error behind the folder's name */
} files[] = {
    {"K1: rsa.pem\nK2: ./ec.pem\n", NULL},
    {"K1: |\n  -----BEGIN PUBLIC KEY-----\n  x\n", ":1: K1: no public key in PEM form"},
    {"# none\n", ": not a mapping of key ids to PEM files"},
    {"", ": not a mapping of key ids to PEM files"},
    {"{}", ": no key in it"},
    {"- K1\n", ": not a mapping of key ids to PEM files"},
    {"K1: rsa.pem\nK1: ec.pem\n", ":2: K1: "},
    {"\nK1: none.pem\n", ":2: K1: "},
    {"K1: [rsa.pem]\n", ":1: K1: neither a file nor a key in PEM form"},
    {"K1:\n", ":1: K1: neither a file nor a key in PEM form"},
    {"[K1]: rsa.pem\n", ":1: an id of a key is one word"},
    {"K1: rsa.pem\n  K2: x\n", ":2: "},
    {"a b: rsa.pem\n", ":1: a b: "},
};

static void write_file(const char *folder, const char *name, const char *text)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    ck_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

START_TEST(keys_yaml)
{
    char folder[] = "/tmp/signed-XXXXXX";
    struct edge_keys *keys;
    struct cdn_error err = {0};
    ck_assert(mkdtemp(folder));
    write_file(folder, "rsa.pem", PEM_RSA);
    write_file(folder, "ec.pem", PEM_EC);
    write_file(folder, "keys.yaml", files[_i].text);
    CDN_AUTOFREE char *path = cdn_asprintf("%s/keys.yaml", folder);
    enum cdn_status status = edge_keys_read(path, &keys, &err);
    if (files[_i].expected) {
        ck_assert(status != CDN_OK && strncmp(err.text, path, strlen(path)) == 0);
        ck_assert_msg(strncmp(err.text + strlen(path), files[_i].expected, strlen(files[_i].expected)) == 0,
                      "%s", err.text);
    } else {
        ck_assert_msg(status == CDN_OK, "%s", err.text);
        ck_assert(edge_keys_find(keys, CDN_STR("K2")) && !edge_keys_find(keys, CDN_STR("K3")));
        edge_keys_destroy(keys);
    }
    static const char *const names[] = {"rsa.pem", "ec.pem", "keys.yaml", ""};
    for (size_t i = 0; i < CDN_ARRAY_LEN(names); i++) {
        CDN_AUTOFREE char *at = cdn_asprintf("%s/%s", folder, names[i]);
        ck_assert(remove(at) == 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signed");
    TCase *cases = tcase_create("rows");
    tcase_add_loop_test(cases, verdicts, 0, CDN_ARRAY_LEN(rows));
    tcase_add_test(cases, new_keys_do_not_inherit);
    tcase_add_test(cases, a_flood_of_bad_ones_pushes_nothing_out);
    tcase_add_loop_test(cases, splitting, 0, CDN_ARRAY_LEN(splits));
    tcase_add_loop_test(cases, wildcard, 0, CDN_ARRAY_LEN(wildcards));
    tcase_add_loop_test(cases, base64, 0, CDN_ARRAY_LEN(codes));
    tcase_add_test(cases, base64_has_a_limit);
    tcase_add_loop_test(cases, policy_texts, 0, CDN_ARRAY_LEN(policies));
    tcase_add_loop_test(cases, addresses, 0, CDN_ARRAY_LEN(networks));
    tcase_add_loop_test(cases, keys_that_may_not_sign, 0, CDN_ARRAY_LEN(wrong_keys));
    tcase_add_loop_test(cases, keys_yaml, 0, CDN_ARRAY_LEN(files));
    tcase_add_test(cases, urls_that_would_end_a_string);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
