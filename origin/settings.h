/* settings: every setting of the origin, one row each (see common/config/config.h). */
#ifndef CDN_ORIGIN_SETTINGS_H
#define CDN_ORIGIN_SETTINGS_H
#include "common/config/config.h"

#include <stddef.h>

#define ORIGIN_YEAR_MS 31536000000.0

#define ORIGIN_SETTINGS(X)                                                                                 \
    X(STRING, root, "", 0, 4096, NULL, RESTART, "DIR", "Folder to serve")                                  \
    X(STRING, releases, "", 0, 4096, NULL, RESTART, "DIR",                                                 \
      "Folder of the releases that `pocketcdn publish` makes; what the current one lacks, root may have")  \
    X(UINT, keep_releases, "10", 0, 10000, NULL, RUNTIME, "N",                                             \
      "Releases before the current one of which files with a content hash in their name are still served") \
    X(DURATION, keep_age, "30d", 0, ORIGIN_YEAR_MS, NULL, RUNTIME, "TIME",                                 \
      "And those of releases that were current within this time")                                          \
    X(ADDRESS, listen, "127.0.0.1:8090", 0, 0, NULL, RESTART, "HOST:PORT", "Public listener")              \
    X(ADDRESS, admin, "", 0, 0, NULL, RESTART, "HOST:PORT", "Admin listener; default: public port + 1000") \
    X(STRING, place, "", 0, 200, NULL, RESTART, "NAME|LAT,LON", "Where this origin stands")                \
    X(STRING, state, "", 0, 4096, NULL, RESTART, "DIR",                                                    \
      "Folder for the hashes of large files, so that a restart need not read them again; default: none "   \
      "kept")                                                                                              \
    X(UINT, threads, "2", 1, 64, NULL, RESTART, "N", "Worker threads")                                     \
    X(DURATION, max_age, "60s", 0, ORIGIN_YEAR_MS, NULL, RUNTIME, "TIME",                                  \
      "Freshness lifetime (Cache-Control: max-age) of files without a content hash in their name")         \
    X(BOOL, immutable, "yes", 0, 0, NULL, RUNTIME, "yes|no",                                               \
      "Give names with a content hash (app.db8f2edc0c8a.js) a year and 'immutable'")                       \
    X(LIST, immutable_digits, "12", 0, 8, NULL, RUNTIME, "N",                                              \
      "Lengths of a content hash in a name in hex digits (8 to 64), such as 8, 12 and 20; numbers and "    \
      "UUIDs do not count")                                                                                \
    X(STRING, index, "index.html", 0, 255, NULL, RUNTIME, "NAME",                                          \
      "File that answers for a folder; empty: none")                                                       \
    X(BOOL, listing, "no", 0, 0, NULL, RUNTIME, "yes|no", "List folders that have no index file")          \
    X(BOOL, precompressed, "yes", 0, 0, NULL, RUNTIME, "yes|no",                                           \
      "Serve the siblings .br, .zst and .gz to clients that accept them")                                  \
    X(STRING, mime_types, "/etc/mime.types", 0, 4096, NULL, RESTART, "FILE",                               \
      "The system's table of media types")                                                                 \
    X(SIZE, memory, "32MiB", 0, 1e12, NULL, RESTART, "SIZE",                                               \
      "Budget for small files kept ready, all threads together")                                           \
    X(BOOL, access_log, "no", 0, 0, NULL, RUNTIME, "yes|no", "Log every request")                          \
    X(DURATION, keepalive, "60s", 1000, 86400000, NULL, RESTART, "TIME",                                   \
      "Idle time-out of client connections")                                                               \
    X(UINT, max_connections, "15000", 16, 1e6, NULL, RESTART, "N",                                         \
      "Client connections of each worker thread")                                                          \
    CDN_SHARED_SETTINGS(X)

CDN_CONFIG_STRUCT(origin_settings, ORIGIN_SETTINGS);
extern const struct cdn_config_program origin_program;

#endif
