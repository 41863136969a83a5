/* special ranges: address -> word, network, embedded IPv4 address. A private address that had a
 * place would be routed as if it stood there. */
#include "common/mem.h"
#include "geo-data/anycast.h"
#include "geo-data/special.h"
#include "tests/unit/geo/rows.h"

#include <check.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/banned.h"

static const struct {
    const char *address, *word, *network; /* NULL: an ordinary address */
    const char *embedded;
} rows[] = {
    {"0.0.0.0", "unspecified", "0.0.0.0/32", NULL},
    {"0.1.2.3", "this-network", "0.0.0.0/8", NULL},
    {"9.255.255.255", NULL, NULL, NULL},
    {"10.0.0.0", "private", "10.0.0.0/8", NULL},
    {"10.255.255.255", "private", "10.0.0.0/8", NULL},
    {"11.0.0.0", NULL, NULL, NULL},
    {"100.63.255.255", NULL, NULL, NULL},
    {"100.64.0.0", "cgnat", "100.64.0.0/10", NULL},
    {"100.127.255.255", "cgnat", "100.64.0.0/10", NULL},
    {"100.128.0.0", NULL, NULL, NULL},
    {"127.0.1.5", "loopback", "127.0.0.0/8", NULL},
    {"169.254.1.1", "link-local", "169.254.0.0/16", NULL},
    {"172.15.255.255", NULL, NULL, NULL},
    {"172.16.0.0", "private", "172.16.0.0/12", NULL},
    {"172.31.255.255", "private", "172.16.0.0/12", NULL},
    {"172.32.0.0", NULL, NULL, NULL},
    {"192.0.0.9", "protocol", "192.0.0.0/24", NULL},
    {"192.0.2.1", "documentation", "192.0.2.0/24", NULL},
    {"192.168.178.1", "private", "192.168.0.0/16", NULL},
    {"198.18.0.1", "benchmarking", "198.18.0.0/15", NULL},
    {"198.20.0.0", NULL, NULL, NULL},
    {"198.51.100.7", "documentation", "198.51.100.0/24", NULL},
    {"203.0.113.7", "documentation", "203.0.113.0/24", NULL},
    {"223.255.255.255", NULL, NULL, NULL},
    {"224.0.0.1", "multicast", "224.0.0.0/4", NULL},
    {"240.0.0.1", "reserved", "240.0.0.0/4", NULL},
    {"255.255.255.254", "reserved", "240.0.0.0/4", NULL},
    {"255.255.255.255", "broadcast", "255.255.255.255/32", NULL},
    {"8.8.8.8", NULL, NULL, NULL},
    {"::ffff:10.1.2.3", "private", "10.0.0.0/8", NULL},
    {"::ffff:8.8.8.8", NULL, NULL, NULL},
    {"::", "unspecified", "::/128", NULL},
    {"::1", "loopback", "::1/128", NULL},
    {"64:ff9b::808:808", "nat64", "64:ff9b::/96", "8.8.8.8"},
    {"64:ff9b:1::1", "nat64-local", "64:ff9b:1::/48", NULL},
    {"100::1", "discard", "100::/64", NULL},
    {"2001:0:4136:e378:8000:63bf:3fff:fdd2", "teredo", "2001::/32", "192.0.2.45"},
    {"2001:2::1", "benchmarking", "2001:2::/48", NULL},
    {"2001:1ff::1", "protocol", "2001::/23", NULL},
    {"2001:200::1", NULL, NULL, NULL},
    {"2001:db8::1", "documentation", "2001:db8::/32", NULL},
    {"3fff:fff::1", "documentation", "3fff::/20", NULL},
    {"2002:808:404::1", "6to4", "2002::/16", "8.8.4.4"},
    {"fc00::1", "unique-local", "fc00::/7", NULL},
    {"fdff::1", "unique-local", "fc00::/7", NULL},
    {"fe80::1", "link-local", "fe80::/10", NULL},
    {"fec0::1", "site-local", "fec0::/10", NULL},
    {"ff02::1", "multicast", "ff00::/8", NULL},
    {"2001:4860:4860::8888", NULL, NULL, NULL},
};

START_TEST(test_row)
{
    union test_address address = address_of(rows[_i].address);
    const struct geo_special *special = geo_special(&address.any);
    ck_assert_msg((special != NULL) == (rows[_i].word != NULL), "%s", rows[_i].address);
    if (!special) {
        return;
    }
    ck_assert_str_eq(special->word, rows[_i].word);
    ck_assert_str_eq(special->network, rows[_i].network);
    struct sockaddr_in embedded;
    int found = geo_special_embedded(special, &address.any, &embedded);
    ck_assert_int_eq(found, rows[_i].embedded != NULL);
    if (found) {
        ck_assert_uint_eq(embedded.sin_addr.s_addr, address_of(rows[_i].embedded).ipv4.sin_addr.s_addr);
    }
}
END_TEST

/* A narrow range behind a wider one would never be named. */
START_TEST(test_narrow_before_wide)
{
    for (size_t i = 0; i < geo_special_count(); i++) {
        const struct geo_special *row = geo_special_at(i);
        union test_address address = {.any = {.sa_family = (sa_family_t)row->family}};
        if (row->family == AF_INET) {
            memcpy(&address.ipv4.sin_addr, row->address, 4);
        } else {
            memcpy(&address.ipv6.sin6_addr, row->address, 16);
        }
        const struct geo_special *found = geo_special(&address.any);
        ck_assert_msg(found == row || found->prefix_len > row->prefix_len, "%s is hidden by %s", row->network,
                      found->network);
    }
}
END_TEST

