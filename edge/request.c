/* request: the life of a request, one function per state.
 *
 *   ready -> (hot table) | begin -> lookup -> deliver | wait for a fetch -> deliver
 *                           |-> pass (other methods, loops, PURGE)
 */
#include "edge/txn.h"

#include "common/http_field.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/purge.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/banned.h"

/* Bytes of a request's body that wait here for the origin. */
#define UPLOAD_ROOM ((size_t)128 * 1024)
/* How often a request looks again because the disk, or a fetch it joined, did not keep its promise. */
#define MAX_TRIES 4u

/* ---- transactions ---- */

static struct edge_txn *txn_new(struct edge_worker *w, struct http_request *req)
{
    struct edge_txn *t = w->free_txn;
    if (t) {
        w->free_txn = t->next;
    } else {
        t = cdn_calloc(1, sizeof *t);
    }
    t->next = NULL;
    t->worker = w;
    t->http = req;
    t->now_ms = loop_now_ms(w->loop);
    req->app = t;
    return t;
}

void edge_txn_leave_fetch(struct edge_txn *t)
{
    if (t->fetch) {
        if (t->reader.joined) {
            edge_body_leave(t->fetch->body, &t->reader);
        }
        edge_fetch_leave(CDN_TAKE(t->fetch), t->worker, t);
    }
}

static void discard(struct edge_txn *t)
{
    struct edge_worker *w = t->worker;
    edge_txn_leave_fetch(t);
    edge_cache_release(w->edge->cache, &t->hold);
    if (t->entry) {
        edge_cache_leave(w->edge->cache, t->entry);
    }
    edge_part_discard(t);
    edge_blob_unref(t->blob);
    struct cdn_buf key = t->key;
    struct cdn_buf text = t->text;
    cdn_buf_free(&t->upload);
    cdn_buf_clear(&key);
    cdn_buf_clear(&text);
    memset(t, 0, sizeof *t);
    t->key = key;
    t->text = text;
    t->next = w->free_txn;
    w->free_txn = t;
}

bool edge_txn_release(struct edge_txn *t)
{
    if (!t->over || t->stream || t->disk_pending) {
        return false;
    }
    discard(t);
    return true;
}

/* Waits for someone who will call http_request_resume; `step` comes next. */
void edge_txn_wait(struct edge_txn *t, void (*step)(struct edge_txn *))
{
    t->step = step;
    http_request_suspend(t->http);
}

void edge_txn_fetch_moved(struct edge_txn *t)
{
    if (t->stream) {
        http_stream_resume(t->stream);
    } else {
        http_request_resume(t->http);
    }
}

struct collecting {
    struct cdn_str name;
    struct cdn_buf *into;
    bool any;
};

static bool collect(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct collecting *c = arg;
    if (cdn_str_eq_nocase(name, c->name)) {
        if (c->any) {
            cdn_buf_add(c->into, ", ", 2);
        }
        c->any = true;
        cdn_buf_add_str(c->into, value);
    }
    return true;
}

bool edge_txn_vary_get(void *txn, struct cdn_str name, struct cdn_buf *into)
{
    struct edge_txn *t = txn;
    struct collecting c = {.name = name, .into = into};
    http_request_each_field(t->http, collect, &c);
    return c.any;
}

/* ---- begin ---- */

static struct cdn_str joined_field(struct edge_txn *t, enum http_request_field field, size_t *ret_at)
{
    *ret_at = t->text.n;
    if (!t->http->field_lines[field]) {
        return (struct cdn_str){0};
    }
    http_request_joined(t->http, field, &t->text);
    return (struct cdn_str){(const char *)1,
                            t->text.n - *ret_at}; /* `p` follows when the buffer is complete */
}

