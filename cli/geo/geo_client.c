/* geo_client: the client in a log line, in any of the forms that servers write: by column, by name,
 * in JSON, after a list of proxies. Trusted and private addresses are passed over from the right,
 * as a proxy chain has to be read. */
#include "cli/geo/geo_client.h"

#include "cli/geo/geo_input.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/mem.h"
#include "geo-data/special.h"

#include <ctype.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define ADDRESSES_MAX 64 /* of X-Forwarded-For, from its end */

enum cdn_status geo_client_init(struct geo_client *client, const char *text, const struct router_table *table,
                                struct cdn_error *err)
{
    uint64_t column;
    *client = (struct geo_client){.table = table, .name = text};
    if (!text) {
        return CDN_OK;
    }
    if (cdn_parse_u64(cdn_str(text), &column)) {
        if (column == 0 || column > 10000) {
            return cdn_error_set(err, CDN_USAGE, "--client: columns count from 1 to 10000, not %s", text);
        }
        client->kind = GEO_CLIENT_COLUMN;
        client->column = (unsigned)column;
    } else if (text[0] == '\0') {
        return cdn_error_set(err, CDN_USAGE, "--client: a column, a name or xff is needed");
    } else {
        client->kind = cdn_str_eq_nocase(cdn_str(text), CDN_STR("xff")) ? GEO_CLIENT_XFF : GEO_CLIENT_NAME;
    }
    return CDN_OK;
}

static bool first_address(struct cdn_str text, struct cdn_addr *ret)
{
    size_t at = 0;
    return geo_input_next_address(text, &at, ret);
}

/* ---- columns ---- */

static struct cdn_str next_field(struct cdn_str *rest)
{
    size_t from = 0, to;
    while (from < rest->n && (rest->p[from] == ' ' || rest->p[from] == '\t')) {
        from++;
    }
    for (to = from; to < rest->n && rest->p[to] != ' ' && rest->p[to] != '\t';) {
        to++;
    }
    struct cdn_str field = {rest->p + from, to - from};
    *rest = cdn_str_sub(*rest, to);
    return field;
}

static bool column_address(struct cdn_str line, unsigned column, struct cdn_addr *ret)
{
    struct cdn_str field = {0};
    for (unsigned i = 0; i < column; i++) {
        field = next_field(&line);
    }
    return field.n > 0 && first_address(field, ret);
}

bool geo_client_comment(struct geo_client *client, struct cdn_str line)
{
    struct cdn_str head = CDN_STR("#Fields:"), field;
    if (line.n == 0 || line.p[0] != '#') {
        return false;
    }
    if (line.n < head.n || !cdn_str_same_nocase(line.p, head.p, head.n) ||
        client->kind == GEO_CLIENT_COLUMN || client->kind == GEO_CLIENT_XFF) {
        return true;
    }
    struct cdn_str wanted = client->name ? cdn_str(client->name) : CDN_STR("c-ip");
    client->column = 0;
    line = cdn_str_sub(line, head.n);
    for (unsigned i = 1; (field = next_field(&line)).n > 0; i++) {
        if (cdn_str_eq_nocase(field, wanted) && !client->column) {
            client->column = i;
        }
    }
    return true;
}

/* ---- JSON ---- */

static const json_t *value_at(const json_t *value, struct cdn_str path)
{
    if (json_is_array(value)) {
        return value_at(json_array_get(value, 0), path);
    }
    if (path.n == 0 || !value) {
        return value;
    }
    const json_t *whole = json_object_getn(value, path.p, path.n); /* a key may have dots in it */
    if (whole) {
        return value_at(whole, CDN_STR(""));
    }
    struct cdn_str rest = path, key = cdn_str_cut(&rest, '.');
    return rest.p ? value_at(json_object_getn(value, key.p, key.n), rest) : NULL;
}

static bool json_address(const json_t *object, struct cdn_str path, struct cdn_addr *ret)
{
    const json_t *value = value_at(object, path);
    return json_is_string(value) &&
           first_address((struct cdn_str){json_string_value(value), json_string_length(value)}, ret);
}

