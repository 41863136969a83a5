/* config: settings of a program from one table of rows.
 *
 * A program lists its settings once, as an X-macro; the struct, the parser, the bounds, `--help`, the
 * reference page and the round-trip test come from it:
 *
 *     #define ORIGIN_SETTINGS(X) \
 *         X(STRING,   root,    "",     0, 0, NULL, RESTART, "DIR",  "Folder to serve") \
 *         X(DURATION, max_age, "60s",  0, 31536000000, NULL, RUNTIME, "TIME", "Freshness lifetime of ...") \
 *         CDN_SHARED_SETTINGS(X)
 *     CDN_CONFIG_STRUCT(origin_settings, ORIGIN_SETTINGS);
 *     #define ROW(...) CDN_CONFIG_ROW_OF(struct origin_settings, __VA_ARGS__)
 *     static const struct cdn_config_row rows[] = {ORIGIN_SETTINGS(ROW)};
 *
 * Columns: type, field, default (as text), min, max, choices, RESTART or RUNTIME (whether a reload can
 * change it), metavar, help. min and max count in the unit of the type (bytes, ms, number; characters of a
 * text, items of a list); both 0: no bounds, max below min: no upper bound. Choices: "a|b|c" for a CHOICE;
 * CDN_CONFIG_SECRET for a text that --print-config masks; CDN_CONFIG_PROXY for one that is empty or a
 * proxy's URL; CDN_CONFIG_CIDRS for a list whose items are networks; CDN_CONFIG_VALUES for a map whose
 * values may be sequences in YAML, joined by "; "; CDN_CONFIG_MAPPINGS for a list whose items may be
 * mappings in YAML, joined to "KEY=VALUE,KEY=VALUE"; CDN_CONFIG_ONE for a list whose only item may stand
 * alone in YAML; otherwise NULL.
 *
 * The field `max_age` is the flag `--max-age`, the config key `max_age`, and the environment variables
 * `POCKETCDN_ORIGIN_MAX_AGE` and, weaker, `POCKETCDN_MAX_AGE`. Strength: default < file < environment <
 * flag; a stronger list or map replaces the weaker one whole. A BOOL is `--simulate`, `--simulate=no` or
 * `--no-simulate`. A LIST may repeat its flag (one item each), holds comma-separated items in the
 * environment and in its default (a backslash takes a comma literally), and is a sequence in YAML. A MAP
 * is a YAML mapping of scalars, `KEY=VALUE` as a flag (repeatable) or comma-separated in the environment.
 * An ADDRESS whose default is "" may be empty.
 *
 * One `cdn.yaml` describes the whole CDN; a program reads the sections it names (`sections`, later wins)
 * and, when it is one of many, the item of the sequence `list` whose `name` is its own. Unknown keys,
 * duplicates, wrong types and values out of range are refused with file, line and key.
 *
 * The file is read by libyaml's document API: its nodes carry marks, so that what is wrong in meaning (a
 * bound, a duplicate, an unknown network), and not in syntax alone, is named with its line, and with both
 * lines for a duplicate. libcyaml's loader, which fills structs from a schema, keeps no line once a value
 * has been read. Limits: 8 MiB, UTF-8 only, one document, 100000 nodes visited (aliases count each time),
 * no tags, no merge keys.
 *
 * Life cycle: load -> use -> free. No state of its own: threads may load at the same time into different
 * structs, but for cdn_config_load, whose getopt_long(3) is not thread-safe. */
#ifndef CDN_COMMON_CONFIG_H
#define CDN_COMMON_CONFIG_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdn_config_entry { /* one item of a LIST (value empty) or a MAP */
    char *key;
    char *value;
    char *origin; /* where it came from, for messages: "cdn.yaml:12" or "--override" */
};
struct cdn_config_list {
    struct cdn_config_entry *items;
    size_t n;
};

#define CDN_CONFIG_TYPES(X) /* name, C type, what a value is (for messages) */           \
    X(BOOL, bool, "yes or no")                                                           \
    X(UINT, uint64_t, "a whole number")                                                  \
    X(REAL, double, "a decimal number")                                                  \
    X(SIZE, uint64_t, "a size such as 64KiB, 10GiB or a number of bytes")                \
    X(DURATION, int64_t, "a time such as 500ms, 30s, 5m, 1h or 7d")                      \
    X(CHOICE, int, "one of its names") /* the value is the number of the name, from 0 */ \
    X(STRING, char *, "a text")                                                          \
    X(ADDRESS, char *, "an address such as 127.0.0.1:8080 or [::1]:8080")                \
    X(LIST, struct cdn_config_list, "a list")                                            \
    X(MAP, struct cdn_config_list, "a map")

enum cdn_config_type {
#define X(name, ctype, looks) CDN_CONFIG_##name,
    CDN_CONFIG_TYPES(X)
#undef X
        CDN_CONFIG_TYPE_COUNT
};
#define X(name, ctype, looks) typedef ctype cdn_config_c_##name; /* only the tables use these names */
CDN_CONFIG_TYPES(X)
#undef X

