/* listing: the page of a folder: names sorted, folders first, at most as many as a page can bear.
 * Names come from the disk and are escaped twice, for the URL and for the HTML. */
#include "origin/listing.h"

#include "common/http/syntax/http_percent.h"
#include "common/mem.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

struct name {
    char *text;
    bool is_folder;
};

static void add_html(struct cdn_buf *out, const char *s)
{
    for (; *s; s++) {
        const char *entity = *s == '&'   ? "&amp;"
                             : *s == '<' ? "&lt;"
                             : *s == '>' ? "&gt;"
                             : *s == '"' ? "&quot;"
                                         : NULL;
        if (entity) {
            cdn_buf_add_str(out, cdn_str(entity));
        } else {
            cdn_buf_add_char(out, *s);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    return x->is_folder != y->is_folder ? y->is_folder - x->is_folder : strcmp(x->text, y->text);
}

static bool is_folder(int dir, const struct dirent *d)
{
    struct stat st;
    return d->d_type == DT_DIR || ((d->d_type == DT_LNK || d->d_type == DT_UNKNOWN) &&
                                   fstatat(dir, d->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode));
}

/* The names in the folder, sorted; *ret_more: how many there are beyond the limit. */
static struct name *read_names(DIR *dir, size_t *ret_n, size_t *ret_more)
{
    size_t n = 0, room = 64, more = 0;
    struct name *names = cdn_malloc(room * sizeof(*names));
    for (struct dirent *d; (d = readdir(dir));) {
        if (d->d_name[0] == '.' || strchr(d->d_name, '\\')) {
            continue;
        }
        if (n == ORIGIN_LISTING_MAX) {
            more++;
            continue;
        }
        if (n == room) {
            names = cdn_realloc(names, room *= 2, sizeof(*names));
        }
        names[n++] = (struct name){.text = cdn_strdup(d->d_name), .is_folder = is_folder(dirfd(dir), d)};
    }
    qsort(names, n, sizeof(*names), compare);
    *ret_n = n;
    *ret_more = more;
    return names;
}

static void write_page(const char *folder, const struct name *names, size_t n, size_t more,
                       struct cdn_buf *out)
{
    cdn_buf_printf(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>/");
    add_html(out, folder);
    cdn_buf_printf(out, "</title></head>\n<body><h1>/");
    add_html(out, folder);
    cdn_buf_printf(out, "</h1>\n<ul>\n%s", folder[0] ? "<li><a href=\"../\">../</a></li>\n" : "");
    for (size_t i = 0; i < n; i++) {
        const char *slash = names[i].is_folder ? "/" : "";
        cdn_buf_printf(out, "<li><a href=\"./");
        http_percent_encode(cdn_str(names[i].text), http_percent_is_unreserved, out);
        cdn_buf_printf(out, "%s\">", slash);
        add_html(out, names[i].text);
        cdn_buf_printf(out, "%s</a></li>\n", slash);
    }
    cdn_buf_printf(out, "</ul>\n");
    if (more) {
        cdn_buf_printf(out, "<p>and %zu more</p>\n", more);
    }
    cdn_buf_printf(out, "</body></html>\n");
}

bool origin_listing(const struct origin_root *root, const struct origin_path *folder, struct cdn_buf *out)
{
    struct stat st;
    int fd = origin_root_file(root, folder->name, &st);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    size_t n, more;
    struct name *names = read_names(dir, &n, &more);
    closedir(dir);
    write_page(folder->name, names, n, more, out);
    for (size_t i = 0; i < n; i++) {
        free(names[i].text);
    }
    free(names);
    return true;
}
