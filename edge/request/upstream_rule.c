/* upstream_rule: a field that the rule speaks of has one value, whoever asks for it: the request to the
 * origin, and the key of a variant that Vary or the rule itself makes of it. */
#include "edge/request/upstream_rule.h"

#include "common/config/config.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/fetch/fetch.h"
#include "edge/geo/client_db.h"
#include "edge/geo/client_place.h"
#include "edge/request/txn.h"
#include "edge/site/device.h"
#include "edge/site/guard.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"
#include "edge/site/target.h"

#include <stdbool.h>
#include <stdio.h>

#include "common/banned.h"

static bool is_cookie(struct cdn_str name)
{
    return cdn_str_eq_nocase(name, CDN_STR("Cookie"));
}

static bool is_device(struct cdn_str name)
{
    return cdn_str_eq_nocase(name, CDN_STR("CDN-Device"));
}

static const struct cdn_config_entry *entry_of(const struct cdn_config_list *list, struct cdn_str name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (cdn_str_eq_nocase(cdn_str(list->items[i].key), name)) {
            return &list->items[i];
        }
    }
    return NULL;
}

bool edge_upstream_rule_has(const struct edge_txn *t, struct cdn_str name)
{
    const struct edge_rule *rule = t->target.rule;
    return (rule->rewrites_cookies && is_cookie(name)) || edge_place_is_ours(name, NULL) ||
           (rule->settings.key_device && is_device(name)) ||
           (rule->changes_request &&
            (entry_of(&rule->settings.request_set, name) || entry_of(&rule->settings.request_remove, name)));
}

static bool write_cookies(const struct edge_txn *t, struct cdn_buf *into)
{
    CDN_AUTOBUF struct cdn_buf sent = {0};
    const size_t before = into->n;
    edge_txn_cookies(t, &sent);
    edge_rule_cookies(t->target.rule, cdn_buf_str(&sent), into);
    return into->n > before;
}

struct device {
    struct cdn_str agent, mobile;
};

static bool read_device(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct device *d = arg;
    if (cdn_str_eq_nocase(name, CDN_STR("User-Agent"))) {
        d->agent = value;
    } else if (cdn_str_eq_nocase(name, CDN_STR("Sec-CH-UA-Mobile"))) {
        d->mobile = value;
    }
    return true;
}

static struct cdn_str device_of(const struct edge_txn *t)
{
    struct device d = {0};
    http_request_each_field(t->http, read_device, &d);
    return edge_device_class(d.agent, d.mobile);
}

static bool write_place(const struct edge_txn *t, enum edge_place_field field, struct cdn_buf *into)
{
    struct cdn_addr client;
    http_forwarded_client(t->http, &t->tuning->trust, &client);
    return edge_place_write(t->tuning->places.db, &client, field, into);
}

bool edge_upstream_rule_get(const struct edge_txn *t, struct cdn_str name, struct cdn_buf *into)
{
    const struct edge_rule *rule = t->target.rule;
    const struct cdn_config_entry *set = entry_of(&rule->settings.request_set, name);
    if (set) {
        cdn_buf_add_str(into, cdn_str(set->value));
        return true;
    }
    if (rule->settings.key_device && is_device(name)) {
        cdn_buf_add_str(into, device_of(t));
        return true;
    }
    enum edge_place_field field;
    if (edge_place_is_ours(name, &field)) {
        return field < EDGE_PLACE_FIELD_COUNT && (rule->guard.place_fields >> field & 1) &&
               write_place(t, field, into);
    }
    return is_cookie(name) && !entry_of(&rule->settings.request_remove, name) && write_cookies(t, into);
}

void edge_upstream_rule_add(const struct edge_txn *t, struct edge_fields *f)
{
    const struct edge_rule *rule = t->target.rule;
    CDN_AUTOBUF struct cdn_buf text = {0};
    if (rule->rewrites_cookies && !entry_of(&rule->settings.request_set, CDN_STR("Cookie")) &&
        edge_upstream_rule_get(t, CDN_STR("Cookie"), &text)) {
        edge_fields_add(f, CDN_STR("Cookie"), cdn_buf_str(&text));
    }
    if (rule->settings.key_device) {
        edge_fields_add(f, CDN_STR("CDN-Device"), device_of(t));
    }
    for (unsigned i = 0; i < EDGE_PLACE_FIELD_COUNT && rule->guard.place_fields >> i; i++) {
        const struct cdn_str name = edge_place_field_name((enum edge_place_field)i);
        cdn_buf_clear(&text);
        if (!entry_of(&rule->settings.request_set, name) && edge_upstream_rule_get(t, name, &text)) {
            edge_fields_add(f, name, cdn_buf_str(&text));
        }
    }
    const struct cdn_config_list *lists[] = {&rule->settings.request_set, &rule->settings.request_add};
    for (size_t k = 0; k < CDN_ARRAY_LEN(lists); k++) {
        for (size_t i = 0; i < lists[k]->n; i++) {
            edge_fields_add(f, cdn_str(lists[k]->items[i].key), cdn_str(lists[k]->items[i].value));
        }
    }
}

bool edge_upstream_rule_cookie(const struct edge_txn *t, struct cdn_str name, struct cdn_buf *into)
{
    CDN_AUTOBUF struct cdn_buf cookies = {0};
    struct cdn_str value;
    if (!write_cookies(t, &cookies) || !edge_rule_cookie_find(cdn_buf_str(&cookies), name, &value)) {
        return false;
    }
    cdn_buf_add_str(into, value);
    return true;
}