enum cdn_config_when { CDN_CONFIG_RESTART, CDN_CONFIG_RUNTIME };

struct cdn_config_row {
    const char *field;
    enum cdn_config_type type;
    size_t offset;
    const char *fallback; /* the default, as text */
    double min, max;
    const char *choices;
    enum cdn_config_when when;
    const char *metavar;
    const char *help;
};

#define CDN_CONFIG_FIELD(type, field, fallback, min, max, choices, when, metavar, help) \
    cdn_config_c_##type field;
#define CDN_CONFIG_STRUCT(tag, TABLE) \
    struct tag {                      \
        TABLE(CDN_CONFIG_FIELD)       \
    }
/* A row of the table whose struct is `strukt`: see the example above. */
#define CDN_CONFIG_ROW_OF(strukt, type_, field_, fallback_, min_, max_, choices_, when_, metavar_, help_) \
    {.field = #field_,                                                                                    \
     .type = CDN_CONFIG_##type_,                                                                          \
     .offset = offsetof(strukt, field_),                                                                  \
     .fallback = fallback_,                                                                               \
     .min = (double)(min_),                                                                               \
     .max = (double)(max_),                                                                               \
     .choices = choices_,                                                                                 \
     .when = CDN_CONFIG_##when_,                                                                          \
     .metavar = metavar_,                                                                                 \
     .help = help_},

/* Marks for the column `choices`. */
#define CDN_CONFIG_SECRET "secret"
#define CDN_CONFIG_CIDRS "cidr"
#define CDN_CONFIG_PROXY "proxy" /* common/proxy_url.h; who one is there is a secret */
#define CDN_CONFIG_VALUES "values"
#define CDN_CONFIG_MAPPINGS "mappings"
#define CDN_CONFIG_ONE "one"

/* Settings that every daemon has; their place in cdn.yaml is the section `cdn`. */
#define CDN_SHARED_SETTINGS(X)                                                                            \
    X(CHOICE, log_level, "info", 0, 0, "debug|info|warn|error", RUNTIME, "LEVEL",                         \
      "Lowest level that is logged")                                                                      \
    X(BOOL, log_json, "no", 0, 0, NULL, RESTART, "yes|no", "Log lines as JSON objects")                   \
    X(BOOL, simulate, "no", 0, 0, NULL, RESTART, "yes|no",                                                \
      "Simulation: POST /clock and /faults on the admin listener; clients may say where they are")        \
    X(STRING, admin_token, "", 0, 1024, CDN_CONFIG_SECRET, RESTART, "TOKEN",                              \
      "Bearer token of the admin listener; required when that is not on loopback")                        \
    X(DURATION, head_timeout, "10s", 10, 3600000, NULL, RESTART, "TIME",                                  \
      "For a whole request head, or TLS handshake, from its first byte; slower ones get 408")             \
    X(DURATION, body_timeout, "30s", 10, 3600000, NULL, RESTART, "TIME",                                  \
      "For a whole request body, besides the time that body_rate gives it; slower ones get 408")          \
    X(SIZE, body_rate, "1000", 1, 1e12, NULL, RESTART, "SIZE",                                            \
      "Slowest request body, in bytes a second: what has come extends body_timeout by the time it would " \
      "have taken at this rate")                                                                          \
    X(LIST, trusted_proxies, "", 0, 10000, CDN_CONFIG_CIDRS, RUNTIME, "CIDR",                             \
      "Peers whose client_field is believed")                                                             \
    X(CHOICE, client_field, "x-forwarded-for", 0, 0, "x-forwarded-for|forwarded|none", RUNTIME, "FIELD",  \
      "The one field of trusted_proxies that names the client: x-forwarded-for (with X-Forwarded-Proto "  \
      "and -Host), forwarded (RFC 7239), or none")                                                        \
    X(CHOICE, proxy_protocol, "no", 0, 0, "no|yes|optional", RESTART, "HOW",                              \
      "Connections of trusted_proxies to the public listener must (yes) or may (optional) begin with a "  \
      "PROXY protocol header (version 1 or 2), within head_timeout; its address is the client's")

/* Settings of a public listener that can speak TLS (common/http/server/tls_set.h). */
#define CDN_TLS_SETTINGS(X)                                                                                  \
    X(LIST, tls_certificate, "", 0, 1000, CDN_CONFIG_ONE, RUNTIME, "FILE|DIR",                               \
      "The public listener speaks TLS with these certificates (PEM, each followed by its chain), chosen by " \
      "the name that a client asks for, else the first; a folder: all in it; read again at a reload")        \
    X(LIST, tls_key, "", 0, 1000, CDN_CONFIG_ONE, RUNTIME, "FILE",                                           \
      "Private keys of the files of --tls-certificate, in their order (PEM, no passphrase); none: each is "  \
      "in its certificate's file")

/* Further keys of the section `cdn`, which only `pocketcdn up` reads: the other programs pass over them. */
#define CDN_UP_KEYS(X) X(root) X(origin) X(state) X(detach) X(seed) X(open)

