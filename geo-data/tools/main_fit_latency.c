/* fit-latency MATRIX.csv [--judge] [--quick] [--keep] [--unseen MATRIX.csv] [--write BACKBONE.csv]
 * [--backbone FILE] [NAME=VALUE...]
 *
 * MATRIX.csv has rows from,lat,lon,to,lat,lon,rtt_ms. Prints how well the committed model does on it; unless
 * --judge, fits it anew (link factors from 1), cross-validates with whole cities and whole regions left out,
 * and prints residuals; --write stores the graph with the new FIT factors. The parameters printed go into
 * latency_model.h by hand. NAME=VALUE sets an option of latency_fit.h. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/backbone.h"
#include "geo-data/embedded.h"
#include "geo-data/latency_fit.h"
#include "geo-data/latency_model.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define FOLDS 5
#define WORST 40
#define FILE_MAX (64u << 20)

struct job {
    const char *matrix_path, *unseen_path, *write_path, *backbone_path;
    bool judge_only, quick, keep;
    struct latency_fit_options options;
    struct cdn_buf matrix_text, unseen_text, backbone_text;
    struct latency_matrix *matrix, *unseen; /* unseen: judged, never fitted to; NULL without */
    struct backbone *backbone;
    struct latency_parameters parameters;
};

/* ---- figures ---- */

static int compare_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double rank(const double *sorted, size_t n, double share)
{
    return n == 0 ? NAN : sorted[(size_t)(share * (double)(n - 1))];
}

struct errors {
    double *size;    /* |model - truth| / truth */
    double *signed_; /* (model - truth) / truth */
    size_t n, room;
};

static void add_error(struct errors *e, double model, double truth)
{
    if (e->n == e->room) {
        e->room = e->room * 2 + 64;
        e->size = cdn_realloc(e->size, e->room, sizeof(*e->size));
        e->signed_ = cdn_realloc(e->signed_, e->room, sizeof(*e->signed_));
    }
    e->signed_[e->n] = (model - truth) / truth;
    e->size[e->n++] = fabs(model - truth) / truth;
}

static void print_errors(const char *what, struct errors *e)
{
    if (e->n == 0) {
        printf("  %-34s none\n", what);
        return;
    }
    qsort(e->size, e->n, sizeof(*e->size), compare_reals);
    qsort(e->signed_, e->n, sizeof(*e->signed_), compare_reals);
    printf("  %-34s %6zu pairs  median %5.1f %%  p90 %5.1f %%  p99 %5.1f %%  bias %+5.1f %%\n", what, e->n,
           100 * rank(e->size, e->n, 0.5), 100 * rank(e->size, e->n, 0.9), 100 * rank(e->size, e->n, 0.99),
           100 * rank(e->signed_, e->n, 0.5));
    free(e->size);
    free(e->signed_);
    *e = (struct errors){0};
}

static void predict(const struct job *job, const struct latency_parameters *parameters,
                    const struct latency_matrix *matrix, float *ret_ms)
{
    struct latency_model *model = latency_model_create(job->backbone, parameters);
    latency_predict(model, matrix, ret_ms);
    latency_model_destroy(model);
}

static void judge(const struct job *job, const struct latency_parameters *parameters,
                  const struct latency_matrix *matrix, const char *what, float *ret_ms)
{
    struct errors all = {0}, metros = {0};
    predict(job, parameters, matrix, ret_ms);
    for (size_t i = 0; i < matrix->pair_count; i++) {
        const struct latency_pair *pair = &matrix->pairs[i];
        if (pair->km < job->options.min_km) {
            continue;
        }
        add_error(&all, (double)ret_ms[i], pair->rtt_ms);
        if (matrix->sites[pair->from].is_metro && matrix->sites[pair->to].is_metro) {
            add_error(&metros, (double)ret_ms[i], pair->rtt_ms);
        }
    }
    print_errors(what, &all);
    print_errors("of these between cloud cities", &metros);
}

