/* store: plain tables, one row a file of a release. A release repeats the rows of the one before: that costs
 * some 100 bytes a file and makes each one readable, and removable, by itself. Readers see the state of one
 * moment (WAL), and never wait for a publisher. */
#include "origin/release/store.h"

#include "common/folder.h"
#include "common/mem.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/banned.h"

#define BUSY_MS 10000

#define STATEMENTS(X)                                                                                        \
    X(BEGIN, "BEGIN")                                                                                        \
    X(BEGIN_CHANGE, "BEGIN IMMEDIATE")                                                                       \
    X(COMMIT, "COMMIT")                                                                                      \
    X(ROLLBACK, "ROLLBACK")                                                                                  \
    X(VERSION, "PRAGMA data_version")                                                                        \
    X(LIST, "SELECT number, live_ms, who, message, files, bytes, new_files, new_bytes, back_to, purged "     \
            "FROM release ORDER BY number")                                                                  \
    X(FILES, "SELECT name, sha, size, modified_s, changed_s FROM file WHERE release = ?1 ORDER BY name")     \
    X(ADD, "INSERT INTO release(live_ms, who, message, files, bytes, new_files, new_bytes, back_to, "        \
           "purged) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)")                                              \
    X(ADD_FILE, "INSERT INTO file(release, name, sha, size, modified_s, changed_s) "                         \
                "VALUES(?1, ?2, ?3, ?4, ?5, ?6)")                                                            \
    X(SWITCH, "UPDATE release SET live_ms = ?2 WHERE number = ?1")                                           \
    X(PURGED, "UPDATE release SET purged = 1 WHERE number <= ?1 AND live_ms > 0 AND purged = 0")             \
    X(DROP_FILES, "DELETE FROM file WHERE release = ?1")                                                     \
    X(DROP, "DELETE FROM release WHERE number = ?1")                                                         \
    X(DROP_STAGED_FILES, "DELETE FROM file WHERE release IN (SELECT number FROM release WHERE live_ms = 0)") \
    X(DROP_STAGED, "DELETE FROM release WHERE live_ms = 0")

