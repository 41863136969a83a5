/* purge_log: SQLite with full synchronisation: an answered purge survives a power cut. A file that
 * is no sound log is set aside and a new identity begun, which makes every edge drop all: safe,
 * never stale. */
#include "router/purge/purge_log.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/banned.h"

/* FORGET goes from the oldest on, so that no gap opens where a clock went back. */
#define STATEMENTS(X)                                                                              \
    X(APPEND, "INSERT INTO purge(time_ms, what) VALUES(?1, ?2)")                                   \
    X(READ, "SELECT id, time_ms, what FROM purge WHERE id > ?1 ORDER BY id")                       \
    X(OLDEST, "SELECT min(id) FROM purge")                                                         \
    X(LAST, "SELECT seq FROM sqlite_sequence WHERE name = 'purge'")                                \
    X(FORGET, "DELETE FROM purge WHERE id <= max(?1, (SELECT id FROM purge WHERE "                 \
              "time_ms >= ?2 OR id = ?3 ORDER BY id LIMIT 1) - 1)")                                \
    X(BYTES, "SELECT sum(length(CAST(what AS BLOB)) + 64) FROM purge")                             \
    X(SHRINK, "DELETE FROM purge WHERE id < ?2 AND id <= (SELECT max(id) FROM (SELECT id, "        \
              "sum(length(CAST(what AS BLOB)) + 64) OVER (ORDER BY id DESC) AS total FROM purge) " \
              "WHERE total > ?1)")                                                                 \
    X(IDENTITY, "SELECT text FROM identity")                                                       \
    X(SET_IDENTITY, "INSERT INTO identity VALUES(?1)")

enum statement {
#define X(name, sql) STATEMENT_##name,
    STATEMENTS(X)
#undef X
        STATEMENT_COUNT
};

