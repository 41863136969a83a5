/* store_index: SQL is nowhere else, and every statement is prepared once, at the open. A damaged
 * database answers CDN_CORRUPT from whichever statement meets it; the writer then makes a new one
 * from the records. */
#include "edge/store/store_index.h"

#include "common/mem.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

#define BUSY_MS 2000

#define STATEMENT_TABLE(X)                                                                 \
    X(INSERT, "INSERT INTO object VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)") \
    X(DELETE, "DELETE FROM object WHERE id=?1")                                            \
    X(UPDATE, "UPDATE object SET meta=?2, meta_sum=?3, rebuilt=0 WHERE id=?1")             \
    X(MOVE, "UPDATE object SET segment=?2, place=?3 WHERE id=?1")                          \
    X(GET, "SELECT * FROM object WHERE id=?1")                                             \
    X(PLACE, "SELECT segment, place FROM object WHERE id=?1")                              \
    X(MAX, "SELECT max(id) FROM object")                                                   \
    X(SCAN, "SELECT * FROM object WHERE id>?1 AND id<?2 ORDER BY id")                      \
    X(FIND, "SELECT * FROM object WHERE key_a=?1 AND key_b=?2 ORDER BY id")                \
    X(SET_MARK, "INSERT OR REPLACE INTO mark VALUES(0,?1)")                                \
    X(MARK, "SELECT text FROM mark")                                                       \
    X(BEGIN, "BEGIN IMMEDIATE")                                                            \
    X(COMMIT, "COMMIT")

enum statement {
#define X(name, sql) STATEMENT_##name,
    STATEMENT_TABLE(X)
#undef X
        STATEMENT_COUNT
};

/* the columns of `object`, in order */
enum column {
    ID,
    KEY_A,
    KEY_B,
    VARIANT,
    SEGMENT,
    PLACE,
    TEXT,
    BODY,
    REBUILT,
    KEY,
    META,
    EXTENTS,
    SUM,
    META_SUM
};

static const char schema[] = "CREATE TABLE IF NOT EXISTS object("
                             " id INTEGER PRIMARY KEY, key_a INTEGER NOT NULL, key_b INTEGER NOT NULL,"
                             " variant INTEGER NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL,"
                             " text INTEGER NOT NULL, body INTEGER NOT NULL, rebuilt INTEGER NOT NULL,"
                             " key TEXT NOT NULL, meta BLOB NOT NULL, extents BLOB,"
                             " sum INTEGER NOT NULL, meta_sum INTEGER NOT NULL);"
                             "CREATE INDEX IF NOT EXISTS object_key ON object(key_a);"
                             "CREATE TABLE IF NOT EXISTS mark(id INTEGER PRIMARY KEY, text TEXT NOT NULL);";

/* What the column `rebuilt` says of a row's meta. */
enum origin {
    NEWER,    /* than the record's: updated, or of a version that did not tell */
    REMADE,   /* from the record, after the index was lost */
    PRISTINE, /* as in the record */
};

struct edge_index {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
};

static enum cdn_status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return CDN_OK;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return CDN_CORRUPT;
    case SQLITE_FULL:
        return CDN_UNAVAILABLE;
    case SQLITE_ERROR: /* a schema that does not parse any more, a table that is not there */
        return CDN_CORRUPT;
    default:
        return CDN_IO;
    }
}

static enum cdn_status prepare_all(struct edge_index *ix)
{
    static const char *const sql[] = {
#define X(name, text) text,
        STATEMENT_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        int code =
            sqlite3_prepare_v3(ix->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &ix->statements[i], NULL);
        if (code != SQLITE_OK) {
            return status_of(code);
        }
    }
    return CDN_OK;
}

static int has_table(void *arg, int n, char **values, char **names)
{
    (void)n, (void)values, (void)names;
    *(bool *)arg = true;
    return 0;
}

static enum cdn_status set_up(struct edge_index *ix, bool writer, bool *ret_new)
{
    bool there = false;
    sqlite3_busy_timeout(ix->db, BUSY_MS);
    sqlite3_extended_result_codes(ix->db, 1);
    int code =
        sqlite3_exec(ix->db, "SELECT 1 FROM sqlite_master WHERE name='object'", has_table, &there, NULL);
    if (code == SQLITE_OK && writer) {
        code = sqlite3_exec(
            ix->db,
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "PRAGMA wal_autocheckpoint=256; PRAGMA journal_size_limit=1048576; PRAGMA cache_size=-2048;",
            NULL, NULL, NULL);
    }
    if (code == SQLITE_OK && writer) {
        code = sqlite3_exec(ix->db, schema, NULL, NULL, NULL);
    }
    if (ret_new) {
        *ret_new = !there;
    }
    return code == SQLITE_OK ? prepare_all(ix) : status_of(code);
}