static void judge_unseen(const struct job *job, const struct latency_parameters *parameters)
{
    if (!job->unseen) {
        return;
    }
    CDN_AUTOFREE float *ms = cdn_calloc(job->unseen->pair_count, sizeof(*ms));
    judge(job, parameters, job->unseen, "the unseen matrix", ms);
    for (size_t i = 0; i < job->unseen->pair_count && job->unseen->pair_count < 30; i++) {
        printf("%s%.*s-%.*s %.0f/%.0f", i ? ", " : "    ",
               CDN_STR_ARG(job->unseen->sites[job->unseen->pairs[i].from].name),
               CDN_STR_ARG(job->unseen->sites[job->unseen->pairs[i].to].name), (double)ms[i],
               job->unseen->pairs[i].rtt_ms);
    }
    puts("");
}

/* ---- residuals ---- */

static void print_regions(const struct job *job, const float *ms)
{
    puts("\nmedian of (model - truth) / truth, and median size, by regions");
    for (unsigned a = 0; a < LATENCY_REGION_COUNT; a++) {
        for (unsigned b = a; b < LATENCY_REGION_COUNT; b++) {
            struct errors e = {0};
            for (size_t i = 0; i < job->matrix->pair_count; i++) {
                const struct latency_pair *pair = &job->matrix->pairs[i];
                unsigned x = job->matrix->sites[pair->from].region, y = job->matrix->sites[pair->to].region;
                if (pair->km >= job->options.min_km && ((x == a && y == b) || (x == b && y == a))) {
                    add_error(&e, (double)ms[i], pair->rtt_ms);
                }
            }
            CDN_AUTOFREE char *name = cdn_asprintf("%s - %s", latency_region_word(a), latency_region_word(b));
            if (e.n > 0) {
                print_errors(name, &e);
            }
        }
    }
}

static void print_sites(const struct job *job, const float *ms)
{
    puts("\nsites: median of (model - truth) / truth over their pairs");
    for (size_t s = 0; s < job->matrix->site_count; s++) {
        struct errors e = {0};
        for (size_t i = 0; i < job->matrix->pair_count; i++) {
            const struct latency_pair *pair = &job->matrix->pairs[i];
            if (pair->km >= job->options.min_km && (pair->from == s || pair->to == s)) {
                add_error(&e, (double)ms[i], pair->rtt_ms);
            }
        }
        CDN_AUTOFREE char *name = cdn_str_dup(job->matrix->sites[s].name);
        print_errors(name, &e);
    }
}

struct outlier {
    double off;
    size_t pair;
};

static int compare_outliers(const void *a, const void *b)
{
    double x = ((const struct outlier *)a)->off, y = ((const struct outlier *)b)->off;
    return (x < y) - (x > y);
}

static void print_worst(const struct job *job, const float *ms)
{
    const struct latency_matrix *m = job->matrix;
    CDN_AUTOFREE struct outlier *list = cdn_calloc(m->pair_count, sizeof(*list));
    size_t n = 0;
    for (size_t i = 0; i < m->pair_count; i++) {
        const struct latency_pair *pair = &m->pairs[i];
        if (pair->km >= job->options.min_km && m->sites[pair->from].is_metro && m->sites[pair->to].is_metro) {
            list[n++] = (struct outlier){fabs(log((double)ms[i] / pair->rtt_ms)), i};
        }
    }
    qsort(list, n, sizeof(*list), compare_outliers);
    puts("\nworst pairs of cloud cities: truth, model");
    for (size_t i = 0; i < n && i < WORST; i++) {
        const struct latency_pair *pair = &m->pairs[list[i].pair];
        printf("  %7.1f %7.1f  " CDN_STR_FMT " - " CDN_STR_FMT "\n", pair->rtt_ms, (double)ms[list[i].pair],
               CDN_STR_ARG(m->sites[pair->from].name), CDN_STR_ARG(m->sites[pair->to].name));
    }
}

/* ---- fits ---- */

static void fit_anew(struct job *job, const bool *used)
{
    job->parameters = latency_fitted;
    for (size_t i = 0; i < job->backbone->link_count; i++) {
        job->backbone->links[i].fit = 1;
    }
    latency_fit(job->backbone, &job->parameters, job->matrix, used, &job->options);
}

static unsigned fold_of_city(const struct job *job, size_t site)
{
    (void)job;
    return (unsigned)(site * 2654435761u >> 7) % FOLDS;
}