/* Fields of several lines joined, in one buffer; slices are set once it does not grow any more. */
static void read_conditions(struct edge_txn *t)
{
    static const enum http_request_field ids[] = {
        HTTP_REQ_IF_MATCH, HTTP_REQ_IF_NONE_MATCH, HTTP_REQ_IF_MODIFIED_SINCE, HTTP_REQ_IF_UNMODIFIED_SINCE,
        HTTP_REQ_IF_RANGE, HTTP_REQ_RANGE,         HTTP_REQ_CACHE_CONTROL,     HTTP_REQ_PRAGMA};
    struct cdn_str cache_control = {0};
    struct cdn_str pragma = {0};
    struct cdn_str *to[] = {&t->conditions.if_match,
                            &t->conditions.if_none_match,
                            &t->conditions.if_modified_since,
                            &t->conditions.if_unmodified_since,
                            &t->conditions.if_range,
                            &t->conditions.range,
                            &cache_control,
                            &pragma};
    size_t at[CDN_ARRAY_LEN(ids)];
    cdn_buf_clear(&t->text);
    for (size_t i = 0; i < CDN_ARRAY_LEN(ids); i++) {
        *to[i] = joined_field(t, ids[i], &at[i]);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(ids); i++) {
        if (to[i]->p) {
            to[i]->p = t->text.p ? t->text.p + at[i] : "";
        }
    }
    edge_request_control_read(cache_control, pragma, &t->control);
}

static bool names_this_machine(const struct edge *edge, struct cdn_str host)
{
    struct cdn_addr addr;
    struct cdn_str name = host;
    ptrdiff_t colon = host.n && host.p[0] != '[' ? cdn_str_find(host, ':') : -1;
    if (colon >= 0) {
        name.n = (size_t)colon;
    }
    if (cdn_str_eq_nocase(name, CDN_STR("localhost")) ||
        cdn_str_eq_nocase(host, cdn_str(edge->settings.listen))) {
        return true;
    }
    return (cdn_parse_host_port(host, &addr) || cdn_parse_ip(name, &addr)) && cdn_addr_is_loopback(&addr);
}

/* Requests that name the machine itself (by a loopback address or the listener's) mean the one site behind
 * this edge. */
struct cdn_str edge_key_host_of(const struct edge *edge, struct cdn_str host)
{
    return !host.n || names_this_machine(edge, host) ? cdn_str(edge->site) : host;
}

static enum edge_key_error build_key(struct edge_txn *t)
{
    struct edge *edge = t->worker->edge;
    struct edge_key_parts parts = {.secure = t->http->secure,
                                   .host = edge_key_host_of(edge, t->http->host),
                                   .path = t->http->path,
                                   .query = t->http->query};
    struct cdn_str key;
    cdn_buf_clear(&t->key);
    cdn_buf_reserve(&t->key, EDGE_KEY_MAX);
    enum edge_key_error e = edge_key_build(&parts, &edge->query, t->key.p, EDGE_KEY_MAX, &key);
    if (e == EDGE_KEY_OK) {
        if (key.p != t->key.p) {
            memmove(t->key.p, key.p, key.n);
        }
        t->key.n = key.n;
        t->key.p[key.n] = '\0';
        struct cdn_str digits;
        t->hashed = edge_key_hashed(cdn_buf_str(&t->key), &digits);
    }
    return e;
}

static bool is_loop(struct edge_txn *t)
{
    CDN_AUTOBUF struct cdn_buf value = {0};
    return http_request_joined(t->http, HTTP_REQ_CDN_LOOP, &value) &&
           http_cdn_loop_has(cdn_buf_str(&value), cdn_str(t->worker->edge->loop_id));
}

static bool is_cached_method(const struct edge_txn *t)
{
    return t->http->method == HTTP_GET || t->http->method == HTTP_HEAD;
}

static void wait_fetch(struct edge_txn *t);

/* What is answered without cache or origin; true when it was. */
static bool answer_at_once(struct edge_txn *t)
{
    struct http_request *req = t->http;
    uint32_t hops;
    if (is_loop(t)) {
        edge_deliver_error(t, 508, "the request came back to this edge (CDN-Loop)");
    } else if (req->method == HTTP_TRACE) {
        edge_deliver_error(t, 405, "TRACE is not answered");
    } else if (req->method == HTTP_PURGE) {
        edge_purge_request(t);
    } else if (req->method == HTTP_OPTIONS && req->field[HTTP_REQ_MAX_FORWARDS].p &&
               http_max_forwards_parse(req->field[HTTP_REQ_MAX_FORWARDS], &hops) && hops == 0) {
        static const char *const allow[] = {"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", NULL};
        http_respond_text(req, 204, "text/plain", CDN_STR(""), allow);
    } else {
        return false;
    }
    return true;
}

