/* browser: told apart by their names, as their makers call the programs. Pure but for the search. */
#include "cli/browse/browser.h"

#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

static const struct {
    const char *part; /* of a program's name */
    enum browser_kind kind;
} kinds[] = {
    {"chrom", BROWSER_CHROMIUM},    {"brave", BROWSER_CHROMIUM}, {"microsoft-edge", BROWSER_CHROMIUM},
    {"vivaldi", BROWSER_CHROMIUM},  {"opera", BROWSER_CHROMIUM}, {"firefox", BROWSER_FIREFOX},
    {"librewolf", BROWSER_FIREFOX},
};
static const char *const usual[] = {
    "chromium",      "chromium-browser", "google-chrome", "google-chrome-stable",
    "brave-browser", "microsoft-edge",   "firefox",       "firefox-esr"};
#define SEARCHED "chromium, google-chrome, brave-browser, microsoft-edge and firefox"

static bool kind_of(const char *path, enum browser_kind *ret)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < CDN_ARRAY_LEN(kinds); i++) {
        if (strstr(name, kinds[i].part)) {
            *ret = kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* As a shell finds it; owned by the caller, NULL: there is none. */
static char *find_program(const char *name)
{
    struct cdn_str rest = cdn_str(getenv("PATH"));
    if (strchr(name, '/')) {
        return access(name, X_OK) == 0 ? cdn_strdup(name) : NULL;
    }
    while (rest.p && name[0]) {
        struct cdn_str folder = cdn_str_cut(&rest, ':');
        CDN_AUTOFREE char *path = cdn_asprintf(CDN_STR_FMT "/%s", CDN_STR_ARG(folder), name);
        if (folder.n > 0 && access(path, X_OK) == 0) {
            return CDN_TAKE(path);
        }
    }
    return NULL;
}

static bool take(const char *name, struct browser *ret)
{
    enum browser_kind kind;
    char *path = kind_of(name, &kind) ? find_program(name) : NULL;
    if (path) {
        *ret = (struct browser){path, kind};
    }
    return path != NULL;
}

/* $BROWSER: commands between colons, each perhaps with arguments, of which the name counts. */
static bool take_environment(struct browser *ret)
{
    struct cdn_str rest = cdn_str(getenv("BROWSER"));
    bool found = false;
    while (rest.p && rest.n && !found) {
        struct cdn_str command = cdn_str_trim(cdn_str_cut(&rest, ':'));
        CDN_AUTOFREE char *name = cdn_str_dup(cdn_str_cut(&command, ' '));
        found = take(name, ret);
    }
    return found;
}

enum cdn_status browser_find(const char *wanted, struct browser *ret, struct cdn_error *err)
{
    enum browser_kind kind;
    if (wanted && !kind_of(wanted, &kind)) {
        return cdn_error_set(err, CDN_USAGE, "--browser: '%s' is neither a Chromium nor a Firefox", wanted);
    }
    if (wanted) {
        return take(wanted, ret)
                   ? CDN_OK
                   : cdn_error_set(err, CDN_NOT_FOUND, "--browser: there is no program '%s'", wanted);
    }
    if (take_environment(ret)) {
        return CDN_OK;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(usual); i++) {
        if (take(usual[i], ret)) {
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_NOT_FOUND,
                         "no browser is installed: " SEARCHED " were looked for; --browser or $BROWSER name "
                         "another");
}

/* ---- command lines ---- */

struct line {
    char **argv;
    size_t n;
};

static void add(struct line *line, char *take)
{
    line->argv = cdn_realloc(line->argv, line->n + 2, sizeof(*line->argv));
    line->argv[line->n++] = take;
    line->argv[line->n] = NULL;
}

static void add_chromium(struct line *line, const struct browser_wish *wish, const char *profile)
{
    add(line, cdn_asprintf("--user-data-dir=%s", profile));
    add(line, cdn_strdup("--no-first-run"));
    add(line, cdn_strdup("--no-default-browser-check"));
    if (wish->rules) {
        add(line, cdn_asprintf("--host-resolver-rules=%s", wish->rules));
    }
    if (wish->proxy) { /* loopback addresses too, which redirects of this CDN lead to */
        add(line, cdn_asprintf("--proxy-server=socks5://%s", wish->proxy));
        add(line, cdn_strdup("--proxy-bypass-list=<-loopback>"));
    }
    if (wish->hashes) {
        add(line, cdn_asprintf("--ignore-certificate-errors-spki-list=%s", wish->hashes));
    }
    if (wish->plain) {
        add(line, cdn_strdup("--disable-features=HttpsUpgrades"));
    }
    if (wish->root) {
        add(line, cdn_strdup("--no-sandbox"));
    }
}

static void add_firefox(struct line *line, const char *profile)
{
    add(line, cdn_strdup("--no-remote"));
    add(line, cdn_strdup("--profile"));
    add(line, cdn_strdup(profile));
}

char **browser_argv(const struct browser *browser, const struct browser_wish *wish, const char *profile)
{
    struct line line = {0};
    add(&line, cdn_strdup(browser->path));
    if (browser->kind == BROWSER_CHROMIUM) {
        add_chromium(&line, wish, profile);
    } else {
        add_firefox(&line, profile);
    }
    for (size_t i = 0; wish->more && wish->more[i]; i++) {
        add(&line, cdn_strdup(wish->more[i]));
    }
    add(&line, cdn_strdup(wish->url));
    return line.argv;
}

void browser_argv_free(char **argv)
{
    for (size_t i = 0; argv && argv[i]; i++) {
        free(argv[i]);
    }
    free(argv);
}

void browser_preferences(const struct browser_wish *wish, struct cdn_buf *out)
{
    struct cdn_str port = cdn_str(wish->proxy), host = {0};
    const char *colon = wish->proxy ? strrchr(wish->proxy, ':') : NULL;
    cdn_buf_add_str(out, CDN_STR("user_pref(\"browser.shell.checkDefaultBrowser\", false);\n"
                                 "user_pref(\"browser.aboutwelcome.enabled\", false);\n"
                                 "user_pref(\"datareporting.policy.dataSubmissionEnabled\", false);\n"
                                 "user_pref(\"network.trr.mode\", 5);\n"));
    if (!colon) {
        return;
    }
    host = (struct cdn_str){wish->proxy, (size_t)(colon - wish->proxy)};
    port = cdn_str(colon + 1);
    cdn_buf_printf(out,
                   "user_pref(\"network.proxy.type\", 1);\n"
                   "user_pref(\"network.proxy.socks\", \"" CDN_STR_FMT "\");\n"
                   "user_pref(\"network.proxy.socks_port\", " CDN_STR_FMT ");\n"
                   "user_pref(\"network.proxy.socks_version\", 5);\n"
                   "user_pref(\"network.proxy.socks_remote_dns\", true);\n"
                   "user_pref(\"network.proxy.allow_hijacking_localhost\", true);\n",
                   CDN_STR_ARG(host), CDN_STR_ARG(port));
}