enum statement {
#define X(name, sql) STATEMENT_##name,
    STATEMENTS(X)
#undef X
        STATEMENT_COUNT
};

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=1048576;"
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS release(number INTEGER PRIMARY KEY AUTOINCREMENT, live_ms INTEGER NOT NULL,"
    " who TEXT NOT NULL, message TEXT NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " new_files INTEGER NOT NULL, new_bytes INTEGER NOT NULL, back_to INTEGER NOT NULL,"
    " purged INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS file(release INTEGER NOT NULL, name BLOB NOT NULL, sha BLOB NOT NULL,"
    " size INTEGER NOT NULL, modified_s INTEGER NOT NULL, changed_s INTEGER NOT NULL,"
    " PRIMARY KEY(release, name)) WITHOUT ROWID;"
    "COMMIT;";

struct release_store {
    sqlite3 *db;
    char *folder;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    bool alone;
};

/* A file that could not grow, be it the database, its log, or the index of that in shared memory. */
static bool is_disk_full(const struct release_store *store, int code)
{
    const int why = store->db ? sqlite3_system_errno(store->db) : 0;
    return (code & 0xff) == SQLITE_FULL ||
           ((code & 0xff) == SQLITE_IOERR && (why == ENOSPC || why == EDQUOT || why == EFBIG));
}

static enum cdn_status failure(const struct release_store *store, int code, const char *what,
                               struct cdn_error *err)
{
    const char *text = store->db ? sqlite3_errmsg(store->db) : "out of memory";
    if (is_disk_full(store, code)) {
        return cdn_error_set(err, CDN_IO, "%s/releases.db: %s: the disk is full", store->folder, what);
    }
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return cdn_error_set(err, CDN_CONFLICT, "%s/releases.db: %s: another process changes it",
                             store->folder, what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* somebody else's tables */
        return cdn_error_set(err, CDN_CORRUPT, "%s/releases.db: %s: %s", store->folder, what, text);
    default:
        return cdn_error_set(err, CDN_IO, "%s/releases.db: %s: %s", store->folder, what, text);
    }
}

/* One statement without rows. */
static int run(struct release_store *store, enum statement which)
{
    sqlite3_stmt *st = store->statements[which];
    int code = sqlite3_step(st);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

static int run_with(struct release_store *store, enum statement which, uint64_t number)
{
    sqlite3_bind_int64(store->statements[which], 1, (sqlite3_int64)number);
    return run(store, which);
}

/* ---- opening ---- */

static int prepare_all(struct release_store *store)
{
    static const char *const sql[] = {
#define X(name, text) (text),
        STATEMENTS(X)
#undef X
    };
    int code = SQLITE_OK;
    for (size_t i = 0; i < STATEMENT_COUNT && code == SQLITE_OK; i++) {
        code =
            sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
    }
    return code;
}

static int set_up(struct release_store *store, const char *path, bool make)
{
    int code =
        sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (make ? SQLITE_OPEN_CREATE : 0), NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_busy_timeout(store->db, BUSY_MS);
    }
    if (code == SQLITE_OK) {
        const char *first = store->alone ? "PRAGMA locking_mode=EXCLUSIVE" : schema;
        code = sqlite3_exec(store->db, first, NULL, NULL, NULL);
    }
    return code == SQLITE_OK ? prepare_all(store) : code;
}

/* On a full disk there is no room for the index of the log, which readers share: then it is kept in memory,
 * and the store is this handle's alone. So an origin starts, and what is there can be listed. */
static int set_up_somehow(struct release_store *store, const char *path, bool make)
{
    const int code = set_up(store, path, make);
    if (code == SQLITE_OK || !is_disk_full(store, code)) {
        return code;
    }
    sqlite3_close(CDN_TAKE(store->db));
    store->alone = true;
    return set_up(store, path, make);
}

enum cdn_status release_store_open(const char *folder, bool make, struct release_store **ret,
                                   struct cdn_error *err)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/releases.db", folder);
    struct stat st;
    enum cdn_status status = make ? cdn_folder_make("releases", folder, true, err) : CDN_OK;
    if (status != CDN_OK) {
        return status;
    }
    if (!make && stat(path, &st) != 0) {
        return cdn_error_set(err, errno == ENOENT || errno == ENOTDIR ? CDN_NOT_FOUND : CDN_IO,
                             "no releases in %s: %s", folder, strerror(errno));
    }
    struct release_store *store = cdn_calloc(1, sizeof(*store));
    store->folder = cdn_strdup(folder);
    const int code = set_up_somehow(store, path, make);
    if (code != SQLITE_OK) {
        status = failure(store, code, "open", err);
        release_store_close(store);
        return status;
    }
    *ret = store;
    return CDN_OK;
}

void release_store_close(struct release_store *store)
{
    if (!store) {
        return;
    }
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(store->statements[i]);
    }
    sqlite3_close(store->db);
    free(store->folder);
    free(store);
}

bool release_store_is_alone(const struct release_store *store)
{
    return store->alone;
}

/* ---- reading ---- */

void release_list_free(struct release_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].who);
        free(list->items[i].message);
    }
    free(list->items);
    *list = (struct release_list){0};
}

const struct release_info *release_list_find(const struct release_list *list, uint64_t number)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].number == number) {
            return &list->items[i];
        }
    }
    return NULL;
}

const struct release_info *release_list_current(const struct release_list *list)
{
    for (size_t i = list->n; i > 0; i--) {
        if (list->items[i - 1].live_ms) {
            return &list->items[i - 1];
        }
    }
    return NULL;
}

static char *column_text(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return cdn_strdup(text ? text : "");
}

static void take_info(sqlite3_stmt *st, struct release_info *ret)
{
    *ret = (struct release_info){
        .number = (uint64_t)sqlite3_column_int64(st, 0),
        .live_ms = sqlite3_column_int64(st, 1),
        .who = column_text(st, 2),
        .message = column_text(st, 3),
        .files = (uint64_t)sqlite3_column_int64(st, 4),
        .bytes = (uint64_t)sqlite3_column_int64(st, 5),
        .new_files = (uint64_t)sqlite3_column_int64(st, 6),
        .new_bytes = (uint64_t)sqlite3_column_int64(st, 7),
        .back_to = (uint64_t)sqlite3_column_int64(st, 8),
        .purged = sqlite3_column_int(st, 9) != 0,
    };
}

