/* fuzz: what the fuzz targets share.
 *
 * Each fuzz_<name>.c feeds one parser of foreign bytes and checks what must hold of any result. In a build
 * with clang's libFuzzer (preset `fuzz`) the target is searched by coverage; in every other build replay.c
 * drives it over its corpus and a fixed number of mutations.
 */
#ifndef CDN_TESTS_FUZZ_H
#define CDN_TESTS_FUZZ_H
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FUZZ_FIELDS_MAX 64
#define FUZZ_OWNER CDN_AUTOFREE __attribute__((unused)) /* of a line */

/* What must hold; evaluated in every build. */
#define MUST(x)                                                             \
    do {                                                                    \
        if (!(x)) {                                                         \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #x); \
            abort();                                                        \
        }                                                                   \
    } while (0)

static inline struct cdn_str fuzz_text(const uint8_t *data, size_t n)
{
    return (struct cdn_str){(const char *)data, n};
}

/* Takes the first byte away; 0 when there is none. */
static inline uint8_t fuzz_byte(struct cdn_str *rest)
{
    uint8_t b = rest->n ? (uint8_t)rest->p[0] : 0;
    *rest = cdn_str_sub(*rest, 1);
    return b;
}

/* The next line, as a block of its own, so that a read beyond its end is noticed; p NULL at the end. Keep
 * what is returned as a FUZZ_OWNER. */
static inline char *fuzz_line(struct cdn_str *rest, struct cdn_str *ret)
{
    *ret = (struct cdn_str){NULL, 0};
    if (!rest->p || !rest->n) {
        return NULL;
    }
    struct cdn_str line = cdn_str_cut(rest, '\n');
    char *own = cdn_malloc(line.n ? line.n : 1);
    memcpy(own, line.p, line.n);
    *ret = (struct cdn_str){own, line.n};
    return own;
}

/* "Name: value" lines, as an HTTP parser would hand them over. */
static inline size_t fuzz_fields(struct cdn_str rest, struct http_field ret[static FUZZ_FIELDS_MAX])
{
    size_t count = 0;
    while (rest.p && rest.n && count < FUZZ_FIELDS_MAX) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        ret[count].name = cdn_str_cut(&line, ':');
        ret[count++].value = line.p ? cdn_str_trim(line) : CDN_STR("");
    }
    return count;
}

/* The bytes as a file that has a path; the caller closes the descriptor. */
static inline int fuzz_file(const uint8_t *data, size_t n, char path[static 32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

/* An error's sentence is there, is one line, and commands no terminal. */
static inline void fuzz_check_error(const struct cdn_error *err)
{
    MUST(err->text[0]);
    for (const char *p = err->text; *p; p++) {
        MUST((unsigned char)*p >= ' ' && *p != 0x7f);
    }
}

#endif
