/* config_text: all that is printed from the rows: --help, --print-config, the commented YAML and
 * the reference page. Also the search for the nearest name, by edit distance, for everybody who has
 * to say "did you mean". */
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/mem.h"
#include "common/proxy_url.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define HELP_WIDTH 100
#define HELP_COLUMN 34 /* where the explanations begin */

/* Optimal string alignment distance, bounded by the buffers: names are short. */
static size_t distance(struct cdn_str a, struct cdn_str b)
{
    size_t rows[3][48];
    if (a.n >= 48 || b.n >= 48) {
        return 48;
    }
    for (size_t j = 0; j <= b.n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t *row = rows[i % 3];
        const size_t *up = rows[(i + 2) % 3];
        const size_t *up2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            best = up[j] + 1 < best ? up[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
                up2[j - 2] + 1 < best) {
                best = up2[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return rows[a.n % 3][b.n];
}

const char *cdn_config_closest(struct cdn_str word, const char *const *names)
{
    const char *best = NULL;
    size_t least = word.n <= 4 ? 2 : 3; /* beyond that it is a guess */
    for (; *names; names++) {
        size_t d = distance(word, cdn_str(*names));
        if (d < least) {
            least = d;
            best = *names;
        }
    }
    return best;
}

/* Adds `text` word by word, from column `at` on, later lines indented to HELP_COLUMN. */
static void add_wrapped(struct cdn_buf *out, const char *text, size_t at)
{
    struct cdn_str rest = cdn_str(text);
    size_t column = at;
    bool first = true;
    while (rest.p) {
        struct cdn_str word = cdn_str_cut(&rest, ' ');
        if (!first && column + 1 + word.n > HELP_WIDTH) {
            cdn_buf_printf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (!first) {
            cdn_buf_add_char(out, ' ');
            column++;
        }
        cdn_buf_add_str(out, word);
        column += word.n;
        first = false;
    }
    cdn_buf_add_char(out, '\n');
}

static void add_flag(struct cdn_buf *out, const char *flag, const char *text)
{
    size_t n = strlen(flag);
    cdn_buf_printf(out, "  %s", flag);
    if (n + 4 > HELP_COLUMN) {
        cdn_buf_printf(out, "\n%*s", HELP_COLUMN, "");
    } else {
        cdn_buf_printf(out, "%*s", (int)(HELP_COLUMN - 2 - n), "");
    }
    add_wrapped(out, text, HELP_COLUMN);
}

static void add_row_help(const struct cdn_config_program *program, const struct cdn_config_row *row,
                         struct cdn_buf *out)
{
    CDN_AUTOFREE char *name = config_flag_name(row->field);
    CDN_AUTOFREE char *env = config_env_name(program->env, row->field);
    CDN_AUTOBUF struct cdn_buf bounds = {0};
    CDN_AUTOBUF struct cdn_buf text = {0};
    config_bounds_text(row, &bounds);
    cdn_buf_printf(&text, "%s (", row->help);
    if (bounds.n &&
        (row->type == CDN_CONFIG_CHOICE || row->type == CDN_CONFIG_REAL || row->type == CDN_CONFIG_UINT ||
         row->type == CDN_CONFIG_SIZE || row->type == CDN_CONFIG_DURATION)) {
        cdn_buf_printf(&text, "%s; ", bounds.p);
    }
    if (row->fallback[0]) {
        cdn_buf_printf(&text, "default %s; ", row->fallback);
    }
    if (row->type == CDN_CONFIG_LIST || row->type == CDN_CONFIG_MAP) {
        cdn_buf_add_str(&text, CDN_STR("may repeat; "));
    }
    cdn_buf_printf(&text, "%s)", env);
    CDN_AUTOFREE char *flag = row->type == CDN_CONFIG_BOOL ? cdn_asprintf("--[no-]%s", name)
                                                           : cdn_asprintf("--%s %s", name, row->metavar);
    add_flag(out, flag, text.p);
}

static void add_rows_help(const struct cdn_config_program *program, bool shared, const char *title,
                          struct cdn_buf *out)
{
    bool any = false;
    for (size_t i = 0; i < program->row_count; i++) {
        if (config_is_shared(program->rows[i].field) != shared) {
            continue;
        }
        if (!any) {
            cdn_buf_printf(out, "\n%s:\n", title);
        }
        any = true;
        add_row_help(program, &program->rows[i], out);
    }
}

static bool has_shared(const struct cdn_config_program *program)
{
    for (size_t i = 0; i < program->row_count; i++) {
        if (config_is_shared(program->rows[i].field)) {
            return true;
        }
    }
    return false;
}

void config_help(const struct cdn_config_program *program, struct cdn_buf *out)
{
    cdn_buf_printf(out, "usage: %s\n\n%s\n", program->usage, program->summary);
    add_rows_help(program, false, "Settings", out);
    add_rows_help(program, true, "Settings of every daemon", out);
    cdn_buf_add_str(out, CDN_STR("\nGeneral:\n"));
    add_flag(out, "-c, --config FILE", "Read settings from this cdn.yaml (POCKETCDN_CONFIG)");
    add_flag(out, "--help-config", "Print the settings as a commented section of cdn.yaml");
    add_flag(out, "--print-config", "Print the effective settings and where each comes from");
    if (program->checks) {
        add_flag(out, "--check", "Check the settings and the files that they name, and end");
    }
    add_flag(out, "--version", "Print the version");
    add_flag(out, "-h, --help", "Print this text");
    if (has_shared(program)) {
        cdn_buf_add_str(out, CDN_STR("\nStrength: default < file < environment < flag. "
                                     "The variables also work without the program's name:\n"
                                     "POCKETCDN_LOG_LEVEL is for all, and weaker.\n"));
    }
}

/* A scalar that YAML reads back as the same text. */
static void add_yaml_text(struct cdn_buf *out, struct cdn_str s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./";
    bool safe = s.n && s.p[s.n - 1] != ':' && !cdn_str_eq(s, CDN_STR("null"));
    for (size_t i = 0; safe && i < s.n; i++) {
        safe = s.p[i] && (strchr(plain, s.p[i]) || (i && strchr(":-+%@", s.p[i])));
    }
    if (safe) {
        cdn_buf_add_str(out, s);
        return;
    }
    cdn_buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) { /* values hold no control characters: see config_value.c */
        if (s.p[i] == '"' || s.p[i] == '\\') {
            cdn_buf_add_char(out, '\\');
        }
        cdn_buf_add_char(out, s.p[i]);
    }
    cdn_buf_add_char(out, '"');
}

static bool is_secret(const struct cdn_config_row *row)
{
    return config_is_marked(row, CDN_CONFIG_SECRET);
}

static bool is_proxy(const struct cdn_config_row *row)
{
    return config_is_marked(row, CDN_CONFIG_PROXY);
}

/* The lines of one setting; `lead` stands in front of each ("  " or "  # "), `note` after the first. */
static void add_yaml_setting(const struct cdn_config_row *row, const void *settings, const char *lead,
                             const char *note, struct cdn_buf *out)
{
    const struct cdn_config_list *list = (const void *)((const char *)settings + row->offset);
    bool is_map = row->type == CDN_CONFIG_MAP;
    cdn_buf_printf(out, "%s%s:", lead, row->field);
    if (row->type != CDN_CONFIG_LIST && !is_map) {
        CDN_AUTOFREE char *text = cdn_config_text(row, settings);
        cdn_buf_add_char(out, ' ');
        CDN_AUTOBUF struct cdn_buf masked = {0};
        if (is_proxy(row)) {
            proxy_url_show(cdn_str(text), &masked);
        }
        add_yaml_text(out, masked.n                    ? cdn_buf_str(&masked)
                           : is_secret(row) && text[0] ? CDN_STR("********")
                                                       : cdn_str(text));
        cdn_buf_printf(out, "%s\n", note);
        return;
    }
    cdn_buf_printf(out, "%s%s\n", list->n ? "" : is_map ? " {}" : " []", note);
    for (size_t i = 0; i < list->n; i++) {
        cdn_buf_printf(out, "%s  %s", lead, is_map ? "" : "- ");
        add_yaml_text(out, cdn_str(list->items[i].key));
        if (is_map) {
            cdn_buf_add_str(out, CDN_STR(": "));
            add_yaml_text(out, cdn_str(is_secret(row) ? "********" : list->items[i].value));
        }
        cdn_buf_add_char(out, '\n');
    }
}

/* The section of a cdn.yaml that is the program's own: the strongest one it reads. */
static const char *own_section(const struct cdn_config_program *program)
{
    const char *section = "cdn";
    for (size_t i = 0; i < CDN_ARRAY_LEN(program->sections) && program->sections[i]; i++) {
        section = program->sections[i];
    }
    return section;
}

void config_print(const struct config_target *target, struct cdn_buf *out)
{
    const struct cdn_config_program *program = target->program;
    cdn_buf_printf(out, "%s:\n", own_section(program));
    for (size_t i = 0; i < program->row_count; i++) {
        CDN_AUTOFREE char *note = cdn_asprintf("  # %s", target->from[i] ? target->from[i] : "default");
        add_yaml_setting(&program->rows[i], target->settings, "  ", note, out);
    }
}

static void add_kind(const struct cdn_config_row *row, struct cdn_buf *out)
{
    CDN_AUTOBUF struct cdn_buf bounds = {0};
    config_bounds_text(row, &bounds);
    if (row->type == CDN_CONFIG_CHOICE) {
        cdn_buf_printf(out, "one of %s", bounds.p);
        return;
    }
    cdn_buf_add_str(out, cdn_str(config_looks(row->type)));
    if (bounds.n) {
        const char *unit = row->type == CDN_CONFIG_STRING                                ? " characters"
                           : row->type == CDN_CONFIG_LIST || row->type == CDN_CONFIG_MAP ? " items"
                                                                                         : "";
        cdn_buf_printf(out, "; %s%s", bounds.p, unit);
    }
}

void cdn_config_yaml(const struct cdn_config_program *program, struct cdn_buf *out)
{
    void *settings = cdn_calloc(1, program->settings_size);
    cdn_buf_printf(out, "# %s: %s\n%s:\n", program->name, program->summary, own_section(program));
    for (size_t i = 0; i < program->row_count; i++) {
        const struct cdn_config_row *row = &program->rows[i];
        cdn_buf_printf(out, "\n  # %s.\n  # ", row->help);
        add_kind(row, out);
        cdn_buf_printf(out, "; %s\n",
                       row->when == CDN_CONFIG_RUNTIME ? "a reload changes it" : "needs a restart");
        if (cdn_config_set(row, settings, row->field, cdn_str(row->fallback), NULL) == CDN_OK) {
            add_yaml_setting(row, settings, "  # ", "", out);
        }
    }
    cdn_config_free(program, settings);
    free(settings);
}

/* Text for a cell of a Markdown table. */
static void add_cell(struct cdn_buf *out, struct cdn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '|') {
            cdn_buf_add_char(out, '\\');
        }
        cdn_buf_add_char(out, s.p[i]);
    }
}

void cdn_config_reference(const struct cdn_config_program *program, struct cdn_buf *out)
{
    const bool flags = program->env != NULL; /* else its keys stand in the file only */
    cdn_buf_add_str(out, flags ? CDN_STR("| key | flag, variable | value | default | reload | meaning |\n"
                                         "|---|---|---|---|---|---|\n")
                               : CDN_STR("| key | value | default | meaning |\n|---|---|---|---|\n"));
    for (size_t i = 0; i < program->row_count; i++) {
        const struct cdn_config_row *row = &program->rows[i];
        CDN_AUTOFREE char *flag = config_flag_name(row->field);
        CDN_AUTOFREE char *env = config_env_name(program->env, row->field);
        CDN_AUTOBUF struct cdn_buf kind = {0};
        add_kind(row, &kind);
        cdn_buf_printf(out, "| `%s` | ", row->field);
        if (flags) {
            cdn_buf_printf(out, "`--%s` `%s` | ", flag, env);
        }
        add_cell(out, cdn_buf_str(&kind));
        const char *tick = row->fallback[0] ? "`" : "";
        cdn_buf_printf(out, " | %s%s%s | ", tick, row->fallback, tick);
        if (flags) {
            cdn_buf_printf(out, "%s | ", row->when == CDN_CONFIG_RUNTIME ? "yes" : "restart");
        }
        add_cell(out, cdn_str(row->help));
        cdn_buf_add_str(out, CDN_STR(" |\n"));
    }
}
