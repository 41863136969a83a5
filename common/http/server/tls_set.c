/* tls_set: GnuTLS knows exact names only, so the choice is made here, in its hook after the ClientHello,
 * where a session may still be given other credentials. One sorted list has all names; a lookup is at most
 * two binary searches. */
#include "common/http/server/tls_set.h"

#include "common/clock.h"
#include "common/http/server/tls_folder.h"
#include "common/http/server/tls_pair.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define NAME_SIZE 256

struct known {
    const char *name;
    size_t pair;
};

struct cdn_tls_set {
    _Atomic unsigned refs;
    struct cdn_tls_pair *pairs;
    gnutls_certificate_credentials_t *credentials; /* of each pair; NULL: it stands with an earlier one */
    size_t count;
    struct known *known; /* by name, then by the order of the pairs */
    size_t known_count;
};

/* ---- its life ---- */

static void destroy(struct cdn_tls_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->credentials[i]) {
            gnutls_certificate_free_credentials(set->credentials[i]);
        }
        cdn_tls_pair_free(&set->pairs[i]);
    }
    free(set->credentials);
    free(set->pairs);
    free(set->known);
    free(set);
}

struct cdn_tls_set *cdn_tls_set_ref(struct cdn_tls_set *set)
{
    if (set) {
        atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    }
    return set;
}

void cdn_tls_set_unref(struct cdn_tls_set *set)
{
    if (set && atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) == 1) {
        destroy(set);
    }
}