struct cdn_config_program {
    const char *name;        /* "pocketcdn-edge" */
    const char *env;         /* "EDGE": POCKETCDN_EDGE_... */
    const char *summary;     /* first line of --help */
    const char *usage;       /* the line(s) after "usage: " */
    const char *sections[4]; /* top-level mappings of cdn.yaml to read, weakest first; NULL-ended */
    const char *list;        /* top-level sequence of mappings to take one item of, or NULL */
    /* the sections and items belong to another program, which checks them: unknown keys are ignored */
    bool others_rows;
    bool checks; /* understands --check */
    const struct cdn_config_row *rows;
    size_t row_count;
    size_t settings_size;
};

enum cdn_config_outcome {
    CDN_CONFIG_RUN,   /* settings are complete */
    CDN_CONFIG_DONE,  /* --help, --version, --help-config or --print-config was answered on stdout */
    CDN_CONFIG_CHECK, /* as RUN, but --check was given: the program says whether it could start, and ends */
};

/* Reads everything for one program. Understands besides the rows: -c/--config FILE (or POCKETCDN_CONFIG),
 * -h/--help, --version, --help-config (the settings as a commented cdn.yaml section), --print-config (the
 * effective values).
 *
 * `*ret_settings` points at a zeroed struct of program->settings_size; on success the caller frees it with
 * cdn_config_free. `ret_rest`/`ret_rest_count` (may be NULL: then positional arguments are refused) receive
 * borrowed pointers into argv in an array that the caller frees. */
enum cdn_status cdn_config_load(const struct cdn_config_program *program, int argc, char **argv,
                                void *ret_settings, enum cdn_config_outcome *ret_outcome, char ***ret_rest,
                                size_t *ret_rest_count, struct cdn_error *err) CDN_MUST_CHECK;

/* The file that the flags or the environment name; owned by the caller; NULL: none. */
char *cdn_config_path(const struct cdn_config_program *program, int argc, char **argv);

/* The settings of one item of a cdn.yaml without flags or environment; `item` counts from 0 in program->list
 * and is ignored when the program has none. CDN_NOT_FOUND after the last item. `path` NULL: defaults only
 * (item 0). A program that reads another one's items for a few fields sets `others_rows`. */
enum cdn_status cdn_config_load_item(const struct cdn_config_program *program, const char *path, size_t item,
                                     void *ret_settings, struct cdn_error *err) CDN_MUST_CHECK;
/* Hands every item of the list over, in order; `take` owns what the settings point to. The file is read once,
 * so that thousands are no matter. After a mistake in one, those before it have been taken. */
enum cdn_status cdn_config_load_items(const struct cdn_config_program *program, const char *path,
                                      void (*take)(void *arg, const void *settings), void *arg,
                                      struct cdn_error *err) CDN_MUST_CHECK;

/* For messages about what is wrong between values: the line of `section` (with `item`, unless SIZE_MAX, of
 * that item of the sequence), or of `key` in it when it is there. 0: the file does not have it. */
size_t cdn_config_line(const char *path, const char *section, size_t item, const char *key);

/* For a reload: CDN_OK when `next` differs from `now` in RUNTIME rows only, otherwise CDN_CONFLICT naming the
 * first RESTART row that differs. */
enum cdn_status cdn_config_can_reload(const struct cdn_config_program *program, const void *now,
                                      const void *next, struct cdn_error *err) CDN_MUST_CHECK;

/* Sets one field from text, with the bounds of its row. The message is "WHERE: VALUE is not ...", so `where`
 * names the place and the key ("cdn.yaml:3: edge.memory", "--memory"). LIST and MAP: comma-separated,
 * replacing all. */
enum cdn_status cdn_config_set(const struct cdn_config_row *row, void *settings, const char *where,
                               struct cdn_str text, struct cdn_error *err) CDN_MUST_CHECK;

/* The value as text that cdn_config_set reads back to the same value. Owned by the caller. */
char *cdn_config_text(const struct cdn_config_row *row, const void *settings);

/* NULL is fine; zeroes the fields. */
void cdn_config_free(const struct cdn_config_program *program, void *settings);

/* The items of a LIST, borrowed, with a NULL behind them; the array is the caller's. */
const char **cdn_config_items(const struct cdn_config_list *list);

/* The value of `key` in a MAP, or NULL. */
const char *cdn_config_map_get(const struct cdn_config_list *map, struct cdn_str key);

/* Among NULL-ended `names` the one that `word` was probably meant to be, or NULL. */
const char *cdn_config_closest(struct cdn_str word, const char *const *names);

/* The rows as a Markdown table for docs/, as the commented YAML of --help-config. */
void cdn_config_reference(const struct cdn_config_program *program, struct cdn_buf *out);
void cdn_config_yaml(const struct cdn_config_program *program, struct cdn_buf *out);
/* A man page (section 8); `text` escaped as roff wants it. */
void cdn_config_man(const struct cdn_config_program *program, struct cdn_buf *out);
void cdn_config_man_text(struct cdn_buf *out, const char *text);

#endif