/* Counting its memory would take a lock at each allocation. Refused, without harm, once SQLite is in use. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum cdn_status edge_index_open(const char *path, bool writer, struct edge_index **ret, bool *ret_new,
                                struct cdn_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    struct edge_index *ix = cdn_calloc(1, sizeof(*ix));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(path, &ix->db, flags, NULL);
    enum cdn_status status = code == SQLITE_OK ? set_up(ix, writer, ret_new) : status_of(code);
    if (status != CDN_OK) {
        cdn_error_set(err, status, "%s: %s", path, edge_index_failure(ix));
        edge_index_close(ix);
        return status;
    }
    *ret = ix;
    return CDN_OK;
}

void edge_index_close(struct edge_index *ix)
{
    if (ix) {
        for (size_t i = 0; i < STATEMENT_COUNT; i++) {
            sqlite3_finalize(ix->statements[i]);
        }
        sqlite3_close(ix->db);
        free(ix);
    }
}

const char *edge_index_failure(const struct edge_index *ix)
{
    return ix->db ? sqlite3_errmsg(ix->db) : "out of memory";
}

static sqlite3_stmt *bind_ints(struct edge_index *ix, enum statement which, const uint64_t *values, int n)
{
    sqlite3_stmt *st = ix->statements[which];
    for (int i = 0; i < n; i++) {
        sqlite3_bind_int64(st, i + 1, (sqlite3_int64)values[i]);
    }
    return st;
}

static int run_code(sqlite3_stmt *st)
{
    int code = sqlite3_step(st);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return code;
}

static enum cdn_status run(sqlite3_stmt *st)
{
    return status_of(run_code(st));
}

enum cdn_status edge_index_begin(struct edge_index *ix)
{
    return run(ix->statements[STATEMENT_BEGIN]);
}

enum cdn_status edge_index_commit(struct edge_index *ix)
{
    return run(ix->statements[STATEMENT_COMMIT]);
}

bool edge_index_in_transaction(const struct edge_index *ix)
{
    return !sqlite3_get_autocommit(ix->db);
}

/* A flipped bit must not make an outdated record speak for the row. */
static uint64_t meta_sum(uint64_t id, struct cdn_str meta, bool pristine)
{
    return XXH3_64bits_withSeed(meta.p, meta.n, pristine ? ~id : id);
}

static uint64_t row_sum(const struct edge_store_row *row)
{
    const uint64_t fields[] = {row->location.id,      row->key_hash.a,    row->key_hash.b,
                               row->key_hash.variant, row->location.body, row->location.text};
    uint64_t sum = XXH3_64bits(fields, sizeof(fields));
    sum = XXH3_64bits_withSeed(row->key.p, row->key.n, sum);
    return XXH3_64bits_withSeed(row->extents, row->n_extents * sizeof(*row->extents), sum);
}

static int insert(struct edge_index *ix, const struct edge_store_row *row)
{
    const struct edge_store_location *l = &row->location;
    const enum origin origin = row->rebuilt ? REMADE : PRISTINE;
    const uint64_t ints[] = {l->id,      row->key_hash.a, row->key_hash.b, row->key_hash.variant,
                             l->segment, l->place,        l->text,         l->body,
                             origin};
    sqlite3_stmt *st = bind_ints(ix, STATEMENT_INSERT, ints, (int)CDN_ARRAY_LEN(ints));
    sqlite3_bind_text(st, KEY + 1, row->key.p, (int)row->key.n, SQLITE_STATIC);
    sqlite3_bind_blob(st, META + 1, row->meta.p ? row->meta.p : "", (int)row->meta.n, SQLITE_STATIC);
    if (row->n_extents > 0) {
        sqlite3_bind_blob(st, EXTENTS + 1, row->extents, (int)(row->n_extents * sizeof(*row->extents)),
                          SQLITE_STATIC);
    }
    sqlite3_bind_int64(st, SUM + 1, (sqlite3_int64)row_sum(row));
    sqlite3_bind_int64(st, META_SUM + 1, (sqlite3_int64)meta_sum(l->id, row->meta, origin == PRISTINE));
    return run_code(st);
}

/* Ids are new but for the rows of a rebuild; OR REPLACE would cost a savepoint and a look-up each. */
enum cdn_status edge_index_insert(struct edge_index *ix, const struct edge_store_row *row)
{
    int code = insert(ix, row);
    if (code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID) {
        const enum cdn_status status = edge_index_delete(ix, row->location.id);
        return status == CDN_OK ? status_of(insert(ix, row)) : status;
    }
    return status_of(code);
}

enum cdn_status edge_index_delete(struct edge_index *ix, uint64_t id)
{
    return run(bind_ints(ix, STATEMENT_DELETE, &id, 1));
}

enum cdn_status edge_index_update(struct edge_index *ix, uint64_t id, struct cdn_str meta)
{
    sqlite3_stmt *st = bind_ints(ix, STATEMENT_UPDATE, &id, 1);
    sqlite3_bind_blob(st, 2, meta.p ? meta.p : "", (int)meta.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)meta_sum(id, meta, false));
    return run(st);
}

