/* What `status` notes of a node's report: only what is unusual. A row that fails says too much,
 * or hides a fault from who looks. */
#include "cli/base/note.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <jansson.h>
#include <stddef.h>

#include "common/banned.h"

static const struct {
    const char *status; /* JSON; NULL: no report */
    unsigned restarts;
    const char *expected;
} rows[] = {
    {NULL, 0, ""},
    {NULL, 2, "restarted 2 x"},
    {"{}", 0, ""},
    {"{\"why\": \"\", \"clock\": {\"offset_ms\": 0}, \"faults\": {\"off\": true}, \"unsynced\": false}", 0,
     ""},
    {"{\"why\": \"draining\"}", 0, "draining"},
    {"{\"clock\": {\"offset_ms\": 86400000}}", 1, "clock +1d; restarted 1 x"},
    {"{\"clock\": {\"offset_ms\": -5400000}}", 0, "clock -1h30m"},
    {"{\"unsynced\": true, \"loading\": true}", 0, "loading its cache; unsynced: checks every reuse"},
    {"{\"origin_failures\": 3, \"store\": {\"full\": true}}", 0, "its origin fails; disk full"},
    {"{\"reload_error\": \"cdn.yaml:3: bad\"}", 0, "reload failed: cdn.yaml:3: bad"},
    {"{\"faults\": {\"delay\": \"200ms\", \"error_rate\": 0.0, \"drop_rate\": 0.0, \"status\": 503, "
     "\"paths\": "
     "\"\"}}",
     0, "faults: delay 200ms"},
    {"{\"faults\": {\"delay\": \"0s\", \"error_rate\": 0.125, \"drop_rate\": 0.5, \"status\": 500, "
     "\"paths\": "
     "\"*.css\"}}",
     0, "faults: 12.5 % errors (500), 50 % dropped on *.css"},
    {"{\"faults\": []}", 0, ""},
    {"{\"certificates\": []}", 0, ""},
    {"{\"certificates\": [{\"names\": [\"a.example\"], \"expires_in_s\": 1209600}]}", 0, ""},
    {"{\"certificates\": [{\"names\": [\"a.example\", \"b\"], \"expires_in_s\": 1209599}]}", 0,
     "certificate of a.example ends in 13 d"},
    {"{\"certificates\": [{\"names\": [\"a\"], \"expires_in_s\": 9}, {\"names\": [], \"expires_in_s\": -1}, "
     "{}]}",
     2, "certificate of no name has expired; restarted 2 x"},
    {"{\"faults\": [{\"link\": \"fra-origin\", \"cut\": true}]}", 1, "1 link with faults; restarted 1 x"},
    {"{\"faults\": [{\"link\": \"fra-origin\"}, {\"link\": \"*-nrt\"}]}", 0, "2 links with faults"},
};

START_TEST(notes)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    json_t *status = rows[_i].status ? json_loads(rows[_i].status, 0, NULL) : NULL;
    ck_assert(!rows[_i].status || status);
    note_node(status, rows[_i].restarts, &text);
    ck_assert_str_eq(text.n ? text.p : "", rows[_i].expected);
    json_decref(status);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("note");
    TCase *cases = tcase_create("rows");
    tcase_add_loop_test(cases, notes, 0, CDN_ARRAY_LEN(rows));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
