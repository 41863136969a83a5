/* metrics: the text that Prometheus reads, and sums over threads. A dashboard breaks when one of
 * the names or a bucket changes. */
#include "common/daemon/metrics.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#define DEMO_METRICS(X)                                     \
    X(COUNTER, request_total, "Requests\nanswered \\ done") \
    X(GAUGE, open_connections, "Connections open now")
CDN_METRICS_STRUCT(demo_metrics, DEMO_METRICS);

static const struct cdn_metric_row rows[] = {
    DEMO_METRICS(CDN_METRIC_ROW) CDN_METRIC_LABELLED(COUNTER, "miss_total", "cause=\"cold\"", "Misses")
        CDN_METRIC_LABELLED(COUNTER, "miss_total", "cause=\"purged\"", "Misses")};

START_TEST(text_has_one_head_a_name)
{
    const uint64_t values[] = {7, 2, 5, 0};
    CDN_AUTOBUF struct cdn_buf out = {0};
    cdn_metrics_prometheus("pocketcdn_demo_", rows, values, 4, &out);
    ck_assert_str_eq(out.p, "# HELP pocketcdn_demo_request_total Requests\\nanswered \\\\ done\n"
                            "# TYPE pocketcdn_demo_request_total counter\n"
                            "pocketcdn_demo_request_total 7\n"
                            "# HELP pocketcdn_demo_open_connections Connections open now\n"
                            "# TYPE pocketcdn_demo_open_connections gauge\n"
                            "pocketcdn_demo_open_connections 2\n"
                            "# HELP pocketcdn_demo_miss_total Misses\n"
                            "# TYPE pocketcdn_demo_miss_total counter\n"
                            "pocketcdn_demo_miss_total{cause=\"cold\"} 5\n"
                            "pocketcdn_demo_miss_total{cause=\"purged\"} 0\n");
}
END_TEST

START_TEST(json_has_the_labels_in_the_key)
{
    const uint64_t values[] = {7, 2, 5, UINT64_MAX};
    json_t *into = json_object();
    cdn_metrics_json(rows, values, 4, into);
    ck_assert_uint_eq(json_object_size(into), 4);
    ck_assert_int_eq(json_integer_value(json_object_get(into, "request_total")), 7);
    ck_assert_int_eq(json_integer_value(json_object_get(into, "miss_total{cause=\"cold\"}")), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(into, "miss_total{cause=\"purged\"}")), INT64_MAX);
    json_decref(into);
}
END_TEST

START_TEST(structs_of_threads_add_up)
{
    struct demo_metrics a = {0};
    struct demo_metrics b = {0};
    uint64_t sum[2] = {0};
    cdn_metric_add(&a.request_total, 3);
    cdn_metric_add(&a.request_total, 4);
    cdn_metric_add(&b.request_total, 10);
    cdn_metric_set(&b.open_connections, 2);
    cdn_metrics_sum(&a, sum, 2);
    cdn_metrics_sum(&b, sum, 2);
    ck_assert_uint_eq(sum[0], 17);
    ck_assert_uint_eq(sum[1], 2);
    ck_assert_uint_eq(sizeof(a), sizeof(sum));
}
END_TEST

static const struct {
    uint64_t us;
    unsigned bucket;
} marks[] = {{0, 0},    {16, 0},   {17, 1},        {32, 1},        {33, 2},
             {1024, 6}, {1025, 7}, {33554432, 21}, {33554433, 22}, {UINT64_MAX, 22}};

START_TEST(histogram_bucket)
{
    struct cdn_histogram h = {0};
    cdn_histogram_add(&h, marks[_i].us);
    for (unsigned i = 0; i < CDN_HISTOGRAM_BUCKETS; i++) {
        ck_assert_msg(cdn_metric_get(&h.bucket[i]) == (i == marks[_i].bucket), "%u", i);
    }
    ck_assert_uint_eq(cdn_metric_get(&h.sum_us), marks[_i].us);
}
END_TEST

START_TEST(histogram_text_is_cumulative)
{
    struct cdn_histogram a = {0};
    struct cdn_histogram b = {0};
    const struct cdn_histogram *parts[] = {&a, &b};
    CDN_AUTOBUF struct cdn_buf out = {0};
    cdn_histogram_add(&a, 10);
    cdn_histogram_add(&b, 20);
    cdn_histogram_add(&b, 40000000);
    cdn_histogram_prometheus("p_", "seconds", "Time", parts, 2, &out);
    ck_assert_ptr_eq(strstr(out.p, "# HELP p_seconds Time\n# TYPE p_seconds histogram\n"
                                   "p_seconds_bucket{le=\"0.000016\"} 1\n"
                                   "p_seconds_bucket{le=\"0.000032\"} 2\n"),
                     out.p);
    ck_assert_ptr_nonnull(strstr(out.p, "p_seconds_bucket{le=\"33.554432\"} 2\n"
                                        "p_seconds_bucket{le=\"+Inf\"} 3\n"
                                        "p_seconds_sum 40.000030\np_seconds_count 3\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *all = tcase_create("all");
    tcase_add_test(all, text_has_one_head_a_name);
    tcase_add_test(all, json_has_the_labels_in_the_key);
    tcase_add_test(all, structs_of_threads_add_up);
    tcase_add_loop_test(all, histogram_bucket, 0, (int)CDN_ARRAY_LEN(marks));
    tcase_add_test(all, histogram_text_is_cumulative);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