/* The exclusive lock is taken with the first write, and kept. */
static const char schema[] =
    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    "PRAGMA journal_size_limit=1048576;"
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS purge(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time_ms INTEGER NOT NULL, what TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS identity(text TEXT NOT NULL);"
    "COMMIT;";

struct router_purge_log {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct router_purge_limits limits;
    char identity[ROUTER_PURGE_IDENTITY_SIZE];
    uint64_t last, oldest;
    uint64_t bytes; /* of the entries, or a little more */
};

static enum cdn_status failure(const struct router_purge_log *log, int code, const char *what,
                               struct cdn_error *err)
{
    const char *text = log->db ? sqlite3_errmsg(log->db) : "out of memory";
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return cdn_error_set(err, CDN_CONFLICT, "purge log: %s: another process has it", what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* somebody else's tables */
        return cdn_error_set(err, CDN_CORRUPT, "purge log: %s: %s", what, text);
    case SQLITE_FULL:
        return cdn_error_set(err, CDN_UNAVAILABLE, "purge log: %s: %s", what, text);
    default:
        return cdn_error_set(err, CDN_IO, "purge log: %s: %s", what, text);
    }
}

static int run(sqlite3_stmt *st)
{
    int code = sqlite3_step(st);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* The number in the only column of the only row; 0 when it is NULL or there is none. */
static int read_number(sqlite3_stmt *st, uint64_t *ret)
{
    int code = sqlite3_step(st);
    *ret = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* ---- opening ---- */

static int make_identity(struct router_purge_log *log)
{
    unsigned char raw[(ROUTER_PURGE_IDENTITY_SIZE - 1) / 2];
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw)) {
        return SQLITE_IOERR;
    }
    for (size_t i = 0; i < sizeof(raw); i++) {
        snprintf(log->identity + 2 * i, 3, "%02x", raw[i]);
    }
    sqlite3_stmt *st = log->statements[STATEMENT_SET_IDENTITY];
    sqlite3_bind_text(st, 1, log->identity, -1, SQLITE_STATIC);
    return run(st);
}

static int read_identity(struct router_purge_log *log)
{
    sqlite3_stmt *st = log->statements[STATEMENT_IDENTITY];
    int code = sqlite3_step(st);
    if (code == SQLITE_ROW) {
        cdn_str_copy(log->identity, sizeof(log->identity), cdn_str((const char *)sqlite3_column_text(st, 0)));
    }
    sqlite3_reset(st);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? make_identity(log) : code;
}

static int is_sound(void *arg, int n, char **values, char **names)
{
    (void)n, (void)names;
    *(bool *)arg = values[0] && strcmp(values[0], "ok") == 0;
    return 0;
}

static int prepare_all(struct router_purge_log *log)
{
    static const char *const sql[] = {
#define X(name, text) text,
        STATEMENTS(X)
#undef X
    };
    int code = SQLITE_OK;
    for (size_t i = 0; i < STATEMENT_COUNT && code == SQLITE_OK; i++) {
        code = sqlite3_prepare_v3(log->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &log->statements[i], NULL);
    }
    return code;
}

static int find_oldest(struct router_purge_log *log)
{
    int code = read_number(log->statements[STATEMENT_OLDEST], &log->oldest);
    log->oldest = log->oldest ? log->oldest : log->last + 1;
    return code;
}

static int set_up(struct router_purge_log *log, const char *path)
{
    bool sound = false;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path ? path : ":memory:", &log->db, flags, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(log->db, schema, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_exec(log->db, "PRAGMA quick_check(1)", is_sound, &sound, NULL);
    }
    if (code == SQLITE_OK && !sound) {
        code = SQLITE_CORRUPT;
    }
    if (code == SQLITE_OK) {
        code = prepare_all(log);
    }
    if (code == SQLITE_OK) {
        code = read_identity(log);
    }
    if (code == SQLITE_OK) {
        code = read_number(log->statements[STATEMENT_LAST], &log->last);
    }
    if (code == SQLITE_OK) {
        code = read_number(log->statements[STATEMENT_BYTES], &log->bytes);
    }
    return code == SQLITE_OK ? find_oldest(log) : code;
}

static enum cdn_status open_once(const char *path, const struct router_purge_limits *limits,
                                 struct router_purge_log **ret, struct cdn_error *err)
{
    struct router_purge_log *log = cdn_calloc(1, sizeof(*log));
    log->limits = *limits;
    int code = set_up(log, path);
    if (code != SQLITE_OK) {
        enum cdn_status status = failure(log, code, path ? path : "in memory", err);
        router_purge_log_close(log);
        return status;
    }
    *ret = log;
    return CDN_OK;
}

static void set_aside(const char *path, const char *why)
{
    CDN_AUTOFREE char *aside = cdn_asprintf("%s.corrupt-%lld", path, (long long)cdn_clock_real_ms());
    CDN_AUTOFREE char *wal = cdn_asprintf("%s-wal", path);
    CDN_AUTOFREE char *wal_aside = cdn_asprintf("%s-wal", aside);
    bool moved = rename(path, aside) == 0;
    if (rename(wal, wal_aside) != 0 && errno != ENOENT) {
        moved = false;
    }
    cdn_log(CDN_LOG_ERROR, "purge_log_corrupt", "path=%s aside=%s moved=%d error=%s", path, aside, moved,
            why);
}

static enum cdn_status make_folders(const char *path, struct cdn_error *err)
{
    CDN_AUTOFREE char *part = cdn_strdup(path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return cdn_error_set(err, CDN_IO, "purge log: folder %s: %s", part, strerror(errno));
        }
        *slash = '/';
    }
    return CDN_OK;
}

char *router_purge_log_default_path(const char *admin)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct cdn_addr address;
    unsigned port = cdn_parse_host_port(cdn_str(admin), &address) ? cdn_addr_port(&address) : 0;
    if (port > 0 && state && state[0] == '/') {
        return cdn_asprintf("%s/pocketcdn/router-%u/purges.db", state, port);
    }
    if (port > 0 && home && home[0] == '/') {
        return cdn_asprintf("%s/.local/state/pocketcdn/router-%u/purges.db", home, port);
    }
    return NULL;
}