static int read_list(struct release_store *store, struct release_list *list)
{
    sqlite3_stmt *st = store->statements[STATEMENT_LIST];
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        list->items = cdn_realloc(list->items, list->n + 1, sizeof(*list->items));
        take_info(st, &list->items[list->n++]);
    }
    sqlite3_reset(st);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int read_files(struct release_store *store, uint64_t number, struct release_files *files)
{
    sqlite3_stmt *st = store->statements[STATEMENT_FILES];
    int code;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)number);
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        const void *name = sqlite3_column_blob(st, 0), *sha = sqlite3_column_blob(st, 1);
        if (!name || !sha || sqlite3_column_bytes(st, 1) != RELEASE_SHA_SIZE) {
            code = SQLITE_CORRUPT;
            break;
        }
        CDN_AUTOFREE char *text = cdn_strndup(name, (size_t)sqlite3_column_bytes(st, 0));
        struct release_file *file = release_files_add(files, text);
        memcpy(file->sha, sha, RELEASE_SHA_SIZE);
        file->size = (uint64_t)sqlite3_column_int64(st, 2);
        file->modified_s = sqlite3_column_int64(st, 3);
        file->changed_s = sqlite3_column_int64(st, 4);
    }
    sqlite3_reset(st);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

enum cdn_status release_store_list(struct release_store *store, struct release_list *ret,
                                   struct cdn_error *err)
{
    struct release_list list = {0};
    const int code = read_list(store, &list);
    if (code != SQLITE_OK) {
        release_list_free(&list);
        return failure(store, code, "read the releases", err);
    }
    *ret = list;
    return CDN_OK;
}

enum cdn_status release_store_files(struct release_store *store, uint64_t number, struct release_files *ret,
                                    struct cdn_error *err)
{
    struct release_files files = {0};
    const int code = read_files(store, number, &files);
    if (code != SQLITE_OK) {
        release_files_free(&files);
        return failure(store, code, "read the files of a release", err);
    }
    *ret = files;
    return CDN_OK;
}

enum cdn_status release_store_version(struct release_store *store, int64_t *ret, struct cdn_error *err)
{
    sqlite3_stmt *st = store->statements[STATEMENT_VERSION];
    const int code = sqlite3_step(st);
    const int64_t version = code == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    if (code != SQLITE_ROW) {
        return failure(store, code, "look for changes", err);
    }
    *ret = version;
    return CDN_OK;
}

/* Adds one release to the table. */
static int fill(struct release_store *store, struct release_table *table, uint64_t number, bool whole,
                int64_t until_ms)
{
    struct release_files files = {0};
    const int code = read_files(store, number, &files);
    if (code == SQLITE_OK) {
        release_table_add(table, &files, whole, until_ms);
    }
    release_files_free(&files);
    return code;
}

/* The current release, then staged ones, then those before. */
static int fill_all(struct release_store *store, struct release_table *table, const struct release_list *list,
                    uint64_t keep, int64_t keep_ms)
{
    const struct release_info *current = release_list_current(list);
    int code = current ? fill(store, table, current->number, true, RELEASE_FOR_EVER) : SQLITE_OK;
    for (size_t i = 0; i < list->n && code == SQLITE_OK; i++) {
        if (!list->items[i].live_ms) {
            code = fill(store, table, list->items[i].number, false, RELEASE_FOR_EVER);
        }
    }
    uint64_t newer = 0;
    int64_t ended_ms = current ? current->live_ms : 0;
    for (size_t i = list->n; i > 0 && code == SQLITE_OK; i--) {
        const struct release_info *info = &list->items[i - 1];
        if (info->live_ms && info != current) {
            code =
                fill(store, table, info->number, false, release_kept_until(ended_ms, ++newer, keep, keep_ms));
            ended_ms = info->live_ms;
        }
    }
    return code;
}

enum cdn_status release_store_table(struct release_store *store, uint64_t lengths, uint64_t keep,
                                    int64_t keep_ms, struct release_table **ret, struct cdn_error *err)
{
    struct release_list list = {0};
    struct release_table *table = NULL;
    int code = run(store, STATEMENT_BEGIN);
    if (code == SQLITE_OK) {
        code = read_list(store, &list);
        const struct release_info *current = release_list_current(&list);
        table = release_table_create(current ? current->number : 0,
                                     list.n ? list.items[list.n - 1].number : 0, lengths);
        code = code == SQLITE_OK ? fill_all(store, table, &list, keep, keep_ms) : code;
        (void)run(store, STATEMENT_COMMIT);
    }
    release_list_free(&list);
    if (code != SQLITE_OK) {
        release_table_unref(table);
        return failure(store, code, "read the current release", err);
    }
    *ret = table;
    return CDN_OK;
}

