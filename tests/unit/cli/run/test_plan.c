/* From a cdn.yaml to the processes of a CDN, and what is said about one that cannot be. Nothing is
 * started. */
#include "cli/run/plan.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

static char folder[] = "/tmp/pocketcdn-plan-XXXXXX";
static char *config;

static void set_up(void)
{
    unsetenv("POCKETCDN_ADMIN_TOKEN");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    config = cdn_asprintf("%s/cdn.yaml", folder);
}

static void tear_down(void)
{
    unlink(config);
    rmdir(folder);
    free(config);
}

static void write_config(const char *text)
{
    FILE *file = fopen(config, "w");
    ck_assert(file && fputs(text, file) >= 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* ---- ports ---- */

static const struct {
    unsigned router;
    bool fine;
} moves[] = {
    {0, false},    {80, false},    {1023, false},  {1024, false}, /* its listener for DNS would need rights */
    {1050, false}, {1051, true},   {8079, true},   {8080, true},   {8081, true},         {20000, true},
    {64525, true}, {64526, false}, {65535, false}, {65536, false}, {4294967295u, false},
};

START_TEST(ports_move_together)
{
    struct plan_ports p;
    struct cdn_error err = {0};
    const enum cdn_status status = plan_ports_move(moves[_i].router, &p, &err);
    ck_assert_int_eq(status, moves[_i].fine ? CDN_OK : CDN_USAGE);
    if (status != CDN_OK) {
        CDN_AUTOFREE char *what = cdn_asprintf("--port: %u is not from 1051 to 64525", moves[_i].router);
        ck_assert_str_eq(err.text, what);
        return;
    }
    ck_assert_uint_eq(p.router, moves[_i].router);
    ck_assert_uint_eq(p.origin - p.router, 10);
    ck_assert_uint_eq(p.edges - p.router, 8);
    ck_assert_uint_eq(p.router - plan_dns_port(&p), 27);
    ck_assert(plan_dns_port(&p) >= 1024 && p.origin + 1000 <= 65535); /* none needs rights, all are ports */
    ck_assert_str_eq(p.router_host, "127.0.0.1");
}
END_TEST

START_TEST(usual_ports)
{
    struct plan_ports p;
    ck_assert_int_eq(plan_ports_move(plan_default_ports.router, &p, NULL), CDN_OK);
    ck_assert_uint_eq(p.origin, plan_default_ports.origin);
    ck_assert_uint_eq(p.edges, plan_default_ports.edges);
    ck_assert_uint_eq(plan_dns_port(&p), 8053);
}
END_TEST

/* ---- plans ---- */

static enum cdn_status look(const struct plan_wish *wish, struct plan **ret, struct cdn_error *err)
{
    struct plan_wish w = *wish;
    w.config = config;
    w.only_look = true;
    return plan_read(&w, "/state", ret, err);
}

/* "kind name place url admin", one a line. */
static void tell(const struct plan *plan, struct cdn_buf *into)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct plan_node *n = &plan->nodes[i];
        cdn_buf_printf(into, "%s %s [%s] %s %s%s%s%s\n", plan_kind_word(n->kind), n->name, n->place, n->url,
                       n->admin, n->external ? " external" : "", n->token[0] ? " token=" : "", n->token);
    }
}

#define TWO                                                                                             \
    "edges:\n- {name: fra, place: Frankfurt, listen: \"127.0.1.1:8088\"}\n- {name: nrt, place: Tokyo, " \
    "listen: "                                                                                          \
    "\"127.0.1.2:8088\", admin: \"127.0.1.2:9999\"}\n"
#define ROUTER "router: {listen: \"127.0.0.1:8080\"}\n"
#define FRA "edge fra [Frankfurt] http://127.0.1.1:8088 http://127.0.1.1:9088"
#define NRT "edge nrt [Tokyo] http://127.0.1.2:8088 http://127.0.1.2:9999"
#define ROUTED "router router [] http://127.0.0.1:8080 http://127.0.0.1:9080"

