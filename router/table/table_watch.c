/* table_watch: stat(2) once a second instead of inotify: it works on every file system, sees a
 * replaced file as well as a written one, and needs no event to be caught. */
#include "router/table/table_watch.h"

#include "common/config/config.h"
#include "common/mem.h"
#include "geo-data/geo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/banned.h"

#define LOOK_NS 1000000000
#define FILES_MAX GEO_FILES_MAX /* of `database` and `asn_database` */

struct look { /* what stat says; all zero for a file that is not there */
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct file {
    char *path;
    struct look known, last; /* last: of the look before */
};

struct router_watch {
    struct loop *loop;
    struct loop_timer timer;
    void (*changed)(void *self);
    void *self;
    struct file files[FILES_MAX];
    size_t count;
};

static struct look look_at(const char *path)
{
    struct stat st;
    struct look look = {0};
    if (stat(path, &st) == 0) {
        look = (struct look){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
    }
    return look;
}

static bool look_equal(const struct look *a, const struct look *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Whether the file is another one than the known one, and has come to rest. */
static bool has_changed(struct file *file)
{
    struct look now = look_at(file->path);
    bool rests = look_equal(&now, &file->last), is_new = !look_equal(&now, &file->known);
    file->last = now;
    if (rests && is_new) {
        file->known = now;
    }
    return rests && is_new;
}

static void fire(struct loop_timer *timer)
{
    struct router_watch *w = CDN_CONTAINER_OF(timer, struct router_watch, timer);
    bool any = false;
    for (size_t i = 0; i < w->count; i++) {
        any = has_changed(&w->files[i]) || any;
    }
    loop_timer_start(w->loop, &w->timer, LOOK_NS);
    if (any) {
        w->changed(w->self);
    }
}

static void files_free(struct router_watch *w)
{
    for (size_t i = 0; i < w->count; i++) {
        free(w->files[i].path);
    }
    w->count = 0;
}

struct router_watch *router_watch_create(struct loop *loop, void (*changed)(void *self), void *self)
{
    struct router_watch *w = cdn_calloc(1, sizeof(*w));
    *w = (struct router_watch){.loop = loop, .timer.fire = fire, .changed = changed, .self = self};
    return w;
}

void router_watch_destroy(struct router_watch *watch)
{
    if (!watch) {
        return;
    }
    loop_timer_stop(watch->loop, &watch->timer);
    files_free(watch);
    free(watch);
}

static void files_add(struct router_watch *watch, const struct cdn_config_list *files)
{
    for (size_t i = 0; i < files->n && watch->count < FILES_MAX; i++) {
        if (strcmp(files->items[i].key, GEO_EMBEDDED) == 0) {
            continue;
        }
        struct file *file = &watch->files[watch->count++];
        file->path = cdn_strdup(files->items[i].key);
        file->known = file->last = look_at(file->path);
    }
}

void router_watch_files(struct router_watch *watch, const struct router_settings *settings)
{
    files_free(watch);
    files_add(watch, &settings->database);
    files_add(watch, &settings->asn_database);
    loop_timer_stop(watch->loop, &watch->timer);
    if (watch->count > 0) {
        loop_timer_start(watch->loop, &watch->timer, LOOK_NS);
    }
}