/* The object of a line, which a prefix of syslog or of a container's log may stand before. */
static json_t *json_of(struct cdn_str line)
{
    ptrdiff_t at = cdn_str_find(line, '{');
    if (at < 0) {
        return NULL;
    }
    line = cdn_str_sub(line, (size_t)at);
    json_t *object = json_loadb(line.p, line.n, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
    return object;
}

static bool named_address(const struct geo_client *client, struct cdn_str line, struct cdn_addr *ret)
{
    json_t *object = json_of(line);
    bool found = object && json_address(object, cdn_str(client->name), ret);
    json_decref(object);
    return found;
}

/* Caddy, Traefik, nginx, HAProxy, Google's and Elastic's names; those that see through proxies first. */
static bool usual_json_address(const json_t *object, struct cdn_addr *ret)
{
    static const char *const keys[] = {"request.client_ip",
                                       "client_ip",
                                       "clientIp",
                                       "clientIP",
                                       "ClientHost",
                                       "ClientAddr",
                                       "request.remote_ip",
                                       "remote_ip",
                                       "remoteIp",
                                       "remote_addr",
                                       "remoteAddr",
                                       "request.remote_addr",
                                       "client.ip",
                                       "client.address",
                                       "source.ip",
                                       "httpRequest.remoteIp",
                                       "httpRequest.clientIp",
                                       "c-ip",
                                       "client",
                                       "client_addr",
                                       "ip"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(keys); i++) {
        if (json_address(object, cdn_str(keys[i]), ret)) {
            return true;
        }
    }
    return false;
}

static bool usual_address(struct cdn_str line, struct cdn_addr *ret)
{
    json_t *object = memchr(line.p, '{', line.n) ? json_of(line) : NULL;
    bool found = json_is_object(object) && usual_json_address(object, ret);
    json_decref(object);
    return found || first_address(line, ret);
}

/* ---- X-Forwarded-For ---- */

static bool is_trusted(const struct router_table *table, const struct cdn_addr *a)
{
    return http_is_trusted(&table->trust, a) || geo_special(&a->sa); /* inside of somebody's network */
}

/* The last address of a list that is nobody's proxy; the first one when all are. */
static bool last_untrusted(const struct router_table *table, struct cdn_str list, struct cdn_addr *ret)
{
    struct cdn_addr all[ADDRESSES_MAX];
    size_t n = 0, at = 0;
    while (geo_input_next_address(list, &at, &all[n % ADDRESSES_MAX])) {
        n++;
    }
    for (size_t i = n; i > 0 && n - i < ADDRESSES_MAX; i--) {
        *ret = all[(i - 1) % ADDRESSES_MAX];
        if (!is_trusted(table, ret)) {
            break;
        }
    }
    return n > 0;
}

/* Where a value that begins at `at` ends: a closing quote or
 * bracket, else a blank that no comma stands at. */
static size_t value_end(struct cdn_str line, size_t at)
{
    char open = line.p[at], close = open == '[' ? ']' : open == '"' || open == '\'' ? open : '\0';
    size_t i = at + (close != '\0');
    for (; i < line.n; i++) {
        if (!close && line.p[i] == '"' && i > at && line.p[i - 1] == '=') {
            const char *end = memchr(line.p + i + 1, '"', line.n - i - 1);
            if (!end) {
                break;
            }
            i = (size_t)(end - line.p); /* for="[2001:db8::1]:4711" is one of several (RFC 7239 6) */
            continue;
        }
        if (close ? line.p[i] == close && line.p[i - 1] != '\\' : strchr("\"'|}", line.p[i]) != NULL) {
            break;
        }
        if (!close && line.p[i] == ' ' && line.p[i - 1] != ',' && (i + 1 == line.n || line.p[i + 1] != ',')) {
            break;
        }
    }
    return i;
}

/* Of a Forwarded field whose first address is quoted (for="[2001:db8::1]", for=...), the place before that;
 * else `at`: x_forwarded_for="..." is quoted as a whole. */
static size_t before_for(struct cdn_str line, size_t at)
{
    struct cdn_str name = CDN_STR("for=");
    if (at <= name.n || line.p[at] != '"' || !cdn_str_same_nocase(line.p + at - name.n, name.p, name.n)) {
        return at;
    }
    const char before = line.p[at - name.n - 1];
    return isalnum((unsigned char)before) || before == '_' || before == '-' ? at : at - name.n;
}

/* The value after a key that ends in "forwarded", "forwarded_for", "Forwarded-For" or "xff". */
static bool keyed_list(struct cdn_str line, struct cdn_str *ret)
{
    static const char *const keys[] = {"forwarded", "xff"};
    for (size_t i = 0; i < line.n; i++) {
        for (size_t k = 0; k < CDN_ARRAY_LEN(keys); k++) {
            struct cdn_str key = cdn_str(keys[k]);
            if (line.n - i < key.n || !cdn_str_same_nocase(line.p + i, key.p, key.n)) {
                continue;
            }
            size_t at = i + key.n;
            while (at < line.n && (isalpha((unsigned char)line.p[at]) || strchr("-_\"' :=", line.p[at])) &&
                   !(strchr(":=", line.p[at - 1]) && strchr("\"'", line.p[at])) &&
                   !(line.p[at - 1] == ' ' && strchr("\"'", line.p[at]))) {
                at++;
            }
            if (at < line.n) {
                at = before_for(line, at);
                *ret = (struct cdn_str){line.p + at, value_end(line, at) - at};
                return true;
            }
        }
    }
    return false;
}

static bool is_list(struct cdn_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (!isxdigit((unsigned char)text.p[i]) && !strchr(".:, []", text.p[i])) {
            return false;
        }
    }
    return text.n > 0;
}

/* The last quoted text of nothing but addresses, as nginx's and Apache's formats have it. */
static bool quoted_list(struct cdn_str line, struct cdn_str *ret)
{
    bool found = false;
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] != '"') {
            continue;
        }
        size_t end = value_end(line, i);
        struct cdn_str inner = {line.p + i + 1, end > i ? end - i - 1 : 0};
        struct cdn_addr address;
        if (is_list(inner) && first_address(inner, &address)) {
            *ret = inner;
            found = true;
        }
        i = end;
    }
    return found;
}

static bool forwarded_address(const struct geo_client *client, struct cdn_str line, struct cdn_addr *ret)
{
    struct cdn_str list;
    if (keyed_list(line, &list) && last_untrusted(client->table, list, ret)) {
        return true;
    }
    if (quoted_list(line, &list) && last_untrusted(client->table, list, ret)) {
        return true;
    }
    return usual_address(line, ret);
}

bool geo_client_find(const struct geo_client *client, struct cdn_str line, struct cdn_addr *ret)
{
    if (client->kind == GEO_CLIENT_XFF) {
        return forwarded_address(client, line, ret);
    }
    if (client->column) {
        return column_address(line, client->column, ret);
    }
    return client->kind == GEO_CLIENT_NAME ? named_address(client, line, ret) : usual_address(line, ret);
}
