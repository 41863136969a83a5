/* compare_who: the clients. A log is read once and its addresses counted before anything is looked up, so
 * that a log of millions of lines costs as many look-ups as it has clients. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/compare/compare_private.h"
#include "cli/compare/model/world.h"
#include "cli/geo/geo_client.h"
#include "cli/geo/geo_input.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

/* ---- standard input, which is read for each side of a comparison, and before anything starts ---- */

/* A pipe is kept in a file without a name. */
static enum cdn_status keep(FILE **ret, struct cdn_error *err)
{
    char bytes[1 << 16];
    ssize_t n;
    FILE *file = tmpfile();
    if (!file) {
        return cdn_error_set(err, CDN_IO, "standard input cannot be kept: %s", strerror(errno));
    }
    while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0 && fwrite(bytes, 1, (size_t)n, file) != (size_t)n) {
            break;
        }
    }
    if (n != 0 || fflush(file) != 0) {
        fclose(file);
        return cdn_error_set(err, CDN_IO, "standard input cannot be kept: %s", strerror(errno));
    }
    *ret = file;
    return CDN_OK;
}

/* A descriptor at the beginning of standard input. */
static enum cdn_status input(int *ret_fd, struct cdn_error *err)
{
    static off_t start = -1; /* of a file, which can be read again where it is */
    static FILE *kept;
    enum cdn_status status = CDN_OK;
    if (start < 0 && !kept) {
        start = lseek(STDIN_FILENO, 0, SEEK_CUR);
        status = start < 0 ? keep(&kept, err) : CDN_OK;
    }
    if (status == CDN_OK) {
        *ret_fd = kept ? fileno(kept) : STDIN_FILENO;
        lseek(*ret_fd, kept ? 0 : start, SEEK_SET);
    }
    return status;
}

/* ---- the clients of a log ---- */

#define LOG_ADDRESSES_MAX (16u << 20)

struct addresses {
    struct cdn_addr *at;
    size_t n, room;
    uint64_t lines;
};

static int by_bytes(const void *a, const void *b)
{
    size_t x_n, y_n;
    const unsigned char *x = cdn_addr_bytes(a, &x_n), *y = cdn_addr_bytes(b, &y_n);
    return x_n != y_n ? (x_n > y_n) - (x_n < y_n) : memcmp(x, y, x_n);
}

static enum cdn_status read_log(const struct compare_options *options, const struct world *world, int fd,
                                struct addresses *ret, struct cdn_error *err)
{
    struct geo_reader reader;
    struct geo_client client;
    struct cdn_str line;
    enum cdn_status status = geo_client_init(&client, options->client, world->table, err);
    if (status != CDN_OK) {
        return status;
    }
    geo_reader_init(&reader, fd, NULL, NULL);
    while ((status = geo_reader_line(&reader, &line, err)) == CDN_OK || status == CDN_TOO_LARGE) {
        struct cdn_addr address;
        if (status != CDN_OK || line.n == 0 || geo_client_comment(&client, line)) {
            continue;
        }
        ret->lines++;
        if (!geo_client_find(&client, line, &address)) {
            continue;
        }
        if (ret->n == ret->room) {
            ret->room = ret->room ? 2 * ret->room : 4096;
            ret->at = cdn_realloc(ret->at, ret->room, sizeof(*ret->at));
        }
        ret->at[ret->n++] = address;
        if (ret->n == LOG_ADDRESSES_MAX) {
            break; /* as good as more of them */
        }
    }
    geo_reader_fini(&reader);
    if (status != CDN_NOT_FOUND && status != CDN_OK) {
        return cdn_error_prefix(err, "%s", options->from_log);
    }
    err->text[0] = '\0';
    return CDN_OK;
}