START_TEST(test_other_family)
{
    struct sockaddr address = {.sa_family = AF_UNIX};
    ck_assert_ptr_null(geo_special(&address));
}
END_TEST

static const struct {
    const char *address, *text; /* NULL: none */
} known[] = {
    {"8.8.8.8", "Google Public DNS"},
    {"8.8.8.0", "Google Public DNS"},
    {"8.8.8.255", "Google Public DNS"},
    {"8.8.9.0", NULL},
    {"8.8.7.255", NULL},
    {"::ffff:8.8.4.4", "Google Public DNS"},
    {"1.1.1.1", "Cloudflare DNS"},
    {"1.1.2.1", NULL},
    {"9.9.9.9", "Quad9"},
    {"208.67.222.222", "OpenDNS"},
    {"198.41.0.4", "root server A"},
    {"198.41.1.4", NULL},
    {"198.41.128.1", "Cloudflare"},
    {"202.12.27.33", "root server M"},
    {"104.16.0.1", "Cloudflare"},
    {"104.27.255.255", "Cloudflare"},
    {"104.28.0.0", NULL},
    {"151.101.1.69", "Fastly"},
    {"2606:4700:4700::1111", "Cloudflare DNS"},
    {"2606:4700::1", "Cloudflare"},
    {"2001:4860:4860::8888", "Google Public DNS"},
    {"2001:4860:4861::1", NULL},
    {"2001:500:2f::f", "root server F"},
    {"2a06:98c7::1", "Cloudflare"},
    {"2a06:98c8::1", NULL},
    {"193.0.6.139", NULL},
    {"1.0.0.1", "Cloudflare DNS"},
    {"2606:4700:4700::1001", "Cloudflare DNS"},
    {"2001:4860:4860::8844", "Google Public DNS"},
    {"149.112.112.112", "Quad9"},
    {"2620:fe::9", "Quad9"},
    {"208.67.220.220", "OpenDNS"},
    {"2620:119:35::35", "OpenDNS"},
    {"2620:119:53::53", "OpenDNS"},
    {"2620:0:ccd::2", "OpenDNS"},
    {"2a10:50c0::ad1:ff", "AdGuard DNS"},
    {"2a0d:2a00:2::2", "CleanBrowsing"},
    {"2610:a1:1018::1", "UltraDNS Public"},
    {"64.6.65.6", "UltraDNS Public"},
    {"2a07:a8c1::1", "NextDNS"},
    {"76.76.10.2", "Control D"},
    {"2606:1a40:1::22", "Control D"},
    {"194.242.2.2", "Mullvad DNS"},
    {"77.88.8.8", "Yandex DNS"},
    {"2a02:6b8::feed:ff", "Yandex DNS"},
    {"223.5.5.5", "AliDNS"},
    {"170.247.170.2", "root server B"},
    {"199.9.14.201", "root server B"},
    {"2801:1b8:10::b", "root server B"},
    {"192.33.4.12", "root server C"},
    {"2001:500:2::c", "root server C"},
    {"199.7.91.13", "root server D"},
    {"2001:500:2d::d", "root server D"},
    {"192.203.230.10", "root server E"},
    {"2001:500:a8::e", "root server E"},
    {"192.5.5.241", "root server F"},
    {"192.112.36.4", "root server G"},
    {"2001:500:12::d0d", "root server G"},
    {"198.97.190.53", "root server H"},
    {"2001:500:1::53", "root server H"},
    {"192.36.148.17", "root server I"},
    {"2001:7fe::53", "root server I"},
    {"192.58.128.30", "root server J"},
    {"2001:503:c27::2:30", "root server J"},
    {"193.0.14.129", "root server K"},
    {"2001:7fd::1", "root server K"},
    {"199.7.83.42", "root server L"},
    {"2001:500:9f::42", "root server L"},
    {"2001:dc3::35", "root server M"},
    {"2001:503:ba3e::2:30", "root server A"},
    {"34.120.0.1", "Google Cloud"},
    {"34.121.0.1", NULL},
    {"130.211.7.255", "Google Cloud"},
    {"2600:1901::1", "Google Cloud"},
    {"216.239.34.10", "Google DNS"},
    {"75.2.60.5", "AWS Global Accelerator"},
    {"75.2.128.0", NULL},
    {"185.199.108.153", "GitHub Pages"},
    {"2606:50c0:8003::153", "GitHub Pages"},
    {"13.107.246.10", "Azure Front Door"},
    {"2.16.0.1", NULL},
    {"13.224.0.1", NULL},
};

/* Well-known networks of many places, at their ends and beside them. */
START_TEST(test_anycast)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(known); i++) {
        union test_address address = address_of(known[i].address);
        const struct geo_anycast *found = geo_anycast(&address.any);
        ck_assert_msg((found != NULL) == (known[i].text != NULL), "%s", known[i].address);
        ck_assert(!found || strcmp(found->text, known[i].text) == 0);
    }
    for (size_t i = 0; i < geo_anycast_count(); i++) { /* a network, and not behind a wider one */
        const struct geo_anycast *row = geo_anycast_at(i);
        union test_address address = {.any = {.sa_family = (sa_family_t)row->family}};
        memcpy(row->family == AF_INET ? (void *)&address.ipv4.sin_addr : (void *)&address.ipv6.sin6_addr,
               row->address, row->family == AF_INET ? 4 : 16);
        ck_assert_msg(geo_anycast(&address.any) == row, "%s", row->network);
        ck_assert_msg(!geo_special(&address.any), "%s", row->network);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("special");
    TCase *tc = tcase_create("rows");
    tcase_add_loop_test(tc, test_row, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tc, test_narrow_before_wide);
    tcase_add_test(tc, test_other_family);
    tcase_add_test(tc, test_anycast);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
