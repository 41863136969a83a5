/* policy: reading is strict, since a signature says who wrote a text and not that it was meant: exactly one
 * statement, no duplicate members, no conditions but the three that CloudFront has. The canned text is made
 * byte for byte as signers make it. */
#include "edge/signed/policy.h"

#include "common/http/syntax/http_percent.h"
#include "common/parse.h"
#include "common/str.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define SECONDS_MAX INT64_C(253402300799) /* the year 9999's last one */

static const struct {
    const char *word, *text;
} verdicts[] = {
#define X(name, word, text) {word, text},
    EDGE_SIGNED_VERDICTS(X)
#undef X
};

const char *edge_signed_word(enum edge_signed_verdict v)
{
    return verdicts[v].word;
}

const char *edge_signed_text(enum edge_signed_verdict v)
{
    return verdicts[v].text;
}

/* ---- texts ---- */

bool edge_signed_wildcard(struct cdn_str pattern, struct cdn_str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == text.p[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) { /* the last star takes one letter more */
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}

/* 0 to 63; 64 is padding; -1: none. */
static int digit_of(int c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-'             ? 62
           : c == '~'             ? 63
           : c == '_'             ? 64
                                  : -1;
}

bool edge_signed_base64(struct cdn_str text, size_t most, struct cdn_buf *ret)
{
    uint32_t bits = 0;
    unsigned n = 0, padding = 0; /* of the group of four */
    for (size_t i = 0; i < text.n; i++) {
        int c = (unsigned char)text.p[i];
        if (c == '%') {
            c = http_percent_byte(text, i);
            i += 2;
        }
        const int digit = digit_of(c);
        if (digit < 0 || (padding && digit != 64) || (digit == 64 && n < 2)) {
            return false;
        }
        padding += digit == 64;
        bits = bits << 6 | ((unsigned)digit & 63);
        if (++n < 4) {
            continue;
        }
        const unsigned char bytes[] = {bits >> 16 & 255, bits >> 8 & 255, bits & 255};
        cdn_buf_add(ret, bytes, 3 - padding);
        n = 0;
        bits = 0;
        if (ret->n > most || (padding && i + 1 < text.n)) {
            return false;
        }
    }
    return n == 0;
}

static bool read_seconds(struct cdn_str text, int64_t *ret)
{
    uint64_t n;
    if (!cdn_parse_u64(text, &n) || n > SECONDS_MAX || (text.n > 1 && text.p[0] == '0')) {
        return false;
    }
    *ret = (int64_t)n;
    return true;
}

enum edge_signed_verdict edge_signed_canned(struct cdn_str url, struct cdn_str expires, struct cdn_buf *ret,
                                            int64_t *ret_before_s)
{
    for (size_t i = 0; i < url.n; i++) {
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == '"' || url.p[i] == '\\') {
            return EDGE_SIGNED_MALFORMED;
        }
    }
    if (!read_seconds(expires, ret_before_s)) {
        return EDGE_SIGNED_MALFORMED;
    }
    cdn_buf_add_str(ret, CDN_STR("{\"Statement\":[{\"Resource\":\""));
    cdn_buf_add_str(ret, url);
    cdn_buf_add_str(ret, CDN_STR("\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":"));
    cdn_buf_add_str(ret, expires);
    cdn_buf_add_str(ret, CDN_STR("}}}]}"));
    return EDGE_SIGNED_GOOD;
}

/* ---- reading ---- */

/* The only member of a condition, such as {"AWS:EpochTime": 1}. */
static const json_t *only(const json_t *object, const char *name)
{
    return json_object_size(object) == 1 ? json_object_get(object, name) : NULL;
}

static bool read_time(const json_t *condition, int64_t *ret)
{
    const json_t *time = only(condition, "AWS:EpochTime");
    const json_int_t s = json_integer_value(time);
    *ret = s;
    return json_is_integer(time) && s >= 0 && s <= SECONDS_MAX;
}

/* "192.0.2.0/24", "192.0.2.7/24" and "192.0.2.7"; the bits behind the prefix do not count. */
static bool read_network(const json_t *condition, struct cdn_cidr *ret)
{
    const json_t *value = only(condition, "AWS:SourceIp");
    struct cdn_str rest = {json_string_value(value), json_string_length(value)};
    uint64_t prefix;
    if (!rest.p) {
        return false;
    }
    struct cdn_str address = cdn_str_cut(&rest, '/');
    if (!cdn_parse_ip(address, &ret->addr)) {
        return false;
    }
    size_t bytes;
    const unsigned char *raw = cdn_addr_bytes(&ret->addr, &bytes);
    prefix = 8 * bytes;
    if (rest.p && (!cdn_parse_u64(rest, &prefix) || prefix > 8 * bytes)) {
        return false;
    }
    ret->prefix = (unsigned)prefix;
    for (size_t i = 0; i < bytes; i++) {
        const unsigned kept = prefix >= 8 * (i + 1) ? 8 : prefix > 8 * i ? (unsigned)(prefix - 8 * i) : 0;
        ((unsigned char *)(uintptr_t)raw)[i] &= (unsigned char)(0xff00u >> kept);
    }
    return true;
}

static bool read_conditions(const json_t *conditions, struct edge_signed_policy *p)
{
    const char *name;
    const json_t *value;
    bool has_end = false, well = json_is_object(conditions);
    json_object_foreach((json_t *)(uintptr_t)conditions, name, value)
    {
        if (strcmp(name, "DateLessThan") == 0) {
            has_end = true;
            well = well && read_time(value, &p->before_s);
        } else if (strcmp(name, "DateGreaterThan") == 0) {
            well = well && read_time(value, &p->after_s);
        } else if (strcmp(name, "IpAddress") == 0) {
            p->has_network = true;
            well = well && read_network(value, &p->network);
        } else {
            well = false;
        }
    }
    return well && has_end;
}

/* Scheme and host in lower case, as keys have them. */
static bool read_resource(const json_t *value, struct edge_signed_policy *p)
{
    struct cdn_str text = {json_string_value(value), json_string_length(value)};
    unsigned slashes = 0;
    if (!text.p || text.n == 0) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        slashes += text.p[i] == '/';
        cdn_buf_add_char(&p->resource, slashes < 3 ? (char)tolower((unsigned char)text.p[i]) : text.p[i]);
    }
    return true;
}

static bool read_statement(const json_t *statement, struct edge_signed_policy *p)
{
    const json_t *resource = json_object_get(statement, "Resource");
    const json_t *conditions = json_object_get(statement, "Condition");
    const size_t known = 1 + (resource != NULL);
    return conditions && json_object_size(statement) == known && read_conditions(conditions, p) &&
           (!resource || read_resource(resource, p));
}

enum edge_signed_verdict edge_signed_policy_read(struct cdn_str json, struct edge_signed_policy *ret)
{
    struct edge_signed_policy p = {.after_s = INT64_MIN};
    json_t *policy = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = only(policy, "Statement");
    const bool well =
        json_is_array(list) && json_array_size(list) == 1 && read_statement(json_array_get(list, 0), &p);
    json_decref(policy);
    if (!well) {
        edge_signed_policy_free(&p);
        return EDGE_SIGNED_MALFORMED;
    }
    *ret = p;
    return EDGE_SIGNED_GOOD;
}

void edge_signed_policy_free(struct edge_signed_policy *policy)
{
    cdn_buf_free(&policy->resource);
}

enum edge_signed_verdict edge_signed_policy_allows(const struct edge_signed_policy *policy,
                                                   const struct edge_signed_moment *moment)
{
    if (moment->now_s >= policy->before_s) {
        return EDGE_SIGNED_EXPIRED;
    }
    if (moment->now_s <= policy->after_s) {
        return EDGE_SIGNED_NOT_YET;
    }
    if (policy->has_network && !cdn_cidr_has(&policy->network, moment->client)) {
        return EDGE_SIGNED_ADDRESS;
    }
    return policy->resource.n && !edge_signed_wildcard(cdn_buf_str(&policy->resource), moment->url)
               ? EDGE_SIGNED_RESOURCE
               : EDGE_SIGNED_GOOD;
}
