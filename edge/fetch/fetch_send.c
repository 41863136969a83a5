/* fetch_send: which origin, or which shield, is asked, and the request to it, for the first time or again
 * after one failed. The owner's thread. */
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/fetch/fetch.h"
#include "edge/fetch/fetch_private.h"
#include "edge/memory/budget.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/semantics/storable.h"
#include "edge/site/breaker.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/shield.h"
#include "edge/site/site.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static uint32_t bit(unsigned i)
{
    return UINT32_C(1) << i;
}

/* The first that does well and was not asked yet; or else the first that was not asked. -1: all were. */
static int next_origin(const struct edge_fetch *f)
{
    const struct edge_rule *rule = f->request.rule;
    int any = -1;
    for (unsigned i = 0; i < rule->origin_count; i++) {
        if (f->asked & bit(i)) {
            continue;
        }
        if (edge_origin_is_well(rule->origin[i])) {
            return (int)i;
        }
        any = any < 0 ? (int)i : any;
    }
    return any;
}

/* Another origin may be asked in place of this one when nothing of the answer was given on, and asking twice
 * is safe (RFC 9110 9.2.2), or nothing of the request can have arrived. */
bool edge_fetch_may_fail_over(const struct edge_fetch *f, bool arrived)
{
    const enum http_method m = f->request.about.method;
    const bool safe = (m == HTTP_GET || m == HTTP_HEAD || m == HTTP_OPTIONS || m == HTTP_QUERY) &&
                      (!f->request.has_body || f->request.body);
    const bool other = f->shielded || next_origin(f) >= 0;
    return other && !f->request.upgrade && !f->body_begun && (safe || !arrived);
}

void edge_fetch_fail_over(struct edge_fetch *f)
{
    cdn_metric_add(&f->owner->metrics.failover_total, 1);
    edge_fetch_send(f);
    edge_fetch_unref(f); /* the reference of the try before */
}

bool edge_fetch_has_ways(const struct edge_rule *rule)
{
    return rule->origin_count > 1 || edge_site_shields(rule);
}

/* The shield of this key, once: answers that are for one client alone would only pass through it. */
static struct edge_origin *next_shield(struct edge_fetch *f)
{
    const struct edge_site *site = f->request.rule->site;
    const bool may = edge_site_shields(f->request.rule) && !f->request.pass && !f->shield_tried;
    struct edge_origin *shield = may ? edge_shield_of(site, cdn_str(f->request.key)) : NULL;
    f->shield_tried = true;
    return shield && edge_origin_is_well(shield) ? shield : NULL;
}

static void set_url(struct edge_fetch *f)
{
    free(f->url);
    f->url = cdn_asprintf("%s%s", f->origin->base, f->request.path);
    atomic_fetch_add_explicit(&f->origin->requests, 1, memory_order_relaxed);
}

static void choose_origin(struct edge_fetch *f)
{
    const struct edge_rule *rule = f->request.rule;
    struct edge_origin *shield = next_shield(f);
    if (shield || (f->shielded && f->asked == UINT32_MAX)) { /* the latter: again, without conditions */
        f->shielded = true;
        f->origin = shield ? shield : f->origin;
        set_url(f);
        return;
    }
    f->shielded = false;
    const int next = next_origin(f);
    const unsigned i = next < 0 ? 0 : (unsigned)next; /* asked again without conditions: by the same */
    if (next >= 0 || !f->origin) {
        f->origin = rule->origin[i];
        f->asked |= bit(i);
    }
    set_url(f);
}

/* An origin known to be away is not waited for: what is stale is served at once. A refresh that nobody waits
 * for has its own pauses. */
static int64_t retry_ms(const struct edge_fetch *f)
{
    const bool worth = !f->request.background && edge_breaker_state(&f->origin->breaker) == EDGE_ORIGIN_UP &&
                       next_origin(f) < 0;
    return worth ? f->owner->edge->settings.origin_retry : 0;
}

/* The fields, and those that differ by who is asked. `room`: the caller's, of two more. */
static const struct http_field *fields_for(const struct edge_fetch *f, struct http_field *room,
                                           size_t *ret_count)
{
    const struct edge_fields *all = &f->request.fields;
    struct cdn_str host = f->request.host ? cdn_str(f->request.host) : cdn_str(f->origin->authority);
    *ret_count = all->count;
    if (!room) {
        return all->item;
    }
    memcpy(room, all->item, all->count * sizeof(*room));
    if (f->shielded) {
        host = edge_key_host(cdn_str(f->request.key));
        room[(*ret_count)++] =
            (struct http_field){CDN_STR(EDGE_SHIELD_FOR), cdn_str(f->owner->edge->settings.name)};
    }
    room[(*ret_count)++] = (struct http_field){CDN_STR("Host"), host};
    return room;
}

void edge_fetch_send(struct edge_fetch *f)
{
    struct edge_worker *w = f->owner;
    f->request_ms = loop_now_ms(w->loop);
    f->request.body_at = 0;
    choose_origin(f);
    CDN_AUTOFREE struct http_field *room = edge_fetch_has_ways(f->request.rule)
                                               ? cdn_malloc((f->request.fields.count + 2) * sizeof(*room))
                                               : NULL;
    size_t count;
    const struct http_field *fields = fields_for(f, room, &count);
    struct http_fetch_request r = {
        .method = f->request.method,
        .url = f->url,
        .unix_socket = f->origin->socket,
        .fields = fields,
        .field_count = count,
        .has_body = f->request.has_body,
        .body_length = f->request.body_length,
        .expect_continue = f->request.expect_continue,
        .read_body = f->request.read_body,
        .handler = &edge_fetch_handler,
        .arg = f,
        .retry_ms = retry_ms(f),
    };
    edge_budget_others(f->charged ? 0 : EDGE_BUDGET_FETCH);
    f->charged = true;
    edge_fetch_ref(f); /* until on_end or edge_fetch_end_early */
    cdn_metric_add(&w->metrics.origin_request_total, 1);
    f->http = http_fetch_start(f->request.upgrade ? w->upgrades : w->client, &r);
}
