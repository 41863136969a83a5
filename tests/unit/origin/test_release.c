/* origin/release: names, differences, what is stale, the order of look-ups, staticfiles.json: the pure
 * parts. A mistake here publishes what nobody can ask for, or leaves an edge with an old file. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "origin/release/file.h"
#include "origin/release/manifest.h"
#include "origin/release/name.h"
#include "origin/release/stale.h"
#include "origin/release/table.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define TWELVE (UINT64_C(1) << 11)
#define HASHED "app.0123456789ab.js"

/* "a=1 b=2": names, and what stands for their bytes. */
static struct release_files files_of(const char *text)
{
    struct release_files files = {0};
    for (struct cdn_str rest = cdn_str(text); rest.n;) {
        struct cdn_str value = cdn_str_cut(&rest, ' ');
        CDN_AUTOFREE char *name = cdn_str_dup(cdn_str_cut(&value, '='));
        release_files_add(&files, name)->sha[0] = (unsigned char)value.p[0];
    }
    release_files_sort(&files);
    return files;
}

static const struct {
    const char *name;
    bool good;
} names[] = {
    {"a", true},          {"css/app.css", true}, {"caf\xc3\xa9.txt", true},
    {"a b?#%.txt", true}, {"", false},           {"a//b", false},
    {"/a", false},        {"a/", false},         {"a/../b", false},
    {".", false},         {"a\\b", false},       {"a\nb", false},
    {"a\x7f", false},     {"\xff.txt", false},   {"\xc3", false},
};

START_TEST(a_name_can_be_asked_for)
{
    ck_assert_msg(!release_name_fault(cdn_str(names[_i].name)) == names[_i].good, "'%s'", names[_i].name);
}
END_TEST

static const struct {
    const char *name, *digits;
} promises[] = {
    {HASHED, "0123456789ab"},
    {"d/" HASHED ".map", "0123456789ab"},
    {"a.0123456789ab.0123456789cd.js", "0123456789cd"},
    {"d.0123456789ab.x/app.js", NULL},
    {"app.0123456789AB.js", NULL},
    {"app.0123456789a.js", NULL},
    {"app-0123456789ab.js", NULL},
    {".0123456789ab.js", NULL},
    {"app.0123456789ab.", NULL},
    {"app.0123456789ab", NULL},
};

START_TEST(a_name_promises_its_bytes)
{
    struct cdn_str digits = CDN_STR("");
    const bool does = release_name_promises(cdn_str(promises[_i].name), &digits);
    ck_assert_msg(does == (promises[_i].digits != NULL), "%s", promises[_i].name);
    ck_assert(!does || cdn_str_eq(digits, cdn_str(promises[_i].digits)));
}
END_TEST

static void write_change(void *arg, enum release_change change, const struct release_file *from,
                         const struct release_file *to)
{
    cdn_buf_printf(arg, "%s%s",
                   change == RELEASE_ADDED     ? "+"
                   : change == RELEASE_REMOVED ? "-"
                                               : "!",
                   to ? to->name : from->name);
}

static const struct {
    const char *from, *to, *diff, *stale;
} changes[] = {
    {"", "", "", ""},
    {"a=1 b=1", "a=1 b=1", "", ""},
    {"", "a=1", "+a", "/a"},
    {"a=1", "", "-a", "/a"},
    {"a=1 b=1 c=1", "b=2 c=1 d=1", "-a!b+d", "/a /b /d"},
    {"a=1 a/b=1 a-b=1", "a=1 a/b=2 a-b=1", "!a/b", "/a/b"},
    {"", HASHED "=1", "+" HASHED, ""},
    {HASHED "=1", HASHED "=2", "!" HASHED, ""},
    {"index.html=1", "index.html=2", "!index.html", "/ /index.html"},
    {"d/index.html=1", "", "-d/index.html", "/d/ /d/index.html"},
    {"", "myindex.html=1", "+myindex.html", "/myindex.html"},
    {"a.css=1 a.css.br=1", "a.css=1 a.css.br=2", "!a.css.br", "/a.css /a.css.br"},
    {"d/index.html.gz=1", "", "-d/index.html.gz", "/d/ /d/index.html /d/index.html.gz"},
    {"a.css=1 a.css.br=1", "a.css=2 a.css.br=2", "!a.css!a.css.br", "/a.css /a.css.br"},
    {"", "a\xc3\xa9=1", "+a\xc3\xa9", "/a%C3%A9"},
    {"", "a?b%=1", "+a?b%", "/a%3Fb%25"},
};

START_TEST(what_differs_and_what_is_stale)
{
    struct release_files from = files_of(changes[_i].from), to = files_of(changes[_i].to);
    struct release_stale stale = {0};
    CDN_AUTOBUF struct cdn_buf diff = {0}, paths = {0};
    release_diff(&from, &to, write_change, &diff);
    ck_assert_str_eq(diff.p ? diff.p : "", changes[_i].diff);
    release_stale_add(&stale, &from, &to, "index.html", TWELVE);
    release_stale_finish(&stale);
    for (size_t i = 0; i < stale.paths.n; i++) {
        cdn_buf_printf(&paths, "%s%s", i ? " " : "", stale.paths.items[i].name);
    }
    ck_assert_str_eq(paths.p ? paths.p : "", changes[_i].stale);
    release_stale_free(&stale);
    release_files_free(&from);
    release_files_free(&to);
}
END_TEST

