/* tls_folder: which files of a folder are certificates, and which are their keys.
 *
 *     a.crt, a.pem       a.key, a-key.pem (mkcert), or in the same file
 *     tls.crt            tls.key (a Kubernetes secret)
 *     fullchain.pem      privkey.pem (certbot); nothing else of that folder then
 *     NAME/fullchain.pem NAME/privkey.pem (certbot's folder `live`)
 *
 * Other files are passed over.
 */
#ifndef CDN_COMMON_TLS_FOLDER_H
#define CDN_COMMON_TLS_FOLDER_H
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>

struct cdn_tls_file_pair {
    char *certificate;
    char *key; /* NULL: in the same file */
};

bool cdn_tls_is_folder(const char *path);
/* Appends its pairs in the order of their names. CDN_NOT_FOUND: there is none. */
enum cdn_status cdn_tls_folder_list(const char *path, struct cdn_tls_file_pair **pairs, size_t *count,
                                    struct cdn_error *err) CDN_MUST_CHECK;
void cdn_tls_file_pair_add(struct cdn_tls_file_pair **pairs, size_t *count, char *take_certificate,
                           char *take_key);
void cdn_tls_file_pairs_free(struct cdn_tls_file_pair *pairs, size_t count);

#endif
