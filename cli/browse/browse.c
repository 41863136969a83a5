/* browse: `pocketcdn browse`: a browser whose names lead where our GeoDNS says for a client at some place,
 * or which goes through the network between the places; in a profile folder that goes with it. It runs as a
 * child, since the folder has to be removed afterwards; its exit code is the command's. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/browse/browser.h"
#include "cli/browse/rules.h"
#include "cli/run/authority.h"
#include "cli/run/control.h"
#include "cli/run/traveller.h"
#include "cli/run/zone.h"
#include "cli/travel/network.h"
#include "common/config/config_hosts.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define NOT_RUN 126
#define CERTUTIL "certutil"
#define PEM_MAX 16384

#define BROWSE_OPTIONS(X)                                                                                   \
    X(TEXT, from, 0, "PLACE|IP", "Be a client there: a city, LAT,LON, a site's name or an address")         \
    X(TEXT, profile, 'p', "NAME", "With --from over the network: the last mile, such as 4g")                \
    X(TEXT, browser, 'b', "PROGRAM", "The browser; default: the first of $BROWSER, else what is installed") \
    X(FLAG, print, 0, NULL, "Print the command line only")                                                  \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(browse_options, BROWSE_OPTIONS);

struct tour {
    const struct browse_options *options;
    const char **more; /* NULL-ended */
    json_t *cdn;
    struct zone zone;
    struct browser browser;
    struct browser_wish wish;
    bool tls;
    char *home; /* the name that the site has: its first that is not a machine's, else www.cdn.test */
    char *url, *place, *edge, *proxy;
    struct cdn_buf rules, hashes;
};

/* ---- where to ---- */

static void take_home(void *arg, const char *host)
{
    struct tour *t = arg;
    if (!t->home && host[0] != '*' && !zone_means_machine(cdn_str(host))) {
        t->home = cdn_strdup(host);
    }
}

static enum cdn_status find_home(struct tour *t, struct cdn_error *err)
{
    const char *config = control_text(t->cdn, "config");
    enum cdn_status status = zone_read(t->cdn, &t->zone, err);
    if (status == CDN_OK) {
        status = cdn_config_hosts_each(config[0] ? config : NULL, take_home, t, err);
    }
    if (status == CDN_OK && !t->home) {
        t->home = cdn_strdup(t->zone.site);
    }
    return status;
}

static enum cdn_status make_url(struct tour *t, const char *text, struct cdn_error *err)
{
    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0) {
        t->url = cdn_strdup(text);
        return CDN_OK;
    }
    if (text[0] != '/') {
        return cdn_error_set(err, CDN_USAGE, "'%s' is neither a path (/...) nor a URL (http://...)", text);
    }
    t->url = cdn_asprintf("%s://%s%s", t->tls ? "https" : "http", t->home, text);
    return CDN_OK;
}

/* ---- how ---- */

/* Names are resolved behind the proxy. */
static enum cdn_status go_by_network(struct tour *t, const json_t *wan, struct cdn_error *err)
{
    const struct browse_options *o = t->options;
    enum cdn_status status = network_listener(t->cdn, wan, o->from, o->profile, &t->proxy, err);
    const char *slashes = status == CDN_OK ? strstr(t->proxy, "://") : NULL;
    t->wish.proxy = slashes ? slashes + 3 : t->proxy;
    return status;
}

static enum cdn_status go_by_rules(struct tour *t, struct cdn_error *err)
{
    struct cdn_addr client = {.sa.sa_family = AF_UNSPEC};
    enum cdn_status status = CDN_OK;
    if (t->browser.kind == BROWSER_FIREFOX) {
        return cdn_error_set(err, CDN_NOT_FOUND,
                             "Firefox cannot be told where names lead: install chromium, or use the network "
                             "between the places (`pocketcdn up --wan`, and --from), or `pocketcdn dns`");
    }
    if (t->options->profile) {
        return cdn_error_set(
            err, CDN_NOT_FOUND,
            "--profile needs --from and the network between the places: `pocketcdn up --wan`");
    }
    if (t->options->from) {
        status = traveller_from_text(t->options->from, &client, &t->place, err);
    }
    if (status == CDN_OK) {
        status = rules_make(t->cdn, &t->zone, &client, &t->rules, &t->edge, err);
    }
    t->wish.rules = t->rules.p;
    return status;
}

static enum cdn_status add_hash(struct tour *t, const char *path, struct cdn_error *err)
{
    char hash[AUTHORITY_HASH_SIZE];
    char text[PEM_MAX];
    FILE *file = fopen(path, "re");
    const size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file) {
        fclose(file);
    }
    if (n == 0) {
        return cdn_error_set(err, CDN_IO, "cannot read %s", path);
    }
    text[n] = '\0';
    const enum cdn_status status = authority_key_hash(text, hash, err);
    if (status == CDN_OK) {
        cdn_buf_printf(&t->hashes, "%s%s", t->hashes.n ? "," : "", hash);
        t->wish.hashes = t->hashes.p;
    }
    return status;
}

