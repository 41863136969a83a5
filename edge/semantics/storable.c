/* storable: rule after rule, the first that forbids wins and is named; the order is that of RFC
 * 9111 3, the method first. No rule asks for time or settings by itself: all come in as values. */
#include "edge/semantics/storable.h"

#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_cache.h"
#include "common/http/syntax/http_field_range.h"
#include "common/mem.h"
#include "common/parse.h"
#include "edge/semantics/vary.h"

#include <stdint.h>

#include "common/banned.h"

static const struct {
    bool ok;
    const char *word;
    const char *section;
} reasons[EDGE_STORE_COUNT] = {
#define X(name, ok, word, section) {ok, word, section},
    EDGE_STORE_REASONS(X)
#undef X
};

const char *edge_store_reason_word(enum edge_store_reason r)
{
    return r < EDGE_STORE_COUNT ? reasons[r].word : "unknown";
}

const char *edge_store_reason_section(enum edge_store_reason r)
{
    return r < EDGE_STORE_COUNT ? reasons[r].section : "";
}

bool edge_store_reason_ok(enum edge_store_reason r)
{
    return r < EDGE_STORE_COUNT && reasons[r].ok;
}

bool edge_storable_status_understood(unsigned status)
{
    static const struct {
        unsigned first, last;
    } known[] = {{200, 206}, {300, 303}, {305, 305}, {307, 308},
                 {400, 417}, {421, 422}, {426, 426}, {500, 505}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(known); i++) {
        if (status >= known[i].first && status <= known[i].last) {
            return true;
        }
    }
    return false;
}

/* Others than Set-Cookie, which heads know by number. Fields that browsers do not read (Set-Cookie2) and
 * those that say the same to everybody (Clear-Site-Data) are stored as RFC 9111 3.1 has it. */
static const struct cdn_str personal[] = {
    {"Authentication-Info", 19}, /* RFC 9110 11.6.3 */
    {"Proxy-Authentication-Info", 25},
    {"Proxy-Authenticate", 18},
};

static bool is_listed(const struct cdn_str *names, size_t n, struct cdn_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (cdn_str_eq_nocase(names[i], name)) {
            return true;
        }
    }
    return false;
}

bool edge_storable_field_is_personal(enum edge_head_field field, struct cdn_str name, bool replay)
{
    if (field == EDGE_HEAD_SET_COOKIE) {
        return !replay;
    }
    return field == EDGE_HEAD_OTHER && is_listed(personal, CDN_ARRAY_LEN(personal), name);
}

static bool sets_cookie(const struct edge_head *head)
{
    struct cdn_str value;
    return edge_head_get(head, EDGE_HEAD_SET_COOKIE).p ||
           edge_head_get_named(head, CDN_STR("Set-Cookie2"), &value);
}

static bool is_explicit(const struct edge_freshness *f)
{
    return f->source == EDGE_LIFETIME_TARGETED || f->source == EDGE_LIFETIME_S_MAXAGE ||
           f->source == EDGE_LIFETIME_MAX_AGE || f->source == EDGE_LIFETIME_EXPIRES;
}

/* A 206 whose bytes can be placed: one range, and as many bytes as it says. */
static bool partial_usable(const struct edge_head *head)
{
    struct cdn_str value = edge_head_get(head, EDGE_HEAD_CONTENT_RANGE);
    struct cdn_str length = edge_head_get(head, EDGE_HEAD_CONTENT_LENGTH);
    struct http_content_range range;
    uint64_t n;
    if (!value.p || edge_head_count(head, EDGE_HEAD_CONTENT_RANGE) != 1 ||
        !http_content_range_parse(value, &range) || range.unsatisfied) {
        return false;
    }
    return !length.p || (cdn_parse_u64(length, &n) && n == range.last - range.first + 1);
}

static enum edge_store_reason check_method(const struct edge_rules *policy,
                                           const struct edge_store_request *request, unsigned status,
                                           const struct edge_freshness *f)
{
    bool get = request->method == HTTP_GET;
    bool post = request->method == HTTP_POST && request->names_itself && status == 200 && is_explicit(f) &&
                f->lifetime_s > 0;
    if (!get && !post) {
        return EDGE_STORE_METHOD;
    }
    if (policy->honour_request && request->control && http_cc_has(&request->control->cc, HTTP_CC_NO_STORE)) {
        return EDGE_STORE_REQUEST_NO_STORE;
    }
    return EDGE_STORE_OK;
}

