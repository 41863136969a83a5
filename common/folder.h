/* folder: places on disk that a program of ours trusts, since it believes what it finds there.
 *
 * Such a folder is its user's own and nobody else may write to it; files in it are never reached through a
 * link. New folders have mode 0700, new files 0600.
 */
#ifndef CDN_COMMON_FOLDER_H
#define CDN_COMMON_FOLDER_H
#include "common/status.h"

#include <stdbool.h>

/* CDN_OK: a folder that belongs to this process's user and that nobody else may write to. `what` begins the
 * message. `follow`: the path itself may be a symbolic link to such a folder. */
enum cdn_status cdn_folder_check(const char *what, const char *path, bool follow,
                                 struct cdn_error *err) CDN_MUST_CHECK;
/* Makes it with all above it, where missing, and checks it. */
enum cdn_status cdn_folder_make(const char *what, const char *path, bool follow,
                                struct cdn_error *err) CDN_MUST_CHECK;
/* openat() of a plain file of ours (mode 0600 if made), never of what a link points at; else -1, errno. */
int cdn_folder_open(int folder, const char *name, int flags);
/* CDN_IO, with a sentence on why cdn_folder_open() or rename() of `path` gave the errno `why`: what lies
 * there is often a better reason than the number. */
enum cdn_status cdn_folder_error(const char *path, int why, struct cdn_error *err);

#endif