enum cdn_status router_purge_log_open(const char *path, const struct router_purge_limits *limits,
                                      struct router_purge_log **ret, struct cdn_error *err)
{
    struct cdn_error own = {0};
    enum cdn_status status = path ? make_folders(path, err) : CDN_OK;
    if (status != CDN_OK) {
        return status;
    }
    status = open_once(path, limits, ret, &own);
    if (status == CDN_CORRUPT && path) {
        set_aside(path, own.text);
        status = open_once(path, limits, ret, &own);
    }
    return status == CDN_OK ? CDN_OK : cdn_error_set(err, status, "%s", own.text);
}

void router_purge_log_close(struct router_purge_log *log)
{
    if (!log) {
        return;
    }
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(log->statements[i]);
    }
    sqlite3_close(log->db);
    free(log);
}

/* ---- use ---- */

const char *router_purge_log_identity(const struct router_purge_log *log)
{
    return log->identity;
}

uint64_t router_purge_log_last(const struct router_purge_log *log)
{
    return log->last;
}

uint64_t router_purge_log_oldest(const struct router_purge_log *log)
{
    return log->oldest;
}

bool router_purge_log_reaches(const struct router_purge_log *log, uint64_t after)
{
    return after <= log->last && after + 1 >= log->oldest;
}

static int forget(struct router_purge_log *log, int64_t now_ms)
{
    uint64_t surplus = log->last > log->limits.keep ? log->last - log->limits.keep : 0;
    sqlite3_stmt *st = log->statements[STATEMENT_FORGET];
    sqlite3_bind_int64(st, 1, (sqlite3_int64)surplus);
    sqlite3_bind_int64(st, 2, now_ms - log->limits.keep_ms);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)log->last);
    int code = run(st);
    return code == SQLITE_OK ? find_oldest(log) : code;
}

/* Down to nine tenths, so that the rows are not counted at every append. The newest one stays. */
static int shrink(struct router_purge_log *log)
{
    sqlite3_stmt *st = log->statements[STATEMENT_SHRINK];
    sqlite3_bind_int64(st, 1, (sqlite3_int64)log->limits.keep_bytes / 10 * 9);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)log->last);
    int code = run(st);
    if (code == SQLITE_OK) {
        code = read_number(log->statements[STATEMENT_BYTES], &log->bytes);
    }
    return code == SQLITE_OK ? find_oldest(log) : code;
}

enum cdn_status router_purge_log_append(struct router_purge_log *log, int64_t now_ms, struct cdn_str what,
                                        uint64_t *ret_id, struct cdn_error *err)
{
    sqlite3_stmt *st = log->statements[STATEMENT_APPEND];
    sqlite3_bind_int64(st, 1, now_ms);
    sqlite3_bind_text(st, 2, what.p, (int)what.n, SQLITE_STATIC);
    int code = run(st);
    if (code != SQLITE_OK) {
        return failure(log, code, "append", err);
    }
    log->last = (uint64_t)sqlite3_last_insert_rowid(log->db);
    log->bytes += what.n + ROUTER_PURGE_ENTRY_COST;
    *ret_id = log->last;
    bool due = log->last % 64 == 0 || log->limits.keep < 64; /* what is forgotten late does no harm */
    code = due ? forget(log, now_ms) : SQLITE_OK;
    if (code == SQLITE_OK && log->limits.keep_bytes && log->bytes > log->limits.keep_bytes) {
        code = shrink(log);
    }
    if (code != SQLITE_OK) {
        struct cdn_error own;
        failure(log, code, "forgetting", &own);
        cdn_log(CDN_LOG_WARN, "purge_log", "error=%s", own.text);
    }
    return CDN_OK;
}

enum cdn_status router_purge_log_read(struct router_purge_log *log, uint64_t after,
                                      router_purge_entry_fn *entry, void *arg, struct cdn_error *err)
{
    sqlite3_stmt *st = log->statements[STATEMENT_READ];
    bool more = true;
    int code;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
    while ((code = sqlite3_step(st)) == SQLITE_ROW && more) {
        struct cdn_str what = {(const char *)sqlite3_column_text(st, 2), (size_t)sqlite3_column_bytes(st, 2)};
        more = entry(arg, (uint64_t)sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1),
                     what.p ? what : CDN_STR(""));
    }
    sqlite3_reset(st);
    return code == SQLITE_ROW || code == SQLITE_DONE ? CDN_OK : failure(log, code, "read", err);
}