static unsigned fold_of_region(const struct job *job, size_t site)
{
    return job->matrix->sites[site].region;
}

/* Every pair with an end in the fold that was left out counts;
 * apart from those, pairs with both ends in it. */
static void cross_validate(struct job *job, const char *what, unsigned folds,
                           unsigned (*fold_of)(const struct job *job, size_t site))
{
    const struct latency_matrix *m = job->matrix;
    struct errors one = {0}, both = {0}, metros = {0};
    CDN_AUTOFREE bool *used = cdn_calloc(m->site_count, sizeof(*used));
    CDN_AUTOFREE float *ms = cdn_calloc(m->pair_count, sizeof(*ms));
    for (unsigned fold = 0; fold < folds; fold++) {
        for (size_t i = 0; i < m->site_count; i++) {
            used[i] = fold_of(job, i) != fold;
        }
        fit_anew(job, used);
        predict(job, &job->parameters, m, ms);
        for (size_t i = 0; i < m->pair_count; i++) {
            const struct latency_pair *pair = &m->pairs[i];
            if (pair->km < job->options.min_km || (used[pair->from] && used[pair->to])) {
                continue;
            }
            add_error(&one, (double)ms[i], pair->rtt_ms);
            if (!used[pair->from] && !used[pair->to]) {
                add_error(&both, (double)ms[i], pair->rtt_ms);
            }
            if (m->sites[pair->from].is_metro && m->sites[pair->to].is_metro) {
                add_error(&metros, (double)ms[i], pair->rtt_ms);
            }
        }
    }
    printf("%s\n", what);
    print_errors("one end or both unseen", &one);
    print_errors("both ends unseen", &both);
    print_errors("cloud cities, an end unseen", &metros);
    fflush(stdout);
}

static void print_parameters(const struct latency_parameters *p)
{
#define X(name, value, text) printf("  %-14s %8.4g  %s\n", #name, p->name, text);
    LATENCY_PARAMETERS(X)
#undef X
}

static enum cdn_status write_backbone(const struct job *job, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    cdn_buf_printf(&out,
                   "# The graph of the latency model: see backbone.h for the columns. Written by hand from "
                   "general knowledge of\n# cables and land routes; the last column of a link was fitted "
                   "by fit-latency.\n");
    backbone_print(job->backbone, &out);
    FILE *file = fopen(job->write_path, "w");
    bool done = file && fwrite(out.p, 1, out.n, file) == out.n;
    if (file && fclose(file) != 0) {
        done = false;
    }
    return done ? CDN_OK : cdn_error_set(err, CDN_IO, "%s: %s", job->write_path, strerror(errno));
}

static enum cdn_status work(struct job *job, struct cdn_error *err)
{
    CDN_AUTOFREE float *ms = cdn_calloc(job->matrix->pair_count, sizeof(*ms));
    CDN_AUTOFREE bool *all = cdn_calloc(job->matrix->site_count, sizeof(*all));
    memset(all, true, job->matrix->site_count * sizeof(*all));
    puts("the committed model");
    judge(job, &latency_fitted, job->matrix, "all", ms);
    judge_unseen(job, &latency_fitted);
    if (!job->judge_only) {
        if (!job->quick) {
            cross_validate(job, "fitted anew, a fifth of the cities left out in turn", FOLDS, fold_of_city);
            cross_validate(job, "fitted anew, each region left out in turn", LATENCY_REGION_COUNT,
                           fold_of_region);
        }
        fit_anew(job, all);
        puts("fitted anew to all");
        judge(job, &job->parameters, job->matrix, "all", ms);
        judge_unseen(job, &job->parameters);
        print_parameters(&job->parameters);
    }
    print_regions(job, ms);
    print_sites(job, ms);
    print_worst(job, ms);
    return job->write_path && !job->judge_only ? write_backbone(job, err) : CDN_OK;
}

/* ---- command line ---- */

