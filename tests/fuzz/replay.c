/* replay: drives a fuzz target without libFuzzer: every file named (or in a folder named) as it stands, then
 * mutations of them. The mutations come from a fixed seed, so every run does the same.
 *
 *     fuzz_NAME [-runs=N] FILE|FOLDER...
 */
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX 65536u

struct corpus {
    struct cdn_buf *items;
    size_t n;
};

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t below(uint64_t n) /* xorshift64 */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n ? state % n : 0;
}

static void run(const struct cdn_buf *input)
{
    uint8_t *own = cdn_malloc(input->n ? input->n : 1); /* no byte behind it, for AddressSanitizer */
    if (input->n) {
        memcpy(own, input->p, input->n);
    }
    LLVMFuzzerTestOneInput(own, input->n);
    free(own);
}

static void add_file(struct corpus *corpus, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    corpus->items = cdn_realloc(corpus->items, corpus->n + 1, sizeof(*corpus->items));
    struct cdn_buf *item = &corpus->items[corpus->n++];
    *item = (struct cdn_buf){0};
    cdn_buf_reserve(item, INPUT_MAX);
    item->n = fread(item->p, 1, INPUT_MAX, f);
    fclose(f);
}

static void add(struct corpus *corpus, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        add_file(corpus, path);
        return;
    }
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            CDN_AUTOFREE char *name = cdn_asprintf("%s/%s", path, entries[i]->d_name);
            add_file(corpus, name);
        }
        free(entries[i]);
    }
    free(n >= 0 ? entries : NULL);
}

/* Bytes that parsers look out for. */
static const char marks[] = " \t\r\n\"\\,;:=/%.-+*()[]<>@?&#'09azAZ\x00\x7f\x80\xff";

static void mutate(const struct corpus *corpus, struct cdn_buf *b)
{
    size_t at = below(b->n + 1);
    size_t n = 1 + below(8);
    n = n < b->n - at ? n : b->n - at;
    switch (below(6)) {
    case 0:
        if (b->n) {
            b->p[below(b->n)] ^= (char)(1u << below(8));
        }
        break;
    case 1:
        if (b->n) {
            b->p[below(b->n)] = marks[below(sizeof(marks) - 1)];
        }
        break;
    case 2: /* cut out */
        memmove(b->p + at, b->p + at + n, b->n - at - n);
        b->n -= n;
        break;
    case 3: /* cut off */
        b->n = at;
        break;
    case 4: /* double a piece */
        cdn_buf_reserve(b, n);
        memmove(b->p + at + n, b->p + at, b->n - at);
        b->n += n;
        break;
    default: { /* the end of another one */
        const struct cdn_buf *other = &corpus->items[below(corpus->n)];
        size_t from = below(other->n + 1);
        b->n = at;
        cdn_buf_add(b, other->p + from, other->n - from);
    }
    }
    b->n = b->n < INPUT_MAX ? b->n : INPUT_MAX;
}

int main(int argc, char **argv)
{
    uint64_t runs = 0;
    struct corpus corpus = {0};
    for (int i = 1; i < argc; i++) {
        struct cdn_str arg = cdn_str(argv[i]);
        if (!cdn_str_starts(arg, CDN_STR("-"))) {
            add(&corpus, argv[i]);
        } else if (!cdn_str_starts(arg, CDN_STR("-runs=")) || !cdn_parse_u64(cdn_str_sub(arg, 6), &runs)) {
            fprintf(stderr, "usage: %s [-runs=N] FILE|FOLDER...\n", argv[0]);
            return 2;
        }
    }
    for (size_t i = 0; i < corpus.n; i++) {
        run(&corpus.items[i]);
    }
    struct cdn_buf b = {0};
    for (uint64_t i = 0; i < runs && corpus.n; i++) {
        const struct cdn_buf *from = &corpus.items[below(corpus.n)];
        cdn_buf_clear(&b);
        cdn_buf_add(&b, from->p, from->n);
        for (uint64_t steps = 1 + below(4); steps; steps--) {
            mutate(&corpus, &b);
        }
        run(&b);
    }
    printf("%zu files, %llu mutations\n", corpus.n, (unsigned long long)runs);
    for (size_t i = 0; i < corpus.n; i++) {
        cdn_buf_free(&corpus.items[i]);
    }
    free(corpus.items);
    cdn_buf_free(&b);
    return corpus.n ? 0 : 2;
}
