/* demo_site: the folder that the demonstration serves: Django's collected files where Django is
 * there (of these, what has a content hash in its name, as a real page asks for), else the user's
 * own. */
#include "cli/demo/demo.h"
#include "cli/run/child.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <ctype.h>
#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/banned.h"

#define PYTHON "/usr/bin/python3" /* Debian's, which has Django */
#define FILE_MAX (16 << 20)
#define HASH_DIGITS 12 /* of ManifestStaticFilesStorage */

/* ---- Django ---- */

/* Where `make install` puts the site, or in the sources that this program was built from. */
static char *find_site(void)
{
    CDN_AUTOFREE char *self = NULL;
    struct cdn_error none;
    if (child_program("pocketcdn", &self, &none)) {
        return NULL;
    }
    *strrchr(self, '/') = '\0';
    char *const places[] = {cdn_asprintf("%s/../share/pocketcdn/django/manage.py", self),
                            cdn_strdup(CDN_SOURCE_DIR "/origin/django/manage.py")};
    char *found = NULL;
    for (size_t i = 0; i < CDN_ARRAY_LEN(places); i++) {
        if (!found && access(places[i], R_OK) == 0) {
            found = places[i];
        } else {
            free(places[i]);
        }
    }
    return found;
}

/* Out of Django's folder, which also has its secret key: the origin serves static files, under /static/,
 * only. */
static enum cdn_status move_static(struct demo *demo, const char *django, struct cdn_error *err)
{
    demo->root = cdn_asprintf("%s/site", demo->folder);
    CDN_AUTOFREE char *from = cdn_asprintf("%s/static", django), *to = cdn_asprintf("%s/static", demo->root);
    if (mkdir(demo->root, 0700) || rename(from, to)) {
        return cdn_error_set(err, CDN_IO, "%s: %s", from, strerror(errno));
    }
    return CDN_OK;
}

static enum cdn_status collect_static(struct demo *demo, struct cdn_error *err)
{
    CDN_AUTOFREE char *manage = find_site(), *log = cdn_asprintf("%s/collectstatic.log", demo->folder);
    pid_t pid;
    int wait_status;
    if (!manage) {
        return cdn_error_set(err, CDN_IO,
                             "the Django site is not beside this program; name a folder with --root DIR");
    }
    if (access(PYTHON, X_OK)) {
        return cdn_error_set(err, CDN_IO, PYTHON ": %s (make deps installs it, with Django)",
                             strerror(errno));
    }
    CDN_AUTOFREE char *django = cdn_asprintf("%s/django", demo->folder);
    setenv("DJANGO_STATE", django, 1);
    setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
    char python[] = PYTHON, command[] = "collectstatic", quiet[] = "--noinput";
    char *const argv[] = {python, manage, command, quiet, NULL};
    enum cdn_status status = child_start(argv, log, &pid, err);
    if (status != CDN_OK) {
        return status;
    }
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
        continue;
    }
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
        return move_static(demo, django, err);
    }
    CDN_AUTOBUF struct cdn_buf tail = {0};
    child_log_tail(log, 1, "", &tail);
    return cdn_error_set(err, CDN_IO, "manage.py collectstatic failed: %s", tail.n ? tail.p : "no output");
}

/* ---- files ---- */

/* app.db8f2edc0c8a.js */
static bool is_hashed(struct cdn_str name)
{
    for (size_t i = 0; i + HASH_DIGITS + 1 < name.n; i++) {
        size_t n = 0;
        while (name.p[i] == '.' && n < HASH_DIGITS && isxdigit((unsigned char)name.p[i + 1 + n])) {
            n++;
        }
        if (n == HASH_DIGITS && name.p[i + 1 + n] == '.') {
            return true;
        }
    }
    return false;
}

static bool wanted(const FTSENT *entry, bool only_hashed)
{
    struct cdn_str name = cdn_str(entry->fts_name);
    if (entry->fts_info != FTS_F || entry->fts_name[0] == '.' || entry->fts_statp->st_size > FILE_MAX) {
        return false;
    }
    for (const char *c = entry->fts_path; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("/._-", *c)) {
            return false; /* would need escaping in the URL */
        }
    }
    if (cdn_str_ends(name, CDN_STR(".gz")) || cdn_str_ends(name, CDN_STR(".br")) ||
        cdn_str_ends(name, CDN_STR(".zst"))) {
        return false;
    }
    return !only_hashed ||
           (is_hashed(name) && (cdn_str_ends(name, CDN_STR(".css")) || cdn_str_ends(name, CDN_STR(".js"))));
}

static enum cdn_status read_file(const char *path, struct cdn_buf *into, struct cdn_error *err)
{
    char piece[65536];
    FILE *file = fopen(path, "re");
    if (!file) {
        return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    }
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0;) {
        cdn_buf_add(into, piece, n);
    }
    bool failed = ferror(file);
    fclose(file);
    return failed ? cdn_error_set(err, CDN_IO, "%s: cannot be read", path) : CDN_OK;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum cdn_status list_files(struct demo *demo, bool only_hashed, struct cdn_error *err)
{
    char *const roots[] = {demo->root, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    enum cdn_status status = CDN_OK;
    if (!walk) {
        return cdn_error_set(err, CDN_IO, "%s: %s", demo->root, strerror(errno));
    }
    demo->files = cdn_calloc(DEMO_FILES_MAX, sizeof(*demo->files));
    for (FTSENT *entry; status == CDN_OK && demo->file_count < DEMO_FILES_MAX && (entry = fts_read(walk));) {
        if (!wanted(entry, only_hashed)) {
            continue;
        }
        struct demo_file *file = &demo->files[demo->file_count++];
        file->path = cdn_strdup(entry->fts_path + strlen(demo->root));
        status = read_file(entry->fts_path, &file->bytes, err);
    }
    fts_close(walk);
    if (status == CDN_OK && demo->file_count == 0) {
        status = cdn_error_set(err, CDN_NOT_FOUND, "no files to serve in %s", demo->root);
    }
    return status;
}

enum cdn_status demo_site(struct demo *demo, struct cdn_error *err)
{
    if (demo->options->root) {
        demo->root = realpath(demo->options->root, NULL);
        if (!demo->root) {
            return cdn_error_set(err, CDN_IO, "--root %s: %s", demo->options->root, strerror(errno));
        }
        return list_files(demo, false, err);
    }
    enum cdn_status status = collect_static(demo, err);
    return status != CDN_OK ? status : list_files(demo, true, err);
}

void demo_site_free(struct demo *demo)
{
    for (size_t i = 0; i < demo->file_count; i++) {
        free(demo->files[i].path);
        cdn_buf_free(&demo->files[i].bytes);
    }
    free(demo->files);
    free(demo->root);
}