static enum cdn_status read_file(const char *path, struct cdn_buf *out, struct cdn_error *err)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    }
    char bytes[16384];
    size_t n;
    while (out->n < FILE_MAX && (n = fread(bytes, 1, sizeof(bytes), file)) > 0) {
        cdn_buf_add(out, bytes, n);
    }
    bool failed = ferror(file) != 0 || out->n >= FILE_MAX;
    fclose(file);
    return failed ? cdn_error_set(err, CDN_IO, "%s: cannot be read, or is too large", path) : CDN_OK;
}

static bool set_option(struct latency_fit_options *options, struct cdn_str text)
{
    struct cdn_str name = cdn_str_cut(&text, '=');
#define X(field, value, help)              \
    if (cdn_str_eq(name, CDN_STR(#field))) \
        return cdn_parse_real(text, &options->field);
    LATENCY_FIT_OPTIONS(X)
#undef X
    return false;
}

static enum cdn_status parse_arguments(struct job *job, int argc, char **argv, struct cdn_error *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--judge") == 0) {
            job->judge_only = true;
        } else if (strcmp(argv[i], "--quick") == 0) {
            job->quick = true;
        } else if (strcmp(argv[i], "--keep") == 0) {
            job->keep = true;
        } else if (strcmp(argv[i], "--write") == 0 && i + 1 < argc) {
            job->write_path = argv[++i];
        } else if (strcmp(argv[i], "--unseen") == 0 && i + 1 < argc) {
            job->unseen_path = argv[++i];
        } else if (strcmp(argv[i], "--backbone") == 0 && i + 1 < argc) {
            job->backbone_path = argv[++i];
        } else if (strchr(argv[i], '=') && set_option(&job->options, cdn_str(argv[i]))) {
            continue;
        } else if (argv[i][0] != '-' && !job->matrix_path) {
            job->matrix_path = argv[i];
        } else {
            return cdn_error_set(err, CDN_USAGE, "what is '%s'?", argv[i]);
        }
    }
    return job->matrix_path
               ? CDN_OK
               : cdn_error_set(
                     err, CDN_USAGE,
                     "usage: fit-latency MATRIX.csv [--judge] [--quick] [--keep] [--unseen MATRIX.csv] "
                     "[--write FILE] [--backbone FILE] [NAME=VALUE...]");
}

static void tell_dropped(const struct latency_site *site, size_t pairs)
{
    printf("left out: " CDN_STR_FMT " is not where it is said to be, %zu times faster than light\n",
           CDN_STR_ARG(site->name), pairs);
}

static enum cdn_status load(struct job *job, struct cdn_error *err)
{
    enum cdn_status status = read_file(job->matrix_path, &job->matrix_text, err);
    if (status == CDN_OK && job->backbone_path) {
        status = read_file(job->backbone_path, &job->backbone_text, err);
    }
    if (status == CDN_OK) {
        status =
            backbone_parse(job->backbone_path ? cdn_buf_str(&job->backbone_text) : geo_embedded_backbone(),
                           &job->backbone, err);
    }
    if (status == CDN_OK) {
        status = latency_matrix_parse(cdn_buf_str(&job->matrix_text), job->backbone, &job->matrix, err);
    }
    if (status == CDN_OK && !job->keep) {
        latency_matrix_drop_impossible(job->matrix, tell_dropped);
    }
    if (status == CDN_OK && job->unseen_path) {
        status = read_file(job->unseen_path, &job->unseen_text, err);
    }
    if (status == CDN_OK && job->unseen_path) {
        status = latency_matrix_parse(cdn_buf_str(&job->unseen_text), job->backbone, &job->unseen, err);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct job job = {.options = latency_fit_defaults};
    struct cdn_error err = {0};
    enum cdn_status status = parse_arguments(&job, argc, argv, &err);
    if (status == CDN_OK) {
        status = load(&job, &err);
    }
    if (status == CDN_OK) {
        status = work(&job, &err);
    }
    if (status != CDN_OK) {
        fprintf(stderr, "fit-latency: %s\n", err.text);
    }
    latency_matrix_destroy(job.matrix);
    latency_matrix_destroy(job.unseen);
    backbone_destroy(job.backbone);
    cdn_buf_free(&job.matrix_text);
    cdn_buf_free(&job.unseen_text);
    cdn_buf_free(&job.backbone_text);
    return cdn_status_exit_code(status);
}