static void begin(struct edge_txn *t)
{
    enum edge_key_error e = build_key(t);
    if (e != EDGE_KEY_OK) {
        edge_deliver_error(t, edge_key_error_status(e), edge_key_error_text(e));
        return;
    }
    read_conditions(t);
    if (answer_at_once(t)) {
        return;
    }
    if (!is_cached_method(t)) {
        edge_txn_pass(t, EDGE_CAUSE_BYPASS_METHOD);
    } else if (http_cc_has(&t->control.cc, HTTP_CC_NO_STORE) &&
               edge_tuning_now(t->worker->edge)->rules.honour_request) {
        edge_txn_pass(t, EDGE_CAUSE_BYPASS_REQUEST);
    } else {
        edge_request_lookup(t);
    }
}

/* ---- look-up ---- */

static enum edge_cause cause_of(enum edge_reuse reuse)
{
    switch (reuse) {
    case EDGE_REUSE_VALIDATE_NO_CACHE:
        return EDGE_CAUSE_VALIDATION;
    case EDGE_REUSE_VALIDATE_REQUEST:
        return EDGE_CAUSE_BYPASS_REQUEST;
    case EDGE_REUSE_VALIDATE_UNSYNCED:
        return EDGE_CAUSE_UNSYNCED;
    case EDGE_REUSE_FRESH:
        return EDGE_CAUSE_NONE;
    case EDGE_REUSE_STALE_REVALIDATE:
    case EDGE_REUSE_STALE_ERROR:
    case EDGE_REUSE_STALE_ALLOWED:
    case EDGE_REUSE_VALIDATE_EXPIRED:
    case EDGE_REUSE_COUNT:
        break;
    }
    return EDGE_CAUSE_EXPIRED;
}

/* Stored responses worth asking about: the selected one first, then the other variants. */
static void add_candidates(struct edge_txn *t, struct edge_fetch_request *r)
{
    if (t->hold.object && edge_cache_hold_locked(t->hold.object, &r->candidate[0])) {
        r->candidate_count = 1;
    }
    for (struct edge_object *o = t->entry->objects; o && r->candidate_count < EDGE_FETCH_CANDIDATES;
         o = o->next) {
        const struct edge_rep *rep = atomic_load(&o->rep);
        if (o != t->hold.object && rep->whole < 0 && edge_head_count(rep->head, EDGE_HEAD_ETAG) &&
            edge_cache_hold_locked(o, &r->candidate[r->candidate_count])) {
            r->candidate_count++;
        }
    }
}

struct edge_fetch *edge_txn_new_fetch_locked(struct edge_txn *t, struct edge_fetch_request *r,
                                             bool background)
{
    struct edge_cache *cache = t->worker->edge->cache;
    edge_upstream_request(t, false, background, r);
    t->entry->refs++;
    struct edge_fetch *f = edge_fetch_create(t->worker, t->entry, &t->control, r);
    f->purge_number = edge_cache_purge_number_locked(cache);
    if (t->entry->objects) { /* Vary as it was last */
        const struct edge_rep *rep = atomic_load(&t->entry->objects->rep);
        CDN_AUTOBUF struct cdn_buf variant = {0};
        edge_vary_key(edge_rep_spec(rep), &(struct edge_vary_source){edge_txn_vary_get, t}, &variant);
        f->expected_spec = cdn_str_dup(edge_rep_spec(rep));
        f->expected_variant = cdn_str_dup(cdn_buf_str(&variant));
    }
    edge_fetch_list_locked(f);
    return f;
}

static struct edge_fetch *new_fetch_locked(struct edge_txn *t, bool background)
{
    struct edge_fetch_request r = {0};
    add_candidates(t, &r);
    return edge_txn_new_fetch_locked(t, &r, background);
}

static void refresh_behind_locked(struct edge_txn *t, struct edge_fetch **ret_start)
{
    struct edge_vary_source source = {edge_txn_vary_get, t};
    if (!edge_fetch_find_locked(t->entry, &source)) {
        *ret_start = new_fetch_locked(t, true);
    }
}

static void found_on_disk(void *arg) /* loop thread */
{
    struct edge_txn *t = arg;
    t->disk_pending = false;
    if (edge_txn_release(t)) {
        return;
    }
    http_request_resume(t->http);
}