/* Says something of the request or its client that is in no key, not of the resource. */
static bool is_about_request(unsigned status, const struct edge_head *head)
{
    switch (status) {
    case 428: /* RFC 6585 3 to 6: must not be stored */
    case 429:
    case 431:
    case 511:
        return true;
    case 406: /* RFC 9110 15.5: what was asked for, or how; Vary may tell which field */
    case 408:
    case 415:
    case 417:
    case 421:
    case 425:
        return !edge_head_count(head, EDGE_HEAD_VARY);
    default:
        return false;
    }
}

static enum edge_store_reason check_status(const struct edge_store_request *request,
                                           const struct edge_head *head)
{
    unsigned status = edge_head_status(head);
    if (status < 200) {
        return EDGE_STORE_INTERIM;
    }
    if (status == 304) {
        return EDGE_STORE_NOT_MODIFIED;
    }
    if (status == 412 || status == 416) {
        return EDGE_STORE_CONDITIONAL;
    }
    if (is_about_request(status, head)) {
        return EDGE_STORE_ABOUT_REQUEST;
    }
    if (request->hashed_name && status >= 400) {
        return EDGE_STORE_HASHED_ERROR;
    }
    if (status == 206 && !partial_usable(head)) {
        return EDGE_STORE_PARTIAL;
    }
    return EDGE_STORE_OK;
}

/* More field names than edge_storable_drop() can be asked to name: what they protect could not all be taken
 * out. */
static bool names_too_many(const struct http_cache_control *cc)
{
    struct cdn_str lists[2] = {cc->no_cache_fields, cc->private_fields}, name;
    unsigned n = 0;
    for (size_t i = 0; i < CDN_ARRAY_LEN(lists); i++) {
        while (http_list_next(&lists[i], &name)) {
            n++;
        }
    }
    return n > EDGE_DROP_NAMES_MAX;
}

static enum edge_store_reason check_directives(const struct edge_store_request *request, unsigned status,
                                               const struct http_cache_control *cc)
{
    bool understand = http_cc_has(cc, HTTP_CC_MUST_UNDERSTAND);
    if (understand && !edge_storable_status_understood(status)) {
        return EDGE_STORE_NOT_UNDERSTOOD;
    }
    if (http_cc_has(cc, HTTP_CC_NO_STORE) && !understand) {
        return EDGE_STORE_NO_STORE;
    }
    if (http_cc_has(cc, HTTP_CC_PRIVATE) && (cc->private_fields.n == 0 || names_too_many(cc))) {
        return EDGE_STORE_PRIVATE;
    }
    if (names_too_many(cc)) {
        return EDGE_STORE_NO_STORE;
    }
    if (request->authorized && !http_cc_has(cc, HTTP_CC_PUBLIC) && !http_cc_has(cc, HTTP_CC_S_MAXAGE) &&
        !http_cc_has(cc, HTTP_CC_MUST_REVALIDATE)) {
        return EDGE_STORE_AUTHORIZATION;
    }
    return EDGE_STORE_OK;
}

static bool varies_by_cookie(const struct edge_head *head)
{
    struct cdn_str line;
    for (size_t at = 0; edge_head_next_of(head, EDGE_HEAD_VARY, &at, &line);) {
        if (http_list_has_token(line, CDN_STR("Cookie"))) {
            return true;
        }
    }
    return false;
}

/* Was a response with Set-Cookie made for one client, or does the policy keep it out? */
static bool cookie_refused(const struct edge_rules *policy, const struct edge_store_request *request,
                           const struct edge_head *head, const struct edge_control *control,
                           const struct edge_freshness *f)
{
    if (!sets_cookie(head)) {
        return false;
    }
    if (!request->has_cookie && varies_by_cookie(head)) { /* a session that begins: its page is the owner's */
        return true;
    }
    if (policy->set_cookie == EDGE_SET_COOKIE_REFUSE) {
        return !http_cc_has(&control->cc, HTTP_CC_PUBLIC) && !http_cc_has(&control->cc, HTTP_CC_S_MAXAGE) &&
               !control->targeted;
    }
    /* nobody said that this may be shared: a lifetime of our own making must not share a session */
    return !is_explicit(f) && !http_cc_has(&control->cc, HTTP_CC_PUBLIC);
}

