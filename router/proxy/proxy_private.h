/* proxy_private: the exchange, and what the files of this room call of each other: proxy.c -> attempt.c ->
 * outgoing.c and resume.c, and respond.c, which both of the first two call. For nobody else.
 */
#ifndef CDN_ROUTER_PROXY_PRIVATE_H
#define CDN_ROUTER_PROXY_PRIVATE_H
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/str.h"
#include "router/base/proxy_settings.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/proxy/proxy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_WINDOW ((size_t)128 * 1024) /* of a body on its way, in each direction */
#define ROUTER_HELD ((size_t)64 * 1024)    /* answers up to this are held until they are whole */

CDN_METRICS_STRUCT(router_proxy_metrics, ROUTER_PROXY_METRICS);

enum router_exchange_state {
    ROUTER_ASKING,   /* no head yet */
    ROUTER_ANSWERED, /* the head is here */
    ROUTER_FAILED,   /* ours is the answer: `status` and `problem` */
};

struct router_exchange {
    enum router_mode mode; /* first: what kind of thing a request carries (server.c) */
    struct router_proxy *proxy;
    struct router_exchange *next, *previous; /* open ones; spare ones by next */
    struct http_request *http;               /* NULL: it is over */
    struct router_table *table;              /* counted */
    /* whom to ask */
    struct router_question question;
    struct cdn_buf pin;
    struct router_brief decision;
    uint16_t tried[ROUTER_TRIES_MAX]; /* the last one is being asked */
    enum http_fetch_error errors[ROUTER_TRIES_MAX];
    unsigned tries;
    struct http_fetch *fetch;
    bool safe;
    /* the request's body */
    struct cdn_buf upload;
    size_t upload_at;
    uint64_t uploaded;
    bool sends_body;
    bool upload_done;
    bool upload_full; /* libmicrohttpd was told to wait */
    bool body_taken;  /* some of it went to libcurl */
    bool holding;     /* the client waits for 100 Continue */
    /* the answer */
    enum router_exchange_state state;
    unsigned status;
    int64_t length; /* of the body; -1: unknown */
    struct http_head head;
    struct cdn_buf problem;
    struct cdn_buf down;
    size_t down_at;
    bool whole;  /* held until it is whole */
    bool ended;  /* nothing more comes */
    bool broken; /* it ended too early */
    bool paused;
    uint64_t received;   /* of the body */
    struct cdn_buf etag; /* by which another edge can go on with it; empty: none can */
    bool resuming;       /* one is asked to */
    struct http_stream *stream;
    bool upgrading;
    struct http_tunnel *tunnel;
};

struct router_proxy {
    _Alignas(64) struct router_proxy_metrics metrics;
    struct loop *loop;
    struct http_client *client, *upgrades;
    struct router_proxy_hooks hooks;
    char *name;    /* in Via and Proxy-Status */
    char *loop_id; /* in CDN-Loop */
    int64_t upgrade_idle_ms;
    unsigned exchange_max, exchange_count;
    unsigned tunnel_max, tunnel_count;
    struct router_exchange *open, *spare;
    unsigned spare_count;
    struct loop_timer look; /* for edges that fall sick while they are asked */
    uint64_t *among;        /* scratch, like the rest */
    size_t among_words;
    struct cdn_buf url, text;
    struct http_field *fields;
    size_t field_count, field_room;
};

/* ---- attempt.c ---- */
/* Asks the next edge, or fails the exchange. */
void router_attempt_next(struct router_exchange *x);
void router_attempt_leave(struct router_exchange *x); /* the fetch, if there is one */
void router_attempt_body_ready(struct router_exchange *x);
/* Leaves an edge that has fallen sick for another one that can serve. */
void router_attempt_reconsider(struct router_exchange *x);
/* The client's side has to look again: its answer, its stream or its tunnel. */
void router_exchange_wake(struct router_exchange *x);
void router_exchange_fail(struct router_exchange *x, unsigned status, const char *why);

/* ---- outgoing.c ---- */
/* Fills proxy->fields, valid until the request's end or the next call. */
void router_outgoing_fields(struct router_exchange *x);
bool router_outgoing_is_loop(const struct router_proxy *proxy, struct http_request *req);

/* ---- respond.c ---- */
void router_respond_take_head(struct router_exchange *x, const struct http_fetch_head *head);
bool router_respond_take_data(struct router_exchange *x, const char *data, size_t n); /* false: later */
void router_respond(struct router_exchange *x); /* inside ready() or held() */

/* ---- resume.c ---- */
void router_resume_note(struct router_exchange *x, const struct http_fetch_head *head);
bool router_resume_may(const struct router_exchange *x, enum http_fetch_error error);
bool router_resume_fits(const struct router_exchange *x, const struct http_fetch_head *head);

/* ---- proxy.c ---- */
void router_exchange_release(struct router_exchange *x); /* if nothing holds it any more */

#endif