enum cdn_status edge_index_move(struct edge_index *ix, uint64_t id, uint32_t segment, uint32_t place)
{
    const uint64_t ints[] = {id, segment, place};
    return run(bind_ints(ix, STATEMENT_MOVE, ints, 3));
}

enum cdn_status edge_index_place(struct edge_index *ix, uint64_t id, uint32_t *ret_segment,
                                 uint32_t *ret_place)
{
    sqlite3_stmt *st = bind_ints(ix, STATEMENT_PLACE, &id, 1);
    int code = sqlite3_step(st);
    if (code == SQLITE_ROW) {
        *ret_segment = (uint32_t)sqlite3_column_int64(st, 0);
        *ret_place = (uint32_t)sqlite3_column_int64(st, 1);
    }
    sqlite3_reset(st);
    return code == SQLITE_DONE ? CDN_NOT_FOUND : status_of(code);
}

enum cdn_status edge_index_max_id(struct edge_index *ix, uint64_t *ret)
{
    sqlite3_stmt *st = ix->statements[STATEMENT_MAX];
    int code = sqlite3_step(st);
    if (code == SQLITE_ROW) {
        *ret = (uint64_t)sqlite3_column_int64(st, 0);
    }
    sqlite3_reset(st);
    return status_of(code);
}

enum cdn_status edge_index_set_mark(struct edge_index *ix, struct cdn_str text)
{
    sqlite3_stmt *st = ix->statements[STATEMENT_SET_MARK];
    sqlite3_bind_text(st, 1, text.p, (int)text.n, SQLITE_STATIC);
    return run(st);
}

char *edge_index_mark(struct edge_index *ix)
{
    sqlite3_stmt *st = ix->statements[STATEMENT_MARK];
    const char *text = sqlite3_step(st) == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    char *mark = cdn_strdup(text ? text : "");
    sqlite3_reset(st);
    return mark;
}

static uint64_t column_u64(sqlite3_stmt *st, enum column column)
{
    return (uint64_t)sqlite3_column_int64(st, (int)column);
}

static struct cdn_str column_bytes(sqlite3_stmt *st, enum column column)
{
    const void *p = sqlite3_column_blob(st, (int)column);
    return (struct cdn_str){p ? p : "", (size_t)sqlite3_column_bytes(st, (int)column)};
}

static void deliver(sqlite3_stmt *st, const struct edge_index_sink *sink)
{
    struct cdn_str blob = column_bytes(st, EXTENTS);
    size_t n_extents = blob.n / sizeof(struct edge_store_extent);
    CDN_AUTOFREE struct edge_store_extent *extents = cdn_malloc(blob.n);
    memcpy(extents, blob.p, n_extents * sizeof(*extents));
    struct edge_store_row row = {
        .key_hash = {column_u64(st, KEY_A), column_u64(st, KEY_B), column_u64(st, VARIANT)},
        .location = {.id = column_u64(st, ID),
                     .segment = (uint32_t)column_u64(st, SEGMENT),
                     .place = (uint32_t)column_u64(st, PLACE),
                     .text = column_u64(st, TEXT) & EDGE_STORE_TEXT_MAX,
                     .body = column_u64(st, BODY) & EDGE_STORE_BODY_MAX},
        .key = column_bytes(st, KEY),
        .meta = column_bytes(st, META),
        .extents = n_extents ? extents : NULL,
        .n_extents = n_extents,
        .rebuilt = column_u64(st, REBUILT) == REMADE,
        .pristine = column_u64(st, REBUILT) == PRISTINE,
    };
    if (row_sum(&row) == column_u64(st, SUM) &&
        meta_sum(row.location.id, row.meta, row.pristine) == column_u64(st, META_SUM)) {
        sink->row(sink->arg, &row);
    } else {
        sink->damaged(sink->arg, row.location.id);
    }
}

static enum cdn_status select_rows(sqlite3_stmt *st, const struct edge_index_sink *sink)
{
    int code;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        deliver(st, sink);
    }
    sqlite3_reset(st);
    return status_of(code);
}

enum cdn_status edge_index_scan(struct edge_index *ix, uint64_t after, uint64_t before,
                                const struct edge_index_sink *sink)
{
    const uint64_t ints[] = {after, before};
    return select_rows(bind_ints(ix, STATEMENT_SCAN, ints, 2), sink);
}

enum cdn_status edge_index_get(struct edge_index *ix, uint64_t id, const struct edge_index_sink *sink)
{
    return select_rows(bind_ints(ix, STATEMENT_GET, &id, 1), sink);
}

enum cdn_status edge_index_find(struct edge_index *ix, uint64_t key_a, uint64_t key_b,
                                const struct edge_index_sink *sink)
{
    const uint64_t ints[] = {key_a, key_b};
    return select_rows(bind_ints(ix, STATEMENT_FIND, ints, 2), sink);
}