static void found_elsewhere(void *arg) /* store's reader thread */
{
    struct edge_txn *t = arg;
    loop_post(t->worker->loop, found_on_disk, t);
}

static bool must_look_on_disk(const struct edge_txn *t)
{
    return !t->looked_on_disk && !edge_cache_loaded(t->worker->edge->cache);
}

static enum edge_origin_state origin_state(struct edge_txn *t)
{
    struct edge_worker *w = t->worker;
    return edge_breaker_state(&w->edge->breaker, loop_mono_ns(w->loop));
}

/* Under the lock, with something stored: what may be done with it. */
static enum edge_reuse decide(struct edge_txn *t)
{
    struct edge *edge = t->worker->edge;
    const struct edge_rules *rules = &edge_tuning_now(edge)->rules;
    enum edge_reuse reuse =
        edge_reuse_decide(rules, &t->hold.rep->fresh, &t->control, EDGE_ORIGIN_UP,
                          atomic_load_explicit(&edge->unsynced, memory_order_relaxed), t->now_ms);
    if (!edge_reuse_serves(reuse) && reuse != EDGE_REUSE_VALIDATE_REQUEST &&
        origin_state(t) != EDGE_ORIGIN_UP) {
        enum edge_reuse down = edge_reuse_decide(rules, &t->hold.rep->fresh, &t->control,
                                                 EDGE_ORIGIN_DISCONNECTED, false, t->now_ms);
        return edge_reuse_serves(down) ? down : reuse;
    }
    return reuse;
}

static void serve_stored(struct edge_txn *t, enum edge_reuse reuse)
{
    t->verdict = reuse == EDGE_REUSE_FRESH ? EDGE_VERDICT_HIT : EDGE_VERDICT_STALE;
    t->cause = cause_of(reuse);
    edge_cache_hit(t->worker->edge->cache, &t->hold);
    edge_deliver_hold(t);
}

/* Under the lock: joins the running fetch or makes one (returned for starting without the lock). */
static struct edge_fetch *join_or_make_locked(struct edge_txn *t)
{
    struct edge_vary_source source = {edge_txn_vary_get, t};
    struct edge_fetch *f = edge_fetch_find_locked(t->entry, &source);
    struct edge_fetch *made = NULL;
    if (!f) {
        f = made = new_fetch_locked(t, false);
    }
    edge_fetch_join(f, t->worker, t);
    t->fetch = f;
    t->leader = made != NULL;
    return made;
}

static void start_and_drop(struct edge_fetch *f)
{
    if (f) {
        edge_fetch_start(f);
        edge_fetch_unref(f);
    }
}

void edge_request_lookup(struct edge_txn *t)
{
    struct edge_cache *cache = t->worker->edge->cache;
    struct edge_vary_source source = {edge_txn_vary_get, t};
    struct edge_fetch *start = NULL;
    enum edge_reuse reuse = EDGE_REUSE_COUNT;
    bool others = false;
    edge_cache_release(cache, &t->hold);
    edge_cache_lock(cache);
    if (!t->entry) {
        t->entry = edge_cache_enter_locked(cache, cdn_buf_str(&t->key));
    }
    bool found = edge_cache_select_locked(cache, t->entry, &source, &t->hold, &others);
    if (!found && must_look_on_disk(t)) {
        edge_cache_unlock(cache);
        t->looked_on_disk = t->disk_pending = true;
        edge_txn_wait(t, edge_request_lookup);
        edge_cache_find_on_disk(cache, cdn_buf_str(&t->key), found_elsewhere, t);
        return;
    }
    if (found) {
        reuse = decide(t);
        t->cause = cause_of(reuse);
    } else {
        t->cause = others ? EDGE_CAUSE_VARY : edge_cache_missing_locked(cache, t->entry);
    }
    bool only_cached = edge_request_only_if_cached(&edge_tuning_now(t->worker->edge)->rules, &t->control);
    bool serves = found && edge_reuse_serves(reuse);
    bool passes = !found && t->now_ms < t->entry->pass_until_ms;
    if (!found && !only_cached && !passes && edge_part_wants_locked(t)) {
        edge_cache_unlock(cache);
        edge_part_begin(t);
        return;
    }
    if (reuse == EDGE_REUSE_STALE_REVALIDATE) {
        refresh_behind_locked(t, &start);
    } else if (!serves && !only_cached && !passes && t->http->method == HTTP_GET) {
        start = join_or_make_locked(t);
    }
    edge_cache_unlock(cache);
    start_and_drop(start);
    if (serves) {
        serve_stored(t, reuse);
    } else if (only_cached) {
        edge_deliver_error(t, 504, "only-if-cached, and nothing usable is stored");
    } else if (t->fetch) {
        wait_fetch(t);
    } else {
        edge_txn_pass(t, passes ? EDGE_CAUSE_BYPASS_RESPONSE : t->cause);
    }
}