START_TEST(a_change_of_bytes_is_a_change_of_time)
{
    struct release_files before = files_of("a=1 b=1"), after = files_of("a=1 b=2 c=1");
    before.items[0].changed_s = before.items[1].changed_s = 5;
    release_files_inherit(&after, &before, 9);
    ck_assert_int_eq(after.items[0].changed_s, 5);
    ck_assert_int_eq(after.items[1].changed_s, 9);
    ck_assert_int_eq(after.items[2].changed_s, 9);
    release_files_free(&before);
    release_files_free(&after);
}
END_TEST

/* At the time 100: the current release, a staged one, one that is kept until 200, one until 50. */
static const struct {
    const char *name;
    char is; /* 0: not there */
} look_ups[] = {
    {"page.html", 'c'}, {"a.0123456789ab.js", 'c'}, {"b.0123456789ab.js", 's'}, {"c.0123456789ab.js", 'k'},
    {"old.html", 0},    {"staged.html", 0},         {"d.0123456789ab.js", 0},   {"page", 0},
    {"page.htm", 0},    {"e-0123456789ab.js", 'k'},
};

START_TEST(the_order_of_looking)
{
    struct release_table *table = release_table_create(3, 4, TWELVE);
    struct release_files parts[] = {
        files_of("page.html=c a.0123456789ab.js=c d/e/f.txt=c"),
        files_of("page.html=s staged.html=s a.0123456789ab.js=s b.0123456789ab.js=s"),
        files_of("page.html=k old.html=k b.0123456789ab.js=k c.0123456789ab.js=k e-0123456789ab.js=k"),
        files_of("c.0123456789ab.js=x d.0123456789ab.js=x"),
    };
    const int64_t until[] = {RELEASE_FOR_EVER, RELEASE_FOR_EVER, 200, 50};
    for (size_t i = 0; i < CDN_ARRAY_LEN(parts); i++) {
        release_table_add(table, &parts[i], i == 0, until[i]);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(look_ups); i++) {
        int64_t ends;
        const struct release_file *file = release_table_find(table, cdn_str(look_ups[i].name), 100, &ends);
        ck_assert_msg((file ? file->sha[0] : 0) == look_ups[i].is, "%s", look_ups[i].name);
    }
    ck_assert(release_table_has_folder(table, CDN_STR("d")) &&
              release_table_has_folder(table, CDN_STR("d/e")));
    ck_assert(!release_table_has_folder(table, CDN_STR("d/e/f.txt")) &&
              !release_table_has_folder(table, CDN_STR("")));
    ck_assert_uint_eq(release_table_current(table), 3);
    ck_assert_uint_eq(release_table_newest(table), 4);
    release_table_unref(table);
}
END_TEST

START_TEST(how_long_a_release_is_kept)
{
    ck_assert_int_eq(release_kept_until(1000, 1, 1, 50), RELEASE_FOR_EVER);
    ck_assert_int_eq(release_kept_until(1000, 2, 1, 50), 1050);
    ck_assert_int_eq(release_kept_until(1000, 1, 0, 0), 1000);
}
END_TEST

static const struct {
    const char *json, *files;
    bool good;
    size_t left_over, unknown;
} manifests[] = {
    {"{\"paths\": {}}", "", true, 0, 0},
    {"{\"paths\": {\"app.js\": \"" HASHED "\"}}", "app.js=1 " HASHED "=1 staticfiles.json=1", true, 0, 0},
    {"{\"paths\": {\"app.js\": \"" HASHED "\"}}", HASHED "=1 " HASHED ".br=1", true, 0, 0},
    {"{\"paths\": {\"app.js\": \"" HASHED "\"}}", "app.js=1", false, 0, 0},
    {"{\"paths\": {\"app.js\": \"" HASHED "\"}}", HASHED "=1 b.0123456789ab.js=1 new.txt=1 x.txt=1", true, 1,
     2},
    {"{\"paths\": {\"app.js\": 5}}", HASHED "=1", false, 0, 0},
    {"{\"paths\": [\"app.js\"]}", "", false, 0, 0},
    {"{\"version\": \"1.0\"}", "", false, 0, 0},
    {"[]", "", false, 0, 0},
    {"", "", false, 0, 0},
    {"{\"paths\": {}", "", false, 0, 0},
    {"{\"paths\": {\"a\": \"b\", \"a\": \"c\"}}", "b=1 c=1", false, 0, 0},
    {"{\"paths\": {\"a\": \"../b\"}}", "b=1", false, 0, 0},
};

START_TEST(a_manifest_and_its_files)
{
    struct release_files files = files_of(manifests[_i].files);
    struct release_manifest_note note = {0};
    struct cdn_error err;
    const bool good = release_manifest_check(cdn_str(manifests[_i].json), &files, "", &note, &err) == CDN_OK;
    ck_assert_msg(good == manifests[_i].good, "%s", manifests[_i].json);
    ck_assert_uint_eq(note.left_over, manifests[_i].left_over);
    ck_assert_uint_eq(note.unknown, manifests[_i].unknown);
    release_files_free(&files);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/release");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, a_name_can_be_asked_for, 0, CDN_ARRAY_LEN(names));
    tcase_add_loop_test(tc, a_name_promises_its_bytes, 0, CDN_ARRAY_LEN(promises));
    tcase_add_loop_test(tc, what_differs_and_what_is_stale, 0, CDN_ARRAY_LEN(changes));
    tcase_add_test(tc, a_change_of_bytes_is_a_change_of_time);
    tcase_add_test(tc, the_order_of_looking);
    tcase_add_test(tc, how_long_a_release_is_kept);
    tcase_add_loop_test(tc, a_manifest_and_its_files, 0, CDN_ARRAY_LEN(manifests));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
