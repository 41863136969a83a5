/* keep: the file is replaced whole, by rename, after it has reached the disk: a kill between two instructions
 * leaves the old one or the new one. */
#include "wan/relay/keep.h"

#include "common/folder.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "wan/relay/relay_private.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define FILE_NAME "listeners.json"
#define FILE_NEW "listeners.new"
#define FILE_MOST (4u << 20) /* a thousand names whose every byte is escaped have 1.3 MiB */

static enum cdn_status open_folder(const char *folder, int *ret, struct cdn_error *err)
{
    enum cdn_status status = cdn_folder_make("state", folder, true, err);
    if (status != CDN_OK) {
        return status;
    }
    *ret = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? cdn_error_set(err, CDN_IO, "state %s: %s", folder, strerror(errno)) : CDN_OK;
}

static json_t *read_file(int fd)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    ssize_t n = 1;
    while (n > 0 && text.n < FILE_MOST) {
        cdn_buf_reserve(&text, 4096);
        n = read(fd, text.p + text.n, 4096);
        text.n += n > 0 ? (size_t)n : 0;
    }
    return n < 0 ? NULL : json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
}

enum cdn_status wan_keep_load(const char *folder,
                              void (*take)(void *arg, const char *place, const char *profile, unsigned port),
                              void *arg, struct cdn_error *err)
{
    int at;
    if (!folder[0]) {
        return CDN_OK;
    }
    enum cdn_status status = open_folder(folder, &at, err);
    if (status != CDN_OK) {
        return status;
    }
    CDN_AUTOFREE char *path = cdn_asprintf("%s/%s", folder, FILE_NAME);
    int fd = cdn_folder_open(at, FILE_NAME, O_RDONLY);
    int problem = errno;
    close(at);
    if (fd < 0) {
        return problem == ENOENT ? CDN_OK : cdn_folder_error(path, problem, err);
    }
    json_t *all = read_file(fd), *each;
    close(fd);
    size_t i;
    if (!json_is_array(all)) {
        json_decref(all);
        return cdn_error_set(err, CDN_CORRUPT, "%s is not a list of listeners; remove it", path);
    }
    json_array_foreach(all, i, each)
    {
        const char *place, *profile;
        int port;
        if (json_unpack(each, "{s:s, s:s, s:i}", "place", &place, "profile", &profile, "port", &port) == 0 &&
            port > 0 && port <= 65535) {
            take(arg, place, profile, (unsigned)port);
        }
    }
    json_decref(all);
    return CDN_OK;
}

static bool write_all(int fd, const char *text)
{
    size_t n = strlen(text);
    while (n) {
        ssize_t written = write(fd, text, n);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        text += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
    return fsync(fd) == 0;
}

static char *text_of(const struct wan_listener *listeners)
{
    json_t *all = json_array();
    for (const struct wan_listener *l = listeners; l; l = l->next) {
        if (l->kind == WAN_LISTENER_PLACE) { /* the oldest stands last in the list */
            json_array_insert_new(all, 0,
                                  json_pack("{s:s, s:s, s:i}", "place", l->place, "profile", l->profile,
                                            "port", (int)cdn_addr_port(&l->address)));
        }
    }
    char *text = json_dumps(all, JSON_INDENT(1));
    json_decref(all);
    return text ? text : cdn_strdup("[]");
}

enum cdn_status wan_keep_save(const char *folder, const struct wan_listener *listeners, struct cdn_error *err)
{
    int at;
    if (!folder[0]) {
        return CDN_OK;
    }
    enum cdn_status status = open_folder(folder, &at, err);
    if (status != CDN_OK) {
        return status;
    }
    CDN_AUTOFREE char *text = text_of(listeners);
    int fd = cdn_folder_open(at, FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC);
    bool fine = fd >= 0 && write_all(fd, text) && renameat(at, FILE_NEW, at, FILE_NAME) == 0;
    int problem = errno;
    if (fd >= 0) {
        close(fd);
    }
    close(at);
    if (!fine) {
        CDN_AUTOFREE char *path = cdn_asprintf("%s/%s", folder, FILE_NAME);
        return cdn_folder_error(path, problem, err);
    }
    return CDN_OK;
}