/* ---- waiting for the origin ---- */

static void look_again(struct edge_txn *t)
{
    edge_txn_leave_fetch(t);
    if (++t->tries > MAX_TRIES) {
        edge_txn_pass(t, t->cause);
        return;
    }
    edge_request_lookup(t);
}

/* After an error of the origin: may the stale answer be given instead (RFC 5861 4; RFC 9111 4.2.4)? */
static bool serve_stale_instead(struct edge_txn *t, enum edge_origin_state state)
{
    if (!t->hold.object) {
        return false;
    }
    struct edge *edge = t->worker->edge;
    enum edge_reuse reuse = edge_reuse_decide(&edge_tuning_now(edge)->rules, &t->hold.rep->fresh, &t->control,
                                              state, false, t->now_ms);
    if (!edge_reuse_serves(reuse)) {
        return false;
    }
    edge_txn_leave_fetch(t);
    t->verdict = EDGE_VERDICT_STALE;
    edge_deliver_hold(t);
    return true;
}

/* A content-hashed name pins its bytes: an error never replaces what is stored for it. */
static bool keep_hashed(struct edge_txn *t, unsigned status)
{
    if (!t->hashed || !t->hold.object || status < 400 || edge_head_status(t->hold.rep->head) != 200) {
        return false;
    }
    edge_txn_leave_fetch(t);
    t->verdict = EDGE_VERDICT_STALE;
    edge_deliver_hold(t);
    return true;
}

static bool fits_request(struct edge_txn *t, const struct edge_rep *rep)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    return rep->spec_length == 0 ||
           edge_vary_match(edge_rep_spec(rep), edge_rep_variant(rep),
                           &(struct edge_vary_source){edge_txn_vary_get, t}, &scratch);
}

void edge_txn_got_answer(struct edge_txn *t)
{
    const struct edge_fetch *f = t->fetch;
    const unsigned status = edge_head_status(f->rep->head);
    if ((edge_status_is_error(status) && serve_stale_instead(t, EDGE_ORIGIN_ERROR)) ||
        keep_hashed(t, status)) {
        return;
    }
    if (!t->leader && !fits_request(t, f->rep)) {
        look_again(t);
        return;
    }
    t->verdict = t->hold.object ? EDGE_VERDICT_EXPIRED : EDGE_VERDICT_MISS;
    edge_deliver_fetch(t);
}

static void got_confirmation(struct edge_txn *t)
{
    struct edge_cache *cache = t->worker->edge->cache;
    struct edge_hold *result = &t->fetch->result;
    if (!fits_request(t, result->rep)) {
        look_again(t);
        return;
    }
    edge_cache_release(cache, &t->hold);
    edge_cache_lock(cache);
    bool there = edge_cache_hold_locked(result->object, &t->hold);
    edge_cache_unlock(cache);
    if (!there) {
        look_again(t);
        return;
    }
    t->verdict = EDGE_VERDICT_REVALIDATED;
    edge_cache_hit(cache, &t->hold);
    edge_deliver_hold(t);
}

void edge_txn_got_failure(struct edge_txn *t)
{
    if (serve_stale_instead(t, EDGE_ORIGIN_DISCONNECTED) || keep_hashed(t, 502)) {
        return;
    }
    const enum http_fetch_error e = t->fetch->error;
    char detail[128];
    snprintf(detail, sizeof detail, "the origin did not answer: %s", http_fetch_error_word(e));
    edge_deliver_error(t, e == HTTP_FETCH_TIMEOUT || e == HTTP_FETCH_READ_TIMEOUT ? 504 : 502, detail);
}