/* The keys of the certificates by the CDN's own authority; others have to be trusted anyway. */
static enum cdn_status trust(struct tour *t, struct cdn_error *err)
{
    const char *authority = control_text(t->cdn, "authority");
    if (!authority[0] || t->browser.kind != BROWSER_CHROMIUM) {
        return CDN_OK;
    }
    const char *slash = strrchr(authority, '/');
    CDN_AUTOFREE char *site = cdn_asprintf("%.*s/site.crt", (int)(slash ? slash - authority : 0), authority);
    enum cdn_status status = add_hash(t, site, err);
    return status == CDN_OK ? add_hash(t, authority, err) : status;
}

/* ---- the profile ---- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

/* Its last processes may write for a moment after the first one has ended. */
static void remove_profile(const char *profile)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    for (int i = 0; i < 20 && access(profile, F_OK) == 0; i++) {
        if (nftw(profile, remove_entry, 16, FTW_DEPTH | FTW_PHYS)) { /* an entry has come or gone meanwhile */
            nanosleep(&pause, NULL);
        }
    }
}

static enum cdn_status write_preferences(const struct tour *t, const char *profile, struct cdn_error *err)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/user.js", profile);
    CDN_AUTOBUF struct cdn_buf text = {0};
    browser_preferences(&t->wish, &text);
    FILE *file = fopen(path, "we");
    const bool bad = !file || fwrite(text.p, 1, text.n, file) != text.n;
    if ((file && fclose(file)) || bad) {
        return cdn_error_set(err, CDN_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return CDN_OK;
}

/* ---- running ---- */

static pid_t running; /* for the handler */

static void pass_on(int number)
{
    if (running > 0) {
        kill(running, number);
    }
}

/* What ends us ends the browser, and then the profile goes; a ^C reaches both of us by itself. */
static void watch_signals(void)
{
    struct sigaction pass = {.sa_handler = pass_on}, ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &pass, NULL);
    sigaction(SIGHUP, &pass, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGQUIT, &ignore, NULL);
}

static int run_program(char *const argv[])
{
    int wait_status = 0;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
        execvp(argv[0], argv);
        _exit(NOT_RUN);
    }
    running = pid;
    while (pid > 0 && waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
        continue;
    }
    running = 0;
    return pid < 0                  ? NOT_RUN
           : WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
                                    : 128 + WTERMSIG(wait_status);
}

/* Firefox has its authorities in its profile. */
static enum cdn_status import_authority(const struct tour *t, const char *profile, struct cdn_error *err)
{
    const char *authority = control_text(t->cdn, "authority");
    CDN_AUTOFREE char *base = cdn_asprintf("sql:%s", profile);
    CDN_AUTOFREE char *file = cdn_strdup(authority);
    char words[][24] = {CERTUTIL, "-N", "-d", "--empty-password", "-A", "-t", "C,,", "-n", "pocketcdn", "-i"};
    char *const make[] = {words[0], words[1], words[2], base, words[3], NULL};
    char *const add[] = {words[0], words[4], words[2], base, words[5], words[6],
                         words[7], words[8], words[9], file, NULL};
    if (!authority[0]) {
        return CDN_OK;
    }
    if (run_program(make) != 0 || run_program(add) != 0) {
        return cdn_error_set(err, CDN_NOT_FOUND,
                             "Firefox is told of the CDN's authority by certutil (package libnss3-tools), "
                             "which is not there or has failed");
    }
    return CDN_OK;
}

