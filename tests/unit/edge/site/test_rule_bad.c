/* What a rule may not say: each is refused with file, line and key, and what would do nothing is refused,
 * too. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/site/rule_settings.h"
#include "edge/site/site.h"
#include "tests/unit/edge/sites_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

#define AT "5: sites.shop.rules[1]."
#define NO_URL \
    " is not a URL such as http://127.0.0.1:8090, https://assets.example/path or unix:/run/site.sock"
#define PATH_OF(keys) SITE_OF("    rules:\n      - {" keys "}\n")
#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

static const struct bad_row rows_[] = {
    {RULE_OF("pth: /x"), "5: unknown key \"pth\" in sites.shop.rules[1]; did you mean \"path\"?"},
    {RULE_OF("cors_: \"*\""), "5: unknown key \"cors_\" in sites.shop.rules[1]; did you mean \"cors\"?"},
    {RULE_OF("kee: 1"), "5: unknown key \"kee\" in sites.shop.rules[1]"},
    {RULE_OF("key: {querry: none}"),
     "5: unknown key \"querry\" in sites.shop.rules[1].key; did you mean \"query\"?"},
    {RULE_OF("key: {device: maybe}"), AT "key.device: \"maybe\" is not yes or no"},
    {RULE_OF("key_query: some"), AT "key_query: \"some\" is not one of all, none, allow, sort, ignore"},
    {RULE_OF("key: {query: [none]}"), AT "key.query: must be a single value, not a list"},
    {RULE_OF("key: [query]"), AT "key: must be a mapping, not a list"},
    {RULE_OF("pass: 3"), AT "pass: \"3\" is not yes or no"},
    {RULE_OF("pass: [yes]"), AT "pass: must be a single value, not a list"},
    {RULE_OF("path: /b/"), AT "path: the key is there twice (first in line 5)"},
    {RULE_OF("key_query: none, key: {query: none}"), AT "key.query: it is there twice (first in cdn.yaml:5)"},
    {RULE_OF("key: {query: none}, key_query: all"), AT "key_query: it is there twice (first in cdn.yaml:5)"},
    {RULE_OF("key: {query: none, query: all}"), AT "key.query: the key is there twice (first in line 5)"},
    {RULE_OF("key: {query: allow}"), AT "key_query: 'allow' needs key_allow"},
    {RULE_OF("key: {query: ignore}"), AT "key_query: 'ignore' needs key_ignore"},
    {RULE_OF("key: {query: none, allow: [a]}"), AT "key_allow: it needs key_query: allow"},
    {RULE_OF("key: {allow: [a]}"), AT "key_allow: it needs key_query: allow"},
    {RULE_OF("lifetime: {min: 2h, max: 1h}"), AT "lifetime_min: it is longer than lifetime_max"},
    {RULE_OF("lifetime: {min: 366d}"), AT "lifetime.min: \"366d\" is out of range, allowed: 0s to 365d"},
    {RULE_OF("lifetime: {min: -1s}"),
     AT "lifetime.min: \"-1s\" is not a time such as 500ms, 30s, 5m, 1h or 7d"},
    {RULE_OF("lifetime: {max: long}"),
     AT "lifetime.max: \"long\" is not a time such as 500ms, 30s, 5m, 1h or 7d"},
    {RULE_OF("lifetime: {status: {700: 1s}}"),
     AT "lifetime_status: \"700: 1s\" is not STATUS: TIME such as 404: 5s"},
    {RULE_OF("lifetime: {status: {404: soon}}"),
     AT "lifetime_status: \"404: soon\" is not STATUS: TIME such as 404: 5s"},
    {RULE_OF("lifetime: {status: {abc: 1s}}"),
     AT "lifetime_status: \"abc: 1s\" is not STATUS: TIME such as 404: 5s"},
    {RULE_OF("lifetime: {status: [404]}"), AT "lifetime.status: must be a mapping, not a list"},
    {RULE_OF("lifetime: {status: {404: 400d}}"), AT "lifetime_status: \"404: 400d\" is longer than 365d"},
    {RULE_OF("lifetime: {status: {\"304\": 5s}}"),
     AT "lifetime_status: \"304: 5s\" is not STATUS: TIME such as 404: 5s"},
    {RULE_OF("stale_if_error: 400d"), AT "stale_if_error: \"400d\" is out of range, allowed: 0s to 365d"},
    {RULE_OF("stale_while_revalidate: [1s]"),
     AT "stale_while_revalidate: must be a single value, not a list"},
    {RULE_OF("failover: [200]"), AT "failover: \"200\" is not a status from 400 to 599"},
    {RULE_OF("failover: [600]"), AT "failover: \"600\" is not a status from 400 to 599"},
    {RULE_OF("failover: [abc]"), AT "failover: \"abc\" is not a status from 400 to 599"},
    {RULE_OF("failover: [99999999999999999999]"),
     AT "failover: \"99999999999999999999\" is not a status from 400 to 599"},
    {RULE_OF("health_path: ping"), AT "health_path: \"ping\" does not begin with '/'"},
    {RULE_OF("health: {path: ping}"), AT "health_path: \"ping\" does not begin with '/'"},
    {RULE_OF("health: {interval: 5ms}"), AT "health.interval: \"5ms\" is out of range, allowed: 100ms to 1h"},
    {RULE_OF("health: {up: 0}"), AT "health.up: \"0\" is out of range, allowed: 1 to 100"},
    {RULE_OF("health: {down: 101}"), AT "health.down: \"101\" is out of range, allowed: 1 to 100"},
    {RULE_OF("health: {timeout: 2h}"), AT "health.timeout: \"2h\" is out of range, allowed: 10ms to 1m"},
    {RULE_OF("health: {path: /ping, interval: 1s, every: 2s}"),
     "5: unknown key \"every\" in sites.shop.rules[1].health"},
    {RULE_OF("cors: [shop.example]"),
     AT "cors: \"shop.example\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: [\"*\", \"https://a.example\"]"), AT "cors: '*' and 'off' stand alone"},
    {RULE_OF("cors: \"off, *\""), AT "cors: \"off, *\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: [off, \"*\"]"), AT "cors: '*' and 'off' stand alone"},
    {RULE_OF("cors: [\"https://a.example/path\"]"),
     AT "cors: \"https://a.example/path\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: [\"https://a.example/\"]"),
     AT "cors: \"https://a.example/\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: [\"ftp://a.example\"]"),
     AT "cors: \"ftp://a.example\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: [\"https://a.example?x\"]"),
     AT "cors: \"https://a.example?x\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: yes"), AT "cors: \"yes\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: [\"https://a b.example\"]"),
     AT "cors: \"https://a b.example\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: [\"null\"]"), AT "cors: \"null\" is not an origin such as https://shop.example"},
    {RULE_OF("cors: [\"https://a.example:99999\"]"),
     AT "cors: \"https://a.example:99999\" is not an origin such as https://shop.example"},
    {RULE_OF("fields: {set: {Content-Length: 3}}"),
     AT "fields_set: Content-Length is written by the edge and cannot be changed"},
    {RULE_OF("fields: {add: {transfer-encoding: chunked}}"),
     AT "fields_add: transfer-encoding is written by the edge and cannot be changed"},
    {RULE_OF("fields: {remove: [Connection]}"),
     AT "fields_remove: Connection is written by the edge and cannot be changed"},
    {RULE_OF("fields: {remove: [Age]}"),
     AT "fields_remove: Age is written by the edge and cannot be changed"},
    {RULE_OF("fields: {set: {\"a b\": 1}}"), AT "fields_set: \"a b\" is not a name of a field"},
    {RULE_OF("fields: {set: {X-A: \"a\\r\\nb\"}}"),
     AT "fields.set.X-A: \"a??b\" has a control character in it"},
    {RULE_OF("fields: {set: {X-A: \"a\\nb\"}}"), AT "fields.set.X-A: \"a?b\" has a control character in it"},
    {RULE_OF("fields: {set: {X-A: \"\\x01\"}}"), AT "fields.set.X-A: \"?\" has a control character in it"},
    {RULE_OF("fields: {set: [X-A]}"), AT "fields.set: must be a mapping, not a list"},
    {RULE_OF("fields: {remove: {X-A: 1}}"), AT "fields.remove: must be a list, not a mapping"},
    {RULE_OF("fields: {set: {\"\": x}}"), AT "fields.set.: an item is empty"},
    {RULE_OF("fields: {set: {Cache-Status: x}}"),
     AT "fields_set: Cache-Status is written by the edge and cannot be changed"},
    {RULE_OF("fields: {set: {X-A: 1, x-a: 2}}"), AT "fields_set: x-a is there twice"},
    {RULE_OF("fields: {sett: {X-A: 1}}"),
     "5: unknown key \"sett\" in sites.shop.rules[1].fields; did you mean \"set\"?"},
    {RULE_OF("request: {set: {Host: x}}"),
     AT "request_set: Host is written by the edge and cannot be changed"},
    {RULE_OF("request: {remove: [CDN-Loop]}"),
     AT "request_remove: CDN-Loop is written by the edge and cannot be changed"},
    {RULE_OF("request: {set: {Range: \"bytes=0-1\"}}"),
     AT "request_set: Range is written by the edge and cannot be changed"},
    {RULE_OF("request: {set: {\"X:\": a}}"), AT "request_set: \"X:\" is not a name of a field"},
    {RULE_OF("request: {set: {X-A: \"a\\nb\"}}"),
     AT "request.set.X-A: \"a?b\" has a control character in it"},
    {RULE_OF("request: {remove: [X-Forwarded-For]}"),
     AT "request_remove: X-Forwarded-For is written by the edge and cannot be changed"},
    {RULE_OF("request: {set: {Via: x}}"), AT "request_set: Via is written by the edge and cannot be changed"},
    {RULE_OF("request: {set: {If-None-Match: x}}"),
     AT "request_set: If-None-Match is written by the edge and cannot be changed"},
    {RULE_OF("methods: [TRACE]"), AT "methods: \"TRACE\" is not a method that can be allowed"},
    {RULE_OF("methods: [trace]"), AT "methods: \"trace\" is not a method that can be allowed"},
    {RULE_OF("methods: [\"GE T\"]"), AT "methods: \"GE T\" is not a method that can be allowed"},
    {RULE_OF("methods: get"), AT "methods: \"get\": methods are written in capitals, such as GET"},
    {RULE_OF("methods: {GET: yes}"), AT "methods: must be a list, not a mapping"},
    {RULE_OF("methods: [get]"), AT "methods: \"get\": methods are written in capitals, such as GET"},
    {RULE_OF("key: {fields: [\"a b\"]}"), AT "key_fields: \"a b\" is not a name of a field"},
    {RULE_OF("key: {fields: [\"a,b\"]}"), AT "key_fields: \"a,b\" is not a name of a field"},
    {RULE_OF("key: {cookies: [\"a;b\"]}"), AT "key_cookies: \"a;b\" is not a name of a cookie"},
    {RULE_OF("key: {cookies: [\"a=b\"]}"), AT "key_cookies: \"a=b\" is not a name of a cookie"},
    {RULE_OF("key: {fields: [a,b,c,d,e,f,g,h,i]}"), AT "key.fields: 9 items, allowed: 0 to 8"},
    {RULE_OF("key: {fields: [\"*\"]}"), AT "key_fields: \"*\" is not a name of a field"},
    {RULE_OF("cookies: {keep: [session id]}"), AT "cookies_keep: \"session id\" is not a name of a cookie"},
    {RULE_OF("cookies: {keep: [\"a=b\"]}"), AT "cookies_keep: \"a=b\" is not a name of a cookie"},
    {RULE_OF("cookies: {kep: [a]}"),
     "5: unknown key \"kep\" in sites.shop.rules[1].cookies; did you mean \"keep\"?"},
    {RULE_OF("cookies: [a]"), AT "cookies: must be a mapping, not a list"},
    {RULE_OF("cookies: {keep: [\"a;b\"]}"), AT "cookies_keep: \"a;b\" is not a name of a cookie"},
    {RULE_OF("redirect: http"), AT "redirect: \"http\" is not one of no, https"},
    {RULE_OF("redirect: yes"), AT "redirect: \"yes\" is not one of no, https"},
    {RULE_OF("redirect: [https]"), AT "redirect: must be a single value, not a list"},
    {RULE_OF("origin_host: \"a b\""), AT "origin_host: \"a b\" is not 'origin', 'client' or a host name"},
    {RULE_OF("origin_host: \"a/b\""), AT "origin_host: \"a/b\" is not 'origin', 'client' or a host name"},
    {RULE_OF("origin_host: \"u@a\""), AT "origin_host: \"u@a\" is not 'origin', 'client' or a host name"},
    {RULE_OF("origin_host: \"a.example:99999\""),
     AT "origin_host: \"a.example:99999\" is not 'origin', 'client' or a host name"},
    {RULE_OF("hosts: [a.example]"), "5: unknown key \"hosts\" in sites.shop.rules[1]"},
    {RULE_OF("mode: proxy"), "5: unknown key \"mode\" in sites.shop.rules[1]"},
    {RULE_OF("signed: yes"), "5: sites.shop.rules[1].signed: must be a mapping, not a single value"},
    {RULE_OF("signed: {}"), "5: sites.shop.rules[1].signed: nothing is in it"},
    {RULE_OF("signed: {key: x}"),
     "5: unknown key \"key\" in sites.shop.rules[1].signed; did you mean \"keys\"?"},
    {RULE_OF("signed: {keys: ''}"),
     "5: sites.shop.rules[1].signed_keys: a rule that wants signatures needs a file with public keys"},
    {RULE_OF("signed_keys: /none/keys.yaml"),
     "5: sites.shop.rules[1].signed_keys: /none/keys.yaml: No such file or directory"},
    {RULE_OF("rate_limit: fast"),
     "5: sites.shop.rules[1].rate_limit: \"fast\" is not a rate such as 100/s, 6000/m or off"},
    {RULE_OF("rate: {burst: 3}"), "5: sites.shop.rules[1].rate_burst: it needs rate_limit"},
    {RULE_OF("miss: {limit: 1/d}"),
     "5: sites.shop.rules[1].miss_limit: \"1/d\" is not a rate such as 20/s, 600/m or off"},
    {RULE_OF("miss: {burst: 3}"), "5: sites.shop.rules[1].miss_burst: it needs miss_limit"},
    {RULE_OF("rate: {networks: '24'}"),
     "5: sites.shop.rules[1].rate_networks: \"24\" is not two prefixes such as 24,48"},
    {RULE_OF("rate: {networks: '24,129'}"),
     "5: sites.shop.rules[1].rate_networks: \"24,129\" is not two prefixes such as 24,48"},
    {RULE_OF("geo: {fields: [moon]}"), "5: sites.shop.rules[1].geo_fields: \"moon\" is not one of country, "
                                       "region, city, latitude, longitude, asn"},
    {RULE_OF("key: {fields: [CDN-Client-Moon]}"),
     "5: sites.shop.rules[1].key_fields: \"CDN-Client-Moon\": there is no such field of a client's place"},
    {RULE_OF("allow_countries: [de]"),
     "5: sites.shop.rules[1].allow_countries: \"de\" is not a country such as DE, or ?"
     "?"},
    {RULE_OF("deny_countries: [Germany]"),
     "5: sites.shop.rules[1].deny_countries: \"Germany\" is not a country such as DE, or ?"
     "?"},
    {RULE_OF("allow_countries: []"),
     "5: sites.shop.rules[1].allow_countries: the list is empty, so nobody could come in"},
    {RULE_OF("\"\": 1"), "5: unknown key \"\" in sites.shop.rules[1]"},
    {RULE_OF("? [a] : b"), "5: a key: must be a single value, not a list"},
    {RULE_OF("<<: {a: 1}"), "5: unknown key \"<<\" in sites.shop.rules[1]"},
    {PATH_OF("path: static, origins: [\"http://a.example\"]"),
     AT "path: \"static\" is not a path such as /static/ or /media/*.{jpg,png}"},
    {PATH_OF("path: \"\", origins: [\"http://a.example\"]"),
     AT "path: 0 characters long, allowed: 1 to 1000"},
    {PATH_OF("path: \"/a?b\", origins: [\"http://a.example\"]"),
     AT "path: \"/a?b\" is not a path such as /static/ or /media/*.{jpg,png}"},
    {PATH_OF("path: \"/a#b\", origins: [\"http://a.example\"]"),
     AT "path: \"/a#b\" is not a path such as /static/ or /media/*.{jpg,png}"},
    {PATH_OF("path: \"/100%\", origins: [\"http://a.example\"]"),
     AT "path: \"/100%\": the URL has a '%' without two hex digits behind it"},
    {PATH_OF("path: \"/a*b\", origins: [\"http://a.example\"]"),
     AT "path: \"/a*b\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: \"/a/*.\", origins: [\"http://a.example\"]"),
     AT "path: \"/a/*.\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: \"/a/*.{jpg,}\", origins: [\"http://a.example\"]"),
     AT "path: \"/a/*.{jpg,}\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: \"/a/*.{jp g}\", origins: [\"http://a.example\"]"),
     AT "path: \"/a/*.{jp g}\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: \"*css\", origins: [\"http://a.example\"]"),
     AT "path: \"*css\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: \"/a/*.{jpg\", origins: [\"http://a.example\"]"),
     AT "path: \"/a/*.{jpg\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: \"/a/*.jpg/\", origins: [\"http://a.example\"]"),
     AT "path: \"/a/*.jpg/\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: \"/a/*.*\", origins: [\"http://a.example\"]"),
     AT "path: \"/a/*.*\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: [/a/], origins: [\"http://a.example\"]"), AT "path: must be a single value, not a list"},
    {PATH_OF("path: {a: b}, origins: [\"http://a.example\"]"),
     AT "path: must be a single value, not a mapping"},
    {PATH_OF("path: \"/a b\", origins: [\"http://a.example\"]"), AT "path: \"/a b\": the path is malformed"},
    {PATH_OF("path: \"/\\x01\", origins: [\"http://a.example\"]"),
     AT "path: \"/?\" has a control character in it"},
    {PATH_OF("path: ~, origins: [\"http://a.example\"]"),
     AT "path: has no value (write \"\" for an empty text)"},
    {PATH_OF("path: \"http://a.example/\", origins: [\"http://a.example\"]"),
     AT "path: \"http://a.example/\" is not a path such as /static/ or /media/*.{jpg,png}"},
    {PATH_OF("path: \"/a/*.jpg,png,\", origins: [\"http://a.example\"]"),
     AT "path: \"/a/*.jpg,png,\": after '*' come extensions, such as *.css or *.{jpg,png}"},
    {PATH_OF("path: /s/, origins: []"), AT "origins: missing; give a list of URLs"},
    {PATH_OF("path: /s/, origins: [ftp://a.example]"), AT "origins: \"ftp://a.example\"" NO_URL},
    {PATH_OF("path: /s/, origins: [127.0.0.1:8090]"), AT "origins: \"127.0.0.1:8090\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"http://a.example?x\"]"), AT "origins: \"http://a.example?x\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"http://u:p@a.example\"]"),
     AT "origins: \"http://u:p@a.example\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"http://a.example#x\"]"), AT "origins: \"http://a.example#x\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"http://\"]"), AT "origins: \"http://\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"http://a b\"]"), AT "origins: \"http://a b\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"http://a.example:0\"]"), AT "origins: \"http://a.example:0\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"http://a.example:65536\"]"),
     AT "origins: \"http://a.example:65536\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"unix:run/x.sock\"]"), AT "origins: \"unix:run/x.sock\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"unix:\"]"), AT "origins: \"unix:\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"unix:/\"]"), AT "origins: \"unix:/\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"unix:/run/x.sock:path\"]"),
     AT "origins: \"unix:/run/x.sock:path\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"unix:/run/x.sock:/p?q\"]"),
     AT "origins: \"unix:/run/x.sock:/p?q\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"http://a.example\", \"http://a.example\"]"),
     AT "origins: \"http://a.example\" is there twice"},
    {PATH_OF("path: /s/, origins: [\"http://a.example\", \"http://a.example/\"]"),
     AT "origins: \"http://a.example\" is there twice"},
    {PATH_OF("path: /s/, origins: {a: b}"), AT "origins: must be a list, not a mapping"},
    {PATH_OF("path: /s/, origins: [[a]]"), AT "origins: must be a single value, not a list"},
    {PATH_OF("path: /s/, origins: [\"\"]"), AT "origins: an item is empty"},
    {PATH_OF("path: /s/, origins: [\"http://a.example/%zz\"]"),
     AT "origins: \"http://a.example/%zz\"" NO_URL},
    {PATH_OF("path: /s/, origins: [\"https:/a.example\"]"), AT "origins: \"https:/a.example\"" NO_URL},
    {PATH_OF("path: /"), AT "origins: missing; give a list of URLs"},
    {PATH_OF("path: /" X100 X100 X100 X100 X100 X100 X100 X100 X100 X100),
     AT "path: 1001 characters long, allowed: 1 to 1000"},
    {PATH_OF("path: /s/, origins: [\"unix:/" X100 "1234567\"]"),
     AT "origins: \"unix:/" X100 "1234567\"" NO_URL},
    {PATH_OF("path: /s/, origins: [http://a0, http://a1, http://a2, http://a3, http://a4, http://a5, "
             "http://a6, http://a7, http://a8]"),
     AT "origins: 9 items, allowed: 0 to 8"},
};

START_TEST(is_refused)
{
    check_bad(&rows_[_i]);
}
END_TEST

static const char *const good[] = {
    RULE_OF("key: {allow: []}, key_query: allow"),
    RULE_OF("lifetime: {status: {\"206\": 5s}}"),
    RULE_OF("lifetime: {override: 1h, min: 2h}"),
    RULE_OF("stale: {if_error: 1h}"),
    RULE_OF("failover: 503"),
    RULE_OF("failover: [404, 404]"),
    RULE_OF("methods: []"),
    RULE_OF("methods: [GET, GET]"),
    PATH_OF("path: \"/a/*\", origins: [\"http://a.example\"]"),
    PATH_OF("path: \"*\", origins: [\"http://a.example\"]"),
    PATH_OF("path: \"/a/*.(jpg|png)\", origins: [\"http://a.example\"]"),
    PATH_OF("path: \"/../a\", origins: [\"http://a.example\"]"),
    PATH_OF("path: \"/é\", origins: [\"http://a.example\"]"),
    PATH_OF("path: /s/, origins: http://127.0.0.1:1"),
    PATH_OF("path: /s/, origins: [\"http://a.example/../x\"]"),
    PATH_OF("path: /s/, origins: [\"HTTP://a.example\"]"),
    SITE_OF("    origins: [\"http://a.example\"]\n    key: {query: allow}\n    rules:\n      - {path: /, "
            "key: {allow: [a]}}\n"),
    SITE_OF("    origins: [\"http://a.example\"]\n    key: {query: allow, allow: [a]}\n    rules:\n      - "
            "{path: /a/, key: {query: none}}\n      - {path: /}\n"),
    PATH_OF("path: /s/, origins: [\"unix:/" X100 "123456\"]"),
    RULE_OF("cookies: {keep: [\"wordpress_*\", sessionid]}"),
    RULE_OF("key: {query: ignore, ignore: [\"utm_*\", tracking]}"),
    RULE_OF("cors: [\"https://a.example\", \"http://B.example:8080\"]"),
    SITE_OF("    origins: [\"http://a.example\"]\n    stale: {if_error: 1h}\n    origin: {host: client}\n"),
};

START_TEST(is_good)
{
    struct edge_sites sites;
    read_good(good[_i], "", &sites);
    ck_assert_uint_eq(sites.count, 1);
    end_sites(&sites);
}
END_TEST

/* Whatever row comes to these: none gets a hand on the framing of messages. */
START_TEST(no_row_writes_fields_of_framing)
{
    unsigned rows = 0;
    for (size_t i = 0; i < edge_rule_program.row_count; i++) {
        const struct cdn_config_row *row = &edge_rule_program.rows[i];
        const bool list = row->type == CDN_CONFIG_LIST;
        if (strncmp(row->field, "fields_", 7) == 0 || strncmp(row->field, "request_", 8) == 0) {
            CDN_AUTOFREE char *text = cdn_asprintf(RULE_OF("%s: %s"), row->field,
                                                   list ? "[content-length]" : "{content-length: 5}");
            CDN_AUTOFREE char *said = cdn_asprintf(
                AT "%s: content-length is written by the edge and cannot be changed", row->field);
            check_bad(&(struct bad_row){text, said});
            rows++;
        }
    }
    ck_assert_uint_ge(rows, 6);
}
END_TEST

/* `first: {rest: ...}` is understood in a site for every row that has two words. */
START_TEST(first_words_are_known_to_sites)
{
    static const char *const words[] = {EDGE_RULE_WORDS NULL};
    for (size_t i = 0; i < edge_rule_program.row_count; i++) {
        struct cdn_str first = cdn_str(edge_rule_program.rows[i].field), rest = first;
        first = cdn_str_cut(&rest, '_');
        bool known = !rest.p;
        for (size_t k = 0; words[k]; k++) {
            known = known || cdn_str_eq(first, cdn_str(words[k]));
        }
        ck_assert_msg(known, "%s: put its first word into EDGE_RULE_WORDS", edge_rule_program.rows[i].field);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rule_bad");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, is_refused, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_test(rows, no_row_writes_fields_of_framing);
    tcase_add_test(rows, first_words_are_known_to_sites);
    tcase_add_loop_test(rows, is_good, 0, (int)CDN_ARRAY_LEN(good));
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
