/* authority_files: the authority of a state folder and the certificate that its listeners have, in STATE/tls:
 *
 *     authority.crt   what others are told to trust
 *     authority.key   mode 0600, as all here
 *     site.crt        what the listeners serve, and its key
 *     site.key
 *     bundle.crt      the authorities that the system trusts, and this one: for programs that know one list
 *
 * What is there is used again while it is good, so that a trust once given lasts; site.crt is made anew when
 * names are added, and both before their end.
 */
#ifndef CDN_CLI_AUTHORITY_FILES_H
#define CDN_CLI_AUTHORITY_FILES_H
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authority_files { /* paths, owned */
    char *folder, *authority, *certificate, *key, *bundle;
};

/* Where they are; nothing is made. */
void authority_files_of(const char *state, struct authority_files *ret);
void authority_files_free(struct authority_files *files); /* may be zeroed */

struct authority_news {
    bool authority; /* a new one, that nobody trusts yet */
    bool site;
};
/* Makes what is missing. CDN_CORRUPT or CDN_IO with a sentence when what is there cannot be used: it is never
 * replaced unasked, since somebody may trust it. */
enum cdn_status authority_files_prepare(const struct authority_files *files, const char *const *names,
                                        size_t count, int64_t now_s, struct authority_news *ret,
                                        struct cdn_error *err) CDN_MUST_CHECK;

#endif
