/* authority_files: each file is replaced whole, the key before the certificate that speaks of it, so that a
 * start that was torn leaves a pair that does not fit, which is said, and never half a file. */
#include "cli/run/authority_files.h"

#include "cli/run/authority.h"
#include "cli/run/state.h"
#include "common/folder.h"
#include "common/http/server/tls_pair.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/banned.h"

#define BUNDLE_MAX ((size_t)8 << 20) /* Debian's has 0.2 MB */

void authority_files_of(const char *state, struct authority_files *ret)
{
    *ret = (struct authority_files){.folder = cdn_asprintf("%s/tls", state),
                                    .authority = cdn_asprintf("%s/tls/authority.crt", state),
                                    .certificate = cdn_asprintf("%s/tls/site.crt", state),
                                    .key = cdn_asprintf("%s/tls/site.key", state),
                                    .bundle = cdn_asprintf("%s/tls/bundle.crt", state)};
}

void authority_files_free(struct authority_files *files)
{
    free(files->folder);
    free(files->authority);
    free(files->certificate);
    free(files->key);
    free(files->bundle);
    *files = (struct authority_files){0};
}

/* "me@laptop": whose it is, where a list of authorities shows it. */
static char *owner(void)
{
    char host[65] = "";
    const struct passwd *user = getpwuid(geteuid());
    if (gethostname(host, sizeof(host) - 1)) {
        host[0] = '\0';
    }
    return cdn_asprintf("%s@%s", user ? user->pw_name : "somebody", host[0] ? host : "somewhere");
}

static enum cdn_status write_pair(const char *folder, const char *name, const struct cdn_tls_pair *pair,
                                  struct cdn_error *err)
{
    CDN_AUTOFREE char *key = cdn_asprintf("%s.key", name);
    CDN_AUTOFREE char *certificate = cdn_asprintf("%s.crt", name);
    enum cdn_status status = state_replace(folder, key, cdn_str(pair->key), err);
    return status == CDN_OK ? state_replace(folder, certificate, cdn_str(pair->certificate), err) : status;
}

static enum cdn_status prepare_authority(const struct authority_files *files, int64_t now_s,
                                         struct cdn_tls_pair *ret, bool *ret_new, struct cdn_error *err)
{
    CDN_AUTOFREE char *key = cdn_asprintf("%s/authority.key", files->folder);
    struct cdn_tls_pair pair = {0};
    if (access(files->authority, F_OK) == 0 || access(key, F_OK) == 0) {
        if (cdn_tls_pair_read(files->authority, key, &pair, err) != CDN_OK) {
            CDN_AUTOFREE char *why = cdn_strdup(err->text);
            return cdn_error_set(err, CDN_CORRUPT, "%s; without the folder %s a new authority is made", why,
                                 files->folder);
        }
        if (authority_is_fit(&pair, now_s)) {
            *ret = pair;
            return CDN_OK;
        }
        cdn_tls_pair_free(&pair);
    }
    CDN_AUTOFREE char *whose = owner();
    enum cdn_status status = authority_make(whose, now_s, &pair, err);
    if (status == CDN_OK) {
        status = write_pair(files->folder, "authority", &pair, err);
    }
    if (status != CDN_OK) {
        cdn_tls_pair_free(&pair);
        return status;
    }
    *ret_new = true;
    *ret = pair;
    return CDN_OK;
}

/* What cannot be read is made anew: nobody has been told to trust it. */
static enum cdn_status prepare_site(const struct authority_files *files, const struct cdn_tls_pair *authority,
                                    const char *const *names, size_t count, int64_t now_s, bool *ret_new,
                                    struct cdn_error *err)
{
    struct cdn_tls_pair pair = {0};
    struct cdn_error none;
    if (cdn_tls_pair_read(files->certificate, files->key, &pair, &none) == CDN_OK) {
        const bool good = authority_covers(authority, &pair, names, count, now_s);
        cdn_tls_pair_free(&pair);
        if (good) {
            return CDN_OK;
        }
    }
    enum cdn_status status = authority_sign(authority, names, count, now_s, &pair, err);
    if (status == CDN_OK) {
        status = write_pair(files->folder, "site", &pair, err);
        cdn_tls_pair_free(&pair);
        *ret_new = true;
    }
    return status;
}

/* The first list of authorities that this system has. */
static void add_system(struct cdn_buf *into)
{
    static const char *const lists[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(lists) && into->n == 0; i++) {
        FILE *file = fopen(lists[i], "re");
        char piece[16384];
        size_t n;
        while (file && into->n < BUNDLE_MAX && (n = fread(piece, 1, sizeof(piece), file)) > 0) {
            cdn_buf_add(into, piece, n);
        }
        if (file) {
            fclose(file);
        }
    }
}

static enum cdn_status write_bundle(const struct authority_files *files, const struct cdn_tls_pair *authority,
                                    struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    add_system(&text);
    cdn_buf_printf(&text, "%s%s", text.n && text.p[text.n - 1] != '\n' ? "\n" : "", authority->certificate);
    return state_replace(files->folder, "bundle.crt", cdn_buf_str(&text), err);
}

enum cdn_status authority_files_prepare(const struct authority_files *files, const char *const *names,
                                        size_t count, int64_t now_s, struct authority_news *ret,
                                        struct cdn_error *err)
{
    struct cdn_tls_pair authority = {0};
    struct authority_news news = {0};
    enum cdn_status status = cdn_folder_make("folder of certificates", files->folder, false, err);
    if (status == CDN_OK) {
        status = prepare_authority(files, now_s, &authority, &news.authority, err);
    }
    if (status == CDN_OK) {
        status = prepare_site(files, &authority, names, count, now_s, &news.site, err);
    }
    if (status == CDN_OK) {
        status = write_bundle(files, &authority, err);
    }
    cdn_tls_pair_free(&authority);
    if (status == CDN_OK) {
        *ret = news;
    }
    return status;
}
