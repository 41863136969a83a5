/* page: read whole and at once, since what is wrong with it has to be said when the configuration is read,
 * not when the first error comes. A path that leads to a pipe or device is refused before it could block. */
#include "edge/site/page.h"

#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

static enum cdn_status read_all(int fd, const char *path, struct cdn_buf *into, struct cdn_error *err)
{
    struct stat about;
    ssize_t got = 1;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        return cdn_error_set(err, CDN_INVALID, "\"%s\" is not a file", path);
    }
    while (got > 0 && into->n <= EDGE_PAGE_MAX) {
        cdn_buf_reserve(into, 16384);
        got = read(fd, into->p + into->n, 16384);
        into->n += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        return cdn_error_set(err, CDN_INVALID, "cannot read \"%s\": %s", path, strerror(errno));
    }
    if (into->n > EDGE_PAGE_MAX || into->n == 0) {
        return cdn_error_set(err, CDN_INVALID, "\"%s\" has %s", path,
                             into->n ? "more than 256 KiB" : "nothing in it");
    }
    into->p[into->n] = '\0';
    return CDN_OK;
}

static enum cdn_status read_page(const char *path, struct cdn_buf *into, struct cdn_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return cdn_error_set(err, CDN_INVALID, "cannot read \"%s\": %s", path, strerror(errno));
    }
    enum cdn_status status = read_all(fd, path, into, err);
    close(fd);
    return status;
}

enum cdn_status edge_page_get(struct edge_page **list, const char *path, const struct edge_page **ret,
                              struct cdn_error *err)
{
    struct cdn_buf text = {0};
    for (const struct edge_page *p = *list; p; p = p->next) {
        if (strcmp(p->path, path) == 0) {
            *ret = p;
            return CDN_OK;
        }
    }
    enum cdn_status status = read_page(path, &text, err);
    if (status != CDN_OK) {
        cdn_buf_free(&text);
        return status;
    }
    struct edge_page *page = cdn_calloc(1, sizeof(*page));
    *page = (struct edge_page){.next = *list,
                               .path = cdn_strdup(path),
                               .text = text,
                               .numbered = memmem(text.p, text.n, "{request_id}", 12) != NULL};
    *ret = *list = page;
    return CDN_OK;
}

void edge_pages_free(struct edge_page *list)
{
    for (struct edge_page *p = list, *next; p; p = next) {
        next = p->next;
        free(p->path);
        cdn_buf_free(&p->text);
        free(p);
    }
}