static const struct {
    const char *config, *root, *origin, *plan, *origin_url;
} plans[] = {
    {ROUTER TWO, NULL, NULL, FRA "\n" NRT "\n" ROUTED "\n", ""},
    {ROUTER TWO, NULL, "http://h:80",
     "origin origin [] http://h:80 http://h:80 external\n" FRA "\n" NRT "\n" ROUTED "\n", "http://h:80"},
    {ROUTER TWO "cdn: {origin: \"http://file:1\"}\n", NULL, NULL,
     "origin origin [] http://file:1 http://file:1 external\n" FRA "\n" NRT "\n" ROUTED "\n",
     "http://file:1"},
    {ROUTER TWO "cdn: {origin: \"http://file:1\"}\n", NULL,
     "http://line:2", /* the command line is stronger */
     "origin origin [] http://line:2 http://line:2 external\n" FRA "\n" NRT "\n" ROUTED "\n",
     "http://line:2"},
    {ROUTER TWO "origin: {listen: \"127.0.0.1:8090\", place: Paris}\n", "/srv", NULL,
     "origin origin [Paris] http://127.0.0.1:8090 http://127.0.0.1:9090\n" FRA "\n" NRT "\n" ROUTED "\n",
     "http://127.0.0.1:8090"},
    {ROUTER TWO "origin: {listen: \"127.0.0.1:8090\"}\ncdn: {origin: \"http://file:1\"}\n", "/srv", NULL,
     "origin origin [] http://127.0.0.1:8090 http://127.0.0.1:9090\n" FRA "\n" NRT "\n" ROUTED "\n",
     "http://127.0.0.1:8090"}, /* a folder named now is meant, whatever the file says */
    {ROUTER TWO "cdn: {admin_token: secret}\n", NULL, "http://h",
     "origin origin [] http://h http://h external\n" FRA " token=secret\n" NRT " token=secret\n" ROUTED
     " token=secret\n",
     "http://h"}, /* an origin that is not ours is told no token */
    {ROUTER TWO "wan: {listen: \"127.0.0.1:1081\"}\n", NULL, NULL,
     "wan wan [] socks5h://127.0.0.1:1081 http://127.0.0.1:2081\n" FRA "\n" NRT "\n" ROUTED "\n", ""},
};

START_TEST(plans_of_files)
{
    struct plan *plan;
    struct cdn_error err = {0};
    CDN_AUTOBUF struct cdn_buf text = {0};
    const struct plan_wish wish = {.root = plans[_i].root, .origin = plans[_i].origin};
    write_config(plans[_i].config);
    ck_assert_msg(look(&wish, &plan, &err) == CDN_OK, "%s", err.text);
    tell(plan, &text);
    ck_assert_str_eq(text.p, plans[_i].plan);
    ck_assert_str_eq(plan->origin_url, plans[_i].origin_url);
    ck_assert(!plan->default_edges);
    plan_destroy(plan);
}
END_TEST

