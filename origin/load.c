/* load: from a path to its representations: the file itself, compressed siblings beside it that an
 * edit has not left behind, and small bodies in memory. The only code that reads files for answers,
 * so what a representation is stands in one place. */
#include "origin/load.h"

#include "common/clock.h"
#include "common/http/syntax/http_field_accept.h"
#include "common/mem.h"
#include "common/str.h"
#include "origin/base/root.h"
#include "origin/hash.h"
#include "origin/mime.h"
#include "origin/release/name.h"
#include "origin/source.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define READ_RETRIES 3

static const char *const endings[] = {
#define X(coding, ending) ending,
    ORIGIN_VARIANTS(X)
#undef X
};
static const enum http_coding codings[] = {
#define X(coding, ending) HTTP_CODING_##coding,
    ORIGIN_VARIANTS(X)
#undef X
};

enum http_coding origin_variant_coding(enum origin_variant_kind kind)
{
    return codings[kind];
}

char *origin_variant_name(const struct origin_entry *entry, enum origin_variant_kind kind)
{
    return cdn_asprintf("%s%s", entry->name, endings[kind]);
}

void origin_body_unref(void *p)
{
    struct origin_body *body = p;
    if (body && --body->owners == 0) {
        free(body);
    }
}

void origin_load_release(struct origin_entry *entry)
{
    for (unsigned i = 0; i < ORIGIN_VARIANT_COUNT; i++) {
        struct origin_variant *v = &entry->variant[i];
        if (v->ok) {
            MHD_destroy_response(v->ok);
        }
        if (v->same) {
            MHD_destroy_response(v->same);
        }
        origin_body_unref(v->body);
        *v = (struct origin_variant){0};
    }
    free(CDN_TAKE(entry->name));
}

/* The whole file as it is in one moment: read until identity before and after are the same. NULL with errno
 * EBUSY when it keeps changing. */
static struct origin_body *read_body(int fd, struct stat *st)
{
    for (int i = 0; i < READ_RETRIES; i++) {
        struct origin_file_id before, after;
        origin_file_id_of(st, &before);
        if (before.size > ORIGIN_SMALL_MAX) {
            break;
        }
        struct origin_body *body = cdn_malloc(sizeof(*body) + before.size + 1);
        *body = (struct origin_body){.owners = 1, .n = before.size};
        ssize_t n = pread(fd, body->p, before.size + 1, 0);
        if (n == (ssize_t)before.size && fstat(fd, st) == 0) {
            origin_file_id_of(st, &after);
            if (origin_file_id_eq(&before, &after)) {
                return body;
            }
        }
        free(body);
        if (n < 0 || fstat(fd, st) != 0) {
            return NULL;
        }
    }
    errno = EBUSY;
    return NULL;
}

static void refuse(struct origin_refusal *ret, int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
        *ret = (struct origin_refusal){404, "There is no such file."};
        return;
    case EACCES:
    case EPERM:
    case EXDEV: /* a link that leaves the root */
        *ret = (struct origin_refusal){403, "This file is not served."};
        return;
    case EBUSY:
    case EMFILE:
    case ENFILE:
        *ret = (struct origin_refusal){503, "The file cannot be read at the moment."};
        return;
    default:
        *ret = (struct origin_refusal){500, "The file cannot be read."};
        return;
    }
}

/* Takes `fd` over. ORIGIN_FOUND_FILE, _HASHING or _NOTHING. */
static enum origin_found load_variant(const struct origin_files_config *config, int fd,
                                      struct origin_source *source, enum origin_variant_kind kind,
                                      const struct origin_wait *wait, struct origin_variant *v,
                                      struct origin_refusal *ret_refusal)
{
    struct stat *st = &source->st;
    struct origin_hash hash;
    if (st->st_size <= (off_t)ORIGIN_SMALL_MAX) {
        v->body = read_body(fd, st);
        int error = errno;
        close(fd);
        if (!v->body) {
            refuse(ret_refusal, error);
            return ORIGIN_FOUND_NOTHING;
        }
        hash = origin_hash_bytes(v->body->p, v->body->n);
    }
    origin_file_id_of(st, &v->id);
    if (source->released) {
        hash = source->hash;
    }
    if (!v->body && source->released) {
        close(fd);
    } else if (!v->body) {
        if (!origin_hasher_find(config->hasher, &v->id, &hash)) {
            if (!wait) {
                close(fd);
                refuse(ret_refusal, EBUSY);
                return ORIGIN_FOUND_NOTHING;
            }
            origin_hasher_queue(config->hasher, fd, &v->id, wait->loop, wait->done, wait->arg);
            return ORIGIN_FOUND_HASHING;
        }
        close(fd);
    }
    v->is_there = true;
    v->released = source->released;
    v->until_ms = source->until_ms;
    int64_t now_s = cdn_clock_now_s();
    int64_t changed_s = source->released ? source->changed_s : st->st_mtim.tv_sec; /* as read just now */
    v->modified_s = changed_s < now_s ? changed_s : now_s;                         /* RFC 9110 8.8.2.1 */
    origin_etag_format(&hash, kind == ORIGIN_VARIANT_IDENTITY ? "" : http_coding_text(codings[kind]),
                       v->etag);
    return ORIGIN_FOUND_FILE;
}

