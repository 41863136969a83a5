/* trace: a value is taken as a whole or not at all: half an identity is another request's. */
#include "edge/semantics/trace.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define PARENT_SIZE ((size_t)55)

static bool is_hex(struct cdn_str s, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) {
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

static bool is_zero(struct cdn_str s, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) {
        if (s.p[i] != '0') {
            return false;
        }
    }
    return true;
}

bool edge_trace_is_parent(struct cdn_str s)
{
    if (s.n < PARENT_SIZE || s.n > EDGE_TRACE_PARENT_MAX || s.p[2] != '-' || s.p[35] != '-' ||
        s.p[52] != '-' || !is_hex(s, 0, 2) || !is_hex(s, 3, 32) || !is_hex(s, 36, 16) || !is_hex(s, 53, 2) ||
        is_zero(s, 3, 32) || is_zero(s, 36, 16) || (s.p[0] == 'f' && s.p[1] == 'f')) {
        return false;
    }
    for (size_t i = PARENT_SIZE; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~') {
            return false;
        }
    }
    return s.n == PARENT_SIZE || (!is_zero(s, 0, 2) && s.p[PARENT_SIZE] == '-');
}

bool edge_trace_is_request_id(struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        const bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!is_letter && !(c >= '0' && c <= '9') && !(c && strchr("-_.:/+=@~", c))) {
            return false;
        }
    }
    return s.n > 0 && s.n <= EDGE_REQUEST_ID_MAX;
}

void edge_trace_write_request_id(uint64_t high, uint64_t low, char into[static EDGE_REQUEST_ID_SIZE])
{
    snprintf(into, EDGE_REQUEST_ID_SIZE, "%016" PRIx64 "%016" PRIx64, high, low);
}

static void note(struct cdn_str *first, unsigned *lines, struct cdn_str value)
{
    if (!(*lines)++) {
        *first = cdn_str_trim(value);
    }
}

void edge_trace_note(struct edge_trace *t, struct cdn_str name, struct cdn_str value)
{
    if (name.n == 11 && cdn_str_eq_nocase(name, CDN_STR("traceparent"))) {
        note(&t->parent, &t->parents, value);
    } else if (name.n == 10 && cdn_str_eq_nocase(name, CDN_STR("tracestate"))) {
        note(&t->state, &t->states, value);
    } else if (name.n == 12 && cdn_str_eq_nocase(name, CDN_STR("X-Request-ID"))) {
        note(&t->request_id, &t->request_ids, value);
    }
}

void edge_trace_check(struct edge_trace *t)
{
    if (t->parents != 1 || !edge_trace_is_parent(t->parent)) {
        t->parent = t->state = (struct cdn_str){0};
    }
    if (t->request_ids != 1 || !edge_trace_is_request_id(t->request_id)) {
        t->request_id = (struct cdn_str){0};
    }
}
