/* load: reads what one path stands for from the file system into an entry. Used by files.c only. */
#ifndef CDN_ORIGIN_LOAD_H
#define CDN_ORIGIN_LOAD_H
#include "origin/base/path.h"
#include "origin/files.h"

#include <stdbool.h>

/* Fills the entry's name, type and variants. With ORIGIN_FOUND_HASHING the wait was queued; with anything but
 * ORIGIN_FOUND_FILE the entry holds nothing. */
enum origin_found origin_load(const struct origin_files_config *config, const struct origin_path *path,
                              const struct origin_wait *wait, struct origin_entry *entry,
                              struct origin_refusal *ret_refusal);
void origin_load_release(struct origin_entry *entry); /* what origin_load filled in */
/* Nothing on disk differs from what the entry says; with `all`, no sibling has appeared either. */
bool origin_load_is_current(const struct origin_files_config *config, const struct origin_entry *entry,
                            bool all);

#endif
