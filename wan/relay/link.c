/* link: the text of a link is KEY=VALUE pairs, as a mapping in cdn.yaml is handed over, too; a piece without
 * '=' belongs to the value before it, because places have commas. */
#include "wan/relay/link.h"

#include "common/mem.h"
#include "common/str.h"
#include "wan/path/profile.h"
#include "wan/relay/world.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define RTT_MAX_MS 60000

#define WAN_LINK_KEYS(X) X(listen) X(to) X(from) X(place) X(profile) X(rtt) X(udp)

struct words { /* the values, as they were given; NULL: not at all */
#define X(name) char *name;
    WAN_LINK_KEYS(X)
#undef X
};

static const struct {
    const char *name;
    size_t offset;
} keys[] = {
#define X(name) {#name, offsetof(struct words, name)},
    WAN_LINK_KEYS(X)
#undef X
};

static void words_free(struct words *w)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(keys); i++) {
        free(*(char **)((char *)w + keys[i].offset));
    }
}

static struct cdn_str pair_cut(struct cdn_str *rest)
{
    struct cdn_str pair = cdn_str_cut(rest, ',');
    while (rest->p) {
        struct cdn_str after = *rest, piece = cdn_str_cut(&after, ',');
        if (cdn_str_find(piece, '=') >= 0) {
            break;
        }
        pair.n += 1 + piece.n;
        *rest = after;
    }
    return pair;
}

static enum cdn_status words_read(const struct cdn_config_entry *entry, struct words *ret,
                                  struct cdn_error *err)
{
    struct cdn_str text = cdn_str(entry->key);
    while (text.p) {
        struct cdn_str value = pair_cut(&text), key = cdn_str_trim(cdn_str_cut(&value, '='));
        size_t i = 0;
        while (i < CDN_ARRAY_LEN(keys) && !cdn_str_eq(key, cdn_str(keys[i].name))) {
            i++;
        }
        if (i == CDN_ARRAY_LEN(keys) || !value.p) {
            return cdn_error_set(err, CDN_INVALID,
                                 "%s: links: '" CDN_STR_FMT "' is not one of listen=, to=, from=, place=, "
                                 "profile=, rtt=, udp=",
                                 entry->origin, CDN_STR_ARG(key));
        }
        char **field = (char **)((char *)ret + keys[i].offset);
        if (*field) {
            return cdn_error_set(err, CDN_INVALID, "%s: links: %s= is there twice", entry->origin,
                                 keys[i].name);
        }
        *field = cdn_str_dup(cdn_str_trim(value));
    }
    return CDN_OK;
}

static enum cdn_status read_target(const struct wan_who *who, const struct words *w, struct wan_link *link,
                                   struct cdn_error *err)
{
    const struct wan_node *node = w->to ? wan_world_node(who->world, cdn_str(w->to)) : NULL;
    if (node) {
        link->node = node;
        link->target = node->listen;
    } else if (!w->to || !cdn_parse_host_port(cdn_str(w->to), &link->target) ||
               !cdn_addr_port(&link->target)) {
        return cdn_error_set(err, CDN_INVALID, "to: '%s' is neither HOST:PORT nor a node",
                             w->to ? w->to : "");
    } else {
        link->node = wan_world_at(who->world, &link->target);
    }
    if (link->target.sa.sa_family == AF_UNSPEC) {
        return cdn_error_set(err, CDN_INVALID, "to: no address is known of %s", w->to);
    }
    const char *place = w->place ? w->place : link->node ? link->node->end.place : "";
    enum cdn_status status = wan_end_init(&link->end, link->node ? link->node->end.name : w->to, place, err);
    return status == CDN_OK ? status : cdn_error_prefix(err, "place");
}

static enum cdn_status read_client(const struct wan_who *who, const struct words *w, struct wan_link *link,
                                   struct cdn_error *err)
{
    if (w->from) {
        enum cdn_status status =
            wan_client_create(who, w->from, w->profile ? w->profile : "", &link->client, err);
        if (status != CDN_OK) {
            return cdn_error_prefix(err, "from");
        }
        if (!w->profile) {
            link->client->profile = NULL; /* the place itself: no last mile unless one is named */
        }
    } else {
        link->client = cdn_calloc(1, sizeof(*link->client));
        link->client->owners = 1;
        link->client->end = &link->client->own;
        link->client->profile = w->profile ? wan_profile_find(cdn_str(w->profile)) : NULL;
        if (w->profile && !link->client->profile) {
            return cdn_error_set(err, CDN_INVALID, "profile: no profile '%s' is known", w->profile);
        }
        (void)!wan_end_init(&link->client->own, "anybody", "", err);
    }
    link->client->shares = true;
    return CDN_OK;
}

static enum cdn_status read_rest(const struct words *w, struct wan_link *link, struct cdn_error *err)
{
    int64_t ms;
    if (!w->listen || !cdn_parse_host_port(cdn_str(w->listen), &link->listen)) {
        return cdn_error_set(err, CDN_INVALID, "listen: '%s' is not HOST:PORT", w->listen ? w->listen : "");
    }
    if (!cdn_addr_is_loopback(&link->listen)) {
        return cdn_error_set(err, CDN_INVALID, "listen: %s is not on loopback", w->listen);
    }
    if (w->rtt) {
        if (!cdn_parse_duration_ms(cdn_str(w->rtt), &ms) || ms < 0 || ms > RTT_MAX_MS) {
            return cdn_error_set(err, CDN_INVALID, "rtt: '%s' is not a time up to 1m, such as 50ms", w->rtt);
        }
        link->rtt_ns = ms * NS_PER_MS;
    }
    if (w->udp && !cdn_parse_bool(cdn_str(w->udp), &link->udp)) {
        return cdn_error_set(err, CDN_INVALID, "udp: '%s' is neither yes nor no", w->udp);
    }
    return CDN_OK;
}

enum cdn_status wan_link_read(const struct wan_who *who, const struct cdn_config_entry *entry,
                              struct wan_link *ret, struct cdn_error *err)
{
    struct words w = {0};
    struct wan_link link = {.rtt_ns = -1};
    struct cdn_error why;
    enum cdn_status status = words_read(entry, &w, err);
    if (status != CDN_OK) {
        words_free(&w);
        return status;
    }
    status = read_target(who, &w, &link, &why);
    if (status == CDN_OK) {
        status = read_client(who, &w, &link, &why);
    }
    if (status == CDN_OK) {
        status = read_rest(&w, &link, &why);
    }
    words_free(&w);
    if (status != CDN_OK) {
        wan_link_free(&link);
        return cdn_error_set(err, CDN_INVALID, "%s: links: %s", entry->origin, why.text);
    }
    *ret = link;
    return CDN_OK;
}

void wan_link_free(struct wan_link *link)
{
    wan_client_unref(link->client);
    wan_end_fini(&link->end);
    *link = (struct wan_link){0};
}
