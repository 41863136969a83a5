/* origin: a list without a lock, since it only grows, and by one thread at a time. URLs are checked here
 * once: what is joined to `base` later is a path as keys have it. */
#include "edge/site/origin.h"

#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/site/breaker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/banned.h"

#define LOOKS "http://127.0.0.1:8090, https://assets.example/path or unix:/run/site.sock"

/* Blanks and bytes that are no ASCII have no place in a URL (RFC 3986 section 2). */
static bool is_url_text(struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f) {
            return false;
        }
    }
    return s.n > 0;
}

static struct cdn_str without_slash(struct cdn_str s)
{
    while (s.n && s.p[s.n - 1] == '/') {
        s.n--;
    }
    return s;
}

/* The path of an origin in its one form, for what comes behind it; owned; NULL: it is none. */
static char *path_of(struct cdn_str path)
{
    static const struct edge_query_policy none = {.mode = EDGE_QUERY_NONE};
    const struct edge_key_parts parts = {.host = CDN_STR("x"), .path = path};
    char into[EDGE_KEY_MAX];
    struct cdn_str key;
    if (edge_key_build(&parts, &none, into, sizeof(into), &key) != EDGE_KEY_OK) {
        return NULL;
    }
    return cdn_str_dup(without_slash(edge_key_target(key)));
}

/* "unix:/run/site.sock" or "unix:/run/site.sock:/path" */
static bool read_socket(struct edge_origin *o, struct cdn_str text)
{
    struct cdn_str path = cdn_str_sub(text, 5);
    struct cdn_str socket = cdn_str_cut(&path, ':');
    CDN_AUTOFREE char *base = path_of(path.p ? path : CDN_STR(""));
    if (!base || socket.n < 2 || socket.p[0] != '/' ||
        socket.n >= sizeof(((struct sockaddr_un *)NULL)->sun_path) || (path.n && path.p[0] != '/') ||
        cdn_str_find(path, '?') >= 0) {
        return false;
    }
    o->socket = cdn_str_dup(socket);
    o->base = cdn_asprintf("http://localhost%s", base);
    o->authority = cdn_strdup("localhost");
    return true;
}

static bool has_port_zero(struct cdn_str host)
{
    return host.n > 2 && host.p[host.n - 1] == '0' && host.p[host.n - 2] == ':';
}

static bool read_url(struct edge_origin *o, struct cdn_str url)
{
    struct edge_key_parts parts;
    struct cdn_str host;
    char room[EDGE_KEY_HOST_MAX];
    if (!edge_key_split(url, &parts) || !edge_key_host_write(parts.host, parts.secure, room, &host) ||
        parts.query.p || cdn_str_find(parts.host, '@') >= 0 || has_port_zero(host)) {
        return false;
    }
    CDN_AUTOFREE char *base = path_of(parts.path);
    if (!base) {
        return false;
    }
    o->base = cdn_asprintf("%s://" CDN_STR_FMT "%s", parts.secure ? "https" : "http", CDN_STR_ARG(parts.host),
                           base);
    o->authority = cdn_str_dup(parts.host);
    o->secure = parts.secure;
    return true;
}

static void free_origin(struct edge_origin *o)
{
    free(o->text);
    free(o->base);
    free(o->authority);
    free(o->socket);
    free(o->check.path);
    free(o->check.host);
    free(o);
}

static bool is_same(const struct edge_origin *a, const struct edge_origin *b)
{
    return strcmp(a->base, b->base) == 0 && !a->socket == !b->socket &&
           (!a->socket || strcmp(a->socket, b->socket) == 0);
}

enum cdn_status edge_origins_get(struct edge_origins *origins, struct cdn_str text, struct edge_origin **ret,
                                 struct cdn_error *err)
{
    for (struct edge_origin *o = atomic_load(&origins->first); o; o = o->next) {
        if (cdn_str_eq(cdn_str(o->text), text)) {
            *ret = o;
            return CDN_OK;
        }
    }
    struct edge_origin *o = cdn_calloc(1, sizeof(*o));
    const bool socket = cdn_str_starts(text, CDN_STR("unix:"));
    if (!is_url_text(text) || cdn_str_find(text, '#') >= 0 ||
        !(socket ? read_socket(o, text) : read_url(o, text))) {
        free_origin(o);
        return cdn_error_set(err, CDN_INVALID, "\"%.*s\" is not a URL such as %s",
                             (int)(text.n < 200 ? text.n : 200), text.p, LOOKS);
    }
    for (struct edge_origin *same = atomic_load(&origins->first); same; same = same->next) {
        if (is_same(same, o)) { /* in another spelling */
            free_origin(o);
            *ret = same;
            return CDN_OK;
        }
    }
    o->text = cdn_str_dup(text);
    o->check.path = cdn_strdup("");
    o->next = atomic_load(&origins->first);
    atomic_store(&origins->first, o);
    *ret = o;
    return CDN_OK;
}

void edge_origins_free(struct edge_origins *origins)
{
    for (struct edge_origin *o = atomic_load(&origins->first), *next; o; o = next) {
        next = o->next;
        free_origin(o);
    }
    atomic_store(&origins->first, NULL);
}

void edge_origin_check_set(struct edge_origin *o, const struct edge_health_check *check)
{
    char *path = cdn_strdup(check->path); /* which may be the one that is there */
    char *host = check->host ? cdn_strdup(check->host) : NULL;
    free(o->check.path);
    free(o->check.host);
    o->check = *check;
    o->check.path = path;
    o->check.host = host;
}

void edge_origin_checked(struct edge_origin *o, bool good)
{
    const unsigned up = o->check.up ? o->check.up : 1, down = o->check.down ? o->check.down : 1;
    o->checks_good = good ? o->checks_good + 1 : 0;
    o->checks_bad = good ? 0 : o->checks_bad + 1;
    if (o->checks_good >= up) {
        atomic_store(&o->sick, false);
    } else if (o->checks_bad >= down && o->check.path[0]) {
        atomic_store(&o->sick, true);
    }
}

bool edge_origin_is_well(const struct edge_origin *o)
{
    return !atomic_load_explicit(&o->sick, memory_order_relaxed) &&
           edge_breaker_state(&o->breaker) == EDGE_ORIGIN_UP;
}