static enum origin_found load_siblings(const struct origin_files_config *config,
                                       const struct origin_wait *wait, int64_t modified_s,
                                       struct origin_entry *entry, struct origin_refusal *ret_refusal)
{
    const bool released = entry->variant[ORIGIN_VARIANT_IDENTITY].released;
    for (enum origin_variant_kind kind = 1; config->policy->precompressed && kind < ORIGIN_VARIANT_COUNT;
         kind++) {
        struct origin_source source;
        CDN_AUTOFREE char *name = origin_variant_name(entry, kind);
        int fd = origin_source_open(&config->sources, name, &source);
        if (fd < 0) {
            continue;
        }
        if (!S_ISREG(source.st.st_mode) || source.released != released ||
            (!entry->is_hashed && source.modified_s + RELEASE_SIBLING_SLACK_S < modified_s)) {
            close(fd);
            continue;
        }
        enum origin_found found =
            load_variant(config, fd, &source, kind, wait, &entry->variant[kind], ret_refusal);
        if (found == ORIGIN_FOUND_HASHING) {
            return found;
        }
        if (found == ORIGIN_FOUND_FILE) {
            entry->has_siblings = true;
            entry->codings |= 1u << codings[kind];
        }
    }
    return ORIGIN_FOUND_FILE;
}

static enum origin_found load_file(const struct origin_files_config *config, const struct origin_wait *wait,
                                   struct origin_entry *entry, struct origin_refusal *ret_refusal)
{
    struct origin_source source;
    int fd = origin_source_open(&config->sources, entry->name, &source);
    if (fd < 0) {
        const bool is_folder = errno == EISDIR;
        refuse(ret_refusal, is_folder ? EACCES : errno);
        return is_folder ? ORIGIN_FOUND_FOLDER : ORIGIN_FOUND_NOTHING;
    }
    if (!S_ISREG(source.st.st_mode)) {
        close(fd);
        refuse(ret_refusal, EACCES);
        return S_ISDIR(source.st.st_mode) ? ORIGIN_FOUND_FOLDER : ORIGIN_FOUND_NOTHING;
    }
    struct cdn_str name = cdn_str(entry->name);
    entry->type = origin_mime_find(config->mime, name);
    entry->is_hashed = config->policy->immutable && origin_path_is_hashed(name, config->policy->hash_lengths);
    entry->has_siblings = false;
    entry->codings = 1u << HTTP_CODING_IDENTITY;
    enum origin_found found =
        load_variant(config, fd, &source, ORIGIN_VARIANT_IDENTITY, wait, &entry->variant[0], ret_refusal);
    return found == ORIGIN_FOUND_FILE ? load_siblings(config, wait, source.modified_s, entry, ret_refusal)
                                      : found;
}

/* A folder that can be listed: releases have none. */
static bool is_folder(const struct origin_files_config *config, const char *name)
{
    struct stat st;
    int fd = config->sources.root ? origin_root_file(config->sources.root, name, &st) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 && S_ISDIR(st.st_mode);
}

enum origin_found origin_load(const struct origin_files_config *config, const struct origin_path *path,
                              const struct origin_wait *wait, struct origin_entry *entry,
                              struct origin_refusal *ret_refusal)
{
    const struct origin_policy *policy = config->policy;
    bool wants_folder = path->is_folder || path->n == 0;
    enum origin_found found = ORIGIN_FOUND_NOTHING;
    *ret_refusal = (struct origin_refusal){404, "There is no such file."};
    if (!wants_folder || policy->index[0]) {
        entry->name = wants_folder ? cdn_asprintf("%s%s%s", path->name, path->n ? "/" : "", policy->index)
                                   : cdn_strdup(path->name);
        found = load_file(config, wait, entry, ret_refusal);
    }
    if (wants_folder && (found == ORIGIN_FOUND_NOTHING || found == ORIGIN_FOUND_FOLDER)) {
        bool lists = ret_refusal->status == 404 && policy->listing && is_folder(config, path->name);
        found = lists ? ORIGIN_FOUND_LISTING : ORIGIN_FOUND_NOTHING;
    }
    if (found != ORIGIN_FOUND_FILE) {
        origin_load_release(entry);
        return found;
    }
    entry->is_settled = true;
    entry->bytes = sizeof(*entry) + entry->key_n + strlen(entry->name);
    for (unsigned i = 0; i < ORIGIN_VARIANT_COUNT; i++) {
        const struct origin_variant *v = &entry->variant[i];
        if (v->is_there) {
            entry->bytes += 2048 + (v->body ? v->body->n : 0); /* 2048: its two answers, about */
            entry->is_settled =
                entry->is_settled && (v->released || origin_file_id_is_settled(&v->id, cdn_clock_real_ms()));
        }
    }
    return ORIGIN_FOUND_FILE;
}

static bool is_current(const struct origin_files_config *config, const struct origin_entry *entry,
                       enum origin_variant_kind kind)
{
    const struct origin_variant *v = &entry->variant[kind];
    const struct origin_root *root = config->sources.root;
    if (v->is_there && v->released) { /* another release forgets all entries */
        return cdn_clock_now_ms() < v->until_ms;
    }
    if (!root) {
        return true;
    }
    if (v->is_there && kind == ORIGIN_VARIANT_IDENTITY) {
        return origin_root_is_same(root, entry->name, &v->id); /* no copy of the name */
    }
    CDN_AUTOFREE char *name = origin_variant_name(entry, kind);
    return v->is_there ? origin_root_is_same(root, name, &v->id)
                       : entry->variant[ORIGIN_VARIANT_IDENTITY].released || !origin_root_exists(root, name);
}

bool origin_load_is_current(const struct origin_files_config *config, const struct origin_entry *entry,
                            bool all)
{
    for (enum origin_variant_kind kind = 0; kind < ORIGIN_VARIANT_COUNT; kind++) {
        bool looks = entry->variant[kind].is_there || (all && config->policy->precompressed);
        if (looks && !is_current(config, entry, kind)) {
            return false;
        }
    }
    return entry->is_settled;
}