static void wait_fetch(struct edge_txn *t)
{
    switch (edge_fetch_phase_now(t->fetch)) {
    case EDGE_FETCH_ASKING:
        edge_txn_wait(t, wait_fetch);
        break;
    case EDGE_FETCH_STORING:
        edge_txn_got_answer(t);
        break;
    case EDGE_FETCH_PASSING:
        if (t->leader) {
            edge_txn_got_answer(t);
        } else if (!(edge_status_is_error(edge_head_status(t->fetch->rep->head)) &&
                     serve_stale_instead(t, EDGE_ORIGIN_ERROR)) &&
                   !keep_hashed(t, edge_head_status(t->fetch->rep->head))) {
            edge_txn_leave_fetch(t);
            edge_txn_pass(t, EDGE_CAUSE_BYPASS_RESPONSE);
        }
        break;
    case EDGE_FETCH_CONFIRMED:
        got_confirmation(t);
        break;
    case EDGE_FETCH_FAILED:
        edge_txn_got_failure(t);
        break;
    }
}

/* ---- passing ---- */

static ssize_t read_upload(void *arg, char *into, size_t max)
{
    struct edge_fetch *f = arg;
    struct edge_txn *t = f->request.leader;
    if (!t) {
        return HTTP_STREAM_FAIL;
    }
    size_t have = t->upload.n - t->upload_at;
    if (!have) {
        return t->upload_done ? 0 : HTTP_STREAM_WAIT;
    }
    size_t n = have < max ? have : max;
    memcpy(into, t->upload.p + t->upload_at, n);
    t->upload_at += n;
    if (t->upload_at == t->upload.n) {
        cdn_buf_clear(&t->upload);
        t->upload_at = 0;
        if (t->upload_full) {
            t->upload_full = false;
            http_request_resume(t->http);
        }
    }
    return (ssize_t)n;
}

static void wait_pass(struct edge_txn *t);

static void start_pass(struct edge_txn *t)
{
    struct edge_fetch_request r = {0};
    edge_upstream_request(t, true, false, &r);
    r.has_body = t->http->has_body && !is_cached_method(t);
    r.body_length = t->http->body_length;
    r.read_body = read_upload;
    if (t->http->method == HTTP_HEAD &&
        t->entry) { /* what a HEAD says may confirm or end what is stored (9111 4.3.5) */
        edge_cache_lock(t->worker->edge->cache);
        add_candidates(t, &r);
        edge_cache_unlock(t->worker->edge->cache);
    }
    t->passing = true;
    t->leader = true;
    struct edge_fetch *f = edge_fetch_create(t->worker, NULL, &t->control, &r);
    edge_fetch_join(f, t->worker, t);
    t->fetch = f;
    edge_fetch_start(f);
    edge_fetch_unref(f);
}

void edge_txn_pass(struct edge_txn *t, enum edge_cause cause)
{
    t->cause = cause;
    t->verdict =
        is_cached_method(t) && cause != EDGE_CAUSE_BYPASS_REQUEST && cause != EDGE_CAUSE_BYPASS_RESPONSE
            ? EDGE_VERDICT_MISS
            : EDGE_VERDICT_BYPASS;
    if (!t->fetch) {
        start_pass(t);
    }
    wait_pass(t);
}

static void wait_pass(struct edge_txn *t)
{
    switch (edge_fetch_phase_now(t->fetch)) {
    case EDGE_FETCH_ASKING:
        edge_txn_wait(t, wait_pass);
        break;
    case EDGE_FETCH_PASSING:
    case EDGE_FETCH_STORING:
        edge_purge_after_unsafe(t);
        edge_deliver_fetch(t);
        break;
    case EDGE_FETCH_CONFIRMED:
    case EDGE_FETCH_FAILED:
        edge_txn_got_failure(t);
        break;
    }
}

/* ---- libmicrohttpd's side ---- */