/* What `up` writes itself is read as what it means. */
START_TEST(the_default_file)
{
    struct plan_ports ports;
    struct plan *plan;
    struct cdn_error err = {0};
    CDN_AUTOBUF struct cdn_buf yaml = {0};
    const struct plan_wish wish = {.root = "/srv"};
    ck_assert_int_eq(plan_ports_move(20000, &ports, &err), CDN_OK);
    plan_default_yaml(&wish, &ports, &yaml);
    write_config(yaml.p);
    ck_assert_msg(look(&wish, &plan, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(plan->n, 12);
    ck_assert_str_eq(plan->nodes[0].url, "http://127.0.0.1:20010");
    ck_assert_str_eq(plan->nodes[0].admin, "http://127.0.0.1:21010");
    ck_assert_str_eq(plan->nodes[0].place, "Frankfurt");
    for (unsigned i = 1; i <= 10; i++) {
        CDN_AUTOFREE char *url = cdn_asprintf("http://127.0.1.%u:20008", i);
        CDN_AUTOFREE char *admin = cdn_asprintf("http://127.0.1.%u:21008", i);
        ck_assert_int_eq(plan->nodes[i].kind, PLAN_EDGE);
        ck_assert_str_eq(plan->nodes[i].url, url);
        ck_assert_str_eq(plan->nodes[i].admin, admin);
        ck_assert_uint_gt(strlen(plan->nodes[i].place), 0);
    }
    ck_assert_str_eq(plan->nodes[11].url, "http://127.0.0.1:20000");
    ck_assert_str_eq(plan->dns, "127.0.0.1:19973");
    plan_destroy(plan);
}
END_TEST

/* The network is in the file when it is wished for; its port is known to everybody, until ports are moved. */
static const struct {
    unsigned port;
    const char *url, *admin;
} networks[] = {
    {8080, "socks5h://127.0.0.1:1080", "http://127.0.0.1:2080"},
    {20000, "socks5h://127.0.0.1:20009", "http://127.0.0.1:21009"},
};

START_TEST(the_network_of_the_default_file)
{
    struct plan_ports ports;
    struct plan *plan;
    struct cdn_error err = {0};
    CDN_AUTOBUF struct cdn_buf yaml = {0};
    const struct plan_wish wish = {.root = "/srv", .wan = true};
    ck_assert_int_eq(plan_ports_move(networks[_i].port, &ports, &err), CDN_OK);
    plan_default_yaml(&wish, &ports, &yaml);
    write_config(yaml.p);
    ck_assert_msg(look(&(struct plan_wish){0}, &plan, &err) == CDN_OK, "%s", err.text);
    ck_assert_int_eq(plan->nodes[0].kind, PLAN_WAN);
    ck_assert_str_eq(plan->nodes[0].url, networks[_i].url);
    ck_assert_str_eq(plan->nodes[0].admin, networks[_i].admin);
    plan_destroy(plan);
}
END_TEST

/* The environment's token is stronger than the file's, for the daemons too. */
START_TEST(token_of_the_environment)
{
    struct plan *plan;
    struct cdn_error err = {0};
    const struct plan_wish wish = {.origin = "http://h"};
    write_config(ROUTER TWO "cdn: {admin_token: file}\n");
    setenv("POCKETCDN_ADMIN_TOKEN", "environment", 1);
    ck_assert_int_eq(look(&wish, &plan, &err), CDN_OK);
    ck_assert_str_eq(plan->nodes[0].token, "");
    for (size_t i = 1; i < plan->n; i++) {
        ck_assert_str_eq(plan->nodes[i].token, "environment");
    }
    json_t *json = plan_json(plan);
    const json_t *nodes = json_object_get(json, "nodes");
    ck_assert_uint_eq(json_array_size(nodes), 4);
    ck_assert_ptr_null(json_object_get(json_array_get(nodes, 0), "token"));
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(nodes, 1), "token")), "environment");
    json_decref(json);
    plan_destroy(plan);
}
END_TEST

static const struct {
    const char *config, *error; /* a part of it */
} wrong[] = {
    {"router: {listen: nowhere}\n", "cdn.yaml:1"},
    {"nonsense: 1\n", "nonsense"},
    {"edges: [\n", "cdn.yaml"},
    {"router: {liste: \"127.0.0.1:80\"}\n", "listen"}, /* what was meant */
};

START_TEST(wrong_files)
{
    struct plan *plan = NULL;
    struct cdn_error err = {0};
    const struct plan_wish wish = {.origin = "http://h"};
    write_config(wrong[_i].config);
    ck_assert_int_ne(look(&wish, &plan, &err), CDN_OK);
    ck_assert_msg(strstr(err.text, wrong[_i].error), "%s", err.text);
    ck_assert_ptr_null(plan);
}
END_TEST

START_TEST(no_file)
{
    struct plan *plan = NULL;
    struct cdn_error err = {0};
    const struct plan_wish wish = {.origin = "http://h"};
    ck_assert_int_ne(look(&wish, &plan, &err), CDN_OK);
    ck_assert_msg(strstr(err.text, config), "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, ports_move_together, 0, (int)CDN_ARRAY_LEN(moves));
    tcase_add_test(all, usual_ports);
    tcase_add_loop_test(all, plans_of_files, 0, (int)CDN_ARRAY_LEN(plans));
    tcase_add_test(all, the_default_file);
    tcase_add_loop_test(all, the_network_of_the_default_file, 0, (int)CDN_ARRAY_LEN(networks));
    tcase_add_test(all, token_of_the_environment);
    tcase_add_loop_test(all, wrong_files, 0, (int)CDN_ARRAY_LEN(wrong));
    tcase_add_test(all, no_file);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
