/* config: every type both ways, what is refused word by word, and which source wins. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEMO_SETTINGS(X)                                                            \
    X(STRING, name, "edge", 1, 16, NULL, RESTART, "NAME", "Name of this one")       \
    X(BOOL, verbose, "no", 0, 0, NULL, RUNTIME, "yes|no", "Say more")               \
    X(UINT, threads, "0", 0, 64, NULL, RESTART, "N", "Threads")                     \
    X(REAL, part, "0.1", 0, 1, NULL, RUNTIME, "N", "Part")                          \
    X(SIZE, memory, "256MiB", 65536, 10737418240, NULL, RESTART, "SIZE", "Memory")  \
    X(DURATION, max_age, "60s", 1, 0, NULL, RUNTIME, "TIME", "Age")                 \
    X(CHOICE, policy, "lru", 0, 0, "lru|fifo|sieve", RESTART, "NAME", "Policy")     \
    X(ADDRESS, listen, "127.0.0.1:0", 0, 0, NULL, RESTART, "HOST:PORT", "Listener") \
    X(ADDRESS, extra, "", 0, 0, NULL, RESTART, "HOST:PORT", "Second listener")      \
    X(LIST, tags, "a,b", 0, 4, NULL, RUNTIME, "TAG", "Tags")                        \
    X(MAP, ttl, "404=5s", 0, 3, NULL, RUNTIME, "STATUS=TIME", "Times")              \
    CDN_SHARED_SETTINGS(X)
CDN_CONFIG_STRUCT(demo_settings, DEMO_SETTINGS);
#define ROW(...) CDN_CONFIG_ROW_OF(struct demo_settings, __VA_ARGS__)
static const struct cdn_config_row rows[] = {DEMO_SETTINGS(ROW)};

static const struct cdn_config_program program = {.name = "pocketcdn-demo",
                                                  .env = "DEMO",
                                                  .summary = "A demo.",
                                                  .usage = "pocketcdn-demo [options]",
                                                  .sections = {"cdn", "edge"},
                                                  .list = "edges",
                                                  .rows = rows,
                                                  .row_count = CDN_ARRAY_LEN(rows),
                                                  .settings_size = sizeof(struct demo_settings)};

static const struct cdn_config_row *row_of(const char *field)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].field, field) == 0) {
            return &rows[i];
        }
    }
    ck_abort_msg("no row %s", field);
}

static void write_file(const char *path, struct cdn_str text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
}

/* Loads cdn.yaml of the current folder with up to three flags. */
static enum cdn_status load(const char *yaml, const char *const flags[3], struct demo_settings *s,
                            struct cdn_error *err)
{
    char *argv[8] = {cdn_strdup("demo")};
    int argc = 1;
    if (yaml) {
        write_file("cdn.yaml", cdn_str(yaml));
        argv[argc++] = cdn_strdup("-ccdn.yaml");
    }
    for (size_t i = 0; flags && i < 3 && flags[i]; i++) {
        argv[argc++] = cdn_strdup(flags[i]);
    }
    enum cdn_config_outcome outcome = CDN_CONFIG_DONE;
    enum cdn_status status = cdn_config_load(&program, argc, argv, s, &outcome, NULL, NULL, err);
    ck_assert(status != CDN_OK || outcome == CDN_CONFIG_RUN);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
    return status;
}

static char folder[64];