static bool same_names(const struct cdn_tls_pair *a, const struct cdn_tls_pair *b)
{
    if (a->name_count != b->name_count || a->name_count == 0) {
        return false;
    }
    for (size_t i = 0; i < a->name_count; i++) {
        if (strcmp(a->names[i], b->names[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* The pair whose credentials this one's are added to, since a client can check one or the other. */
static size_t leader_of(const struct cdn_tls_set *set, size_t pair)
{
    for (size_t i = 0; i < pair; i++) {
        if (set->credentials[i] && set->pairs[i].algorithm != set->pairs[pair].algorithm &&
            same_names(&set->pairs[i], &set->pairs[pair])) {
            return i;
        }
    }
    return pair;
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

static enum cdn_status add_credentials(struct cdn_tls_set *set, size_t pair, struct cdn_error *err)
{
    const gnutls_datum_t certificate = datum(set->pairs[pair].certificate), key = datum(set->pairs[pair].key);
    const size_t leader = leader_of(set, pair);
    int problem = leader == pair ? gnutls_certificate_allocate_credentials(&set->credentials[pair]) : 0;
    if (problem >= 0) {
        problem = gnutls_certificate_set_x509_key_mem(set->credentials[leader], &certificate, &key,
                                                      GNUTLS_X509_FMT_PEM);
    }
    return problem >= 0 ? CDN_OK
                        : cdn_error_set(err, CDN_INVALID, "cannot use the TLS certificate and key: %s",
                                        gnutls_strerror(problem));
}

static int by_name(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : x->pair < y->pair ? -1 : x->pair > y->pair;
}

static void learn_names(struct cdn_tls_set *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++) {
        n += set->pairs[i].name_count;
    }
    set->known = cdn_calloc(n + 1, sizeof(*set->known));
    for (size_t i = 0; i < set->count; i++) {
        for (size_t k = 0; set->credentials[i] && k < set->pairs[i].name_count; k++) {
            set->known[set->known_count++] = (struct known){set->pairs[i].names[k], i};
        }
    }
    qsort(set->known, set->known_count, sizeof(*set->known), by_name);
}

enum cdn_status cdn_tls_set_of(struct cdn_tls_pair *take_pairs, size_t count, struct cdn_tls_set **ret,
                               struct cdn_error *err)
{
    struct cdn_tls_set *set = cdn_calloc(1, sizeof(*set));
    enum cdn_status status = CDN_OK;
    atomic_init(&set->refs, 1);
    set->pairs = take_pairs;
    set->count = count;
    set->credentials = cdn_calloc(count, sizeof(*set->credentials));
    for (size_t i = 0; i < count && status == CDN_OK; i++) {
        status = add_credentials(set, i, err);
    }
    if (status != CDN_OK) {
        destroy(set);
        return status;
    }
    learn_names(set);
    *ret = set;
    return CDN_OK;
}

/* ---- from files ---- */

struct reading {
    struct cdn_tls_file_pair *files;
    size_t count;
};

static size_t length(const char *const *list)
{
    size_t n = 0;
    while (list[n]) {
        n++;
    }
    return n;
}

static enum cdn_status check_counts(const char *const *certificates, size_t keys, struct cdn_error *err)
{
    size_t files = 0;
    for (size_t i = 0; certificates[i]; i++) {
        files += !cdn_tls_is_folder(certificates[i]);
    }
    if (keys == 0 || keys == files) {
        return CDN_OK;
    }
    if (!certificates[0]) {
        return cdn_error_set(err, CDN_USAGE, "tls_key is set without tls_certificate: TLS needs both");
    }
    return cdn_error_set(err, CDN_USAGE,
                         "tls_certificate names %zu files and tls_key %zu: give a key for each, in the same "
                         "order (a folder has its own), or no tls_key, when they are in the certificates' "
                         "files",
                         files, keys);
}

static enum cdn_status list_files(const char *const *certificates, const char *const *keys,
                                  struct reading *into, struct cdn_error *err)
{
    enum cdn_status status = check_counts(certificates, length(keys), err);
    for (size_t i = 0, key = 0; status == CDN_OK && certificates[i]; i++) {
        if (cdn_tls_is_folder(certificates[i])) {
            status = cdn_tls_folder_list(certificates[i], &into->files, &into->count, err);
            continue;
        }
        cdn_tls_file_pair_add(&into->files, &into->count, cdn_strdup(certificates[i]),
                              keys[0] ? cdn_strdup(keys[key++]) : NULL);
    }
    if (status == CDN_OK && into->count > CDN_TLS_PAIRS_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%zu certificates are too many: at most %u", into->count,
                             CDN_TLS_PAIRS_MAX);
    }
    return status == CDN_USAGE || status == CDN_OK ? status : cdn_error_prefix(err, "tls_certificate");
}

/* Clients judge by their own clocks. */
static void warn_of(const char *file, const struct cdn_tls_pair *pair)
{
    const char *trouble = cdn_tls_pair_trouble(pair, cdn_clock_real_ms() / 1000);
    if (trouble) {
        cdn_log(CDN_LOG_WARN, "tls_certificate", "file=%s trouble=%s starts_s=%" PRId64 " expires_s=%" PRId64,
                file, trouble, pair->starts_s, pair->expires_s);
    }
}

static enum cdn_status read_files(const struct reading *r, bool keys, struct cdn_tls_pair *pairs,
                                  size_t *count, struct cdn_error *err)
{
    for (; *count < r->count; (*count)++) {
        const struct cdn_tls_file_pair *file = &r->files[*count];
        struct cdn_tls_pair *pair = &pairs[*count];
        const enum cdn_status status = cdn_tls_pair_read(file->certificate, file->key, pair, err);
        if (status != CDN_OK) {
            return cdn_error_prefix(err, status == CDN_USAGE && !keys
                                             ? "tls_certificate is set without tls_key"
                                             : "tls_certificate");
        }
        warn_of(file->certificate, pair);
    }
    return CDN_OK;
}

enum cdn_status cdn_tls_set_read(const char *const *certificates, const char *const *keys,
                                 struct cdn_tls_set **ret, struct cdn_error *err)
{
    struct reading r = {0};
    size_t count = 0;
    struct cdn_tls_pair *pairs = NULL;
    enum cdn_status status = list_files(certificates, keys, &r, err);
    if (status == CDN_OK && r.count > 0) {
        pairs = cdn_calloc(r.count, sizeof(*pairs));
        status = read_files(&r, keys[0] != NULL, pairs, &count, err);
    }
    cdn_tls_file_pairs_free(r.files, r.count);
    if (status == CDN_OK && count > 0) {
        return cdn_tls_set_of(pairs, count, ret, err);
    }
    while (count > 0) {
        cdn_tls_pair_free(&pairs[--count]);
    }
    free(pairs);
    if (status == CDN_OK) {
        *ret = NULL;
    }
    return status;
}

/* ---- the choice ---- */

static bool find(const struct cdn_tls_set *set, const char *name, size_t *ret_pair)
{
    size_t low = 0, high = set->known_count;
    while (low < high) { /* the first that is not before it */
        const size_t middle = low + (high - low) / 2;
        if (strcmp(set->known[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == set->known_count || strcmp(set->known[low].name, name) != 0) {
        return false;
    }
    *ret_pair = set->known[low].pair;
    return true;
}

size_t cdn_tls_set_choose(const struct cdn_tls_set *set, struct cdn_str name)
{
    char text[NAME_SIZE + 1]; /* room for a '*' that stands for a label of none */
    size_t pair = 0;
    name.n -= name.n > 0 && name.p[name.n - 1] == '.'; /* of the root */
    if (name.n == 0 || name.n >= NAME_SIZE || memchr(name.p, 0, name.n)) {
        return 0;
    }
    for (size_t i = 0; i < name.n; i++) {
        text[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + ('a' - 'A') : name.p[i]);
    }
    text[name.n] = '\0';
    if (find(set, text, &pair)) {
        return pair;
    }
    char *dot = strchr(text, '.');
    if (dot && dot > text) {
        dot[-1] = '*';
        find(set, dot - 1, &pair);
    }
    return pair;
}

static int take_name(gnutls_session_t session)
{
    const struct cdn_tls_set *set = gnutls_session_get_ptr(session);
    char name[NAME_SIZE];
    size_t n = sizeof(name);
    unsigned type;
    if (gnutls_server_name_get(session, name, &n, &type, 0) == 0 && type == GNUTLS_NAME_DNS) {
        const size_t pair = cdn_tls_set_choose(set, (struct cdn_str){name, strnlen(name, n)});
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, set->credentials[pair]);
    }
    return 0;
}

void cdn_tls_set_serve(const struct cdn_tls_set *set, gnutls_session_t session)
{
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, set->credentials[0]);
    if (set->count > 1) {
        gnutls_session_set_ptr(session, (void *)(uintptr_t)set);
        gnutls_handshake_set_post_client_hello_function(session, take_name);
    }
}

/* ---- what it tells ---- */

size_t cdn_tls_set_count(const struct cdn_tls_set *set)
{
    return set ? set->count : 0;
}

const struct cdn_tls_pair *cdn_tls_set_at(const struct cdn_tls_set *set, size_t i)
{
    return &set->pairs[i];
}

int64_t cdn_tls_set_expires_s(const struct cdn_tls_set *set)
{
    int64_t first = 0;
    for (size_t i = 0; i < cdn_tls_set_count(set); i++) {
        first = i == 0 || set->pairs[i].expires_s < first ? set->pairs[i].expires_s : first;
    }
    return first;
}

json_t *cdn_tls_set_json(const struct cdn_tls_set *set, int64_t now_s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < cdn_tls_set_count(set); i++) {
        const struct cdn_tls_pair *pair = &set->pairs[i];
        json_t *names = json_array();
        for (size_t k = 0; k < pair->name_count; k++) {
            json_array_append_new(names, json_string(pair->names[k]));
        }
        json_array_append_new(all,
                              json_pack("{s:o, s:I, s:I, s:I}", "names", names, "starts_s",
                                        (json_int_t)pair->starts_s, "expires_s", (json_int_t)pair->expires_s,
                                        "expires_in_s", (json_int_t)(pair->expires_s - now_s)));
    }
    return all;
}