/* ---- changing ---- */

/* Ends a change: all of it, or nothing. */
static enum cdn_status end(struct release_store *store, int code, const char *what, struct cdn_error *err)
{
    if (code == SQLITE_OK) {
        code = run(store, STATEMENT_COMMIT);
    }
    if (code == SQLITE_OK) {
        return CDN_OK;
    }
    const enum cdn_status status = failure(store, code, what, err);
    (void)run(store, STATEMENT_ROLLBACK);
    return status;
}

static int add_info(struct release_store *store, const struct release_info *info)
{
    sqlite3_stmt *st = store->statements[STATEMENT_ADD];
    sqlite3_bind_int64(st, 1, info->live_ms);
    sqlite3_bind_text(st, 2, info->who, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, info->message, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, (sqlite3_int64)info->files);
    sqlite3_bind_int64(st, 5, (sqlite3_int64)info->bytes);
    sqlite3_bind_int64(st, 6, (sqlite3_int64)info->new_files);
    sqlite3_bind_int64(st, 7, (sqlite3_int64)info->new_bytes);
    sqlite3_bind_int64(st, 8, (sqlite3_int64)info->back_to);
    return run(store, STATEMENT_ADD);
}

static int add_file(struct release_store *store, uint64_t number, const struct release_file *file)
{
    sqlite3_stmt *st = store->statements[STATEMENT_ADD_FILE];
    sqlite3_bind_int64(st, 1, (sqlite3_int64)number);
    sqlite3_bind_blob(st, 2, file->name, (int)strlen(file->name), SQLITE_STATIC);
    sqlite3_bind_blob(st, 3, file->sha, RELEASE_SHA_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, (sqlite3_int64)file->size);
    sqlite3_bind_int64(st, 5, file->modified_s);
    sqlite3_bind_int64(st, 6, file->changed_s);
    return run(store, STATEMENT_ADD_FILE);
}

enum cdn_status release_store_add(struct release_store *store, struct release_info *info,
                                  const struct release_files *files, struct cdn_error *err)
{
    int code = run(store, STATEMENT_BEGIN_CHANGE);
    if (code == SQLITE_OK) {
        code = run(store, STATEMENT_DROP_STAGED_FILES);
    }
    if (code == SQLITE_OK) {
        code = run(store, STATEMENT_DROP_STAGED);
    }
    if (code == SQLITE_OK) {
        code = add_info(store, info);
    }
    const uint64_t number = (uint64_t)sqlite3_last_insert_rowid(store->db);
    for (size_t i = 0; i < files->n && code == SQLITE_OK; i++) {
        code = add_file(store, number, &files->items[i]);
    }
    const enum cdn_status status = end(store, code, "write the release", err);
    info->number = status == CDN_OK ? number : 0;
    return status;
}

enum cdn_status release_store_switch(struct release_store *store, uint64_t number, int64_t now_ms,
                                     struct cdn_error *err)
{
    int code = run(store, STATEMENT_BEGIN_CHANGE);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(store->statements[STATEMENT_SWITCH], 2, now_ms);
        code = run_with(store, STATEMENT_SWITCH, number);
    }
    return end(store, code, "switch to the release", err);
}

enum cdn_status release_store_note_purged(struct release_store *store, uint64_t upto, struct cdn_error *err)
{
    int code = run(store, STATEMENT_BEGIN_CHANGE);
    if (code == SQLITE_OK) {
        code = run_with(store, STATEMENT_PURGED, upto);
    }
    return end(store, code, "note the purge", err);
}

enum cdn_status release_store_drop(struct release_store *store, uint64_t number, struct cdn_error *err)
{
    int code = run(store, STATEMENT_BEGIN_CHANGE);
    if (code == SQLITE_OK) {
        code = run_with(store, STATEMENT_DROP_FILES, number);
    }
    if (code == SQLITE_OK) {
        code = run_with(store, STATEMENT_DROP, number);
    }
    return end(store, code, "remove a release", err);
}
