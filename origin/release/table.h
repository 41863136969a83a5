/* table: which file a name stands for now, in memory: what the origin asks for each path that it does not
 * have ready. Pure.
 *
 * The order: the current release; then, for content-hashed names alone, one that is about to become
 * current (so that edges can be warmed before the switch), then the ones before, the newest first, as long
 * as they are kept. So a page of the last release still finds its scripts, and an old name never hides a
 * new file.
 *
 * Built once, then immutable and counted: any thread reads it. Life cycle: create -> add* -> (ref, find)*
 * -> unref. */
#ifndef CDN_ORIGIN_RELEASE_TABLE_H
#define CDN_ORIGIN_RELEASE_TABLE_H
#include "common/str.h"
#include "origin/release/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELEASE_FOR_EVER INT64_MAX
#define RELEASE_KEEP 10 /* the settings' standards, for who has no settings */
#define RELEASE_KEEP_MS (INT64_C(30) * 86400 * 1000)

struct release_table;

/* `current`: number of the release that is served; 0: none yet. `newest`: the same, or of a staged one.
 * `lengths`: of content hashes in names (origin/base/path.h). */
struct release_table *release_table_create(uint64_t current, uint64_t newest, uint64_t lengths);
/* Releases in the order of the look-up. The files of the first one count whatever they are called, when
 * `whole`; of others those with hashed names that are not there yet, each until `until_ms` (cache clock).
 * Takes over the names, and empties `files`. */
void release_table_add(struct release_table *table, struct release_files *files, bool whole,
                       int64_t until_ms);
struct release_table *release_table_ref(struct release_table *table);
void release_table_unref(struct release_table *table); /* NULL is fine */

uint64_t release_table_current(const struct release_table *table);
uint64_t release_table_newest(const struct release_table *table);
size_t release_table_count(const struct release_table *table);
/* NULL: no such file. *ret_until_ms: when it stops to be one. */
const struct release_file *release_table_find(const struct release_table *table, struct cdn_str name,
                                              int64_t now_ms, int64_t *ret_until_ms);
bool release_table_has_folder(const struct release_table *table,
                              struct cdn_str name); /* no slash at its end */

/* Until when the files of a release count that was replaced at `ended_ms`, after which `newer` releases came:
 * one of the last `keep` for as long as nothing new comes, others for a time. */
int64_t release_kept_until(int64_t ended_ms, uint64_t newer, uint64_t keep, int64_t keep_ms);

#endif