static enum cdn_status open_browser(const struct tour *t, int *ret_code, struct cdn_error *err)
{
    const char *tmp = getenv("TMPDIR");
    CDN_AUTOFREE char *profile =
        cdn_asprintf("%s/pocketcdn-browse-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
    enum cdn_status status = CDN_OK;
    if (!mkdtemp(profile)) {
        return cdn_error_set(err, CDN_IO, "%s: %s", profile, strerror(errno));
    }
    watch_signals();
    if (t->browser.kind == BROWSER_FIREFOX) {
        status = write_preferences(t, profile, err);
        status = status == CDN_OK ? import_authority(t, profile, err) : status;
    }
    if (status == CDN_OK) {
        char **argv = browser_argv(&t->browser, &t->wish, profile);
        *ret_code = run_program(argv);
        browser_argv_free(argv);
    }
    remove_profile(profile);
    return status;
}

static void print_command(const struct tour *t)
{
    CDN_AUTOBUF struct cdn_buf preferences = {0};
    char **argv = browser_argv(&t->browser, &t->wish, "PROFILE");
    if (t->browser.kind == BROWSER_FIREFOX) {
        browser_preferences(&t->wish, &preferences);
        cli_print("# PROFILE/user.js:\n");
        for (struct cdn_str rest = cdn_buf_str(&preferences); rest.n;) {
            struct cdn_str line = cdn_str_cut(&rest, '\n');
            cli_print("# " CDN_STR_FMT "\n", CDN_STR_ARG(line));
        }
    }
    for (size_t i = 0; argv[i]; i++) {
        CDN_AUTOFREE char *word = cli_quoted(argv[i]);
        const char *at = strstr(word, "PROFILE");
        if (i > 0 && at &&
            (strcmp(word, "PROFILE") == 0 || cdn_str_starts(cdn_str(word), CDN_STR("--user-data-dir=")))) {
            cli_print(" %.*s\"$(mktemp -d)\"", (int)(at - word), word);
        } else {
            cli_print("%s%s", i ? " " : "", word);
        }
    }
    cli_print("\n");
    browser_argv_free(argv);
}

/* ---- the command ---- */

static enum cdn_status prepare(struct tour *t, const char *url, struct cdn_error *err)
{
    const struct browse_options *o = t->options;
    struct control_where where = CONTROL_WHERE(o);
    enum cdn_status status = control_open(&where, &t->cdn, err);
    if (status == CDN_NOT_FOUND) {
        CDN_AUTOFREE char *why = cdn_strdup(err->text);
        return cdn_error_set(err, status, "%s; `pocketcdn up` starts one", why);
    }
    if (status == CDN_OK) {
        t->tls = cdn_str_starts(cdn_str(control_text(t->cdn, "router")), CDN_STR("https:"));
        status = browser_find(o->browser, &t->browser, err);
    }
    if (status == CDN_OK) {
        status = find_home(t, err);
    }
    if (status == CDN_OK) {
        status = make_url(t, url, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    const json_t *wan = o->from ? network_of(t->cdn) : NULL;
    status = wan ? go_by_network(t, wan, err) : go_by_rules(t, err);
    t->wish.url = t->url;
    t->wish.more = t->more;
    t->wish.plain = !t->tls;
    t->wish.root = geteuid() == 0;
    return status == CDN_OK ? trust(t, err) : status;
}

static void tell(const struct tour *t)
{
    const char *from = t->options->from;
    if (t->proxy) {
        cli_complain("%s, from %s over the network between the places (%s)\n", t->url, from, t->proxy);
    } else {
        cli_complain("%s%s%s leads to edge %s\n", t->url, from ? ", from " : "", from ? from : "", t->edge);
    }
}

static void tour_free(struct tour *t)
{
    json_decref(t->cdn);
    zone_free(&t->zone);
    free(t->browser.path);
    free(t->home);
    free(t->url);
    free(t->place);
    free(t->edge);
    free(t->proxy);
    cdn_buf_free(&t->rules);
    cdn_buf_free(&t->hashes);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    struct tour t = {.options = opaque};
    int code = 0;
    if (args->before > 1) {
        return cdn_error_set(err, CDN_USAGE,
                             "one URL, please, but got '%s' too: the browser's arguments stand behind --",
                             args->items[1]);
    }
    CDN_AUTOFREE const char **more = cdn_calloc(args->n - args->before + 1, sizeof(*more));
    for (size_t i = args->before; i < args->n; i++) {
        more[i - args->before] = args->items[i];
    }
    t.more = more;
    enum cdn_status status = prepare(&t, args->before ? args->items[0] : "/", err);
    if (status == CDN_OK && t.options->print) {
        print_command(&t);
    } else if (status == CDN_OK) {
        tell(&t);
        status = open_browser(&t, &code, err);
    }
    tour_free(&t);
    if (status == CDN_OK && code != 0) {
        fflush(NULL);
        _exit(code); /* the browser's own, which is nobody's mistake here */
    }
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct browse_options, __VA_ARGS__)
static const struct cli_option rows[] = {BROWSE_OPTIONS(ROW)};

const struct cli_command cli_command_browse = {
    .name = "browse",
    .summary = "Open a browser in which the CDN's names lead where they do for a client elsewhere",
    .usage = "[--from PLACE] [URL] [--print] [-- ARGUMENTS OF THE BROWSER]",
    .more =
        "URL is a path (/app.css) or a whole one; default: the site's first page. The browser has a fresh "
        "profile,\n"
        "which is removed when it ends. In it http://www.cdn.test/, the hosts of all sites and "
        "http://NAME.cdn.test/ need\n"
        "no port, and the authority of `up --tls` is trusted. With --from and a CDN of `up --wan` all "
        "takes the way's time;\n"
        "else only where names lead is that of a client there. $BROWSER or --browser names a Chromium "
        "(Chrome, Brave,\n"
        "Edge ...); a Firefox needs `up --wan`.\n"
        "\n"
        "  pocketcdn browse                          the site, by the edge nearest to this machine\n"
        "  pocketcdn browse --from Tokyo /admin/     by the one nearest to Tokyo\n"
        "  pocketcdn browse --from Lagos -- --headless --screenshot\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct browse_options),
    .run = run,
};