static void on_head(void *self, struct http_request *req)
{
    struct edge_worker *w = self;
    if (!req->has_body || req->method == HTTP_GET || req->method == HTTP_HEAD) {
        return;
    }
    struct edge_txn *t = txn_new(w, req);
    enum edge_key_error e = build_key(t);
    if (e != EDGE_KEY_OK || is_loop(t) || req->method == HTTP_TRACE || req->method == HTTP_PURGE) {
        t->upload_done = true; /* the body is thrown away, then begin() answers */
        t->step = begin;
        return;
    }
    read_conditions(t);
    t->cause = EDGE_CAUSE_BYPASS_METHOD;
    t->verdict = EDGE_VERDICT_BYPASS;
    start_pass(t);
    t->step = wait_pass;
}

static size_t on_body(void *self, struct http_request *req, const char *data, size_t n)
{
    (void)self;
    struct edge_txn *t = req->app;
    if (!t || !t->fetch || atomic_load(&t->fetch->finished) ||
        edge_fetch_phase_now(t->fetch) != EDGE_FETCH_ASKING) {
        return n; /* nobody wants it (any more) */
    }
    size_t room = UPLOAD_ROOM > t->upload.n ? UPLOAD_ROOM - t->upload.n : 0;
    size_t taken = n < room ? n : room;
    cdn_buf_add(&t->upload, data, taken);
    t->upload_full = taken < n;
    edge_fetch_body_ready(t->fetch);
    return taken;
}

static void count_hot(struct edge_worker *w, uint64_t bytes)
{
    cdn_metric_add(&w->metrics.request_total, 1);
    cdn_metric_add(&w->metrics.hot_hit_total, 1);
    cdn_metric_add(&w->metrics.verdict[EDGE_VERDICT_HIT], 1);
    cdn_metric_add(&w->metrics.body_bytes_total, bytes);
}

static void on_ready(void *self, struct http_request *req)
{
    struct edge_worker *w = self;
    struct edge_txn *t = req->app;
    if (!t) {
        uint64_t bytes;
        unsigned status;
        if (edge_hot_is_plain(req) && !atomic_load_explicit(&w->edge->unsynced, memory_order_relaxed) &&
            edge_hot_answer(w->hot, req, loop_now_ms(w->loop), &bytes, &status)) {
            count_hot(w, bytes);
            return;
        }
        t = txn_new(w, req);
        t->step = begin;
    }
    if (!t->upload_done) {
        t->upload_done = true;
        if (t->fetch && t->http->has_body) {
            edge_fetch_body_ready(t->fetch);
        }
    }
    t->step(t);
}

static void count_txn(struct edge_txn *t)
{
    struct edge_metrics *m = &t->worker->metrics;
    cdn_metric_add(&m->request_total, 1);
    if (!t->status) {
        cdn_metric_add(&m->refused_total, 1);
        return;
    }
    cdn_metric_add(&m->verdict[t->verdict], 1);
    cdn_metric_add(&m->cause[t->cause], 1);
    cdn_metric_add(&m->body_bytes_total, t->sent);
    cdn_metric_add(&m->collapsed_total, t->fetch && !t->leader);
    uint64_t us = (uint64_t)(loop_mono_ns(t->worker->loop) - t->http->started_ns) / 1000;
    cdn_histogram_add(t->verdict == EDGE_VERDICT_HIT ? &m->hit_time : &m->miss_time, us);
}

static void on_done(void *self, struct http_request *req, enum http_end end)
{
    (void)self;
    (void)end;
    struct edge_txn *t = req->app;
    if (!t) {
        return;
    }
    count_txn(t);
    edge_txn_leave_fetch(t);
    t->over = true;
    t->http = NULL;
    edge_txn_release(t);
}

const struct http_handler edge_handler = {
    .head = on_head, .body = on_body, .ready = on_ready, .done = on_done};

void edge_txn_interim(struct edge_txn *t, const struct http_fetch_head *h)
{
    const char *lines[64] = {0};
    size_t n = 0;
    for (size_t i = 0; i < h->field_count && n < CDN_ARRAY_LEN(lines); i++) {
        if (!http_is_hop_by_hop(h->fields[i].name, CDN_STR(""))) {
            lines[n++] = cdn_asprintf(CDN_STR_FMT ": " CDN_STR_FMT, CDN_STR_ARG(h->fields[i].name),
                                      CDN_STR_ARG(h->fields[i].value));
        }
    }
    http_respond_interim(t->http, h->status, lines, n);
    for (size_t i = 0; i < n; i++) {
        free((char *)(uintptr_t)lines[i]);
    }
}
