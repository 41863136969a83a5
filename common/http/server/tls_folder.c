/* tls_folder: goes by names alone; what is in the files tls_pair reads and judges. */
#include "common/http/server/tls_folder.h"

#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/banned.h"

bool cdn_tls_is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static bool is_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

void cdn_tls_file_pair_add(struct cdn_tls_file_pair **pairs, size_t *count, char *take_certificate,
                           char *take_key)
{
    *pairs = cdn_realloc(*pairs, *count + 1, sizeof(**pairs));
    (*pairs)[(*count)++] = (struct cdn_tls_file_pair){take_certificate, take_key};
}

void cdn_tls_file_pairs_free(struct cdn_tls_file_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(pairs[i].certificate);
        free(pairs[i].key);
    }
    free(pairs);
}

/* certbot's names for them. */
static bool add_live(const char *folder, struct cdn_tls_file_pair **pairs, size_t *count)
{
    CDN_AUTOFREE char *certificate = cdn_asprintf("%s/fullchain.pem", folder);
    CDN_AUTOFREE char *key = cdn_asprintf("%s/privkey.pem", folder);
    const bool there = is_file(certificate) && is_file(key);
    if (there) {
        cdn_tls_file_pair_add(pairs, count, CDN_TAKE(certificate), CDN_TAKE(key));
    }
    return there;
}

static bool ends(const char *name, const char *with)
{
    return cdn_str_ends(cdn_str(name), cdn_str(with));
}

static char *key_beside(const char *certificate)
{
    const int stem = (int)(strlen(certificate) - strlen(".pem"));
    static const char *const endings[] = {".key", "-key.pem"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(endings); i++) {
        CDN_AUTOFREE char *key = cdn_asprintf("%.*s%s", stem, certificate, endings[i]);
        if (is_file(key)) {
            return CDN_TAKE(key);
        }
    }
    return NULL;
}

static void add_entry(const char *folder, const char *name, struct cdn_tls_file_pair **pairs, size_t *count)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/%s", folder, name);
    if (cdn_tls_is_folder(path)) {
        add_live(path, pairs, count);
    } else if ((ends(name, ".crt") || ends(name, ".pem")) && !ends(name, "-key.pem") && is_file(path)) {
        char *key = key_beside(path);
        cdn_tls_file_pair_add(pairs, count, CDN_TAKE(path), key);
    }
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* whatever the locale */
}

enum cdn_status cdn_tls_folder_list(const char *path, struct cdn_tls_file_pair **pairs, size_t *count,
                                    struct cdn_error *err)
{
    const size_t before = *count;
    struct dirent **entries;
    if (add_live(path, pairs, count)) {
        return CDN_OK;
    }
    const int n = scandir(path, &entries, is_shown, by_bytes);
    if (n < 0) {
        return cdn_error_set(err, CDN_IO, "cannot read %s: %s", path, strerror(errno));
    }
    for (int i = 0; i < n; i++) {
        add_entry(path, entries[i]->d_name, pairs, count);
        free(entries[i]);
    }
    free(entries);
    return *count > before ? CDN_OK
                           : cdn_error_set(err, CDN_NOT_FOUND,
                                           "%s: no certificates in this folder (NAME.crt or NAME.pem with "
                                           "NAME.key, or NAME/fullchain.pem with NAME/privkey.pem)",
                                           path);
}
