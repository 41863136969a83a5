/* summary: releases in words: sizes, times, what one changed. */
#ifndef CDN_CLI_RELEASE_SUMMARY_H
#define CDN_CLI_RELEASE_SUMMARY_H
#include "origin/release/file.h"
#include "origin/release/store.h"

#include <stddef.h>
#include <stdint.h>

#define SUMMARY_TEXT_SIZE 32

void summary_size(uint64_t bytes, char ret[static SUMMARY_TEXT_SIZE]);  /* "41.3 kB" */
void summary_time(int64_t ms, char ret[static SUMMARY_TEXT_SIZE]);      /* "2026-11-29 17:02:11" */
void summary_time_json(int64_t ms, char ret[static SUMMARY_TEXT_SIZE]); /* "2026-11-29T16:02:11Z" */
struct summary_counts {
    size_t changes[RELEASE_CHANGE_COUNT];
};
void summary_count(const struct release_files *from, const struct release_files *to,
                   struct summary_counts *ret);
/* "release 4: 12 files, 1 added, 2 changed, 0 removed; 3 files (41.3 kB) are new in the store" */
void summary_print(const struct release_info *info, const struct release_files *before,
                   const struct release_files *files);

#endif
