/* network: one request each to the admin listener of pocketcdn-wan. What can be wrong is said here in the
 * words of who typed it (a place that is none, a CDN without a network), since the way out is a command of
 * ours. */
#include "cli/travel/network.h"

#include "cli/run/control.h"
#include "common/http/syntax/http_percent.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/places.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/banned.h"

json_t *network_of(const json_t *cdn)
{
    json_t *node;
    size_t i;
    json_array_foreach(json_object_get(cdn, "nodes"), i,
                       node) if (strcmp(control_text(node, "kind"), "wan") == 0)
    {
        return node;
    }
    return NULL;
}

enum cdn_status network_open(const struct control_where *where, json_t **ret_cdn, json_t **ret_wan,
                             struct cdn_error *err)
{
    struct cdn_error why;
    enum cdn_status status = control_open(where, ret_cdn, &why);
    if (status == CDN_NOT_FOUND) {
        struct cdn_str rest = cdn_str(why.text), first = cdn_str_cut(&rest, ';');
        return cdn_error_set(err, status, CDN_STR_FMT "; `pocketcdn up --wan` starts one",
                             CDN_STR_ARG(first));
    }
    if (status != CDN_OK) {
        return cdn_error_set(err, status, "%s", why.text);
    }
    *ret_wan = network_of(*ret_cdn);
    if (*ret_wan) {
        return CDN_OK;
    }
    json_decref(CDN_TAKE(*ret_cdn));
    return cdn_error_set(err, CDN_NOT_FOUND,
                         "the CDN here runs without the network between the places: stop it with `pocketcdn "
                         "down`, and start it with `pocketcdn up --wan`");
}

static bool is_node(const json_t *cdn, const char *name)
{
    json_t *node;
    size_t i;
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (strcmp(control_text(node, "name"), name) == 0 && strcmp(control_text(node, "kind"), "wan") != 0) {
            return true;
        }
    }
    return false;
}

enum cdn_status network_listener(const json_t *cdn, const json_t *wan, const char *place, const char *profile,
                                 char **ret_proxy, struct cdn_error *err)
{
    struct geo_place found;
    json_t *answer;
    enum cdn_status status = is_node(cdn, place) ? CDN_OK : geo_place_find(cdn_str(place), &found, err);
    if (status != CDN_OK) {
        return status;
    }
    json_t *body = json_pack("{s:s}", "place", place);
    if (profile) {
        json_object_set_new(body, "profile", json_string(profile));
    }
    status = control_ask(wan, "POST", "/listeners", body, &answer, err);
    json_decref(body);
    if (status != CDN_OK) {
        return status;
    }
    const char *proxy = control_text(answer, "proxy");
    if (proxy[0]) {
        *ret_proxy = cdn_strdup(proxy);
    } else {
        status = cdn_error_set(err, CDN_INTERNAL, "%s/listeners names no proxy", control_text(wan, "admin"));
    }
    json_decref(answer);
    return status;
}

char *network_profile(const json_t *wan, const char *proxy)
{
    struct cdn_error none;
    json_t *answer, *listener;
    char *profile = NULL;
    size_t i;
    if (control_ask(wan, "GET", "/listeners", NULL, &answer, &none) != CDN_OK) {
        return cdn_strdup("");
    }
    json_array_foreach(json_object_get(answer, "listeners"), i, listener)
    {
        if (!profile && strcmp(control_text(listener, "proxy"), proxy) == 0) {
            profile = cdn_strdup(control_text(listener, "profile"));
        }
    }
    json_decref(answer);
    return profile ? profile : cdn_strdup("");
}

static void add_parameter(struct cdn_buf *path, const char *name, const char *value)
{
    cdn_buf_printf(path, "%c%s=", strchr(path->p, '?') ? '&' : '?', name);
    http_percent_encode(cdn_str(value), http_percent_is_unreserved, path);
}

enum cdn_status network_path(const json_t *wan, const char *from, const char *to, const char *profile,
                             json_t **ret, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf path = {0};
    cdn_buf_add_str(&path, CDN_STR("/path"));
    add_parameter(&path, "from", from);
    add_parameter(&path, "to", to);
    if (profile) {
        add_parameter(&path, "profile", profile);
    }
    return control_ask(wan, "GET", path.p, NULL, ret, err);
}
