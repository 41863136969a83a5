/* dns_feed: how a new zone gets from the control thread to one that answers: one atomic pointer, no lock. The
 * thread looks at it before each batch of messages, so that what is published counts from the next query on.
 */
#ifndef CDN_ROUTER_DNS_FEED_H
#define CDN_ROUTER_DNS_FEED_H
#include "router/dns/dns_zone.h"

#include <stdatomic.h>
#include <stddef.h>

struct dns_feed {
    _Atomic(struct dns_zone *) next; /* published and not taken yet; a reference */
    struct dns_zone *zone;           /* the thread's own */
};

static inline void dns_feed_publish(struct dns_feed *feed, struct dns_zone *zone)
{
    dns_zone_unref(atomic_exchange_explicit(&feed->next, dns_zone_ref(zone), memory_order_acq_rel));
}

static inline const struct dns_zone *dns_feed_zone(struct dns_feed *feed)
{
    if (atomic_load_explicit(&feed->next, memory_order_relaxed)) {
        struct dns_zone *next = atomic_exchange_explicit(&feed->next, NULL, memory_order_acq_rel);
        dns_zone_unref(feed->zone);
        feed->zone = next;
    }
    return feed->zone;
}

static inline void dns_feed_fini(struct dns_feed *feed) /* when the thread is gone */
{
    dns_zone_unref(atomic_exchange_explicit(&feed->next, NULL, memory_order_acq_rel));
    dns_zone_unref(feed->zone);
    feed->zone = NULL;
}

#endif
