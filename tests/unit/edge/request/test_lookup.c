/* What is done with a request, by what is stored for it: rows of facts and the one right act. */
#include "common/mem.h"
#include "edge/cache/cache.h"
#include "edge/request/lookup.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"

#include <check.h>
#include <stdbool.h>

#define NOTHING .reuse = EDGE_REUSE_COUNT, .get = true
#define FOUND(how) .found = true, .reuse = EDGE_REUSE_##how, .get = true

static const struct {
    const char *what;
    struct edge_lookup_facts facts;
    enum edge_lookup_act act;
} rows[] = {
    {"fresh", {FOUND(FRESH)}, EDGE_LOOKUP_SERVE},
    {"fresh, HEAD", {.found = true, .reuse = EDGE_REUSE_FRESH}, EDGE_LOOKUP_SERVE},
    {"fresh, only-if-cached", {FOUND(FRESH), .only_cached = true}, EDGE_LOOKUP_SERVE},
    {"fresh, a range of it", {FOUND(FRESH), .ranged = true}, EDGE_LOOKUP_SERVE},
    {"fresh, others could not be stored", {FOUND(FRESH), .alone = true}, EDGE_LOOKUP_SERVE},
    {"stale-while-revalidate, due",
     {FOUND(STALE_REVALIDATE), .may_refresh = true},
     EDGE_LOOKUP_SERVE_AND_REFRESH},
    {"stale-while-revalidate, a refresh failed", {FOUND(STALE_REVALIDATE)}, EDGE_LOOKUP_SERVE},
    {"stale-if-error, due", {FOUND(STALE_ERROR), .may_refresh = true}, EDGE_LOOKUP_SERVE_AND_REFRESH},
    {"stale-if-error, HEAD",
     {.found = true, .reuse = EDGE_REUSE_STALE_ERROR, .may_refresh = true},
     EDGE_LOOKUP_SERVE_AND_REFRESH},
    {"max-stale", {FOUND(STALE_ALLOWED), .only_cached = true}, EDGE_LOOKUP_SERVE},
    {"expired", {FOUND(VALIDATE_EXPIRED)}, EDGE_LOOKUP_FETCH},
    {"expired, a range of it", {FOUND(VALIDATE_EXPIRED), .ranged = true, .alone = true}, EDGE_LOOKUP_FETCH},
    {"expired, only-if-cached", {FOUND(VALIDATE_EXPIRED), .only_cached = true}, EDGE_LOOKUP_REFUSE},
    {"expired, HEAD", {.found = true, .reuse = EDGE_REUSE_VALIDATE_EXPIRED}, EDGE_LOOKUP_PASS},
    {"no-cache of the response", {FOUND(VALIDATE_NO_CACHE)}, EDGE_LOOKUP_FETCH},
    {"no-cache of the request", {FOUND(VALIDATE_REQUEST)}, EDGE_LOOKUP_FETCH},
    {"purges may have been missed", {FOUND(VALIDATE_UNSYNCED)}, EDGE_LOOKUP_FETCH},
    {"nothing", {NOTHING}, EDGE_LOOKUP_FETCH},
    {"nothing, HEAD", {.reuse = EDGE_REUSE_COUNT}, EDGE_LOOKUP_PASS},
    {"nothing, only-if-cached", {NOTHING, .only_cached = true}, EDGE_LOOKUP_REFUSE},
    {"nothing, could not be stored", {NOTHING, .alone = true}, EDGE_LOOKUP_FETCH},
    {"nothing, a stretch", {NOTHING, .ranged = true, .wants_part = true}, EDGE_LOOKUP_PART},
    {"nothing, a stretch, only-if-cached", /* a stored part may be enough */
     {NOTHING, .ranged = true, .wants_part = true, .only_cached = true},
     EDGE_LOOKUP_PART},
    {"nothing but parts", {NOTHING, .wants_part = true}, EDGE_LOOKUP_PART},
    {"nothing, a stretch of what could not be stored",
     {NOTHING, .ranged = true, .wants_part = true, .alone = true},
     EDGE_LOOKUP_PASS_RANGE},
    {"nothing, ranges of what could not be stored",
     {NOTHING, .ranged = true, .alone = true},
     EDGE_LOOKUP_PASS_RANGE},
    {"a stretch, the origin sends the whole",
     {NOTHING, .ranged = true, .wants_part = true, .whole = EDGE_WHOLE_KEEPABLE},
     EDGE_LOOKUP_FETCH},
    {"a stretch, the origin sends the whole, no room",
     {NOTHING, .ranged = true, .wants_part = true, .whole = EDGE_WHOLE_NOT_KEEPABLE},
     EDGE_LOOKUP_PASS_RANGE},
    {"the whole, the origin knows no ranges", {NOTHING, .whole = EDGE_WHOLE_NOT_KEEPABLE}, EDGE_LOOKUP_FETCH},
    {"nothing, a stretch of what could not be stored, only-if-cached",
     {NOTHING, .ranged = true, .wants_part = true, .alone = true, .only_cached = true},
     EDGE_LOOKUP_REFUSE},
};

static const struct {
    const char *what;
    struct edge_lookup_facts facts;
    enum edge_cause missing, cause;
} causes[] = {
    {"fresh", {FOUND(FRESH)}, EDGE_CAUSE_COLD, EDGE_CAUSE_NONE},
    {"expired", {FOUND(VALIDATE_EXPIRED)}, EDGE_CAUSE_COLD, EDGE_CAUSE_EXPIRED},
    {"nothing", {NOTHING}, EDGE_CAUSE_EVICTED, EDGE_CAUSE_EVICTED},
    {"a range of nothing", {NOTHING, .ranged = true}, EDGE_CAUSE_COLD, EDGE_CAUSE_COLD},
    {"a range of what could not be stored",
     {NOTHING, .ranged = true, .alone = true},
     EDGE_CAUSE_COLD,
     EDGE_CAUSE_BYPASS_RESPONSE},
    {"a range, the origin sends the whole",
     {NOTHING, .ranged = true, .whole = EDGE_WHOLE_KEEPABLE},
     EDGE_CAUSE_COLD,
     EDGE_CAUSE_RANGE_IGNORED},
    {"the same, purged",
     {NOTHING, .ranged = true, .whole = EDGE_WHOLE_KEEPABLE},
     EDGE_CAUSE_PURGED,
     EDGE_CAUSE_PURGED},
    {"the same, no room for it",
     {NOTHING, .ranged = true, .whole = EDGE_WHOLE_NOT_KEEPABLE},
     EDGE_CAUSE_PURGED,
     EDGE_CAUSE_RANGE_IGNORED},
    {"the whole of it, no room",
     {NOTHING, .whole = EDGE_WHOLE_NOT_KEEPABLE},
     EDGE_CAUSE_COLD,
     EDGE_CAUSE_COLD},
};

START_TEST(says_why)
{
    ck_assert_msg(edge_lookup_cause(&causes[_i].facts, causes[_i].missing) == causes[_i].cause, "%s",
                  causes[_i].what);
}
END_TEST

START_TEST(decides)
{
    ck_assert_msg(edge_lookup_decide(&rows[_i].facts) == rows[_i].act, "%s: %d", rows[_i].what,
                  (int)edge_lookup_decide(&rows[_i].facts));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lookup");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, says_why, 0, CDN_ARRAY_LEN(causes));
    tcase_add_loop_test(tcase, decides, 0, CDN_ARRAY_LEN(rows));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