static void enter_folder(void)
{
    snprintf(folder, sizeof(folder), "/tmp/cdn-test-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void leave_folder(void)
{
    unlink("cdn.yaml");
    ck_assert_int_eq(chdir("/"), 0);
    rmdir(folder);
}

static const struct {
    const char *field;
    const char *text;
    const char *written;
} round_trips[] = {
    {"name", "fra 1", "fra 1"},
    {"name", "\xc3\xbc", "\xc3\xbc"},
    {"verbose", "on", "yes"},
    {"threads", "64", "64"},
    {"part", "0.1", "0.1"},
    {"part", "0.30000000000000004", "0.30000000000000004"},
    {"part", "1e-7", "1e-07"},
    {"memory", "1.5GiB", "1536MiB"},
    {"memory", "65537", "65537"},
    {"max_age", "90m", "1h30m"},
    {"max_age", "1ms", "1ms"},
    {"policy", "sieve", "sieve"},
    {"listen", "[::1]:80", "[::1]:80"},
    {"extra", "", ""},
    {"tags", "", ""},
    {"tags", " a , b,c ", "a,b,c"},
    {"tags", "a\\,b,\\\\,\\ c", "a\\,b,\\\\,\\ c"},
    {"ttl", "404=5s, 500 = x=y", "404=5s,500=x=y"},
    {"ttl", "a\\=b=,c=\\,", "a\\=b=,c=\\,"},
    {"trusted_proxies", "10.0.0.0/8,::1", "10.0.0.0/8,::1"},
    {"log_level", "error", "error"},
    {"admin_token", "s3cret", "s3cret"},
};

START_TEST(text_and_value_round_trip)
{
    const struct cdn_config_row *row = row_of(round_trips[_i].field);
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    ck_assert_msg(cdn_config_set(row, &s, "x", cdn_str(round_trips[_i].text), &err) == CDN_OK, "%s",
                  err.text);
    CDN_AUTOFREE char *text = cdn_config_text(row, &s);
    ck_assert_str_eq(text, round_trips[_i].written);
    ck_assert(cdn_config_set(row, &s, "x", cdn_str(text), &err) == CDN_OK);
    CDN_AUTOFREE char *again = cdn_config_text(row, &s);
    ck_assert_str_eq(again, text);
    cdn_config_free(&program, &s);
}
END_TEST

START_TEST(every_default_round_trips)
{
    struct demo_settings s = {0};
    ck_assert(cdn_config_load_item(&program, NULL, 0, &s, NULL) == CDN_OK);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        CDN_AUTOFREE char *text = cdn_config_text(&rows[i], &s);
        ck_assert(cdn_config_set(&rows[i], &s, "x", cdn_str(text), NULL) == CDN_OK);
        CDN_AUTOFREE char *again = cdn_config_text(&rows[i], &s);
        ck_assert_str_eq(again, text);
    }
    ck_assert_uint_eq(s.memory, 268435456);
    ck_assert_int_eq(s.max_age, 60000);
    ck_assert_int_eq(s.policy, 0);
    ck_assert_uint_eq(s.tags.n, 2);
    ck_assert_str_eq(cdn_config_map_get(&s.ttl, CDN_STR("404")), "5s");
    ck_assert_ptr_null(cdn_config_map_get(&s.ttl, CDN_STR("405")));
    cdn_config_free(&program, &s);
    ck_assert(cdn_config_load_item(&program, NULL, 1, &s, NULL) == CDN_NOT_FOUND);
}
END_TEST

static const struct {
    const char *flags[3];
    const char *error;
} bad_flags[] = {
    {{"--memory", "12Q"}, "--memory: \"12Q\" is not a size such as 64KiB, 10GiB or a number of bytes"},
    {{"--memory=1KiB"}, "--memory: \"1KiB\" is out of range, allowed: 64KiB to 10GiB"},
    {{"--max-age", "0s"}, "--max-age: \"0s\" is out of range, allowed: at least 1ms"},
    {{"--max-age", "-1s"}, "--max-age: \"-1s\" is not a time such as 500ms, 30s, 5m, 1h or 7d"},
    {{"--threads", "65"}, "--threads: \"65\" is out of range, allowed: 0 to 64"},
    {{"--threads", "x"}, "--threads: \"x\" is not a whole number"},
    {{"--part", "nan"}, "--part: \"nan\" is not a decimal number"},
    {{"--verbose=perhaps"}, "--verbose: \"perhaps\" is not yes or no"},
    {{"--no-verbose=1"}, "--no-verbose=1: takes no value"},
    {{"--policy", "LRU"}, "--policy: \"LRU\" is not one of lru, fifo, sieve"},
    {{"--listen", ""}, "--listen: \"\" is not an address such as 127.0.0.1:8080 or [::1]:8080"},
    {{"--listen", "a:1"}, "--listen: \"a:1\" is not an address such as 127.0.0.1:8080 or [::1]:8080"},
    {{"--name", ""}, "--name: 0 characters long, allowed: 1 to 16"},
    {{"--name", "a\nb"}, "--name: \"a?b\" has a control character in it"},
    {{"--ttl", "404"}, "--ttl: \"404\" is not STATUS=TIME"},
    {{"--ttl=4=1", "--ttl=4=2"}, "--ttl: \"4\" is there twice (first: --ttl)"},
    {{"--tags="}, "--tags: an item is empty"},
    {{"--trusted-proxies", "10.0.0.1/8"},
     "--trusted-proxies: \"10.0.0.1/8\" is not a network such as 10.0.0.0/8 or 2001:db8::/32"},
    {{"--memroy", "1"}, "unknown option \"--memroy\"; did you mean \"--memory\"? (--help lists all)"},
    {{"--quite-other"}, "unknown option \"--quite-other\" (--help lists all)"},
    {{"-x"}, "unknown option \"-x\" (--help lists all)"},
    {{"--memory"}, "--memory: needs a value"},
    {{"-c"}, "-c: needs a value"},
    {{"file"}, "unexpected argument \"file\" (--help says what is expected)"},
    {{"-cnone.yaml"}, "none.yaml: cannot open: No such file or directory"},
    {{"-c/"}, "/: cannot read: Is a directory"},
};

START_TEST(flag_is_refused)
{
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    ck_assert(load(NULL, bad_flags[_i].flags, &s, &err) != CDN_OK);
    ck_assert_str_eq(err.text, bad_flags[_i].error);
    ck_assert_ptr_null(s.name);
}
END_TEST

static const struct {
    const char *yaml;
    const char *error;
} bad_files[] = {
    {"edge:\n  memory: 12Q\n",
     "cdn.yaml:2: edge.memory: \"12Q\" is not a size such as 64KiB, 10GiB or a number of bytes"},
    {"edge:\n  memory: 1TiB\n", "cdn.yaml:2: edge.memory: \"1TiB\" is out of range, allowed: 64KiB to 10GiB"},
    {"edge:\n  memroy: 1\n", "cdn.yaml:2: unknown key \"memroy\" in edge; did you mean \"memory\"?"},
    {"edge:\n  colour: 1\n", "cdn.yaml:2: unknown key \"colour\" in edge"},
    {"egde:\n  memory: 1\n", "cdn.yaml:1: unknown key \"egde\"; did you mean \"edge\"?"},
    {"cdn:\n  memry: 1\n", "cdn.yaml:2: unknown key \"memry\" in cdn; did you mean \"memory\"?"},
    {"edge:\n  memory: 1M\n  threads: 1\n  memory: 2M\n",
     "cdn.yaml:4: edge.memory: the key is there twice (first in line 2)"},
    {"edge: {}\n\nedge: {}\n", "cdn.yaml:3: edge: the key is there twice (first in line 1)"},
    {"edge:\n  memory: [1]\n", "cdn.yaml:2: edge.memory: must be a single value, not a list"},
    {"edge:\n  memory:\n", "cdn.yaml:2: edge.memory: has no value (write \"\" for an empty text)"},
    {"edge:\n  name: ~\n", "cdn.yaml:2: edge.name: has no value (write \"\" for an empty text)"},
    {"edge:\n  tags: x\n", "cdn.yaml:2: edge.tags: must be a list, not a single value"},
    {"edge:\n  tags: [a, [b]]\n", "cdn.yaml:2: edge.tags: must be a single value, not a list"},
    {"edge:\n  tags: [1, 2, 3, 4, 5]\n", "cdn.yaml:2: edge.tags: 5 items, allowed: 0 to 4"},
    {"edge:\n  tags:\n  - ok\n  - \"\"\n", "cdn.yaml:4: edge.tags: an item is empty"},
    {"edge:\n  ttl:\n    a: [1]\n", "cdn.yaml:3: edge.ttl.a: must be a single value, not a list"},
    {"edge:\n  ttl: [a]\n", "cdn.yaml:2: edge.ttl: must be a mapping, not a list"},
    {"edge:\n  ttl:\n    a: 1\n    b: 1\n    a: 2\n",
     "cdn.yaml:5: edge.ttl.a: the key is there twice (first in line 3)"},
    {"edge:\n  trusted_proxies:\n  - ::1\n  - 1.2.3.4/5\n",
     "cdn.yaml:4: edge.trusted_proxies: \"1.2.3.4/5\" is not a network such as 10.0.0.0/8 or 2001:db8::/32"},
    {"edge: 3\n", "cdn.yaml:1: edge: must be a mapping, not a single value"},
    {"edges:\n  a: 1\n", "cdn.yaml:2: edges: must be a list, not a mapping"},
    {"- a\n", "cdn.yaml:1: the file: must be a mapping, not a list"},
    {"just text", "cdn.yaml:1: the file: must be a mapping, not a single value"},
    {"edge:\n  ? [a]\n  : 1\n", "cdn.yaml:2: a key: must be a single value, not a list"},
    {"edge: !foo {}\n", "cdn.yaml:1: the tag !foo is not understood"},
    {"edge:\n  name: !!int 3\n", "cdn.yaml:2: the tag tag:yaml.org,2002:int is not understood"},
    {"edge:\n  name: \"a\\0b\"\n", "cdn.yaml:2: edge.name: \"a?b\" has a control character in it"},
    {"edge:\n  <<: {name: a}\n", "cdn.yaml:2: unknown key \"<<\" in edge"},
    {"edge: {}\n---\nedge: {}\n", "cdn.yaml:2: a second document; one file is one CDN"},
    {"edge:\n\tname: x\n", "cdn.yaml:2: found character that cannot start any token"},
    {"edge: *none\n", "cdn.yaml:1: found undefined alias"},
    {"cdn: {}\nedge:\n  name: \xff\n", "cdn.yaml:3: invalid leading UTF-8 octet"},
    {"edge:\n  name: \xc0\xaf\n", "cdn.yaml:2: invalid length of a UTF-8 sequence"},
    {"edges:\n- name: a\n- name: b\n", "cdn.yaml: edges: 2 items; --name says which one is meant"},
    {"edges:\n- threads: 1\n", "cdn.yaml:2: edges: an item without `name`"},
    {"edge: {name: a}\nedges:\n- name: a\n- name: a\n",
     "cdn.yaml:4: edges: the name \"a\" is there twice (first in line 3)"},
    {"edges: [x]\n", "cdn.yaml:1: edges: must be a mapping, not a single value"},
    {"edges:\n- name: a\n  threads: -1\n", "cdn.yaml:3: edges[a].threads: \"-1\" is not a whole number"},
    {"edge: {name: c}\nedges:\n- name: a\n", "cdn.yaml: edges: no item is named \"c\" (there are: a)"},
    {"edge:\n  admin_token: \"x\\x01\"\n",
     "cdn.yaml:2: edge.admin_token: \"(the secret)\" has a control character in it"},
};

START_TEST(file_is_refused)
{
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    ck_assert(load(bad_files[_i].yaml, NULL, &s, &err) != CDN_OK);
    ck_assert_str_eq(err.text, bad_files[_i].error);
    ck_assert_int_eq(cdn_status_exit_code(err.status), 2);
    ck_assert_ptr_null(s.name);
}
END_TEST

START_TEST(limits_of_the_file)
{
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    CDN_AUTOBUF struct cdn_buf text = {0};
    for (int i = 0; i < 100000; i++) {
        cdn_buf_add_char(&text, '[');
    }
    ck_assert(load(text.p, NULL, &s, &err) == CDN_INVALID);
    ck_assert_str_eq(err.text, "cdn.yaml:1: nested too deeply");

    cdn_buf_clear(&text);
    while (text.n <= 8u << 20) {
        cdn_buf_add_str(&text, CDN_STR("# nothing but comments\n"));
    }
    ck_assert(load(text.p, NULL, &s, &err) == CDN_TOO_LARGE);
    ck_assert_str_eq(err.text, "cdn.yaml: larger than 8 MiB");

    /* an alias costs as much as what it stands for */
    cdn_buf_clear(&text);
    cdn_buf_add_str(&text, CDN_STR("cdn:\n  ttl: {a: 1}\n  trusted_proxies: &x ["));
    for (int i = 0; i < 9999; i++) {
        cdn_buf_add_str(&text, CDN_STR("1.2.3.4,"));
    }
    cdn_buf_add_str(&text, CDN_STR("]\nedge:\n  trusted_proxies: *x\nedges:\n"));
    ck_assert_msg(load(text.p, NULL, &s, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(s.trusted_proxies.n, 9999);
    cdn_config_free(&program, &s);

    cdn_buf_clear(&text);
    cdn_buf_add_str(&text, CDN_STR("cdn:\n  tags: &x ["));
    for (int i = 0; i < 100001; i++) {
        cdn_buf_add_str(&text, CDN_STR("a,"));
    }
    cdn_buf_add_str(&text, CDN_STR("]\n"));
    ck_assert(load(text.p, NULL, &s, &err) == CDN_TOO_LARGE);
    ck_assert_str_eq(err.text, "cdn.yaml:2: more than 100000 values (aliases count each time)");
}
END_TEST

START_TEST(strength_default_file_environment_flag)
{
    static const char yaml[] =
        "cdn:\n  threads: 1\n  log_level: warn\n  root: ./x\n  tags: [c]\n"
        "edge:\n  threads: 2\n  memory: 1MiB\n"
        "edges:\n- name: fra\n  max_age: 5s\n- name: lon\n  max_age: 6s\n  ttl: {a: b}\n";
    static const char *const flags[3] = {"--threads=4", "--name=lon", "--tags=x,y"};
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    setenv("POCKETCDN_DEMO_THREADS", "3", 1);
    setenv("POCKETCDN_MEMORY", "2MiB", 1);
    setenv("POCKETCDN_DEMO_PART", "", 1);
    setenv("POCKETCDN_PART", "0.5", 1);
    setenv("POCKETCDN_POLICY", "fifo", 1);
    setenv("POCKETCDN_DEMO_POLICY", "sieve", 1);
    ck_assert_msg(load(yaml, flags, &s, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(s.threads, 4);       /* flag over variable over edge over cdn */
    ck_assert_uint_eq(s.memory, 2u << 20); /* variable over file */
    ck_assert_double_eq(s.part, 0.5);      /* an empty variable is none */
    ck_assert_int_eq(s.policy, 2);         /* the program's variable over the common one */
    ck_assert_int_eq(s.log_level, 2);      /* file over default */
    ck_assert_int_eq(s.max_age, 6000);     /* the item of its name */
    ck_assert_str_eq(s.name, "lon");
    ck_assert_uint_eq(s.tags.n, 1); /* a flag replaces the file's list, and is one item */
    ck_assert_str_eq(s.tags.items[0].key, "x,y");
    ck_assert_str_eq(s.tags.items[0].origin, "--tags");
    ck_assert_uint_eq(s.ttl.n, 1);
    ck_assert_str_eq(s.ttl.items[0].origin, "cdn.yaml:14");
    cdn_config_free(&program, &s);
}
END_TEST

START_TEST(variable_is_named_in_its_error)
{
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    setenv("POCKETCDN_DEMO_THREADS", "many", 1);
    ck_assert(load(NULL, NULL, &s, &err) == CDN_INVALID);
    ck_assert_str_eq(err.text, "POCKETCDN_DEMO_THREADS: \"many\" is not a whole number");
}
END_TEST

START_TEST(booleans_as_flags)
{
    struct demo_settings s = {0};
    ck_assert(load(NULL, (const char *const[3]){"--verbose"}, &s, NULL) == CDN_OK && s.verbose);
    cdn_config_free(&program, &s);
    ck_assert(load("edge: {verbose: yes}", (const char *const[3]){"--no-verbose"}, &s, NULL) == CDN_OK &&
              !s.verbose);
    cdn_config_free(&program, &s);
}
END_TEST

START_TEST(rest_and_repeated_flags)
{
    char words[][16] = {"demo", "one", "--tags", "a", "two", "--tags=b", "--", "--three"};
    char *argv[CDN_ARRAY_LEN(words) + 1] = {NULL};
    struct demo_settings s = {0};
    enum cdn_config_outcome outcome;
    char **rest;
    size_t n;
    for (size_t i = 0; i < CDN_ARRAY_LEN(words); i++) {
        argv[i] = words[i];
    }
    ck_assert(cdn_config_load(&program, (int)CDN_ARRAY_LEN(words), argv, &s, &outcome, &rest, &n, NULL) ==
              CDN_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(rest[0], "one");
    ck_assert_str_eq(rest[1], "two");
    ck_assert_str_eq(rest[2], "--three");
    ck_assert_uint_eq(s.tags.n, 2);
    ck_assert_str_eq(s.tags.items[1].key, "b");
    free(rest);
    cdn_config_free(&program, &s);
}
END_TEST

START_TEST(items_by_number)
{
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    struct cdn_config_program reader = program;
    write_file(
        "cdn.yaml",
        CDN_STR("edge: {threads: 7, foreign: 1}\nedges:\n- name: a\n- {name: b, threads: 8, other: 2}\n"));
    ck_assert(cdn_config_load_item(&program, "cdn.yaml", 0, &s, &err) == CDN_INVALID);
    ck_assert_str_eq(err.text, "cdn.yaml:1: unknown key \"foreign\" in edge");
    reader.others_rows = true;
    ck_assert(cdn_config_load_item(&reader, "cdn.yaml", 0, &s, &err) == CDN_OK);
    ck_assert_str_eq(s.name, "a");
    ck_assert_uint_eq(s.threads, 7);
    cdn_config_free(&reader, &s);
    ck_assert(cdn_config_load_item(&reader, "cdn.yaml", 1, &s, &err) == CDN_OK);
    ck_assert_uint_eq(s.threads, 8);
    cdn_config_free(&reader, &s);
    ck_assert(cdn_config_load_item(&reader, "cdn.yaml", 2, &s, &err) == CDN_NOT_FOUND);
}
END_TEST

START_TEST(reload_names_what_needs_a_restart)
{
    struct demo_settings now = {0};
    struct demo_settings next = {0};
    struct cdn_error err = {0};
    ck_assert(load("edge: {part: 0.2}", NULL, &now, NULL) == CDN_OK);
    ck_assert(load("edge: {part: 0.3, tags: [], ttl: {}}", NULL, &next, NULL) == CDN_OK);
    ck_assert(cdn_config_can_reload(&program, &now, &next, &err) == CDN_OK);
    next.memory++;
    ck_assert(cdn_config_can_reload(&program, &now, &next, &err) == CDN_CONFLICT);
    ck_assert_str_eq(err.text, "memory: changing it needs a restart");
    cdn_config_free(&program, &now);
    cdn_config_free(&program, &next);
}
END_TEST

/* Runs the program with one flag and returns what it printed. */
static char *answer_of(const char *yaml, const char *flag)
{
    FILE *out = tmpfile();
    int saved = dup(STDOUT_FILENO);
    char *argv[] = {cdn_strdup("demo"), cdn_strdup("-ccdn.yaml"), cdn_strdup(flag), NULL};
    struct demo_settings s = {0};
    enum cdn_config_outcome outcome = CDN_CONFIG_RUN;
    char *text = cdn_calloc(1, 32768);
    write_file("cdn.yaml", cdn_str(yaml));
    fflush(stdout);
    dup2(fileno(out), STDOUT_FILENO);
    enum cdn_status status = cdn_config_load(&program, 3, argv, &s, &outcome, NULL, NULL, NULL);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    ck_assert(status == CDN_OK && outcome == CDN_CONFIG_DONE);
    ck_assert_int_ge(pread(fileno(out), text, 32767, 0), 0);
    fclose(out);
    for (int i = 0; i < 3; i++) {
        free(argv[i]);
    }
    return text;
}

START_TEST(printed_config_reads_back)
{
    static const char yaml[] = "edge:\n  name: \"null\"\n  tags: [\"a b\", \"#c\", 'd\"\\', \"yes\"]\n"
                               "  ttl: {\"a: b\": \"- x\"}\n  extra: \"\"\n";
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    CDN_AUTOFREE char *printed = answer_of(yaml, "--print-config");
    ck_assert_msg(load(printed, NULL, &s, &err) == CDN_OK, "%s in\n%s", err.text, printed);
    CDN_AUTOFREE char *tags = cdn_config_text(row_of("tags"), &s);
    CDN_AUTOFREE char *ttl = cdn_config_text(row_of("ttl"), &s);
    ck_assert_str_eq(s.name, "null");
    ck_assert_str_eq(tags, "a b,#c,d\"\\\\,yes");
    ck_assert_str_eq(ttl, "a: b=- x");
    ck_assert_ptr_nonnull(strstr(printed, "  name: \"null\"  # cdn.yaml:2\n"));
    ck_assert_ptr_nonnull(strstr(printed, "  threads: 0  # default\n"));
    cdn_config_free(&program, &s);
}
END_TEST

START_TEST(secret_is_never_printed)
{
    CDN_AUTOFREE char *printed = answer_of("cdn: {admin_token: hunter2}", "--print-config");
    ck_assert_ptr_null(strstr(printed, "hunter2"));
    ck_assert_ptr_nonnull(strstr(printed, "admin_token: \"********\"  # cdn.yaml:1"));
}
END_TEST

START_TEST(help_fits_and_is_complete)
{
    CDN_AUTOFREE char *help = answer_of("", "--help");
    struct cdn_str rest = cdn_str(help);
    while (rest.p) {
        ck_assert_uint_le(cdn_str_cut(&rest, '\n').n, 100);
    }
    ck_assert_ptr_eq(strstr(help, "usage: pocketcdn-demo [options]\n\nA demo.\n\nSettings:\n"), help);
    ck_assert_ptr_nonnull(strstr(help,
                                 "  --memory SIZE                   Memory (64KiB to 10GiB; default 256MiB; "
                                 "POCKETCDN_DEMO_MEMORY)\n"));
    ck_assert_ptr_nonnull(strstr(help, "  --[no-]verbose "));
    ck_assert_ptr_nonnull(strstr(help, "  -c, --config FILE "));
}
END_TEST

START_TEST(commented_yaml_is_valid_when_uncommented)
{
    CDN_AUTOFREE char *yaml = answer_of("", "--help-config");
    CDN_AUTOBUF struct cdn_buf plain = {0};
    struct demo_settings s = {0};
    struct cdn_error err = {0};
    struct cdn_str rest = cdn_str(yaml);
    ck_assert_msg(load(yaml, NULL, &s, &err) == CDN_OK, "%s", err.text);
    cdn_config_free(&program, &s);
    while (rest.p) { /* keep the settings: what looks like `# word:` or is indented below one */
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        struct cdn_str text = cdn_str_sub(line, 4);
        size_t word = strspn(text.n ? text.p : "", "abcdefghijklmnopqrstuvwxyz_");
        bool setting =
            cdn_str_starts(line, CDN_STR("  # ")) && ((word && text.p[word] == ':') || text.p[0] == ' ');
        if (setting) {
            cdn_buf_printf(&plain, "  " CDN_STR_FMT "\n", CDN_STR_ARG(text));
        } else {
            cdn_buf_printf(&plain, CDN_STR_FMT "\n", CDN_STR_ARG(line));
        }
    }
    ck_assert_msg(load(plain.p, NULL, &s, &err) == CDN_OK, "%s in\n%s", err.text, plain.p);
    ck_assert_uint_eq(s.memory, 256u << 20);
    cdn_config_free(&program, &s);
}
END_TEST

START_TEST(reference_has_a_line_for_each_row)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    cdn_config_reference(&program, &out);
    size_t lines = 0;
    for (size_t i = 0; i < out.n; i++) {
        lines += out.p[i] == '\n';
    }
    ck_assert_uint_eq(lines, CDN_ARRAY_LEN(rows) + 2);
    ck_assert_ptr_nonnull(strstr(out.p,
                                 "| `max_age` | `--max-age` `POCKETCDN_DEMO_MAX_AGE` | a time such as 500ms, "
                                 "30s, 5m, 1h or 7d; at least 1ms | `60s` | yes | Age |\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, enter_folder, leave_folder);
    tcase_add_loop_test(all, text_and_value_round_trip, 0, (int)CDN_ARRAY_LEN(round_trips));
    tcase_add_test(all, every_default_round_trips);
    tcase_add_loop_test(all, flag_is_refused, 0, (int)CDN_ARRAY_LEN(bad_flags));
    tcase_add_loop_test(all, file_is_refused, 0, (int)CDN_ARRAY_LEN(bad_files));
    tcase_add_test(all, limits_of_the_file);
    tcase_add_test(all, strength_default_file_environment_flag);
    tcase_add_test(all, variable_is_named_in_its_error);
    tcase_add_test(all, booleans_as_flags);
    tcase_add_test(all, rest_and_repeated_flags);
    tcase_add_test(all, items_by_number);
    tcase_add_test(all, reload_names_what_needs_a_restart);
    tcase_add_test(all, printed_config_reads_back);
    tcase_add_test(all, secret_is_never_printed);
    tcase_add_test(all, help_fits_and_is_complete);
    tcase_add_test(all, commented_yaml_is_valid_when_uncommented);
    tcase_add_test(all, reference_has_a_line_for_each_row);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
