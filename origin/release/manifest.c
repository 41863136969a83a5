/* manifest: both directions by look-ups in sorted lists: a manifest of 5,000 entries is compared in no time,
 * and only the first of each kind of fault is named, with how many there are. */
#include "origin/release/manifest.h"

#include "common/mem.h"
#include "origin/release/name.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

static enum cdn_status read_paths(struct cdn_str json, json_t **ret_root, json_t **ret_paths,
                                  struct cdn_error *err)
{
    json_error_t why;
    json_t *root = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, &why);
    json_t *paths = json_object_get(root, "paths"), *value;
    const char *key;
    if (!root) {
        return cdn_error_set(err, CDN_INVALID, RELEASE_MANIFEST ":%d: %s", why.line, why.text);
    }
    enum cdn_status status =
        json_is_object(paths)
            ? CDN_OK
            : cdn_error_set(err, CDN_INVALID,
                            RELEASE_MANIFEST ": no object \"paths\": not Django's manifest");
    json_object_foreach(paths, key, value)
    {
        if (status == CDN_OK && !json_is_string(value)) {
            status = cdn_error_set(err, CDN_INVALID,
                                   RELEASE_MANIFEST ": paths: \"%s\" is not the name of a file", key);
        }
    }
    if (status != CDN_OK) {
        json_decref(root);
        return status;
    }
    *ret_root = root;
    *ret_paths = paths;
    return CDN_OK;
}

static enum cdn_status check_entries(json_t *paths, const struct release_files *files, const char *prefix,
                                     struct release_files *ret_named, struct cdn_error *err)
{
    const char *key, *first = NULL, *first_key = NULL;
    size_t missing = 0;
    json_t *value;
    json_object_foreach(paths, key, value)
    {
        CDN_AUTOFREE char *from = cdn_asprintf("%s%s", prefix, key);
        CDN_AUTOFREE char *to = cdn_asprintf("%s%s", prefix, json_string_value(value));
        if (!release_files_find(files, cdn_str(to))) {
            missing++;
            first = first ? first : json_string_value(value);
            first_key = first_key ? first_key : key;
        }
        release_files_add(ret_named, from);
        release_files_add(ret_named, to);
    }
    release_files_sort(ret_named);
    if (missing == 0) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID,
                         RELEASE_MANIFEST
                         ": %zu %s not there: \"%s\" is now \"%s\", and pages would get 404 for "
                         "it; run collectstatic again",
                         missing, missing == 1 ? "file is" : "files are", first_key, first);
}

static void note_file(const struct release_file *file, const struct release_files *named,
                      struct release_manifest_note *note)
{
    struct cdn_str digits;
    if (release_name_promises(cdn_str(file->name), &digits)) {
        note->first_left_over = note->left_over++ ? note->first_left_over : file->name;
    } else if (named->n) {
        note->first_unknown = note->unknown++ ? note->first_unknown : file->name;
    }
}

static void check_files(const struct release_files *files, const char *prefix,
                        const struct release_files *named, struct release_manifest_note *note)
{
    for (size_t i = 0; i < files->n; i++) {
        const struct cdn_str name = cdn_str(files->items[i].name), of = release_name_of_sibling(name);
        const bool is_named = release_files_find(named, name) || (of.n && release_files_find(named, of)) ||
                              strcmp(name.p + strlen(prefix), RELEASE_MANIFEST) == 0;
        if (!is_named) {
            note_file(&files->items[i], named, note);
        }
    }
}

enum cdn_status release_manifest_check(struct cdn_str json, const struct release_files *files,
                                       const char *prefix, struct release_manifest_note *ret,
                                       struct cdn_error *err)
{
    json_t *root = NULL, *paths = NULL;
    struct release_files named = {0};
    enum cdn_status status = read_paths(json, &root, &paths, err);
    if (status != CDN_OK) {
        return status;
    }
    status = check_entries(paths, files, prefix, &named, err);
    if (status == CDN_OK) {
        *ret = (struct release_manifest_note){0};
        check_files(files, prefix, &named, ret);
    }
    release_files_free(&named);
    json_decref(root);
    return status;
}