static enum cdn_status add_log(const struct compare_options *options, struct world *world,
                               struct cdn_error *err)
{
    struct addresses all = {0};
    const bool is_stdin = strcmp(options->from_log, "-") == 0;
    const size_t first = world->n;
    int fd = -1;
    enum cdn_status status = is_stdin ? input(&fd, err) : CDN_OK;
    if (!is_stdin && (fd = open(options->from_log, O_RDONLY | O_CLOEXEC)) < 0) {
        status = cdn_error_set(err, CDN_IO, "--from-log: %s: %s", options->from_log, strerror(errno));
    }
    if (status != CDN_OK) {
        return status;
    }
    status = read_log(options, world, fd, &all, err);
    if (!is_stdin) {
        close(fd);
    }
    if (status == CDN_OK && all.n) {
        qsort(all.at, all.n, sizeof(*all.at), by_bytes);
    }
    uint64_t placed = 0;
    for (size_t i = 0, k; i < all.n && status == CDN_OK; i = k) {
        struct cdn_error none;
        for (k = i + 1; k < all.n && by_bytes(&all.at[i], &all.at[k]) == 0;) {
            k++;
        }
        enum cdn_status added = world_add_address(world, &all.at[i], (double)(k - i), &none);
        placed += added == CDN_OK ? k - i : 0;
        status = added == CDN_NOT_FOUND ? CDN_OK : added;
        if (status != CDN_OK) {
            *err = none;
        }
    }
    free(all.at);
    world_sort(world, first);
    world->lines = all.lines;
    world->skipped = all.lines - placed;
    if (status == CDN_OK && world->n == 0) {
        return cdn_error_set(err, CDN_NOT_FOUND, "--from-log: %s: no line has a client with a known place",
                             options->from_log);
    }
    return status;
}

static enum cdn_status add_me(const struct compare_options *options, struct world *world,
                              struct cdn_error *err)
{
    struct cdn_addr address;
    if (!options->ip) {
        return cdn_error_set(
            err, CDN_USAGE,
            "--from-me needs --ip: nothing is asked of the internet, so say which address you "
            "have there");
    }
    if (!cdn_parse_ip(cdn_str(options->ip), &address)) {
        return cdn_error_set(err, CDN_USAGE, "--ip: '%s' is no IP address", options->ip);
    }
    enum cdn_status status = world_add_address(world, &address, 1, err);
    return status == CDN_OK ? status : cdn_error_prefix(err, "--ip");
}

static enum cdn_status add_usual(const struct compare_options *options, struct world *world,
                                 struct cdn_error *err)
{
    uint64_t n = WORLD_USUAL_CITIES;
    if (options->cities && (!cdn_parse_u64(cdn_str(options->cities), &n) || n == 0 || n > WORLD_CITIES_MAX)) {
        return cdn_error_set(err, CDN_USAGE, "--cities: '%s' is not a number from 1 to %u", options->cities,
                             WORLD_CITIES_MAX);
    }
    return world_add_usual(world, n, err);
}

static enum cdn_status add_all(const struct compare_options *options, struct world *world,
                               struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < options->from.n && status == CDN_OK; i++) {
        const char *place = options->from.items[i];
        int fd;
        if (strcmp(place, "-") != 0) {
            status = world_add_place(world, place, 1, err);
        } else {
            status = input(&fd, err);
            status = status == CDN_OK ? world_add_lines(world, fd, err) : status;
        }
        if (status != CDN_OK) {
            return cdn_error_prefix(err, "--from");
        }
    }
    if (options->from_me || options->ip) {
        status = add_me(options, world, err);
    }
    if (status == CDN_OK && options->from_log) {
        status = add_log(options, world, err);
    }
    if (status == CDN_OK && world->n == 0 && options->from.n) {
        return cdn_error_set(err, CDN_NOT_FOUND, "--from: standard input names no place");
    }
    if (status == CDN_OK && world->n == 0) {
        status = add_usual(options, world, err);
    }
    if (status == CDN_OK && !options->model) {
        size_t gone = world_keep(world, WORLD_ASKED_MAX);
        if (gone && !options->quiet) {
            cli_complain(
                "%u places are asked at once, those with most requests; %zu are left out (--model takes "
                "all)\n",
                WORLD_ASKED_MAX, gone);
        }
    }
    return status == CDN_OK ? world_decide(world, err) : status;
}

enum cdn_status compare_who(const struct compare_options *options, const char *config, struct world *ret,
                            struct cdn_error *err)
{
    struct world world = {0};
    enum cdn_status status = world_open(config, &world, err);
    if (status != CDN_OK) {
        return status;
    }
    status = add_all(options, &world, err);
    if (status != CDN_OK) {
        world_free(&world);
        return status;
    }
    *ret = world;
    return CDN_OK;
}
