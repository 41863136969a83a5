/* What up.json may say: the first thing in it that cannot be right is named. */
#include "cli/run/state_form.h"
#include "common/mem.h"
#include "common/status.h"

#include <check.h>
#include <jansson.h>
#include <string.h>

#include "common/banned.h"

/* A file that is right but for what the row puts in the place of one value. */
#define FILE_OF(pid, rest, nodes)                                                                           \
    "{\"pid\":" pid ",\"router\":\"http://127.0.0.1:8080\",\"router_admin\":\"http://127.0.0.1:9080\"" rest \
    ",\"nodes\":" nodes "}"
#define NODE_OF(kind, url, rest) \
    "{\"kind\":" kind ",\"name\":\"fra\",\"url\":" url ",\"admin\":\"http://127.0.1.1:9088\"" rest "}"
#define EDGE(rest) NODE_OF("\"edge\"", "\"http://127.0.1.1:8088\"", rest)
#define RIGHT "[" EDGE("") "]"
#define OF_FILE(rest) FILE_OF("4711", rest, RIGHT)
#define OF_NODE(rest) FILE_OF("4711", "", "[" EDGE(rest) "]")

static const struct {
    const char *json, *error; /* a part of it; NULL: right */
} rows[] = {
    {FILE_OF("4711", "", RIGHT), NULL},
    {OF_FILE(",\"ready\":true,\"config\":\"/a b\",\"origin\":\"\""), NULL},
    {OF_FILE(",\"later\":{\"x\":1}"), NULL},
    {OF_NODE(",\"external\":false,\"token\":\"\",\"pid\":0,\"restarts\":3,\"place\":\"S\xc3\xa3o Paulo\""),
     NULL},
    {FILE_OF("4711", "", "[" EDGE("") "," EDGE("") "]"), NULL},
    {FILE_OF("4711", "", "[" NODE_OF("\"origin\"", "\"https://h/\"", "") "]"), NULL},
    {"[]", "up.json: is not a JSON object"},
    {"{}", "up.json: pid: is missing"},
    {FILE_OF("1", "", RIGHT), "up.json: pid: 1 is not the number of a process"},
    {FILE_OF("0", "", RIGHT), "pid: 0 is not"},
    {FILE_OF("-5", "", RIGHT), "pid: -5 is not"},
    {FILE_OF("2147483647", "", RIGHT), NULL},
    {FILE_OF("2147483648", "", RIGHT), "pid: 2147483648 is not"},
    {FILE_OF("4711.0", "", RIGHT), "pid: 4711.0 is not"},
    {FILE_OF("\"4711\"", "", RIGHT), "pid: \"4711\" is not"},
    {FILE_OF("null", "", RIGHT), "pid: null is not"},
    {OF_FILE(",\"ready\":1"), "ready: 1 is not true or false"},
    {OF_FILE(",\"config\":\"a\\nb\""), "config: \"a\\nb\" is not a text without control characters"},
    {OF_FILE(",\"config\":\"\\u007f\""), "config: "},
    {OF_FILE(",\"config\":7"), "config: 7 is not a text"},
    {OF_FILE(",\"router\":\"ftp://h/\""), "router: \"ftp://h/\" is not an http:// or https:// URL"},
    {OF_FILE(",\"router\":\"\""), "router: \"\" is not"},
    {OF_FILE(",\"router\":\"http://h/a b\""), "router: \"http://h/a b\" is not"},
    {OF_FILE(",\"router\":\"HTTP://h/\""), "router: \"HTTP://h/\" is not"},
    {OF_FILE(",\"router_admin\":[]"), "router_admin: [] is not"},
    {"{\"pid\":4711,\"router\":\"http://h\",\"nodes\":" RIGHT "}", "router_admin: is missing"},
    {FILE_OF("4711", "", "[]"), "nodes: [] is not a list of nodes"},
    {FILE_OF("4711", "", "{}"), "nodes: {} is not a list of nodes"},
    {FILE_OF("4711", "", "[7]"), "up.json: nodes[0]: is not a JSON object"},
    {FILE_OF("4711", "", "[" EDGE("") ",null]"), "nodes[1]: is not a JSON object"},
    {FILE_OF("4711", "", "[{}]"), "nodes[0]: kind: is missing"},
    {FILE_OF("4711", "", "[" NODE_OF("\"proxy\"", "\"http://h\"", "") "]"),
     "nodes[0]: kind: \"proxy\" is not origin, edge, router or wan"},
    {FILE_OF("4711", "", "[" NODE_OF("\"Edge\"", "\"http://h\"", "") "]"), "kind: \"Edge\" is not"},
    {FILE_OF("4711", "", "[" NODE_OF("\"edge\"", "\"h\"", "") "]"), "url: \"h\" is not"},
    {OF_NODE(",\"external\":\"no\""), "external: \"no\" is not"},
    {OF_NODE(",\"pid\":-1"), "pid: -1 is not a count"},
    {OF_NODE(",\"restarts\":1e3"), "restarts: 1000.0 is not a count"},
    {FILE_OF("4711", "", "[" EDGE("") "," EDGE(",\"pid\":\"x\"") "]"), "nodes[1]: pid: \"x\" is not a count"},
};

START_TEST(forms)
{
    json_error_t why;
    struct cdn_error err = {0};
    json_t *what = json_loads(rows[_i].json, 0, &why); /* where a row says a key twice, the later counts */
    ck_assert_msg(what != NULL, "%s: %s", rows[_i].json, why.text);
    const enum cdn_status status = state_form_check(what, "up.json", &err);
    ck_assert_msg(status == (rows[_i].error ? CDN_CORRUPT : CDN_OK), "%s: %s", rows[_i].json, err.text);
    ck_assert_msg(!rows[_i].error || strstr(err.text, rows[_i].error), "%s: %s", rows[_i].json, err.text);
    json_decref(what);
}
END_TEST

/* A long value is cut in the sentence, which names its place all the same. */
START_TEST(long_values_are_cut)
{
    char text[5000];
    struct cdn_error err = {0};
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    json_t *what = json_pack("{s:i, s:s}", "pid", 4711, "router", text);
    ck_assert_int_eq(state_form_check(what, "up.json", &err), CDN_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "up.json: router: \"xxx"));
    ck_assert_ptr_nonnull(strstr(err.text, "x... is not an http:// or https:// URL"));
    ck_assert_uint_lt(strlen(err.text), 200);
    json_decref(what);
}
END_TEST

/* As many nodes as a plan may have, and one more. */
START_TEST(nodes_are_bounded)
{
    for (size_t extra = 0; extra < 2; extra++) {
        struct cdn_error err = {0};
        json_t *what = json_loads(FILE_OF("4711", "", RIGHT), 0, NULL);
        json_t *nodes = json_object_get(what, "nodes");
        while (json_array_size(nodes) < 203 + extra) {
            json_array_append(nodes, json_array_get(nodes, 0));
        }
        ck_assert_int_eq(state_form_check(what, "up.json", &err), extra ? CDN_CORRUPT : CDN_OK);
        json_decref(what);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_form");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, forms, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(all, long_values_are_cut);
    tcase_add_test(all, nodes_are_bounded);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