static bool varies_by_anything(const struct edge_head *head)
{
    CDN_AUTOBUF struct cdn_buf spec = {0};
    return !edge_vary_spec(head, CDN_STR(""), &spec);
}

/* Is there any use in storing it: fresh for a while, usable when stale, or cheaper to validate than to
 * transfer? */
static bool worth_storing(const struct edge_head *head, const struct edge_control *control,
                          const struct edge_freshness *f)
{
    if (f->source == EDGE_LIFETIME_NONE) {
        bool allowed = edge_freshness_status_heuristic(edge_head_status(head)) ||
                       http_cc_has(&control->cc, HTTP_CC_PUBLIC);
        return allowed && f->has_validator;
    }
    return f->lifetime_s > 0 || f->has_validator || (!f->must_revalidate && (f->swr_s > 0 || f->sie_s > 0));
}

enum edge_store_reason edge_storable(const struct edge_rules *policy,
                                     const struct edge_store_request *request, const struct edge_head *head,
                                     const struct edge_control *control,
                                     const struct edge_freshness *freshness)
{
    unsigned status = edge_head_status(head);
    enum edge_store_reason r = check_method(policy, request, status, freshness);
    if (r == EDGE_STORE_OK) {
        r = check_status(request, head);
    }
    if (r == EDGE_STORE_OK) {
        r = check_directives(request, status, &control->cc);
    }
    if (r != EDGE_STORE_OK) {
        return r;
    }
    if (varies_by_anything(head)) {
        return EDGE_STORE_VARY_ANY;
    }
    if (cookie_refused(policy, request, head, control, freshness)) {
        return EDGE_STORE_SET_COOKIE;
    }
    return worth_storing(head, control, freshness) ? EDGE_STORE_OK : EDGE_STORE_NO_FRESHNESS;
}

enum edge_aftermath edge_storable_aftermath(enum edge_store_reason reason,
                                            const struct edge_store_request *request, unsigned status)
{
    if (edge_freshness_status_is_error(status) || request->authorized) {
        return EDGE_AFTER_NOTHING;
    }
    switch (reason) {
    case EDGE_STORE_NO_STORE:
    case EDGE_STORE_PRIVATE:
    case EDGE_STORE_VARY_ANY:
    case EDGE_STORE_NOT_UNDERSTOOD:
    case EDGE_STORE_NO_FRESHNESS:
        break;
    case EDGE_STORE_SET_COOKIE:
        return EDGE_AFTER_PARALLEL;
    case EDGE_STORE_OK:
    case EDGE_STORE_METHOD:
    case EDGE_STORE_REQUEST_NO_STORE:
    case EDGE_STORE_INTERIM:
    case EDGE_STORE_NOT_MODIFIED:
    case EDGE_STORE_AUTHORIZATION:
    case EDGE_STORE_PARTIAL:
    case EDGE_STORE_CONDITIONAL:
    case EDGE_STORE_ABOUT_REQUEST:
    case EDGE_STORE_HASHED_ERROR:
    case EDGE_STORE_COUNT:
        return EDGE_AFTER_NOTHING;
    }
    if ((status == 404 || status == 410 || status == 451) && reason != EDGE_STORE_PRIVATE) {
        return EDGE_AFTER_GONE;
    }
    return request->has_cookie ? EDGE_AFTER_PARALLEL : EDGE_AFTER_SETTLED;
}

size_t edge_storable_drop(const struct edge_rules *policy, const struct edge_head *head,
                          const struct edge_control *control, struct cdn_str *ret, size_t max)
{
    const bool replay = policy->set_cookie == EDGE_SET_COOKIE_REPLAY;
    struct edge_head_line line;
    struct cdn_str lists[2] = {control->cc.no_cache_fields, control->cc.private_fields}, name;
    size_t n = 0;
    for (size_t i = 0; i < CDN_ARRAY_LEN(lists); i++) {
        while (n < max && http_list_next(&lists[i], &name)) {
            if (http_is_token(name)) {
                ret[n++] = name;
            }
        }
    }
    for (size_t at = 0; n < max && edge_head_next(head, &at, &line);) {
        if (edge_storable_field_is_personal(line.field, line.name, replay) && !is_listed(ret, n, line.name)) {
            ret[n++] = line.name;
        }
    }
    return n;
}
